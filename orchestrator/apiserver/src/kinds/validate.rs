//! Rules that many kinds share: names, labels, selectors, ports, quantities, immutable fields.
//!
//! Wording follows `apimachinery/pkg/util/validation/validation.go` and
//! `api/validation/objectmeta.go`, because clients show it to people as it is.

use serde_json::{Map, Value};

use crate::{
    json::{at, list_at, map_at, str_at},
    status::Cause,
};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Which rule the name of an object follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// `a.b-c`, up to 253 characters; most kinds.
    Subdomain,
    /// `a-b`, up to 63 characters; namespaces.
    Label,
    /// `a-b` that starts with a letter; services.
    Label1035,
    /// Anything that can be one part of a path; roles and bindings.
    PathSegment,
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.iter().all(|b| is_lower(*b) || *b == b'-')
        && is_lower(bytes[0])
        && is_lower(bytes[bytes.len() - 1])
}

/// Returns what is wrong with the name of an object, if anything is.
pub(crate) fn name_fault(rule: NameRule, name: &str) -> Option<String> {
    let longest =
        |max: usize| (name.len() > max).then(|| format!("must be no more than {max} characters"));
    match rule {
        NameRule::Subdomain => {
            longest(253).or_else(|| (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned()))
        }
        NameRule::Label => longest(63).or_else(|| (!is_label(name)).then(|| LABEL.to_owned())),
        NameRule::Label1035 => longest(63).or_else(|| {
            let good = is_label(name) && name.as_bytes()[0].is_ascii_lowercase();
            (!good).then(|| LABEL_1035.to_owned())
        }),
        NameRule::PathSegment => match name {
            "." | ".." => Some(format!("may not be '{name}'")),
            _ if name.contains('/') => Some("may not contain '/'".to_owned()),
            _ if name.contains('%') => Some("may not contain '%'".to_owned()),
            _ => longest(253),
        },
    }
}

/// Returns what is wrong with the value of a label, if anything is.
pub(crate) fn label_value_fault(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    (!value.is_empty() && !is_name_part(value)).then(|| LABEL_VALUE.to_owned())
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
}

/// Returns what is wrong with the key of a label or annotation, if anything is.
pub(crate) fn qualified_name_fault(key: &str) -> Option<String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            if prefix.is_empty() {
                return Some("prefix part must be non-empty".to_owned());
            }
            if let Some(fault) = name_fault(NameRule::Subdomain, prefix) {
                return Some(format!("prefix part {fault}"));
            }
            name
        }
    };
    if name.is_empty() {
        Some("name part must be non-empty".to_owned())
    } else if name.len() > 63 {
        Some("name part must be no more than 63 characters".to_owned())
    } else {
        (!is_name_part(name)).then(|| NAME_PART.to_owned())
    }
}

/// Checks labels at a path.
pub(crate) fn labels(labels: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels {
        if let Some(fault) = qualified_name_fault(key) {
            causes.push(Cause::invalid(path, &key.as_str().into(), &fault));
        }
        if let Some(fault) = label_value_fault(value.as_str().unwrap_or("")) {
            causes.push(Cause::invalid(path, value, &fault));
        }
    }
}

/// All annotations of an object together: 256 KiB, as upstream's `TotalAnnotationSizeLimitB`.
const ANNOTATION_BYTES_MAX: usize = 256 << 10;

/// Checks the metadata of an object, apart from rules on changes.
pub(crate) fn metadata(object: &Value, rule: NameRule, causes: &mut Vec<Cause>) {
    let meta = at(object, &["metadata"]).unwrap_or(&Value::Null);
    let name = str_at(meta, &["name"]);
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Some(fault) = name_fault(rule, name) {
        causes.push(Cause::invalid("metadata.name", &name.into(), &fault));
    }
    if let Some(map) = map_at(meta, &["labels"]) {
        labels(map, "metadata.labels", causes);
    }
    if let Some(map) = map_at(meta, &["annotations"]) {
        let mut size = 0;
        for (key, value) in map {
            if let Some(fault) = qualified_name_fault(&key.to_ascii_lowercase()) {
                causes.push(Cause::invalid(
                    "metadata.annotations",
                    &key.as_str().into(),
                    &fault,
                ));
            }
            size += key.len() + value.as_str().map_or(0, str::len);
        }
        if size > ANNOTATION_BYTES_MAX {
            causes.push(Cause {
                reason: "FieldValueTooLong",
                message: format!("Too long: may not be more than {ANNOTATION_BYTES_MAX} bytes"),
                field: "metadata.annotations".to_owned(),
            });
        }
    }
    let mut controllers = 0;
    for (index, owner) in list_at(meta, &["ownerReferences"]).iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if str_at(owner, &[field]).is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::invalid(
                    path,
                    &"".into(),
                    &format!("{field} must not be empty"),
                ));
            }
        }
        controllers += usize::from(owner["controller"] == Value::Bool(true));
    }
    if controllers > 1 {
        let owners = meta.get("ownerReferences").unwrap_or(&Value::Null);
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", owners, why));
    }
    for finalizer in list_at(meta, &["finalizers"]) {
        let text = finalizer.as_str().unwrap_or("");
        if let Some(fault) = qualified_name_fault(text) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, &fault));
        }
    }
}

