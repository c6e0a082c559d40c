//! Puts together what a container starts from: volumes, generated files, environment, arguments,
//! limits. It fetches what the pod refers to; the rules are in `pod`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, LifecycleHandler, Pod, Secret, SecurityContext, Service, VolumeMount,
};
use kube::Api;
use kube::api::ListParams;
use tokio::io::AsyncReadExt as _;

use super::Agent;
use crate::files;
use crate::images::Image;
use crate::images::pull::Credentials;
use crate::images::unpack;
use crate::pod::env::{self, Sources};
use crate::pod::resources;
use crate::pod::service_env;
use crate::runtime::spec::container_id;
use crate::runtime::{ContainerSpec, ExecRequest, Mount, PodRef, Sandbox, SandboxSpec, Security};
use crate::volumes::Volumes;

/// Longest message taken from a container's termination file, in bytes (Kubernetes,
/// terminationMessagePath).
const TERMINATION_BYTES_MAX: usize = 4096;

/// Where containers write their last words unless told otherwise (Kubernetes default).
const TERMINATION_PATH: &str = "/dev/termination-log";

/// The launcher of one pod.
pub(super) struct Launch {
    agent: Arc<Agent>,
    folder: PathBuf,
    volumes: Volumes,
    paths: BTreeMap<String, PathBuf>,
}

impl Launch {
    pub(super) fn new(agent: &Arc<Agent>, uid: &str) -> Self {
        let folder = agent.pods_dir().join(uid);
        let volumes = Volumes::new(agent.config.client.clone(), folder.join("volumes"));
        Self {
            agent: agent.clone(),
            folder,
            volumes,
            paths: BTreeMap::new(),
        }
    }

    pub(super) fn sandbox_spec(&self, pod: &Pod) -> SandboxSpec {
        let config = &self.agent.config;
        let (hostname, _) = files::hostname(pod, &config.cluster_domain, &config.name);
        let spec = pod.spec.as_ref();
        SandboxSpec {
            pod: pod_ref(pod),
            hostname,
            host_network: spec.is_some_and(|spec| spec.host_network == Some(true)),
        }
    }

    /// Makes the volumes and the generated files.
    pub(super) async fn prepare(&mut self, pod: &Pod, sandbox: &Sandbox) -> Result<(), String> {
        let folder = self.folder.join("etc");
        let made = fs::create_dir_all(&folder);
        made.map_err(|error| format!("failed to create {}: {error}", folder.display()))?;
        let config = &self.agent.config;
        let (name, full) = files::hostname(pod, &config.cluster_domain, &config.name);
        let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let hosts = if sandbox.host_network {
            fs::read_to_string("/etc/hosts").unwrap_or_default()
        } else {
            files::hosts(pod, sandbox.address, &name, full.as_deref())
        };
        let resolv = files::resolv_conf(pod, config.cluster_dns, &config.cluster_domain, &host);
        for (file, text) in [
            ("hosts", hosts),
            ("hostname", format!("{name}\n")),
            ("resolv.conf", resolv),
        ] {
            let path = folder.join(file);
            let written = fs::write(&path, text);
            written.map_err(|error| format!("failed to write {}: {error}", path.display()))?;
        }
        self.refresh(pod, sandbox).await
    }

    /// Brings the volumes up to date.
    pub(super) async fn refresh(&mut self, pod: &Pod, sandbox: &Sandbox) -> Result<(), String> {
        let sources = self.own_sources(sandbox);
        self.paths = self.volumes.prepare(pod, &sources).await?;
        Ok(())
    }

    fn own_sources(&self, sandbox: &Sandbox) -> Sources {
        let capacity = self.agent.capacity;
        Sources {
            pod_ip: sandbox.address.to_string(),
            host_ip: self.agent.node_ip.to_string(),
            allocatable: (
                capacity.cpus as i128 * 1000,
                i128::from(capacity.memory_bytes),
            ),
            ..Sources::default()
        }
    }

