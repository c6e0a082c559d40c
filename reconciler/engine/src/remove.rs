//! Carries out what a plan deletes: dependents first, each gone before what it stands on. What cannot be deleted
//! stays in the inventory and stops nothing else.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use ordain_reconciler_plan::{
    Action, Candidate, ObjectKey, Plan, Policy, Refusal, Verb,
    graph::{Graph, Walk},
    release,
};
use serde_json::Value;

use crate::cluster::Cluster;

/// Objects that are deleted at the same time.
const DELETES_AT_ONCE: usize = 32;

/// How often an object that is being deleted is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long a deletion is waited for; what takes longer is gone on with when it is heard of.
const GONE_MAX: Duration = Duration::from_secs(5);

/// What was deleted.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Objects that leave the inventory.
    pub(crate) gone: Vec<ObjectKey>,
    /// Refusals, one line each. Their objects stay in the inventory.
    pub(crate) errors: Vec<String>,
    /// Objects whose deletion is under way, and what holds it up.
    pub(crate) leaving: BTreeMap<ObjectKey, String>,
}

/// Deletes what the plan deletes.
pub(crate) async fn prune(cluster: &Cluster, plan: &Plan, candidates: &[Candidate]) -> Pruned {
    let mut pruned = Pruned::default();
    let mut deletes = BTreeMap::new();
    for action in &plan.actions {
        match action.verb {
            Verb::Forget => pruned.gone.push(action.key.clone()),
            Verb::Release => match release_one(cluster, action, candidates).await {
                Ok(()) => pruned.gone.push(action.key.clone()),
                Err(refusal) => pruned
                    .errors
                    .push(format!("{}: {}", action.key, refusal.message)),
            },
            Verb::Delete => {
                deletes.insert(&action.key, action);
            }
            _ => {}
        }
    }
    let live: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| Some((&candidate.key, candidate.live.as_ref()?)))
        .filter(|(key, live)| deletes.contains_key(key) || is_leaving(live))
        .collect();
    let graph = Graph::for_deletion(live.iter().copied());
    let mut walk = Walk::new(&graph);
    for (key, live) in &live {
        if !deletes.contains_key(key) {
            walk.applied(key);
            pruned.leaving.insert((*key).clone(), held_by(live));
        }
    }
    let live: BTreeMap<_, _> = live.into_iter().collect();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < DELETES_AT_ONCE {
            let Some(key) = walk.take_one() else { break };
            if let Some((action, live)) = deletes.get(&key).zip(live.get(&key)) {
                running.push(delete(cluster, action, live));
            }
        }
        let Some((key, result)) = running.next().await else {
            break;
        };
        match result {
            Ok(None) => {
                walk.healthy(&key);
                pruned.gone.push(key);
            }
            Ok(Some(left)) => {
                walk.applied(&key);
                pruned.leaving.insert(key, held_by(&left));
            }
            Err(refusal) => {
                walk.failed(&key, &refusal.message);
                pruned.errors.push(format!("{key}: {}", refusal.message));
            }
        }
    }
    let behind = walk.blocked().into_iter().chain(walk.waiting());
    for blocked in behind.filter(|blocked| deletes.contains_key(&blocked.key)) {
        let first = blocked.chain.first().map(|link| link.on.clone());
        let first = first.unwrap_or_default();
        pruned
            .leaving
            .insert(blocked.key, format!(" after {first}, which is still there"));
    }
    pruned.errors.sort();
    pruned
}

/// Takes our mark off an object that stays.
async fn release_one(
    cluster: &Cluster,
    action: &Action,
    candidates: &[Candidate],
) -> Result<(), Refusal> {
    let candidate = candidates
        .iter()
        .find(|candidate| candidate.key == action.key);
    let patch = candidate.and_then(|candidate| release(candidate.live.as_ref()?));
    let resource = cluster.resource(&action.version, &action.key.kind).await?;
    if let (Some(patch), Some(resource)) = (patch, resource) {
        cluster.patch(&resource, &action.key, &patch).await?;
    }
    Ok(())
}

type Deleted = (ObjectKey, Result<Option<Value>, Refusal>);

/// Deletes one object; the result is what is left of it.
///
/// Boxed, because the compiler cannot see that such futures are all `Send`.
fn delete<'a>(cluster: &'a Cluster, action: &'a Action, live: &'a Value) -> BoxFuture<'a, Deleted> {
    async move { (action.key.clone(), delete_one(cluster, action, live).await) }.boxed()
}

async fn delete_one(
    cluster: &Cluster,
    action: &Action,
    live: &Value,
) -> Result<Option<Value>, Refusal> {
    let Some(resource) = cluster.resource(&action.version, &action.key.kind).await? else {
        return Ok(None);
    };
    let wanted = uid(live);
    let propagation = Policy::of(live).propagation.value;
    cluster
        .delete(&resource, &action.key, wanted, propagation)
        .await?;
    let until = tokio::time::Instant::now() + GONE_MAX;
    loop {
        let left = cluster.get(&resource, &action.key).await?;
        let Some(left) = left.filter(|left| uid(left) == wanted) else {
            return Ok(None);
        };
        // A finalizer takes as long as its controller does; nobody else waits for it.
        if !finalizers(&left).is_empty() || tokio::time::Instant::now() >= until {
            return Ok(Some(left));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Tells an object from another one by the same name.
pub(crate) fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid")?.as_str()
}

/// True when an object is being deleted.
pub(crate) fn is_leaving(object: &Value) -> bool {
    let at = object.pointer("/metadata/deletionTimestamp");
    at.is_some_and(|at| !at.is_null())
}

fn finalizers(object: &Value) -> Vec<&str> {
    let finalizers = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let finalizers = finalizers.into_iter().flatten();
    finalizers.filter_map(Value::as_str).collect()
}

/// What holds a deletion up, in words that go on from "is being deleted": the finalizers, and who set each.
pub(crate) fn held_by(object: &Value) -> String {
    let names: Vec<_> = finalizers(object)
        .into_iter()
        .map(|name| match setter(object, name) {
            Some(manager) => format!("finalizer `{name}` of {manager}"),
            None => format!("finalizer `{name}`"),
        })
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(", held by {}", names.join(" and ")),
    }
}

/// The manager that set a finalizer, from `managedFields`: an entry of a set is `v:"name"`.
fn setter<'a>(object: &'a Value, finalizer: &str) -> Option<&'a str> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let element = format!("v:{}", Value::from(finalizer));
    let owns = |entry: &&Value| {
        let set = entry.pointer("/fieldsV1/f:metadata/f:finalizers");
        set.is_some_and(|set| set.get(&element).is_some())
    };
    entries.iter().find(owns)?.get("manager")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_finalizer_is_named_with_who_set_it() {
        let object = json!({"metadata": {"finalizers": ["a.io/x", "b.io/y"], "managedFields": [
            {"manager": "backup-operator", "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, "v:\"a.io/x\"": {}}}}}]}});
        assert_eq!(
            held_by(&object),
            ", held by finalizer `a.io/x` of backup-operator and finalizer `b.io/y`"
        );
        assert_eq!(held_by(&json!({})), "");
    }
}
