//! Rows of pods and nodes.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, cells};
use crate::json::{at, bool_at, int_at, list_at, map_at, str_at};

pub(super) const POD: &[Column] = &[
    NAME,
    Column("Ready", "string", "", 0),
    Column("Status", "string", "", 0),
    Column("Restarts", "string", "", 0),
    AGE,
    Column("IP", "string", "", 1),
    Column("Node", "string", "", 1),
    Column("Nominated Node", "string", "", 1),
    Column("Readiness Gates", "string", "", 1),
];

pub(super) fn pod(object: &Value, now: Timestamp) -> Vec<Value> {
    let state = state(object, now);
    let containers = list_at(object, &["spec", "containers"]).len();
    let sidecars = list_at(object, &["spec", "initContainers"])
        .iter()
        .filter(|c| str_at(c, &["restartPolicy"]) == "Always")
        .count();
    let restarts = match (state.restarts, &state.last_restart) {
        (count, Some(time)) if count > 0 => format!("{count} ({} ago)", cells::since(time, now)),
        (count, _) => count.to_string(),
    };
    let gates = list_at(object, &["spec", "readinessGates"]);
    let ready_gates = gates
        .iter()
        .filter(|g| {
            super::condition(object, str_at(g, &["conditionType"]))
                .is_some_and(|c| str_at(c, &["status"]) == "True")
        })
        .count();
    let gates_text = if gates.is_empty() {
        cells::NONE.to_owned()
    } else {
        format!("{ready_gates}/{}", gates.len())
    };
    vec![
        cells::name(object),
        format!("{}/{}", state.ready, containers + sidecars).into(),
        state.reason.into(),
        restarts.into(),
        cells::age(object, now),
        cells::or(str_at(object, &["status", "podIP"]), cells::NONE).into(),
        cells::or(str_at(object, &["spec", "nodeName"]), cells::NONE).into(),
        cells::or(
            str_at(object, &["status", "nominatedNodeName"]),
            cells::NONE,
        )
        .into(),
        gates_text.into(),
    ]
}

struct State {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<String>,
}

