//! Identical changes of many objects as one: "image bump in 412 Deployments".

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Change, Effect, EffectKind, Level, ObjectDiff, Verb};

/// Objects that change in the same way.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) kind: &'a str,
    pub(crate) verb: Verb,
    /// In the order of the diff.
    pub(crate) members: Vec<&'a ObjectDiff>,
    /// The fields as they are in all members, with `{name}` where each has its own name.
    pub(crate) fields: Vec<(String, Change)>,
}

impl Group<'_> {
    /// Every kind of effect of the members, with its worst level and how many members have it.
    pub(crate) fn effects(&self) -> Vec<(EffectKind, Level, usize, &Effect)> {
        let mut found: BTreeMap<EffectKind, (Level, usize, &Effect)> = BTreeMap::new();
        for object in &self.members {
            let mut counted = Vec::new();
            for effect in &object.effects {
                let entry = found
                    .entry(effect.effect)
                    .or_insert((effect.level, 0, effect));
                entry.0 = entry.0.max(effect.level);
                if !counted.contains(&effect.effect) {
                    counted.push(effect.effect);
                    entry.1 += 1;
                }
            }
        }
        let all = found.into_iter();
        let mut all: Vec<_> = all
            .map(|(kind, (level, count, first))| (kind, level, count, first))
            .collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        all
    }

    pub(crate) fn worst(&self) -> Option<Level> {
        let effects = self.members.iter().flat_map(|object| &object.effects);
        effects.map(|effect| effect.level).max()
    }

    /// What happens, in a few words: `image v1 → v2`, `spec.replicas 2 → 3`, `3 fields`.
    pub(crate) fn summary(&self) -> String {
        match self.verb {
            Verb::Create => return "new".to_owned(),
            Verb::Delete => return "goes away".to_owned(),
            Verb::Held => return "waits for an approval".to_owned(),
            Verb::Refused => return "is refused".to_owned(),
            Verb::Keep => return "stays".to_owned(),
            _ => {}
        }
        let moved = self
            .members
            .iter()
            .any(|object| object.moved_from.is_some());
        let images: Vec<Option<(String, String)>> = self
            .fields
            .iter()
            .map(|(path, change)| image(path, change))
            .collect();
        match (&*self.fields, &*images) {
            ([], _) if moved => "moves to another app".to_owned(),
            ([], _) => "changes".to_owned(),
            (_, [Some((old, new)), rest @ ..])
                if rest.iter().all(|other| {
                    other
                        .as_ref()
                        .is_some_and(|other| other.0 == *old && other.1 == *new)
                }) =>
            {
                format!("image {old} → {new}")
            }
            ([(path, change)], _) => {
                let leaf = leaf(path);
                match change {
                    // Masked values.
                    Change::Changed { old, new } if old == new => format!("{leaf} changes"),
                    Change::Changed { old, new } if is_short(old) && is_short(new) => {
                        format!("{leaf} {} → {}", short(old), short(new))
                    }
                    Change::Added { new } if is_short(new) => {
                        format!("{leaf} {} added", short(new))
                    }
                    Change::Removed { .. } => format!("{leaf} removed"),
                    _ => format!("{leaf} changes"),
                }
            }
            (fields, _) => format!("{} fields", fields.len()),
        }
    }
}

/// Folds objects; the gravest groups come first, then those with the most members.
pub(crate) fn fold<'a>(objects: impl Iterator<Item = &'a ObjectDiff>) -> Vec<Group<'a>> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for object in objects {
        let verb = object.real_verb();
        let fields = fields(object);
        let key = serde_json::to_string(&(
            &object.key.group,
            &object.key.kind,
            verb,
            object.verb,
            object.moved_from.is_some(),
            &fields,
            effects(object),
        ));
        // What cannot be written is its own group.
        let key = key.unwrap_or_else(|_| groups.len().to_string());
        match places.get(&key) {
            Some(at) => groups[*at].members.push(object),
            None => {
                places.insert(key, groups.len());
                groups.push(Group {
                    kind: &object.key.kind,
                    verb,
                    members: vec![object],
                    fields,
                });
            }
        }
    }
    groups.sort_by(|a, b| {
        let weight = |group: &Group<'_>| (group.worst(), group.members.len());
        weight(b).cmp(&weight(a))
    });
    groups
}