/// Checks that a field is as it was.
pub(crate) fn immutable(new: &Value, old: &Value, path: &[&str], causes: &mut Vec<Cause>) {
    let (new, old) = (at(new, path), at(old, path));
    if new != old {
        let value = new.unwrap_or(&Value::Null);
        causes.push(Cause::invalid(path.join("."), value, "field is immutable"));
    }
}

/// Checks a label selector's expressions.
pub(crate) fn label_selector(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(map) = map_at(selector, &["matchLabels"]) {
        labels(map, &format!("{path}.matchLabels"), causes);
    }
    for (index, expression) in list_at(selector, &["matchExpressions"]).iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = list_at(expression, &["values"]);
        match str_at(expression, &["operator"]) {
            "In" | "NotIn" => {
                if values.is_empty() {
                    let why = "must be specified when `operator` is 'In' or 'NotIn'";
                    causes.push(Cause::required(format!("{path}.values"), why));
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    causes.push(Cause::forbidden(format!("{path}.values"), why));
                }
            }
            other => {
                let why = "not a valid selector operator";
                causes.push(Cause::invalid(
                    format!("{path}.operator"),
                    &other.into(),
                    why,
                ));
            }
        }
        if let Some(fault) = qualified_name_fault(str_at(expression, &["key"])) {
            causes.push(Cause::invalid(
                format!("{path}.key"),
                &expression["key"],
                &fault,
            ));
        }
    }
}

/// Checks a number of 0 or more, or a percentage (of at most 100 when `capped`).
pub(crate) fn int_or_percent(
    parent: &Value,
    path: &str,
    field: &str,
    capped: bool,
    causes: &mut Vec<Cause>,
) {
    let Some(value) = parent.get(field) else {
        return;
    };
    let path = format!("{path}.{field}");
    if let Some(number) = value.as_i64() {
        if number < 0 {
            causes.push(Cause::invalid(
                path,
                value,
                "must be greater than or equal to 0",
            ));
        }
        return;
    }
    let text = value.as_str().unwrap_or("");
    match text
        .strip_suffix('%')
        .and_then(|digits| digits.parse::<u32>().ok())
    {
        None => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            causes.push(Cause::invalid(path, value, why));
        }
        Some(percent) if capped && percent > 100 => {
            causes.push(Cause::invalid(path, value, "must not be greater than 100%"));
        }
        Some(_) => {}
    }
}

/// Checks a port number.
pub(crate) fn port(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if !value.as_i64().is_some_and(|n| (1..=65_535).contains(&n)) {
        causes.push(Cause::invalid(
            path,
            value,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

/// Checks a port number or the name of a port.
pub(crate) fn port_or_name(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value.as_str() {
        None => port(value, path, causes),
        Some(name) => {
            if let Some(fault) = port_name_fault(name) {
                causes.push(Cause::invalid(path, value, fault));
            }
        }
    }
}

/// Returns what is wrong with the name of a port, as RFC 6335 section 5.1 has it.
pub(crate) fn port_name_fault(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.len() > 15 {
        Some("must be no more than 15 characters")
    } else if !bytes.iter().all(|b| is_lower(*b) || *b == b'-') || bytes.is_empty() {
        Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !bytes.iter().any(u8::is_ascii_lowercase) {
        Some("must contain at least one letter (a-z)")
    } else if name.contains("--") {
        Some("must not contain consecutive hyphens")
    } else if bytes[0] == b'-' || bytes[bytes.len() - 1] == b'-' {
        Some("must not begin or end with a hyphen")
    } else {
        None
    }
}

/// Tells whether a label selector selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let matches = map_at(selector, &["matchLabels"])
        .is_none_or(|m| m.iter().all(|(key, value)| label(key) == value.as_str()));
    matches
        && list_at(selector, &["matchExpressions"])
            .iter()
            .all(|expression| {
                let value = label(str_at(expression, &["key"]));
                let listed = || {
                    let values = list_at(expression, &["values"]);
                    value.is_some_and(|v| values.iter().any(|w| w.as_str() == Some(v)))
                };
                match str_at(expression, &["operator"]) {
                    "In" => listed(),
                    "NotIn" => !listed(),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rule() {
        for (rule, name, good) in [
            (NameRule::Subdomain, "a", true),
            (NameRule::Subdomain, "a.b-c.1", true),
            (NameRule::Subdomain, "A", false),
            (NameRule::Subdomain, "a..b", false),
            (NameRule::Subdomain, "-a", false),
            (NameRule::Subdomain, "a_b", false),
            (NameRule::Label, "a.b", false),
            (NameRule::Label, "1a", true),
            (NameRule::Label1035, "1a", false),
            (NameRule::Label1035, "a1", true),
            (NameRule::PathSegment, "system:node", true),
            (NameRule::PathSegment, "..", false),
            (NameRule::PathSegment, "a/b", false),
        ] {
            assert_eq!(name_fault(rule, name).is_none(), good, "{rule:?} {name}");
        }
        assert!(name_fault(NameRule::Label, &"a".repeat(64)).is_some());
    }

    #[test]
    fn label_keys_and_values_follow_their_rules() {
        for (key, good) in [
            ("a", true),
            ("A_b.c", true),
            ("x.io/a", true),
            ("/a", false),
            ("a/", false),
            ("X/a", false),
            ("-a", false),
        ] {
            assert_eq!(qualified_name_fault(key).is_none(), good, "{key}");
        }
        for (value, good) in [("", true), ("a", true), ("a b", false), ("-", false)] {
            assert_eq!(label_value_fault(value).is_none(), good, "{value}");
        }
    }
}
