//! Everything a plan is made from, asked of the cluster: what is there, and what a dry run says.

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use ordain_reconciler_plan::{
    ApiVersion, Candidate, Desired, DryRun, Inventory, ObjectKey, Observed, Refusal, Rules,
    adoption, schema,
};
use serde_json::Value;

use crate::{
    cluster::Cluster,
    prepared::{Prepared, Route, hidden, is_definition},
    wire::{lasting, transient},
};

/// Objects asked about at the same time; the cluster's own limit is on requests.
const OBJECTS_AT_ONCE: usize = 32;

/// What was found for one object.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) observed: Observed,
    /// What is sent instead of the declared object, when some of its fields are left to others.
    pub(crate) payload: Option<Value>,
}

/// Asks about the objects at these positions, in their order.
pub(crate) async fn observe_all(
    cluster: &Cluster,
    prepared: &Prepared,
    rules: &Rules,
    wanted: &[usize],
    missing: &BTreeSet<String>,
) -> Vec<Found> {
    // Boxed, because the compiler cannot see that such a closure's futures are all `Send`.
    let looks: Vec<BoxFuture<'_, _>> = wanted
        .iter()
        .map(|&at| {
            let scrub = prepared.sent(at).1;
            let look = observe(cluster, prepared, rules, at, missing);
            look.map(move |mut found| {
                if let DryRun::Refused(refusal) = found.observed.dry_run {
                    found.observed.dry_run = DryRun::Refused(hidden(refusal, scrub));
                }
                found
            })
            .boxed()
        })
        .collect();
    let mut found: Vec<Found> = stream::iter(looks)
        .buffered(OBJECTS_AT_ONCE)
        .collect()
        .await;
    behind_definitions(prepared, rules, wanted, &mut found);
    found
}

/// A definition that changes judges its objects: what the server says of them now is said by the old one.
fn behind_definitions(prepared: &Prepared, rules: &Rules, wanted: &[usize], found: &mut [Found]) {
    let text = |object: &Value, pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut changed: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (&at, found) in wanted.iter().zip(found.iter()) {
        let desired = &prepared.desired[at];
        if let (true, Some(live), DryRun::Accepted(after)) = (
            is_definition(&desired.key),
            &found.observed.live,
            &found.observed.dry_run,
        ) && rules.ignored(desired, live).differs(live, after)
        {
            let group = text(&desired.object, "/spec/group");
            changed.insert((group, text(&desired.object, "/spec/names/kind")), at);
        }
    }
    if changed.is_empty() {
        return;
    }
    for (&at, found) in wanted.iter().zip(found) {
        let desired = &prepared.desired[at];
        let kind = (desired.key.group.clone(), desired.key.kind.clone());
        let Some(&definition) = changed.get(&kind) else {
            continue;
        };
        let definition = &prepared.desired[definition];
        let wrong = schema::check(&definition.object, &desired.object);
        let dry_run = &mut found.observed.dry_run;
        if !wrong.is_empty() {
            *dry_run = DryRun::Refused(lasting(wrong.join("; ")));
        } else if let DryRun::Refused(refusal) = dry_run
            && refusal.immutable.is_empty()
            && !refusal.transient
        {
            *dry_run = DryRun::Later(definition.key.name.clone());
        }
    }
}

async fn observe(
    cluster: &Cluster,
    prepared: &Prepared,
    rules: &Rules,
    at: usize,
    missing: &BTreeSet<String>,
) -> Found {
    let (desired, _) = prepared.sent(at);
    let found = |live, dry_run| Found {
        observed: Observed { live, dry_run },
        payload: None,
    };
    let resource = match &prepared.routes[at] {
        Route::Served(resource) => resource,
        Route::AfterDefinition(name) => {
            return found(None, before_its_definition(prepared, at, name));
        }
        Route::Fault(refusal) => return found(None, DryRun::Refused(refusal.clone())),
    };
    let namespace = desired.key.namespace.as_deref();
    if namespace.is_some_and(|name| missing.contains(name)) {
        return found(None, DryRun::NoNamespace);
    }
    let (live, mut after) = futures::join!(
        cluster.get(resource, &desired.key),
        cluster.apply(resource, desired, true)
    );
    let live = match live {
        Ok(live) => live,
        Err(refusal) => return found(None, DryRun::Refused(refusal)),
    };
    let payload = live.as_ref().and_then(|live| {
        let payload = rules.ignored(desired, live).payload(&desired.object, live);
        (payload != desired.object).then_some(payload)
    });
    if let Some(payload) = &payload {
        // What is left to others is left out of the trial too: the server might refuse just that.
        let desired = Desired {
            object: payload.clone(),
            ..desired.clone()
        };
        after = cluster.apply(resource, &desired, true).await;
    }
    let dry_run = match (&live, after) {
        (_, Ok(after)) => DryRun::Accepted(after),
        (Some(live), Err(refusal)) if is_outdated(live, desired, &refusal.message) => {
            DryRun::Untried(format!(
                "its field managers are moved to {}",
                desired.version
            ))
        }
        (_, Err(refusal)) => DryRun::Refused(refusal),
    };
    Found {
        observed: Observed { live, dry_run },
        payload,
    }
}

