//! The cluster, one request at a time. Thin: it asks and answers, and decides nothing.

use std::{collections::HashMap, sync::Arc};

use kube::{
    api::{
        DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions, ValidationDirective,
    },
    core::Request,
};
use ordain_reconciler_plan::{ApiVersion, Desired, MANAGER, ObjectKey, Refusal};
use serde_json::{Value, json};
use tokio::sync::{RwLock, Semaphore};

/// Requests under way at the same time. Watches are not counted.
const REQUESTS_MAX: usize = 32;

/// How one kind is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    pub(crate) version: ApiVersion,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

impl Resource {
    /// The collection's path (Kubernetes API concepts, "Resource URIs").
    fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.version.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => {
                format!(
                    "{root}/{}/namespaces/{namespace}/{}",
                    self.version, self.plural
                )
            }
            None => format!("{root}/{}/{}", self.version, self.plural),
        }
    }

    /// The same for kube's watcher.
    pub(crate) fn api_resource(&self) -> kube::api::ApiResource {
        kube::api::ApiResource {
            group: self.version.group.clone(),
            version: self.version.version.clone(),
            api_version: self.version.to_string(),
            kind: self.kind.clone(),
            plural: self.plural.clone(),
        }
    }
}

/// A cluster that is reached through its API alone.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: kube::Client,
    /// What each group and version serves; asked once, and again when a kind is missing.
    kinds: Arc<RwLock<HashMap<ApiVersion, Vec<Resource>>>>,
    gate: Arc<Semaphore>,
}

impl Cluster {
    pub(crate) fn new(client: kube::Client) -> Self {
        let gate = Arc::new(Semaphore::new(REQUESTS_MAX));
        Self {
            client,
            kinds: Arc::default(),
            gate,
        }
    }

    pub(crate) fn client(&self) -> &kube::Client {
        &self.client
    }

    /// How a kind is reached; `None` when the cluster does not serve it.
    pub(crate) async fn resource(
        &self,
        version: &ApiVersion,
        kind: &str,
    ) -> Result<Option<Resource>, Refusal> {
        let find =
            |resources: &[Resource]| resources.iter().find(|found| found.kind == kind).cloned();
        if let Some(found) = self
            .kinds
            .read()
            .await
            .get(version)
            .and_then(|known| find(known))
        {
            return Ok(Some(found));
        }
        let _permit = self.permit().await;
        let listed = if version.group.is_empty() {
            self.client.list_core_api_resources(&version.version).await
        } else {
            self.client
                .list_api_group_resources(&version.to_string())
                .await
        };
        let listed = match listed {
            Ok(listed) => listed.resources,
            Err(error) if is_not_found(&error) => Vec::new(),
            Err(error) => return Err(refusal(&error)),
        };
        let resources: Vec<_> = listed
            .into_iter()
            .filter(|resource| !resource.name.contains('/'))
            .map(|resource| Resource {
                version: version.clone(),
                kind: resource.kind,
                plural: resource.name,
                namespaced: resource.namespaced,
            })
            .collect();
        let found = find(&resources);
        self.kinds.write().await.insert(version.clone(), resources);
        Ok(found)
    }

    /// Asks again what is served, after something failed: a definition may have come or gone.
    pub(crate) async fn forget_kinds(&self) {
        self.kinds.write().await.clear();
    }

