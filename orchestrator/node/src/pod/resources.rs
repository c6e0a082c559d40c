//! From a container's requests and limits to what the kernel is told, and the pod's quality class.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::quantity::{milli, units};
use crate::runtime::Limits;

/// The weight of a container that asks for no processor time (kubelet, cm/helpers_linux.go).
const SHARES_MIN: i128 = 2;

/// The largest weight that the kernel takes (kubelet, cm/helpers_linux.go).
const SHARES_MAX: i128 = 262_144;

/// Microseconds of the period that a quota counts for, and the smallest quota (kubelet,
/// cm/helpers_linux.go).
const PERIOD_US: i128 = 100_000;
const QUOTA_US_MIN: i128 = 1000;

fn wish<'a>(container: &'a Container, limits: bool, name: &str) -> Option<&'a str> {
    let resources = container.resources.as_ref()?;
    let table = if limits {
        &resources.limits
    } else {
        &resources.requests
    };
    table
        .as_ref()?
        .get(name)
        .map(|quantity| quantity.0.as_str())
}

/// Returns what a container may use.
pub fn limits(pod: &Pod, container: &Container, memory_capacity: i64) -> Limits {
    let cpu_limit = wish(container, true, "cpu")
        .and_then(milli)
        .filter(|cpu| *cpu > 0);
    // A limit without a request is a request as well, as upstream defaults it.
    let cpu_request = wish(container, false, "cpu")
        .and_then(milli)
        .or(cpu_limit)
        .unwrap_or(0);
    let shares = (cpu_request * 1024 / 1000).clamp(SHARES_MIN, SHARES_MAX);
    let quota = cpu_limit.map(|cpu| (cpu * PERIOD_US / 1000).max(QUOTA_US_MIN));
    Limits {
        cpu_shares: shares as u64,
        cpu_quota_us: quota.and_then(|quota| i64::try_from(quota).ok()),
        memory_bytes: wish(container, true, "memory")
            .and_then(units)
            .filter(|bytes| *bytes > 0),
        oom_score_adj: oom_score(pod, container, memory_capacity),
    }
}

/// kubelet, qos/policy.go: GetContainerOOMScoreAdjust.
fn oom_score(pod: &Pod, container: &Container, capacity: i64) -> i32 {
    match qos_class(pod) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let request = wish(container, false, "memory")
                .and_then(units)
                .unwrap_or(0);
            let share = 1000i64.saturating_mul(request) / capacity.max(1);
            (1000 - share).clamp(3, 999) as i32
        }
    }
}

/// Returns the pod's quality-of-service class (Kubernetes, pkg/apis/core/v1/helper/qos).
pub fn qos_class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else {
        return "BestEffort";
    };
    let containers = || {
        spec.containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
    };
    let asks = |container: &Container, limits, name| {
        wish(container, limits, name)
            .and_then(milli)
            .filter(|amount| *amount > 0)
    };
    let none = containers().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            asks(container, false, name).is_none() && asks(container, true, name).is_none()
        })
    });
    if none {
        return "BestEffort";
    }
    let full = containers().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = asks(container, true, name);
            limit.is_some() && asks(container, false, name).is_none_or(|r| Some(r) == limit)
        })
    });
    if full { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(resources: &str) -> Pod {
        let text = format!(
            r#"{{"spec":{{"containers":[{{"name":"c","image":"i","resources":{resources}}}]}}}}"#
        );
        serde_json::from_str(&text).expect("a pod")
    }

    #[test]
    fn requests_and_limits_become_kernel_settings() {
        for (resources, class, shares, quota, memory, oom) in [
            ("{}", "BestEffort", 2, None, None, 1000),
            (
                r#"{"requests":{"cpu":"100m"}}"#,
                "Burstable",
                102,
                None,
                None,
                999,
            ),
            (
                r#"{"limits":{"cpu":"500m","memory":"1Gi"}}"#,
                "Guaranteed",
                512,
                Some(50_000),
                Some(1 << 30),
                -997,
            ),
            (
                r#"{"requests":{"memory":"2Gi"},"limits":{"memory":"3Gi"}}"#,
                "Burstable",
                2,
                None,
                Some(3 << 30),
                500,
            ),
        ] {
            let pod = pod(resources);
            let container = &pod.spec.as_ref().expect("a spec").containers[0];
            let found = limits(&pod, container, 4 << 30);
            assert_eq!(qos_class(&pod), class, "{resources}");
            let expect = Limits {
                cpu_shares: shares,
                cpu_quota_us: quota,
                memory_bytes: memory,
                oom_score_adj: oom,
            };
            assert_eq!(found, expect, "{resources}");
        }
    }
}
