//! Namespace: when it is deleted, deletes everything in it and lets it go.
//! Kubernetes `pkg/controller/namespace/deletion`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, NamespaceSpec};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use ordain_orchestrator_client::{
    During, Failure, Informers, Key, Next, WorkConfig, queue, run_controller,
};

use crate::resources::{Resource, discover};

/// The finalizer in `spec` that says that the content is still there.
const FINALIZER: &str = "kubernetes";
/// How long until content that takes its time to go, such as pods, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let namespaces = informers.of::<Namespace>();
    namespaces.ready().await;
    namespaces.on_change(move |change| {
        let namespace = change.object();
        if is_leaving(namespace) {
            queue.add(Key::of(&namespace.metadata));
        }
    });
    let shutdown = informers.shutdown().clone();
    let (client, config) = (informers.client(), WorkConfig::default());
    let keys = || {
        let leaving = namespaces
            .list()
            .into_iter()
            .filter(|namespace| is_leaving(namespace));
        leaving
            .map(|namespace| Key::of(&namespace.metadata))
            .collect()
    };
    let reconcile = |key: Key| {
        let namespace = namespaces
            .get("", &key.name)
            .filter(|namespace| is_leaving(namespace));
        async move {
            match namespace {
                Some(namespace) => empty(client, &namespace).await,
                None => Ok(Next::Signal),
            }
        }
    };
    run_controller("namespace", config, work, shutdown, keys, reconcile).await;
}

/// Whether the namespace is deleted and waits for its content to go.
fn is_leaving(namespace: &Namespace) -> bool {
    let finalizers = namespace
        .spec
        .as_ref()
        .and_then(|spec| spec.finalizers.as_ref());
    namespace.metadata.deletion_timestamp.is_some()
        && finalizers
            .into_iter()
            .flatten()
            .any(|finalizer| finalizer == FINALIZER)
}

async fn empty(client: &Client, namespace: &Namespace) -> Result<Next, Failure> {
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let mut remaining = 0;
    for resource in discover(client)
        .await?
        .iter()
        .filter(|resource| resource.namespaced)
    {
        remaining += delete_all(client, resource, name).await?;
    }
    if remaining > 0 {
        tracing::debug!(namespace = name, remaining, "namespace is not empty yet");
        return Ok(Next::After(LOOK_AGAIN));
    }
    let finalizers = namespace
        .spec
        .as_ref()
        .and_then(|spec| spec.finalizers.clone());
    let others = finalizers
        .into_iter()
        .flatten()
        .filter(|finalizer| finalizer != FINALIZER);
    let mut finalized = namespace.clone();
    finalized.spec = Some(NamespaceSpec {
        finalizers: Some(others.collect()),
    });
    Api::<Namespace>::all(client.clone())
        .replace_subresource("finalize", name, &PostParams::default(), &finalized)
        .await
        .unless_gone(|| format!("finalize namespace {name}"))?;
    Ok(Next::Signal)
}

/// Deletes all objects of a kind and returns how many were there, at least.
async fn delete_all(
    client: &Client,
    resource: &Resource,
    namespace: &str,
) -> Result<usize, Failure> {
    let api = resource.metadata(client, namespace);
    let what = || format!("list {} in namespace {namespace}", resource.api.plural);
    let list = api
        .list(&ListParams::default().limit(500))
        .await
        .unless_gone(what)?;
    let Some(list) = list.filter(|list| !list.items.is_empty()) else {
        return Ok(0);
    };
    let parameters = DeleteParams::background();
    for object in &list.items {
        // What is leaving already keeps its own time.
        if object.metadata.deletion_timestamp.is_none() {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let what = || format!("delete {} {namespace}/{name}", resource.api.kind);
            api.delete(name, &parameters).await.unless_gone(what)?;
        }
    }
    Ok(list.items.len())
}
