//! What an `App` object says: conditions and fields from what the engine knows, and the events between two of them.
//! Pure; it knows no API server and no clock.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{AppStatus, Sync};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) status: &'static str,
    pub(crate) since: String,
}

/// What is remembered of an app that was written: enough to see a difference and to tell what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) conditions: BTreeMap<&'static str, Condition>,
    pub(crate) sync: String,
    pub(crate) health: String,
    pub(crate) commit: String,
    pub(crate) suspended: bool,
    pub(crate) quarantined: Option<String>,
    pub(crate) notes: Vec<String>,
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
pub(crate) fn status(look: &Look, before: &Known, generation: i64, now: &str) -> (Value, Known) {
    let app = &look.status;
    let sync = word(app.sync);
    let mut conditions = Vec::new();
    let mut known = Known {
        conditions: BTreeMap::new(),
        sync: sync.clone(),
        health: app.health.clone(),
        commit: app.commit.clone(),
        suspended: look.suspended.is_some(),
        quarantined: look.quarantined.clone(),
        notes: lines(&app.notes),
    };
    for kind in CONDITIONS {
        let (status, reason, message) = condition(kind, look);
        let since = match before.conditions.get(kind) {
            Some(old) if old.status == status => old.since.clone(),
            _ => now.to_owned(),
        };
        conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": cut(&message),
            "lastTransitionTime": since, "observedGeneration": generation,
        }));
        known.conditions.insert(kind, Condition { status, since });
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
        value["notes"] = known.notes.clone().into();
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
    let is = |known: &Known, kind: &str| {
        let found = known.conditions.get(kind);
        found.is_some_and(|condition| condition.status == "True")
    };
    let first = Known::default();
    let was = before.unwrap_or(&first);
    let commit = short(&app.commit);
    let ready = is(now, "Ready");
    let turned = |kind| is(now, kind) && !is(was, kind);
    if ready && before.is_some() && was.commit != now.commit {
        match &look.rollback {
            Some(to) => tell(
                "RolledBack",
                false,
                format!("back at {}, by {commit}", short(to)),
            ),
            None => tell("Deployed", false, format!("commit {commit} is deployed")),
        }
    } else if before.is_some() && turned("Ready") && is(was, "Stalled") {
        tell("Healthy", false, "healthy again".to_owned());
    }
    if now.health == "degraded" && was.health != "degraded" {
        tell("Degraded", true, app.message.clone());
    }
    let failed = |sync: &str| matches!(sync, "failed" | "out-of-sync");
    if failed(&now.sync) && !failed(&was.sync) {
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
    let mut conditions = BTreeMap::new();
    for found in status.get("conditions")?.as_array()? {
        let kind = CONDITIONS.into_iter().find(|kind| found["type"] == *kind);
        let status = ["True", "False", "Unknown"]
            .into_iter()
            .find(|status| found["status"] == *status);
        if let (Some(kind), Some(status)) = (kind, status) {
            let since = found["lastTransitionTime"].as_str().unwrap_or_default();
            let since = since.to_owned();
            conditions.insert(kind, Condition { status, since });
        }
    }
    let notes = status.get("notes").and_then(Value::as_array);
    let notes = notes.into_iter().flatten();
    Some(Known {
        conditions,
        sync: text("sync"),
        health: text("health"),
        commit: text("commit"),
        suspended: status["suspended"] == true,
        quarantined: Some(text("quarantinedCommit")).filter(|text| !text.is_empty()),
        notes: notes
            .filter_map(|note| note.as_str().map(str::to_owned))
            .collect(),
    })
}

/// The name of an app's object.
///
/// Names of apps and environments are DNS labels as the language has them, and a label has no dot.
pub(crate) fn name(env: &str, app: &str) -> String {
    format!("{env}.{app}")
}

/// A state in the words of `ordain status`.
pub(crate) fn word(sync: Sync) -> String {
    let word = serde_json::to_value(sync).ok();
    let word = word.and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_default()
}

fn lines(lines: &[String]) -> Vec<String> {
    lines.iter().take(LINES_MAX).map(|line| cut(line)).collect()
}

/// A commit in ten digits.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
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
        for (number, (look, wanted, events)) in steps.into_iter().enumerate() {
            let now = format!("time {number}");
            let old = before.clone().unwrap_or_default();
            let (value, known) = status(&look, &old, 3, &now);
            let holds = CONDITIONS
                .into_iter()
                .filter(|kind| known.conditions[kind].status == "True");
            assert_eq!(holds.collect::<Vec<_>>().join(" "), wanted, "step {number}");
            let told = news(&look, before.as_ref(), &known);
            let told: Vec<_> = told.iter().map(|news| news.reason).collect();
            assert_eq!(told.join(" "), events, "step {number}");
            for kind in CONDITIONS {
                let same = old.conditions.get(kind).map(|old| old.status)
                    == Some(known.conditions[kind].status);
                assert_eq!(
                    known.conditions[kind].since == now,
                    !same,
                    "{kind} in step {number}"
                );
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