    /// The version to read a kind in when the recorded one is not served any more.
    pub(crate) async fn any_version(
        &self,
        group: &str,
        kind: &str,
    ) -> Result<Option<Resource>, Refusal> {
        let groups = self
            .client
            .list_api_groups()
            .await
            .map_err(|error| refusal(&error))?;
        let found = groups.groups.into_iter().find(|found| found.name == group);
        for version in found.into_iter().flat_map(|group| group.versions) {
            let version = ApiVersion::parse(&version.group_version);
            if let Some(resource) = self.resource(&version, kind).await? {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    pub(crate) async fn get(
        &self,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Option<Value>, Refusal> {
        let request = Request::new(resource.path(key.namespace.as_deref()))
            .get(&key.name, &GetParams::default())
            .map_err(|error| invalid(&error))?;
        let _permit = self.permit().await;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Server-side apply with our field manager. Fields that we declare are ours: it always forces.
    pub(crate) async fn apply(
        &self,
        resource: &Resource,
        desired: &Desired,
        dry_run: bool,
    ) -> Result<Value, Refusal> {
        let params = PatchParams {
            dry_run,
            force: true,
            field_manager: Some(MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let request = Request::new(resource.path(desired.key.namespace.as_deref()))
            .patch(&desired.key.name, &params, &Patch::Apply(&desired.object))
            .map_err(|error| invalid(&error))?;
        let _permit = self.permit().await;
        self.client
            .request::<Value>(request)
            .await
            .map_err(|error| refusal(&error))
    }

    /// Sends a JSON patch that tests what it changes; when the test fails, another try may help.
    pub(crate) async fn patch(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        patch: &Value,
    ) -> Result<(), Refusal> {
        let path = resource.path(key.namespace.as_deref());
        let request = http::Request::patch(format!("{path}/{}", key.name))
            .header("content-type", "application/json-patch+json")
            .body(patch.to_string().into_bytes())
            .map_err(|error| Refusal {
                message: error.to_string(),
                immutable: Vec::new(),
                transient: false,
            })?;
        let _permit = self.permit().await;
        let sent = self.client.request::<Value>(request).await;
        sent.map(drop).map_err(|error| Refusal {
            transient: true,
            ..refusal(&error)
        })
    }

    /// Deletes the object with this uid; another one by the same name is left alone.
    /// An object that is gone is deleted.
    pub(crate) async fn delete(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        uid: Option<&str>,
    ) -> Result<(), Refusal> {
        let uid = uid.map(str::to_owned);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let request = Request::new(resource.path(key.namespace.as_deref()))
            .delete(&key.name, &params)
            .map_err(|error| invalid(&error))?;
        let _permit = self.permit().await;
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// True when the namespace exists and is not being deleted.
    pub(crate) async fn has_namespace(&self, name: &str) -> Result<bool, Refusal> {
        let (resource, key) = namespace(name);
        let object = self.get(&resource, &key).await?;
        Ok(object.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_none()))
    }

    /// Creates a namespace which nothing declares. It is not owned by an app, so it is never pruned.
    pub(crate) async fn create_namespace(&self, name: &str) -> Result<(), Refusal> {
        let (resource, key) = namespace(name);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let version = resource.version.clone();
        let desired = Desired {
            key,
            version,
            object,
            at: None,
        };
        self.apply(&resource, &desired, false).await.map(drop)
    }

    /// The pods of a selector.
    pub(crate) async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Value>, Refusal> {
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"))
            .list(&ListParams::default().labels(labels))
            .map_err(|error| invalid(&error))?;
        let _permit = self.permit().await;
        let list: Value = self
            .client
            .request(request)
            .await
            .map_err(|error| refusal(&error))?;
        match list {
            Value::Object(mut list) => match list.remove("items") {
                Some(Value::Array(items)) => Ok(items),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // The semaphore is never closed; without a permit the request would go on all the same.
        self.gate.acquire().await.ok()
    }
}

fn namespace(name: &str) -> (Resource, ObjectKey) {
    let version = ApiVersion {
        group: String::new(),
        version: "v1".to_owned(),
    };
    let (kind, plural) = ("Namespace".to_owned(), "namespaces".to_owned());
    let key = ObjectKey {
        group: String::new(),
        kind: kind.clone(),
        namespace: None,
        name: name.to_owned(),
    };
    (
        Resource {
            version,
            kind,
            plural,
            namespaced: false,
        },
        key,
    )
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn invalid(error: &kube::core::request::Error) -> Refusal {
    Refusal {
        message: error.to_string(),
        immutable: Vec::new(),
        transient: false,
    }
}

/// Reads what the server said. Only a field error that speaks of immutability counts as one: any other
/// 422 may be a typo, and must not make anybody delete a live object.
pub(crate) fn refusal(error: &kube::Error) -> Refusal {
    let kube::Error::Api(status) = error else {
        let message = crate::error::chain(error);
        return Refusal {
            message,
            immutable: Vec::new(),
            transient: true,
        };
    };
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice())
        .unwrap_or_default();
    let immutable = causes
        .iter()
        .filter(|cause| cause.message.contains("immutable"))
        .map(|cause| cause.field.clone())
        .collect();
    let transient = matches!(status.code, 409 | 429 | 500..);
    Refusal {
        message: status.message.clone(),
        immutable,
        transient,
    }
}

/// A label selector in the form of a query (`a=b,c in (d,e)`), from `spec.selector` of a workload.
pub(crate) fn selector_query(selector: &Value) -> Option<String> {
    let mut parts = Vec::new();
    // A Service or ReplicationController writes the labels directly.
    let labels = selector
        .get("matchLabels")
        .unwrap_or(selector)
        .as_object()?;
    for (key, value) in labels {
        if let Some(value) = value.as_str() {
            parts.push(format!("{key}={value}"));
        }
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let key = expression.get("key")?.as_str()?;
        let values = expression.get("values").and_then(Value::as_array);
        let values: Vec<_> = values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match expression.get("operator")?.as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_queries() {
        let check = |selector: Value, wanted: Option<&str>| {
            assert_eq!(selector_query(&selector).as_deref(), wanted);
        };
        check(json!({"matchLabels": {"app": "web"}}), Some("app=web"));
        check(
            json!({"matchLabels": {"app": "web"}, "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"}]}),
            Some("app=web,tier in (a,b),!old"),
        );
        check(json!({"matchLabels": {}}), None);
    }

    #[test]
    fn paths_follow_group_scope_and_namespace() {
        let resource = |group: &str, namespaced| Resource {
            version: ApiVersion {
                group: group.to_owned(),
                version: "v1".to_owned(),
            },
            kind: "Thing".to_owned(),
            plural: "things".to_owned(),
            namespaced,
        };
        assert_eq!(
            resource("", true).path(Some("a")),
            "/api/v1/namespaces/a/things"
        );
        assert_eq!(resource("x.io", true).path(None), "/apis/x.io/v1/things");
        assert_eq!(
            resource("x.io", false).path(Some("a")),
            "/apis/x.io/v1/things"
        );
    }
}
