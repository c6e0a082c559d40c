//! What a write must pass beyond its own kind's rules, because it depends on other objects.
//!
//! The built-in plugins that upstream turns on by default and this cluster has a use for:
//! NamespaceLifecycle, ServiceAccount, Priority, DefaultTolerationSeconds, RuntimeClass,
//! DefaultStorageClass, DefaultIngressClass, and the escalation checks of RBAC.

use serde_json::{Value, json};

use crate::{
    auth::rbac::{Attributes, Rule},
    core::Core,
    json::{as_map, at, bool_at, entry_map, list_at, str_at},
    object,
    pipeline::Call,
    registry::Resource,
    status::{Failure, Subject, because},
};

/// Namespaces that nobody may delete.
pub(crate) const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// Tolerations that every pod gets: five minutes on a node that fails.
const TOLERATION_SECONDS: i64 = 300;

/// Checks and completes a new object in its stored version.
pub(crate) async fn create(
    call: &Call,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), Failure> {
    let core = &call.core;
    let name = str_at(object, &["metadata", "name"]).to_owned();
    if resource.namespaced {
        namespace_takes(
            core,
            resource,
            str_at(object, &["metadata", "namespace"]),
            &name,
        )
        .await?;
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => pod(core, resource, object).await?,
        ("", "persistentvolumeclaims") => {
            default_class(
                core,
                object,
                &["spec"],
                "storageClassName",
                "storage.k8s.io",
                "storageclasses",
                "storageclass.kubernetes.io/is-default-class",
            )
            .await?
        }
        ("networking.k8s.io", "ingresses") => {
            default_class(
                core,
                object,
                &["spec"],
                "ingressClassName",
                "networking.k8s.io",
                "ingressclasses",
                "ingressclass.kubernetes.io/is-default-class",
            )
            .await?
        }
        ("rbac.authorization.k8s.io", _) => escalation(call, resource, object, None)?,
        ("certificates.k8s.io", "certificatesigningrequests") => {
            let spec = entry_map(as_map(object), "spec");
            spec.insert("username".into(), call.user.name.as_str().into());
            spec.insert("groups".into(), call.user.groups.clone().into());
        }
        _ => {}
    }
    Ok(())
}

/// Checks a changed object in its stored version.
pub(crate) fn update(
    call: &Call,
    resource: &Resource,
    object: &Value,
    old: &Value,
) -> Result<(), Failure> {
    if resource.group == "rbac.authorization.k8s.io" {
        escalation(call, resource, object, Some(old))?;
    }
    Ok(())
}

/// A namespace must be there, and not on its way out, to take a new object.
async fn namespace_takes(
    core: &Core,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Failure> {
    let Some(found) = core.peek("", "namespaces", "", namespace).await? else {
        return Err(Subject {
            group: "",
            plural: "namespaces",
            name: namespace,
        }
        .not_found());
    };
    let leaving = at(&found, &["metadata", "deletionTimestamp"]).is_some()
        || str_at(&found, &["status", "phase"]) == "Terminating";
    if leaving {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let failure = resource.subject(name).forbidden(&why);
        let message = format!("namespace {namespace} is being terminated");
        return Err(because(
            failure,
            "NamespaceTerminating",
            message,
            "metadata.namespace",
        ));
    }
    Ok(())
}

async fn pod(core: &Core, resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let namespace = str_at(object, &["metadata", "namespace"]).to_owned();
    let name = str_at(object, &["metadata", "name"]).to_owned();
    let mirror = at(
        object,
        &["metadata", "annotations", "kubernetes.io/config.mirror"],
    )
    .is_some();
    if !mirror {
        service_account(core, resource, object, &namespace, &name).await?;
    }
    priority(core, resource, object, &name).await?;
    if let Some(class) = at(object, &["spec", "runtimeClassName"]).and_then(Value::as_str) {
        let found = core
            .peek("node.k8s.io", "runtimeclasses", "", class)
            .await?;
        let found = found.ok_or_else(|| {
            let why = format!("pod rejected: RuntimeClass {class:?} not found");
            resource.subject(&name).forbidden(&why)
        })?;
        if let Some(overhead) = at(&found, &["overhead", "podFixed"]) {
            object["spec"]["overhead"] = overhead.clone();
        }
    }
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = list_at(object, &["spec", "tolerations"]).iter().any(|t| {
            matches!(
                str_at(t, &["key"]),
                "" | "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"
            ) && (str_at(t, &["key"]).is_empty() || str_at(t, &["key"]) == key)
                && matches!(str_at(t, &["effect"]), "" | "NoExecute")
        });
        if !tolerated {
            let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS});
            let spec = entry_map(as_map(object), "spec");
            if let Some(list) = spec
                .entry("tolerations")
                .or_insert_with(|| json!([]))
                .as_array_mut()
            {
                list.push(toleration);
            }
        }
    }
    Ok(())
}

