//! What differs between the cluster and the sources, as edits of the sources.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_plan::{
    Addition, Change, Desired, FieldChange, Inventory, Verb, additions, list_key,
};
use serde_json::Value;

use crate::{
    App, CompiledObject, Error, FieldEdit, Standing,
    cluster::{Cluster, Resource},
    prepared::{Route, prepare_all},
    preview::{Ask, previews},
    requests::Requests,
};

use super::{Adoption, Found};

/// Whose additions are adopted without being named: people use `kubectl`, controllers do not.
const PEOPLE: &str = "kubectl";

/// Fields of one addition for which the server is asked whether it would add them itself.
const ASKED_MAX: usize = 64;

/// What to edit.
pub(super) struct Edits {
    pub(super) edits: Vec<FieldEdit>,
    /// What is left alone, in words.
    pub(super) left: Vec<String>,
}

/// An object in the cluster, beside what is declared of it.
pub(super) struct Differences {
    pub(super) changes: Vec<FieldChange>,
    live: Option<Value>,
    additions: Vec<Addition>,
    reach: Option<(Cluster, Resource, Desired)>,
}

impl Requests {
    /// Compares one object with the cluster, which does nothing about it.
    pub(super) async fn differences(
        &self,
        app: &Arc<App>,
        object: &CompiledObject,
    ) -> Result<Differences, Error> {
        let alone = App::new(
            app.name.clone(),
            app.env.clone(),
            app.namespace.clone(),
            vec![object.clone()],
            app.secrets.as_ref().clone(),
        );
        let ask = Ask {
            app: Arc::new(alone.on(app.cluster.clone())),
            gone: Inventory::default(),
        };
        let none = BTreeSet::new();
        let cluster = &self.shared.cluster;
        let of = |app: &App| Some(self.sites.of(&app.reference(), app.cluster.as_deref()));
        // Every field that differs is asked about, also one that is left to others.
        let standing = Standing::default();
        let compiler = self.compile.compiler();
        let plans = previews(cluster, of, compiler, vec![ask], &none, &standing).await?;
        let preview = plans.into_iter().next();
        let preview = preview.ok_or_else(|| Error::Refused {
            message: "the cluster gave no answer".to_owned(),
        })?;
        let actions = preview.plan.actions.into_iter();
        let changes = actions
            .filter(|action| matches!(action.verb, Verb::Update | Verb::Unchanged))
            .flat_map(|action| action.changes)
            .collect();
        let site = self.sites.of(&app.reference(), app.cluster.as_deref());
        let (cluster, owner) = (site.cluster.clone(), app.reference().to_string());
        let refused = |refusal: ordain_reconciler_plan::Refusal| Error::Refused {
            message: refusal.message,
        };
        let mut prepared = prepare_all(&cluster, vec![object.clone()], &app.namespace, &owner)
            .await
            .map_err(refused)?;
        let mut found = Differences {
            changes,
            live: None,
            additions: Vec::new(),
            reach: None,
        };
        let (Some(desired), Some(Route::Served(resource))) =
            (prepared.desired.pop(), prepared.routes.pop())
        else {
            return Ok(found);
        };
        found.live = cluster
            .get(&resource, &desired.key)
            .await
            .map_err(refused)?;
        if let Some(live) = &found.live {
            found.additions = additions(&desired.object, live);
        }
        found.reach = Some((cluster, resource, desired));
        Ok(found)
    }

