//! What to say about a pod: phase, conditions and container statuses, in upstream's words. Pure.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff;
use super::resources::qos_class;
use super::view::{ImageState, LOST_CODE, RestartPolicy, World, is_sidecar, restarts};
use crate::runtime::{ContainerRecord, ContainerState, Exit};

/// Returns the pod's status, keeping what others wrote into the one that it has.
pub fn status(world: &World<'_>, host_ip: IpAddr) -> PodStatus {
    let before = world.pod.status.clone().unwrap_or_default();
    let init: Vec<_> = world
        .init()
        .iter()
        .map(|one| container_status(world, one, true))
        .collect();
    let main: Vec<_> = world
        .main()
        .iter()
        .map(|one| container_status(world, one, false))
        .collect();
    let phase = phase(world, &before, &init, &main);
    let address = world.sandbox.map(|sandbox| sandbox.address.to_string());
    let mut status = PodStatus {
        conditions: Some(conditions(world, &before, &phase, &init, &main)),
        host_ip: Some(host_ip.to_string()),
        host_ips: Some(vec![HostIP {
            ip: host_ip.to_string(),
        }]),
        start_time: before.start_time.clone().or(Some(Time(world.now))),
        qos_class: before
            .qos_class
            .clone()
            .or_else(|| Some(qos_class(world.pod).to_owned())),
        observed_generation: world.pod.metadata.generation,
        container_statuses: Some(main),
        init_container_statuses: (!init.is_empty()).then_some(init),
        phase: Some(phase),
        ..before
    };
    // A pod that ended keeps its address in the status, as upstream's does.
    if let Some(address) = address {
        status.pod_ip = Some(address.clone());
        status.pod_ips = Some(vec![PodIP { ip: address }]);
    }
    status
}

fn container_status(world: &World<'_>, container: &Container, init: bool) -> ContainerStatus {
    let record = world.latest(&container.name);
    let old = known(world, &container.name);
    if let (None, Some(old)) = (record, &old) {
        return forgotten(world, container, old, init && !is_sidecar(container));
    }
    let policy = policy_of(world, container, init);
    let probe = record.map(|record| world.probe(record)).unwrap_or_default();
    let running = record.is_some_and(|r| matches!(r.state, ContainerState::Running { .. }));
    let mut last = world
        .previous_exit(&container.name)
        .map(|(r, exit)| terminated(world, r, exit));
    if last.is_none() && record.is_some_and(|record| record.attempt > 0) {
        last = old.and_then(|old| old.last_state);
    }
    let state = match record {
        None => waiting(world, container),
        Some(record) => match &record.state {
            ContainerState::Starting => wait("ContainerCreating", None),
            ContainerState::Running { started_at, .. } => ApiState {
                running: Some(ContainerStateRunning {
                    started_at: Some(Time(*started_at)),
                }),
                ..ApiState::default()
            },
            ContainerState::Exited(exit) => {
                let ended = terminated(world, record, exit);
                let again = restarts(policy, exit) && !world.deleting() && !world.finished();
                match again
                    .then(|| restarting(world, container, record, exit))
                    .flatten()
                {
                    Some(state) => {
                        last = Some(ended);
                        state
                    }
                    None => ended,
                }
            }
        },
    };
    let ended_well = matches!(
        record.map(|record| &record.state),
        Some(ContainerState::Exited(exit)) if exit.code == 0
    );
    ContainerStatus {
        name: container.name.clone(),
        image: record.map_or_else(
            || container.image.clone().unwrap_or_default(),
            |record| record.image.clone(),
        ),
        image_id: record
            .map(|record| record.image_id.clone())
            .unwrap_or_default(),
        container_id: record.map(|record| format!("ordain://{}", record.id)),
        restart_count: record.map_or(0, |record| record.attempt as i32),
        // An init container is ready once it has done its work.
        ready: if init && !is_sidecar(container) {
            ended_well
        } else {
            running && probe.ready
        },
        started: Some(running && probe.started),
        state: Some(state),
        last_state: Some(last.unwrap_or_default()),
        ..ContainerStatus::default()
    }
}

/// Returns what the pod's status says of a container that once ran.
fn known(world: &World<'_>, name: &str) -> Option<ContainerStatus> {
    let status = world.pod.status.as_ref()?;
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let mut all = lists.into_iter().flatten().flatten();
    all.find(|one| one.name == name && one.container_id.is_some())
        .cloned()
}