/// Follows `printPod`: the status in one word, and what counts as ready.
fn state(object: &Value, _now: Timestamp) -> State {
    let phase = str_at(object, &["status", "phase"]);
    let own = str_at(object, &["status", "reason"]);
    let mut reason = cells::or(own, phase).to_owned();
    if super::condition(object, "PodScheduled")
        .is_some_and(|c| str_at(c, &["reason"]) == "SchedulingGated")
    {
        reason = "SchedulingGated".to_owned();
    }
    let mut state = State {
        reason: String::new(),
        ready: 0,
        restarts: 0,
        last_restart: None,
    };
    let is_sidecar = |name: &str| {
        list_at(object, &["spec", "initContainers"])
            .iter()
            .any(|c| str_at(c, &["name"]) == name && str_at(c, &["restartPolicy"]) == "Always")
    };
    let last = |status: &Value, state: &mut State| {
        let time = str_at(status, &["lastState", "terminated", "finishedAt"]);
        if !time.is_empty() && state.last_restart.as_deref().is_none_or(|t| t < time) {
            state.last_restart = Some(time.to_owned());
        }
    };
    let init_total = list_at(object, &["spec", "initContainers"]).len();
    let mut initializing = false;
    for (index, status) in list_at(object, &["status", "initContainerStatuses"])
        .iter()
        .enumerate()
    {
        state.restarts += int_at(status, &["restartCount"]).unwrap_or(0);
        last(status, &mut state);
        let sidecar = is_sidecar(str_at(status, &["name"]));
        if initializing {
            continue;
        }
        let inner = status.get("state").unwrap_or(&Value::Null);
        if let Some(terminated) = inner.get("terminated") {
            if int_at(terminated, &["exitCode"]) == Some(0) {
                continue;
            }
            reason = format!("Init:{}", ended(terminated));
            initializing = true;
        } else if sidecar && bool_at(status, &["started"]) {
            if bool_at(status, &["ready"]) {
                state.ready += 1;
            }
        } else {
            let waiting = str_at(inner, &["waiting", "reason"]);
            reason = if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{init_total}")
            };
            initializing = true;
        }
    }
    if !initializing
        || super::condition(object, "Initialized").is_some_and(|c| str_at(c, &["status"]) == "True")
    {
        let mut running = false;
        if !initializing {
            state.restarts = if list_at(object, &["status", "initContainerStatuses"])
                .iter()
                .any(|s| is_sidecar(str_at(s, &["name"])))
            {
                state.restarts
            } else {
                0
            };
        }
        for status in list_at(object, &["status", "containerStatuses"])
            .iter()
            .rev()
        {
            state.restarts += int_at(status, &["restartCount"]).unwrap_or(0);
            last(status, &mut state);
            let inner = status.get("state").unwrap_or(&Value::Null);
            let waiting = str_at(inner, &["waiting", "reason"]);
            if !waiting.is_empty() {
                reason = waiting.to_owned();
            } else if let Some(terminated) = inner.get("terminated") {
                reason = ended(terminated);
            } else if bool_at(status, &["ready"]) && inner.get("running").is_some() {
                running = true;
                state.ready += 1;
            }
        }
        if reason == "Completed" && running {
            let ready =
                super::condition(object, "Ready").is_some_and(|c| str_at(c, &["status"]) == "True");
            reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
    let ended_for_good = matches!(phase, "Succeeded" | "Failed");
    if at(object, &["metadata", "deletionTimestamp"]).is_some() {
        if own == "NodeLost" {
            reason = "Unknown".to_owned();
        } else if !ended_for_good {
            reason = "Terminating".to_owned();
        }
    }
    state.reason = reason;
    state
}

fn ended(terminated: &Value) -> String {
    let reason = str_at(terminated, &["reason"]);
    match (reason, int_at(terminated, &["signal"]).unwrap_or(0)) {
        ("", 0) => format!(
            "ExitCode:{}",
            int_at(terminated, &["exitCode"]).unwrap_or(0)
        ),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

pub(super) const NODE: &[Column] = &[
    NAME,
    Column("Status", "string", "", 0),
    Column("Roles", "string", "", 0),
    AGE,
    Column("Version", "string", "", 0),
    Column("Internal-IP", "string", "", 1),
    Column("External-IP", "string", "", 1),
    Column("OS-Image", "string", "", 1),
    Column("Kernel-Version", "string", "", 1),
    Column("Container-Runtime", "string", "", 1),
];

pub(super) fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut status = match super::condition(object, "Ready").map(|c| str_at(c, &["status"])) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if bool_at(object, &["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<&str> = Vec::new();
    for (label, value) in map_at(object, &["metadata", "labels"])
        .into_iter()
        .flatten()
    {
        if let Some(role) = label
            .strip_prefix("node-role.kubernetes.io/")
            .filter(|r| !r.is_empty())
        {
            roles.push(role);
        } else if label == "kubernetes.io/role" {
            roles.extend(value.as_str().filter(|v| !v.is_empty()));
        }
    }
    roles.sort_unstable();
    let address = |kind: &str| {
        let found = list_at(object, &["status", "addresses"])
            .iter()
            .find(|a| str_at(a, &["type"]) == kind);
        found
            .map_or(cells::NONE, |a| str_at(a, &["address"]))
            .to_owned()
    };
    let info = |field: &str| {
        cells::or(
            str_at(object, &["status", "nodeInfo", field]),
            cells::UNKNOWN,
        )
        .to_owned()
    };
    vec![
        cells::name(object),
        status.into(),
        if roles.is_empty() {
            cells::NONE.to_owned()
        } else {
            roles.join(",")
        }
        .into(),
        cells::age(object, now),
        str_at(object, &["status", "nodeInfo", "kubeletVersion"]).into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        info("osImage").into(),
        info("kernelVersion").into(),
        info("containerRuntimeVersion").into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(spec: Value, status: Value, expected: &str) {
        let object = json!({"metadata": {"name": "p"}, "spec": spec, "status": status});
        let row = pod(&object, Timestamp::UNIX_EPOCH);
        let shown: Vec<&str> = row[1..4]
            .iter()
            .map(|c| c.as_str().unwrap_or("?"))
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn a_pod_is_told_in_one_word() {
        let one = json!({"containers": [{"name": "a"}]});
        check(one.clone(), json!({"phase": "Pending"}), "0/1 Pending 0");
        let waiting = json!([{"name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
        check(
            one.clone(),
            json!({"phase": "Running", "containerStatuses": waiting}),
            "0/1 CrashLoopBackOff 3",
        );
        let running =
            json!([{"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}}]);
        check(
            one.clone(),
            json!({"phase": "Running", "containerStatuses": running}),
            "1/1 Running 0",
        );
        let ended = json!([{"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]);
        check(
            one,
            json!({"phase": "Succeeded", "containerStatuses": ended}),
            "0/1 Completed 0",
        );
        let two = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]});
        let init = json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}}]);
        check(
            two,
            json!({"phase": "Pending", "initContainerStatuses": init}),
            "0/1 Init:1/2 0",
        );
    }
}
