//! Ways to fields: written as patterns, found as places in one object, carried over to another one.
//!
//! Elements of lists change their positions, so what is found in one object is looked up in another by the fields that name
//! an element, as a server does.

use std::fmt;

use serde_json::{Map, Value};

use crate::fields::list_key;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Any entry of a map, any element of a list.
    Any,
    /// An entry of a map; of a list the element at this position, or the one that is called so.
    Name(String),
    /// The element of a list whose field has this value.
    Element { field: String, value: String },
    /// Any entry or element for which one of these groups of conditions holds.
    Where(Vec<Vec<Condition>>),
}

/// Something that has to be true of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The fields that lead to what is tested.
    pub(crate) path: Vec<String>,
    pub(crate) test: Test,
}

/// How a value is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Is(Value),
    IsNot(Value),
    Starts(String),
    Ends(String),
    /// Neither false, nor null, nor missing.
    IsTrue,
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let steps = self.path.iter();
        let found = steps.fold(value, |value, name| value.get(name).unwrap_or(&Value::Null));
        let text = found.as_str();
        match &self.test {
            Test::Is(wanted) => found == wanted,
            Test::IsNot(wanted) => found != wanted,
            Test::Starts(start) => text.is_some_and(|text| text.starts_with(start)),
            Test::Ends(end) => text.is_some_and(|text| text.ends_with(end)),
            Test::IsTrue => !matches!(found, Value::Null | Value::Bool(false)),
        }
    }
}

fn hold(groups: &[Vec<Condition>], value: &Value) -> bool {
    let mut groups = groups.iter();
    groups.any(|group| group.iter().all(|condition| condition.holds(value)))
}

/// A pattern for places in objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Segment>);

/// One step of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The way to one value of one object.
pub(crate) type Place = Vec<Step>;

impl Pattern {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// Reads a JSON pointer (RFC 6901) in which `*` stands for anything and `[name=web]` for the element with that name.
    pub(crate) fn parse(pointer: &str) -> Option<Self> {
        let rest = pointer.strip_prefix('/')?;
        let segment = |text: &str| {
            if text == "*" {
                return Segment::Any;
            }
            let element = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            if let Some((field, value)) = element.and_then(|text| text.split_once('=')) {
                let plain = |text: &str| text.trim_matches('"').to_owned();
                return Segment::Element {
                    field: plain(field),
                    value: plain(value),
                };
            }
            Segment::Name(text.replace("~1", "/").replace("~0", "~"))
        };
        Some(Self(rest.split('/').map(segment).collect()))
    }

    /// Reads a path as [`FieldChange::path`](crate::FieldChange::path) writes it, and as field errors of a server do.
    pub(crate) fn of_field(path: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let (name, after) = match rest.strip_prefix('[') {
                Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
                None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            };
            segments.push(Segment::Name(name.trim_matches('"').to_owned()));
            // A path that makes no progress, such as `..`, ends there.
            rest = if after.len() < rest.len() { after } else { "" };
        }
        Self(segments)
    }

    /// A pattern that finds a place of `object` in any other object, wherever its list elements stand there.
    pub(crate) fn of_place(object: &Value, place: &[Step]) -> Self {
        let mut segments = Vec::with_capacity(place.len());
        let mut value = Some(object);
        for step in place {
            let segment = match (step, value) {
                (Step::Key(key), _) => Segment::Name(key.clone()),
                (Step::Index(at), Some(Value::Array(list))) => named(list, *at),
                (Step::Index(at), _) => Segment::Name(at.to_string()),
            };
            segments.push(segment);
            value = value.and_then(|value| step_into(value, step));
        }
        Self(segments)
    }

    /// Every place of an object that the pattern means, and that is there.
    pub(crate) fn places(&self, object: &Value) -> Vec<Place> {
        let mut found = vec![(Place::new(), object)];
        for segment in &self.0 {
            let mut next = Vec::new();
            for (place, value) in found {
                for (step, value) in segment.matches(value) {
                    let mut place = place.clone();
                    place.push(step);
                    next.push((place, value));
                }
            }
            found = next;
        }
        found.into_iter().map(|(place, _)| place).collect()
    }
}

