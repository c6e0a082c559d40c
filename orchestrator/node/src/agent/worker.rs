//! The loop of one pod: look, decide, act, say. It holds what only this agent knows about the pod
//! (images on their way, deadlines, probe results); all decisions are in `pod`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, PodStatus};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Resource as _};
use ordain_orchestrator_client::EventType;
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::Agent;
use super::launch::Launch;
use super::pull::{Had, NotHad};
use crate::images::Image;
use crate::pod::view::Stopping;
use crate::pod::{Action, ImageState, Trouble, World, backoff, status, step};
use crate::probes::{Prober, Results};
use crate::runtime::{ContainerRecord, ContainerState, Exit, StopSignal};

/// How often a pod is looked at when nothing happens; volumes are refreshed then, as kubelet does
/// (syncFrequency).
const PERIOD: Duration = Duration::from_secs(60);

/// How long to wait after something that should have worked did not.
const RETRY: SignedDuration = SignedDuration::from_secs(2);

/// Rounds without a pause, after which a second is waited: a decision that does not settle must
/// not take the machine.
const ROUNDS_MAX: u32 = 50;

/// How long containers may take to stop when the whole node goes down.
const NODE_STOP_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// Where a worker finds the newest state of its pod.
pub(super) struct Mailbox {
    state: Mutex<(Arc<Pod>, bool)>,
    pub(super) signal: Arc<Notify>,
}

