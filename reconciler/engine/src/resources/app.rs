//! What an `App` object says: conditions and fields from what the engine knows, and the events between two of them.
//! Pure; it knows no API server and no clock.

use jiff::Timestamp;
use ordain_reconciler_journal::Digest;
use serde_json::{Value, json};

use crate::{
    AppStatus, Sync,
    words::{self, short},
};

/// Characters of a message in an object; `ordain status` has all of it.
const MESSAGE_CHARS_MAX: usize = 1024;

/// Lines of held deletions and notes that are shown.
const LINES_MAX: usize = 20;

/// What the engine knows of an app.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) status: AppStatus,
    pub(crate) cluster: String,
    /// Hash of the last plan that was carried out.
    pub(crate) plan: Option<String>,
    /// Set when its commit is a rollback: what was rolled back to.
    pub(crate) rollback: Option<String>,
    /// Why, when it is suspended.
    pub(crate) suspended: Option<String>,
    /// A commit that is held back because it failed.
    pub(crate) quarantined: Option<String>,
    /// The annotation that was acted upon last.
    pub(crate) handled: Option<String>,
}

/// One condition, as it stands and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) status: &'static str,
    pub(crate) since: Timestamp,
}

/// What is remembered of an app that was written: enough to see a difference and to tell what it means. There is one
/// for each app, so it is small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// In the order of [`CONDITIONS`].
    pub(crate) conditions: [Option<Condition>; CONDITIONS.len()],
    pub(crate) sync: &'static str,
    pub(crate) health: &'static str,
    pub(crate) commit: Box<str>,
    pub(crate) suspended: bool,
    pub(crate) quarantined: Option<Box<str>>,
    pub(crate) notes: Box<[String]>,
}

impl Known {
    fn is(&self, kind: &str) -> bool {
        let mut found = CONDITIONS.into_iter().zip(&self.conditions);
        let found = found.find(|(known, _)| *known == kind);
        found.is_some_and(|(_, found)| found.is_some_and(|found| found.status == "True"))
    }
}

/// Something that happened, for an `Event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) reason: &'static str,
    pub(crate) warning: bool,
    pub(crate) note: String,
}

/// The conditions of an app, in the order in which they are listed.
pub(crate) const CONDITIONS: [&str; 5] = ["Ready", "Synced", "Healthy", "Progressing", "Stalled"];

/// The status of an app's object, and what is to be remembered of it. `before` is what was remembered last; times of
/// conditions that did not change are kept.
pub(crate) fn status(
    look: &Look,
    before: &Known,
    generation: i64,
    now: Timestamp,
) -> (Value, Known) {
    let app = &look.status;
    let sync = word(app.sync);
    let mut conditions = Vec::new();
    let mut known = Known {
        sync,
        health: known_word(&HEALTHS, &app.health),
        commit: app.commit.as_str().into(),
        suspended: look.suspended.is_some(),
        quarantined: look.quarantined.as_deref().map(Into::into),
        notes: lines(&app.notes),
        ..Known::default()
    };
    for (at, kind) in CONDITIONS.into_iter().enumerate() {
        let (status, reason, message) = condition(kind, look);
        let since = match before.conditions[at] {
            Some(old) if old.status == status => old.since,
            _ => now,
        };
        conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": cut(&message),
            "lastTransitionTime": time(since), "observedGeneration": generation,
        }));
        known.conditions[at] = Some(Condition { status, since });
    }
    let healthy = app
        .objects
        .iter()
        .filter(|object| object.health == "healthy");
    let mut value = json!({
        "observedGeneration": generation,
        "sync": sync,
        "health": app.health,
        "message": cut(&app.message),
        "commit": app.commit,
        "revision": short(&app.commit),
        "namespace": app.namespace,
        "suspended": look.suspended.is_some(),
        "objects": {"total": app.objects.len(), "healthy": healthy.count()},
        "conditions": conditions,
    });
    let optional = [
        ("planHash", &look.plan),
        ("quarantinedCommit", &look.quarantined),
        ("lastHandledReconcile", &look.handled),
    ];
    for (key, found) in optional {
        if let Some(found) = found {
            value[key] = found.as_str().into();
        }
    }
    if app.sync == Sync::Blocked {
        value["held"] = json!([cut(&app.message)]);
    }
    if !app.notes.is_empty() {
        value["notes"] = json!(known.notes);
    }
    (value, known)
}

