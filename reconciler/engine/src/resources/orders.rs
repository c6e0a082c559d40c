//! What people ask for by editing an `App` object: `spec.suspend`, and a look by an annotation.

use std::sync::Arc;

use ordain_reconciler_journal::AppRef;
use tokio::sync::mpsc;

use super::app;
use crate::{
    control::{Handler, Reply, Request, Response},
    shared::{Shared, now_ms},
};

/// Makes the engine's suspension of an app what `spec.suspend` says. A suspension by a command stays when the object
/// says nothing.
pub(super) async fn suspend(
    shared: &Shared,
    handler: &Arc<dyn Handler>,
    reference: &AppRef,
    wanted: Option<bool>,
    reason: String,
) {
    let author = format!("App {}", app::name(&reference.env, &reference.name));
    let standing = shared.scribe.known().suspension(reference, now_ms());
    let (app, env) = (Some(reference.name.clone()), Some(reference.env.clone()));
    let request = match (wanted, standing) {
        (Some(true), None) => Request::Suspend {
            app,
            env,
            reason,
            until_ms: None,
            author,
        },
        (Some(false), Some(_)) => Request::Resume { app, env, author },
        (None, Some(standing)) if standing.by == author => Request::Resume { app, env, author },
        _ => return,
    };
    send(handler, request).await;
}

/// Looks at the repository and the app now.
pub(super) async fn sync(handler: &Arc<dyn Handler>, reference: &AppRef) {
    let request = Request::SyncApp {
        app: Some(reference.name.clone()),
        env: Some(reference.env.clone()),
        wait: false,
    };
    send(handler, request).await;
}

async fn send(handler: &Arc<dyn Handler>, request: Request) {
    let (sender, mut lines) = mpsc::channel(16);
    let work = Arc::clone(handler).handle(request, Reply::new(sender));
    let drained = async { while lines.recv().await.is_some() {} };
    let (answer, ()) = futures::join!(work, drained);
    if let Response::Error { message } = answer {
        tracing::warn!(message, "what an App object asks for is not done");
    }
}