    /// Fetches what the container's environment refers to.
    async fn sources(
        &self,
        pod: &Pod,
        container: &Container,
        sandbox: &Sandbox,
    ) -> Result<Sources, String> {
        let mut sources = self.own_sources(sandbox);
        let client = self.agent.config.client.clone();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let (maps, secrets) = env::references(container);
        let said = |error: kube::Error| error.to_string();
        let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        for name in maps.into_iter().collect::<BTreeSet<_>>() {
            if let Some(map) = api.get_opt(&name).await.map_err(said)? {
                sources.config_maps.insert(name, map);
            }
        }
        let api = Api::<Secret>::namespaced(client.clone(), namespace);
        for name in secrets.into_iter().collect::<BTreeSet<_>>() {
            if let Some(secret) = api.get_opt(&name).await.map_err(said)? {
                sources.secrets.insert(name, secret);
            }
        }
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links) != Some(false);
        let services = Api::<Service>::namespaced(client.clone(), namespace);
        let mut own = match links {
            true => {
                services
                    .list(&ListParams::default())
                    .await
                    .map_err(said)?
                    .items
            }
            false => Vec::new(),
        };
        let has_master = own
            .iter()
            .any(|s| s.metadata.name.as_deref() == Some("kubernetes"));
        if !has_master || namespace != "default" {
            own.retain(|service| service.metadata.name.as_deref() != Some("kubernetes"));
            let default = Api::<Service>::namespaced(client, "default");
            own.extend(default.get_opt("kubernetes").await.map_err(said)?);
        }
        sources.services = service_env::variables(&own);
        if let Some((host, port)) = &self.agent.config.api_server {
            let fixed = [
                ("KUBERNETES_SERVICE_HOST", host.clone()),
                ("KUBERNETES_SERVICE_PORT", port.to_string()),
                ("KUBERNETES_SERVICE_PORT_HTTPS", port.to_string()),
            ];
            sources
                .services
                .retain(|(name, _)| !fixed.iter().any(|(own, _)| own == name));
            sources
                .services
                .extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(sources)
    }

