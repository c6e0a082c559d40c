//! A container's environment: the image's, then Services, then `envFrom`, then `env` with
//! references and `$(NAME)` expansion. Pure over what was fetched before.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret};

use super::quantity::milli;

/// What references may point at, fetched before.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// ConfigMaps of the pod's namespace by name.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Secrets of the pod's namespace by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Variables that name the namespace's Services.
    pub services: Vec<(String, String)>,
    /// The pod's address.
    pub pod_ip: String,
    /// The node's address.
    pub host_ip: String,
    /// What the node can give, for `resourceFieldRef` without a limit: (cores in thousandths, bytes).
    pub allocatable: (i128, i128),
}

/// Returns the names of the ConfigMaps and Secrets that the environment of a pod's containers
/// refers to.
pub fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let mut maps = Vec::new();
    let mut secrets = Vec::new();
    for source in container.env_from.iter().flatten() {
        maps.extend(source.config_map_ref.iter().map(|one| one.name.clone()));
        secrets.extend(source.secret_ref.iter().map(|one| one.name.clone()));
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|one| one.value_from.as_ref())
    {
        maps.extend(source.config_map_key_ref.iter().map(|one| one.name.clone()));
        secrets.extend(source.secret_key_ref.iter().map(|one| one.name.clone()));
    }
    (maps, secrets)
}

/// Returns the environment; a later variable of a name replaces an earlier one.
///
/// # Errors
/// In upstream's words, when a reference that is not optional leads nowhere.
pub fn environment(
    pod: &Pod,
    container: &Container,
    image: &[String],
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let mut out = Env::default();
    for text in image {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        out.set(name, value.to_owned());
    }
    for (name, value) in &sources.services {
        out.set(name, value.clone());
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(wanted) = &source.config_map_ref {
            match sources.config_maps.get(&wanted.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        out.set(&format!("{prefix}{key}"), value.clone());
                    }
                }
                None if wanted.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", wanted.name)),
            }
        }
        if let Some(wanted) = &source.secret_ref {
            match sources.secrets.get(&wanted.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        let text = String::from_utf8_lossy(&value.0).into_owned();
                        out.set(&format!("{prefix}{key}"), text);
                    }
                }
                None if wanted.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", wanted.name)),
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value {
            Some(text) if !text.is_empty() || variable.value_from.is_none() => {
                Some(expand(text, |name| out.get(name)))
            }
            _ => referred(pod, container, variable, sources, namespace)?,
        };
        if let Some(value) = value {
            out.set(&variable.name, value);
        }
    }
    Ok(out.list)
}

#[derive(Default)]
struct Env {
    list: Vec<(String, String)>,
}

impl Env {
    fn set(&mut self, name: &str, value: String) {
        match self.list.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.list.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.list
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }
}

fn referred(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    sources: &Sources,
    namespace: &str,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(String::new()));
    };
    if let Some(field) = &from.field_ref {
        let value = field_value(pod, &field.field_path, sources);
        return value
            .map(Some)
            .ok_or_else(|| format!("unsupported fieldPath: {}", field.field_path));
    }
    if let Some(wanted) = &from.config_map_key_ref {
        let optional = wanted.optional == Some(true);
        let Some(map) = sources.config_maps.get(&wanted.name) else {
            return absent(optional, format!("configmap \"{}\" not found", wanted.name));
        };
        let value = map.data.as_ref().and_then(|data| data.get(&wanted.key));
        return match value {
            Some(value) => Ok(Some(value.clone())),
            None => absent(
                optional,
                format!(
                    "couldn't find key {} in ConfigMap {namespace}/{}",
                    wanted.key, wanted.name
                ),
            ),
        };
    }
    if let Some(wanted) = &from.secret_key_ref {
        let optional = wanted.optional == Some(true);
        let Some(secret) = sources.secrets.get(&wanted.name) else {
            return absent(optional, format!("secret \"{}\" not found", wanted.name));
        };
        let value = secret.data.as_ref().and_then(|data| data.get(&wanted.key));
        return match value {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => absent(
                optional,
                format!(
                    "couldn't find key {} in Secret {namespace}/{}",
                    wanted.key, wanted.name
                ),
            ),
        };
    }
    if let Some(wanted) = &from.resource_field_ref {
        let other = wanted
            .container_name
            .as_deref()
            .filter(|name| !name.is_empty());
        let containers = pod.spec.iter().flat_map(|spec| {
            spec.containers
                .iter()
                .chain(spec.init_containers.iter().flatten())
        });
        let at = match other {
            Some(name) => containers.into_iter().find(|one| one.name == name),
            None => Some(container),
        };
        let at = at.ok_or_else(|| format!("container {} not found", other.unwrap_or_default()))?;
        let divisor = wanted
            .divisor
            .as_ref()
            .map_or("1", |quantity| quantity.0.as_str());
        let value = resource_value(at, &wanted.resource, divisor, sources.allocatable);
        return value
            .map(Some)
            .ok_or_else(|| format!("unsupported resource: {}", wanted.resource));
    }
    Ok(Some(String::new()))
}

fn absent(optional: bool, words: String) -> Result<Option<String>, String> {
    if optional { Ok(None) } else { Err(words) }
}

