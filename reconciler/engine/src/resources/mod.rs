//! The reconciler's own objects: `App` and `Source` show its state, `Request` takes commands.
//!
//! They are a courtesy. Without the right to define or write them the reconciler says so once and goes on without.

pub(crate) mod app;
pub(crate) mod changes;
mod events;
mod inbox;
mod install;
pub(crate) mod kinds;
mod mirror;
mod orders;
mod source;

use std::sync::{Arc, Mutex};

use kube::{Api, Client, api::DynamicObject};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{SourceStatus, control::Handler, shared::Shared};

/// What the reconciler's own objects need of it.
pub(crate) struct Resources {
    pub(crate) client: Client,
    /// Where they are.
    pub(crate) namespace: String,
    /// Who tells events.
    pub(crate) identity: String,
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Arc<Mutex<SourceStatus>>,
    pub(crate) handler: Arc<dyn Handler>,
    /// False while another reconciler leads: then that one has the objects.
    pub(crate) leads: watch::Receiver<bool>,
    pub(crate) tasks: TaskTracker,
}

impl Resources {
    /// Runs until `shutdown`.
    pub(crate) fn spawn(self, shutdown: CancellationToken) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.run() => {}
            }
        });
    }

    async fn run(mut self) {
        loop {
            if self.leads.wait_for(|leads| *leads).await.is_err() {
                return;
            }
            let mut leads = self.leads.clone();
            tokio::select! {
                () = self.serve() => {}
                _ = leads.wait_for(|leads| !*leads) => {}
            }
        }
    }

    async fn serve(&self) {
        install::install(&self.client, &self.namespace).await;
        let api = |kind: kinds::Kind| -> Api<DynamicObject> {
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind.api_resource())
        };
        let mirror = mirror::Mirror::new(
            Arc::clone(&self.shared),
            source::ShownSource::new(api(kinds::SOURCE), Arc::clone(&self.source)),
            Arc::clone(&self.handler),
            api(kinds::APP),
            events::Events::new(self.client.clone(), &self.namespace, &self.identity),
        );
        let inbox = inbox::run(
            api(kinds::REQUEST),
            Arc::clone(&self.handler),
            self.tasks.clone(),
        );
        futures::join!(mirror.run(), inbox);
    }
}
