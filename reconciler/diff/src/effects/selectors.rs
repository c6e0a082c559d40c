//! Selectors that selected pods and select none any more, and pods that are left behind.

use serde_json::{Map, Value};

use crate::{EffectKind, Level, Verb, model::is_below};

use super::{Changed, Found, World, kind, list, name, names, pod_template};

pub(super) fn look<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    if matches!(changed.verb, Verb::Keep | Verb::Create) {
        return;
    }
    left_behind(changed, found);
    let (before, after) = world.around(changed);
    if selector(changed.old) != Pods::NotMine && changed.is_update() {
        // The selector's own object.
        let (old, new) = (selector(changed.old), selector(changed.new));
        if old.matches_any(before) && new.is_some() && !new.matches_any(after) {
            let field = ["spec.selector", "spec.podSelector"]
                .into_iter()
                .find_map(|root| changed.field(root));
            if let Some(field) = field {
                found.at(
                    EffectKind::DropsSelector,
                    Level::Danger,
                    "it selects no pods any more",
                    Some(&field.path),
                );
            }
        }
        return;
    }
    // A workload whose labels change, or that goes away.
    let labels = |object: Option<&'a Value>| object.and_then(labels_of);
    let (Some(old), new) = (labels(changed.old), labels(changed.new)) else {
        return;
    };
    if matches!(changed.verb, Verb::Held) || new.as_ref() == Some(&old) {
        return;
    }
    let mut orphaned = Vec::new();
    for object in after {
        let was = before
            .iter()
            .find(|other| kind(other) == kind(object) && name(other) == name(object));
        let (Some(was), now) = (was, selector(Some(object))) else {
            continue;
        };
        let lost = selector(Some(was)).matches(old) && now.is_some() && !now.matches_any(after);
        if lost {
            orphaned.push(format!("{} `{}`", kind(object).1, name(object)));
        }
    }
    if orphaned.is_empty() {
        return;
    }
    let roots = ["spec.template.metadata.labels", "metadata.labels"];
    let field = roots.into_iter().find_map(|root| changed.field(root));
    let verb = if orphaned.len() == 1 {
        "selects"
    } else {
        "select"
    };
    found.at(
        EffectKind::DropsSelector,
        Level::Danger,
        format!("{} {verb} no pods any more", names(&orphaned)),
        field.map(|field| field.path.as_str()),
    );
}

/// A workload with another selector does not find the pods that it made.
fn left_behind(changed: &Changed<'_>, found: &mut Found) {
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
    if !kinds.iter().any(|kind| changed.is("apps", kind)) || !changed.is_update() {
        return;
    }
    let field = changed
        .fields
        .iter()
        .find(|field| is_below(&field.path, "spec.selector"));
    if let Some(field) = field {
        found.at(
            EffectKind::DropsSelector,
            Level::Danger,
            "pods made under the old selector would be left behind",
            Some(&field.path),
        );
    }
}

/// What an object selects.
#[derive(Clone, PartialEq)]
enum Pods<'a> {
    /// It is no kind that selects pods for others.
    NotMine,
    /// It selects none by itself (a Service without a selector).
    None,
    /// Pods with all these labels, and with what the expressions say.
    With(Option<&'a Map<String, Value>>, &'a [Value]),
}

fn selector(object: Option<&Value>) -> Pods<'_> {
    let Some(object) = object else {
        return Pods::NotMine;
    };
    let of = |pointer: &str| match object.pointer(pointer) {
        Some(selector) => Pods::With(
            selector.get("matchLabels").and_then(Value::as_object),
            list(selector, "/matchExpressions"),
        ),
        None => Pods::None,
    };
    match kind(object) {
        ("", "Service") => match object.pointer("/spec/selector").and_then(Value::as_object) {
            Some(labels) if !labels.is_empty() => Pods::With(Some(labels), &[]),
            _ => Pods::None,
        },
        ("policy", "PodDisruptionBudget") => of("/spec/selector"),
        ("networking.k8s.io", "NetworkPolicy") => of("/spec/podSelector"),
        _ => Pods::NotMine,
    }
}

impl Pods<'_> {
    fn is_some(&self) -> bool {
        matches!(self, Self::With(..))
    }

    fn matches(&self, labels: &Map<String, Value>) -> bool {
        let Self::With(wanted, expressions) = self else {
            return false;
        };
        let equal = wanted
            .iter()
            .flat_map(|wanted| wanted.iter())
            .all(|(name, value)| labels.get(name) == Some(value));
        equal && expressions.iter().all(|one| holds(one, labels))
    }

    fn matches_any(&self, objects: &[&Value]) -> bool {
        let mut labels = objects.iter().filter_map(|object| labels_of(object));
        labels.any(|labels| self.matches(labels))
    }
}

fn holds(expression: &Value, labels: &Map<String, Value>) -> bool {
    let label = expression["key"].as_str().and_then(|key| labels.get(key));
    let is_among = label.is_some_and(|label| list(expression, "/values").contains(label));
    match expression["operator"].as_str() {
        Some("In") => is_among,
        Some("NotIn") => !is_among,
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}

/// The labels of a workload's pods.
fn labels_of(object: &Value) -> Option<&Map<String, Value>> {
    pod_template(object)?
        .pointer("/metadata/labels")?
        .as_object()
}
