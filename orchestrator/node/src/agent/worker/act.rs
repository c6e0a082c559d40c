//! What a worker does: the hands of the decision in `pod::step`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use ordain_orchestrator_client::EventType;

use super::super::pull::{Had, NotHad};
use super::{RETRY, Worker};
use crate::images::Image;
use crate::pod::view::Stopping;
use crate::pod::{Action, ImageState, Trouble, backoff};
use crate::runtime::StopSignal;

impl Worker {
    /// Does one thing; returns whether the world may look different now.
    pub(super) async fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Prepare => self.prepare().await,
            Action::Pull { container } => self.pull(&container).await,
            Action::Start { container, attempt } => self.start(&container, attempt).await,
            Action::Ask { id, deadline, why } => {
                let name = self.name_of(&id);
                self.container_event(&name, EventType::Normal, "Killing", why);
                self.hook_before_stop(&id, &name).await;
                let signal = if deadline <= Timestamp::now() {
                    StopSignal::Kill
                } else {
                    StopSignal::Ask
                };
                let killed = signal == StopSignal::Kill;
                self.stopping
                    .insert(id.clone(), Stopping { deadline, killed });
                self.stop(&id, signal);
                false
            }
            Action::Kill { id } => {
                if let Some(known) = self.stopping.get_mut(&id) {
                    known.killed = true;
                }
                self.stop(&id, StopSignal::Kill);
                false
            }
            Action::Remove { id } => {
                let log = self
                    .containers()
                    .into_iter()
                    .find(|r| r.id == id)
                    .map(|r| r.log);
                if let Err(error) = self.agent.runtime.remove(&id).await {
                    tracing::warn!(%error, container = id, "container could not be removed");
                    return false;
                }
                if let Some(log) = log {
                    let _ = tokio::fs::remove_file(crate::shim::log::rotated(&log)).await;
                    let _ = tokio::fs::remove_file(&log).await;
                }
                self.messages.remove(&id);
                false
            }
            Action::TearDown => {
                if let Err(error) = self.agent.runtime.remove_sandbox(&self.uid).await {
                    tracing::warn!(%error, pod = self.uid, "sandbox could not be removed");
                }
                self.agent.clear_pod_folder(&self.uid).await;
                self.launch.clear_logs(&self.pod).await;
                false
            }
            Action::Delete => false,
        }
    }

    pub(super) fn stop(&self, id: &str, signal: StopSignal) {
        if let Err(error) = self.agent.runtime.stop(id, signal) {
            tracing::warn!(%error, container = id, "container could not be signalled");
        }
    }

    pub(super) fn name_of(&self, id: &str) -> String {
        let found = self.containers().into_iter().find(|record| record.id == id);
        found.map(|record| record.name).unwrap_or_default()
    }

    /// Runs the container's `preStop` command, which counts into its grace period.
    pub(super) async fn hook_before_stop(&self, id: &str, name: &str) {
        let container = self.spec_of(name);
        let hook = container.and_then(|container| container.lifecycle?.pre_stop);
        let Some(hook) = hook else { return };
        let grace = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        let limit = Duration::from_secs(u64::try_from(grace.unwrap_or(30)).unwrap_or(0));
        if let Err(words) = self.launch.hook(id, &hook, limit).await {
            let words = format!("PreStopHook failed: {words}");
            self.container_event(name, EventType::Warning, "FailedPreStopHook", words);
        }
    }

    pub(super) fn trouble(&mut self, name: &str, reason: &'static str, message: String) {
        let count = self.troubles.get(name).map_or(0, |known| known.count) + 1;
        let now = Timestamp::now();
        let wait = RETRY * i32::try_from(count.min(8)).unwrap_or(8);
        let retry_at = backoff::after(now, wait);
        let trouble = Trouble {
            reason,
            message,
            since: now,
            retry_at,
            count,
        };
        self.troubles.insert(name.to_owned(), trouble);
    }

    pub(super) async fn prepare(&mut self) -> bool {
        let made = self
            .agent
            .runtime
            .sandbox(&self.launch.sandbox_spec(&self.pod))
            .await;
        let sandbox = match made {
            Ok(sandbox) => sandbox,
            Err(error) => {
                let words = crate::shim::chain(&error);
                let words = format!("Failed to create pod sandbox: {words}");
                self.event(EventType::Warning, "FailedCreatePodSandBox", words.clone());
                self.trouble("", "FailedCreatePodSandBox", words);
                return true;
            }
        };
        match self.launch.prepare(&self.pod, &sandbox).await {
            Ok(()) => {
                self.troubles.remove("");
            }
            Err(words) => {
                self.event(EventType::Warning, "FailedMount", words.clone());
                self.trouble("", "FailedMount", words);
            }
        }
        true
    }

    /// Brings volumes up to date.
    pub(super) async fn refresh(&mut self) {
        let deleting = self.pod.metadata.deletion_timestamp.is_some();
        if deleting || self.troubles.contains_key("") {
            return;
        }
        let Some(sandbox) = self.agent.runtime.find_sandbox(&self.uid) else {
            return;
        };
        if let Err(words) = self.launch.refresh(&self.pod, &sandbox).await {
            self.event(EventType::Warning, "FailedMount", words);
        }
    }

    pub(super) async fn pull(&mut self, name: &str) -> bool {
        let Some(container) = self.spec_of(name) else {
            return false;
        };
        let image = container.image.clone().unwrap_or_default();
        let before = match self.images.remove(name) {
            Some(ImageState::Failed(trouble)) => Some(trouble),
            _ => None,
        };
        self.images
            .insert(name.to_owned(), ImageState::Pulling { before });
        let policy = policy(&container, &image);
        let credentials = self.launch.credentials(&self.pod).await;
        let (agent, name, send) = (self.agent.clone(), name.to_owned(), self.pulled.clone());
        let (recorder, reference) = (self.agent.recorder.clone(), self.reference.clone());
        tokio::spawn(async move {
            let started = || {
                let words = format!("Pulling image \"{image}\"");
                recorder.record(&reference, EventType::Normal, "Pulling", words);
            };
            let outcome = agent
                .puller
                .ensure(&image, &policy, &credentials, started)
                .await;
            let _ = send.send((name, outcome));
        });
        false
    }

    pub(super) fn note_image(&mut self, name: String, outcome: Result<(Image, Had), NotHad>) {
        let image = self
            .spec_of(&name)
            .and_then(|c| c.image)
            .unwrap_or_default();
        let before = match self.images.remove(&name) {
            Some(ImageState::Pulling { before }) => before,
            _ => None,
        };
        let state = match outcome {
            Ok((found, had)) => {
                let words = match had {
                    Had::Present => {
                        format!("Container image \"{image}\" already present on machine")
                    }
                    Had::Pulled(time) => format!(
                        "Successfully pulled image \"{image}\" in {time:.0?} ({time:.0?} including \
                         waiting). Image size: {} bytes.",
                        found.size
                    ),
                };
                self.container_event(&name, EventType::Normal, "Pulled", words);
                ImageState::Ready(Box::new(found))
            }
            Err(NotHad { reason, message }) => {
                let count = before.map_or(0, |known| known.count) + 1;
                let words = format!("Failed to pull image \"{image}\": {message}");
                self.container_event(&name, EventType::Warning, "Failed", words);
                let words = format!("Error: {reason}");
                self.container_event(&name, EventType::Warning, "Failed", words);
                if count > 1 {
                    let words = format!("Back-off pulling image \"{image}\"");
                    self.container_event(&name, EventType::Normal, "BackOff", words);
                }
                let since = Timestamp::now();
                let retry_at = backoff::after(since, backoff::pull(count));
                ImageState::Failed(Trouble {
                    reason,
                    message,
                    since,
                    retry_at,
                    count,
                })
            }
        };
        self.images.insert(name, state);
    }

    pub(super) async fn start(&mut self, name: &str, attempt: u32) -> bool {
        // Taken, so that the next start looks at the pull policy again.
        let Some(ImageState::Ready(image)) = self.images.remove(name) else {
            return false;
        };
        let Some(container) = self.spec_of(name) else {
            return false;
        };
        let Some(sandbox) = self.agent.runtime.find_sandbox(&self.uid) else {
            return true;
        };
        let spec = self
            .launch
            .container(&self.pod, &container, attempt, &image, &sandbox)
            .await;
        let spec = match spec {
            Ok(spec) => spec,
            Err(words) => {
                let event = format!("Error: {words}");
                self.container_event(name, EventType::Warning, "Failed", event);
                self.trouble(name, "CreateContainerConfigError", words);
                return true;
            }
        };
        let id = spec.id.clone();
        match self.agent.runtime.start(spec, &image).await {
            Ok(()) => {
                self.troubles.remove(name);
                let words = format!("Created container: {name}");
                self.container_event(name, EventType::Normal, "Created", words);
                let words = format!("Started container {name}");
                self.container_event(name, EventType::Normal, "Started", words);
                self.hook_after_start(&id, &container).await;
            }
            Err(error) => {
                let words = crate::shim::chain(&error);
                self.container_event(
                    name,
                    EventType::Warning,
                    "Failed",
                    format!("Error: {words}"),
                );
                let recorded = self.containers().iter().any(|record| record.id == id);
                if !recorded {
                    self.trouble(name, "CreateContainerError", words);
                }
            }
        }
        true
    }

    pub(super) async fn hook_after_start(&mut self, id: &str, container: &Container) {
        let hook = container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.post_start.as_ref());
        let Some(hook) = hook else { return };
        let limit = Duration::from_secs(60);
        if let Err(words) = self.launch.hook(id, hook, limit).await {
            let words = format!("PostStartHook failed: {words}");
            self.container_event(
                &container.name,
                EventType::Warning,
                "FailedPostStartHook",
                words,
            );
            self.stop(id, StopSignal::Kill);
        }
    }
}

/// Returns the pull policy, with upstream's default by the tag.
fn policy(container: &Container, image: &str) -> String {
    let given = container
        .image_pull_policy
        .clone()
        .filter(|policy| !policy.is_empty());
    given.unwrap_or_else(|| {
        let last = image.rsplit('/').next().unwrap_or_default();
        let tagged = last.split_once(':').map(|(_, tag)| tag);
        let always = !last.contains('@') && tagged.is_none_or(|tag| tag == "latest");
        if always { "Always" } else { "IfNotPresent" }.to_owned()
    })
}