/// True when a refusal is about field managers of another version: server-side apply reads their fields with the
/// new version's schema (fluxcd/pkg `ssa/manager_apply.go`, `migrateAPIVersion`).
fn is_outdated(live: &Value, desired: &Desired, message: &str) -> bool {
    message.contains("field not declared in schema")
        && adoption(live, &desired.version, false).is_some()
}

/// The server cannot be asked about a kind that it does not know yet; its definition can.
fn before_its_definition(prepared: &Prepared, at: usize, name: &str) -> DryRun {
    let desired = &prepared.desired[at];
    let found = prepared.definition(name);
    let wrong = found.map(|definition| schema::check(definition, &desired.object));
    match wrong.unwrap_or_default() {
        wrong if wrong.is_empty() => DryRun::Later(name.to_owned()),
        wrong => DryRun::Refused(lasting(wrong.join("; "))),
    }
}

/// What was found of a whole set and its inventory.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// One for each desired object.
    pub(crate) observed: Vec<Observed>,
    pub(crate) candidates: Vec<Candidate>,
}

/// Asks the cluster about every object of the set and of the inventory.
///
/// # Errors
/// When the cluster does not answer, or an object of the inventory cannot be read.
pub(crate) async fn gather(
    cluster: &Cluster,
    prepared: &Prepared,
    rules: &Rules,
    inventory: &Inventory,
) -> Result<Gathered, Refusal> {
    let all: Vec<_> = (0..prepared.desired.len()).collect();
    let missing = missing_namespaces(cluster, prepared, &all).await?;
    let found = observe_all(cluster, prepared, rules, &all, &missing).await;
    let (candidates, unread) = candidates(cluster, &prepared.desired, inventory).await;
    if !unread.is_empty() {
        return Err(transient(unread.join("; ")));
    }
    let observed = found.into_iter().map(|found| found.observed).collect();
    Ok(Gathered {
        observed,
        candidates,
    })
}

/// Namespaces that objects at these positions want and that do not exist, or are on their way out.
///
/// # Errors
/// When the cluster does not answer.
pub(crate) async fn missing_namespaces(
    cluster: &Cluster,
    prepared: &Prepared,
    wanted: &[usize],
) -> Result<BTreeSet<String>, Refusal> {
    let named: BTreeSet<_> = wanted
        .iter()
        // For what cannot be sent no namespace is made.
        .filter(|&&at| !matches!(prepared.routes[at], Route::Fault(_)))
        .filter_map(|&at| prepared.desired[at].key.namespace.as_deref())
        .collect();
    let mut missing = BTreeSet::new();
    for namespace in named {
        if !cluster.has_namespace(namespace).await? {
            missing.insert(namespace.to_owned());
        }
    }
    Ok(missing)
}

/// The objects of an inventory that the set does not declare, as they are; and why some cannot be read. Nothing
/// is concluded from an absence that may be none.
pub(crate) async fn candidates(
    cluster: &Cluster,
    desired: &[Desired],
    inventory: &Inventory,
) -> (Vec<Candidate>, Vec<String>) {
    let declared: BTreeSet<_> = desired.iter().map(|desired| &desired.key).collect();
    let looks: Vec<BoxFuture<'_, _>> = inventory
        .iter()
        .filter(|(key, _)| !declared.contains(key))
        .map(|(key, version)| candidate(cluster, key, version).boxed())
        .collect();
    let mut looks = stream::iter(looks).buffered(OBJECTS_AT_ONCE);
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    while let Some(look) = looks.next().await {
        match look {
            Ok(candidate) => found.push(candidate),
            Err((key, refusal)) => {
                unread.push(format!("{key} cannot be read: {}", refusal.message))
            }
        }
    }
    (found, unread)
}

pub(crate) async fn candidate(
    cluster: &Cluster,
    key: &ObjectKey,
    version: &str,
) -> Result<Candidate, (ObjectKey, Refusal)> {
    let failed = |refusal| (key.clone(), refusal);
    let mut version = ApiVersion {
        group: key.group.clone(),
        version: version.to_owned(),
    };
    let resource = match cluster
        .resource(&version, &key.kind)
        .await
        .map_err(failed)?
    {
        Some(resource) => Some(resource),
        None => (cluster.any_version(&key.group, &key.kind).await).map_err(failed)?,
    };
    let live = match &resource {
        // Nothing serves the kind any more: its objects went with it.
        None => None,
        Some(resource) => {
            version = resource.version.clone();
            cluster.get(resource, key).await.map_err(failed)?
        }
    };
    Ok(Candidate {
        key: key.clone(),
        version,
        live,
    })
}
