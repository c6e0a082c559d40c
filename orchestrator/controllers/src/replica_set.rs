//! ReplicaSet: as many pods as asked for. Kubernetes `pkg/controller/replicaset`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetStatus},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use ordain_orchestrator_client::{
    Change, Failure, Informer, Informers, Key, Next, Queue, WorkConfig, controller_of,
    object_reference, owner_reference, queue, run_controller,
};
use serde_json::json;

use crate::{
    Action,
    executor::Executor,
    pods::{
        available_in, from_template, is_active, is_finished, is_ready, matcher, name_prefix, phase,
        ready_since, restarts,
    },
};

/// Pods created or deleted at once for one ReplicaSet; the next look does the rest.
/// Kubernetes `BurstReplicas`.
const BURST: usize = 500;

/// Decides for one ReplicaSet. `pods` are the pods of its namespace that it owns or that nobody
/// owns.
pub fn step(set: &ReplicaSet, pods: &[Arc<Pod>], now: Timestamp) -> Vec<Action> {
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let deleting = set.metadata.deletion_timestamp.is_some();
    let uid = set.metadata.uid.as_deref();
    let matches = matcher(&spec.selector);
    let mut actions = Vec::new();
    let mut mine = Vec::new();
    for pod in pods {
        let owner = controller_of(&pod.metadata);
        match owner {
            Some(owner) if Some(owner.uid.as_str()) == uid => {
                if matches(&pod.metadata) {
                    mine.push(pod);
                } else if !deleting {
                    actions.push(release(pod, &owner.uid));
                }
            }
            None if !deleting && is_active(pod) && matches(&pod.metadata) => {
                actions.push(adopt(set, pod));
                mine.push(pod);
            }
            _ => {}
        }
    }
    let active: Vec<_> = mine.iter().copied().filter(|pod| is_active(pod)).collect();
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
    if !deleting && active.len() < wanted {
        let template = spec.template.clone().unwrap_or_default();
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let prefix = name_prefix(set.metadata.name.as_deref().unwrap_or_default());
        let pod = from_template(&template, namespace, &prefix, owner_reference(set));
        let missing = (wanted - active.len()).min(BURST);
        actions.extend(std::iter::repeat_n(Action::create(&pod), missing));
    } else if !deleting && active.len() > wanted {
        let surplus = (active.len() - wanted).min(BURST);
        let victims = least_wanted_first(active.clone());
        actions.extend(
            victims
                .iter()
                .take(surplus)
                .map(|pod| Action::delete(&***pod)),
        );
    }
    let (status, again) = status(set, &mine, &active, now);
    if set.status.as_ref() != Some(&status) {
        actions.push(Action::status(set, &status));
    }
    actions.extend(again.map(Action::After));
    actions
}

fn adopt(set: &ReplicaSet, pod: &Pod) -> Action {
    let mut owners = pod.metadata.owner_references.clone().unwrap_or_default();
    owners.push(owner_reference(set));
    Action::patch(pod, json!({ "metadata": { "ownerReferences": owners } }))
}

fn release(pod: &Pod, uid: &str) -> Action {
    let owners = pod.metadata.owner_references.iter().flatten();
    let others: Vec<_> = owners.filter(|owner| owner.uid != uid).collect();
    Action::patch(pod, json!({ "metadata": { "ownerReferences": others } }))
}

/// Orders pods so that those come first that are missed least. Kubernetes
/// `ActivePodsWithRanks.Less` in `pkg/controller/controller_utils.go`.
fn least_wanted_first(mut pods: Vec<&Arc<Pod>>) -> Vec<&Arc<Pod>> {
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let mut per_node: HashMap<Option<String>, usize> = HashMap::new();
    for pod in &pods {
        *per_node.entry(node(pod)).or_default() += 1;
    }
    pods.sort_by_cached_key(|pod| {
        let annotations = pod.metadata.annotations.as_ref();
        let cost = annotations
            .and_then(|annotations| annotations.get("controller.kubernetes.io/pod-deletion-cost"))
            .and_then(|cost| cost.parse::<i32>().ok())
            .unwrap_or(0);
        let progress = match phase(pod) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let newest = |time: Option<Timestamp>| std::cmp::Reverse(time);
        (
            node(pod).is_some(),
            progress,
            is_ready(pod),
            cost,
            std::cmp::Reverse(per_node[&node(pod)]),
            newest(ready_since(pod)),
            std::cmp::Reverse(restarts(pod)),
            newest(pod.metadata.creation_timestamp.as_ref().map(|time| time.0)),
            pod.metadata.name.clone(),
        )
    });
    pods
}

