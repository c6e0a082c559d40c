//! The first objects of a cluster: namespaces, roles, priority classes, the `kubernetes` Service.
//!
//! Only what is missing is written, so what people changed stays. All writes wait together, so
//! that a store with group commit needs one commit for them.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use ordain_orchestrator_store::{Error as StoreError, Expect, Range};
use serde_json::{Value, json};

use crate::{auth::bootstrap::roles, core::Core, json::str_at, object};

/// Writes all that is missing.
pub(crate) async fn write(core: &Arc<Core>) -> Result<(), StoreError> {
    let resources = core.registry.now();
    let mut objects = roles();
    for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        }));
        objects.extend(namespace_companions(namespace, core.pki.ca_pem()));
    }
    for (name, value, description) in [
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ] {
        objects.push(json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name, "generation": 1},
            "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
        }));
    }
    let cidr = core.ranges.cidr;
    objects.push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [cidr.to_string()]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready", "lastTransitionTime": object::now()}]},
    }));
    let ip = cidr.first().to_string();
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    objects.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "clusterIP": ip, "clusterIPs": [ip], "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "type": "ClusterIP",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": core.advertise.port()}],
        },
        "status": {"loadBalancer": {}},
    }));
    let present = core.store.list(Range::prefix("/registry/")).await?;
    let has = |key: &str| {
        present
            .entries
            .binary_search_by(|e| (*e.key).cmp(key))
            .is_ok()
    };
    let mut writes = Vec::new();
    for mut one in objects {
        let kind = resources.of_kind(str_at(&one, &["apiVersion"]), str_at(&one, &["kind"]));
        let Some(resource) = kind else { continue };
        let (namespace, name) = (
            str_at(&one, &["metadata", "namespace"]),
            str_at(&one, &["metadata", "name"]),
        );
        let key = resource.key(namespace, name);
        if !has(&key) {
            one["metadata"]["uid"] = uuid::Uuid::new_v4().to_string().into();
            one["metadata"]["creationTimestamp"] = object::now().into();
            writes.push((key, one, Expect::Absent));
        }
    }
    // The address of the server may differ from start to start, so these two are always written
    // when they say something else.
    for mut one in endpoints(core) {
        let kind = resources.of_kind(str_at(&one, &["apiVersion"]), str_at(&one, &["kind"]));
        let Some(resource) = kind else { continue };
        let key = resource.key("default", "kubernetes");
        let old = present
            .entries
            .binary_search_by(|e| (*e.key).cmp(key.as_str()))
            .ok();
        let old = old.and_then(|at| object::decode(&present.entries[at].value, 0));
        let same = |field: &str| old.as_ref().is_some_and(|o| o.get(field) == one.get(field));
        if same("subsets") && same("endpoints") && same("ports") {
            continue;
        }
        let meta = old.map(|mut o| o["metadata"].take());
        one["metadata"] = match meta {
            Some(meta) => meta,
            None => {
                let mut meta = one["metadata"].take();
                meta["uid"] = uuid::Uuid::new_v4().to_string().into();
                meta["creationTimestamp"] = object::now().into();
                meta
            }
        };
        writes.push((key, one, Expect::Any));
    }
    let store = &core.store;
    stream::iter(writes)
        .map(|(key, one, expect)| async move {
            match store
                .put(&key, Bytes::from(object::encode(&one)), expect)
                .await
            {
                // Another server on the same store was faster.
                Err(StoreError::Conflict { .. }) => Ok(()),
                other => other.map(drop),
            }
        })
        .buffer_unordered(256)
        .try_collect()
        .await
}

/// Writes the way to the API server again when somebody deletes it, since nothing in the cluster
/// finds the server without it.
pub(crate) async fn keep(core: Arc<Core>) {
    loop {
        let gone = async {
            let mut watch = core
                .store
                .watch("/registry/core/services/default/kubernetes", None)
                .await?;
            while let Some(event) = watch.next().await {
                if event?.new.is_none() {
                    return Ok(true);
                }
            }
            Ok::<bool, StoreError>(false)
        };
        let again = tokio::select! {
            () = core.shutdown.cancelled() => return,
            result = gone => result,
        };
        let done = match again {
            Ok(true) => write(&core).await,
            Ok(false) | Err(StoreError::Closed) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "cannot restore the kubernetes service");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

fn endpoints(core: &Core) -> [Value; 2] {
    let (ip, port) = (core.advertise.ip().to_string(), core.advertise.port());
    let family = if core.advertise.is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    };
    [
        json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": ip}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default", "generation": 1, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": family,
            "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }),
    ]
}

/// Returns what every namespace starts with: the account that pods use unless they name another,
/// and the certificate to trust. Upstream's controllers write them a moment later; here they are
/// there with the namespace, so a first pod need not wait.
pub(crate) fn namespace_companions(namespace: &str, ca_pem: &str) -> [Value; 2] {
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "kube-root-ca.crt", "namespace": namespace,
                "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."},
            },
            "data": {"ca.crt": ca_pem},
        }),
    ]
}
