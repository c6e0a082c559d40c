//! Custom kinds without a rule, by the conditions and words that most controllers agree on.
//!
//! A controller that says nothing we know is believed to have nothing to say: existing is all that its objects
//! do (kstatus `generic.go`). Guessing the opposite would block every deploy with such an object for ever.

use serde_json::Value;

use super::{
    Health, Status,
    condition::{Condition, condition, conditions},
    text,
};

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
const BAD: [&str; 7] = [
    "Stalled",
    "Failed",
    "Failure",
    "Degraded",
    "Error",
    "Invalid",
    "InvalidSpec",
];

/// Conditions that mean "not yet" when they are true, whatever the good ones still say of the time before
/// (kstatus: `Reconciling`).
const BUSY_FIRST: [&str; 1] = ["Reconciling"];

/// Conditions that mean "not yet" when they are true and no good one is there.
const BUSY: [&str; 1] = ["Progressing"];

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
    if let Some((kind, bad)) = failure(object) {
        return Health::degraded(said(kind, &bad));
    }
    for kind in BUSY_FIRST {
        // Flux retries with `Ready` false; then that one tells more.
        let failed = condition(object, "Ready").is_some_and(|ready| ready.is_false());
        if let Some(busy) = current(object, kind).filter(|busy| busy.is_true() && !failed) {
            return Health::progressing(said(kind, &busy));
        }
    }
    for kind in GOOD {
        let Some(good) = condition(object, kind) else {
            continue;
        };
        if good.is_stale(object) {
            return Health::progressing(format!("{kind} is of an older generation"));
        }
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
        return Health::new(status, said(kind, &good));
    }
    for kind in BUSY {
        if let Some(busy) = current(object, kind).filter(|busy| busy.is_true()) {
            return Health::progressing(said(kind, &busy));
        }
    }
    by_phase(object)
}

/// What a person is told about an object that is not healthy when its rule has no words of its own: the
/// condition that says most, or the words that older controllers write into the status. Never empty.
pub(super) fn words(object: &Value, status: Status) -> String {
    if let Some((kind, bad)) = failure(object) {
        return said(kind, &bad);
    }
    let known = GOOD.into_iter().find_map(|kind| {
        let good = current(object, kind).filter(|good| !good.is_true())?;
        Some(said(kind, &good))
    });
    let other = || {
        let mut all = conditions(object);
        let (kind, found) = all.find(|(_, found)| found.is_false() && !found.is_stale(object))?;
        Some(said(kind, &found))
    };
    let message = || {
        let pointers = ["/status/message", "/status/reason", "/status/error"];
        let mut found = pointers.into_iter().map(|pointer| text(object, pointer));
        found.find(|text| !text.is_empty()).map(str::to_owned)
    };
    known
        .or_else(message)
        .or_else(other)
        .or_else(|| Some(phase(object).to_owned()).filter(|word| !word.is_empty()))
        .unwrap_or_else(|| {
            match status {
                Status::Healthy => "",
                Status::Suspended => "suspended",
                Status::Progressing => "not ready yet",
                Status::Missing => "does not exist",
                Status::Degraded => "failed, and its status does not say why",
                Status::Unknown => "its status says nothing that is known",
            }
            .to_owned()
        })
}

/// The condition's own words, or its name when it has none.
fn said(kind: &str, condition: &Condition<'_>) -> String {
    match condition.text() {
        empty if empty.is_empty() => {
            format!("{kind} is {}", condition.status.to_lowercase())
        }
        text => text,
    }
}

fn current<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    condition(object, kind).filter(|condition| !condition.is_stale(object))
}

fn failure(object: &Value) -> Option<(&'static str, Condition<'_>)> {
    let bad = |kind| {
        let bad = current(object, kind).filter(Condition::is_true)?;
        Some((kind, bad))
    };
    // The same words as a Deployment's (Kubernetes `pkg/controller/deployment/util`).
    let late = || {
        let progress = current(object, "Progressing")?;
        let late = progress.is_false() && progress.reason == "ProgressDeadlineExceeded";
        late.then_some(("Progressing", progress))
    };
    BAD.into_iter().find_map(bad).or_else(late)
}

/// The one word in which older controllers say how it is.
fn phase(object: &Value) -> &str {
    let pointers = [
        "/status/phase",
        "/status/state",
        "/status/health",
        "/status/status",
    ];
    let mut found = pointers.into_iter().map(|pointer| text(object, pointer));
    found.find(|word| !word.is_empty()).unwrap_or_default()
}

fn by_phase(object: &Value) -> Health {
    let word = phase(object);
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
