//! The `process` driver: supervised child processes, a loopback address per pod, no privileges.
//!
//! Every address of 127/8 is local on Linux, so each pod gets one of its own; programs that listen
//! on 0.0.0.0 collide, so the address is in their environment as POD_IP, BIND_ADDRESS and HOST.
//! The image is unpacked to a folder; the command is looked up there first, then on the PATH.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use ordain_orchestrator_net::ipam::{Cidr, Ipam};
use tokio::sync::mpsc::UnboundedSender;

use super::exec::{ExecRequest, ExecSession};
use super::shims::Shims;
use super::{
    ContainerRecord, ContainerSpec, Runtime, RuntimeError, Sandbox, SandboxSpec, StopSignal, Usage,
    host, user,
};
use crate::images::{Image, ImageStore, unpack};
use crate::shim::task::{How, Task};

/// Where programs are looked up when the image does not set PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The driver.
pub struct ProcessRuntime {
    shims: Shims,
    store: ImageStore,
    folder: PathBuf,
    pool: Arc<Mutex<Ipam>>,
}

impl ProcessRuntime {
    /// Opens the driver in `<data_dir>`.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn open(
        data_dir: &Path,
        program: PathBuf,
        store: ImageStore,
        range: Cidr,
        exits: UnboundedSender<String>,
    ) -> Result<Self, RuntimeError> {
        let folder = data_dir.join("sandboxes");
        fs::create_dir_all(&folder).map_err(RuntimeError::io("create", &folder))?;
        let mut pool = Ipam::new(range);
        for sandbox in read_sandboxes(&folder) {
            pool.reserve(sandbox.address);
        }
        let shims = Shims::open(data_dir.join("containers"), program, exits)?;
        Ok(Self {
            shims,
            store,
            folder,
            pool: Arc::new(Mutex::new(pool)),
        })
    }

    fn allocate(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        if let Some(found) = read_sandbox(&self.folder, &spec.pod.uid) {
            return Ok(found);
        }
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let address = if spec.host_network {
            Ipv4Addr::LOCALHOST
        } else {
            pool.allocate()
                .map_err(|error| RuntimeError::Network(Box::new(error)))?
        };
        let sandbox = Sandbox {
            pod: spec.pod.clone(),
            address,
            host_network: spec.host_network,
            namespaces: None,
            host_interface: None,
        };
        write_sandbox(&self.folder, &sandbox)?;
        Ok(sandbox)
    }
}

impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    fn refusals(&self, pod: &Pod) -> Vec<String> {
        let Some(spec) = &pod.spec else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let containers = spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten());
        let mut limited = false;
        let mut mounted = false;
        let mut secured = false;
        for container in containers {
            limited |= container
                .resources
                .as_ref()
                .is_some_and(|resources| resources.limits.as_ref().is_some_and(|l| !l.is_empty()));
            // The generated service-account mount is no wish of the user's.
            mounted |= container.volume_mounts.iter().flatten().any(|mount| {
                !mount
                    .mount_path
                    .starts_with("/var/run/secrets/kubernetes.io/serviceaccount")
            });
            secured |= container.security_context.as_ref().is_some_and(|security| {
                security.capabilities.is_some()
                    || security.privileged == Some(true)
                    || security.read_only_root_filesystem == Some(true)
            });
        }
        let mut say = |yes: bool, words: &str| {
            if yes {
                out.push(words.to_owned());
            }
        };
        say(
            limited,
            "resource limits are not enforced by the process runtime",
        );
        say(
            mounted,
            "volumes are not mounted at their paths by the process runtime; their paths are \
             translated in arguments and environment values only",
        );
        say(
            secured,
            "privileged, capabilities and readOnlyRootFilesystem are not applied by the process \
             runtime",
        );
        out
    }

    fn sandbox<'a>(
        &'a self,
        spec: &'a SandboxSpec,
    ) -> BoxFuture<'a, Result<Sandbox, RuntimeError>> {
        async move { self.allocate(spec) }.boxed()
    }

    fn find_sandbox(&self, pod_uid: &str) -> Option<Sandbox> {
        read_sandbox(&self.folder, pod_uid)
    }

    fn sandboxes(&self) -> Vec<Sandbox> {
        read_sandboxes(&self.folder)
    }

    fn remove_sandbox<'a>(&'a self, pod_uid: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            if let Some(sandbox) = read_sandbox(&self.folder, pod_uid) {
                unpack::clear(&self.folder.join(pod_uid));
                let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
                pool.release(sandbox.address);
            }
            Ok(())
        }
        .boxed()
    }

    fn start<'a>(
        &'a self,
        spec: ContainerSpec,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            let (store, image) = (self.store.clone(), image.clone());
            let root = tokio::task::spawn_blocking(move || store.flat(&image)).await;
            let root = root.map_err(|error| RuntimeError::Shim(error.to_string()))??;
            self.shims.start(task(spec, &root)?).await
        }
        .boxed()
    }

    fn containers(&self) -> Vec<ContainerRecord> {
        self.shims.containers()
    }

    fn stop(&self, id: &str, signal: StopSignal) -> Result<(), RuntimeError> {
        self.shims.stop(id, signal)
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        self.shims.remove(id).boxed()
    }

    fn exec<'a>(
        &'a self,
        id: &'a str,
        request: ExecRequest,
    ) -> BoxFuture<'a, Result<ExecSession, RuntimeError>> {
        self.shims.exec(id, request).boxed()
    }

    fn usage(&self, _id: &str) -> Option<Usage> {
        None
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// Turns a container into the order to run it from an unpacked image.
fn task(mut spec: ContainerSpec, root: &Path) -> Result<Task, RuntimeError> {
    let address = spec.sandbox.address.to_string();
    for name in ["POD_IP", "BIND_ADDRESS", "HOST"] {
        if !spec.env.iter().any(|(known, _)| known == name) {
            spec.env.push((name.to_owned(), address.clone()));
        }
    }
    spec.env
        .push(("ORDAIN_ROOT".to_owned(), root.display().to_string()));
    translate(&mut spec, root);
    let command = spec.args.first().cloned().unwrap_or_default();
    let program = find_program(root, &command, &spec.cwd, path_of(&spec.env));
    let program = program.ok_or_else(|| RuntimeError::Shim(not_found(&command)))?;
    // Programs of the image look for their own libraries where the image has them.
    let libraries = ["lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib"];
    let libraries: Vec<String> = libraries
        .into_iter()
        .chain(["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"])
        .map(|name| root.join(name))
        .filter(|path| path.is_dir() && program.starts_with(root))
        .map(|path| path.display().to_string())
        .collect();
    if !libraries.is_empty() && !spec.env.iter().any(|(name, _)| name == "LD_LIBRARY_PATH") {
        spec.env
            .push(("LD_LIBRARY_PATH".to_owned(), libraries.join(":")));
    }
    let inside: String = spec
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or_else(|| DEFAULT_PATH.to_owned(), |(_, path)| path.clone());
    // Scripts find the image's programs before the host's.
    let folders = inside
        .split(':')
        .map(|folder| root.join(folder.trim_start_matches('/')));
    let folders = folders
        .filter(|folder| folder.is_dir())
        .map(|f| f.display().to_string());
    let both: Vec<String> = folders.chain([inside.clone()]).collect();
    spec.env.retain(|(name, _)| name != "PATH");
    spec.env.push(("PATH".to_owned(), both.join(":")));
    let cwd = unpack::scoped(root, Path::new(&spec.cwd))
        .ok()
        .filter(|path| path.is_dir());
    let cwd = cwd.unwrap_or_else(|| root.to_owned());
    let chosen = if host::is_root() {
        let read = |name: &str| {
            let path = unpack::scoped(root, Path::new(name)).unwrap_or_default();
            fs::read_to_string(path).unwrap_or_default()
        };
        let texts = (read("etc/passwd"), read("etc/group"));
        let user = user::resolve(&spec.security, &spec.image_user, &texts.0, &texts.1);
        let user = user.map_err(|error| RuntimeError::Shim(error.to_string()))?;
        (user.uid != 0).then_some((user.uid, user.gid))
    } else {
        None
    };
    Ok(Task {
        container: spec,
        how: How::Process {
            program,
            cwd,
            user: chosen,
        },
    })
}

/// Rewrites paths of volumes, and of the image's files, in arguments and environment values to
/// where they really are: without mounts a program finds its files in no other way.
fn translate(spec: &mut ContainerSpec, root: &Path) {
    let mounts = mounted(spec);
    translate_words(&mut spec.args, &mounts, root);
    for (name, value) in &mut spec.env {
        if name != "PATH" {
            *value = replace_paths(value, &mounts);
        }
    }
}

/// Returns the paths of volumes with where they are, longest first.
fn mounted(spec: &ContainerSpec) -> Vec<(String, PathBuf)> {
    let pair = |mount: &super::Mount| (mount.destination.clone(), mount.source.clone());
    let mut mounts: Vec<_> = spec.mounts.iter().map(pair).collect();
    mounts.sort_by_key(|(destination, _)| std::cmp::Reverse(destination.len()));
    mounts
}

fn translate_words(words: &mut [String], mounts: &[(String, PathBuf)], root: &Path) {
    for (index, word) in words.iter_mut().enumerate() {
        let changed = replace_paths(word, mounts);
        if changed != *word {
            *word = changed;
            continue;
        }
        // The program itself is looked up in the image anyway.
        if index > 0 && word.len() > 1 && word.starts_with('/') && !Path::new(word).exists() {
            let inside = unpack::scoped(root, Path::new(word))
                .ok()
                .filter(|path| path.exists());
            if let Some(path) = inside {
                *word = path.display().to_string();
            }
        }
    }
}

/// Replaces paths in a text where they stand as whole paths or as the start of one. `mounts` has
/// the longest first; what was replaced is not looked at again.
fn replace_paths(text: &str, mounts: &[(String, PathBuf)]) -> String {
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let mut out = String::new();
    let mut rest = text;
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        let fits = |(from, _): &&(String, PathBuf)| {
            let after = rest.strip_prefix(from.as_str());
            let after = after.map(|after| after.chars().next());
            after.is_some_and(|next| next == Some('/') || !next.is_some_and(part_of_name))
        };
        let starts = !before.is_some_and(part_of_name);
        match mounts.iter().find(fits).filter(|_| starts && first == '/') {
            Some((from, to)) => {
                out.push_str(&to.to_string_lossy());
                before = from.chars().next_back();
                rest = &rest[from.len()..];
            }
            None => {
                out.push(first);
                before = Some(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Returns where the program of an exec is, looked up as the container's own was, and the words to
/// run it with.
pub(crate) fn prepare_exec(
    spec: &ContainerSpec,
    request: &ExecRequest,
) -> Result<(PathBuf, Vec<String>), String> {
    let command = request.command.first().ok_or("no command was given")?;
    let root = spec
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "ORDAIN_ROOT");
    let root = root
        .map(|(_, root)| PathBuf::from(root))
        .unwrap_or_default();
    let mut words = request.command.clone();
    translate_words(&mut words, &mounted(spec), &root);
    let found = find_program(&root, command, &spec.cwd, path_of(&spec.env));
    Ok((found.ok_or_else(|| not_found(command))?, words))
}

/// The words of runc, which scripts and people look for.
fn not_found(command: &str) -> String {
    format!("exec: \"{command}\": executable file not found in $PATH")
}

fn path_of(env: &[(String, String)]) -> &str {
    env.iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or(DEFAULT_PATH, |(_, path)| path)
}

/// Finds a program inside the image, then on the host.
fn find_program(root: &Path, command: &str, cwd: &str, path: &str) -> Option<PathBuf> {
    let inside = |name: &Path| {
        let at = unpack::scoped(root, name).ok()?;
        is_program(&at).then_some(at)
    };
    let as_given = Path::new(command);
    if command.contains('/') {
        let from_cwd = if as_given.is_absolute() {
            as_given.to_owned()
        } else {
            Path::new(cwd).join(as_given)
        };
        let plain = !from_cwd
            .components()
            .any(|part| part == Component::ParentDir);
        let host = || (plain && is_program(&from_cwd)).then(|| from_cwd.clone());
        return inside(&from_cwd).or_else(host);
    }
    let folders = || path.split(':').chain(DEFAULT_PATH.split(':'));
    let found = folders().find_map(|folder| inside(&Path::new(folder).join(command)));
    found.or_else(|| {
        folders()
            .map(|folder| Path::new(folder).join(command))
            .find(|path| is_program(path))
    })
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Reads the sandboxes of a folder, as after a restart.
pub(crate) fn read_sandboxes(folder: &Path) -> Vec<Sandbox> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter_map(|name| read_sandbox(folder, &name))
        .collect()
}

pub(crate) fn read_sandbox(folder: &Path, pod_uid: &str) -> Option<Sandbox> {
    let text = fs::read(folder.join(pod_uid).join("sandbox.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(crate) fn write_sandbox(folder: &Path, sandbox: &Sandbox) -> Result<(), RuntimeError> {
    let place = folder.join(&sandbox.pod.uid);
    fs::create_dir_all(&place).map_err(RuntimeError::io("create", &place))?;
    crate::shim::task::write(&place, "sandbox.json", sandbox)
        .map_err(RuntimeError::io("write", place.join("sandbox.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_paths_are_translated_as_whole_paths() {
        let mounts = [("/etc/shop", "/vol"), ("/work", "/work/vol")];
        let mounts = mounts.map(|(from, to)| (from.to_owned(), PathBuf::from(to)));
        for (text, expect) in [
            ("/etc/shop", "/vol"),
            ("--config=/etc/shop/a.toml", "--config=/vol/a.toml"),
            ("cat /etc/shop/a; ls /work/é", "cat /vol/a; ls /work/vol/é"),
            ("/etc/shopping", "/etc/shopping"),
            ("/x/etc/shop", "/x/etc/shop"),
            ("/etc", "/etc"),
        ] {
            assert_eq!(replace_paths(text, &mounts), expect, "{text}");
        }
    }
}