fn named(list: &[Value], at: usize) -> Segment {
    let element = list.get(at).unwrap_or(&Value::Null);
    match list_key(list, list) {
        Some(field) => Segment::Element {
            field: field.to_owned(),
            value: plain(&element[field]),
        },
        None => Segment::Name(at.to_string()),
    }
}

impl Segment {
    fn matches<'a>(&self, value: &'a Value) -> Vec<(Step, &'a Value)> {
        match value {
            Value::Object(map) => {
                let entry = |(key, value): (&String, &'a Value)| (Step::Key(key.clone()), value);
                match self {
                    Self::Any => map.iter().map(entry).collect(),
                    Self::Name(name) => map.get_key_value(name).map(entry).into_iter().collect(),
                    Self::Element { .. } => Vec::new(),
                    Self::Where(groups) => {
                        let entries = map.iter().filter(|(_, value)| hold(groups, value));
                        entries.map(entry).collect()
                    }
                }
            }
            Value::Array(list) => {
                let elements = list.iter().enumerate();
                let wanted = elements.filter(|(at, element)| match self {
                    Self::Any => true,
                    Self::Where(groups) => hold(groups, element),
                    Self::Element { field, value } => element
                        .get(field)
                        .is_some_and(|found| plain(found) == *value),
                    Self::Name(name) => match list_key(list, list) {
                        Some(field) if name.parse::<usize>().is_err() => {
                            plain(&element[field]) == *name
                        }
                        _ => name.parse() == Ok(*at),
                    },
                });
                wanted
                    .map(|(at, element)| (Step::Index(at), element))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Any => out.write_str("/*")?,
                Segment::Where(_) => out.write_str("/[select]")?,
                Segment::Name(name) => {
                    write!(out, "/{}", name.replace('~', "~0").replace('/', "~1"))?
                }
                Segment::Element { field, value } => write!(out, "/[{field}={value}]")?,
            }
        }
        Ok(())
    }
}

pub(crate) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn step_into<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Index(at) => value.get(at),
    }
}

/// The value at a place.
pub(crate) fn get<'a>(object: &'a Value, place: &[Step]) -> Option<&'a Value> {
    place.iter().try_fold(object, step_into)
}

fn get_mut<'a>(object: &'a mut Value, place: &[Step]) -> Option<&'a mut Value> {
    place.iter().try_fold(object, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(at) => value.get_mut(at),
    })
}

/// Takes out the values at places, all of which were found in this object.
pub(crate) fn remove(object: &mut Value, mut places: Vec<Place>) {
    // From the last on, so that positions in lists stay right.
    places.sort_by(|a, b| b.cmp(a));
    places.dedup();
    for place in places {
        let Some((last, parent)) = place.split_last() else {
            continue;
        };
        match (get_mut(object, parent), last) {
            (Some(Value::Object(map)), Step::Key(key)) => {
                map.shift_remove(key);
            }
            (Some(Value::Array(list)), Step::Index(at)) if *at < list.len() => {
                list.remove(*at);
            }
            _ => {}
        }
    }
}

/// Changes the value at a place that is there.
pub(crate) fn replace(object: &mut Value, place: &[Step], value: Value) {
    if let Some(found) = get_mut(object, place) {
        *found = value;
    }
}

/// The place in `to` of what is at `place` in `from`; `None` when it is not there.
pub(crate) fn counterpart(from: &Value, place: &[Step], to: &Value) -> Option<Place> {
    let (mut from, mut to) = (from, to);
    let mut found = Place::with_capacity(place.len());
    for step in place {
        let step_to = match (step, from, to) {
            (Step::Index(at), Value::Array(list), Value::Array(others)) => {
                match list_key(list, others) {
                    Some(field) => {
                        let name = list.get(*at)?.get(field)?;
                        Step::Index(
                            others
                                .iter()
                                .position(|other| other.get(field) == Some(name))?,
                        )
                    }
                    None => step.clone(),
                }
            }
            _ => step.clone(),
        };
        from = step_into(from, step)?;
        to = step_into(to, &step_to)?;
        found.push(step_to);
    }
    Some(found)
}

