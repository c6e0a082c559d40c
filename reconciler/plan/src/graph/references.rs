//! Which objects an object names, kind by kind. Unknown kinds are read where they look like known ones.

use serde_json::Value;

use super::Demand;
use crate::{ApiVersion, ObjectKey, json};

/// An object that another one names.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) target: ObjectKey,
    pub(super) demand: Demand,
    pub(super) what: &'static str,
}

/// References without which the one that refers stops working; see [`super::Why::needs`].
pub(super) const NEEDED: [&str; 7] = [
    "volume",
    "environment",
    "service account",
    "image pull secret",
    "role",
    "storage class",
    "priority class",
];

const APPS: &str = "apps";
const RBAC: &str = "rbac.authorization.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// The template of an object's pods and where it is: a Pod itself, a workload, a CronJob, and any other kind with a
/// pod template at `spec.template` (Argo Rollouts, OpenKruise and more).
pub(crate) fn pod_template(object: &Value) -> Option<&Value> {
    let is_template = |template: &&Value| {
        let containers = template.pointer("/spec/containers");
        containers.is_some_and(Value::is_array)
    };
    let places = ["/spec/template", "/spec/jobTemplate/spec/template"];
    let found = places
        .iter()
        .find_map(|place| object.pointer(place).filter(is_template));
    found.or_else(|| {
        Some(object)
            .filter(|object| object["kind"] == "Pod")
            .filter(is_template)
    })
}

/// The pod spec of an object that has pods.
pub(crate) fn pod_spec(object: &Value) -> Option<&Value> {
    pod_template(object)?.get("spec")
}

/// The service account of a pod spec.
pub(super) fn service_account(spec: &Value) -> &str {
    match json::text(spec, "/serviceAccountName") {
        "" => "default",
        name => name,
    }
}

struct Collector<'a> {
    namespace: Option<&'a str>,
    found: Vec<Reference>,
}

impl Collector<'_> {
    fn add(&mut self, demand: Demand, what: &'static str, target: ObjectKey) {
        if !target.name.is_empty() {
            self.found.push(Reference {
                target,
                demand,
                what,
            });
        }
    }

    /// In the namespace of the one that refers.
    fn near(&mut self, what: &'static str, group: &str, kind: &str, name: &str) {
        self.near_with(Demand::Applied, what, group, kind, name);
    }

    fn near_with(
        &mut self,
        demand: Demand,
        what: &'static str,
        group: &str,
        kind: &str,
        name: &str,
    ) {
        let namespace = self.namespace.map(str::to_owned);
        self.add(demand, what, key(group, kind, namespace, name));
    }

    /// In a namespace that the reference names, or the own one.
    fn far(&mut self, what: &'static str, group: &str, kind: &str, namespace: &str, name: &str) {
        let namespace = match namespace {
            "" => self.namespace.map(str::to_owned),
            namespace => Some(namespace.to_owned()),
        };
        self.add(Demand::Applied, what, key(group, kind, namespace, name));
    }

    fn wide(&mut self, what: &'static str, group: &str, kind: &str, name: &str) {
        self.add(Demand::Applied, what, key(group, kind, None, name));
    }
}

fn key(group: &str, kind: &str, namespace: Option<String>, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace,
        name: name.to_owned(),
    }
}

