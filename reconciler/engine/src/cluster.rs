//! The cluster, one request at a time. Thin: it asks and answers, and decides nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Request;
use kube::{
    api::{
        DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions, ValidationDirective,
    },
    core::Request as Build,
};
use ordain_reconciler_plan::{
    ApiVersion, Desired, External, MANAGER, ObjectKey, Refusal,
    health::{Health, HealthRules},
    policy::Propagation,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, RwLock},
    time::Instant,
};

use crate::{
    election::Lead,
    metrics::Metrics,
    wire::{Wire, lasting, transient},
};

/// A cluster's uid, if it has one, and when it was asked for.
struct Identity {
    when: Instant,
    uid: Option<String>,
}

/// How long a cluster is taken for the same without asking: a thousand apps need not ask each.
const UID_AGE_MAX: Duration = Duration::from_secs(2);

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
    wire: Wire,
    /// Rules of health for custom kinds.
    rules: Arc<HealthRules>,
    /// The way for what we need to know ourselves, when the other one is somebody else's.
    own: Wire,
    /// What each group and version serves; asked once, and again when a kind is missing.
    kinds: Arc<RwLock<HashMap<ApiVersion, Served>>>,
    /// Held while that is asked: a thousand apps that begin together need the answer once.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// The cluster's uid, and when it was asked for.
    uid: Arc<Mutex<Option<Identity>>>,
}

/// What a group and version serves.
struct Served {
    resources: Vec<Resource>,
    /// Tells one answer from another.
    answer: u64,
}

impl Served {
    fn find(&self, kind: &str) -> Option<Resource> {
        self.resources
            .iter()
            .find(|found| found.kind == kind)
            .cloned()
    }
}

impl Cluster {
    pub(crate) fn new(client: kube::Client, metrics: Arc<Metrics>, lead: Lead) -> Self {
        let wire = Wire::new(client, metrics, lead);
        Self {
            own: wire.clone(),
            rules: Arc::default(),
            wire,
            kinds: Arc::default(),
            uid: Arc::default(),
            asking: Arc::default(),
        }
    }

    /// The same with rules of health for custom kinds.
    pub(crate) fn judging(self, rules: Arc<HealthRules>) -> Self {
        Self { rules, ..self }
    }

    /// Judges an object by itself.
    pub(crate) fn health(&self, object: &Value) -> Health {
        self.rules.of(object)
    }

    /// The same cluster for requests of somebody else: what is asked about objects, and every write. What we need
    /// to know ourselves (which kinds and namespaces there are, why pods wait) we ask as ourselves.
    pub(crate) fn acting_as(&self, user: &str) -> Self {
        Self {
            wire: self.wire.acting_as(user),
            ..self.clone()
        }
    }

    pub(crate) fn client(&self) -> &kube::Client {
        self.wire.client()
    }

    /// How a kind is reached; `None` when the cluster does not serve it.
    pub(crate) async fn resource(
        &self,
        version: &ApiVersion,
        kind: &str,
    ) -> Result<Option<Resource>, Refusal> {
        let look = async || {
            let kinds = self.kinds.read().await;
            let served = kinds.get(version);
            let found = served.and_then(|served| served.find(kind));
            (found, served.map(|served| served.answer))
        };
        let (found, before) = look().await;
        if found.is_some() {
            return Ok(found);
        }
        let _asking = self.asking.lock().await;
        let (found, now) = look().await;
        if found.is_some() || (now.is_some() && now != before) {
            // Somebody asked while this one waited.
            return Ok(found);
        }
        let root = if version.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let listed = self.own.find(plain(format!("{root}/{version}"))?).await?;
        let listed = listed.as_ref().and_then(|list| list.get("resources"));
        let resources: Vec<_> = listed
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|resource| {
                let text = |key| resource.get(key).and_then(Value::as_str).map(str::to_owned);
                Some(Resource {
                    version: version.clone(),
                    kind: text("kind")?,
                    plural: text("name").filter(|name| !name.contains('/'))?,
                    namespaced: resource.get("namespaced")?.as_bool()?,
                })
            })
            .collect();
        let served = Served {
            resources,
            answer: now.or(before).unwrap_or(0) + 1,
        };
        let found = served.find(kind);
        self.kinds.write().await.insert(version.clone(), served);
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
        if group.is_empty() {
            let version = ApiVersion::parse("v1");
            return self.resource(&version, kind).await;
        }
        let groups = self.own.send(plain("/apis".to_owned())?).await?;
        let groups = groups.get("groups").and_then(Value::as_array);
        let found = groups
            .into_iter()
            .flatten()
            .find(|found| found["name"] == group);
        let versions = found.and_then(|group| group.get("versions")?.as_array());
        for version in versions.into_iter().flatten() {
            let version = ApiVersion::parse(version["groupVersion"].as_str().unwrap_or_default());
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
        Self::read(&self.wire, resource, key).await
    }