/// Puts a value of `from` into `to` at the same place, with the maps on the way to it. Elements of lists are not made up:
/// without one of that name nothing happens.
pub(crate) fn insert(from: &Value, place: &[Step], to: &mut Value) {
    let Some(value) = get(from, place).cloned() else {
        return;
    };
    let Some((Step::Key(last), parent)) = place.split_last() else {
        return;
    };
    let mut target = to;
    let mut source = from;
    for step in parent {
        target = match (step, target) {
            (Step::Key(key), Value::Object(map)) => map
                .entry(key.clone())
                .or_insert_with(|| Value::Object(Map::new())),
            (Step::Index(at), Value::Array(others)) => {
                let found = source.as_array().and_then(|list| {
                    let field = list_key(list, others)?;
                    let name = list.get(*at)?.get(field)?;
                    others
                        .iter()
                        .position(|other| other.get(field) == Some(name))
                });
                match found.and_then(|at| others.get_mut(at)) {
                    Some(element) => element,
                    None => return,
                }
            }
            _ => return,
        };
        let Some(next) = step_into(source, step) else {
            return;
        };
        source = next;
    }
    if let Some(map) = target.as_object_mut() {
        map.insert(last.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: Pattern, object: &Value, wanted: &[&str]) {
        let shown: Vec<_> = pattern
            .places(object)
            .iter()
            .map(|place| Pattern::of_place(object, place).to_string())
            .collect();
        assert_eq!(shown, wanted, "{pattern}");
    }

    #[test]
    fn patterns_find_keys_elements_and_anything() {
        let object = json!({
            "metadata": {"annotations": {"a.b/c": "1"}},
            "spec": {"containers": [{"name": "web", "image": "w"}, {"name": "log", "image": "l"}], "args": ["a", "b"]},
        });
        let pointer = |text: &str| Pattern::parse(text).expect("a pointer");
        check(
            pointer("/metadata/annotations/a.b~1c"),
            &object,
            &["/metadata/annotations/a.b~1c"],
        );
        check(
            pointer("/spec/containers/*/image"),
            &object,
            &[
                "/spec/containers/[name=web]/image",
                "/spec/containers/[name=log]/image",
            ],
        );
        check(
            pointer("/spec/containers/1/image"),
            &object,
            &["/spec/containers/[name=log]/image"],
        );
        check(
            pointer("/spec/containers/[name=web]/image"),
            &object,
            &["/spec/containers/[name=web]/image"],
        );
        check(pointer("/spec/args/1"), &object, &["/spec/args/1"]);
        check(pointer("/spec/none/*"), &object, &[]);
        check(
            Pattern::of_field("spec.containers[log].image"),
            &object,
            &["/spec/containers/[name=log]/image"],
        );
        check(
            Pattern::of_field("metadata.annotations[a.b/c]"),
            &object,
            &["/metadata/annotations/a.b~1c"],
        );
        check(
            Pattern::of_field("spec.args[0]"),
            &object,
            &["/spec/args/0"],
        );
        assert_eq!(Pattern::parse("spec"), None);
    }

    #[test]
    fn elements_are_found_again_by_name_and_not_by_position() {
        let from = json!({"c": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]});
        let to = json!({"c": [{"name": "b", "x": 3}]});
        let place = |at| {
            vec![
                Step::Key("c".to_owned()),
                Step::Index(at),
                Step::Key("x".to_owned()),
            ]
        };
        assert_eq!(counterpart(&from, &place(1), &to), Some(place(0)));
        assert_eq!(counterpart(&from, &place(0), &to), None);
        let mut into = json!({"c": [{"name": "b"}]});
        insert(&from, &place(1), &mut into);
        insert(&from, &place(0), &mut into);
        assert_eq!(into, json!({"c": [{"name": "b", "x": 2}]}));
    }
}