/// The effects that tell groups apart: a grave one is never hidden among others.
fn effects(object: &ObjectDiff) -> Vec<(EffectKind, Level)> {
    let all = object.effects.iter();
    all.map(|effect| (effect.effect, effect.level)).collect()
}

/// The fields that are shown of an object, with what is its own left out.
fn fields(object: &ObjectDiff) -> Vec<(String, Change)> {
    let own = [object.key.name.as_str(), object.app.as_str()];
    let live = object.live.iter().flat_map(|live| &live.fields);
    let shown: Vec<_> = match object.fields.is_empty() {
        true => live.collect(),
        false => object.fields.iter().collect(),
    };
    let plain = |field: &&crate::Field| {
        let change = match &field.change {
            Change::Added { new } => Change::Added {
                new: blank(new, &own),
            },
            Change::Removed { old } => Change::Removed {
                old: blank(old, &own),
            },
            Change::Changed { old, new } => {
                let (old, new) = (blank(old, &own), blank(new, &own));
                match image_tags(&field.path, &old, &new) {
                    Some((old, new)) => Change::Changed {
                        old: format!("…:{old}").into(),
                        new: format!("…:{new}").into(),
                    },
                    None => Change::Changed { old, new },
                }
            }
        };
        (blank_text(&path(&field.path), &own), change)
    };
    shown.iter().map(plain).collect()
}

/// Containers are called as each app likes.
fn path(path: &str) -> String {
    let Some((front, rest)) = path.split_once("ontainers[") else {
        return path.to_owned();
    };
    match rest.split_once(']') {
        Some((_, rest)) => format!("{front}ontainers[*]{rest}"),
        None => path.to_owned(),
    }
}

fn blank(value: &Value, own: &[&str]) -> Value {
    match value {
        Value::String(text) => blank_text(text, own).into(),
        Value::Array(items) => items.iter().map(|item| blank(item, own)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (blank_text(name, own), blank(value, own)))
            .collect(),
        other => other.clone(),
    }
}

/// Names shorter than this stand in other words too often.
const NAME_CHARS_MIN: usize = 4;

fn blank_text(text: &str, own: &[&str]) -> String {
    let mut text = text.to_owned();
    for name in own.iter().filter(|name| name.len() >= NAME_CHARS_MIN) {
        if text.contains(name) {
            text = text.replace(name, "{name}");
        }
    }
    text
}

/// The tags of an image that got another one, whatever the repository.
fn image_tags(path: &str, old: &Value, new: &Value) -> Option<(String, String)> {
    if !path.ends_with(".image") {
        return None;
    }
    let (old_name, old) = split_image(old.as_str()?)?;
    let (new_name, new) = split_image(new.as_str()?)?;
    (old_name == new_name).then(|| (old.to_owned(), new.to_owned()))
}

fn image(path: &str, change: &Change) -> Option<(String, String)> {
    let Change::Changed { old, new } = change else {
        return None;
    };
    image_tags(path, old, new)
}

/// `registry:5000/name:tag` and `name@sha256:…` (the reference grammar of distribution).
fn split_image(image: &str) -> Option<(&str, &str)> {
    if let Some(parts) = image.split_once('@') {
        return Some(parts);
    }
    let (name, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then_some((name, tag))
}

/// The last step of a path: `image`, and `index.html` of `data[index.html]`.
fn leaf(path: &str) -> &str {
    match path.strip_suffix(']') {
        Some(inner) => inner.rsplit('[').next().unwrap_or(inner),
        None => path.rsplit('.').next().unwrap_or(path),
    }
}

fn is_short(value: &Value) -> bool {
    const CHARS_MAX: usize = 40;
    let is_plain = !value.is_object() && !value.is_array();
    let text = short(value);
    is_plain && !text.contains('\n') && text.chars().count() <= CHARS_MAX
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