/// One condition: its status, a reason in one word, and a message.
fn condition(kind: &str, look: &Look) -> (&'static str, &'static str, String) {
    let app = &look.status;
    let message = || app.message.clone();
    let truth = |holds| if holds { "True" } else { "False" };
    let healthy = matches!(app.health.as_str(), "healthy" | "suspended");
    let (synced, sync_reason) = match app.sync {
        Sync::Synced => ("True", "Synced"),
        Sync::Unknown => ("Unknown", "NotLookedAt"),
        Sync::Blocked => ("False", "WaitsForApproval"),
        Sync::Failed => ("False", "Failed"),
        Sync::OutOfSync => ("False", "OutOfSync"),
        Sync::Applying => ("False", "Applying"),
        // Nothing is called synced before it is healthy.
        Sync::Applied => ("False", "Applied"),
        Sync::Suspended => ("False", "Suspended"),
    };
    let stalled = matches!(app.sync, Sync::Failed | Sync::OutOfSync) || app.health == "degraded";
    let progressing = !stalled
        && look.suspended.is_none()
        && (matches!(app.sync, Sync::Applying | Sync::Unknown)
            || matches!(app.health.as_str(), "progressing" | "unknown" | "missing"));
    match kind {
        "Synced" => (synced, sync_reason, message()),
        "Healthy" => match app.health.as_str() {
            "healthy" => ("True", "Healthy", String::new()),
            "suspended" => ("True", "Suspended", message()),
            "unknown" => ("Unknown", "Unknown", message()),
            "degraded" => ("False", "Degraded", message()),
            "missing" => ("False", "Missing", message()),
            _ => ("False", "Progressing", message()),
        },
        "Progressing" => {
            let reason = if progressing {
                "Progressing"
            } else {
                "Settled"
            };
            (truth(progressing), reason, String::new())
        }
        "Stalled" => {
            let reason = match (stalled, app.health.as_str()) {
                (false, _) => "NotStalled",
                (true, "degraded") if app.sync != Sync::Failed => "Degraded",
                (true, _) => "Failed",
            };
            let message = if stalled { message() } else { String::new() };
            (truth(stalled), reason, message)
        }
        _ => match &look.suspended {
            Some(why) => ("False", "Suspended", why.clone()),
            None => {
                let ready = synced == "True" && healthy;
                let reason = match (ready, stalled) {
                    (true, _) => "Ready",
                    (false, true) => "Stalled",
                    (false, false) if app.sync == Sync::Blocked => "WaitsForApproval",
                    (false, false) => "Progressing",
                };
                (truth(ready), reason, message())
            }
        },
    }
}

