//! What the cluster says about our objects, by one watch per kind for all apps.
//!
//! Only what the loops need is kept of an object: a few words and two digests, whatever its size.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use kube::{
    Api,
    api::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use ordain_reconciler_journal::Digest;
use ordain_reconciler_plan::{
    MANAGED_BY_LABEL, MANAGER, OWNER_ANNOTATION, ObjectKey, fingerprint, health::Health,
};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::cluster::{Cluster, Resource};

/// What is remembered of a live object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uid: Box<str>,
    pub(crate) generation: i64,
    pub(crate) health: Health,
    /// True when the status is about this generation, or says nothing of generations.
    pub(crate) observed: bool,
    /// Digest of what people and controllers declare; changes when somebody edits the object.
    pub(crate) fingerprint: Digest,
    owner: Option<Box<str>>,
    /// True when it carries our label: then the watch of labelled objects tells of it.
    labelled: bool,
    /// Its resource version as a number; 0 when it is none. Kubernetes lets clients compare them as numbers
    /// (KEP-5504).
    version: u64,
}

impl Seen {
    /// True when `other` shows an older state of the same object.
    fn is_newer_than(&self, other: &Self) -> bool {
        self.uid == other.uid
            && (self.generation > other.generation
                || (self.version > other.version && other.version != 0))
    }

    /// True when nothing differs that a loop would look at.
    fn says_the_same(&self, other: &Self) -> bool {
        let version = self.version;
        *self
            == Self {
                version,
                ..other.clone()
            }
    }

    pub(crate) fn of(cluster: &Cluster, object: &Value) -> Self {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let annotations = object.pointer("/metadata/annotations");
        let owner = annotations
            .and_then(|map| map.get(OWNER_ANNOTATION))
            .and_then(Value::as_str);
        let observed = object
            .pointer("/status/observedGeneration")
            .and_then(Value::as_i64);
        let generation = object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        Self {
            uid: text("/metadata/uid").into(),
            generation,
            observed: observed.is_none_or(|observed| observed >= generation),
            health: cluster.health(object),
            fingerprint: Digest::of(fingerprint(object).as_bytes()),
            owner: owner.map(Into::into),
            labelled: is_labelled(object),
            version: text("/metadata/resourceVersion").parse().unwrap_or(0),
        }
    }

    /// True when it carries this owner's mark.
    pub(crate) fn is_of(&self, owner: &str) -> bool {
        self.owner.as_deref() == Some(owner)
    }
}

/// Which objects of a kind a watch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    /// Those with our label.
    Labelled,
    /// The others, to find the ones of ours which carry somebody else's label.
    Other,
}

/// The kinds an event can be about, as the watcher names them.
type GroupKind = (String, String);

#[derive(Default)]
struct State {
    objects: HashMap<ObjectKey, Arc<Seen>>,
    /// Who is to be woken for an owner.
    owners: HashMap<String, Arc<Notify>>,
    watched: HashSet<(GroupKind, Scope)>,
}

/// A view of all our objects in the cluster, kept by watches.
#[derive(Clone)]
pub(crate) struct Live {
    cluster: Cluster,
    state: Arc<Mutex<State>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Live {
    pub(crate) fn new(cluster: Cluster, tasks: TaskTracker, shutdown: CancellationToken) -> Self {
        Self {
            cluster,
            state: Arc::default(),
            tasks,
            shutdown,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is notified of each change of an owner's objects.
    pub(crate) fn owner(&self, owner: &str) -> Arc<Notify> {
        Arc::clone(self.lock().owners.entry(owner.to_owned()).or_default())
    }

    /// What is known about an object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Seen>> {
        self.lock().objects.get(key).cloned()
    }

    /// Puts in what a write returned; the watch tells the same a moment later.
    pub(crate) fn wrote(&self, key: &ObjectKey, object: &Value) -> Arc<Seen> {
        let seen = Arc::new(Seen::of(&self.cluster, object));
        let mut state = self.lock();
        // The watch may have told what came after this write.
        let known = state.objects.get(key);
        if !known.is_some_and(|known| known.is_newer_than(&seen)) {
            let before = state.objects.insert(key.clone(), Arc::clone(&seen));
            // The watch will tell nothing new of it; whoever had the object has to hear that it is gone.
            if let Some(before) = before.filter(|before| before.owner != seen.owner) {
                state.wake([&*before]);
            }
        }
        seen
    }

    /// Watches an object's kind from now on; calling it again costs nothing. An object that carries somebody
    /// else's label is told of by a watch of its own. Returns true when nobody watched before.
    pub(crate) fn watch_for(&self, resource: &Resource, object: &Value) -> bool {
        let scope = if is_labelled(object) {
            Scope::Labelled
        } else {
            Scope::Other
        };
        let kind = (resource.version.group.clone(), resource.kind.clone());
        let watch = (kind, scope);
        if !self.lock().watched.insert(watch.clone()) {
            return false;
        }
        let (live, resource) = (self.clone(), resource.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = live.shutdown.cancelled() => {}
                () = live.run(&resource, scope) => {
                    tracing::warn!(kind = resource.kind, "a watch ended");
                    live.lock().watched.remove(&watch);
                }
            }
        });
        true
    }

