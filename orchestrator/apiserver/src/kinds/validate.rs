//! Rules that many kinds share: names, labels, selectors, ports, quantities, immutable fields.
//!
//! Wording follows `apimachinery/pkg/util/validation/validation.go` and
//! `api/validation/objectmeta.go`, because clients show it to people as it is.

use ordain_orchestrator_api::{LabelSelector, names};
use serde_json::{Map, Value};

use crate::{
    json::{at, list_at, map_at, str_at},
    status::{Cause, FieldError},
};

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

/// Returns what is wrong with the name of an object, if anything is.
pub(crate) fn name_fault(rule: NameRule, name: &str) -> Option<String> {
    let faults = match rule {
        NameRule::Subdomain => names::dns1123_subdomain(name),
        NameRule::Label => names::dns1123_label(name),
        NameRule::Label1035 => names::dns1035_label(name),
        NameRule::PathSegment => names::path_segment(name),
    };
    faults.into_iter().next()
}

/// Returns what is wrong with the value of a label, if anything is.
pub(crate) fn label_value_fault(value: &str) -> Option<String> {
    names::label_value(value).into_iter().next()
}

/// Returns what is wrong with the key of a label or annotation, if anything is.
pub(crate) fn qualified_name_fault(key: &str) -> Option<String> {
    names::qualified_name(key).into_iter().next()
}

/// Checks labels at a path.
pub(crate) fn labels(labels: &Map<String, Value>, path: &str, causes: &mut Vec<FieldError>) {
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
pub(crate) fn metadata(object: &Value, rule: NameRule, causes: &mut Vec<FieldError>) {
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
            causes.push(FieldError::too_long(
                "metadata.annotations",
                ANNOTATION_BYTES_MAX,
            ));
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
pub(crate) fn immutable(new: &Value, old: &Value, path: &[&str], causes: &mut Vec<FieldError>) {
    let (new, old) = (at(new, path), at(old, path));
    if new != old {
        let value = new.unwrap_or(&Value::Null);
        causes.push(Cause::invalid(path.join("."), value, "field is immutable"));
    }
}

/// Checks a label selector's expressions.
pub(crate) fn label_selector(selector: &Value, path: &str, causes: &mut Vec<FieldError>) {
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
    causes: &mut Vec<FieldError>,
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
pub(crate) fn port(value: &Value, path: &str, causes: &mut Vec<FieldError>) {
    if !value.as_i64().is_some_and(|n| (1..=65_535).contains(&n)) {
        causes.push(Cause::invalid(
            path,
            value,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

/// Checks a port number or the name of a port.
pub(crate) fn port_or_name(value: &Value, path: &str, causes: &mut Vec<FieldError>) {
    match value.as_str() {
        None => port(value, path, causes),
        Some(name) => {
            if let Some(fault) = port_name_fault(name) {
                causes.push(Cause::invalid(path, value, &fault));
            }
        }
    }
}

/// Returns what is wrong with the name of a port, if anything is.
pub(crate) fn port_name_fault(name: &str) -> Option<String> {
    names::port_name(name).into_iter().next()
}

/// Tells whether a label selector selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let empty = Map::new();
    let labels = labels.as_object().unwrap_or(&empty);
    LabelSelector::from_object(selector).is_ok_and(|s| s.matches(labels))
}
