//! What a change does beyond changing fields. Pure: one object's change and everything around it in, effects out.

mod access;
mod api;
mod data;
mod immutable;
mod pods;
mod policy;
mod quantity;
mod quota;
mod selectors;
mod services;

use std::collections::HashMap;

use ordain_reconciler_plan::ObjectKey;
use serde_json::Value;

use crate::{Effect, EffectKind, Facts, Field, Level, Verb, model::is_below};

/// What would happen to one object.
pub(crate) struct Changed<'a> {
    pub(crate) env: &'a str,
    pub(crate) key: &'a ObjectKey,
    pub(crate) verb: Verb,
    pub(crate) old: Option<&'a Value>,
    pub(crate) new: Option<&'a Value>,
    pub(crate) fields: &'a [Field],
    /// What the server said, and the fields that it called immutable.
    pub(crate) refused: Option<(&'a str, &'a [String])>,
    /// True when a server's dry run accepted it.
    pub(crate) accepted: bool,
}

impl Changed<'_> {
    fn is(&self, group: &str, kind: &str) -> bool {
        self.key.is(group, kind)
    }

    /// True when it is there before and after.
    fn is_update(&self) -> bool {
        self.old.is_some() && self.new.is_some()
    }

    /// The first changed field at or below `root`, or above it.
    fn field(&self, root: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| is_below(&field.path, root) || is_below(root, &field.path))
    }

    fn namespace(&self, facts: &Facts) -> String {
        let own = self.key.namespace.clone();
        own.unwrap_or_else(|| facts.namespace(self.env).to_owned())
    }
}

/// Everything that is, before and after the change.
pub(crate) struct World<'a> {
    facts: &'a Facts,
    before: Index<'a>,
    after: Index<'a>,
}

/// Objects by environment and namespace.
type Index<'a> = HashMap<(&'a str, String), Vec<&'a Value>>;

impl<'a> World<'a> {
    pub(crate) fn new(facts: &'a Facts) -> Self {
        let (before, after) = (HashMap::new(), HashMap::new());
        Self {
            facts,
            before,
            after,
        }
    }

    pub(crate) fn before(&mut self, env: &'a str, object: &'a Value) {
        let place = self.place(env, object);
        self.before.entry(place).or_default().push(object);
    }

    pub(crate) fn after(&mut self, env: &'a str, object: &'a Value) {
        let place = self.place(env, object);
        self.after.entry(place).or_default().push(object);
    }

    fn place(&self, env: &'a str, object: &Value) -> (&'a str, String) {
        let own = object.pointer("/metadata/namespace");
        let own = own.and_then(Value::as_str);
        let namespace = own.unwrap_or_else(|| self.facts.namespace(env));
        (env, namespace.to_owned())
    }

    /// The objects that share a namespace with the changed one.
    fn around(&self, changed: &Changed<'a>) -> (&[&'a Value], &[&'a Value]) {
        let place = (changed.env, changed.namespace(self.facts));
        (
            self.before.get(&place).map_or(&[], Vec::as_slice),
            self.after.get(&place).map_or(&[], Vec::as_slice),
        )
    }

    /// Every object of an environment before the change.
    fn all_before(&self, env: &str) -> impl Iterator<Item = &'a Value> {
        let of = self
            .before
            .iter()
            .filter(move |((other, _), _)| *other == env);
        of.flat_map(|(_, objects)| objects.iter().copied())
    }
}

/// Returns what a change does, the gravest first.
pub(crate) fn effects<'a>(changed: &Changed<'a>, world: &World<'a>) -> Vec<Effect> {
    let mut found = Found::default();
    policy::look(changed, &mut found);
    api::look(changed, world, &mut found);
    data::look(changed, world, &mut found);
    if !matches!(changed.verb, Verb::Held | Verb::Keep) {
        immutable::look(changed, &mut found);
        pods::look(changed, world, &mut found);
        access::look(changed, &mut found);
        services::look(changed, &mut found);
        quota::look(changed, world, &mut found);
    }
    selectors::look(changed, world, &mut found);
    let mut effects = found.effects;
    effects.sort_by(|a, b| b.level.cmp(&a.level).then(a.effect.cmp(&b.effect)));
    effects
}

/// Collects effects.
#[derive(Default)]
struct Found {
    effects: Vec<Effect>,
}

impl Found {
    fn add(&mut self, effect: EffectKind, level: Level, message: impl Into<String>) {
        self.at(effect, level, message, None);
    }

    fn at(
        &mut self,
        effect: EffectKind,
        level: Level,
        message: impl Into<String>,
        path: Option<&str>,
    ) {
        self.effects.push(Effect {
            effect,
            level,
            message: message.into(),
            path: path.map(str::to_owned),
            at: None,
        });
    }

    fn has(&self, effect: EffectKind) -> bool {
        self.effects.iter().any(|found| found.effect == effect)
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The group and kind of an object.
fn kind(object: &Value) -> (&str, &str) {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    (group, object["kind"].as_str().unwrap_or_default())
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Where the pods of a workload are described.
fn pod_template(object: &Value) -> Option<&Value> {
    match kind(object) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => object.pointer("/spec/template"),
        ("batch", "CronJob") => object.pointer("/spec/jobTemplate/spec/template"),
        ("", "Pod") => Some(object),
        _ => None,
    }
}

/// How many pods a workload wants; `None` for kinds that do not say.
fn replicas(object: &Value) -> Option<i64> {
    match kind(object) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") | ("", "ReplicationController") => {
            // Defaulted to one (pkg/apis/apps/v1/defaults.go).
            let replicas = object.pointer("/spec/replicas");
            Some(replicas.and_then(Value::as_i64).unwrap_or(1))
        }
        _ => None,
    }
}

/// `1 pod`, `3 pods`.
fn count(number: impl TryInto<u64> + Copy, one: &str) -> String {
    let number = number.try_into().unwrap_or_default();
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}

/// `a`, `a and b`, `a, b and 5 more`.
fn names(all: &[String]) -> String {
    const SHOWN: usize = 3;
    match all {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] if all.len() <= SHOWN => format!("{} and {last}", front.join(", ")),
        all => format!(
            "{} and {} more",
            all[..SHOWN - 1].join(", "),
            all.len() - SHOWN + 1
        ),
    }
}