    /// Watches an object of a kind that nobody may declare any more. What it is now is known until the watch has listed
    /// the kind; an older watch knows better.
    pub(crate) fn watch_left(&self, resource: &Resource, key: &ObjectKey, object: &Value) {
        if self.watch_for(resource, object) {
            self.wrote(key, object);
        }
    }

    async fn run(&self, resource: &Resource, scope: Scope) {
        let api: Api<DynamicObject> =
            Api::all_with(self.cluster.client().clone(), &resource.api_resource());
        let config = match scope {
            Scope::Labelled => {
                watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"))
            }
            Scope::Other => {
                watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}!={MANAGER}"))
            }
        };
        let mut events = Box::pin(watcher(api, config).default_backoff());
        // Objects of the list under way; what is not in it was deleted while nobody looked.
        let mut listed = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = Some(HashSet::new()),
                Ok(watcher::Event::InitApply(object)) => {
                    // A list is believed as it is: a cluster restored from a backup counts anew.
                    if let Some(key) = self.apply(resource, scope, &object, true)
                        && let Some(listed) = &mut listed
                    {
                        listed.insert(key);
                    }
                }
                Ok(watcher::Event::InitDone) => {
                    if let Some(listed) = listed.take() {
                        self.keep_only(resource, scope, &listed);
                    }
                }
                Ok(watcher::Event::Apply(object)) => {
                    self.apply(resource, scope, &object, false);
                }
                Ok(watcher::Event::Delete(object)) => {
                    if let Some(key) = value(resource, &object).as_ref().and_then(ObjectKey::of) {
                        self.forget(&key);
                    }
                }
                Err(error) => {
                    tracing::debug!(kind = resource.kind, %error, "watch interrupted");
                }
            }
        }
    }

    fn apply(
        &self,
        resource: &Resource,
        scope: Scope,
        object: &DynamicObject,
        listed: bool,
    ) -> Option<ObjectKey> {
        let is_marked = |object: &DynamicObject| {
            let annotations = object.metadata.annotations.as_ref();
            annotations.is_some_and(|all| all.contains_key(OWNER_ANNOTATION))
        };
        if scope == Scope::Other && !is_marked(object) {
            // Somebody may have taken the mark off.
            let key = ObjectKey::of(&value(resource, object)?)?;
            self.forget(&key);
            return None;
        }
        let object = value(resource, object)?;
        let key = ObjectKey::of(&object)?;
        let seen = Arc::new(Seen::of(&self.cluster, &object));
        let mut state = self.lock();
        // What a write returned may be ahead of the watch.
        let known = state.objects.get(&key);
        if !listed && known.is_some_and(|known| known.is_newer_than(&seen)) {
            return Some(key);
        }
        if known == Some(&seen) {
            // Whoever wrote it shares what is known.
            return Some(key);
        }
        let before = state.objects.insert(key.clone(), Arc::clone(&seen));
        if !before
            .as_ref()
            .is_some_and(|before| before.says_the_same(&seen))
        {
            state.wake(before.as_deref().into_iter().chain([&*seen]));
        }
        Some(key)
    }

    fn forget(&self, key: &ObjectKey) {
        let mut state = self.lock();
        if let Some(seen) = state.objects.remove(key) {
            state.wake([&*seen]);
        }
    }

    fn keep_only(&self, resource: &Resource, scope: Scope, listed: &HashSet<ObjectKey>) {
        let labelled = scope == Scope::Labelled;
        let gone: Vec<_> = {
            let state = self.lock();
            let objects = state.objects.iter().filter(|(key, seen)| {
                key.is(&resource.version.group, &resource.kind) && seen.labelled == labelled
            });
            let keys = objects.map(|(key, _)| key);
            keys.filter(|key| !listed.contains(*key)).cloned().collect()
        };
        gone.iter().for_each(|key| self.forget(key));
    }
}

impl State {
    fn wake<'a>(&self, seen: impl IntoIterator<Item = &'a Seen>) {
        for owner in seen.into_iter().filter_map(|seen| seen.owner.as_deref()) {
            if let Some(notify) = self.owners.get(owner) {
                notify.notify_one();
            }
        }
    }
}

fn is_labelled(object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    let manager = labels.and_then(|labels| labels.get(MANAGED_BY_LABEL));
    manager.is_some_and(|manager| manager == MANAGER)
}

/// Elements of a list carry no kind of their own; a kube-apiserver says it once, for the list.
fn value(resource: &Resource, object: &DynamicObject) -> Option<Value> {
    let mut value = serde_json::to_value(object).ok()?;
    let map = value.as_object_mut()?;
    map.insert("apiVersion".to_owned(), resource.version.to_string().into());
    map.insert("kind".to_owned(), resource.kind.clone().into());
    Some(value)
}
