//! What an object is to be: the one that is built, with edits in it. Knows paths as diffs write them, and no source.

use ordain_reconciler_plan::{diff, list_key};
use serde_json::{Map, Value};

/// One step of a path such as `spec.containers[web].image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The field, or what names the element.
    pub(super) text: String,
    /// It stood in brackets: an element of a list, or the key of a map that is no word.
    pub(super) is_bracket: bool,
}

/// Splits a path at its dots and brackets.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let is_bracket = rest.starts_with('[');
        let (text, after) = if is_bracket {
            let inner = &rest[1..];
            match inner.strip_prefix('"') {
                Some(quoted) => quoted.split_once("\"]").unwrap_or((quoted, "")),
                None => inner.split_once(']').unwrap_or((inner, "")),
            }
        } else {
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        steps.push(Step {
            text: text.to_owned(),
            is_bracket,
        });
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

/// Where an element is in its list, and the field that names it when it has no number.
pub(super) fn position(list: &[Value], name: &str) -> (Option<usize>, Option<&'static str>) {
    let key = match list.is_empty() {
        true => None,
        false => list_key(list, list),
    };
    let is_called = |value: &Value| match value {
        Value::String(text) => text == name,
        Value::Number(number) => number.to_string() == name,
        _ => false,
    };
    let Some(key) = key else {
        return (name.parse().ok().filter(|at| *at < list.len()), None);
    };
    let named = list.iter().position(|item| is_called(&item[key]));
    // Beside the other list of a difference another field may have named them.
    let at = named.or_else(|| {
        let fields = |item: &Value| {
            item.as_object()
                .is_some_and(|map| map.values().any(is_called))
        };
        let mut found = (list.iter().enumerate()).filter(|(_, item)| fields(item));
        let (at, _) = found.next()?;
        found.next().is_none().then_some(at)
    });
    (at, Some(key))
}

/// The value at a path.
pub(super) fn get<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    let mut value = value;
    for step in steps {
        value = match value {
            Value::Array(list) => list.get(position(list, &step.text).0?)?,
            other => other.get(&step.text)?,
        };
    }
    Some(value)
}

/// Gives a place a value, or takes away what is there. Returns false when there is no such place.
pub(super) fn put(value: &mut Value, steps: &[Step], to: Option<&Value>) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        if let Some(to) = to {
            *value = to.clone();
        }
        return true;
    };
    match value {
        Value::Object(map) => match (rest.is_empty(), to) {
            (true, Some(to)) => drop(map.insert(step.text.clone(), to.clone())),
            (true, None) => drop(map.shift_remove(&step.text)),
            (false, None) if !map.contains_key(&step.text) => {}
            (false, _) => {
                let inner = map.entry(step.text.clone());
                return put(inner.or_insert_with(|| Map::new().into()), rest, to);
            }
        },
        Value::Array(list) => match (position(list, &step.text).0, rest.is_empty(), to) {
            (Some(at), true, None) => drop(list.remove(at)),
            (Some(at), _, _) => return put(&mut list[at], rest, to),
            (None, true, Some(to)) => list.push(to.clone()),
            (None, _, None) => {}
            (None, false, Some(_)) => return false,
        },
        _ => return false,
    }
    true
}

/// The object as it is to be, when only what is not there any more is left out.
pub(super) fn is_same(wanted: &Value, built: &Value, gone: &[Vec<Step>]) -> bool {
    first_difference(wanted, built, gone).is_none()
}

/// The first field in which an object is not what it is to be.
pub(super) fn first_difference(
    wanted: &Value,
    built: &Value,
    gone: &[Vec<Step>],
) -> Option<String> {
    let (mut wanted, mut built) = (wanted.clone(), built.clone());
    for steps in gone {
        // A map that lost its last entry may stay or go.
        tidied(&mut wanted, steps);
        tidied(&mut built, steps);
    }
    diff(&wanted, &built)
        .into_iter()
        .next()
        .map(|change| change.path)
}

/// Takes away the maps and lists on the way to a place that have nothing in them.
fn tidied(value: &mut Value, steps: &[Step]) {
    for end in (1..steps.len()).rev() {
        let is_empty = match get(value, &steps[..end]) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if is_empty {
            put(value, &steps[..end], None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_put_where_paths_lead() {
        let mut object = json!({"metadata": {"labels": {"a.b/c": "1"}},
            "spec": {"containers": [{"name": "web", "args": ["a"]}, {"name": "log"}]}});
        let mut set = |path: &str, to: Option<Value>| put(&mut object, &steps(path), to.as_ref());
        assert!(set("metadata.labels[a.b/c]", Some("2".into())));
        assert!(set("metadata.annotations.x", Some("y".into())));
        assert!(set("spec.containers[web].args[0]", Some("b".into())));
        assert!(set("spec.containers[log]", None));
        assert!(set("spec.containers[new]", Some(json!({"name": "new"}))));
        assert!(set("spec.nothing.here", None));
        assert!(!set("spec.containers[nobody].image", Some("x".into())));
        assert_eq!(
            object,
            json!({"metadata": {"labels": {"a.b/c": "2"}, "annotations": {"x": "y"}},
                "spec": {"containers": [{"name": "web", "args": ["b"]}, {"name": "new"}]}})
        );
    }

    #[test]
    fn an_empty_map_is_as_good_as_none_where_something_was_removed() {
        let (wanted, built) = (json!({"a": {"b": {}}}), json!({}));
        assert!(!is_same(&wanted, &built, &[]));
        assert!(is_same(&wanted, &built, &[steps("a.b.c")]));
    }
}
