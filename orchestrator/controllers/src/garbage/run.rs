//! Watches the metadata of everything, and deletes what has lost its owners.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::SelectAll};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions, PropagationPolicy},
    runtime::{WatchStreamExt, watcher},
};
use ordain_orchestrator_client::{
    During, Failure, Informers, Key, Next, Queue, WorkConfig, queue, run_controller,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::graph::{FOREGROUND, Graph, Leaving, ORPHAN, Uid};
use crate::resources::{AnyMeta, Resource, discover};

/// How long a new object whose owner is not known is left alone: the watch of the owner's kind
/// may be a little behind.
const GRACE: Duration = Duration::from_millis(500);
/// How often the server is asked for new kinds, besides when a definition changes.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(300);
/// How long after a change of a definition its kind is expected to be served.
const DISCOVERY_DELAY: Duration = Duration::from_secs(1);

type Events = Pin<Box<dyn Stream<Item = (usize, watcher::Result<watcher::Event<AnyMeta>>)> + Send>>;

struct Collector {
    client: Client,
    queue: Queue<Uid>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    graph: Graph,
    /// Every kind that was ever served; objects refer to them by index.
    kinds: Vec<Resource>,
    /// Uids of a list that is not complete yet, by kind.
    listing: HashMap<usize, HashSet<Uid>>,
    /// Kinds whose first list is complete.
    listed: HashSet<usize>,
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let collector = Collector {
        client: informers.client().clone(),
        queue,
        inner: Mutex::default(),
    };
    let shutdown = informers.shutdown().clone();
    let config = WorkConfig {
        concurrency: 8,
        ..WorkConfig::default()
    };
    let suspects = || collector.inner().graph.suspects();
    let reconcile = |uid: Uid| {
        let collector = &collector;
        async move { collector.reconcile(&uid).await }
    };
    let acting = run_controller(
        "garbage-collector",
        config,
        work,
        shutdown.clone(),
        suspects,
        reconcile,
    );
    futures::join!(collector.watch(shutdown), acting);
}

impl Collector {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held that could leave the graph half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the metadata of all kinds until `shutdown`.
    async fn watch(&self, shutdown: CancellationToken) {
        let mut events: SelectAll<Events> = SelectAll::new();
        let mut stops: HashMap<usize, CancellationToken> = HashMap::new();
        let mut next_discovery = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next_discovery) => {
                    let period = match discover(&self.client).await {
                        Ok(served) => {
                            self.follow(&served, &mut events, &mut stops);
                            DISCOVERY_PERIOD
                        }
                        Err(failure) => {
                            let error: &dyn std::error::Error = &failure;
                            tracing::debug!(error, "kinds unknown, will ask again");
                            DISCOVERY_DELAY
                        }
                    };
                    next_discovery = tokio::time::Instant::now() + period;
                }
                Some((kind, event)) = events.next(), if !events.is_empty() => {
                    match event {
                        Ok(event) => {
                            if self.apply(kind, event) {
                                let soon = tokio::time::Instant::now() + DISCOVERY_DELAY;
                                next_discovery = next_discovery.min(soon);
                            }
                        }
                        Err(error) => {
                            let error: &dyn std::error::Error = &error;
                            tracing::debug!(error, "watch interrupted");
                        }
                    }
                }
            }
        }
    }

    /// Starts to watch kinds that are new and stops those that are no longer served.
    fn follow(
        &self,
        served: &[Resource],
        events: &mut SelectAll<Events>,
        stops: &mut HashMap<usize, CancellationToken>,
    ) {
        let mut inner = self.inner();
        stops.retain(|kind, stop| {
            let still = served.contains(&inner.kinds[*kind]);
            if !still {
                stop.cancel();
            }
            still
        });
        for resource in served {
            let kind = inner.kinds.iter().position(|known| known == resource);
            let kind = kind.unwrap_or_else(|| {
                inner.kinds.push(resource.clone());
                inner.kinds.len() - 1
            });
            if stops.contains_key(&kind) {
                continue;
            }
            let stop = CancellationToken::new();
            let api = resource.metadata(&self.client, "");
            let stream = watcher(api, watcher::Config::default()).default_backoff();
            let stream = stream.map(move |event| (kind, event));
            events.push(Box::pin(stream.take_until(stop.clone().cancelled_owned())));
            stops.insert(kind, stop);
        }
    }

    /// Takes an event over; returns whether it may have changed which kinds there are.
    fn apply(&self, kind: usize, event: watcher::Event<AnyMeta>) -> bool {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let mut affected = Vec::new();
        let mut delay = Duration::ZERO;
        match event {
            watcher::Event::Init => {
                inner.listing.insert(kind, HashSet::new());
            }
            watcher::Event::InitApply(object) => {
                let uid = object.metadata.uid.as_deref().map(Uid::from);
                inner.listing.entry(kind).or_default().extend(uid);
                affected = inner.graph.apply(kind, &object.metadata);
                delay = GRACE;
            }
            watcher::Event::InitDone => {
                let listed = inner.listing.remove(&kind).unwrap_or_default();
                let gone = inner.graph.of_kind(kind);
                for uid in gone.into_iter().filter(|uid| !listed.contains(uid)) {
                    affected.extend(inner.graph.remove(&uid));
                }
                inner.listed.insert(kind);
            }
            watcher::Event::Apply(object) => {
                affected = inner.graph.apply(kind, &object.metadata);
                // What is being deleted is known to its owners; only strangers need a grace.
                let uid = object.metadata.uid.as_deref().unwrap_or_default();
                if inner.graph.lacks_owner(uid) {
                    delay = GRACE;
                }
            }
            watcher::Event::Delete(object) => {
                affected = inner
                    .graph
                    .remove(object.metadata.uid.as_deref().unwrap_or_default());
            }
        }
        for uid in affected {
            self.queue.add_after(uid, delay);
        }
        inner.listed.contains(&kind) && inner.kinds[kind].api.kind == "CustomResourceDefinition"
    }

    async fn reconcile(&self, uid: &str) -> Result<Next, Failure> {
        let (object, resource, dependents, blockers) = {
            let inner = self.inner();
            let Some(object) = inner.graph.get(uid).cloned() else {
                return Ok(Next::Signal);
            };
            let resource = inner.kinds[object.kind].clone();
            (
                object,
                resource,
                inner.graph.dependents(uid),
                inner.graph.blockers(uid),
            )
        };
        match object.leaving {
            Leaving::Plainly => {}
            Leaving::Foreground if blockers.is_empty() => {
                self.remove_finalizer(&resource, &object.key, uid, FOREGROUND)
                    .await?;
            }
            // They come back here when they are gone.
            Leaving::Foreground => blockers.into_iter().for_each(|uid| self.queue.add(uid)),
            Leaving::Orphaning => {
                for dependent in &dependents {
                    self.forget_owners(dependent, &[uid]).await?;
                }
                self.remove_finalizer(&resource, &object.key, uid, ORPHAN)
                    .await?;
            }
            Leaving::No => {
                self.delete_if_unowned(&resource, &object.key, uid, &dependents)
                    .await?
            }
        }
        Ok(Next::Signal)
    }

    /// Deletes the object if none of its owners is there to stay.
    async fn delete_if_unowned(
        &self,
        resource: &Resource,
        key: &Key,
        uid: &str,
        dependents: &[Uid],
    ) -> Result<(), Failure> {
        let Some(latest) = self.latest(resource, key, uid).await? else {
            self.inner().graph.remove(uid);
            return Ok(());
        };
        let owners = latest.owner_references.clone().unwrap_or_default();
        if owners.is_empty() || latest.deletion_timestamp.is_some() {
            return Ok(());
        }
        let (mut staying, mut waiting, mut gone) = (0, Vec::new(), Vec::new());
        for owner in &owners {
            match self.find_owner(owner, &key.namespace).await? {
                None => gone.push(owner.uid.as_str()),
                Some(Leaving::Foreground) if owner.block_owner_deletion == Some(true) => {
                    waiting.push(owner.uid.as_str());
                }
                Some(_) => staying += 1,
            }
        }
        if staying > 0 {
            gone.append(&mut waiting);
            if !gone.is_empty() {
                self.forget_owners(uid, &gone).await?;
            }
            return Ok(());
        }
        // Its own dependents go first if somebody waits for the whole tree.
        let policy = if !waiting.is_empty() && !dependents.is_empty() {
            PropagationPolicy::Foreground
        } else {
            let has = |name: &str| {
                latest
                    .finalizers
                    .iter()
                    .flatten()
                    .any(|other| other == name)
            };
            match (has(ORPHAN), has(FOREGROUND)) {
                (true, _) => PropagationPolicy::Orphan,
                (_, true) => PropagationPolicy::Foreground,
                _ => PropagationPolicy::Background,
            }
        };
        let preconditions = Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: latest.resource_version,
        };
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        tracing::debug!(kind = resource.api.kind, %key, "owners are gone, deleting");
        resource
            .metadata(&self.client, &key.namespace)
            .delete(&key.name, &parameters)
            .await
            .unless_gone(|| format!("delete {} {key}, which nobody owns", resource.api.kind))?;
        Ok(())
    }

    /// Asks the server how an owner is; `None` when it is gone.
    async fn find_owner(
        &self,
        owner: &OwnerReference,
        namespace: &str,
    ) -> Result<Option<Leaving>, Failure> {
        let resource = {
            let inner = self.inner();
            if let Some(known) = inner.graph.get(&owner.uid) {
                return Ok(Some(known.leaving));
            }
            let group = owner
                .api_version
                .rsplit_once('/')
                .map_or("", |(group, _)| group);
            let served = inner
                .kinds
                .iter()
                .find(|kind| kind.api.kind == owner.kind && kind.api.group == group);
            served.cloned()
        };
        // An owner of a kind that is not served may come back with its kind.
        let Some(resource) = resource else {
            return Ok(Some(Leaving::No));
        };
        let namespace = if resource.namespaced { namespace } else { "" };
        let key = Key::new(namespace, &owner.name);
        Ok(self
            .latest(&resource, &key, &owner.uid)
            .await?
            .map(|_| Leaving::No))
    }

    /// Returns the metadata of exactly this object, from the server.
    async fn latest(
        &self,
        resource: &Resource,
        key: &Key,
        uid: &str,
    ) -> Result<Option<ObjectMeta>, Failure> {
        let what = || format!("get {} {key}", resource.api.kind);
        let api = resource.metadata(&self.client, &key.namespace);
        let latest = api.get(&key.name).await.unless_gone(what)?;
        Ok(latest
            .map(|object| object.metadata)
            .filter(|meta| meta.uid.as_deref() == Some(uid)))
    }

    async fn remove_finalizer(
        &self,
        resource: &Resource,
        key: &Key,
        uid: &str,
        finalizer: &str,
    ) -> Result<(), Failure> {
        let Some(latest) = self.latest(resource, key, uid).await? else {
            return Ok(());
        };
        let all = latest.finalizers.clone().unwrap_or_default();
        let others: Vec<_> = all.iter().filter(|other| *other != finalizer).collect();
        if others.len() == all.len() {
            return Ok(());
        }
        self.patch(resource, key, &latest, json!({ "finalizers": others }))
            .await
    }

    /// Removes owners from the references of an object.
    async fn forget_owners(&self, uid: &str, owners: &[&str]) -> Result<(), Failure> {
        let found = {
            let inner = self.inner();
            let object = inner.graph.get(uid);
            object.map(|object| (inner.kinds[object.kind].clone(), object.key.clone()))
        };
        let Some((resource, key)) = found else {
            return Ok(());
        };
        let Some(latest) = self.latest(&resource, &key, uid).await? else {
            return Ok(());
        };
        let all = latest.owner_references.clone().unwrap_or_default();
        let others: Vec<_> = all
            .iter()
            .filter(|owner| !owners.contains(&owner.uid.as_str()))
            .collect();
        if others.len() == all.len() {
            return Ok(());
        }
        self.patch(
            &resource,
            &key,
            &latest,
            json!({ "ownerReferences": others }),
        )
        .await
    }

    /// Changes metadata unless somebody else has changed the object meanwhile.
    async fn patch(
        &self,
        resource: &Resource,
        key: &Key,
        latest: &ObjectMeta,
        mut meta: Value,
    ) -> Result<(), Failure> {
        meta["uid"] = json!(latest.uid);
        meta["resourceVersion"] = json!(latest.resource_version);
        let body = json!({ "metadata": meta });
        resource
            .metadata(&self.client, &key.namespace)
            .patch(&key.name, &PatchParams::default(), &Patch::Merge(&body))
            .await
            .unless_gone(|| format!("patch the metadata of {} {key}", resource.api.kind))?;
        Ok(())
    }
}