/// Returns the status and, if time alone will change it, when.
fn status(
    set: &ReplicaSet,
    mine: &[&Arc<Pod>],
    active: &[&Arc<Pod>],
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.as_ref();
    let min_ready_seconds = spec.and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let template = spec.and_then(|spec| spec.template.as_ref()?.metadata.as_ref()?.labels.clone());
    let template = template.unwrap_or_default();
    let fully_labeled = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        template
            .iter()
            .all(|(label, value)| labels.is_some_and(|labels| labels.get(label) == Some(value)))
    };
    let waits: Vec<_> = active
        .iter()
        .filter_map(|pod| available_in(pod, min_ready_seconds, now))
        .collect();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let terminating = mine
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_some() && !is_finished(pod))
        .count();
    let status = ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: Some(count(
            active.iter().filter(|pod| fully_labeled(pod)).count(),
        )),
        ready_replicas: Some(count(active.iter().filter(|pod| is_ready(pod)).count())),
        available_replicas: Some(count(waits.iter().filter(|wait| wait.is_zero()).count())),
        terminating_replicas: Some(count(terminating)),
        observed_generation: set.metadata.generation,
        conditions: set
            .status
            .as_ref()
            .and_then(|status| status.conditions.clone()),
    };
    (
        status,
        waits.into_iter().filter(|wait| !wait.is_zero()).min(),
    )
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let sets = informers.of::<ReplicaSet>();
    let pods = informers.of::<Pod>();
    let executor = Executor::new(informers.client().clone(), "replicaset-controller");
    sets.ready().await;
    pods.ready().await;
    let on_set = queue.clone();
    sets.on_change(move |change| on_set.add(Key::of(&change.object().metadata)));
    let known = sets.clone();
    pods.on_change(move |change| enqueue_owners(change, &known, &queue));
    let shutdown = informers.shutdown().clone();
    let (keys, config) = (sets.clone(), WorkConfig::default());
    let reconcile = |key| reconcile(&sets, &pods, &executor, key);
    run_controller(
        "replicaset",
        config,
        work,
        shutdown,
        move || keys.keys(),
        reconcile,
    )
    .await;
}

/// Queues the ReplicaSets that a changed pod belongs to, belonged to, or could belong to.
fn enqueue_owners(change: &Change<'_, Pod>, sets: &Informer<ReplicaSet>, queue: &Queue<Key>) {
    let namespace = change
        .object()
        .metadata
        .namespace
        .as_deref()
        .unwrap_or_default();
    let owners = [change.old(), Some(change.object())];
    let owners = owners
        .into_iter()
        .flatten()
        .filter_map(|pod| controller_of(&pod.metadata));
    for owner in owners.filter(|owner| owner.kind == "ReplicaSet") {
        queue.add(Key::new(namespace, &owner.name));
    }
    let pod = change.object();
    if controller_of(&pod.metadata).is_none() && !matches!(change, Change::Deleted(_)) {
        let matching = sets.filter(namespace, |set| {
            set.spec
                .as_ref()
                .is_some_and(|spec| matcher(&spec.selector)(&pod.metadata))
        });
        matching
            .iter()
            .for_each(|set| queue.add(Key::of(&set.metadata)));
    }
}

async fn reconcile(
    sets: &Informer<ReplicaSet>,
    pods: &Informer<Pod>,
    executor: &Executor,
    key: Key,
) -> Result<Next, Failure> {
    let Some(set) = sets.get(&key.namespace, &key.name) else {
        return Ok(Next::Signal);
    };
    let uid = set.metadata.uid.as_deref();
    let concerned = pods.filter(&key.namespace, |pod| {
        controller_of(&pod.metadata).is_none_or(|owner| Some(owner.uid.as_str()) == uid)
    });
    let actions = step(&set, &concerned, Timestamp::now());
    let done = executor.run(&object_reference(&*set), actions).await?;
    for (kind, meta) in &done.written {
        match kind.as_str() {
            "Pod" => pods.caught_up(meta).await,
            _ => sets.caught_up(meta).await,
        }
    }
    Ok(done.next)
}
