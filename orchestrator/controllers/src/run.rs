//! Runs all controllers in one set of tasks, on one set of informers.

use kube::Client;
use ordain_orchestrator_client::Informers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    deployment, endpoints, garbage, job, namespace, node_lifecycle, pod_garbage, replica_set,
    service_account,
};

/// Runs all controllers until `shutdown`, with watches of their own.
pub async fn run(client: Client, shutdown: CancellationToken) {
    run_shared(Informers::new(client, shutdown)).await;
}

/// Runs all controllers until the informers' shutdown, with the watches of the process.
pub async fn run_shared(informers: Informers) {
    let mut tasks = JoinSet::new();
    tasks.spawn(deployment::run(informers.clone()));
    tasks.spawn(replica_set::run(informers.clone()));
    tasks.spawn(job::run(informers.clone()));
    tasks.spawn(endpoints::run(informers.clone()));
    tasks.spawn(namespace::run(informers.clone()));
    tasks.spawn(service_account::run(informers.clone()));
    tasks.spawn(pod_garbage::run(informers.clone()));
    tasks.spawn(node_lifecycle::run(informers.clone()));
    tasks.spawn(garbage::run(informers.clone()));
    let shutdown = informers.shutdown();
    while let Some(ended) = tokio::select! {
        // Controllers that still wait for their first list end here.
        () = shutdown.cancelled() => None,
        ended = tasks.join_next() => ended,
    } {
        if let Err(error) = ended {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "a controller ended early");
        }
    }
    tasks.shutdown().await;
}
