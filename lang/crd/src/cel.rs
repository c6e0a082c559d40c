//! CEL rules of a schema, evaluated on a finished object at the node they belong to.
//!
//! What `self` is follows the schema: numbers, times and durations are made of JSON by its types
//! (apiextensions-apiserver/pkg/apiserver/schema/cel/values.go in k8s.io/apiserver/pkg/cel/common).

use std::sync::Arc;

use ordain_cel::{EvalError, Value};
use serde_json::Value as Json;

use crate::schema::{Additional, Rule, Schema, Type};
use crate::validate::{Step, Violation};

/// The work that one rule may do on one value: Kubernetes' own limit for a call
/// (k8s.io/apiserver/pkg/apis/cel/config.go, PerCallLimit).
pub const RULE_COST_LIMIT: u64 = 1_000_000;
/// The work that all rules may do on one object (RuntimeCELCostBudget there).
pub const OBJECT_COST_LIMIT: u64 = 10_000_000;

/// The CEL rules that an object breaks.
pub(crate) fn rules(schema: &Schema, object: &Json) -> Vec<Violation> {
    let mut check = Check {
        path: Vec::new(),
        found: Vec::new(),
        left: OBJECT_COST_LIMIT,
    };
    check.value(schema, object);
    check.found
}

/// Whether a schema has CEL rules anywhere.
pub(crate) fn has_rules(schema: &Schema) -> bool {
    !schema.rules.is_empty()
        || schema.properties.iter().any(|p| has_rules(&p.schema))
        || schema.items.as_deref().is_some_and(has_rules)
        || matches!(&schema.additional, Some(Additional::Schema(inner)) if has_rules(inner))
}

struct Check {
    path: Vec<Step>,
    found: Vec<Violation>,
    left: u64,
}

impl Check {
    fn value(&mut self, schema: &Schema, value: &Json) {
        if !schema.rules.is_empty() && !value.is_null() {
            let this = to_cel(schema, value);
            for rule in &schema.rules {
                self.rule(rule, &this);
            }
        }
        match value {
            Json::Object(fields) => {
                for (name, field) in fields {
                    let inner = match (schema.property(name), &schema.additional) {
                        (Some(property), _) => &property.schema,
                        (None, Some(Additional::Schema(inner))) => inner,
                        _ => continue,
                    };
                    self.path.push(Step::Field(name.as_str().into()));
                    self.value(inner, field);
                    self.path.pop();
                }
            }
            Json::Array(items) => {
                let Some(inner) = &schema.items else { return };
                for (at, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(at));
                    self.value(inner, item);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    fn rule(&mut self, rule: &Rule, this: &Value) {
        let Some(program) = &rule.program else { return };
        if rule.is_transition() {
            return;
        }
        if self.left == 0 {
            return;
        }
        let given = RULE_COST_LIMIT.min(self.left);
        let mut budget = given;
        let variables = [("self", this.clone()), ("oldSelf", Value::Optional(None))];
        let result = program.eval(&variables, &mut budget);
        self.left -= given - budget;
        match result {
            Ok(Value::Bool(true)) => {}
            Ok(Value::Bool(false)) => {
                let message = self.message(rule, &variables);
                let notes = readings(program, &variables);
                let mut path = self.path.clone();
                path.extend(rule.field_path.as_deref().map(steps).unwrap_or_default());
                self.tell("E0861", rule, path, message, notes);
            }
            Ok(other) => {
                let message = format!(
                    "a rule gives {} instead of true or false",
                    other.type_name()
                );
                self.tell("E0862", rule, self.path.clone(), message, Vec::new());
            }
            Err(EvalError::Budget) => {
                let all = given < RULE_COST_LIMIT;
                let message = match all {
                    true => format!("its rules cost more than {OBJECT_COST_LIMIT} steps together"),
                    false => format!("a rule costs more than {RULE_COST_LIMIT} steps"),
                };
                let note =
                    "the API server refuses the object as well: bound its lists, or the rule"
                        .to_owned();
                self.tell("E0862", rule, self.path.clone(), message, vec![note]);
            }
            Err(EvalError::Failed(why)) => {
                let message = format!("a rule cannot be evaluated: {why}");
                let note = "the API server refuses the object then".to_owned();
                self.tell("E0862", rule, self.path.clone(), message, vec![note]);
            }
        }
    }

    /// What the rule says to an object that breaks it.
    fn message(&mut self, rule: &Rule, variables: &[(&str, Value)]) -> String {
        if let Some((_, expression)) = &rule.message_expression {
            let given = RULE_COST_LIMIT.min(self.left);
            let mut budget = given;
            let made = expression.eval(variables, &mut budget);
            self.left -= given - budget;
            // What fails, is empty or has several lines gives way to the message, as in the API server.
            if let Ok(Value::String(text)) = made
                && !text.trim().is_empty()
                && !text.contains(['\n', '\r'])
            {
                return text.to_string();
            }
        }
        match &rule.message {
            Some(message) => message.trim().to_owned(),
            None => format!("must satisfy {}", rule.text.trim()),
        }
    }

    fn tell(
        &mut self,
        code: &'static str,
        rule: &Rule,
        path: Vec<Step>,
        message: String,
        notes: Vec<String>,
    ) {
        self.found.push(Violation {
            code,
            path,
            message,
            rule: rule.place,
            label: "this rule".into(),
            notes,
        });
    }
}

/// What the rule reads, in one line: `self.min is 5, self.max is 4`.
fn readings(program: &ordain_cel::Program, variables: &[(&str, Value)]) -> Vec<String> {
    /// Longer texts explain nothing.
    const LONGEST: usize = 60;
    let mut budget = RULE_COST_LIMIT;
    let read = program.readings(variables, &mut budget);
    let shown: Vec<String> = read
        .into_iter()
        .map(|(text, value)| (text, format!("{value:?}")))
        .filter(|(_, value)| value.len() <= LONGEST)
        .map(|(text, value)| format!("{text} is {value}"))
        .collect();
    match shown.is_empty() {
        true => Vec::new(),
        false => vec![shown.join(", ")],
    }
}

/// `.spec['a.b'].list[0]` as steps.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            let key = inner[..end].trim_matches(['\'', '"']);
            steps.push(match key.parse() {
                Ok(at) => Step::Index(at),
                Err(_) => Step::Field(key.into()),
            });
            rest = inner.get(end + 1..).unwrap_or("");
        } else {
            let inner = rest.strip_prefix('.').unwrap_or(rest);
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            if end > 0 {
                steps.push(Step::Field(inner[..end].into()));
            } else if !inner.starts_with('[') {
                break;
            }
            rest = &inner[end..];
        }
    }
    steps
}