/// What a change of an app is worth telling about. Nothing is told about an app that is seen for the first time and
/// is as it should be: it may have been so for months.
pub(crate) fn news(look: &Look, before: Option<&Known>, now: &Known) -> Vec<News> {
    let mut news = Vec::new();
    let app = &look.status;
    let mut tell = |reason, warning, note: String| {
        news.push(News {
            reason,
            warning,
            note: cut(&note),
        });
    };
    let first = Known::default();
    let was = before.unwrap_or(&first);
    let commit = short(&app.commit);
    let ready = now.is("Ready");
    let turned = |kind| now.is(kind) && !was.is(kind);
    if ready && before.is_some() && was.commit != now.commit {
        match &look.rollback {
            Some(to) => tell(
                "RolledBack",
                false,
                format!("back at {}, by {commit}", short(to)),
            ),
            None => tell("Deployed", false, format!("commit {commit} is deployed")),
        }
    } else if before.is_some() && turned("Ready") && was.is("Stalled") {
        tell("Healthy", false, "healthy again".to_owned());
    }
    if now.health == "degraded" && was.health != "degraded" {
        tell("Degraded", true, app.message.clone());
    }
    let failed = |sync: &str| matches!(sync, "failed" | "out-of-sync");
    if failed(now.sync) && !failed(was.sync) {
        tell("Failed", true, format!("commit {commit}: {}", app.message));
    }
    if now.sync == "blocked" && was.sync != "blocked" {
        tell("Held", true, app.message.clone());
    }
    if now.suspended != was.suspended {
        match &look.suspended {
            Some(why) => tell("Suspended", false, why.clone()),
            None => tell("Resumed", false, "writes go on".to_owned()),
        }
    }
    if let Some(commit) = &now.quarantined
        && was.quarantined != now.quarantined
    {
        let note = format!("commit {} is held back: it failed", short(commit));
        tell("Quarantined", true, note);
    }
    for note in &now.notes {
        if !was.notes.contains(note) {
            let fight = note.contains("fight");
            tell(if fight { "Fight" } else { "Note" }, fight, note.clone());
        }
    }
    news
}

/// What an object's status that somebody wrote earlier says.
pub(crate) fn read(status: &Value) -> Option<Known> {
    let text = |key: &str| {
        let found = status.get(key).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let mut conditions = [None; CONDITIONS.len()];
    for found in status.get("conditions")?.as_array()? {
        let at = CONDITIONS.iter().position(|kind| found["type"] == *kind);
        let status = ["True", "False", "Unknown"]
            .into_iter()
            .find(|status| found["status"] == *status);
        let since = found["lastTransitionTime"].as_str().unwrap_or_default();
        if let (Some(at), Some(status), Ok(since)) = (at, status, since.parse()) {
            conditions[at] = Some(Condition { status, since });
        }
    }
    let notes = status.get("notes").and_then(Value::as_array);
    let notes = notes.into_iter().flatten();
    Some(Known {
        conditions,
        sync: known_word(&SYNCS.map(|(_, word)| word), &text("sync")),
        health: known_word(&HEALTHS, &text("health")),
        commit: text("commit").into(),
        suspended: status["suspended"] == true,
        quarantined: Some(text("quarantinedCommit"))
            .filter(|text| !text.is_empty())
            .map(Into::into),
        notes: notes
            .filter_map(|note| note.as_str().map(str::to_owned))
            .collect(),
    })
}

/// The name of an app's object.
///
/// A name of the language may have an underscore, which no name of an object has: such a one is told apart by its digest.
pub(crate) fn name(env: &str, app: &str) -> String {
    let plain = format!("{env}.{app}");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if plain.chars().all(fits) {
        return plain;
    }
    let lower = plain.to_ascii_lowercase();
    let fitting = lower.replace(|c: char| !fits(c), "-");
    let digest = Digest::of(plain.as_bytes()).short();
    format!("{fitting}-{digest}")
}

/// States in the words of `ordain status`.
const SYNCS: [(Sync, &str); 8] = [
    (Sync::Unknown, "unknown"),
    (Sync::Applying, "applying"),
    (Sync::Applied, "applied"),
    (Sync::Synced, "synced"),
    (Sync::OutOfSync, "out-of-sync"),
    (Sync::Blocked, "blocked"),
    (Sync::Suspended, "suspended"),
    (Sync::Failed, "failed"),
];

/// The words of [`ordain_reconciler_plan::health::Status`].
const HEALTHS: [&str; 6] = [
    "healthy",
    "progressing",
    "degraded",
    "suspended",
    "missing",
    "unknown",
];

/// A state in the words of `ordain status`.
fn word(sync: Sync) -> &'static str {
    let mut words = SYNCS.into_iter();
    words
        .find(|(known, _)| *known == sync)
        .map_or("", |it| it.1)
}