/// Gives a pod its account, and unless it wants none, the account's token as a volume.
async fn service_account(
    core: &Core,
    resource: &Resource,
    object: &mut Value,
    namespace: &str,
    name: &str,
) -> Result<(), Failure> {
    let asked = str_at(object, &["spec", "serviceAccountName"]);
    let account = if asked.is_empty() { "default" } else { asked }.to_owned();
    let spec = entry_map(as_map(object), "spec");
    spec.insert("serviceAccountName".into(), account.as_str().into());
    spec.insert("serviceAccount".into(), account.as_str().into());
    let Some(found) = core
        .peek("", "serviceaccounts", namespace, &account)
        .await?
    else {
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
        );
        return Err(resource.subject(name).forbidden(&why));
    };
    if list_at(object, &["spec", "imagePullSecrets"]).is_empty()
        && let Some(secrets) = at(&found, &["imagePullSecrets"])
    {
        object["spec"]["imagePullSecrets"] = secrets.clone();
    }
    let wants = at(object, &["spec", "automountServiceAccountToken"])
        .or(at(&found, &["automountServiceAccountToken"]))
        .and_then(Value::as_bool)
        .unwrap_or(true);
    if !wants {
        return Ok(());
    }
    const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let volume = list_at(object, &["spec", "volumes"])
        .iter()
        .map(|v| str_at(v, &["name"]))
        .find(|n| n.starts_with("kube-api-access-"));
    let volume = volume.map_or_else(
        || ordain_orchestrator_api::meta::generated_name("kube-api-access-", random()),
        str::to_owned,
    );
    let mut used = false;
    let spec = entry_map(as_map(object), "spec");
    for field in ["initContainers", "containers"] {
        for container in spec
            .get_mut(field)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let mounted = list_at(container, &["volumeMounts"])
                .iter()
                .any(|m| str_at(m, &["mountPath"]) == MOUNT);
            if mounted {
                continue;
            }
            used = true;
            let mounts = as_map(container)
                .entry("volumeMounts")
                .or_insert_with(|| json!([]));
            if let Some(list) = mounts.as_array_mut() {
                list.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT}));
            }
        }
    }
    let there = list_at(object, &["spec", "volumes"])
        .iter()
        .any(|v| str_at(v, &["name"]) == volume);
    if used && !there {
        let spec = entry_map(as_map(object), "spec");
        let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
        if let Some(list) = volumes.as_array_mut() {
            list.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ]}}));
        }
    }
    Ok(())
}

/// Returns random bytes for a generated name.
pub(crate) fn random() -> [u8; 5] {
    let bytes = *uuid::Uuid::new_v4().as_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]]
}

