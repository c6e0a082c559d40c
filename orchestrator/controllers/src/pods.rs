//! What controllers ask of a pod: is it alive, ready, available; and a pod from a template.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference},
    jiff::Timestamp,
};
use kube::{
    api::ObjectMeta,
    core::{Selector, SelectorExt},
};

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending")
}

/// Returns whether the pod's containers are done for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Returns whether the pod runs or will run.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && pod.metadata.deletion_timestamp.is_none()
}

pub(crate) fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Since when the pod is ready; `None` if it is not.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|condition| condition.status == "True")?;
    // A pod that does not say since when has always been ready.
    Some(
        ready
            .last_transition_time
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    )
}

/// How long until the pod counts as available, which is ready for `min_ready_seconds`; zero when
/// it is, `None` when it is not even ready.
pub(crate) fn available_in(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    let since = ready_since(pod)?;
    let wanted = Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or(0));
    let ready_for = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Some(wanted.saturating_sub(ready_for))
}

/// Returns the sum of the restarts of the pod's containers.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.as_ref();
    let main = status.and_then(|status| status.container_statuses.as_ref());
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let containers = main.into_iter().flatten().chain(init.into_iter().flatten());
    containers
        .map(|container| container.restart_count)
        .fold(0, i32::saturating_add)
}

/// Returns the pod that a template describes, to be named by the server.
pub(crate) fn from_template(
    template: &PodTemplateSpec,
    namespace: &str,
    name_prefix: &str,
    owner: OwnerReference,
) -> Pod {
    let meta = template.metadata.as_ref();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(name_prefix.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: meta.and_then(|meta| meta.labels.clone()),
            annotations: meta.and_then(|meta| meta.annotations.clone()),
            finalizers: meta.and_then(|meta| meta.finalizers.clone()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Returns the prefix of generated names. Kubernetes `pkg/controller/controller_utils.go`: a name
/// that would be too long with a dash goes without.
pub(crate) fn name_prefix(owner: &str) -> String {
    /// 63, less the five characters that the server adds.
    const PREFIX_BYTES_MAX: usize = 58;
    if owner.len() < PREFIX_BYTES_MAX {
        format!("{owner}-")
    } else {
        owner.to_owned()
    }
}

/// Returns a function that tells whether labels match; nothing matches a selector that is empty
/// or not valid, so that a mistake never takes over every pod of a namespace.
pub(crate) fn matcher(selector: &LabelSelector) -> impl Fn(&ObjectMeta) -> bool + use<> {
    let selector = Selector::try_from(selector.clone())
        .ok()
        .filter(|s| !s.selects_all());
    move |meta| {
        let none = BTreeMap::new();
        let labels = meta.labels.as_ref().unwrap_or(&none);
        selector
            .as_ref()
            .is_some_and(|selector| selector.matches(labels))
    }
}