/// Returns a field of the pod as the downward API gives it.
pub fn field_value(pod: &Pod, path: &str, sources: &Sources) -> Option<String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let keyed = |prefix: &str| {
        path.strip_prefix(prefix)?
            .strip_suffix("']")
            .map(str::to_owned)
    };
    let text = |value: Option<&String>| Some(value.cloned().unwrap_or_default());
    match path {
        "metadata.name" => text(meta.name.as_ref()),
        "metadata.namespace" => text(meta.namespace.as_ref()),
        "metadata.uid" => text(meta.uid.as_ref()),
        "metadata.labels" => Some(pairs(meta.labels.as_ref())),
        "metadata.annotations" => Some(pairs(meta.annotations.as_ref())),
        "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.podIP" | "status.podIPs" => Some(sources.pod_ip.clone()),
        "status.hostIP" | "status.hostIPs" => Some(sources.host_ip.clone()),
        _ => {
            let (table, key) = match keyed("metadata.labels['") {
                Some(key) => (meta.labels.as_ref(), key),
                None => (meta.annotations.as_ref(), keyed("metadata.annotations['")?),
            };
            text(table.and_then(|table| table.get(&key)))
        }
    }
}

/// Writes labels as the downward API does: one `key="value"` per line.
fn pairs(table: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = table
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}

/// Returns a resource of a container as the downward API gives it: divided, rounded up.
pub fn resource_value(
    container: &Container,
    resource: &str,
    divisor: &str,
    allocatable: (i128, i128),
) -> Option<String> {
    let (table, name) = resource.split_once('.')?;
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let of = |table: Option<&BTreeMap<_, _>>| -> Option<i128> {
        let quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity =
            table?.get(name)?;
        milli(&quantity.0)
    };
    let node = match name {
        "cpu" => Some(allocatable.0),
        "memory" => Some(allocatable.1 * 1000),
        _ => None,
    };
    let value = match table {
        // Without a limit a container may use what the node has.
        "limits" => of(limits).or(node)?,
        "requests" => of(requests).or_else(|| of(limits)).unwrap_or(0),
        _ => return None,
    };
    let divisor = milli(divisor)
        .filter(|divisor| *divisor > 0)
        .unwrap_or(1000);
    Some(((value + divisor - 1) / divisor).to_string())
}

/// Replaces `$(NAME)`; `$$` is a dollar, and what is not known stays as it is
/// (third_party/forked/golang/expansion).
pub fn expand(text: &str, look_up: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(more) = after.strip_prefix('$') {
            out.push('$');
            rest = more;
            continue;
        }
        let name = after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'));
        match name {
            Some((name, more)) => {
                match look_up(name) {
                    Some(value) => out.push_str(&value),
                    None => {
                        out.push_str("$(");
                        out.push_str(name);
                        out.push(')');
                    }
                }
                rest = more;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_as_upstream_does() {
        let known = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, expect) in [
            ("x$(A)y", "x1y"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
            ("$()", "$()"),
        ] {
            assert_eq!(expand(text, known), expect, "{text}");
        }
    }

    fn check(container: &str, expect: Result<&[(&str, &str)], &str>) {
        let text = format!(
            r#"{{"metadata":{{"name":"p","namespace":"ns","labels":{{"app":"web"}}}},
               "spec":{{"containers":[{container}]}}}}"#
        );
        let pod: Pod = serde_json::from_str(&text).expect("a pod");
        let map = r#"{"data":{"k":"v","COLOR":"red"}}"#;
        let secret = r#"{"data":{"password":"aHVzaA=="}}"#;
        let mut sources = Sources {
            pod_ip: "10.42.0.7".into(),
            ..Sources::default()
        };
        sources
            .config_maps
            .insert("m".into(), serde_json::from_str(map).expect("a map"));
        sources
            .secrets
            .insert("s".into(), serde_json::from_str(secret).expect("a secret"));
        let container = &pod.spec.as_ref().expect("a spec").containers[0];
        let found = environment(&pod, container, &["PATH=/bin".to_owned()], &sources);
        let found = found.as_ref().map(|list| {
            list.iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<Vec<_>>()
        });
        let found = found.map_err(String::as_str);
        assert_eq!(found, expect.map(<[_]>::to_vec));
    }

    #[test]
    fn every_source_is_read() {
        check(
            r#"{"name":"c","env":[
                {"name":"A","value":"1"},{"name":"B","value":"$(A)2 $(PATH)"},
                {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
                {"name":"APP","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
                {"name":"K","valueFrom":{"configMapKeyRef":{"name":"m","key":"k"}}},
                {"name":"P","valueFrom":{"secretKeyRef":{"name":"s","key":"password"}}},
                {"name":"N","valueFrom":{"configMapKeyRef":{"name":"x","key":"k","optional":true}}},
                {"name":"L","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}}
               ],"envFrom":[{"prefix":"M_","configMapRef":{"name":"m"}}],
               "resources":{"limits":{"memory":"64Mi"}}}"#,
            Ok(&[
                ("PATH", "/bin"),
                ("M_COLOR", "red"),
                ("M_k", "v"),
                ("A", "1"),
                ("B", "12 /bin"),
                ("IP", "10.42.0.7"),
                ("APP", "web"),
                ("K", "v"),
                ("P", "hush"),
                ("L", "64"),
            ]),
        );
        check(
            r#"{"name":"c","envFrom":[{"configMapRef":{"name":"gone"}}]}"#,
            Err("configmap \"gone\" not found"),
        );
        check(
            r#"{"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"x"}}}]}"#,
            Err("couldn't find key x in Secret ns/s"),
        );
    }
}
