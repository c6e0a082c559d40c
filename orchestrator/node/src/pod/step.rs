//! The pod state machine: from what is wanted and seen to what is done next.
//!
//! Level-triggered: it may be asked at any time, and asking twice decides the same. Order within a
//! pod: sandbox, init containers one after the other (sidecars stay), then all containers.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Container;

use super::backoff;
use super::view::{ImageState, RestartPolicy, World, is_sidecar, restarts};
use crate::runtime::{ContainerRecord, ContainerState};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the sandbox and the volumes.
    Prepare,
    /// Fetch a container's image.
    Pull {
        /// The container's name.
        container: String,
    },
    /// Start a container whose image is here.
    Start {
        /// The container's name.
        container: String,
        /// Which try this is, from 0.
        attempt: u32,
    },
    /// Ask a container to stop; kill it after the grace period.
    Ask {
        /// The container's ID.
        id: String,
        /// When it will be killed.
        deadline: Timestamp,
        /// Why, in upstream's words.
        why: String,
    },
    /// Kill a container now.
    Kill {
        /// The container's ID.
        id: String,
    },
    /// Remove what is left of an ended container.
    Remove {
        /// The container's ID.
        id: String,
    },
    /// Remove the sandbox and the volumes.
    TearDown,
    /// Delete the pod's object for good.
    Delete,
}

/// What to do now, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// In this order.
    pub actions: Vec<Action>,
    /// When something is due that nobody will signal.
    pub wake: Option<Timestamp>,
}

impl Decision {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
    }
}

/// Decides about one pod.
pub fn step(world: &World<'_>) -> Decision {
    let mut out = Decision::default();
    if world.node_stopping || world.deleting() {
        take_down(world, &mut out);
    } else if world.finished() {
        let grace = grace(world);
        stop_all(world, grace, "Stopping container", &mut out);
    } else {
        bring_up(world, &mut out);
    }
    out
}

/// Returns how long the pod's containers may take to stop.
fn grace(world: &World<'_>) -> SignedDuration {
    let meta = &world.pod.metadata;
    let spec = world
        .pod
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds);
    let seconds = meta.deletion_grace_period_seconds.or(spec).unwrap_or(30);
    SignedDuration::from_secs(seconds.max(0))
}

fn take_down(world: &World<'_>, out: &mut Decision) {
    let mut grace = grace(world);
    if let Some(at) = &world.pod.metadata.deletion_timestamp {
        // The deletion time has the grace period in it: a later look must not start it anew.
        grace = grace.min((at.0.duration_since(world.now)).max(SignedDuration::ZERO));
    }
    // Sidecars go last, once the containers that they serve are gone.
    let mains_live = world.main().iter().any(|container| {
        world
            .latest(&container.name)
            .is_some_and(ContainerRecord::is_live)
    });
    for record in world.containers.iter().filter(|record| record.is_live()) {
        let sidecar = world
            .init()
            .iter()
            .any(|c| c.name == record.name && is_sidecar(c));
        if !(sidecar && mains_live) {
            stop(world, record, grace, "Stopping container", out);
        }
    }
    if world.containers.iter().any(ContainerRecord::is_live) {
        return;
    }
    for record in world.containers {
        out.act(Action::Remove {
            id: record.id.clone(),
        });
    }
    out.act(Action::TearDown);
    if !world.node_stopping {
        out.act(Action::Delete);
    }
}

fn stop_all(world: &World<'_>, grace: SignedDuration, why: &str, out: &mut Decision) {
    for record in world.containers.iter().filter(|record| record.is_live()) {
        stop(world, record, grace, why, out);
    }
}

/// Asks once, then kills once the time is up.
fn stop(
    world: &World<'_>,
    record: &ContainerRecord,
    grace: SignedDuration,
    why: &str,
    out: &mut Decision,
) {
    if !matches!(record.state, ContainerState::Running { .. }) {
        // It is about to run or to fail; either is signalled.
        return;
    }
    let own = backoff::after(world.now, grace);
    match world.stopping.get(&record.id) {
        None => {
            let why = format!("{why} {}", record.name);
            out.act(Action::Ask {
                id: record.id.clone(),
                deadline: own,
                why,
            });
            out.wake_at(own);
        }
        Some(known) if known.killed => {}
        Some(known) => {
            // A second deletion with a shorter grace period shortens the first.
            let deadline = known.deadline.min(own);
            if deadline <= world.now {
                out.act(Action::Kill {
                    id: record.id.clone(),
                });
            } else {
                out.wake_at(deadline);
            }
        }
    }
}