/// Turns the name of a priority class into a number.
async fn priority(
    core: &Core,
    resource: &Resource,
    object: &mut Value,
    name: &str,
) -> Result<(), Failure> {
    let asked = str_at(object, &["spec", "priorityClassName"]).to_owned();
    let class = if asked.is_empty() {
        default_of(core, "scheduling.k8s.io", "priorityclasses", |c| {
            bool_at(c, &["globalDefault"])
        })
        .await?
    } else {
        let found = core
            .peek("scheduling.k8s.io", "priorityclasses", "", &asked)
            .await?;
        Some(found.ok_or_else(|| {
            let why = format!("no PriorityClass with name {asked} was found");
            resource.subject(name).forbidden(&why)
        })?)
    };
    let value = class
        .as_ref()
        .and_then(|c| c["value"].as_i64())
        .unwrap_or(0);
    let preemption = class
        .as_ref()
        .map_or("", |c| str_at(c, &["preemptionPolicy"]));
    let preemption = if preemption.is_empty() {
        "PreemptLowerPriority"
    } else {
        preemption
    }
    .to_owned();
    let spec = entry_map(as_map(object), "spec");
    if let Some(given) = spec
        .get("priority")
        .and_then(Value::as_i64)
        .filter(|p| *p != value)
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(resource.subject(name).forbidden(&why));
    }
    if let Some(class) = class {
        spec.insert(
            "priorityClassName".into(),
            str_at(&class, &["metadata", "name"]).into(),
        );
    }
    spec.insert("priority".into(), value.into());
    spec.entry("preemptionPolicy")
        .or_insert_with(|| preemption.into());
    Ok(())
}

async fn default_of(
    core: &Core,
    group: &str,
    plural: &str,
    is_default: impl Fn(&Value) -> bool,
) -> Result<Option<Value>, Failure> {
    let resources = core.registry.now();
    let Some(resource) = resources.stored(group, plural) else {
        return Ok(None);
    };
    let range = ordain_orchestrator_store::Range::prefix(&resource.prefix);
    let page = core
        .store
        .list(range)
        .await
        .map_err(crate::core::store_failure)?;
    let mut objects = page
        .entries
        .iter()
        .filter_map(|e| object::decode(&e.value, e.mod_revision.0));
    Ok(objects.find(|o| is_default(o)))
}

async fn default_class(
    core: &Core,
    object: &mut Value,
    path: &[&str],
    field: &str,
    group: &str,
    plural: &str,
    note: &str,
) -> Result<(), Failure> {
    if at(object, path).and_then(|spec| spec.get(field)).is_some() {
        return Ok(());
    }
    let found = default_of(core, group, plural, |c| {
        str_at(c, &["metadata", "annotations", note]) == "true"
    })
    .await?;
    if let Some(class) = found {
        let name = str_at(&class, &["metadata", "name"]);
        crate::json::make_map(object, path).insert(field.to_owned(), name.into());
    }
    Ok(())
}

/// Nobody hands out rights that they do not have, unless they may `escalate` or `bind`.
fn escalation(
    call: &Call,
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), Failure> {
    let rbac = call.core.rbac();
    let namespace = str_at(object, &["metadata", "namespace"]);
    let name = str_at(object, &["metadata", "name"]);
    let may = |verb: &str, plural: &str, name: &str| {
        let wanted = Attributes {
            verb: verb.to_owned(),
            group: "rbac.authorization.k8s.io".to_owned(),
            resource: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        rbac.allows(&call.user, &wanted).is_some()
    };
    let rules: Vec<Rule> = match resource.plural.as_str() {
        "roles" | "clusterroles" => {
            if old.is_some_and(|o| o.get("rules") == object.get("rules"))
                || may("escalate", &resource.plural, name)
            {
                return Ok(());
            }
            list_at(object, &["rules"])
                .iter()
                .map(Rule::from_json)
                .collect()
        }
        _ => {
            if old.is_some_and(|o| {
                o.get("roleRef") == object.get("roleRef")
                    && o.get("subjects") == object.get("subjects")
            }) {
                return Ok(());
            }
            let cluster = str_at(object, &["roleRef", "kind"]) == "ClusterRole";
            let role = str_at(object, &["roleRef", "name"]);
            if may("bind", if cluster { "clusterroles" } else { "roles" }, role) {
                return Ok(());
            }
            let found = rbac.role_rules(cluster, namespace, role);
            let kind = if cluster { "clusterroles" } else { "roles" };
            found
                .ok_or_else(|| {
                    Subject {
                        group: "rbac.authorization.k8s.io",
                        plural: kind,
                        name: role,
                    }
                    .not_found()
                })?
                .to_vec()
        }
    };
    if rbac.has_all(&call.user, namespace, &rules) {
        return Ok(());
    }
    let why = format!(
        "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held",
        call.user.name, call.user.groups
    );
    Err(resource.subject(name).forbidden(&why))
}
