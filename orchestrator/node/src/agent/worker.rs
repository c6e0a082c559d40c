//! The loop of one pod: look, decide, act, say. It holds what only this agent knows about the pod
//! (images on their way, deadlines, probe results); all decisions are in `pod`.

mod act;
mod say;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, PodStatus};
use kube::Resource as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Agent;
use super::launch::Launch;
use super::mailbox::{Mailbox, revision};
use super::pull::{Had, NotHad};
use crate::images::Image;
use crate::pod::view::Stopping;
use crate::pod::{Action, ImageState, Trouble, World, backoff, status, step};
use crate::probes::{Prober, Results};
use crate::runtime::{ContainerRecord, ContainerState, Exit};

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
}
