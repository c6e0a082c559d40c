//! The thin loop: whenever a pod or node changes, decide, bind, and say why not.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use ordain_orchestrator_client::{
    Change, During, EventType, Failure, Informer, Informers, Key, Next, Recorder, WorkConfig,
    object_reference, queue, run_controller,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{Verdict, decide, is_pending};

/// Everything that waits is decided together, so there is one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Everything;

impl fmt::Display for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all pods")
    }
}

/// Schedules pods until `shutdown`, with watches of its own.
pub async fn run(client: Client, shutdown: CancellationToken) {
    run_shared(Informers::new(client, shutdown)).await;
}

/// Schedules pods until the informers' shutdown, with the watches of the process.
pub async fn run_shared(informers: Informers) {
    let (queue, work) = queue();
    let pods = informers.of::<Pod>();
    let nodes = informers.of::<Node>();
    let scheduler = Scheduler {
        client: informers.client().clone(),
        recorder: Recorder::new(informers.client().clone(), "default-scheduler"),
        pods: pods.clone(),
        nodes: nodes.clone(),
        assumed: Mutex::default(),
    };
    pods.ready().await;
    nodes.ready().await;
    let on_pod = queue.clone();
    pods.on_change(move |change| {
        if concerns_scheduling(change) {
            on_pod.add(Everything);
        }
    });
    nodes.on_change(move |change| {
        if node_changed(change) {
            queue.add(Everything);
        }
    });
    let config = WorkConfig {
        concurrency: 1,
        period: Duration::from_secs(60),
    };
    let shutdown = informers.shutdown().clone();
    let keys = || vec![Everything];
    run_controller("scheduler", config, work, shutdown, keys, |Everything| {
        scheduler.reconcile()
    })
    .await;
}

/// A pod that waits, or one that leaves room.
fn concerns_scheduling(change: &Change<'_, Pod>) -> bool {
    match change {
        Change::Added(pod) => is_pending(pod),
        Change::Deleted(_) => true,
        Change::Updated { old, new } => {
            let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
            // Its own verdict in the status is no news to the scheduler.
            is_pending(new) && old.spec != new.spec || phase(old) != phase(new)
        }
    }
}

/// Whether a node offers something else than before; a heartbeat alone is no reason to look.
fn node_changed(change: &Change<'_, Node>) -> bool {
    let Change::Updated { old, new } = change else {
        return true;
    };
    let ready = |node: &Node| {
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|c| c.type_ == "Ready");
        ready.map(|condition| condition.status.clone())
    };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|s| s.allocatable.clone());
    old.spec != new.spec
        || old.metadata.labels != new.metadata.labels
        || ready(old) != ready(new)
        || allocatable(old) != allocatable(new)
}

struct Scheduler {
    client: Client,
    recorder: Recorder,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    /// Node by pod uid, for bindings that the watch has not shown yet.
    assumed: Mutex<HashMap<String, String>>,
}

impl Scheduler {
    async fn reconcile(&self) -> Result<Next, Failure> {
        let verdicts = self.decide();
        let mut first_failure = None;
        for verdict in verdicts {
            let done = match verdict {
                Verdict::Bind { pod, node } => self.bind(&pod, &node).await,
                Verdict::Unschedulable { pod, message } => self.reject(&pod, &message).await,
            };
            if let Err(failure) = done {
                first_failure.get_or_insert(failure);
            }
        }
        match first_failure {
            Some(failure) => Err(failure),
            None => Ok(Next::Signal),
        }
    }

    fn decide(&self) -> Vec<Verdict> {
        let mut assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        let pods = self.pods.list();
        if !pods.iter().any(|pod| is_pending(pod)) {
            assumed.clear();
            return Vec::new();
        }
        if !assumed.is_empty() {
            let pending = pods.iter().filter(|pod| is_pending(pod));
            let pending: HashSet<_> = pending
                .filter_map(|pod| pod.metadata.uid.as_deref())
                .collect();
            assumed.retain(|uid, _| pending.contains(uid.as_str()));
        }
        let under_way = |pod: &Pod| {
            pod.metadata
                .uid
                .as_deref()
                .and_then(|uid| assumed.get(uid))
                .cloned()
        };
        decide(&pods, &self.nodes.list(), under_way)
    }

    async fn bind(&self, key: &Key, node: &str) -> Result<(), Failure> {
        let Some(pod) = self.pods.get(&key.namespace, &key.name) else {
            return Ok(());
        };
        let uid = pod.metadata.uid.clone();
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(key.name.to_string()),
                namespace: Some(key.namespace.to_string()),
                uid: uid.clone(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let bound: Result<Option<serde_json::Value>, _> = api
            .create_subresource("binding", &key.name, &PostParams::default(), &binding)
            .await
            .unless_gone(|| format!("bind pod {key} to node {node}"));
        match bound {
            Ok(None) => return Ok(()),
            // Somebody bound it before us; the watch will tell.
            Err(failure) if failure.is_conflict() => return Ok(()),
            Err(failure) => return Err(failure),
            Ok(Some(_)) => {}
        }
        tracing::debug!(pod = %key, node, "pod bound");
        if let Some(uid) = uid {
            self.assumed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(uid, node.to_owned());
        }
        let message = format!("Successfully assigned {key} to {node}");
        self.recorder.record(
            &object_reference(&*pod),
            EventType::Normal,
            "Scheduled",
            message,
        );
        Ok(())
    }

    async fn reject(&self, key: &Key, message: &str) -> Result<(), Failure> {
        let Some(pod) = self.pods.get(&key.namespace, &key.name) else {
            return Ok(());
        };
        let Some(conditions) = with_rejection(&pod, message, Timestamp::now()) else {
            return Ok(());
        };
        let reference = object_reference(&*pod);
        self.recorder
            .record(&reference, EventType::Warning, "FailedScheduling", message);
        let status = json!({
            "metadata": { "uid": pod.metadata.uid },
            "status": { "conditions": conditions },
        });
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let patch = Patch::Strategic(&status);
        api.patch_status(&key.name, &PatchParams::default(), &patch)
            .await
            .unless_gone(|| format!("note on pod {key} that it fits on no node"))?;
        Ok(())
    }
}

/// Returns the condition that says why the pod waits, if it does not say so already. A strategic
/// patch merges conditions by their type.
fn with_rejection(pod: &Pod, message: &str, now: Timestamp) -> Option<Vec<PodCondition>> {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let before = conditions
        .into_iter()
        .flatten()
        .find(|c| c.type_ == "PodScheduled");
    let same = before.is_some_and(|before| {
        before.status == "False"
            && before.reason.as_deref() == Some("Unschedulable")
            && before.message.as_deref() == Some(message)
    });
    if same {
        return None;
    }
    let since = before
        .filter(|before| before.status == "False")
        .and_then(|before| before.last_transition_time.clone());
    Some(vec![PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(since.unwrap_or(Time(now))),
        ..PodCondition::default()
    }])
}
