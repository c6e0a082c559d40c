//! Carries out what a plan writes: every object as soon as what it waits for is there. It has nothing left to
//! decide; the order is the graph's.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use ordain_reconciler_plan::{
    Action, Desired, DryRun, ObjectKey, Observed, Plan, Refusal, Verb, event_hook,
    graph::{Blocked, Demand, External, Graph, Link, Standing, Walk, Why},
    health::{Health, Status},
};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Resource},
    pass::is_done_and_gone,
    prepared::{Prepared, hidden},
    stuck::{Cause, Stuck},
    write::{Step, write},
};

/// Objects that are written at the same time; the cluster's own limit is on requests.
const WRITES_AT_ONCE: usize = 64;

/// Everything a round of writes is made from.
pub(crate) struct Round<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) graph: &'a Graph,
    pub(crate) plan: &'a Plan,
    pub(crate) prepared: &'a Prepared,
    /// What was found, by position.
    pub(crate) observed: &'a BTreeMap<usize, Observed>,
    /// What is sent instead of declared objects, by position.
    pub(crate) payloads: &'a BTreeMap<usize, Value>,
    /// Objects that this round does not touch: as they are, or why they stay as they are.
    pub(crate) others: Vec<(ObjectKey, Result<Health, String>)>,
    /// What objects wait for outside of the set and is there.
    pub(crate) there: Vec<External>,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Objects as the server returned them.
    pub(crate) objects: Vec<(ObjectKey, Resource, Value)>,
    /// Objects that are not as declared.
    pub(crate) stuck: Vec<Stuck>,
}

/// Tells a walk how an applied object is.
pub(crate) fn tell(walk: &mut Walk<'_>, key: &ObjectKey, health: &Health) {
    match health.status {
        Status::Healthy | Status::Suspended => walk.healthy(key),
        Status::Degraded => walk.degraded(key, &health.message),
        _ => walk.unhealthy(key, &health.message),
    }
}

/// Applies every created, changed and replaced object. One that is refused stops only what needs it.
pub(crate) async fn apply(round: &Round<'_>) -> Written {
    let mut written = Written::default();
    let mut walk = Walk::new(round.graph);
    let positions: HashMap<_, _> = (round.prepared.desired.iter().enumerate())
        .map(|(at, desired)| (&desired.key, at))
        .collect();
    for (key, problem) in round.graph.problems() {
        let at = positions.get(key).copied();
        written.stuck.push(Stuck {
            key: key.clone(),
            at: at.and_then(|at| round.prepared.desired[at].at.clone()),
            cause: Cause::Refused(crate::wire::lasting(problem.to_owned())),
            untried: false,
        });
    }
    for (key, health) in &round.others {
        match health {
            Ok(health) => tell(&mut walk, key, health),
            Err(reason) => walk.failed(key, reason),
        }
    }
    for external in &round.there {
        walk.external(external);
    }
    let mut steps: HashMap<&ObjectKey, (&Action, usize)> = HashMap::new();
    for action in &round.plan.actions {
        let Some(&at) = positions.get(&action.key) else {
            continue;
        };
        match action.verb {
            Verb::Create | Verb::Update | Verb::Replace => {
                steps.insert(&action.key, (action, at));
            }
            Verb::Refused | Verb::Held => {
                walk.failed(&action.key, &action.reason);
                written.stuck.push(refused(round, action, at));
            }
            // What it needs is refused: the walk says so below.
            Verb::Blocked => {}
            _ if event_hook(&round.prepared.desired[at].object).is_some() => {
                // However one of another time ended, nothing of a rollout waits for it.
                walk.healthy(&action.key);
            }
            _ => {
                let live = round
                    .observed
                    .get(&at)
                    .and_then(|found| found.live.as_ref());
                let health = live.map(|live| round.cluster.health(live));
                match health {
                    Some(health) if live.is_none_or(|live| !is_done_and_gone(live)) => {
                        tell(&mut walk, &action.key, &health);
                    }
                    _ => walk.healthy(&action.key),
                }
            }
        }
    }
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < WRITES_AT_ONCE {
            let Some(key) = walk.take_one() else { break };
            // What is no part of this round was told above; another round writes what came free of it.
            if let Some((action, at)) = steps.get(&key) {
                match untried(round, &steps, *at) {
                    None => running.push(one(round, action, *at)),
                    Some(Cause::Refused(refusal)) => {
                        walk.failed(&key, &refusal.message);
                        written
                            .stuck
                            .push(stuck(round, *at, Cause::Refused(refusal)));
                    }
                    Some(waits) => written.stuck.push(stuck(round, *at, waits)),
                }
            }
        }
        let Some((action, at, result)) = running.next().await else {
            break;
        };
        match result {
            Ok((resource, object)) => {
                tell(&mut walk, &action.key, &round.cluster.health(&object));
                written.objects.push((action.key.clone(), resource, object));
            }
            Err(refusal) => {
                walk.failed(&action.key, &refusal.message);
                written
                    .stuck
                    .push(stuck(round, at, Cause::Refused(refusal)));
            }
        }
    }
    let writes: HashSet<_> = round
        .plan
        .with(Verb::Blocked)
        .map(|action| &action.key)
        .chain(steps.keys().copied())
        .collect();
    let behind = |key: &ObjectKey, cause| {
        let at = positions.get(key).filter(|_| writes.contains(key))?;
        Some(stuck(round, *at, cause))
    };
    for blocked in walk.blocked() {
        let key = blocked.key.clone();
        written.stuck.extend(behind(&key, Cause::Blocked(blocked)));
    }
    for waiting in walk.waiting() {
        let key = waiting.key.clone();
        written.stuck.extend(behind(&key, Cause::Waits(waiting)));
    }
    written.stuck.sort_by(|a, b| a.key.cmp(&b.key));
    written.stuck.dedup_by(|a, b| a.key == b.key);
    written
}

