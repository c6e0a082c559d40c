//! Carries out a plan. It has nothing left to decide.

use std::{collections::HashMap, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use ordain_reconciler_plan::{
    Action, ApiVersion, Candidate, Desired, ObjectKey, Plan, Refusal, Verb,
    health::{self, Status},
    rank,
};
use serde_json::Value;

use crate::{
    adopt,
    cluster::{Cluster, Resource},
    gather::{Prepared, hidden},
};

/// Objects of one rank that are written at the same time.
const WRITES_AT_ONCE: usize = 16;

/// How often something that has to be waited for between two writes is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long a definition may take to be served, or a replaced object to be gone. Flux waits as long.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Objects as the server returned them.
    pub(crate) objects: Vec<(ObjectKey, Resource, Value)>,
    /// Refusals, one line each.
    pub(crate) errors: Vec<String>,
    /// True when every error may go away by itself.
    pub(crate) transient: bool,
}

/// Applies every created, changed and replaced object, rank by rank. A rank with errors is finished,
/// the next one is not begun.
pub(crate) async fn apply(cluster: &Cluster, plan: &Plan, prepared: &Prepared) -> Written {
    let by_key: HashMap<_, _> = prepared
        .desired
        .iter()
        .enumerate()
        .map(|(at, desired)| (&desired.key, prepared.sent(at)))
        .collect();
    let mut written = Written {
        transient: true,
        ..Written::default()
    };
    let writes: Vec<_> = plan
        .actions
        .iter()
        .filter(|action| matches!(action.verb, Verb::Create | Verb::Update | Verb::Replace))
        .filter_map(|action| Some((action, *by_key.get(&action.key)?)))
        .collect();
    for row in writes.chunk_by(|a, b| rank(&a.0.key) == rank(&b.0.key)) {
        // Boxed, because the compiler cannot see that such a closure's futures are all `Send`.
        let row: Vec<BoxFuture<'_, _>> = row
            .iter()
            .map(|(action, (desired, scrub))| {
                async move {
                    let written = write(cluster, action, desired).await;
                    let written = written.map_err(|refusal| hidden(refusal, *scrub));
                    (action.key.clone(), written)
                }
                .boxed()
            })
            .collect();
        let mut results = stream::iter(row).buffer_unordered(WRITES_AT_ONCE);
        while let Some((key, result)) = results.next().await {
            match result {
                Ok((resource, object)) => written.objects.push((key, resource, object)),
                Err(refusal) => {
                    written.transient &= refusal.transient;
                    written.errors.push(format!("{key}: {}", refusal.message));
                }
            }
        }
        if !written.errors.is_empty() {
            written.errors.sort();
            break;
        }
    }
    written
}

async fn write(
    cluster: &Cluster,
    action: &Action,
    desired: &Desired,
) -> Result<(Resource, Value), Refusal> {
    let unserved = || {
        let message = format!("the cluster serves no kind `{}`", desired.key.kind);
        Refusal {
            message,
            immutable: Vec::new(),
            transient: true,
        }
    };
    let resource = cluster
        .resource(&desired.version, &desired.key.kind)
        .await?
        .ok_or_else(unserved)?;
    if action.verb == Verb::Replace {
        remove_first(cluster, &resource, desired).await?;
    }
    if action.verb == Verb::Update
        && let Some(live) = cluster.get(&resource, &desired.key).await?
        && let Some(patch) = adopt::patch(&live)
    {
        cluster.patch(&resource, &desired.key, &patch).await?;
    }
    let object = cluster.apply(&resource, desired, false).await?;
    if desired.key.kind == "CustomResourceDefinition" {
        let object = established(cluster, &resource, &desired.key).await?;
        return Ok((resource, object));
    }
    Ok((resource, object))
}

/// Deletes an object that is about to be created again, once its creation is known to be accepted.
async fn remove_first(
    cluster: &Cluster,
    resource: &Resource,
    desired: &Desired,
) -> Result<(), Refusal> {
    let mut copy = desired.clone();
    copy.key.name = format!(
        "{}-check",
        desired.key.name.get(..40).unwrap_or(&desired.key.name)
    );
    copy.object["metadata"]["name"] = copy.key.name.clone().into();
    cluster.apply(resource, &copy, true).await?;
    let Some(live) = cluster.get(resource, &desired.key).await? else {
        return Ok(());
    };
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    cluster.delete(resource, &desired.key, uid).await?;
    let gone = async {
        while cluster.get(resource, &desired.key).await?.is_some() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    let late = |_| timeout(format!("{} is still being deleted", desired.key));
    tokio::time::timeout(WAIT_MAX, gone).await.map_err(late)?
}

/// A custom object can be sent only when its definition is served.
async fn established(
    cluster: &Cluster,
    resource: &Resource,
    key: &ObjectKey,
) -> Result<Value, Refusal> {
    let served = async {
        loop {
            if let Some(object) = cluster.get(resource, key).await? {
                let health = health::of(&object);
                match health.status {
                    Status::Healthy => return Ok(object),
                    Status::Degraded => {
                        let message = health.message;
                        return Err(Refusal {
                            message,
                            immutable: Vec::new(),
                            transient: false,
                        });
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let late = |_| timeout(format!("{key} is not served yet"));
    tokio::time::timeout(WAIT_MAX, served).await.map_err(late)?
}

fn timeout(message: String) -> Refusal {
    Refusal {
        message,
        immutable: Vec::new(),
        transient: true,
    }
}

/// What was deleted.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Objects that leave the inventory.
    pub(crate) gone: Vec<ObjectKey>,
    /// Refusals, one line each. Their objects stay in the inventory.
    pub(crate) errors: Vec<String>,
}

/// Deletes what the plan deletes, in its order. An object that could not be deleted stops nothing.
pub(crate) async fn prune(cluster: &Cluster, plan: &Plan, candidates: &[Candidate]) -> Pruned {
    let mut pruned = Pruned::default();
    for action in &plan.actions {
        match action.verb {
            Verb::Forget => pruned.gone.push(action.key.clone()),
            Verb::Delete => match delete(cluster, action, candidates).await {
                Ok(true) => pruned.gone.push(action.key.clone()),
                // A finalizer holds it back: it stays in the inventory until it is really gone.
                Ok(false) => {}
                Err(refusal) => pruned
                    .errors
                    .push(format!("{}: {}", action.key, refusal.message)),
            },
            _ => {}
        }
    }
    pruned
}

/// Returns true when the object is gone.
async fn delete(
    cluster: &Cluster,
    action: &Action,
    candidates: &[Candidate],
) -> Result<bool, Refusal> {
    let version: &ApiVersion = &action.version;
    let Some(resource) = cluster.resource(version, &action.key.kind).await? else {
        return Ok(true);
    };
    let uid = |object: &Value| {
        object
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let candidate = candidates
        .iter()
        .find(|candidate| candidate.key == action.key);
    let wanted = candidate
        .and_then(|candidate| candidate.live.as_ref())
        .and_then(uid);
    cluster
        .delete(&resource, &action.key, wanted.as_deref())
        .await?;
    let left = cluster.get(&resource, &action.key).await?;
    Ok(left.is_none_or(|left| uid(&left) != wanted))
}
