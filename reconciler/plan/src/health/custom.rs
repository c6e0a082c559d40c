//! Custom kinds, by the conditions that most controllers agree on. Rules per kind come as data later.

use serde_json::Value;

use super::{Health, Status, condition, text};

/// Conditions that mean "done" when they are true, in the order in which they are believed.
const GOOD: [&str; 6] = [
    "Ready",
    "Available",
    "Healthy",
    "Succeeded",
    "Complete",
    "Established",
];

/// Conditions that mean "failed" when they are true.
const BAD: [&str; 4] = ["Stalled", "Failed", "Degraded", "Error"];

/// Conditions that mean "not yet" when they are true.
const BUSY: [&str; 2] = ["Reconciling", "Progressing"];

/// Words in a reason or message which say that waiting will not help.
const FAILURE_WORDS: [&str; 8] = [
    "fail",
    "error",
    "invalid",
    "denied",
    "notfound",
    "not found",
    "unauthorized",
    "forbidden",
];

pub(super) fn by_conditions(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true)
        || object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true)
    {
        return Health::new(Status::Suspended, "suspended");
    }
    for kind in BAD {
        if let Some(bad) = condition(object, kind).filter(|bad| bad.is_true()) {
            return Health::degraded(bad.text());
        }
    }
    for kind in GOOD {
        let Some(good) = condition(object, kind) else {
            continue;
        };
        if good.is_true() {
            return Health::healthy();
        }
        let words = good.text().to_lowercase();
        let failed = good.is_false() && FAILURE_WORDS.iter().any(|word| words.contains(word));
        let status = if failed {
            Status::Degraded
        } else {
            Status::Progressing
        };
        return Health::new(status, good.text());
    }
    for kind in BUSY {
        if let Some(busy) = condition(object, kind).filter(|busy| busy.is_true()) {
            return Health::progressing(busy.text());
        }
    }
    if object.get("status").is_none() && object.pointer("/metadata/generation").is_none() {
        // Nothing has looked at it yet, or it has no controller: existing is all it does.
        return Health::healthy();
    }
    by_phase(object)
}

/// Older controllers say one word in `status.phase` or `status.state` instead of conditions.
fn by_phase(object: &Value) -> Health {
    let words = [
        "/status/phase",
        "/status/state",
        "/status/health",
        "/status/status",
    ];
    let word = words
        .into_iter()
        .map(|pointer| text(object, pointer))
        .find(|word| !word.is_empty());
    let Some(word) = word else {
        return Health::healthy();
    };
    let lower = word.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if any(&["fail", "error", "degraded", "unhealthy", "invalid"]) {
        let message = text(object, "/status/message");
        Health::degraded(if message.is_empty() { word } else { message })
    } else if any(&[
        "pending",
        "progress",
        "creating",
        "provision",
        "initial",
        "deleting",
        "updating",
    ]) {
        Health::progressing(word)
    } else if any(&["suspend", "paused"]) {
        Health::new(Status::Suspended, word)
    } else {
        Health::healthy()
    }
}