    async fn read(
        wire: &Wire,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Option<Value>, Refusal> {
        let request = Build::new(resource.path(key.namespace.as_deref()))
            .get(&key.name, &GetParams::default())
            .map_err(|error| invalid(&error))?;
        wire.find(request).await
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
        let request = Build::new(resource.path(desired.key.namespace.as_deref()))
            .patch(&desired.key.name, &params, &Patch::Apply(&desired.object))
            .map_err(|error| invalid(&error))?;
        self.wire.send(request).await
    }

    /// Sends a JSON patch that tests what it changes; when the test fails, another try may help.
    pub(crate) async fn patch(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        patch: &Value,
    ) -> Result<Value, Refusal> {
        let path = resource.path(key.namespace.as_deref());
        let request = Request::patch(format!("{path}/{}", key.name))
            .header("content-type", "application/json-patch+json")
            .body(patch.to_string().into_bytes())
            .map_err(|error| lasting(error.to_string()))?;
        let sent = self.wire.send(request).await;
        sent.map_err(|refusal| transient(refusal.message))
    }

    /// Creates an object as it is; used for what is no part of a set.
    pub(crate) async fn create(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, Refusal> {
        let path = resource.path(namespace);
        let request = Request::post(format!("{path}?fieldManager={MANAGER}"))
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .map_err(|error| lasting(error.to_string()))?;
        self.wire.send(request).await
    }

    /// Deletes the object with this uid; another one by the same name is left alone.
    /// An object that is gone is deleted.
    pub(crate) async fn delete(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        uid: Option<&str>,
        propagation: Propagation,
    ) -> Result<(), Refusal> {
        let uid = uid.map(str::to_owned);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..match propagation {
                Propagation::Background => DeleteParams::background(),
                Propagation::Foreground => DeleteParams::foreground(),
                Propagation::Orphan => DeleteParams::orphan(),
            }
        };
        let request = Build::new(resource.path(key.namespace.as_deref()))
            .delete(&key.name, &params)
            .map_err(|error| invalid(&error))?;
        self.wire.find(request).await.map(drop)
    }

    /// The uid of the namespace `kube-system`: it names the cluster, for as long as that is not made anew. `None` when
    /// there is no such namespace. It is asked for again after [`UID_AGE_MAX`].
    pub(crate) async fn uid(&self) -> Result<Option<String>, Refusal> {
        let mut known = self.uid.lock().await;
        if let Some(known) = known.as_ref()
            && known.when.elapsed() < UID_AGE_MAX
        {
            return Ok(known.uid.clone());
        }
        let (resource, key) = namespace("kube-system");
        let object = Self::read(&self.own, &resource, &key).await?;
        let uid = object
            .as_ref()
            .and_then(|object| object.pointer("/metadata/uid")?.as_str());
        let uid = uid.map(str::to_owned);
        *known = Some(Identity {
            when: Instant::now(),
            uid: uid.clone(),
        });
        Ok(uid)
    }

    /// True when the namespace exists and is not being deleted.
    pub(crate) async fn has_namespace(&self, name: &str) -> Result<bool, Refusal> {
        let (resource, key) = namespace(name);
        let object = Self::read(&self.own, &resource, &key).await?;
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

    /// True when the kinds of a definition are listed and answer: a server may take a moment after it says that
    /// the definition is established.
    pub(crate) async fn serves(&self, definition: &Value) -> Result<bool, Refusal> {
        let text = |pointer| {
            let found = definition.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default()
        };
        let group = text("/spec/group").to_owned();
        let versions = definition
            .pointer("/spec/versions")
            .and_then(Value::as_array);
        for found in versions.into_iter().flatten() {
            if found["served"] != true {
                continue;
            }
            let version = ApiVersion {
                group: group.clone(),
                version: found["name"].as_str().unwrap_or_default().to_owned(),
            };
            self.kinds.write().await.remove(&version);
            let resource = self.resource(&version, text("/spec/names/kind")).await?;
            let Some(resource) = resource else {
                return Ok(false);
            };
            let listed = plain(format!("{}?limit=1", resource.path(None)))?;
            if self.own.find(listed).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True when there is an object of a definition's kind.
    pub(crate) async fn has_objects(&self, definition: &Value) -> Result<bool, Refusal> {
        let text = |pointer| {
            let found = definition.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default()
        };
        let resource = self
            .any_version(text("/spec/group"), text("/spec/names/kind"))
            .await?;
        let Some(resource) = resource else {
            return Ok(false);
        };
        let listed = plain(format!("{}?limit=1", resource.path(None)))?;
        let listed = self.own.find(listed).await?;
        let items = listed
            .as_ref()
            .and_then(|list| list.get("items")?.as_array());
        Ok(items.is_some_and(|items| !items.is_empty()))
    }

    /// True when something that no app here declares is there and healthy.
    pub(crate) async fn is_healthy(&self, external: &External) -> bool {
        let External::Object {
            group,
            kind,
            namespace,
            name,
        } = external
        else {
            return false;
        };
        let group = group.clone().unwrap_or_default();
        let Ok(Some(resource)) = self.any_version(&group, kind).await else {
            return false;
        };
        let key = ObjectKey {
            group,
            kind: kind.clone(),
            namespace: namespace.clone().filter(|_| resource.namespaced),
            name: name.clone(),
        };
        let found = self.get(&resource, &key).await;
        matches!(found, Ok(Some(object)) if self.health(&object).status.is_done())
    }

    /// The pods of a selector.
    pub(crate) async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Value>, Refusal> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.list(path, &ListParams::default().labels(labels)).await
    }

    /// The reason and words of the last warning about an object.
    pub(crate) async fn last_warning(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
    ) -> Option<(String, String)> {
        let fields = format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning");
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let params = ListParams::default().fields(&fields);
        let events = self.list(path, &params).await.ok()?;
        let text = |event: &Value, pointer: &str| {
            let text = event.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        // RFC 3339 in UTC sorts as text.
        let when = |event: &Value| {
            let times = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime"];
            let times = times.into_iter().map(|pointer| text(event, pointer));
            let created = text(event, "/metadata/creationTimestamp");
            times.chain([created]).max().unwrap_or_default()
        };
        let last = events.iter().max_by_key(|event| when(event))?;
        Some((text(last, "/reason"), text(last, "/message")))
    }

    async fn list(&self, path: String, params: &ListParams) -> Result<Vec<Value>, Refusal> {
        let request = Build::new(path)
            .list(params)
            .map_err(|error| invalid(&error))?;
        match self.own.send(request).await? {
            Value::Object(mut list) => match list.remove("items") {
                Some(Value::Array(items)) => Ok(items),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }
}

fn plain(path: String) -> Result<Request<Vec<u8>>, Refusal> {
    let request = Request::get(path).body(Vec::new());
    request.map_err(|error| lasting(error.to_string()))
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

fn invalid(error: &kube::core::request::Error) -> Refusal {
    lasting(error.to_string())
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
