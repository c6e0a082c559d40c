//! `status.conditions`, as every kind has them: a list of types that are true, false or unknown.

use serde_json::Value;

/// A condition of `status.conditions`.
pub(crate) struct Condition<'a> {
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// The generation it is about, when it says so.
    observed: Option<i64>,
}

impl<'a> Condition<'a> {
    /// Reads one; what is missing is empty.
    pub(crate) fn read(condition: &'a Value) -> Self {
        let text = |key: &str| {
            condition
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let status = match condition.get("status") {
            // Some controllers write a boolean.
            Some(Value::Bool(true)) => "True",
            Some(Value::Bool(false)) => "False",
            _ => text("status"),
        };
        Self {
            status,
            reason: text("reason"),
            message: text("message"),
            observed: condition.get("observedGeneration").and_then(Value::as_i64),
        }
    }

    /// `reason: message`, or the half that is there.
    pub(crate) fn text(&self) -> String {
        match (self.reason, self.message.trim()) {
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) if reason == message => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(crate) fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// True when it is about an older generation of the object: then it says nothing about this one.
    pub(crate) fn is_stale(&self, object: &Value) -> bool {
        let generation = object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64);
        matches!((self.observed, generation), (Some(observed), Some(generation)) if observed < generation)
    }
}

/// All conditions with their types, in the order in which they are written.
pub(crate) fn conditions(object: &Value) -> impl Iterator<Item = (&str, Condition<'_>)> {
    let list = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|condition| {
        let kind = condition.get("type").and_then(Value::as_str)?;
        Some((kind, Condition::read(condition)))
    })
}

/// The first condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    conditions(object)
        .find(|(found, _)| *found == kind)
        .map(|(_, condition)| condition)
}
