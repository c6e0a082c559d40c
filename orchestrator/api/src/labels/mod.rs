//! Label selectors: their text form, and the `LabelSelector` object. It does not know where the
//! labels of an object come from.
//!
//! Grammar and wording: k8s.io/apimachinery/pkg/labels.

mod parse;

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};

use crate::{
    invalid::{FieldError, FieldErrorKind},
    names,
    status::Status,
};

/// How a requirement relates a key to its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `key=value`
    Equals,
    /// `key!=value`; also matches when the key is absent.
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`; also matches when the key is absent.
    NotIn,
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key>1`, both as integers.
    GreaterThan,
    /// `key<1`, both as integers.
    LessThan,
}

/// One condition of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label key.
    pub key: String,
    /// How key and values relate.
    pub operator: Operator,
    /// The values, sorted, without repetition.
    pub values: Vec<String>,
}

impl Requirement {
    /// Returns the requirement if its parts fit together.
    ///
    /// # Errors
    /// When the key or a value is malformed, or the operator has the wrong number of values.
    pub fn new(
        key: &str,
        operator: Operator,
        mut values: Vec<String>,
    ) -> Result<Requirement, SelectorError> {
        values.sort();
        values.dedup();
        let mut errors = Vec::new();
        let key_errors = names::qualified_name(key);
        if !key_errors.is_empty() {
            errors.push(FieldError::invalid("key", key, key_errors.join("; ")));
        }
        let wrong = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::NotEquals if values.len() != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            // Upstream prints the Go form of the list: []string{"a"}.
            let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            let detail = format!("[]string{{{}}}: {wrong}", quoted.join(", "));
            errors.push(FieldError::new(
                FieldErrorKind::Invalid,
                "values",
                None,
                detail,
            ));
        }
        for (at, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan)
                && value.parse::<i64>().is_err()
            {
                let wrong = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.push(FieldError::invalid(
                    format!("values[{at}]"),
                    value.as_str(),
                    wrong,
                ));
            }
            let value_errors = names::label_value(value);
            if !value_errors.is_empty() {
                let field = format!("values[{at}][{key}]");
                errors.push(FieldError::invalid(
                    field,
                    value.as_str(),
                    value_errors.join("; "),
                ));
            }
        }
        if errors.is_empty() {
            Ok(Requirement {
                key: key.to_owned(),
                operator,
                values,
            })
        } else {
            let texts: Vec<String> = errors.iter().map(FieldError::to_string).collect();
            Err(SelectorError(match texts.as_slice() {
                [text] => text.clone(),
                texts => format!("[{}]", texts.join(", ")),
            }))
        }
    }

    /// Tells whether the value of the key, `None` when it is absent, satisfies the requirement.
    pub fn admits(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|known| known == value);
        match self.operator {
            Operator::Equals | Operator::In => value.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let number = |text: &str| text.parse::<i64>().ok();
                let bound = self.values.first().and_then(|bound| number(bound));
                match (value.and_then(number), bound) {
                    (Some(value), Some(bound)) if self.operator == Operator::GreaterThan => {
                        value > bound
                    }
                    (Some(value), Some(bound)) => value < bound,
                    _ => false,
                }
            }
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.join(",");
        match self.operator {
            Operator::Equals => write!(f, "{}={values}", self.key),
            Operator::NotEquals => write!(f, "{}!={values}", self.key),
            Operator::In => write!(f, "{} in ({values})", self.key),
            Operator::NotIn => write!(f, "{} notin ({values})", self.key),
            Operator::Exists => write!(f, "{}", self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
            Operator::GreaterThan => write!(f, "{}>{values}", self.key),
            Operator::LessThan => write!(f, "{}<{values}", self.key),
        }
    }
}

/// All requirements that the labels of an object must satisfy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Sorted by key.
    pub requirements: Vec<Requirement>,
    /// Matches no object whatever its labels: the selector of a missing `LabelSelector`.
    pub nothing: bool,
}

impl LabelSelector {
    /// Returns the selector that matches every object.
    pub fn everything() -> LabelSelector {
        LabelSelector::default()
    }