    /// Returns everything that the driver needs to start a container.
    pub(super) async fn container(
        &mut self,
        pod: &Pod,
        container: &Container,
        attempt: u32,
        image: &Image,
        sandbox: &Sandbox,
    ) -> Result<ContainerSpec, String> {
        // Also after a restart of the agent, which has forgotten where the volumes are.
        self.prepare(pod, sandbox).await?;
        let sources = self.sources(pod, container, sandbox).await?;
        let env = env::environment(pod, container, &image.config.env, &sources)?;
        let look_up = |name: &str| {
            env.iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let expand = |words: &Option<Vec<String>>| {
            let words = words.as_deref().unwrap_or_default();
            words
                .iter()
                .map(|word| env::expand(word, look_up))
                .collect::<Vec<_>>()
        };
        let (command, arguments) = (expand(&container.command), expand(&container.args));
        let mut args = match (command.is_empty(), arguments.is_empty()) {
            (false, _) => [command, arguments].concat(),
            (true, false) => [image.config.entrypoint.clone(), arguments].concat(),
            (true, true) => [image.config.entrypoint.clone(), image.config.cmd.clone()].concat(),
        };
        args.retain(|word| {
            !word.is_empty() || container.command.is_some() || container.args.is_some()
        });
        if args.is_empty() {
            return Err("no command specified".to_owned());
        }
        let id = container_id(
            pod.metadata.uid.as_deref().unwrap_or_default(),
            &container.name,
            attempt,
        );
        let mounts = self.mounts(pod, container, &id, look_up)?;
        let cwd = [
            container.working_dir.as_deref(),
            Some(image.config.working_dir.as_str()),
        ];
        let cwd = cwd
            .into_iter()
            .flatten()
            .find(|path| !path.is_empty())
            .unwrap_or("/");
        let cwd = if cwd.starts_with('/') {
            cwd.to_owned()
        } else {
            format!("/{cwd}")
        };
        let own_signal = container
            .lifecycle
            .as_ref()
            .and_then(|l| l.stop_signal.clone());
        let mut env = env;
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        if !env.iter().any(|(name, _)| name == "PATH") {
            env.push(("PATH".to_owned(), path.to_owned()));
        }
        let hostname = self.sandbox_spec(pod).hostname;
        if !env.iter().any(|(name, _)| name == "HOSTNAME") {
            env.push(("HOSTNAME".to_owned(), hostname.clone()));
        }
        let limits = resources::limits(pod, container, self.agent.capacity.memory_bytes);
        Ok(ContainerSpec {
            log: self
                .logs(pod)
                .join(&container.name)
                .join(format!("{attempt}.log")),
            pod: pod_ref(pod),
            name: container.name.clone(),
            attempt,
            image: container.image.clone().unwrap_or_default(),
            image_id: image.id.clone(),
            args,
            env,
            cwd,
            image_user: image.config.user.clone(),
            stop_signal: own_signal.unwrap_or_else(|| image.config.stop_signal.clone()),
            hostname,
            mounts,
            limits,
            security: security(pod, container),
            tty: container.tty == Some(true),
            stdin: container.stdin == Some(true),
            sandbox: sandbox.clone(),
            id,
        })
    }

    /// Returns the folder of a pod's logs, laid out as below /var/log/pods.
    fn logs(&self, pod: &Pod) -> PathBuf {
        let pod = pod_ref(pod);
        let folder = self.agent.config.data_dir.join("logs/pods");
        folder.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid))
    }

    fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        id: &str,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Mount>, String> {
        let mut out = Vec::new();
        for wanted in container.volume_mounts.iter().flatten() {
            let source = self.paths.get(&wanted.name);
            let source = source.ok_or_else(|| format!("volume \"{}\" not found", wanted.name))?;
            let kind = pod
                .spec
                .iter()
                .flat_map(|spec| spec.volumes.iter().flatten());
            let kind = kind.into_iter().find(|volume| volume.name == wanted.name);
            // Upstream mounts what the API server filled read-only.
            let given = kind.is_some_and(|volume| {
                volume.config_map.is_some()
                    || volume.secret.is_some()
                    || volume.downward_api.is_some()
                    || volume.projected.is_some()
            });
            out.push(Mount {
                source: sub_path(source, wanted, &look_up, given)?,
                destination: absolute(&wanted.mount_path),
                read_only: wanted.read_only == Some(true) || given,
            });
        }
        let mut own = |source: PathBuf, destination: &str| {
            if !out.iter().any(|mount| mount.destination == destination) {
                let destination = destination.to_owned();
                out.push(Mount {
                    source,
                    destination,
                    read_only: false,
                });
            }
        };
        let etc = self.folder.join("etc");
        for name in ["hosts", "hostname", "resolv.conf"] {
            own(etc.join(name), &format!("/etc/{name}"));
        }
        let path = container
            .termination_message_path
            .as_deref()
            .filter(|path| !path.is_empty());
        let file = self.termination_file(id);
        let made = file
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&file, ""));
        made.map_err(|error| format!("failed to write {}: {error}", file.display()))?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let _ = fs::set_permissions(&file, open);
        own(file, path.unwrap_or(TERMINATION_PATH));
        Ok(out)
    }

    fn termination_file(&self, id: &str) -> PathBuf {
        self.folder.join("termination").join(id)
    }

    /// Returns a container's last words, if it left any.
    pub(super) fn termination_message(&self, id: &str) -> Option<String> {
        let bytes = fs::read(self.termination_file(id)).ok()?;
        let end = bytes.len().min(TERMINATION_BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Runs a lifecycle hook.
    pub(super) async fn hook(
        &self,
        id: &str,
        hook: &LifecycleHandler,
        limit: Duration,
    ) -> Result<(), String> {
        if let Some(sleep) = &hook.sleep {
            let wanted = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
            tokio::time::sleep(wanted.min(limit)).await;
            return Ok(());
        }
        let Some(exec) = &hook.exec else {
            return Err("this kind of hook is not supported yet".to_owned());
        };
        let command = exec.command.clone().unwrap_or_default();
        let request = ExecRequest {
            command,
            ..ExecRequest::default()
        };
        let work = async {
            let session = self.agent.runtime.exec(id, request).await;
            let mut session = session.map_err(|error| error.to_string())?;
            let mut text = Vec::new();
            let _ = session.stdout.read_to_end(&mut text).await;
            match session.exit.await {
                Ok(0) => Ok(()),
                Ok(code) => Err(format!("command exited with {code}")),
                Err(words) => Err(words),
            }
        };
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err("it did not end in time".to_owned()))
    }

    /// Returns the registry credentials of the pod's `imagePullSecrets`.
    pub(super) async fn credentials(&self, pod: &Pod) -> Vec<(String, Credentials)> {
        let names = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.image_pull_secrets.as_deref());
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let api = Api::<Secret>::namespaced(self.agent.config.client.clone(), namespace);
        let mut out = Vec::new();
        for wanted in names.unwrap_or_default() {
            let Ok(Some(secret)) = api.get_opt(&wanted.name).await else {
                continue;
            };
            let data = secret.data.unwrap_or_default();
            if let Some(text) = data.get(".dockerconfigjson") {
                out.extend(docker_config(&text.0));
            }
        }
        out
    }

    /// Removes the pod's logs.
    pub(super) async fn clear_logs(&self, pod: &Pod) {
        let folder = self.logs(pod);
        let _ = tokio::task::spawn_blocking(move || unpack::clear(&folder)).await;
    }
}

