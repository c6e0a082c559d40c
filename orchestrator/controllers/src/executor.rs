//! Carries actions out, in their order. It decides nothing.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Client, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams,
        Preconditions,
    },
    core::PartialObjectMeta,
};
use ordain_orchestrator_client::{During, EventType, Failure, Key, Next, Recorder};
use serde_json::Value;

use crate::{Action, action::Target};

/// Objects of one kind that are created or deleted at the same time: enough to share the store's
/// commits, few enough to notice early that a quota is used up.
const CONCURRENT_MAX: usize = 16;

/// Carries out the actions of one controller.
#[derive(Clone)]
pub(crate) struct Executor {
    client: Client,
    recorder: Recorder,
}

/// What carrying out led to.
#[derive(Debug)]
pub(crate) struct Done {
    /// When to look again.
    pub(crate) next: Next,
    /// The metadata of what was written, with its kind, for the informers to catch up with.
    pub(crate) written: Vec<(String, ObjectMeta)>,
}

impl Executor {
    pub(crate) fn new(client: Client, component: &'static str) -> Executor {
        let recorder = Recorder::new(client.clone(), component);
        Executor { client, recorder }
    }

    /// Carries out `actions`, which were decided for the object `about`. Neighbouring creations
    /// and deletions happen at the same time; everything else in order, up to the first failure.
    pub(crate) async fn run(
        &self,
        about: &ObjectReference,
        actions: Vec<Action>,
    ) -> Result<Done, Failure> {
        let mut done = Done {
            next: Next::Signal,
            written: Vec::new(),
        };
        let mut actions = actions.into_iter().peekable();
        while let Some(action) = actions.next() {
            tracing::debug!(about = about.name, %action, "act");
            match action {
                Action::Event {
                    event_type,
                    reason,
                    message,
                } => {
                    self.recorder.record(about, event_type, reason, message);
                }
                Action::After(delay) => done.next = sooner(done.next, delay),
                Action::Patch {
                    target,
                    subresource,
                    body,
                } => {
                    let written = self.patch(&target, subresource, body).await?;
                    done.written
                        .extend(written.map(|meta| (target.resource.kind, meta)));
                }
                Action::Create { .. } | Action::Delete { .. } => {
                    let mut together = vec![action];
                    while let Some(next) = actions.next_if(|next| {
                        matches!(next, Action::Create { .. } | Action::Delete { .. })
                    }) {
                        together.push(next);
                    }
                    let mut results = stream::iter(together)
                        .map(|action| self.create_or_delete(about, action))
                        .buffered(CONCURRENT_MAX);
                    while let Some(result) = results.next().await {
                        done.written.extend(result?);
                    }
                }
            }
        }
        Ok(done)
    }

    async fn create_or_delete(
        &self,
        about: &ObjectReference,
        action: Action,
    ) -> Result<Option<(String, ObjectMeta)>, Failure> {
        match action {
            Action::Create {
                resource,
                namespace,
                object,
            } => {
                let created = self.create(about, &resource, &namespace, object).await?;
                Ok(Some((resource.kind, created)))
            }
            Action::Delete {
                target,
                propagation,
                grace_seconds,
            } => {
                let parameters = DeleteParams {
                    propagation_policy: propagation,
                    grace_period_seconds: grace_seconds,
                    preconditions: Some(Preconditions {
                        uid: target.uid.clone(),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                let deleted = self.delete(&target, &parameters).await?;
                if deleted.is_some() && target.resource.kind == "Pod" {
                    let message = format!("Deleted pod: {}", target.key.name);
                    self.recorder
                        .record(about, EventType::Normal, "SuccessfulDelete", message);
                }
                Ok(deleted.map(|meta| (target.resource.kind, meta)))
            }
            _ => Ok(None),
        }
    }

    async fn create(
        &self,
        about: &ObjectReference,
        resource: &ApiResource,
        namespace: &str,
        object: Value,
    ) -> Result<ObjectMeta, Failure> {
        let meta = &object["metadata"];
        let name = meta["name"]
            .as_str()
            .or(meta["generateName"].as_str())
            .unwrap_or_default();
        let key = Key::new(namespace, name);
        let what = || format!("create {} {key}", resource.kind);
        let object: DynamicObject = serde_json::from_value(object)
            .map_err(kube::Error::SerdeError)
            .during(what)?;
        let created = self
            .api(resource, namespace)
            .create(&PostParams::default(), &object)
            .await;
        if resource.kind == "Pod" {
            let (event_type, reason, message) = match &created {
                Ok(pod) => {
                    let message = format!("Created pod: {}", pod.name_any());
                    (EventType::Normal, "SuccessfulCreate", message)
                }
                Err(error) => (
                    EventType::Warning,
                    "FailedCreate",
                    format!("Error creating: {error}"),
                ),
            };
            self.recorder.record(about, event_type, reason, message);
        }
        Ok(created.during(what)?.metadata)
    }

    async fn delete(
        &self,
        target: &Target,
        parameters: &DeleteParams,
    ) -> Result<Option<ObjectMeta>, Failure> {
        let api = self.api(&target.resource, &target.key.namespace);
        let deleted = api
            .delete(&target.key.name, parameters)
            .await
            .unless_gone(|| format!("delete {} {}", target.resource.kind, target.key));
        match deleted {
            Ok(deleted) => Ok(deleted
                .and_then(|deleted| deleted.left())
                .map(|last| last.metadata)),
            // Another object has taken over the name: the one that was meant is gone.
            Err(failure) if failure.is_conflict() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn patch(
        &self,
        target: &Target,
        subresource: Option<&'static str>,
        mut body: Value,
    ) -> Result<Option<ObjectMeta>, Failure> {
        let part = subresource
            .map(|part| format!("/{part}"))
            .unwrap_or_default();
        let what = || format!("patch {}{part} {}", target.resource.kind, target.key);
        if let Some(uid) = &target.uid {
            body["metadata"]["uid"] = uid.as_str().into();
        }
        let api = self.api(&target.resource, &target.key.namespace);
        let (name, parameters) = (&*target.key.name, PatchParams::default());
        let patched = match subresource {
            None => {
                // The answer is wanted for its metadata only.
                let api: Api<PartialObjectMeta<DynamicObject>> = if target.key.namespace.is_empty()
                {
                    Api::all_with(self.client.clone(), &target.resource)
                } else {
                    let namespace = &target.key.namespace;
                    Api::namespaced_with(self.client.clone(), namespace, &target.resource)
                };
                api.patch(name, &parameters, &Patch::Merge(&body))
                    .await
                    .map(|meta| meta.metadata)
            }
            Some(part) => api
                .patch_subresource(part, name, &parameters, &Patch::Merge(&body))
                .await
                .map(|object| object.metadata),
        };
        patched.unless_gone(what)
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        match namespace {
            "" => Api::all_with(self.client.clone(), resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, resource),
        }
    }
}

fn sooner(next: Next, delay: Duration) -> Next {
    match next {
        Next::After(other) if other <= delay => next,
        _ => Next::After(delay),
    }
}
