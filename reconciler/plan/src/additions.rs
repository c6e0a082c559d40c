//! Fields of a live object that somebody set and that nobody declares, read from `managedFields`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    MANAGER,
    fields::{element, field, list_key},
    managed::entries,
    paths::{Place, Step, get},
};

/// A field that is only in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Addition {
    /// The way to it, as [`diff`](crate::diff) writes it.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// Who set it.
    pub manager: String,
}

/// Returns what others set in a live object beside what is declared. A map or list that is not declared at all is one
/// addition. What the server says itself (`status`, most of `metadata`) is none.
#[must_use]
pub fn additions(declared: &Value, live: &Value) -> Vec<Addition> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let others =
        entries(live).filter(|entry| entry.manager != MANAGER && entry.subresource.is_empty());
    for entry in others {
        for place in entry.places(live) {
            let Some((place, path)) = first_missing(declared, live, &place) else {
                continue;
            };
            let Some(value) = get(live, &place).filter(|_| is_somebodys(&path)) else {
                continue;
            };
            if seen.insert(path.clone()) {
                found.push(Addition {
                    path,
                    value: value.clone(),
                    manager: entry.manager.to_owned(),
                });
            }
        }
    }
    found
}

/// True when people set it, rather than the server or a tool for itself.
fn is_somebodys(path: &str) -> bool {
    let metadata = path.strip_prefix("metadata.");
    let is_own =
        metadata.is_none_or(|rest| rest.starts_with("labels") || rest.starts_with("annotations"));
    let annotation = path.strip_prefix("metadata.annotations[");
    let is_tools = annotation.is_some_and(|name| {
        name.starts_with("kubectl.kubernetes.io/") || name.starts_with("deployment.kubernetes.io/")
    });
    is_own && !is_tools && !path.starts_with("status")
}

/// The outermost part of a place that is not declared, and its path.
fn first_missing(declared: &Value, live: &Value, place: &[Step]) -> Option<(Place, String)> {
    let (mut declared, mut value) = (declared, live);
    let mut path = String::new();
    for (at, step) in place.iter().enumerate() {
        let (next, inner) = match step {
            Step::Key(key) => {
                path.push_str(&field(&path, key));
                (declared.get(key), value.get(key)?)
            }
            Step::Index(index) => {
                let (own, all) = (declared.as_array()?, value.as_array()?);
                let inner = all.get(*index)?;
                let Some(name) = list_key(own, all) else {
                    // A list without keys differs as a whole, or in the elements that both have.
                    let is_declared = own.contains(inner);
                    return (!is_declared).then(|| (place[..at].to_vec(), path));
                };
                path.push_str(&element(&inner[name]));
                let same = own.iter().find(|one| one[name] == inner[name]);
                (same, inner)
            }
        };
        let Some(next) = next else {
            return Some((place[..=at].to_vec(), path));
        };
        (declared, value) = (next, inner);
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_set_beside_the_declared_is_found_once() {
        let declared = json!({"metadata": {"name": "web", "annotations": {"owner": "dev/web"}}, "spec": {"replicas": 2, "containers": [
            {"name": "main", "image": "a", "env": [{"name": "A", "value": "1"}]}]}});
        let live = json!({"metadata": {"name": "web", "annotations": {
                "kubectl.kubernetes.io/restartedAt": "now", "team": "a"}, "managedFields": [
            {"manager": "ordain", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
             "fieldsV1": {"f:status": {"f:replicas": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}, "f:team": {}}},
                "f:spec": {"f:paused": {}, "f:replicas": {}, "f:containers": {
                "k:{\"name\":\"main\"}": {"f:env": {"k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}},
                "k:{\"name\":\"log\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}]},
            "spec": {"replicas": 3, "paused": true, "containers": [
                {"name": "main", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "log", "image": "b"}]},
            "status": {"replicas": 3}});
        let mut paths: Vec<(String, Value)> = additions(&declared, &live)
            .into_iter()
            .map(|one| (one.path, one.value))
            .collect();
        paths.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            paths,
            [
                ("metadata.annotations.team".to_owned(), json!("a")),
                (
                    "spec.containers[log]".to_owned(),
                    json!({"name": "log", "image": "b"})
                ),
                (
                    "spec.containers[main].env[B]".to_owned(),
                    json!({"name": "B", "value": "2"})
                ),
                ("spec.paused".to_owned(), json!(true)),
            ]
        );
    }
}
