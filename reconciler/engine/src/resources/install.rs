//! Brings the definitions of the reconciler's kinds and its namespace into a cluster, when it may.

use std::time::Duration;

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use ordain_reconciler_plan::differs;
use serde_json::{Value, json};

use super::kinds::{self, Kind};

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Returns when everything is there, whoever brought it.
pub(super) async fn install(client: &Client, namespace: &str) {
    let mut pause = Duration::from_millis(100);
    let mut said = false;
    loop {
        let mut refused = None;
        for kind in kinds::ALL {
            let definition = kind.definition();
            refused = refused.or(put(client, &definition).await);
        }
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        if let Some(error) = put(client, &object).await {
            // Whoever may not make namespaces may have been given this one.
            tracing::debug!(namespace, error, "the namespace is not made");
        }
        let mut missing = Vec::new();
        for kind in kinds::ALL {
            if let Err(error) = served(client, namespace, kind).await {
                missing.push(format!("{}: {error}", kind.plural));
            }
        }
        if missing.is_empty() {
            return;
        }
        // The first tries come before a server has taken note of new definitions.
        if !said && pause > Duration::from_secs(3) {
            tracing::warn!(
                namespace,
                reason = refused.unwrap_or_default(),
                missing = missing.join("; "),
                "apps are not shown in the cluster, and no commands are taken from it"
            );
            said = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Applies a cluster-wide object, when that changes something; returns why it was refused.
async fn put(client: &Client, object: &Value) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer)?.as_str();
    let api_version = text("/apiVersion")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = text("/kind")?;
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let params = PatchParams::apply("ordain").force();
    let name = text("/metadata/name")?;
    if let Ok(Some(live)) = api.get_opt(name).await {
        let trial = params.clone().dry_run();
        let after = api.patch(name, &trial, &Patch::Apply(object)).await;
        let values = after.map(|after| (serde_json::to_value(&live), serde_json::to_value(&after)));
        if let Ok((Ok(live), Ok(after))) = values
            && !differs(&live, &after)
        {
            return None;
        }
    }
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.err().map(|error| crate::error::chain(&error))
}

async fn served(client: &Client, namespace: &str, kind: Kind) -> Result<(), kube::Error> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &kind.api_resource());
    api.list(&ListParams::default().limit(1)).await.map(drop)
}
