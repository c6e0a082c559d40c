//! An API server in a few hundred lines, for what the engine asks of one: discovery, get, list, watch,
//! server-side apply with dry run, delete. It can be told to refuse, to hang and to count.
//!
//! Workloads become healthy at once, unless their image says otherwise: `slow` never becomes ready,
//! `bad` has pods that cannot pull it.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::merge::{merge, remove_left};

type FakeBody = UnsyncBoxBody<Bytes, Infallible>;

/// Kinds that are served: group and version, kind, plural, namespaced.
const KINDS: [(&str, &str, &str, bool); 9] = [
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "Pod", "pods", true),
    (
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        true,
    ),
    ("apps/v1", "Deployment", "deployments", true),
    ("batch/v1", "Job", "jobs", true),
];

/// A path such as `/apis/apps/v1/namespaces/shop/deployments/web`, taken apart.
#[derive(Debug)]
struct Place {
    api_version: String,
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Place {
    fn parse(path: &str) -> Option<Self> {
        let mut parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let api_version = match *parts.first()? {
            "api" => parts.drain(..2).nth(1)?.to_owned(),
            "apis" if parts.len() >= 3 => {
                let mut head = parts.drain(..3);
                format!("{}/{}", head.nth(1)?, head.next()?)
            }
            _ => return None,
        };
        let (namespace, rest) = match parts[..] {
            ["namespaces", namespace, plural, ref rest @ ..] => {
                parts = [&[plural], rest].concat();
                (Some(namespace.to_owned()), &parts[..])
            }
            ref all => (None, all),
        };
        let name = rest.get(1).map(|name| (*name).to_owned());
        Some(Self {
            api_version,
            plural: (*rest.first()?).to_owned(),
            namespace,
            name,
        })
    }

    fn key(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{}/{}/{namespace}/", self.api_version, self.plural)
    }
}

/// Where a write hangs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hang {
    /// The request was lost.
    Before,
    /// The answer was lost.
    After,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// What our manager applied last, by key: fields that leave it are removed.
    applied: BTreeMap<String, Value>,
    /// Every event with its revision.
    told: Vec<(u64, (String, Value))>,
    revision: u64,
    writes: usize,
    /// Method and path of every request that is no watch.
    asked: Vec<String>,
    refuse: BTreeSet<String>,
    /// Writes from this number on hang, before or after they took effect.
    hang: Option<(usize, Hang)>,
    down: bool,
}