/// Returns the status of a container that ran, but that nothing is left of: after a restart of the
/// node, or once a deleted pod was taken down.
fn forgotten(
    world: &World<'_>,
    container: &Container,
    old: &ContainerStatus,
    init: bool,
) -> ContainerStatus {
    let state = old.state.clone().unwrap_or_default();
    let ended = if state.terminated.is_some() {
        state
    } else if state.running.is_some() {
        let lost = ContainerStateTerminated {
            container_id: old.container_id.clone(),
            exit_code: LOST_CODE,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some("The container could not be located when the node came back".to_owned()),
            started_at: state.running.and_then(|running| running.started_at),
            finished_at: Some(Time(world.now)),
            ..ContainerStateTerminated::default()
        };
        ApiState {
            terminated: Some(lost),
            ..ApiState::default()
        }
    } else {
        old.last_state.clone().unwrap_or_default()
    };
    let over = world.finished() || world.deleting() || world.is_lost(&container.name);
    let (state, last) = if over {
        (ended, old.last_state.clone())
    } else {
        (waiting(world, container), Some(ended))
    };
    ContainerStatus {
        ready: init
            && state
                .terminated
                .as_ref()
                .is_some_and(|ended| ended.exit_code == 0),
        started: Some(false),
        state: Some(state),
        last_state: last,
        ..old.clone()
    }
}

fn policy_of(world: &World<'_>, container: &Container, init: bool) -> RestartPolicy {
    if init && is_sidecar(container) {
        return RestartPolicy::Always;
    }
    match world.policy() {
        RestartPolicy::Always if init => RestartPolicy::OnFailure,
        policy => policy,
    }
}

/// Returns what a container waits for that never ran.
fn waiting(world: &World<'_>, container: &Container) -> ApiState {
    if let Some(trouble) = world.troubles.get(&container.name) {
        return wait(trouble.reason, Some(trouble.message.clone()));
    }
    if let Some(state) = image_trouble(world, container) {
        return state;
    }
    let init = !world.init().is_empty() && world.main().iter().any(|c| c.name == container.name);
    wait(
        if init {
            "PodInitializing"
        } else {
            "ContainerCreating"
        },
        None,
    )
}

/// Returns what a container that ended waits for, if it does.
fn restarting(
    world: &World<'_>,
    container: &Container,
    record: &ContainerRecord,
    exit: &Exit,
) -> Option<ApiState> {
    let at = world.restart_at(record, exit);
    if at > world.now {
        let wait_for = at.duration_since(exit.finished_at);
        let pod = &world.pod.metadata;
        let message = format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            go_duration(wait_for.as_secs()),
            container.name,
            pod.name.as_deref().unwrap_or_default(),
            pod.namespace.as_deref().unwrap_or_default(),
            pod.uid.as_deref().unwrap_or_default(),
        );
        return Some(wait("CrashLoopBackOff", Some(message)));
    }
    let trouble = world.troubles.get(&container.name);
    let trouble = trouble.map(|trouble| wait(trouble.reason, Some(trouble.message.clone())));
    trouble.or_else(|| image_trouble(world, container))
}

fn image_trouble(world: &World<'_>, container: &Container) -> Option<ApiState> {
    let trouble = match world.images.get(&container.name)? {
        ImageState::Failed(trouble)
        | ImageState::Pulling {
            before: Some(trouble),
        } => trouble,
        _ => return None,
    };
    let fresh = backoff::after(trouble.since, backoff::FRESH) > world.now;
    if fresh || trouble.reason != "ErrImagePull" {
        return Some(wait(trouble.reason, Some(trouble.message.clone())));
    }
    let image = container.image.as_deref().unwrap_or_default();
    let message = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: {}",
        trouble.message
    );
    Some(wait("ImagePullBackOff", Some(message)))
}

fn wait(reason: &str, message: Option<String>) -> ApiState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message,
    };
    ApiState {
        waiting: Some(waiting),
        ..ApiState::default()
    }
}

fn terminated(world: &World<'_>, record: &ContainerRecord, exit: &Exit) -> ApiState {
    let left = world.messages.get(&record.id).cloned();
    let terminated = ContainerStateTerminated {
        container_id: Some(format!("ordain://{}", record.id)),
        exit_code: exit.code,
        signal: exit.signal,
        reason: Some(exit.reason.clone()),
        message: exit.message.clone().or(left),
        started_at: Some(Time(exit.started_at.unwrap_or(Timestamp::UNIX_EPOCH))),
        finished_at: Some(Time(exit.finished_at)),
    };
    ApiState {
        terminated: Some(terminated),
        ..ApiState::default()
    }
}

