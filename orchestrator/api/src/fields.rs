//! Field selectors: `metadata.name=web,status.phase!=Running`. It does not know which fields a kind
//! offers; the caller names them.
//!
//! Grammar and wording: k8s.io/apimachinery/pkg/fields.

use std::{fmt, str::FromStr};

use serde_json::Value;

use crate::labels::SelectorError;

/// One condition of a field selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldTerm {
    /// The field: `status.phase`.
    pub field: String,
    /// Whether the field must have the value, or must not.
    pub equals: bool,
    /// The value, without escapes. An absent field counts as empty.
    pub value: String,
}

/// All conditions that the fields of an object must satisfy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// The conditions, sorted.
    pub terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Returns the selector that matches every object.
    pub fn everything() -> FieldSelector {
        FieldSelector::default()
    }

    /// Reads the text form; `\\`, `\,` and `\=` escape in values.
    ///
    /// # Errors
    /// In upstream's words, for the message of a 400.
    pub fn parse(text: &str) -> Result<FieldSelector, SelectorError> {
        let mut terms = Vec::new();
        for part in split(text).into_iter().filter(|part| !part.is_empty()) {
            let operator = part.char_indices().find_map(|(at, _)| {
                let operator = ["!=", "==", "="]
                    .into_iter()
                    .find(|op| part[at..].starts_with(op))?;
                Some((at, operator))
            });
            let Some((at, operator)) = operator else {
                let text = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(SelectorError(text));
            };
            let value = unescape(&part[at + operator.len()..])?;
            terms.push(FieldTerm {
                field: part[..at].to_owned(),
                equals: operator != "!=",
                value,
            });
        }
        terms.sort();
        Ok(FieldSelector { terms })
    }

    /// Checks that each field is one that the resource offers: `metadata.name`,
    /// `metadata.namespace`, or one of `selectable`.
    ///
    /// # Errors
    /// In upstream's words, for the message of a 400.
    pub fn check(&self, selectable: &[&str]) -> Result<(), SelectorError> {
        let known = |field: &str| {
            field == "metadata.name" || field == "metadata.namespace" || selectable.contains(&field)
        };
        match self.terms.iter().find(|term| !known(&term.field)) {
            None => Ok(()),
            Some(term) if selectable.is_empty() => Err(SelectorError(format!(
                "{:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                term.field
            ))),
            Some(term) => Err(SelectorError(format!(
                "field label not supported: {}",
                term.field
            ))),
        }
    }

    /// Tells whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the value that the field must have, if the selector says so.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self
            .terms
            .iter()
            .find(|term| term.equals && term.field == field)?;
        Some(&term.value)
    }

    /// Tells whether the fields, looked up by name, match; an absent field is empty.
    pub fn matches_with(&self, value: impl Fn(&str) -> Option<String>) -> bool {
        self.terms
            .iter()
            .all(|term| (value(&term.field).unwrap_or_default() == term.value) == term.equals)
    }

    /// Tells whether an object's fields match.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches_with(|field| field_of(object, field))
    }
}

/// Returns the text of a selectable field of an object: a string as it is, a number or boolean in
/// its JSON form. Fields that upstream derives (`status.podIPs`, `spec.unschedulable` of a node
/// without it) follow its rules.
pub fn field_of(object: &Value, field: &str) -> Option<String> {
    match field {
        // An event's component is under its old or its new name.
        "reportingComponent" | "reportingController" => {
            let new = object["reportingController"]
                .as_str()
                .filter(|text| !text.is_empty());
            let old = object["reportingComponent"]
                .as_str()
                .filter(|text| !text.is_empty());
            return new.or(old).map(str::to_owned);
        }
        "source" if object["source"].is_object() => {
            let component = object["source"]["component"].as_str();
            return component
                .map(str::to_owned)
                .filter(|text| !text.is_empty())
                .or_else(|| object["reportingComponent"].as_str().map(str::to_owned));
        }
        "status.podIPs" => {
            let ips = object["status"]["podIPs"].as_array()?;
            let ips: Vec<&str> = ips.iter().filter_map(|ip| ip["ip"].as_str()).collect();
            return Some(ips.join(","));
        }
        _ => {}
    }
    let found = field
        .split('.')
        .try_fold(object, |value, key| value.get(key));
    match found {
        Some(Value::String(text)) => Some(text.clone()),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
        // Upstream prints Go's zero values.
        _ => match field {
            "spec.unschedulable" | "spec.hostNetwork" => Some("false".to_owned()),
            "status.replicas" | "status.successful" => Some("0".to_owned()),
            _ => None,
        },
    }
}

/// Splits at commas that no backslash precedes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(c @ ('\\' | ',' | '=')) => value.push(c),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    let text =
                        format!("invalid field selector: invalid escape sequence: {sequence}");
                    return Err(SelectorError(text));
                }
            },
            // Upstream prints the number of the character.
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                )));
            }
            c => value.push(c),
        }
    }
    Ok(value)
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        FieldSelector::parse(text)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let operator = if term.equals { "=" } else { "!=" };
            let value = term
                .value
                .replace('\\', "\\\\")
                .replace(',', "\\,")
                .replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", term.field)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> FieldSelector {
        FieldSelector::parse(text).expect("the selector is well formed")
    }

    #[test]
    fn selectors_match_fields() {
        let pod = json!({
            "metadata": {"name": "a"},
            "spec": {"nodeName": "n1"},
            "status": {"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]},
        });
        for text in [
            "",
            "metadata.name=a",
            "spec.nodeName==n1,status.phase!=Failed",
            "spec.schedulerName=",
            "status.podIPs=1.2.3.4",
            "spec.hostNetwork=false",
        ] {
            assert!(parse(text).matches_object(&pod), "{text}");
        }
        for text in ["metadata.name=b", "spec.nodeName=", "status.phase!=Running"] {
            assert!(!parse(text).matches_object(&pod), "{text}");
        }
    }

    #[test]
    fn values_are_escaped() {
        let selector = parse("a=x\\,y\\=z\\\\,b=1");
        assert_eq!(selector.exact("a"), Some("x,y=z\\"));
        assert_eq!(selector.to_string(), "a=x\\,y\\=z\\\\,b=1");
        let error = |text| {
            FieldSelector::parse(text)
                .expect_err("malformed")
                .to_string()
        };
        assert_eq!(
            error("abc"),
            "invalid selector: 'abc'; can't understand 'abc'"
        );
        assert_eq!(
            error("a=b\\c"),
            "invalid field selector: invalid escape sequence: \\c"
        );
        assert_eq!(
            error("a=b=c"),
            "invalid field selector: unescaped character in value: 61"
        );
    }

    #[test]
    fn unknown_fields_are_refused() {
        let selector = parse("spec.nothing=1");
        let error = |known: &[&str]| selector.check(known).expect_err("unknown").to_string();
        assert_eq!(
            error(&["spec.nodeName"]),
            "field label not supported: spec.nothing"
        );
        assert!(error(&[]).contains("only \"metadata.name\", \"metadata.namespace\""));
        assert_eq!(parse("metadata.name=a").check(&[]), Ok(()));
    }
}
