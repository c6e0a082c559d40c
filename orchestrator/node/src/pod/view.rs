//! What the decision about a pod is made from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::images::Image;
use crate::runtime::{ContainerRecord, ContainerState, Exit, Sandbox};

/// Where the image of a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// Being fetched, perhaps after a failure.
    Pulling {
        /// What went wrong the last time.
        before: Option<Trouble>,
    },
    /// Here; taken by the next start.
    Ready(Box<Image>),
    /// Could not be had; tried again later.
    Failed(Trouble),
}

/// Something that went wrong and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Upstream's word: `ErrImagePull`, `CreateContainerConfigError`, `FailedMount` and so on.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// When it happened.
    pub since: Timestamp,
    /// When to try again; never before.
    pub retry_at: Timestamp,
    /// How often in a row.
    pub count: u32,
}

/// What the probes of a running container found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeView {
    /// Whether the startup probe has passed, or there is none.
    pub started: bool,
    /// Whether the readiness probe passes, or there is none and it has started.
    pub ready: bool,
    /// Why the container must be restarted, in upstream's words.
    pub failed: Option<String>,
}

/// A container that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping {
    /// When it is killed.
    pub deadline: Timestamp,
    /// Whether it was killed already.
    pub killed: bool,
}

/// Everything known about one pod.
#[derive(Debug, Clone)]
pub struct World<'a> {
    /// What is wanted.
    pub pod: &'a Pod,
    /// Its sandbox, if there is one.
    pub sandbox: Option<&'a Sandbox>,
    /// Its containers, all attempts.
    pub containers: &'a [ContainerRecord],
    /// Images by container name; missing is unknown.
    pub images: &'a BTreeMap<String, ImageState>,
    /// Probe results by container ID; missing is a container that was not looked at yet.
    pub probes: &'a BTreeMap<String, ProbeView>,
    /// Troubles by container name; the pod's own (sandbox, volumes) under the empty name.
    pub troubles: &'a BTreeMap<String, Trouble>,
    /// Containers asked to stop, by ID.
    pub stopping: &'a BTreeMap<String, Stopping>,
    /// Attempts by container name from which crashes are counted.
    pub crash_base: &'a BTreeMap<String, u32>,
    /// Messages that containers left behind, by container ID.
    pub messages: &'a BTreeMap<String, String>,
    /// Whether the whole node goes down: pods are stopped, their objects stay.
    pub node_stopping: bool,
    /// The time.
    pub now: Timestamp,
}

/// What a pod does with a container that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Restart always.
    Always,
    /// Restart unless it ended with 0.
    OnFailure,
    /// Never restart.
    Never,
}

impl World<'_> {
    /// Returns the pod's init containers in order.
    pub fn init(&self) -> &[Container] {
        self.pod
            .spec
            .as_ref()
            .and_then(|spec| spec.init_containers.as_deref())
            .unwrap_or_default()
    }

    /// Returns the pod's containers.
    pub fn main(&self) -> &[Container] {
        self.pod
            .spec
            .as_ref()
            .map(|spec| spec.containers.as_slice())
            .unwrap_or_default()
    }

    /// Returns the newest container of a name.
    pub fn latest(&self, name: &str) -> Option<&ContainerRecord> {
        let own = self.containers.iter().filter(|record| record.name == name);
        own.max_by_key(|record| record.attempt)
    }

    /// Returns which attempt the first container of a name is: not 0 when the pod's status tells of
    /// one that nothing is left of, as after a restart of the node.
    pub fn first_attempt(&self, name: &str) -> u32 {
        let status = self.pod.status.as_ref();
        let lists = status.map(|s| [&s.container_statuses, &s.init_container_statuses]);
        let mut all = lists.into_iter().flatten().flatten().flatten();
        let known = all.find(|one| one.name == name && one.container_id.is_some());
        known.map_or(0, |one| {
            u32::try_from(one.restart_count).map_or(0, |count| count + 1)
        })
    }

    /// Returns whether a container ran, nothing is left of it, and the pod's restart policy does not
    /// let it run again: the node went down before it had ended, or after.
    pub fn is_lost(&self, name: &str) -> bool {
        if self.latest(name).is_some() {
            return false;
        }
        let statuses = self
            .pod
            .status
            .as_ref()
            .and_then(|s| s.container_statuses.as_deref());
        let mut all = statuses.unwrap_or_default().iter();
        let old = all.find(|one| one.name == name && one.container_id.is_some());
        let state = old.and_then(|one| one.state.as_ref());
        let ended = state
            .and_then(|state| state.terminated.as_ref())
            .map(|ended| ended.exit_code);
        let code = match state {
            Some(state) if state.running.is_some() => Some(LOST_CODE),
            _ => ended,
        };
        code.is_some_and(|code| !restarts_after(self.policy(), code))
    }

    /// Returns how the one before the newest ended.
    pub fn previous_exit(&self, name: &str) -> Option<(&ContainerRecord, &Exit)> {
        let latest = self.latest(name)?.attempt;
        let older = self
            .containers
            .iter()
            .filter(|r| r.name == name && r.attempt < latest);
        let record = older.max_by_key(|record| record.attempt)?;
        match &record.state {
            ContainerState::Exited(exit) => Some((record, exit)),
            _ => None,
        }
    }

    /// Returns the pod's restart policy.
    pub fn policy(&self) -> RestartPolicy {
        let text = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.restart_policy.as_deref());
        match text {
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some("Never") => RestartPolicy::Never,
            _ => RestartPolicy::Always,
        }
    }

    /// Returns whether the pod is being deleted.
    pub fn deleting(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Returns whether the pod has reached its end, whatever happens to its containers.
    pub fn finished(&self) -> bool {
        let phase = self
            .pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }

    /// Returns the probe results of a container that runs.
    pub fn probe(&self, record: &ContainerRecord) -> ProbeView {
        self.probes.get(&record.id).cloned().unwrap_or_default()
    }

    /// Returns when an ended container may be started again, as its next attempt.
    pub fn restart_at(&self, record: &ContainerRecord, exit: &Exit) -> Timestamp {
        let base = self.crash_base.get(&record.name).copied().unwrap_or(0);
        let crashes = (record.attempt + 1).saturating_sub(base);
        super::backoff::after(exit.finished_at, super::backoff::restart(crashes))
    }
}

/// Returns whether an init container runs beside the others (a sidecar).
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The exit code of a container that nobody saw ending (kubelet: ContainerStatusUnknown).
pub(super) const LOST_CODE: i32 = 137;

/// Returns whether a container that ended starts again.
pub fn restarts(policy: RestartPolicy, exit: &Exit) -> bool {
    restarts_after(policy, exit.code)
}

fn restarts_after(policy: RestartPolicy, code: i32) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => code != 0,
        RestartPolicy::Never => false,
    }
}