impl Mailbox {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        Self {
            state: Mutex::new((pod, false)),
            signal: Arc::default(),
        }
    }

    pub(super) fn deliver(&self, pod: Arc<Pod>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A watch may lag behind what a write of our own returned.
        if revision(&pod) >= revision(&state.0) {
            state.0 = pod;
        }
        drop(state);
        self.signal.notify_one();
    }

    /// The object is gone: the pod is to be taken down without further words.
    pub(super) fn gone(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.signal.notify_one();
    }

    pub(super) fn kick(&self) {
        self.signal.notify_one();
    }

    pub(super) fn pod(&self) -> Arc<Pod> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn is_gone(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

fn revision(pod: &Pod) -> u64 {
    pod.metadata
        .resource_version
        .as_ref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

type Pulled = (String, Result<(Image, Had), NotHad>);

struct Worker {
    agent: Arc<Agent>,
    uid: String,
    mailbox: Arc<Mailbox>,
    pod: Pod,
    reference: ObjectReference,
    images: BTreeMap<String, ImageState>,
    troubles: BTreeMap<String, Trouble>,
    stopping: BTreeMap<String, Stopping>,
    crash_base: BTreeMap<String, u32>,
    messages: BTreeMap<String, String>,
    results: Results,
    probing: BTreeMap<String, AbortHandle>,
    launch: Launch,
    written: Option<PodStatus>,
    pulled: mpsc::UnboundedSender<Pulled>,
    announced: bool,
}

/// Runs a pod until it is gone or the node goes down.
pub(super) async fn run(agent: Arc<Agent>, uid: String, mailbox: Arc<Mailbox>) {
    let (pulled, mut results) = mpsc::unbounded_channel();
    let pod = mailbox.pod().as_ref().clone();
    let mut worker = Worker {
        launch: Launch::new(&agent, &uid),
        reference: pod.object_ref(&()),
        pod,
        agent: agent.clone(),
        uid: uid.clone(),
        mailbox: mailbox.clone(),
        images: BTreeMap::new(),
        troubles: BTreeMap::new(),
        stopping: BTreeMap::new(),
        crash_base: BTreeMap::new(),
        messages: BTreeMap::new(),
        results: Results::default(),
        probing: BTreeMap::new(),
        written: None,
        pulled,
        announced: false,
    };
    let mut rounds = 0;
    loop {
        while let Ok((name, outcome)) = results.try_recv() {
            worker.note_image(name, outcome);
        }
        let (acted, wake) = match worker.round().await {
            Round::Done => break,
            Round::Again { acted, wake } => (acted, wake),
        };
        rounds = if acted { rounds + 1 } else { 0 };
        if acted && rounds < ROUNDS_MAX {
            continue;
        }
        let until = wake.map(|at| at.duration_since(Timestamp::now()));
        let mut pause = until.map_or(PERIOD, |wait| wait.unsigned_abs().min(PERIOD));
        if until.is_some_and(|wait| wait.is_negative()) {
            pause = Duration::ZERO;
        }
        if rounds >= ROUNDS_MAX {
            rounds = 0;
            pause = Duration::from_secs(1);
        }
        tokio::select! {
            () = mailbox.signal.notified() => {}
            Some((name, outcome)) = results.recv() => worker.note_image(name, outcome),
            // A little later than due, so that the time has surely come.
            () = tokio::time::sleep(pause + Duration::from_millis(2)) => worker.refresh().await,
        }
    }
    worker.forget_probes(&[]);
    agent.retire(&uid);
}

enum Round {
    Done,
    Again {
        acted: bool,
        wake: Option<Timestamp>,
    },
}

impl Worker {
    async fn round(&mut self) -> Round {
        let delivered = self.mailbox.pod();
        if revision(&delivered) >= revision(&self.pod) {
            self.pod = delivered.as_ref().clone();
        }
        let gone = self.mailbox.is_gone();
        if gone && self.pod.metadata.deletion_timestamp.is_none() {
            let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now());
            self.pod.metadata.deletion_timestamp = Some(now);
        }
        self.announce();
        let containers = self.containers();
        self.look(&containers);
        let sandbox = self.agent.runtime.find_sandbox(&self.uid);
        let probes = self
            .results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let node_stopping = self.agent.stopping.is_cancelled();
        let pod = self.limited(node_stopping);
        let world = World {
            pod: &pod,
            sandbox: sandbox.as_ref(),
            containers: &containers,
            images: &self.images,
            probes: &probes,
            troubles: &self.troubles,
            stopping: &self.stopping,
            crash_base: &self.crash_base,
            messages: &self.messages,
            node_stopping,
            now: Timestamp::now(),
        };
        let decision = step(&world);
        let status = status::status(&world, self.agent.node_ip);
        let last = decision.actions.contains(&Action::TearDown);
        if !gone && !node_stopping {
            self.say(status).await;
        }
        let mut acted = false;
        for action in decision.actions {
            match action {
                Action::Delete if gone => return Round::Done,
                Action::Delete => {
                    return if self.delete().await {
                        Round::Done
                    } else {
                        let wake = backoff::after(Timestamp::now(), RETRY);
                        Round::Again {
                            acted: false,
                            wake: Some(wake),
                        }
                    };
                }
                other => acted |= self.act(other).await,
            }
        }
        if last && (node_stopping || gone) {
            return Round::Done;
        }
        Round::Again {
            acted,
            wake: decision.wake,
        }
    }

    /// Returns the pod, with a short grace period while the node goes down.
    fn limited(&self, node_stopping: bool) -> Pod {
        let mut pod = self.pod.clone();
        if node_stopping {
            let longest = NODE_STOP_GRACE.as_secs();
            let meta = &mut pod.metadata;
            let own = pod
                .spec
                .as_ref()
                .and_then(|spec| spec.termination_grace_period_seconds);
            let own = meta
                .deletion_grace_period_seconds
                .or(own)
                .unwrap_or(longest);
            meta.deletion_grace_period_seconds = Some(own.min(longest));
        }
        pod
    }

    fn containers(&self) -> Vec<ContainerRecord> {
        let all = self.agent.runtime.containers();
        all.into_iter()
            .filter(|record| record.pod.uid == self.uid)
            .collect()
    }

    fn event(&self, kind: EventType, reason: &'static str, words: impl Into<String>) {
        self.agent
            .recorder
            .record(&self.reference, kind, reason, words);
    }

    /// As [`Self::event`], about one container.
    fn container_event(&self, name: &str, kind: EventType, reason: &'static str, words: String) {
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
    fn announce(&mut self) {
        if std::mem::replace(&mut self.announced, true) {
            return;
        }
        for words in self.agent.runtime.refusals(&self.pod) {
            self.event(EventType::Warning, "NotSupported", words);
        }
    }

    /// Notes what happened to containers since the last look.
    fn look(&mut self, containers: &[ContainerRecord]) {
        let mut running = Vec::new();
        for record in containers {
            match &record.state {
                ContainerState::Running { .. } => {
                    running.push(record.id.clone());
                    self.probe(record);
                }
                ContainerState::Exited(exit) => self.note_exit(record, exit),
                ContainerState::Starting => {}
            }
        }
        self.forget_probes(&running);
        self.stopping.retain(|id, _| running.contains(id));
    }

    fn note_exit(&mut self, record: &ContainerRecord, exit: &Exit) {
        let ran = exit
            .started_at
            .map(|start| exit.finished_at.duration_since(start));
        if ran.is_some_and(|ran| ran >= backoff::FORGET) {
            self.crash_base.insert(record.name.clone(), record.attempt);
        }
        if !self.messages.contains_key(&record.id) {
            let text = self
                .launch
                .termination_message(&record.id)
                .unwrap_or_default();
            if !text.is_empty() {
                self.messages.insert(record.id.clone(), text);
            }
        }
    }

    fn spec_of(&self, name: &str) -> Option<Container> {
        let spec = self.pod.spec.as_ref()?;
        let mut all = spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten());
        all.find(|container| container.name == name).cloned()
    }

    /// Starts probing a container that runs.
    fn probe(&mut self, record: &ContainerRecord) {
        if self.probing.contains_key(&record.id) {
            return;
        }
        let Some(container) = self.spec_of(&record.name) else {
            return;
        };
        let sandbox = self.agent.runtime.find_sandbox(&self.uid);
        let address = sandbox.map_or(self.agent.node_ip, |sandbox| IpAddr::V4(sandbox.address));
        let none = container.startup_probe.is_none();
        let view = crate::pod::ProbeView {
            started: none,
            ready: none && container.readiness_probe.is_none(),
            failed: None,
        };
        self.results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(record.id.clone(), view);
        let (recorder, reference) = (self.agent.recorder.clone(), self.reference.clone());
        let prober = Prober {
            runtime: self.agent.runtime.clone(),
            container,
            id: record.id.clone(),
            address,
            results: self.results.clone(),
            changed: self.mailbox.signal.clone(),
            event: Arc::new(move |kind, reason, words| {
                recorder.record(&reference, kind, reason, words);
            }),
        };
        let task = tokio::spawn(prober.run());
        self.probing.insert(record.id.clone(), task.abort_handle());
    }

    /// Stops probing containers that are not in `running`.
    fn forget_probes(&mut self, running: &[String]) {
        let results = self.results.clone();
        self.probing.retain(|id, task| {
            let keep = running.contains(id);
            if !keep {
                task.abort();
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(id);
            }
            keep
        });
    }

    /// Does one thing; returns whether the world may look different now.
    async fn act(&mut self, action: Action) -> bool {
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

    fn stop(&self, id: &str, signal: StopSignal) {
        if let Err(error) = self.agent.runtime.stop(id, signal) {
            tracing::warn!(%error, container = id, "container could not be signalled");
        }
    }

    fn name_of(&self, id: &str) -> String {
        let found = self.containers().into_iter().find(|record| record.id == id);
        found.map(|record| record.name).unwrap_or_default()
    }

    /// Runs the container's `preStop` command, which counts into its grace period.
    async fn hook_before_stop(&self, id: &str, name: &str) {
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

    fn trouble(&mut self, name: &str, reason: &'static str, message: String) {
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

    async fn prepare(&mut self) -> bool {
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
    async fn refresh(&mut self) {
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

    async fn pull(&mut self, name: &str) -> bool {
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

    fn note_image(&mut self, name: String, outcome: Result<(Image, Had), NotHad>) {
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

    async fn start(&mut self, name: &str, attempt: u32) -> bool {
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

    async fn hook_after_start(&mut self, id: &str, container: &Container) {
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

    /// Writes the status if it says something new.
    async fn say(&mut self, mut status: PodStatus) {
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
    fn note_back_off(&self, status: &PodStatus) {
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
    async fn delete(&self) -> bool {
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