    /// Returns the selector that matches no object.
    pub fn nothing() -> LabelSelector {
        LabelSelector {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Reads the text form: `app=web,tier in (a,b),!legacy`.
    ///
    /// # Errors
    /// In upstream's words, for the message of a 400.
    pub fn parse(text: &str) -> Result<LabelSelector, SelectorError> {
        let mut requirements = parse::requirements(text)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector {
            requirements,
            nothing: false,
        })
    }

    /// Reads a `LabelSelector` object; `null` matches nothing, an empty one everything.
    ///
    /// # Errors
    /// When an operator is unknown or a requirement malformed.
    pub fn from_object(selector: &Value) -> Result<LabelSelector, SelectorError> {
        if selector.is_null() {
            return Ok(LabelSelector::nothing());
        }
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            requirements.push(Requirement::new(key, Operator::Equals, values)?);
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let text = format!("{other:?} is not a valid label selector operator");
                    return Err(SelectorError(text));
                }
            };
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let key = expression["key"].as_str().unwrap_or_default();
            requirements.push(Requirement::new(key, operator, values)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector {
            requirements,
            nothing: false,
        })
    }

    /// Returns the selector that asks for exactly these labels, as in a Service's `spec.selector`.
    pub fn from_map(labels: &Map<String, Value>) -> LabelSelector {
        let requirement = |(key, value): (&String, &Value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        };
        let mut requirements: Vec<Requirement> = labels.iter().map(requirement).collect();
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        LabelSelector {
            requirements,
            nothing: false,
        }
    }

    /// Tells whether every object matches.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Tells whether labels, looked up by key, match.
    pub fn matches_with<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.admits(label(&r.key)))
    }

    /// Tells whether the labels of a JSON map match.
    pub fn matches(&self, labels: &Map<String, Value>) -> bool {
        self.matches_with(|key| labels.get(key).and_then(Value::as_str))
    }

    /// Tells whether an object's `metadata.labels` match.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches_with(|key| object["metadata"]["labels"][key].as_str())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        LabelSelector::parse(text)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

/// A label or field selector that cannot be read; the text is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

impl From<SelectorError> for Status {
    fn from(error: SelectorError) -> Status {
        Status::bad_request(error.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(selector: &str, labels: &Value, expect: bool) {
        let selector = LabelSelector::parse(selector).expect("the selector is well formed");
        let labels = labels.as_object().expect("labels are a map");
        assert_eq!(selector.matches(labels), expect, "{selector} on {labels:?}");
    }

    fn error(selector: &str) -> String {
        LabelSelector::parse(selector)
            .expect_err("the selector is malformed")
            .to_string()
    }

    #[test]
    fn selectors_match_labels() {
        let labels = json!({"app": "web", "tier": "front", "n": "5", "empty": ""});
        for selector in [
            "",
            "app=web",
            "app==web",
            "app = web , tier=front",
            "app in (web,db)",
            "app!=db",
            "tier notin (back)",
            "app",
            "!legacy",
            "missing!=x",
            "missing notin (a)",
            "n>4",
            "n<6",
            "empty=",
            "empty in ()",
            "empty in (,a)",
            "in!=x",
            "notin notin (in)",
        ] {
            check(selector, &labels, true);
        }
        for selector in [
            "app=db",
            "app in (a,b)",
            "app!=web",
            "!app",
            "legacy",
            "missing=x",
            "n>5",
            "app>1",
            "tier in (front),app=db",
        ] {
            check(selector, &labels, false);
        }
    }

    #[test]
    fn the_text_form_is_canonical() {
        let shown = |text: &str| LabelSelector::parse(text).expect("well formed").to_string();
        assert_eq!(
            shown("z in (b,a,b) , !y,x==1, w != 2"),
            "w!=2,x=1,!y,z in (a,b)"
        );
    }

    #[test]
    fn malformed_selectors_say_where() {
        assert_eq!(error("a=b,"), "found '', expected: identifier after ','");
        assert_eq!(
            error(",a"),
            "found ',', expected: !, identifier, or 'end of string'"
        );
        assert_eq!(
            error("a b"),
            "unable to parse requirement: found 'b', expected: =, ==, !=, in, notin, >, <"
        );
        assert_eq!(
            error("a in b"),
            "unable to parse requirement: found 'b' expected: '('"
        );
        assert_eq!(
            error("a in (b"),
            "unable to parse requirement: found '', expected: ',' or ')'"
        );
        assert_eq!(
            error("a=b c"),
            "found 'c', expected: ',' or 'end of string'"
        );
        assert!(error("a=b/c").starts_with(
            "unable to parse requirement: values[0][a]: Invalid value: \"b/c\": a valid label must be"
        ));
        assert!(error("-a").starts_with(
            "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist"
        ));
    }

    #[test]
    fn objects_are_selectors_too() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        let selector = LabelSelector::from_object(&selector).expect("well formed");
        assert_eq!(selector.to_string(), "app=web,!old,tier in (a,b)");
        assert!(
            LabelSelector::from_object(&Value::Null)
                .expect("null")
                .nothing
        );
        assert!(
            LabelSelector::from_object(&json!({}))
                .expect("empty")
                .is_everything()
        );
        let wrong = json!({"matchExpressions": [{"key": "a", "operator": "Is"}]});
        let error = LabelSelector::from_object(&wrong).expect_err("no such operator");
        assert_eq!(
            error.to_string(),
            "\"Is\" is not a valid label selector operator"
        );
    }
}