/// A value as CEL sees it.
fn to_cel(schema: &Schema, value: &Json) -> Value {
    match value {
        Json::Number(number) if schema.type_of() == Some(Type::Number) => {
            Value::Double(number.as_f64().unwrap_or(0.0))
        }
        Json::Number(number) if schema.type_of() == Some(Type::Integer) => match number.as_i64() {
            Some(n) => Value::Int(n),
            None => Value::Int(number.as_f64().unwrap_or(0.0) as i64),
        },
        Json::String(text) => {
            let format = schema.format.as_ref().map(|f| &*f.value);
            let made = match format.filter(|_| schema.type_of() == Some(Type::String)) {
                Some("date-time" | "datetime") => ordain_cel::timestamp(text).map(Value::Timestamp),
                Some("date") => {
                    ordain_cel::timestamp(&format!("{text}T00:00:00Z")).map(Value::Timestamp)
                }
                Some("duration") => ordain_cel::duration(text).map(Value::Duration),
                Some("byte") => ordain_cel::base64(text).map(Value::bytes),
                _ => None,
            };
            made.unwrap_or_else(|| Value::string(text))
        }
        Json::Array(items) => match &schema.items {
            Some(inner) => Value::list(items.iter().map(|item| to_cel(inner, item))),
            None => Value::from_json(value),
        },
        Json::Object(fields) => {
            let entries = fields.iter().map(|(name, field)| {
                let inner = match (schema.property(name), &schema.additional) {
                    (Some(property), _) => to_cel(&property.schema, field),
                    (None, Some(Additional::Schema(inner))) => to_cel(inner, field),
                    _ => Value::from_json(field),
                };
                // Only declared names are identifiers, and only those are escaped.
                let name: Arc<str> = match schema.property(name) {
                    Some(_) => ordain_cel::escape(name).into(),
                    None => name.as_str().into(),
                };
                (name, inner)
            });
            Value::map(entries)
        }
        other => Value::from_json(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_paths() {
        let shown: Vec<String> = steps(".spec['a.b'].list[0]")
            .iter()
            .map(Step::to_string)
            .collect();
        assert_eq!(shown, ["spec", "a.b", "list", "0"]);
        assert!(steps("..").is_empty());
    }
}