/// Writes seconds as Go prints a duration: `10s`, `1m20s`, `5m0s`.
fn go_duration(seconds: i64) -> String {
    match seconds {
        0..=59 => format!("{seconds}s"),
        _ => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

/// kubelet, kubelet_pods.go: getPhase.
fn phase(
    world: &World<'_>,
    before: &PodStatus,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> String {
    if let Some(known @ ("Succeeded" | "Failed")) = before.phase.as_deref() {
        return known.to_owned();
    }
    let exit = |status: &ContainerStatus| {
        status
            .state
            .as_ref()
            .and_then(|state| state.terminated.as_ref())
            .map(|t| t.exit_code)
    };
    let never = world.policy() == RestartPolicy::Never;
    let mut initializing = false;
    for (container, status) in world.init().iter().zip(init) {
        let sidecar = is_sidecar(container);
        match exit(status) {
            Some(0) if !sidecar => {}
            Some(_) if !sidecar && never => return "Failed".to_owned(),
            _ if sidecar && status.started == Some(true) => {}
            // A sidecar's end means nothing once the others have run.
            _ if sidecar && main.iter().any(|m| m.container_id.is_some()) => {}
            _ => initializing = true,
        }
    }
    let (mut waits, mut runs, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for status in main {
        let state = status.state.as_ref();
        let last = status
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        if state.is_some_and(|state| state.running.is_some()) {
            runs += 1;
        } else if let Some(code) = exit(status) {
            stopped += 1;
            succeeded += usize::from(code == 0);
        } else if last.is_some() {
            stopped += 1;
        } else {
            waits += 1;
        }
    }
    let started = main.iter().any(|status| status.container_id.is_some());
    let phase = if (initializing && !started) || waits > 0 {
        "Pending"
    } else if runs > 0 {
        "Running"
    } else if stopped == 0 {
        "Pending"
    } else if world.deleting() {
        // A pod that is taken away has ended, whatever its policy says.
        if stopped == succeeded {
            "Succeeded"
        } else {
            "Failed"
        }
    } else if world.policy() == RestartPolicy::Always {
        "Running"
    } else if stopped == succeeded {
        "Succeeded"
    } else if never {
        "Failed"
    } else {
        "Running"
    };
    phase.to_owned()
}

fn conditions(
    world: &World<'_>,
    before: &PodStatus,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Vec<PodCondition> {
    let old = before.conditions.clone().unwrap_or_default();
    let over = matches!(phase, "Succeeded" | "Failed");
    let names = |list: Vec<&ContainerStatus>| {
        list.iter()
            .map(|status| status.name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut out = Vec::new();
    let sandbox = world.sandbox.is_some() && !over;
    out.push(condition("PodReadyToStartContainers", sandbox, None));

    let pending = world.init().iter().zip(init).filter(|(container, status)| {
        if is_sidecar(container) {
            status.started != Some(true)
        } else {
            !status.ready
        }
    });
    let pending: Vec<_> = pending.map(|(_, status)| status).collect();
    let started = main.iter().any(|status| status.container_id.is_some());
    let initialized = pending.is_empty() || started;
    let why = if phase == "Succeeded" {
        Some(("PodCompleted", None))
    } else if initialized {
        None
    } else {
        let list = format!("containers with incomplete status: [{}]", names(pending));
        Some(("ContainersNotInitialized", Some(list)))
    };
    out.push(condition("Initialized", initialized, why));

    let sidecars = world
        .init()
        .iter()
        .zip(init)
        .filter(|(container, _)| is_sidecar(container));
    let counted = sidecars.map(|(_, status)| status).chain(main);
    let unready: Vec<_> = counted.filter(|status| !status.ready).collect();
    let containers_ready = unready.is_empty() && !over && !main.is_empty();
    let why = || match phase {
        "Succeeded" => Some(("PodCompleted", None)),
        "Failed" => Some(("PodFailed", None)),
        _ if containers_ready => None,
        _ => {
            let list = format!(
                "containers with unready status: [{}]",
                names(unready.clone())
            );
            Some(("ContainersNotReady", Some(list)))
        }
    };
    let gates = world
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.readiness_gates.as_deref());
    let missing: Vec<_> = gates
        .unwrap_or_default()
        .iter()
        .map(|gate| gate.condition_type.as_str())
        .filter(|gate| !old.iter().any(|c| c.type_ == *gate && c.status == "True"))
        .collect();
    let gate_words = || {
        let what = format!(
            "the status of pod readiness gate \"{}\" is not \"True\", but False",
            missing.join("\", \"")
        );
        Some(("ReadinessGatesNotReady", Some(what)))
    };
    let ready = containers_ready && missing.is_empty();
    let ready_why = if containers_ready && !ready {
        gate_words()
    } else {
        why()
    };
    out.push(condition("Ready", ready, ready_why));
    out.push(condition("ContainersReady", containers_ready, why()));
    if !old
        .iter()
        .any(|condition| condition.type_ == "PodScheduled")
    {
        out.push(condition("PodScheduled", true, None));
    }

    for condition in &mut out {
        condition.observed_generation = world.pod.metadata.generation;
        let same = old.iter().find(|one| one.type_ == condition.type_);
        condition.last_transition_time = match same {
            Some(one) if one.status == condition.status => one.last_transition_time.clone(),
            _ => Some(Time(world.now)),
        };
    }
    // What others wrote (scheduler, readiness gates, disruption) stays.
    let foreign = old
        .into_iter()
        .filter(|one| !out.iter().any(|own| own.type_ == one.type_));
    let foreign: Vec<_> = foreign.collect();
    out.extend(foreign);
    out
}

fn condition(kind: &str, yes: bool, why: Option<(&str, Option<String>)>) -> PodCondition {
    let (reason, message) = why.unzip();
    PodCondition {
        type_: kind.to_owned(),
        status: if yes { "True" } else { "False" }.to_owned(),
        reason: reason.map(str::to_owned),
        message: message.flatten(),
        ..PodCondition::default()
    }
}
