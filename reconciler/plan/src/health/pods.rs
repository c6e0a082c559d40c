//! Pods: how one is, and what keeps it from being ready, in one line for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Health, Status, condition, text};

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// `ImagePullBackOff: …`, `Unschedulable: …`.
    pub message: String,
    /// True when waiting will not help by itself: an image that is not there, a container that crashes.
    pub stuck: bool,
}

fn container_statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.pointer(pointer).and_then(Value::as_array))
        .flatten()
}

/// Reasons which do not go away by waiting (kubelet `pkg/kubelet/images/types.go`,
/// `kuberuntime_container.go`); Argo CD matches the same ones by their endings.
fn is_stuck(reason: &str) -> bool {
    reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff") || {
        matches!(reason, "InvalidImageName" | "ErrImageNeverPull")
    }
}

fn waiting(status: &Value) -> Option<Trouble> {
    let reason = text(status, "/state/waiting/reason");
    let message = text(status, "/state/waiting/message");
    if matches!(reason, "" | "ContainerCreating" | "PodInitializing") && message.is_empty() {
        return None;
    }
    let name = text(status, "/name");
    let exit = last_exit(status).filter(|_| reason == "CrashLoopBackOff");
    let detail = exit.unwrap_or_else(|| message.to_owned());
    let message = match (reason, detail.as_str()) {
        ("", detail) => format!("container {name}: {detail}"),
        (reason, "") => format!("{reason}: container {name}"),
        (reason, detail) => format!("{reason}: container {name}: {detail}"),
    };
    Some(Trouble {
        message,
        stuck: is_stuck(reason),
    })
}

/// How the container ended last time.
fn last_exit(status: &Value) -> Option<String> {
    let ended = status.pointer("/lastState/terminated")?;
    let (reason, message) = (text(ended, "/reason"), text(ended, "/message"));
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    let message = message.trim();
    Some(match (reason, message) {
        ("OOMKilled", _) => "killed because it used more memory than its limit".to_owned(),
        (_, "") => format!("exits with code {code}"),
        (_, message) => format!("exits with code {code}: {message}"),
    })
}

/// Returns what keeps a pod from being ready, or `None` when it is ready, done or simply starting.
#[must_use]
pub fn trouble(pod: &Value) -> Option<Trouble> {
    if text(pod, "/status/phase") == "Failed" {
        let (reason, message) = (text(pod, "/status/reason"), text(pod, "/status/message"));
        let message = match (reason, message) {
            ("", "") => "pod failed".to_owned(),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        };
        return Some(Trouble {
            message,
            stuck: true,
        });
    }
    // The worst container speaks for the pod.
    let mut found: Vec<_> = container_statuses(pod).filter_map(waiting).collect();
    found.sort_by_key(|trouble| !trouble.stuck);
    if let Some(trouble) = found.into_iter().next() {
        return Some(trouble);
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.is_false()
    {
        return Some(Trouble {
            message: scheduled.text(),
            stuck: false,
        });
    }
    let crashed = container_statuses(pod).find_map(|status| {
        let running = status.get("ready").and_then(Value::as_bool) == Some(true);
        let exit = last_exit(status).filter(|_| !running)?;
        Some(format!("container {} {exit}", text(status, "/name")))
    });
    if let Some(message) = crashed {
        return Some(Trouble {
            message,
            stuck: false,
        });
    }
    let unready = container_statuses(pod).find(|status| {
        status.pointer("/state/running").is_some()
            && status.get("ready").and_then(Value::as_bool) == Some(false)
    })?;
    let message = format!("container {} is not ready", text(unready, "/name"));
    Some(Trouble {
        message,
        stuck: false,
    })
}

pub(super) fn pod(object: &Value) -> Health {
    let phase = text(object, "/status/phase");
    let always = matches!(text(object, "/spec/restartPolicy"), "" | "Always");
    let trouble = trouble(object);
    if let Some(trouble) = trouble.as_ref().filter(|trouble| trouble.stuck && always) {
        return Health::degraded(trouble.message.clone());
    }
    match phase {
        "Succeeded" => Health::healthy(),
        "Failed" => Health::degraded(trouble.map_or_else(String::new, |trouble| trouble.message)),
        "Running" if always => {
            if condition(object, "Ready").is_some_and(|ready| ready.is_true()) {
                return Health::healthy();
            }
            let message = trouble.map_or_else(|| "not ready".to_owned(), |trouble| trouble.message);
            let restarted = container_statuses(object)
                .any(|status| status.pointer("/lastState/terminated").is_some());
            let status = if restarted {
                Status::Degraded
            } else {
                Status::Progressing
            };
            Health::new(status, message)
        }
        // A pod that is not restarted is made to end.
        "Running" => Health::progressing("running"),
        "" => Health::progressing("not observed yet"),
        phase => Health::progressing(
            trouble.map_or_else(|| phase.to_lowercase(), |trouble| trouble.message),
        ),
    }
}