fn bring_up(world: &World<'_>, out: &mut Decision) {
    if !world.main().is_empty() && world.main().iter().all(|one| world.is_lost(&one.name)) {
        return;
    }
    if let Some(trouble) = world.troubles.get("") {
        if trouble.retry_at > world.now {
            out.wake_at(trouble.retry_at);
            return;
        }
        out.act(Action::Prepare);
        return;
    }
    if world.sandbox.is_none() {
        out.act(Action::Prepare);
        return;
    }
    collect_old(world, out);
    if !run_init(world, out) {
        return;
    }
    for container in world.main().iter().filter(|one| !world.is_lost(&one.name)) {
        run(world, container, world.policy(), out);
    }
    // When nothing is left to run, sidecars have nobody to serve.
    let over = |container: &Container| {
        world.is_lost(&container.name)
            || matches!(
                world.latest(&container.name).map(|record| &record.state),
                Some(ContainerState::Exited(exit)) if !restarts(world.policy(), exit)
            )
    };
    if !world.main().is_empty() && world.main().iter().all(over) {
        out.actions
            .retain(|action| !matches!(action, Action::Start { .. } | Action::Pull { .. }));
        stop_all(world, grace(world), "Stopping container", out);
    }
}

/// Keeps the newest container of each name and the one before, for its logs and its exit code.
fn collect_old(world: &World<'_>, out: &mut Decision) {
    for record in world.containers.iter().filter(|record| !record.is_live()) {
        let newer = world.containers.iter();
        let newer = newer.filter(|r| r.name == record.name && r.attempt > record.attempt);
        if newer.count() >= 2 {
            out.act(Action::Remove {
                id: record.id.clone(),
            });
        }
    }
}

/// Runs init containers in order. Returns whether the others may start.
fn run_init(world: &World<'_>, out: &mut Decision) -> bool {
    // Once a main container exists, init containers are history (their records may be gone).
    let past = world
        .main()
        .iter()
        .any(|container| world.latest(&container.name).is_some());
    for container in world.init() {
        if is_sidecar(container) {
            run(world, container, RestartPolicy::Always, out);
            let started = world.latest(&container.name).is_some_and(|record| {
                matches!(record.state, ContainerState::Running { .. })
                    && world.probe(record).started
            });
            if !started && !past {
                return false;
            }
            continue;
        }
        if past {
            continue;
        }
        // An init container that ended well is not run again, whatever the policy.
        let policy = match world.policy() {
            RestartPolicy::Never => RestartPolicy::Never,
            _ => RestartPolicy::OnFailure,
        };
        match world.latest(&container.name).map(|record| &record.state) {
            Some(ContainerState::Exited(exit)) if exit.code == 0 => {}
            _ => {
                run(world, container, policy, out);
                return false;
            }
        }
    }
    true
}

/// Brings one container closer to running.
fn run(world: &World<'_>, container: &Container, policy: RestartPolicy, out: &mut Decision) {
    let attempt = match world.latest(&container.name) {
        None => world.first_attempt(&container.name),
        Some(record) => match &record.state {
            ContainerState::Starting => return,
            ContainerState::Running { .. } => {
                if let Some(why) = world.probe(record).failed {
                    let spec = world.pod.spec.as_ref();
                    let of_probe = [&container.liveness_probe, &container.startup_probe];
                    let own = of_probe.into_iter().flatten();
                    let own = own
                        .filter_map(|probe| probe.termination_grace_period_seconds)
                        .next();
                    let pods = spec.and_then(|spec| spec.termination_grace_period_seconds);
                    let seconds = own.or(pods).unwrap_or(30).max(0);
                    let grace = SignedDuration::from_secs(seconds);
                    stop_for(world, record, grace, &why, out);
                } else if world.stopping.contains_key(&record.id) {
                    stop(
                        world,
                        record,
                        SignedDuration::from_secs(i64::from(i32::MAX)),
                        "",
                        out,
                    );
                }
                return;
            }
            ContainerState::Exited(exit) => {
                if !restarts(policy, exit) {
                    return;
                }
                let at = world.restart_at(record, exit);
                if at > world.now {
                    out.wake_at(at);
                    return;
                }
                record.attempt + 1
            }
        },
    };
    if let Some(trouble) = world.troubles.get(&container.name)
        && trouble.retry_at > world.now
    {
        out.wake_at(trouble.retry_at);
        return;
    }
    let name = container.name.clone();
    match world.images.get(&name) {
        None => out.act(Action::Pull { container: name }),
        Some(ImageState::Pulling { .. }) => {}
        Some(ImageState::Ready(_)) => out.act(Action::Start {
            container: name,
            attempt,
        }),
        Some(ImageState::Failed(trouble)) if trouble.retry_at > world.now => {
            out.wake_at(trouble.retry_at);
            let stale = backoff::after(trouble.since, backoff::FRESH);
            if stale > world.now {
                out.wake_at(stale);
            }
        }
        Some(ImageState::Failed(_)) => out.act(Action::Pull { container: name }),
    }
}

/// As [`stop`], with the whole sentence given.
fn stop_for(
    world: &World<'_>,
    record: &ContainerRecord,
    grace: SignedDuration,
    why: &str,
    out: &mut Decision,
) {
    if world.stopping.contains_key(&record.id) {
        stop(world, record, grace, "", out);
        return;
    }
    let deadline = backoff::after(world.now, grace);
    out.act(Action::Ask {
        id: record.id.clone(),
        deadline,
        why: why.to_owned(),
    });
    out.wake_at(deadline);
}
