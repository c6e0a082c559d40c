//! What proxy and name server both look at: one watch per kind, shared.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The cached Services and EndpointSlices of the whole cluster.
#[derive(Clone)]
pub struct Informers {
    /// Every Service.
    pub services: reflector::Store<Service>,
    /// Every EndpointSlice.
    pub slices: reflector::Store<EndpointSlice>,
    pub(crate) changed: Arc<Notify>,
}

impl Informers {
    /// Starts both watches; they run until `shutdown`.
    #[must_use]
    pub fn start(client: &Client, shutdown: &CancellationToken) -> Self {
        let changed = Arc::new(Notify::new());
        Self {
            services: reflect(client, changed.clone(), shutdown.clone()),
            slices: reflect(client, changed.clone(), shutdown.clone()),
            changed,
        }
    }
}

fn reflect<K>(
    client: &Client,
    changed: Arc<Notify>,
    shutdown: CancellationToken,
) -> reflector::Store<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store::<K>();
    let stream = watcher(Api::<K>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        // Who owns which field is half of a small object, and nobody here asks.
        .modify(|object| kube::ResourceExt::managed_fields_mut(object).clear())
        .reflect(writer);
    tokio::spawn(shutdown.run_until_cancelled_owned(async move {
        let mut stream = stream
            .inspect_err(|error| tracing::debug!(%error, "a watch broke and starts again"))
            .boxed();
        while let Some(event) = stream.next().await {
            if event.is_ok() {
                changed.notify_one();
            }
        }
    }));
    store
}