    /// What differs between the cluster and the sources, as far as it is asked for.
    pub(super) async fn edits(&self, found: &Found, adoption: &Adoption) -> Result<Edits, Error> {
        let app = &found.app;
        let declared = &found.object.object;
        let kind = declared["kind"].as_str().unwrap_or_default();
        let name = declared.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let refused = |message: String| Error::Refused { message };
        if kind == "Secret" {
            return Err(refused(
                "a Secret's values do not go into the sources".to_owned(),
            ));
        }
        let differences = self.differences(app, &found.object).await?;
        let Some(live) = &differences.live else {
            return Err(refused(format!("{kind} {name} is not in the cluster")));
        };
        let edit = |path: &str, from: Option<&Value>, to: Option<Value>| FieldEdit {
            env: app.env.clone(),
            app: app.name.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            path: path.to_owned(),
            from: from.cloned(),
            to,
        };
        let is_named = |path: &str| {
            let mut fields = adoption.fields.iter();
            fields.any(|field| {
                let rest = path.strip_prefix(field.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        let is_wanted = |path: &str| match adoption.fields.is_empty() {
            true => path
                .strip_prefix("metadata.")
                .is_none_or(|rest| rest.starts_with("labels") || rest.starts_with("annotations")),
            false => is_named(path),
        };
        let mut edits = Vec::new();
        let mut left = Vec::new();
        for change in differences
            .changes
            .iter()
            .filter(|one| is_wanted(&one.path))
        {
            edits.push(match &change.change {
                // The cluster has the old value, the sources the new one.
                Change::Changed { old, new } => edit(&change.path, Some(new), Some(old.clone())),
                Change::Removed { old } => edit(&change.path, None, Some(old.clone())),
                Change::Added { new } => edit(&change.path, Some(new), None),
            });
        }
        let covered =
            |edits: &[FieldEdit], path: &str| edits.iter().any(|edit| path.starts_with(&edit.path));
        for one in &differences.additions {
            let is_taken = match adoption.fields.is_empty() {
                true => one.manager.starts_with(PEOPLE),
                // Somebody may name what is inside of it.
                false => is_named(&one.path),
            };
            if !is_taken || covered(&edits, &one.path) {
                if adoption.fields.is_empty() && !is_taken {
                    left.push(format!(
                        "{} is set by {} and left alone; name the field to adopt it",
                        one.path, one.manager
                    ));
                }
                continue;
            }
            let to = match &differences.reach {
                Some(reach) => without_defaults(reach, one, live).await,
                None => one.value.clone(),
            };
            edits.push(edit(&one.path, None, Some(to)));
        }
        for field in &adoption.fields {
            let known = edits
                .iter()
                .any(|edit| edit.path.starts_with(field.as_str()) || field.starts_with(&edit.path));
            if let (false, Some(value)) = (known, at(live, field)) {
                let own = at(declared, field);
                if own == Some(value) || own.is_some_and(Value::is_object) {
                    continue;
                }
                edits.push(edit(field, own, Some(value.clone())));
            }
        }
        if edits.is_empty() {
            let mut message = format!("{kind} {name} is as the sources declare it");
            match left.is_empty() {
                true => message.push_str(
                    "; suspend the app to keep a live edit from being put right while you adopt it",
                ),
                false => message.push_str(&format!(": {}", left.join("; "))),
            }
            return Err(refused(message));
        }
        Ok(Edits { edits, left })
    }
}

/// An added map or list without what the server would put there by itself. It is asked by dry runs of the object under
/// another name, one for each field; what cannot be asked stays.
async fn without_defaults(
    (cluster, resource, desired): &(Cluster, Resource, Desired),
    addition: &Addition,
    live: &Value,
) -> Value {
    let mut leaves = Vec::new();
    gather_leaves(&addition.value, &mut Vec::new(), &mut leaves);
    if leaves.len() < 2 || leaves.len() > ASKED_MAX {
        return addition.value.clone();
    }
    let mut other = desired.clone();
    let name = format!("{}-adopted", desired.key.name);
    other.object["metadata"]["name"] = name.clone().into();
    other.key.name = name;
    let mut kept = addition.value.clone();
    for leaf in leaves.iter().rev() {
        let mut less = kept.clone();
        if !take_out(&mut less, leaf) {
            continue;
        }
        let mut asked = other.clone();
        if !put(&mut asked.object, &addition.path, &less) {
            return kept;
        }
        let Ok(after) = cluster.apply(resource, &asked, true).await else {
            continue;
        };
        if at(&after, &addition.path) == at(live, &addition.path) {
            kept = less;
        }
    }
    kept
}

/// The ways to everything in a value that is no map with entries, nor a list with elements.
fn gather_leaves(value: &Value, place: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut inside = |step: String, value: &Value| {
        place.push(step);
        gather_leaves(value, place, found);
        place.pop();
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter()
                .for_each(|(key, value)| inside(key.clone(), value));
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let items = list.iter().enumerate();
            items.for_each(|(at, value)| inside(at.to_string(), value));
        }
        _ => found.push(place.clone()),
    }
}

/// Takes the entry at a place out of its map, and maps that it leaves empty. Returns false when it is in none.
fn take_out(value: &mut Value, place: &[String]) -> bool {
    let [step, rest @ ..] = place else {
        return false;
    };
    match value {
        Value::Object(map) if rest.is_empty() => map.shift_remove(step).is_some(),
        Value::Object(map) => {
            let Some(inner) = map.get_mut(step) else {
                return false;
            };
            let taken = take_out(inner, rest);
            if taken && inner.as_object().is_some_and(serde_json::Map::is_empty) {
                map.shift_remove(step);
            }
            taken
        }
        Value::Array(list) => {
            let item = step.parse::<usize>().ok().and_then(|at| list.get_mut(at));
            item.is_some_and(|item| !rest.is_empty() && take_out(item, rest))
        }
        _ => false,
    }
}

/// Gives the place at a path a value, where the maps around it are there or can be made.
fn put(object: &mut Value, path: &str, to: &Value) -> bool {
    let steps = steps(path);
    let mut value = object;
    for (number, step) in steps.iter().enumerate() {
        let is_last = number + 1 == steps.len();
        value = match value {
            Value::Array(list) => match position(list, step) {
                Some(at) => &mut list[at],
                None if is_last => {
                    list.push(to.clone());
                    return true;
                }
                None => return false,
            },
            Value::Object(map) => map
                .entry(step.clone())
                .or_insert_with(|| Value::Object(serde_json::Map::new())),
            _ => return false,
        };
    }
    *value = to.clone();
    true
}

fn position(list: &[Value], step: &str) -> Option<usize> {
    let is_it = |value: &Value| match value {
        Value::String(text) => text == step,
        Value::Number(number) => number.to_string() == step,
        _ => false,
    };
    let key = if list.is_empty() {
        None
    } else {
        list_key(list, list)
    };
    match key {
        Some(key) => list.iter().position(|item| is_it(&item[key])),
        None => step.parse().ok().filter(|at| *at < list.len()),
    }
}

/// The parts of a path such as `spec.containers[web].image`; what stands in brackets may have dots.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        steps.push(step.trim_matches('"').to_owned());
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

/// The value at a path.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    for step in steps(path) {
        value = match value {
            Value::Array(list) => list.get(position(list, &step)?)?,
            other => other.get(&step)?,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let mut object = json!({"metadata": {"labels": {"a.b/c": "d"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]}});
        assert_eq!(
            at(&object, "spec.containers[web].image"),
            Some(&json!("web:1"))
        );
        assert_eq!(at(&object, "metadata.labels[a.b/c]"), Some(&json!("d")));
        assert_eq!(at(&object, "spec.nothing"), None);
        assert!(put(
            &mut object,
            "spec.containers[log]",
            &json!({"name": "log"})
        ));
        assert_eq!(
            at(&object, "spec.containers[log]"),
            Some(&json!({"name": "log"}))
        );
    }

    #[test]
    fn leaves_are_taken_out_one_by_one() {
        let mut value = json!({"name": "a", "probe": {"httpGet": {"path": "/"}}, "resources": {}});
        let mut leaves = Vec::new();
        gather_leaves(&value, &mut Vec::new(), &mut leaves);
        let leaves: Vec<String> = leaves.iter().map(|leaf| leaf.join("/")).collect();
        assert_eq!(leaves, ["name", "probe/httpGet/path", "resources"]);
        let place = ["probe", "httpGet", "path"].map(str::to_owned);
        assert!(take_out(&mut value, &place));
        assert_eq!(value, json!({"name": "a", "resources": {}}));
    }
}
