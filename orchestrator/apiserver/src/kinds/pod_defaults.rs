//! What a pod specification says when its author says nothing.
//!
//! Facts: `pkg/apis/core/v1/defaults.go`. Templates in workloads get the same defaults as pods,
//! except those in [`pod`], which upstream gives to pods alone.

use serde_json::{Map, Value, json};

use crate::json::{as_map, default, default_number, default_str, each_map, entry_map, with_map};

type Object = Map<String, Value>;

/// 0644, as `SecretVolumeSourceDefaultMode` and its siblings.
const FILE_MODE: i64 = 0o644;

/// Fills in a pod.
pub(crate) fn pod(object: &mut Value) {
    let spec = entry_map(as_map(object), "spec");
    default(spec, "enableServiceLinks", true);
    for field in ["containers", "initContainers"] {
        each_map(spec, field, requests_from_limits);
    }
    pod_spec(spec);
}

/// Fills in the template of a workload.
pub(crate) fn template(template: &mut Object) {
    entry_map(template, "metadata");
    pod_spec(entry_map(template, "spec"));
}

/// Fills in a pod specification.
fn pod_spec(spec: &mut Object) {
    default_str(spec, "restartPolicy", "Always");
    default_str(spec, "dnsPolicy", "ClusterFirst");
    default_str(spec, "schedulerName", "default-scheduler");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "securityContext", json!({}));
    let host_network = spec
        .get("hostNetwork")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        each_map(spec, field, |c| container(c, host_network));
    }
    each_map(spec, "volumes", volume);
    // The old name of the field is kept in step, for clients that read it.
    let account = spec
        .get("serviceAccountName")
        .or(spec.get("serviceAccount"))
        .cloned();
    if let Some(account) = account.filter(|a| a.as_str().is_some_and(|a| !a.is_empty())) {
        spec.insert("serviceAccountName".into(), account.clone());
        spec.insert("serviceAccount".into(), account);
    }
}

fn container(container: &mut Object, host_network: bool) {
    default_str(container, "terminationMessagePath", "/dev/termination-log");
    default_str(container, "terminationMessagePolicy", "File");
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let policy = if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default_str(container, "imagePullPolicy", policy);
    default(container, "resources", json!({}));
    each_map(container, "ports", |port| {
        default_str(port, "protocol", "TCP");
        let number = port.get("containerPort").and_then(Value::as_i64);
        if let Some(number) = number.filter(|_| host_network) {
            default_number(port, "hostPort", number);
        }
    });
    each_map(container, "env", |env| {
        with_map(env, "valueFrom", |from| {
            with_map(from, "fieldRef", |r| default_str(r, "apiVersion", "v1"));
            with_map(from, "resourceFieldRef", |r| default(r, "divisor", "0"));
            with_map(from, "fileKeyRef", |r| default(r, "optional", false));
        });
    });
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with_map(container, field, |probe| {
            default_number(probe, "timeoutSeconds", 1);
            default_number(probe, "periodSeconds", 10);
            default_number(probe, "successThreshold", 1);
            default_number(probe, "failureThreshold", 3);
            handler(probe);
        });
    }
    with_map(container, "lifecycle", |lifecycle| {
        with_map(lifecycle, "postStart", handler);
        with_map(lifecycle, "preStop", handler);
    });
}

fn handler(handler: &mut Object) {
    with_map(handler, "httpGet", |get| {
        default_str(get, "path", "/");
        default_str(get, "scheme", "HTTP");
    });
    with_map(handler, "grpc", |grpc| default(grpc, "service", ""));
}

/// Tells whether an image has no tag, or the tag `latest`, and no digest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Object) {
    if volume.keys().all(|k| k == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for field in ["secret", "configMap", "downwardAPI", "projected"] {
        with_map(volume, field, |source| {
            default(source, "defaultMode", FILE_MODE)
        });
    }
    with_map(volume, "hostPath", |path| default(path, "type", ""));
    with_map(volume, "downwardAPI", downward_items);
    with_map(volume, "projected", |projected| {
        each_map(projected, "sources", |source| {
            with_map(source, "downwardAPI", downward_items);
            with_map(source, "serviceAccountToken", |token| {
                default(token, "expirationSeconds", 3600);
            });
        });
    });
    with_map(volume, "iscsi", |iscsi| {
        default_str(iscsi, "iscsiInterface", "default")
    });
    with_map(volume, "rbd", |rbd| {
        default_str(rbd, "pool", "rbd");
        default_str(rbd, "user", "admin");
        default_str(rbd, "keyring", "/etc/ceph/keyring");
    });
    with_map(volume, "azureDisk", |disk| {
        default(disk, "cachingMode", "ReadWrite");
        default(disk, "kind", "Shared");
        default(disk, "fsType", "ext4");
        default(disk, "readOnly", false);
    });
    with_map(volume, "scaleIO", |io| {
        default_str(io, "storageMode", "ThinProvisioned");
        default_str(io, "fsType", "xfs");
    });
    with_map(volume, "ephemeral", |ephemeral| {
        with_map(ephemeral, "volumeClaimTemplate", |claim| {
            default(entry_map(claim, "spec"), "volumeMode", "Filesystem");
        });
    });
}

fn downward_items(source: &mut Object) {
    each_map(source, "items", |item| {
        with_map(item, "fieldRef", |r| default_str(r, "apiVersion", "v1"));
        with_map(item, "resourceFieldRef", |r| default(r, "divisor", "0"));
    });
}

/// A limit without a request is also the request.
fn requests_from_limits(container: &mut Object) {
    let Some(resources) = container
        .get_mut("resources")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else {
        return;
    };
    let requests = entry_map(resources, "requests");
    for (name, limit) in limits {
        default(requests, &name, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_floating_image_is_always_pulled() {
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("nginx:1.27", false),
            ("localhost:5000/nginx", true),
            ("localhost:5000/nginx:1", false),
            ("nginx@sha256:00", false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }

    #[test]
    fn a_bare_pod_is_filled_in() {
        let mut object = json!({"spec": {"containers": [{
            "name": "a", "image": "a:1", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1"}},
            "readinessProbe": {"httpGet": {"port": 80}},
        }], "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "c"}}]}});
        pod(&mut object);
        insta::assert_yaml_snapshot!(object);
        let once = object.clone();
        pod(&mut object);
        assert_eq!(object, once, "defaulting is idempotent");
    }
}
