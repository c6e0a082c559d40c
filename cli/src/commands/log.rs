//! `ordain log`: every transition that the journal holds, newest first.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::journal::Reader;
use crate::{terminal, when};
use miette::Result;
use ordain_reconciler_journal::{
    AppRef, Counts, Event, Intent, ObjectWrite, Outcome as Went, Query, Record, SignatureVerdict,
    State, time,
};

/// Show every transition, newest first
///
/// Commits, deploys with what they changed and how they ended, failed attempts, deletions, drift and who caused it, rollbacks,
/// suspensions, approvals and adoptions. The journal of the data directory is read; nothing has to run. With --kubeconfig the reconciler
/// that runs behind the cluster is asked. `--format json` gives each record whole, with UID and resource versions of every object that
/// was written.
#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Only this environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Only what happened at this time or later, as in `2026-08-01 14:03` or `2h ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only what happened before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// At most so many records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &LogArgs, format: Format) -> Result<Outcome> {
    let reader = Reader::of(args.target.target())?;
    let time = |text: &Option<String>| text.as_deref().map(when::milliseconds).transpose();
    let query = Query {
        app: args.app.clone(),
        env: args.env.clone(),
        since_ms: time(&args.since)?,
        until_ms: time(&args.until)?,
        before_seq: None,
        limit: Some(args.limit),
    };
    let records = reader.records(&query)?;
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "records": records }))?,
        Format::Text if records.is_empty() => terminal::data("nothing happened yet\n")?,
        Format::Text => terminal::data(&text(&records))?,
    }
    Ok(Outcome::Done)
}

/// Returns the records as people read them.
fn text(records: &[Record]) -> String {
    let rows = records.iter().map(|record| {
        let app = record.event.app().map_or(String::new(), AppRef::to_string);
        [
            time(record.time_ms),
            record.seq.to_string(),
            app,
            what(&record.event),
        ]
    });
    super::table(["TIME", "RECORD", "APP", "WHAT"], rows)
}

/// The name of a state.
pub(crate) fn state(state: &State) -> &'static str {
    match state {
        State::Started => "started",
        State::Applied => "applied",
        State::Healthy => "healthy",
        State::Failed { .. } => "failed",
        State::Superseded { .. } => "superseded",
        State::Blocked { .. } => "blocked",
        State::RolledBack { .. } => "rolled-back",
    }
}

fn what(event: &Event) -> String {
    let short = super::status::short;
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
    let short = super::status::short;
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

fn went(outcome: &Went) -> String {
    match outcome {
        Went::Applied => "applied".to_owned(),
        Went::Healthy => "healthy".to_owned(),
        Went::Failed { reasons } => format!("failed: {}", reasons.join("; ")),
        Went::Superseded { by } => format!("superseded by {}", super::status::short(by)),
        Went::Blocked { reasons } => format!("blocked: {}", reasons.join("; ")),
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
