//! What happened, in words: the lines of `ordain log` and of the dashboard.

use crate::{AppRef, Counts, Event, Intent, ObjectWrite, Outcome, SignatureVerdict};

/// Letters of a commit or hash that people are shown.
const SHORT: usize = 10;

fn short(name: &str) -> &str {
    name.get(..SHORT).unwrap_or(name)
}

/// What happened, in a sentence without a full stop.
#[must_use]
pub fn sentence(event: &Event) -> String {
    let for_app = |app: &Option<AppRef>| match app {
        Some(_) => "",
        None => " (every app)",
    };
    match event {
        Event::Commit {
            branch,
            commit,
            rewritten,
            ..
        } => {
            let note = if *rewritten {
                ", history rewritten"
            } else {
                ""
            };
            format!("{branch} moved to {}{note}", short(commit))
        }
        Event::Rejected { commit, errors } => {
            format!("{} does not compile: {}", short(commit), first(errors))
        }
        Event::Intent(intent) => deploy(intent),
        Event::Outcome {
            outcome, writes, ..
        } => format!("{}{}", went(outcome), written(writes)),
        Event::Drift {
            objects, changes, ..
        } => {
            let managers: Vec<&str> = changes
                .iter()
                .flat_map(|change| &change.managers)
                .map(String::as_str)
                .collect();
            let by = match managers.is_empty() {
                true => String::new(),
                false => format!(" by {}", managers.join(", ")),
            };
            format!("drift{by}: {}", objects.join("; "))
        }
        Event::Suspend {
            app, by, reason, ..
        } => {
            format!("suspended{} by {by}{}", for_app(app), because(reason))
        }
        Event::Resume { app, by } => format!("resumed{} by {by}", for_app(app)),
        Event::Quarantine {
            commit,
            to,
            reasons,
            by,
            ..
        } => format!(
            "{} is held back by {by}, {} stands instead{}",
            short(commit),
            short(to),
            because(&reasons.join("; "))
        ),
        Event::Lifted { commit, by, .. } => {
            format!(
                "{} is no longer held back, because of {}",
                short(commit),
                short(by)
            )
        }
        Event::Waiting { commit, reason, .. } => format!("{} waits: {reason}", short(commit)),
        Event::Adopted { object, from, .. } => {
            format!("adopted {object} from {}", from.join(", "))
        }
        Event::Approval { plan, by } => format!("{by} approved plan {}", short(plan)),
        Event::Compacted { through, by, .. } => {
            format!("records up to {through} were removed by {by}")
        }
        Event::Note { topic, text, .. } => format!("{topic}: {text}"),
        Event::Unknown => "written by a newer version".to_owned(),
    }
}

fn deploy(intent: &Intent) -> String {
    let Counts {
        create,
        update,
        delete,
        unchanged,
    } = intent.counts;
    let verb = match &intent.rollback {
        Some(rollback) => format!(
            "roll back {} to {}:",
            short(&rollback.of),
            short(&rollback.to)
        ),
        None => "deploy".to_owned(),
    };
    let actor = match &intent.actor {
        Some(actor) => format!(", brought by {actor}"),
        None => String::new(),
    };
    let committer = match &intent.committer {
        Some(committer) => format!(", committed by {committer}"),
        None => String::new(),
    };
    let signed = intent.signature.as_ref().map_or(String::new(), signed);
    format!(
        "{verb} {} by {}{committer}{actor}{signed}: {}  (+{create} ~{update} -{delete} ={unchanged}){}",
        short(&intent.commit),
        intent.author,
        intent.subject,
        because(first(&intent.reason)),
    )
}

/// How a commit is signed, as a part of a sentence.
fn signed(signature: &SignatureVerdict) -> String {
    let method = match signature.method.as_deref() {
        None => "",
        Some("ssh") => "SSH ",
        Some("pgp") => "PGP ",
        Some(_) => "unknown ",
    };
    match (signature.verdict.as_str(), &signature.signer) {
        ("unsigned", _) => ", unsigned".to_owned(),
        ("good", Some(signer)) => format!(", {method}signature of {signer}"),
        (verdict, _) => format!(", {method}signature {verdict}"),
    }
}

fn went(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "applied".to_owned(),
        Outcome::Healthy => "healthy".to_owned(),
        Outcome::Failed { reasons } => format!("failed: {}", reasons.join("; ")),
        Outcome::Superseded { by } => format!("superseded by {}", short(by)),
        Outcome::Blocked { reasons } => format!("blocked: {}", reasons.join("; ")),
    }
}

fn written(writes: &[ObjectWrite]) -> String {
    const NAMED_MAX: usize = 3;
    if writes.is_empty() {
        return String::new();
    }
    let named: Vec<String> = writes
        .iter()
        .take(NAMED_MAX)
        .map(|write| format!("{} {}", write.verb, write.object))
        .collect();
    let more = match writes.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("; {}{more}", named.join(", "))
}

fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

fn first(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
}
