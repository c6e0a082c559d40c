//! Writes one object. It knows what a write can need around it: taking over field managers, making room for a
//! replacement, and waiting until a definition is served.

use std::{borrow::Cow, time::Duration};

use ordain_reconciler_plan::{
    Action, Desired, ObjectKey, Policy, Refusal, Replacement, Verb, adoption, health::Status,
};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Resource},
    prepared::{Route, is_definition},
    remove,
    wire::{lasting, transient},
};

/// How often something that has to be waited for between two writes is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long a definition may take to be served, or a replaced object to be gone. Flux waits as long.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// One object and what is known about it.
pub(crate) struct Step<'a> {
    pub(crate) action: &'a Action,
    /// As it is sent.
    pub(crate) desired: Cow<'a, Desired>,
    pub(crate) route: &'a Route,
    /// As it was found.
    pub(crate) live: Option<&'a Value>,
}

/// Writes one object and returns it as it is then.
///
/// # Errors
/// Why it is not as declared. What was there before is there still, or again.
pub(crate) async fn write(cluster: &Cluster, step: Step<'_>) -> Result<(Resource, Value), Refusal> {
    let Step {
        action,
        desired,
        route,
        live,
    } = step;
    let desired = desired.as_ref();
    let Route::Served(resource) = route else {
        let (kind, version) = (&desired.key.kind, &desired.version);
        return Err(transient(format!(
            "the cluster serves no kind `{kind}` in `{version}`"
        )));
    };
    if action.verb == Verb::Replace {
        let object = replace(cluster, resource, desired).await?;
        return Ok((resource.clone(), object));
    }
    if let Some(live) = live {
        let adopts = Policy::merged(&desired.object, Some(live)).adopts();
        if let Some(patch) = adoption(live, &desired.version, adopts) {
            cluster.patch(resource, &desired.key, &patch).await?;
        }
    }
    let object = cluster.apply(resource, desired, false).await?;
    if is_definition(&desired.key) {
        let object = established(cluster, resource, desired).await?;
        return Ok((resource.clone(), object));
    }
    Ok((resource.clone(), object))
}

/// Deletes an object and creates it again, once its creation is known to be accepted. When it is not created
/// after all, the old one comes back.
async fn replace(
    cluster: &Cluster,
    resource: &Resource,
    desired: &Desired,
) -> Result<Value, Refusal> {
    let key = &desired.key;
    let Some(old) = cluster.get(resource, key).await? else {
        return cluster.apply(resource, desired, false).await;
    };
    let steps = Replacement::new(&desired.object, &old);
    let as_desired = |object: Value| Desired {
        key: ObjectKey {
            name: object["metadata"]["name"]
                .as_str()
                .unwrap_or(&key.name)
                .to_owned(),
            ..key.clone()
        },
        object,
        ..desired.clone()
    };
    if let Some(check) = steps.check {
        cluster.apply(resource, &as_desired(check), true).await?;
    }
    let propagation = Policy::of(&desired.object).propagation.value;
    let uid = steps.uid.as_deref();
    cluster.delete(resource, key, uid, propagation).await?;
    gone(cluster, resource, key, steps.uid.as_deref()).await?;
    let create = as_desired(steps.create);
    let refusal = match cluster.apply(resource, &create, false).await {
        Ok(object) => return Ok(object),
        Err(refusal) => refusal,
    };
    let namespace = key.namespace.as_deref();
    let back = cluster.create(resource, namespace, &steps.restore).await;
    let message = match back {
        Ok(_) => format!("{}; the old one was put back", refusal.message),
        Err(back) => format!(
            "{}; the old one could not be put back: {}",
            refusal.message, back.message
        ),
    };
    Err(Refusal { message, ..refusal })
}

/// Waits until an object is gone. A finalizer may take its time; then the next pass goes on from there.
async fn gone(
    cluster: &Cluster,
    resource: &Resource,
    key: &ObjectKey,
    uid: Option<&str>,
) -> Result<(), Refusal> {
    let mut last = None;
    let gone = async {
        while let Some(object) = cluster.get(resource, key).await? {
            if remove::uid(&object) != uid {
                break;
            }
            last = Some(object);
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    match tokio::time::timeout(WAIT_MAX, gone).await {
        Ok(result) => result,
        Err(_) => {
            let held = last.as_ref().map(remove::held_by).unwrap_or_default();
            Err(transient(format!(
                "the old one is still being deleted{held}"
            )))
        }
    }
}

/// A custom object can be sent only when its definition is served: established, listed, and answering.
async fn established(
    cluster: &Cluster,
    resource: &Resource,
    desired: &Desired,
) -> Result<Value, Refusal> {
    let key = &desired.key;
    let served = async {
        loop {
            if let Some(object) = cluster.get(resource, key).await? {
                let health = cluster.health(&object);
                match health.status {
                    Status::Healthy if cluster.serves(&object).await? => return Ok(object),
                    Status::Degraded => return Err(lasting(health.message)),
                    _ => {}
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(WAIT_MAX, served).await {
        Ok(result) => result,
        Err(_) => Err(transient("its kind is not served yet".to_owned())),
    }
}