/// Everything an object names. Whether it is in the set is for the caller to find out.
pub(super) fn references(key: &ObjectKey, object: &Value) -> Vec<Reference> {
    let mut to = Collector {
        namespace: key.namespace.as_deref(),
        found: Vec::new(),
    };
    if let Some(spec) = pod_spec(object) {
        pod(&mut to, spec);
    }
    match (key.group.as_str(), key.kind.as_str()) {
        (APPS, "StatefulSet") => stateful_set(&mut to, object),
        ("", "PersistentVolumeClaim") => claim(&mut to, object.get("spec").unwrap_or(&Value::Null)),
        ("", "PersistentVolume") => {
            to.wide(
                "storage class",
                STORAGE,
                "StorageClass",
                json::text(object, "/spec/storageClassName"),
            );
        }
        ("", "ServiceAccount") => service_account_secrets(&mut to, object),
        ("", "Secret") => {
            let account = json::annotation(object, "kubernetes.io/service-account.name");
            to.near(
                "service account",
                "",
                "ServiceAccount",
                account.unwrap_or_default(),
            );
        }
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => binding(&mut to, object),
        (NETWORKING, "Ingress") => ingress(&mut to, object),
        (ADMISSION, "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            for hook in json::items(object, "/webhooks") {
                service(&mut to, "webhook", hook.pointer("/clientConfig/service"));
            }
        }
        (ADMISSION, "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding") => {
            let kind = key.kind.trim_end_matches("Binding");
            to.wide(
                "policy",
                ADMISSION,
                kind,
                json::text(object, "/spec/policyName"),
            );
        }
        ("apiregistration.k8s.io", "APIService") => {
            service(&mut to, "API service", object.pointer("/spec/service"));
        }
        (GATEWAY, _) => gateway(&mut to, key, object),
        ("snapshot.storage.k8s.io", "VolumeSnapshot") => {
            let class = json::text(object, "/spec/volumeSnapshotClassName");
            to.wide(
                "snapshot class",
                "snapshot.storage.k8s.io",
                "VolumeSnapshotClass",
                class,
            );
            let source = json::text(object, "/spec/source/persistentVolumeClaimName");
            to.near("volume", "", "PersistentVolumeClaim", source);
        }
        _ => {}
    }
    if let Some(target) = object.pointer("/spec/scaleTargetRef") {
        let group = ApiVersion::parse(json::text(target, "/apiVersion")).group;
        to.near(
            "scale target",
            &group,
            json::text(target, "/kind"),
            json::text(target, "/name"),
        );
    }
    for owner in json::items(object, "/metadata/ownerReferences") {
        let group = ApiVersion::parse(json::text(owner, "/apiVersion")).group;
        to.near(
            "owner",
            &group,
            json::text(owner, "/kind"),
            json::text(owner, "/name"),
        );
    }
    to.found
}

fn pod(to: &mut Collector<'_>, spec: &Value) {
    to.near(
        "service account",
        "",
        "ServiceAccount",
        service_account(spec),
    );
    to.wide(
        "priority class",
        "scheduling.k8s.io",
        "PriorityClass",
        json::text(spec, "/priorityClassName"),
    );
    to.wide(
        "runtime class",
        "node.k8s.io",
        "RuntimeClass",
        json::text(spec, "/runtimeClassName"),
    );
    for secret in json::items(spec, "/imagePullSecrets") {
        to.near(
            "image pull secret",
            "",
            "Secret",
            json::text(secret, "/name"),
        );
    }
    for volume in json::items(spec, "/volumes") {
        volume_sources(to, volume);
        let claim_template = volume.pointer("/ephemeral/volumeClaimTemplate/spec");
        claim(to, claim_template.unwrap_or(&Value::Null));
        let name = json::text(volume, "/persistentVolumeClaim/claimName");
        to.near("volume", "", "PersistentVolumeClaim", name);
        for source in json::items(volume, "/projected/sources") {
            volume_sources(to, source);
        }
    }
    for list in ["/initContainers", "/containers", "/ephemeralContainers"] {
        for container in json::items(spec, list) {
            for variable in json::items(container, "/env") {
                for (from, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
                    let source = variable
                        .pointer("/valueFrom")
                        .and_then(|source| source.get(from));
                    named(to, "environment", kind, "/name", source);
                }
            }
            for source in json::items(container, "/envFrom") {
                named(
                    to,
                    "environment",
                    "ConfigMap",
                    "/name",
                    source.get("configMapRef"),
                );
                named(
                    to,
                    "environment",
                    "Secret",
                    "/name",
                    source.get("secretRef"),
                );
            }
        }
    }
}

/// ConfigMaps and Secrets of a volume or of a projected source; they spell the name of a Secret in two ways.
fn volume_sources(to: &mut Collector<'_>, source: &Value) {
    named(to, "volume", "ConfigMap", "/name", source.get("configMap"));
    for field in ["/secretName", "/name"] {
        named(to, "volume", "Secret", field, source.get("secret"));
    }
    named(
        to,
        "volume",
        "Secret",
        "/nodePublishSecretRef/name",
        source.get("csi"),
    );
}

/// An optional source may be missing, so its failure stops nobody.
fn named(
    to: &mut Collector<'_>,
    what: &'static str,
    kind: &str,
    field: &str,
    source: Option<&Value>,
) {
    let Some(source) = source else { return };
    let optional = source.get("optional") == Some(&Value::Bool(true));
    let demand = if optional {
        Demand::Tried
    } else {
        Demand::Applied
    };
    to.near_with(demand, what, "", kind, json::text(source, field));
}

