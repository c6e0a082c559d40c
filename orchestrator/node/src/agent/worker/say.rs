//! What a worker tells the cluster: events, the pod's status, and that the pod is gone.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use ordain_orchestrator_client::EventType;
use serde_json::json;

use super::Worker;
use crate::agent::mailbox::revision;

impl Worker {
    pub(super) fn event(&self, kind: EventType, reason: &'static str, words: impl Into<String>) {
        self.agent
            .recorder
            .record(&self.reference, kind, reason, words);
    }

    /// As [`Self::event`], about one container.
    pub(super) fn container_event(
        &self,
        name: &str,
        kind: EventType,
        reason: &'static str,
        words: String,
    ) {
        let init = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.init_containers.as_ref());
        let init = init.is_some_and(|list| list.iter().any(|c| c.name == name));
        let field = if init { "initContainers" } else { "containers" };
        let mut reference = self.reference.clone();
        reference.field_path = Some(format!("spec.{field}{{{name}}}"));
        self.agent.recorder.record(&reference, kind, reason, words);
    }

    /// Says once what the driver cannot do for this pod.
    pub(super) fn announce(&mut self) {
        if std::mem::replace(&mut self.announced, true) {
            return;
        }
        for words in self.agent.runtime.refusals(&self.pod) {
            self.event(EventType::Warning, "NotSupported", words);
        }
    }

    /// Writes the status if it says something new.
    pub(super) async fn say(&mut self, mut status: PodStatus) {
        if self.written.as_ref() == Some(&status) || self.pod.status.as_ref() == Some(&status) {
            return;
        }
        self.note_back_off(&status);
        let meta = &self.pod.metadata;
        let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else {
            return;
        };
        let api = Api::<Pod>::namespaced(self.agent.config.client.clone(), namespace);
        // The UID keeps us from writing about a stranger of the same name.
        let patch = json!({"metadata": {"uid": self.uid}, "status": status});
        let patched = api
            .patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        match patched {
            Ok(pod) => {
                if let Some(known) = &pod.status {
                    status = known.clone();
                }
                self.written = Some(status);
                if revision(&pod) >= revision(&self.pod) {
                    self.pod = pod;
                }
            }
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => {
                tracing::debug!(pod = name, "status not written: the pod is gone or another");
            }
            Err(error) => tracing::warn!(%error, pod = name, "status could not be written"),
        }
    }

    /// Says that a container waits for its restart, once per wait.
    pub(super) fn note_back_off(&self, status: &PodStatus) {
        let waits = |status: &PodStatus| {
            let lists = [&status.container_statuses, &status.init_container_statuses];
            let all = lists.into_iter().flatten().flatten();
            let looping = all.filter(|one| {
                let waiting = one.state.as_ref().and_then(|state| state.waiting.as_ref());
                waiting.and_then(|w| w.reason.as_deref()) == Some("CrashLoopBackOff")
            });
            looping
                .map(|one| (one.name.clone(), one.restart_count))
                .collect::<Vec<_>>()
        };
        let before = self.written.as_ref().map(waits).unwrap_or_default();
        for (name, count) in waits(status) {
            if before.contains(&(name.clone(), count)) {
                continue;
            }
            let meta = &self.pod.metadata;
            let words = format!(
                "Back-off restarting failed container {name} in pod {}_{}({})",
                meta.name.as_deref().unwrap_or_default(),
                meta.namespace.as_deref().unwrap_or_default(),
                self.uid,
            );
            self.container_event(&name, EventType::Warning, "BackOff", words);
        }
    }

    /// Deletes the object for good; returns whether it is gone.
    pub(super) async fn delete(&self) -> bool {
        let meta = &self.pod.metadata;
        let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else {
            return true;
        };
        let api = Api::<Pod>::namespaced(self.agent.config.client.clone(), namespace);
        let own = Preconditions {
            uid: Some(self.uid.clone()),
            resource_version: None,
        };
        let options = DeleteParams::default().grace_period(0).preconditions(own);
        match api.delete(name, &options).await {
            Ok(_) => true,
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => true,
            Err(error) => {
                tracing::warn!(%error, pod = name, "pod could not be deleted");
                false
            }
        }
    }
}