/// The server. Clones share one state.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<(String, Value)>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let events = broadcast::channel(1024).0;
        Self {
            state: Arc::default(),
            events,
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| fake.clone().handle(request));
        kube::Client::new(service, "default")
    }

    /// The object at `apps/v1/deployments/shop/web`.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.state
            .lock()
            .expect("no panic")
            .objects
            .get(key)
            .cloned()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.state
            .lock()
            .expect("no panic")
            .objects
            .keys()
            .cloned()
            .collect()
    }

    /// Writes that were no dry runs.
    pub(crate) fn writes(&self) -> usize {
        self.state.lock().expect("no panic").writes
    }

    /// What was asked since the last time, watches left out.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no panic").asked)
    }

    /// Refuses the object of this name from now on; an empty name refuses nothing.
    pub(crate) fn refuse(&self, name: &str) {
        let mut state = self.state.lock().expect("no panic");
        if name.is_empty() {
            state.refuse.clear();
        } else {
            state.refuse.insert(name.to_owned());
        }
    }

    /// Lets every write hang, after `writes` more of them; `None` lets them through again.
    pub(crate) fn hang(&self, hang: Option<(usize, Hang)>) {
        let mut state = self.state.lock().expect("no panic");
        state.hang = hang.map(|(writes, hang)| (state.writes + writes, hang));
    }

    /// Answers nothing but errors.
    pub(crate) fn down(&self, down: bool) {
        self.state.lock().expect("no panic").down = down;
    }

    /// What somebody else does: changes an object behind the engine's back.
    pub(crate) fn edit(&self, key: &str, act: impl FnOnce(&mut Value)) {
        let mut object = self.get(key).expect("it exists");
        act(&mut object);
        self.store(key, object);
    }

    /// What somebody else does: deletes an object.
    pub(crate) fn remove(&self, key: &str) {
        let mut state = self.state.lock().expect("no panic");
        state.revision += 1;
        // What is in a namespace goes with it, and the objects of a kind with its definition.
        let object = state.objects.get(key).cloned().unwrap_or_default();
        let text = |pointer| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let inner = match object["kind"].as_str() {
            Some("Namespace") => Some(format!("/{}/", text("/metadata/name"))),
            Some("CustomResourceDefinition") => Some(format!("/{}/", text("/spec/names/plural"))),
            _ => None,
        };
        let inner = |other: &String| inner.as_ref().is_some_and(|inner| other.contains(inner));
        let mut gone: Vec<_> = state
            .objects
            .keys()
            .filter(|key| inner(key))
            .cloned()
            .collect();
        gone.push(key.to_owned());
        for key in &gone {
            state.applied.remove(key);
            if let Some(object) = state.objects.remove(key) {
                self.tell(&mut state, key, "DELETED", &object);
            }
        }
    }

    /// The kinds that definitions have brought: group and version, kind, plural.
    fn custom(&self) -> Vec<(String, String, String)> {
        let state = self.state.lock().expect("no panic");
        let definitions = state.objects.iter();
        let definitions =
            definitions.filter(|(key, _)| key.contains("/customresourcedefinitions/"));
        let custom = definitions.map(|(_, object)| {
            let text = |pointer| {
                let text = object.pointer(pointer).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let version = format!("{}/{}", text("/spec/group"), text("/spec/versions/0/name"));
            (
                version,
                text("/spec/names/kind"),
                text("/spec/names/plural"),
            )
        });
        custom.collect()
    }

    pub(crate) fn store(&self, key: &str, mut object: Value) {
        let mut state = self.state.lock().expect("no panic");
        state.revision += 1;
        object["metadata"]["resourceVersion"] = state.revision.to_string().into();
        let before = state.objects.insert(key.to_owned(), object.clone());
        let kind = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.tell(&mut state, key, kind, &object);
    }

    /// Tells the watches, those that begin later included.
    fn tell(&self, state: &mut State, key: &str, kind: &str, object: &Value) {
        let event = (key.to_owned(), json!({"type": kind, "object": object}));
        state.told.push((state.revision, event.clone()));
        let _ = self.events.send(event);
    }

    async fn handle(self, request: Request<Body>) -> Result<Response<FakeBody>, Infallible> {
        let (parts, body) = request.into_parts();
        let query: BTreeMap<String, String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let (down, hang) = {
            let mut state = self.state.lock().expect("no panic");
            if !query.contains_key("watch") {
                let asked = format!("{} {}", parts.method, parts.uri.path());
                state.asked.push(asked);
            }
            (
                state.down,
                state
                    .hang
                    .filter(|(from, _)| state.writes >= *from)
                    .map(|(_, hang)| hang),
            )
        };
        if down {
            return Ok(failure(
                503,
                "ServiceUnavailable",
                "the server is down",
                &[],
            ));
        }
        let writes = matches!(parts.method, Method::PATCH | Method::DELETE);
        let writes = writes && !query.contains_key("dryRun");
        if writes && hang == Some(Hang::Before) {
            std::future::pending::<()>().await;
        }
        let answer = self.answer(&parts, &query, &body);
        if writes && hang == Some(Hang::After) {
            std::future::pending::<()>().await;
        }
        Ok(answer)
    }

    fn answer(
        &self,
        parts: &http::request::Parts,
        query: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Response<FakeBody> {
        let dry_run = query.contains_key("dryRun");
        let custom = self.custom();
        if let Some(list) = discovery(parts.uri.path(), &custom) {
            return reply(200, &list);
        }
        let Some(place) = Place::parse(parts.uri.path()) else {
            return failure(404, "NotFound", "no such path", &[]);
        };
        let custom = custom.iter().map(|(_, _, plural)| plural.as_str());
        let mut served = KINDS.iter().map(|(_, _, plural, _)| *plural).chain(custom);
        if !served.any(|plural| plural == place.plural) {
            return failure(404, "NotFound", "no such kind", &[]);
        }
        match (&parts.method, &place.name) {
            (&Method::GET, Some(name)) => match self.get(&format!("{}{name}", place.key())) {
                Some(object) => reply(200, &object),
                None => failure(404, "NotFound", "not found", &[]),
            },
            (&Method::GET, None) if query.contains_key("watch") => {
                let from = query.get("resourceVersion");
                self.watch(&place, from.and_then(|from| from.parse().ok()))
            }
            (&Method::GET, None) => self.list(&place),
            (&Method::PATCH, Some(name)) => match serde_json::from_slice(body) {
                Ok(Value::Array(operations)) => self.remove_fields(&place, name, &operations),
                Ok(object) => self.apply(&place, name, object, dry_run),
                Err(error) => failure(400, "BadRequest", &error.to_string(), &[]),
            },
            (&Method::DELETE, Some(name)) => {
                self.state.lock().expect("no panic").writes += 1;
                self.remove(&format!("{}{name}", place.key()));
                reply(200, &json!({"kind": "Status", "status": "Success"}))
            }
            _ => failure(405, "MethodNotAllowed", "not here", &[]),
        }
    }

    /// A JSON patch that only tests and removes (RFC 6902).
    fn remove_fields(&self, place: &Place, name: &str, operations: &[Value]) -> Response<FakeBody> {
        let key = format!("{}{name}", place.key());
        let Some(mut object) = self.get(&key) else {
            return failure(404, "NotFound", &format!("{name} not found"), &[]);
        };
        let removes = operations
            .iter()
            .filter(|operation| operation["op"] == "remove");
        for path in removes.filter_map(|operation| operation["path"].as_str()) {
            let (parent, field) = path.rsplit_once('/').expect("a pointer");
            if let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
                map.remove(&field.replace("~1", "/"));
            }
        }
        self.store(&key, object.clone());
        reply(200, &object)
    }

    fn apply(&self, place: &Place, name: &str, object: Value, dry_run: bool) -> Response<FakeBody> {
        let key = format!("{}{name}", place.key());
        let mut state = self.state.lock().expect("no panic");
        if state.refuse.contains(name) {
            let cause = [("spec.replicas", "must be greater than or equal to 0")];
            return failure(422, "Invalid", &format!("{name} is invalid"), &cause);
        }
        let namespace = place.namespace.as_deref();
        if let Some(namespace) = namespace
            && !state
                .objects
                .contains_key(&format!("v1/namespaces//{namespace}"))
        {
            return failure(
                404,
                "NotFound",
                &format!("namespaces {namespace:?} not found"),
                &[],
            );
        }
        let live = state.objects.get(&key).cloned();
        let changed_job = live
            .as_ref()
            .is_some_and(|live| live["spec"]["template"] != object["spec"]["template"]);
        if place.plural == "jobs" && changed_job {
            let cause = [("spec.template", "field is immutable")];
            return failure(422, "Invalid", &format!("{name} is invalid"), &cause);
        }
        let mut merged = live.clone().unwrap_or_else(|| json!({}));
        if let Some(before) = state.applied.get(&key) {
            remove_left(&mut merged, before, &object);
        }
        merge(&mut merged, &object);
        let revision = state.revision + 1;
        let metadata = merged["metadata"]
            .as_object_mut()
            .expect("metadata is a map");
        metadata
            .entry("uid")
            .or_insert_with(|| format!("uid-{revision}").into());
        let generation = metadata
            .get("generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        let spec_changed = live
            .as_ref()
            .is_none_or(|live| live.get("spec") != merged.get("spec"));
        if merged.get("spec").is_some() && spec_changed {
            merged["metadata"]["generation"] = (generation + 1).into();
        }
        if dry_run {
            return reply(200, &merged);
        }
        state.applied.insert(key.clone(), object);
        state.writes += 1;
        drop(state);
        control(&mut merged);
        self.store(&key, merged.clone());
        let mut state = self.state.lock().expect("no panic");
        let image = merged
            .pointer("/spec/template/spec/containers/0/image")
            .and_then(Value::as_str);
        let pod = format!("v1/pods/{}/{name}", namespace.unwrap_or_default());
        if place.plural == "deployments" && image.is_some_and(|image| image.contains("bad")) {
            state
                .objects
                .insert(pod, bad_pod(image.unwrap_or_default()));
        } else if place.plural == "deployments" {
            state.objects.remove(&pod);
        }
        reply(200, &merged)
    }

    fn list(&self, place: &Place) -> Response<FakeBody> {
        let state = self.state.lock().expect("no panic");
        let prefix = place.key();
        let all = place.namespace.is_none();
        let prefix = if all {
            prefix.trim_end_matches('/').to_owned() + "/"
        } else {
            prefix
        };
        let items: Vec<_> = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(_, object)| {
                // As a kube-apiserver does: the elements of a list do not say their kind.
                let mut object = object.clone();
                object
                    .as_object_mut()
                    .expect("a map")
                    .retain(|key, _| key != "kind" && key != "apiVersion");
                object
            })
            .collect();
        let metadata = json!({"resourceVersion": state.revision.to_string()});
        reply(
            200,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}),
        )
    }

    fn watch(&self, place: &Place, from: Option<u64>) -> Response<FakeBody> {
        let prefix = place.key().trim_end_matches('/').to_owned() + "/";
        // What came after the list that a watch goes on from is part of it (Kubernetes API concepts,
        // "Efficient detection of changes").
        let (missed, events) = {
            let state = self.state.lock().expect("no panic");
            let later = |(revision, _): &&(u64, _)| from.is_some_and(|from| *revision > from);
            let missed = state.told.iter().filter(later);
            let missed: Vec<_> = missed.map(|(_, event)| event.clone()).collect();
            (missed, self.events.subscribe())
        };
        let lines = stream::iter(missed)
            .chain(stream::unfold(events, |mut events| async move {
                let event = events.recv().await.ok()?;
                Some((event, events))
            }))
            .filter_map(move |(key, event)| {
                let wanted = key.starts_with(&prefix);
                async move {
                    wanted.then(|| Ok(http_body::Frame::data(Bytes::from(format!("{event}\n")))))
                }
            });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

fn discovery(path: &str, custom: &[(String, String, String)]) -> Option<Value> {
    if path == "/apis" {
        let groups = custom.iter().filter_map(|(version, ..)| {
            let (group, _) = version.split_once('/')?;
            Some(json!({"name": group, "versions": [{"groupVersion": version}]}))
        });
        let groups: Vec<_> = groups.take(1).collect();
        return Some(json!({"kind": "APIGroupList", "groups": groups}));
    }
    let version = path
        .strip_prefix("/apis/")
        .or_else(|| path.strip_prefix("/api/"))?;
    let custom = custom
        .iter()
        .map(|(version, kind, plural)| (version.as_str(), kind.as_str(), plural.as_str(), true));
    let resources: Vec<_> = (KINDS.iter().copied().chain(custom))
        .filter(|(api_version, ..)| *api_version == version)
        .map(|(_, kind, plural, namespaced)| {
            json!({"name": plural, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": ["get"]})
        })
        .collect();
    (!resources.is_empty()).then(
        || json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources}),
    )
}

/// What a controller would write into the status.
fn control(object: &mut Value) {
    let generation = object["metadata"]["generation"].clone();
    match object["kind"].as_str() {
        Some("Deployment") => {
            let image = object
                .pointer("/spec/template/spec/containers/0/image")
                .and_then(Value::as_str);
            let stuck = image.is_some_and(|image| image.contains("slow") || image.contains("bad"));
            let wanted = object
                .pointer("/spec/replicas")
                .and_then(Value::as_i64)
                .unwrap_or(1);
            let available = if stuck { 0 } else { wanted };
            object["status"] = json!({
                "observedGeneration": generation, "replicas": wanted, "updatedReplicas": wanted,
                "readyReplicas": available, "availableReplicas": available,
            });
        }
        Some("Namespace") => object["status"] = json!({"phase": "Active"}),
        Some("CustomResourceDefinition") => {
            object["status"] = json!({"conditions": [
                {"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}]});
        }
        Some("PersistentVolumeClaim") => object["status"] = json!({"phase": "Bound"}),
        Some("Job") => {
            object["status"] =
                json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]});
        }
        _ => {}
    }
}

fn bad_pod(image: &str) -> Value {
    let message = format!("Back-off pulling image {image:?}");
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": message}});
    json!({"metadata": {"name": "web-1"}, "spec": {}, "status": {
        "phase": "Pending", "containerStatuses": [{"name": "web", "ready": false, "state": waiting}]}})
}

fn reply(code: u16, value: &Value) -> Response<FakeBody> {
    let body = http_body_util::Full::new(Bytes::from(value.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("a valid code");
    response
}

fn failure(code: u16, reason: &str, message: &str, causes: &[(&str, &str)]) -> Response<FakeBody> {
    let causes: Vec<_> = causes
        .iter()
        .map(|(field, message)| json!({"field": field, "message": message, "reason": "FieldValueInvalid"}))
        .collect();
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message, "metadata": {}, "details": {"causes": causes},
    });
    reply(code, &status)
}