fn stateful_set(to: &mut Collector<'_>, object: &Value) {
    to.near(
        "service",
        "",
        "Service",
        json::text(object, "/spec/serviceName"),
    );
    for template in json::items(object, "/spec/volumeClaimTemplates") {
        claim(to, template.get("spec").unwrap_or(&Value::Null));
    }
}

fn claim(to: &mut Collector<'_>, spec: &Value) {
    to.wide(
        "storage class",
        STORAGE,
        "StorageClass",
        json::text(spec, "/storageClassName"),
    );
    let class = json::text(spec, "/volumeAttributesClassName");
    to.wide("storage class", STORAGE, "VolumeAttributesClass", class);
    to.wide(
        "volume",
        "",
        "PersistentVolume",
        json::text(spec, "/volumeName"),
    );
    for field in ["/dataSource", "/dataSourceRef"] {
        if let Some(source) = spec.pointer(field) {
            let group = json::text(source, "/apiGroup");
            let (kind, name) = (json::text(source, "/kind"), json::text(source, "/name"));
            to.far(
                "data source",
                group,
                kind,
                json::text(source, "/namespace"),
                name,
            );
        }
    }
}

fn service_account_secrets(to: &mut Collector<'_>, object: &Value) {
    // A token Secret waits for its account, and the account may list it: the cycle is broken by the order of kinds.
    for secret in json::items(object, "/imagePullSecrets") {
        to.near(
            "image pull secret",
            "",
            "Secret",
            json::text(secret, "/name"),
        );
    }
}

fn binding(to: &mut Collector<'_>, object: &Value) {
    let name = json::text(object, "/roleRef/name");
    match json::text(object, "/roleRef/kind") {
        "Role" => to.near("role", RBAC, "Role", name),
        _ => to.wide("role", RBAC, "ClusterRole", name),
    }
    for subject in json::items(object, "/subjects") {
        if json::text(subject, "/kind") == "ServiceAccount" {
            let namespace = json::text(subject, "/namespace");
            to.far(
                "subject",
                "",
                "ServiceAccount",
                namespace,
                json::text(subject, "/name"),
            );
        }
    }
}

fn ingress(to: &mut Collector<'_>, object: &Value) {
    let class = json::text(object, "/spec/ingressClassName");
    to.wide("ingress class", NETWORKING, "IngressClass", class);
    for tls in json::items(object, "/spec/tls") {
        to.near("certificate", "", "Secret", json::text(tls, "/secretName"));
    }
    // That the Service was applied is enough: nobody waits for its load balancer here.
    to.near(
        "backend",
        "",
        "Service",
        json::text(object, "/spec/defaultBackend/service/name"),
    );
    for rule in json::items(object, "/spec/rules") {
        for path in json::items(rule, "/http/paths") {
            to.near(
                "backend",
                "",
                "Service",
                json::text(path, "/backend/service/name"),
            );
        }
    }
}

fn service(to: &mut Collector<'_>, what: &'static str, service: Option<&Value>) {
    if let Some(service) = service {
        let namespace = json::text(service, "/namespace");
        to.far(what, "", "Service", namespace, json::text(service, "/name"));
    }
}

/// The references of the Gateway API: class, parents, backends, certificates.
fn gateway(to: &mut Collector<'_>, key: &ObjectKey, object: &Value) {
    let far = |to: &mut Collector<'_>, what, reference: &Value, group: &str, kind: &str| {
        let or = |field, default: &str| match json::text(reference, field) {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        let (group, kind) = (or("/group", group), or("/kind", kind));
        to.far(
            what,
            &group,
            &kind,
            json::text(reference, "/namespace"),
            json::text(reference, "/name"),
        );
    };
    if key.kind == "Gateway" {
        to.wide(
            "gateway class",
            GATEWAY,
            "GatewayClass",
            json::text(object, "/spec/gatewayClassName"),
        );
        for listener in json::items(object, "/spec/listeners") {
            for secret in json::items(listener, "/tls/certificateRefs") {
                far(to, "certificate", secret, "", "Secret");
            }
        }
        return;
    }
    for parent in json::items(object, "/spec/parentRefs") {
        far(to, "gateway", parent, GATEWAY, "Gateway");
    }
    for rule in json::items(object, "/spec/rules") {
        for backend in json::items(rule, "/backendRefs") {
            far(to, "backend", backend, "", "Service");
        }
    }
    for target in json::items(object, "/spec/targetRefs") {
        far(to, "target", target, "", "Service");
    }
}
