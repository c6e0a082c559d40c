//! Shared informers: one watch per kind, one copy of every object, any number of readers.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, Client, Resource,
    api::ObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Key,
    cache::{Cache, Change, revision_of},
};

/// How long [`Informer::caught_up`] waits. A watch that is this late is broken and will be
/// restarted; acting on what is known is then better than standing still.
const CATCH_UP_SECONDS: u64 = 5;

/// A kind that can be watched through its Rust type.
pub trait Object:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

type Handler<K> = Box<dyn Fn(&Change<'_, K>) + Send>;

/// The objects of one kind, kept up to date by a watch. Cheap to clone.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    inner: Mutex<Inner<K>>,
    /// Whether the first list is complete, and the newest resource version seen.
    seen: watch::Sender<(bool, u64)>,
}

struct Inner<K> {
    cache: Cache<K>,
    handlers: Vec<Handler<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Informer<K> {
        Informer {
            shared: self.shared.clone(),
        }
    }
}

impl<K: Object> Informer<K> {
    /// Starts to watch what `api` names, until `shutdown`.
    pub fn start(api: Api<K>, config: watcher::Config, shutdown: CancellationToken) -> Informer<K> {
        let informer = Informer::idle();
        let task = informer.clone();
        tokio::spawn(shutdown.run_until_cancelled_owned(async move {
            let mut events = std::pin::pin!(watcher(api, config).default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => task.apply(event),
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::debug!(kind = %K::kind(&()), error, "watch interrupted");
                    }
                }
            }
        }));
        informer
    }

    fn idle() -> Informer<K> {
        let inner = Inner {
            cache: Cache::default(),
            handlers: Vec::new(),
        };
        let (seen, _) = watch::channel((false, 0));
        Informer {
            shared: Arc::new(Shared {
                inner: Mutex::new(inner),
                seen,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<K>> {
        // A handler that panicked has not harmed the cache.
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, event: watcher::Event<K>) {
        // Nobody here reads managed fields, and they are a third of a small object.
        let event = event.modify(|object| object.meta_mut().managed_fields = None);
        let seen = {
            let inner = &mut *self.inner();
            let handlers = &inner.handlers;
            inner.cache.apply(event, |change| {
                for handler in handlers {
                    handler(&change);
                }
            });
            (inner.cache.listed, inner.cache.revision)
        };
        self.shared
            .seen
            .send_if_modified(|known| std::mem::replace(known, seen) != seen);
    }

    /// Calls `handler` for every change from now on, and at once for every known object. It runs
    /// in the watch's task and must not wait: it is there to put keys into queues.
    pub fn on_change(&self, handler: impl Fn(&Change<'_, K>) + Send + 'static) {
        let inner = &mut *self.inner();
        if inner.cache.listed {
            inner
                .cache
                .all()
                .for_each(|object| handler(&Change::Added(object)));
        }
        inner.handlers.push(Box::new(handler));
    }

    /// Waits until the first list is complete.
    pub async fn ready(&self) {
        let mut seen = self.shared.seen.subscribe();
        // The sender lives in `self`.
        let _ = seen.wait_for(|(listed, _)| *listed).await;
    }

    /// Waits until this informer has seen a write that returned `meta`, so that whoever wrote does
    /// not decide again on the state before. Gives up after a few seconds.
    pub async fn caught_up(&self, meta: &ObjectMeta) {
        let written = revision_of(meta);
        let mut seen = self.shared.seen.subscribe();
        let limit = Duration::from_secs(CATCH_UP_SECONDS);
        if tokio::time::timeout(limit, seen.wait_for(|(_, revision)| *revision >= written))
            .await
            .is_err()
        {
            tracing::debug!(kind = %K::kind(&()), key = %Key::of(meta), "watch is late");
        }
    }

    /// Returns an object by its name; `namespace` is empty for objects of the whole cluster.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.inner().cache.get(namespace, name).cloned()
    }

    /// Returns all objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.inner().cache.all().cloned().collect()
    }

    /// Returns the objects of a namespace, in no order.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.inner().cache.namespace(namespace).cloned().collect()
    }

    /// Returns the objects of a namespace that `keep` accepts, in no order.
    pub fn filter(&self, namespace: &str, keep: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.inner()
            .cache
            .namespace(namespace)
            .filter(|object| keep(object))
            .cloned()
            .collect()
    }

    /// Returns the keys of all objects, in no order.
    pub fn keys(&self) -> Vec<Key> {
        self.inner()
            .cache
            .all()
            .map(|object| Key::of(object.meta()))
            .collect()
    }
}

/// The informers of a process, each started when it is first asked for.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    shutdown: CancellationToken,
    by_type: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl Informers {
    /// Returns an empty set whose watches end with `shutdown`.
    pub fn new(client: Client, shutdown: CancellationToken) -> Informers {
        Informers {
            client,
            shutdown,
            by_type: Arc::default(),
        }
    }

    /// Returns the same informers for a component that writes as somebody else. Whoever asks for a
    /// kind first starts its watch.
    #[must_use]
    pub fn acting_as(&self, client: Client) -> Informers {
        Informers {
            client,
            ..self.clone()
        }
    }

    /// Returns the client of the component.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the token that ends the watches.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Returns the informer of all objects of a kind. Must be called within a tokio runtime.
    pub fn of<K: Object>(&self) -> Informer<K> {
        let mut by_type = self.by_type.lock().unwrap_or_else(PoisonError::into_inner);
        let informer = by_type.entry(TypeId::of::<K>()).or_insert_with(|| {
            let api = Api::<K>::all(self.client.clone());
            let config = watcher::Config::default();
            Box::new(Informer::start(api, config, self.shutdown.clone()))
        });
        let informer: &Informer<K> = informer
            .downcast_ref()
            .expect("the informer was stored under its type");
        informer.clone()
    }
}