fn stuck(round: &Round<'_>, at: usize, cause: Cause) -> Stuck {
    let desired = &round.prepared.desired[at];
    Stuck {
        key: desired.key.clone(),
        at: desired.at.clone(),
        cause,
        untried: (round.observed.get(&at)).is_some_and(|found| found.dry_run.is_later()),
    }
}

/// Why an object whose turn it is cannot be written yet: the server was not asked about it, because its namespace or
/// the definition of its kind was only made in this round. The next one asks about all such objects, and then writes.
fn untried(
    round: &Round<'_>,
    steps: &HashMap<&ObjectKey, (&Action, usize)>,
    at: usize,
) -> Option<Cause> {
    let desired = &round.prepared.desired[at];
    let (group, kind, name, why) = match &round.observed.get(&at)?.dry_run {
        DryRun::NoNamespace => {
            let name = desired.key.namespace.as_deref().unwrap_or_default();
            ("", "Namespace", name, Why::Namespace)
        }
        DryRun::Later(name) => (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            name.as_str(),
            Why::Definition,
        ),
        _ => return None,
    };
    let on = ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: name.to_owned(),
    };
    if !steps.contains_key(&on) {
        // It is there, and not of use yet.
        let message = format!("{on} ({why}) is not ready");
        return Some(Cause::Refused(crate::wire::transient(message)));
    }
    let link = Link {
        on: on.to_string(),
        demand: Demand::Healthy,
        why,
        standing: Standing::Underway,
    };
    Some(Cause::Waits(Blocked {
        key: desired.key.clone(),
        chain: vec![link],
    }))
}

fn refused(round: &Round<'_>, action: &Action, at: usize) -> Stuck {
    let found = round.observed.get(&at).map(|found| &found.dry_run);
    let refusal = match found {
        Some(DryRun::Refused(refusal)) => Refusal {
            message: action.reason.clone(),
            ..refusal.clone()
        },
        _ => crate::wire::lasting(action.reason.clone()),
    };
    Stuck {
        key: action.key.clone(),
        at: action.at.clone(),
        cause: Cause::Refused(refusal),
        untried: false,
    }
}

type Done<'a> = (&'a Action, usize, Result<(Resource, Value), Refusal>);

/// Boxed, because the compiler cannot see that such futures are all `Send`.
fn one<'a>(round: &'a Round<'a>, action: &'a Action, at: usize) -> BoxFuture<'a, Done<'a>> {
    let (desired, scrub) = round.prepared.sent(at);
    let payload = round.payloads.get(&at).map(|object| Desired {
        object: object.clone(),
        ..desired.clone()
    });
    let step = Step {
        action,
        desired: payload.map_or(Cow::Borrowed(desired), Cow::Owned),
        route: &round.prepared.routes[at],
        live: (round.observed.get(&at)).and_then(|found| found.live.as_ref()),
    };
    async move {
        let written = write(round.cluster, step).await;
        (
            action,
            at,
            written.map_err(|refusal| hidden(refusal, scrub)),
        )
    }
    .boxed()
}
