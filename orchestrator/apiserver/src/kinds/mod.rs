//! What differs from kind to kind: a [`Strategy`] each; the type table says the rest.
//!
//! A strategy changes and checks one object; it knows neither requests nor the store.

mod batch;
mod cluster;
mod container_validate;
mod core;
mod pod;
mod pod_defaults;
mod pod_validate;
mod rules;
mod service;
mod validate;
mod workloads;

use ordain_schemas::Kind;
use serde_json::Value;

pub(crate) use self::{
    pod::grace_seconds,
    validate::{NameRule, metadata as validate_metadata, selects},
};
use crate::status::FieldError;

/// What is special about a kind.
pub(crate) trait Strategy: Sync {
    /// Fills in what the author left out. Doing it twice is the same as doing it once.
    fn default(&self, _object: &mut Value) {}

    /// Prepares a new object, after [`Strategy::default`]; the metadata is complete.
    fn prepare_create(&self, _object: &mut Value) {}

    /// Prepares a change, after [`Strategy::default`].
    fn prepare_update(&self, _new: &mut Value, _old: &Value) {}

    /// Prepares a change of the status.
    fn prepare_status(&self, _new: &mut Value, _old: &Value) {}

    /// Says what is wrong with an object.
    fn validate(&self, _object: &Value, _causes: &mut Vec<FieldError>) {}

    /// Says what is wrong with a change.
    fn validate_update(&self, _new: &Value, _old: &Value, _causes: &mut Vec<FieldError>) {}

    /// The rule for names.
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// Whether a client may write the status together with the rest when it creates an object.
    fn keeps_status_on_create(&self) -> bool {
        false
    }

    /// Whether `metadata.generation` counts the changes of the specification.
    fn has_generation(&self) -> bool {
        false
    }

    /// Whether a change outside of the specification counts for the generation too.
    fn counts_change(&self, _new: &Value, _old: &Value) -> bool {
        false
    }

    /// Whether a PUT makes an object that is not there.
    fn create_on_update(&self) -> bool {
        false
    }

    /// Whether a PUT without `resourceVersion` is refused.
    fn needs_resource_version(&self) -> bool {
        false
    }
}

struct Plain;
impl Strategy for Plain {}

/// Returns the strategy of a kind that has nothing special.
pub(crate) fn plain() -> &'static dyn Strategy {
    &Plain
}

/// Returns the strategy of a kind.
pub(crate) fn strategy(kind: &Kind) -> &'static dyn Strategy {
    match (kind.group, kind.kind) {
        ("", "Pod") => &pod::Pod,
        ("", "PodTemplate") => &pod::PodTemplate,
        ("apps", "Deployment") => &workloads::Deployment,
        ("apps", "ReplicaSet") => &workloads::ReplicaSet,
        ("apps", "StatefulSet") => &workloads::StatefulSet,
        ("apps", "DaemonSet") => &workloads::DaemonSet,
        ("", "ReplicationController") => &workloads::ReplicationController,
        ("batch", "Job") => &batch::Job,
        ("batch", "CronJob") => &batch::CronJob,
        ("", "Service") => &service::Service,
        ("", "Endpoints") => &service::Endpoints,
        ("discovery.k8s.io", "EndpointSlice") => &service::EndpointSlice,
        ("networking.k8s.io", "Ingress") => &service::Ingress,
        ("networking.k8s.io", "NetworkPolicy") => &service::NetworkPolicy,
        ("", "Namespace") => &core::Namespace,
        ("", "Node") => &core::Node,
        ("", "ConfigMap") => &core::ConfigMap,
        ("", "Secret") => &core::Secret,
        ("", "PersistentVolume") => &core::PersistentVolume,
        ("", "PersistentVolumeClaim") => &core::PersistentVolumeClaim,
        ("", "ServiceAccount" | "LimitRange" | "ResourceQuota") => &Plain,
        ("", "Event") | ("events.k8s.io", "Event") => &core::Event,
        ("coordination.k8s.io", "Lease") => &core::Lease,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => &rules::Role,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => &rules::RoleBinding,
        ("scheduling.k8s.io", "PriorityClass") => &cluster::PriorityClass,
        ("storage.k8s.io", "StorageClass") => &cluster::StorageClass,
        ("autoscaling", "HorizontalPodAutoscaler") => &cluster::HorizontalPodAutoscaler,
        ("policy", "PodDisruptionBudget") => &cluster::PodDisruptionBudget,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &cluster::CustomResourceDefinition,
        ("certificates.k8s.io", "CertificateSigningRequest") => &cluster::SigningRequest,
        ("admissionregistration.k8s.io", _) => &cluster::Webhooks,
        _ => &Plain,
    }
}
