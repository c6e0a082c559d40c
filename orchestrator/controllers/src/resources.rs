//! Which kinds the API server serves, for the controllers that deal with all of them.

use kube::{
    Api, Client, Discovery,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    discovery::Scope,
};
use ordain_orchestrator_client::{During, Failure};

/// Objects of any kind, by their metadata only.
pub(crate) type AnyMeta = PartialObjectMeta<DynamicObject>;

/// A kind whose objects can be listed, watched and deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    pub(crate) api: ApiResource,
    pub(crate) namespaced: bool,
}

impl Resource {
    /// Returns the API of the kind's objects in a namespace; all of them if it is empty.
    pub(crate) fn metadata(&self, client: &Client, namespace: &str) -> Api<AnyMeta> {
        match namespace {
            "" => Api::all_with(client.clone(), &self.api),
            namespace if self.namespaced => {
                Api::namespaced_with(client.clone(), namespace, &self.api)
            }
            _ => Api::all_with(client.clone(), &self.api),
        }
    }
}

/// Asks the server for its kinds, each in its preferred version.
pub(crate) async fn discover(client: &Client) -> Result<Vec<Resource>, Failure> {
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .during(|| "discover the kinds of the API server".to_owned())?;
    let resources = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let mut found: Vec<_> = resources
        .filter(|(_, can)| {
            ["list", "watch", "delete"]
                .iter()
                .all(|verb| can.supports_operation(verb))
        })
        // Events come and go by the thousand, own nothing and are owned by nobody. Kubernetes
        // `pkg/controller/garbagecollector/config`, ignored resources.
        .filter(|(api, _)| api.kind != "Event")
        .map(|(api, can)| Resource {
            api,
            namespaced: can.scope == Scope::Namespaced,
        })
        .collect();
    found.sort_by(|a, b| (&a.api.group, &a.api.kind).cmp(&(&b.api.group, &b.api.kind)));
    Ok(found)
}
