//! What a rule says of an object: its steps in turn, within a budget, and never a panic.

use std::sync::Arc;

use ordain_cel::{EvalError, Program, Value};
use serde_json::Value as Json;

use super::{
    Health, Status,
    condition::{Condition, conditions},
    custom,
    rules::{Rule, VARIABLES},
};

/// Steps of work that one object's rule may take: some milliseconds. The shipped rules need a few hundred, over lists of
/// a thousand entries some ten thousand. A rule that needs more says nothing: unknown.
const COST_MAX: u64 = 200_000;

impl Rule {
    /// Judges an object. `None` when no step is true.
    pub(super) fn judge(&self, object: &Json) -> Option<Health> {
        if self.needs_status && !has_status(object) {
            return Some(Health::progressing("not observed yet"));
        }
        let mut budget = COST_MAX;
        match self.first(object, &mut budget) {
            Ok(found) => found,
            Err((place, error)) => {
                let message = format!("the rule `{}` fails at {place}: {error}", self.name());
                Some(Health::new(Status::Unknown, message))
            }
        }
    }

    fn first(
        &self,
        object: &Json,
        budget: &mut u64,
    ) -> Result<Option<Health>, (String, EvalError)> {
        let mut values = self.values(object);
        for (name, program) in &self.lets {
            let value = program.eval(&values, budget);
            let value = value.map_err(|error| (format!("`let.{name}`"), error))?;
            values.push((name, value));
        }
        for (at, step) in self.steps.iter().enumerate() {
            let place = || format!("`steps[{at}].{}`", step.status);
            match step.when.eval(&values, budget) {
                Ok(Value::Bool(false)) => {}
                Ok(Value::Bool(true)) => {
                    let own = step.message.as_ref();
                    let message = own.map(|message| text(message, &values, budget));
                    let message = match message.unwrap_or_default() {
                        empty if empty.is_empty() && step.status != Status::Healthy => {
                            custom::words(object, step.status)
                        }
                        message => message,
                    };
                    return Ok(Some(Health::new(step.status, message)));
                }
                Ok(other) => {
                    let found = format!("expected bool, found {}", other.type_name());
                    return Err((place(), EvalError::Failed(found)));
                }
                Err(error) => return Err((place(), error)),
            }
        }
        Ok(None)
    }

    /// The values that its expressions use.
    fn values(&self, object: &Json) -> Vec<(&str, Value)> {
        let used = VARIABLES.into_iter().filter(|name| self.uses(name));
        used.map(|name| (name, variable(name, object))).collect()
    }
}

fn has_status(object: &Json) -> bool {
    let status = object.get("status").and_then(Json::as_object);
    status.is_some_and(|fields| !fields.is_empty())
}

/// A message that cannot be made is no reason to doubt the status it belongs to.
fn text(program: &Program, values: &[(&str, Value)], budget: &mut u64) -> String {
    match program.eval(values, budget) {
        Ok(Value::String(text)) => text.trim().to_owned(),
        Ok(Value::Null | Value::Optional(None)) => String::new(),
        Ok(other) => format!("(its message is no string but {})", other.type_name()),
        Err(error) => format!("(its message cannot be made: {error})"),
    }
}

fn variable(name: &str, object: &Json) -> Value {
    let with_status = |wanted: &str| {
        let found = conditions(object).filter(|(_, condition)| {
            let stale = condition.is_stale(object);
            match wanted {
                "" => stale || !(condition.is_true() || condition.is_false()),
                wanted => !stale && condition.status == wanted,
            }
        });
        Value::list(found.map(|(kind, _)| Value::string(kind)))
    };
    match name {
        "self" => value(object),
        "conditions" => by_type(object),
        "isTrue" => with_status("True"),
        "isFalse" => with_status("False"),
        "isUnknown" => with_status(""),
        part => object
            .get(part)
            .filter(|part| part.is_object())
            .map_or_else(|| Value::map([]), value),
    }
}

/// JSON as a value. A field that is null counts as left out, as it does for the API server.
fn value(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(value)),
        Json::Object(fields) => {
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            Value::map(fields.map(|(name, field)| (Arc::from(name.as_str()), value(field))))
        }
        scalar => Value::from_json(scalar),
    }
}

/// The conditions by their types, each with `status`, `reason`, `message` and `text`. Of several of one type
/// the first counts.
fn by_type(object: &Json) -> Value {
    let mut found: Vec<_> = conditions(object).collect();
    // The last one stays in a map.
    found.reverse();
    Value::map(
        found
            .into_iter()
            .map(|(kind, condition)| (Arc::from(kind), fields(kind, &condition, object))),
    )
}

fn fields(kind: &str, condition: &Condition<'_>, object: &Json) -> Value {
    let text = condition.text();
    let stale = format!("{kind} is of an older generation");
    let fields = if condition.is_stale(object) {
        [
            ("status", "Unknown"),
            ("reason", ""),
            ("message", &stale),
            ("text", &stale),
        ]
    } else {
        [
            ("status", condition.status),
            ("reason", condition.reason),
            ("message", condition.message),
            ("text", &text),
        ]
    };
    Value::map(fields.map(|(name, text)| (Arc::from(name), Value::string(text))))
}
