//! Tables: what `kubectl get` shows, worked out by the server.
//!
//! Facts: `pkg/printers/internalversion/printers.go`. A kind without columns of its own shows name
//! and age; a custom resource shows what its definition says.

mod cells;
mod config;
mod custom;
mod network;
mod pods;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    json::{map_at, str_at},
    registry::Resource,
};

/// A column: name, type, format and from which width on it is shown (0 always, 1 with `-o wide`).
pub(crate) struct Column(&'static str, &'static str, &'static str, u8);

/// How much of the object comes with its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// Returns the cells of an object at a time.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// What shows a kind.
struct Printer {
    columns: &'static [Column],
    cells: Cells,
}

const NAME: Column = Column("Name", "string", "name", 0);
const AGE: Column = Column("Age", "string", "", 0);

fn printer(resource: &Resource) -> Printer {
    let (columns, cells): (&'static [Column], Cells) =
        match (resource.group.as_str(), resource.kind.as_str()) {
            ("", "Pod") => (pods::POD, pods::pod),
            ("", "Node") => (pods::NODE, pods::node),
            ("apps", "Deployment") => (workloads::DEPLOYMENT, workloads::deployment),
            ("apps", "ReplicaSet") => (workloads::REPLICA_SET, workloads::replica_set),
            ("", "ReplicationController") => (workloads::REPLICA_SET, workloads::replica_set),
            ("apps", "StatefulSet") => (workloads::STATEFUL_SET, workloads::stateful_set),
            ("apps", "DaemonSet") => (workloads::DAEMON_SET, workloads::daemon_set),
            ("apps", "ControllerRevision") => (workloads::REVISION, workloads::revision),
            ("batch", "Job") => (workloads::JOB, workloads::job),
            ("batch", "CronJob") => (workloads::CRON_JOB, workloads::cron_job),
            ("autoscaling", "HorizontalPodAutoscaler") => {
                (workloads::AUTOSCALER, workloads::autoscaler)
            }
            ("policy", "PodDisruptionBudget") => (workloads::BUDGET, workloads::budget),
            ("", "Service") => (network::SERVICE, network::service),
            ("", "Endpoints") => (network::ENDPOINTS, network::endpoints),
            ("discovery.k8s.io", "EndpointSlice") => {
                (network::ENDPOINT_SLICE, network::endpoint_slice)
            }
            ("networking.k8s.io", "Ingress") => (network::INGRESS, network::ingress),
            ("networking.k8s.io", "IngressClass") => {
                (network::INGRESS_CLASS, network::ingress_class)
            }
            ("networking.k8s.io", "NetworkPolicy") => {
                (network::NETWORK_POLICY, network::network_policy)
            }
            ("", "Namespace") => (config::NAMESPACE, config::namespace),
            ("", "ConfigMap") => (config::CONFIG_MAP, config::config_map),
            ("", "Secret") => (config::SECRET, config::secret),
            ("", "ServiceAccount") => (config::SERVICE_ACCOUNT, config::service_account),
            ("", "PersistentVolume") => (config::VOLUME, config::volume),
            ("", "PersistentVolumeClaim") => (config::CLAIM, config::claim),
            ("storage.k8s.io", "StorageClass") => (config::STORAGE_CLASS, config::storage_class),
            ("" | "events.k8s.io", "Event") => (config::EVENT, config::event),
            ("coordination.k8s.io", "Lease") => (config::LEASE, config::lease),
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => (config::ROLE, config::role),
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
                (config::BINDING, config::binding)
            }
            ("scheduling.k8s.io", "PriorityClass") => {
                (config::PRIORITY_CLASS, config::priority_class)
            }
            ("certificates.k8s.io", "CertificateSigningRequest") => {
                (config::SIGNING_REQUEST, config::signing_request)
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                (config::DEFINITION, config::definition)
            }
            ("", "ComponentStatus") => (config::COMPONENT, config::component),
            ("node.k8s.io", "RuntimeClass") => (config::RUNTIME_CLASS, config::runtime_class),
            ("", "ResourceQuota") => (config::QUOTA, config::quota),
            ("apiregistration.k8s.io", "APIService") => (config::API_SERVICE, config::api_service),
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
            ) => (config::WEBHOOKS, config::webhooks),
            ("", "LimitRange") => (config::CREATED, config::created),
            _ => (&[NAME, AGE], |object, now| {
                vec![cells::name(object), cells::age(object, now)]
            }),
        };
    Printer { columns, cells }
}

/// Returns the row of an object.
pub(crate) fn row(resource: &Resource, object: &Value, include: Include) -> Value {
    let now = Timestamp::now();
    let cells = match &resource.custom {
        Some(definition) => custom::cells(definition, object, now),
        None => (printer(resource).cells)(object, now),
    };
    let mut row = json!({"cells": cells});
    match include {
        Include::None => {}
        Include::Object => row["object"] = object.clone(),
        Include::Metadata => {
            row["object"] = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": map_at(object, &["metadata"]),
            });
        }
    }
    row
}

/// Returns the table around rows. `columns` says whether it describes its columns.
pub(crate) fn wrap(
    resource: &Resource,
    rows: Vec<Value>,
    metadata: Value,
    beta: bool,
    columns: bool,
) -> Value {
    let definitions = match (&resource.custom, columns) {
        (_, false) => Vec::new(),
        (Some(definition), true) => custom::columns(definition),
        (None, true) => printer(resource)
            .columns
            .iter()
            .map(|Column(name, kind, format, priority)| {
                json!({
                    "name": name, "type": kind, "format": format, "priority": priority,
                    "description": describe(name),
                })
            })
            .collect(),
    };
    json!({
        "kind": "Table",
        "apiVersion": if beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" },
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn describe(column: &str) -> &'static str {
    match column {
        "Name" => "The name of the object, unique within its namespace and resource.",
        "Age" => "The time since the object was created.",
        _ => "",
    }
}

/// Returns the path of a condition's status, the way several printers look at it.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    crate::json::list_at(object, &["status", "conditions"])
        .iter()
        .find(|c| str_at(c, &["type"]) == kind)
}