fn pod_ref(pod: &Pod) -> PodRef {
    let meta = &pod.metadata;
    PodRef {
        namespace: meta
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

fn absolute(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.starts_with('/') {
        trimmed.to_owned()
    } else {
        format!("/{trimmed}")
    }
}

/// Resolves `subPath` inside the volume: links in it never lead out.
fn sub_path(
    source: &Path,
    wanted: &VolumeMount,
    look_up: impl Fn(&str) -> Option<String>,
    given: bool,
) -> Result<PathBuf, String> {
    let plain = wanted.sub_path.clone().filter(|path| !path.is_empty());
    let expanded = wanted
        .sub_path_expr
        .as_ref()
        .filter(|path| !path.is_empty());
    let path = plain.or_else(|| expanded.map(|text| env::expand(text, look_up)));
    let Some(path) = path else {
        return Ok(source.to_owned());
    };
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!("subPath `{path}` leads out of the volume"));
    }
    let found = unpack::scoped(source, Path::new(&path)).map_err(|error| error.to_string())?;
    if !found.exists() {
        if given {
            return Err(format!(
                "subPath `{path}` is not in volume \"{}\"",
                wanted.name
            ));
        }
        fs::create_dir_all(&found).map_err(|error| format!("failed to create subPath: {error}"))?;
    }
    Ok(found)
}

/// Merges the pod's and the container's security settings; the container's win.
fn security(pod: &Pod, container: &Container) -> Security {
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.clone());
    let of_pod = of_pod.unwrap_or_default();
    let own: SecurityContext = container.security_context.clone().unwrap_or_default();
    let id = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let capabilities = own.capabilities.unwrap_or_default();
    let mut groups: Vec<u32> = of_pod
        .supplemental_groups
        .iter()
        .flatten()
        .filter_map(|gid| id(Some(*gid)))
        .collect();
    groups.extend(id(of_pod.fs_group));
    Security {
        privileged: own.privileged == Some(true),
        add: capabilities.add.unwrap_or_default(),
        drop: capabilities.drop.unwrap_or_default(),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        read_only_root: own.read_only_root_filesystem == Some(true),
        run_as_user: id(own.run_as_user.or(of_pod.run_as_user)),
        run_as_group: id(own.run_as_group.or(of_pod.run_as_group)),
        groups,
        run_as_non_root: own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true),
    }
}

/// Reads a Docker config: `{"auths": {"registry": {"auth": "base64 of user:password"}}}`.
fn docker_config(text: &[u8]) -> Vec<(String, Credentials)> {
    use base64::Engine as _;
    let value: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let Some(auths) = value.get("auths").and_then(|auths| auths.as_object()) else {
        return Vec::new();
    };
    let one = |(registry, entry): (&String, &serde_json::Value)| {
        let registry = registry
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        let registry = registry.split('/').next()?.to_owned();
        let text = |name: &str| entry.get(name).and_then(|value| value.as_str());
        let pair = match (text("username"), text("password")) {
            (Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
            _ => {
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(text("auth")?)
                    .ok()?;
                let whole = String::from_utf8(bytes).ok()?;
                let (user, password) = whole.split_once(':')?;
                (user.to_owned(), password.to_owned())
            }
        };
        Some((
            registry,
            Credentials {
                username: pair.0,
                password: pair.1,
            },
        ))
    };
    auths.iter().filter_map(one).collect()
}