/// One of some words, or the empty one.
fn known_word(words: &[&'static str], text: &str) -> &'static str {
    words.iter().find(|word| **word == text).unwrap_or(&"")
}

/// A time as conditions have it.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn lines(lines: &[String]) -> Box<[String]> {
    lines.iter().take(LINES_MAX).map(|line| cut(line)).collect()
}

fn cut(text: &str) -> String {
    words::cut(text, MESSAGE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(sync: Sync, health: &str, commit: &str) -> Look {
        Look {
            status: serde_json::from_value(json!({
                "name": "web", "env": "prod", "namespace": "shop", "commit": commit, "sync": sync,
                "health": health, "message": "why", "objects": [],
            }))
            .expect("a status"),
            cluster: "local".to_owned(),
            plan: Some("p".to_owned()),
            rollback: None,
            suspended: None,
            quarantined: None,
            handled: None,
        }
    }

    #[test]
    fn words_are_those_of_the_status() {
        for (sync, word) in SYNCS {
            assert_eq!(json!(sync), word);
        }
        use ordain_reconciler_plan::health::Status;
        let healths = [
            Status::Healthy,
            Status::Progressing,
            Status::Degraded,
            Status::Suspended,
            Status::Missing,
            Status::Unknown,
        ];
        assert_eq!(healths.map(|health| health.to_string()), HEALTHS);
    }

    /// Each step: what is known, and which conditions hold and which events are told then.
    #[test]
    fn conditions_and_events_follow_the_app() {
        let a = "a".repeat(40);
        let b = "b".repeat(40);
        let suspended = Look {
            suspended: Some("suspended by Ada".to_owned()),
            ..look(Sync::Synced, "healthy", &b)
        };
        let quarantined = Look {
            quarantined: Some(b.clone()),
            rollback: Some(a.clone()),
            ..look(Sync::Synced, "healthy", &"c".repeat(40))
        };
        let steps = [
            (look(Sync::Applying, "unknown", &a), "Progressing", ""),
            (look(Sync::Applied, "progressing", &a), "Progressing", ""),
            (
                look(Sync::Synced, "healthy", &a),
                "Ready Synced Healthy",
                "",
            ),
            (
                look(Sync::Synced, "healthy", &b),
                "Ready Synced Healthy",
                "Deployed",
            ),
            (look(Sync::Applied, "degraded", &b), "Stalled", "Degraded"),
            (
                look(Sync::Synced, "healthy", &b),
                "Ready Synced Healthy",
                "Healthy",
            ),
            (
                look(Sync::OutOfSync, "degraded", &b),
                "Stalled",
                "Degraded Failed",
            ),
            (look(Sync::Blocked, "healthy", &b), "Healthy", "Held"),
            (suspended, "Synced Healthy", "Suspended"),
            (
                look(Sync::Synced, "healthy", &b),
                "Ready Synced Healthy",
                "Resumed",
            ),
            (
                quarantined,
                "Ready Synced Healthy",
                "RolledBack Quarantined",
            ),
        ];
        let mut before: Option<Known> = None;
        for (number, (look, wanted, events)) in (1..).zip(steps) {
            let now = Timestamp::from_second(number).expect("a time");
            let old = before.clone().unwrap_or_default();
            let (value, known) = status(&look, &old, 3, now);
            let holds = CONDITIONS.into_iter().filter(|kind| known.is(kind));
            assert_eq!(holds.collect::<Vec<_>>().join(" "), wanted, "step {number}");
            let told = news(&look, before.as_ref(), &known);
            let told: Vec<_> = told.iter().map(|news| news.reason).collect();
            assert_eq!(told.join(" "), events, "step {number}");
            for (kind, (old, new)) in CONDITIONS
                .into_iter()
                .zip(old.conditions.into_iter().zip(known.conditions))
            {
                let new = new.expect("every condition is said");
                let same = old.is_some_and(|old| old.status == new.status);
                assert_eq!(new.since == now, !same, "{kind} in step {number}");
            }
            assert_eq!(
                read(&value).as_ref(),
                Some(&known),
                "what is written is read back"
            );
            before = Some(known);
        }
    }
}
