//! Makes a pod's volumes: folders below the pod's own, filled from the API server where the volume
//! says so, and kept up to date. Knows no containers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, PersistentVolume,
    PersistentVolumeClaim, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection, Volume,
};
use kube::api::PostParams;
use kube::{Api, Client};
use nix::mount::{MsFlags, mount};

use crate::pod::env::{Sources, field_value, resource_value};
use crate::pod::quantity::units;
use crate::runtime::host::is_root;

/// Why a volume could not be made, in words for the pod's event.
pub(crate) type VolumeResult<T> = Result<T, String>;

/// The mode of projected files unless told otherwise (Kubernetes defaults).
const FILE_MODE: i32 = 0o644;

/// What the files of one volume are: relative path to content and mode.
type Files = BTreeMap<String, (Vec<u8>, i32)>;

/// A service-account token that was fetched, with when to fetch the next.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    renew_at: Timestamp,
}

/// The volumes of one pod.
pub(crate) struct Volumes {
    client: Client,
    folder: PathBuf,
    tokens: BTreeMap<String, Token>,
}

impl Volumes {
    /// Returns the volumes kept in `folder`.
    pub(crate) fn new(client: Client, folder: PathBuf) -> Self {
        Self {
            client,
            folder,
            tokens: BTreeMap::new(),
        }
    }

    /// Makes or refreshes all volumes and returns where each is on the host.
    pub(crate) async fn prepare(
        &mut self,
        pod: &Pod,
        sources: &Sources,
    ) -> VolumeResult<BTreeMap<String, PathBuf>> {
        let mut out = BTreeMap::new();
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
        for volume in volumes.unwrap_or_default() {
            let made = self.volume(pod, volume, sources).await;
            let path = made.map_err(|words| {
                format!(
                    "MountVolume.SetUp failed for volume \"{}\" : {words}",
                    volume.name
                )
            })?;
            out.insert(volume.name.clone(), path);
        }
        Ok(out)
    }

    async fn volume(
        &mut self,
        pod: &Pod,
        volume: &Volume,
        sources: &Sources,
    ) -> VolumeResult<PathBuf> {
        if let Some(host) = &volume.host_path {
            return host_path(host);
        }
        if let Some(claim) = &volume.persistent_volume_claim {
            return self.claim(pod, &claim.claim_name).await;
        }
        let place = self.folder.join(&volume.name);
        fs::create_dir_all(&place).map_err(|error| said("create", &place, &error))?;
        if let Some(empty) = &volume.empty_dir {
            let open = fs::Permissions::from_mode(0o777);
            fs::set_permissions(&place, open).map_err(|error| said("open", &place, &error))?;
            if empty.medium.as_deref() == Some("Memory") && is_root() {
                let size = empty.size_limit.as_ref().and_then(|limit| units(&limit.0));
                memory(&place, size)?;
            }
            return Ok(place);
        }
        let mut files = Files::new();
        if let Some(map) = &volume.config_map {
            let optional = map.optional == Some(true);
            let mode = map.default_mode.unwrap_or(FILE_MODE);
            let data = self.config_map(pod, &map.name, optional).await?;
            select(
                &mut files,
                data,
                map.items.as_deref(),
                mode,
                optional,
                "configmap",
            )?;
        } else if let Some(secret) = &volume.secret {
            let optional = secret.optional == Some(true);
            let mode = secret.default_mode.unwrap_or(FILE_MODE);
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let data = self.secret(pod, name, optional).await?;
            select(
                &mut files,
                data,
                secret.items.as_deref(),
                mode,
                optional,
                "secret",
            )?;
        } else if let Some(downward) = &volume.downward_api {
            let mode = downward.default_mode.unwrap_or(FILE_MODE);
            for item in downward.items.iter().flatten() {
                downward_file(&mut files, pod, item, mode, sources)?;
            }
        } else if let Some(projected) = &volume.projected {
            let mode = projected.default_mode.unwrap_or(FILE_MODE);
            for source in projected.sources.iter().flatten() {
                if let Some(map) = &source.config_map {
                    let optional = map.optional == Some(true);
                    let data = self.config_map(pod, &map.name, optional).await?;
                    select(
                        &mut files,
                        data,
                        map.items.as_deref(),
                        mode,
                        optional,
                        "configmap",
                    )?;
                }
                if let Some(secret) = &source.secret {
                    let optional = secret.optional == Some(true);
                    let data = self.secret(pod, &secret.name, optional).await?;
                    select(
                        &mut files,
                        data,
                        secret.items.as_deref(),
                        mode,
                        optional,
                        "secret",
                    )?;
                }
                for item in source
                    .downward_api
                    .iter()
                    .flat_map(|one| one.items.iter().flatten())
                {
                    downward_file(&mut files, pod, item, mode, sources)?;
                }
                if let Some(token) = &source.service_account_token {
                    let key = format!("{}/{}", volume.name, token.path);
                    let text = self.token(pod, token, key).await?;
                    files.insert(token.path.clone(), (text.into_bytes(), mode));
                }
            }
        } else {
            return Err("this type of volume is not supported yet".to_owned());
        }
        write(&place, &files)?;
        Ok(place)
    }

    async fn config_map(
        &self,
        pod: &Pod,
        name: &str,
        optional: bool,
    ) -> VolumeResult<BTreeMap<String, Vec<u8>>> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace(pod));
        match api.get_opt(name).await.map_err(|error| error.to_string())? {
            Some(map) => {
                let texts = map
                    .data
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k, v.into_bytes()));
                let binary = map.binary_data.into_iter().flatten().map(|(k, v)| (k, v.0));
                Ok(texts.chain(binary).collect())
            }
            None if optional => Ok(BTreeMap::new()),
            None => Err(format!("configmap \"{name}\" not found")),
        }
    }

    async fn secret(
        &self,
        pod: &Pod,
        name: &str,
        optional: bool,
    ) -> VolumeResult<BTreeMap<String, Vec<u8>>> {
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace(pod));
        match api.get_opt(name).await.map_err(|error| error.to_string())? {
            Some(secret) => Ok(secret
                .data
                .into_iter()
                .flatten()
                .map(|(k, v)| (k, v.0))
                .collect()),
            None if optional => Ok(BTreeMap::new()),
            None => Err(format!("secret \"{name}\" not found")),
        }
    }

    /// Returns a token bound to the pod, a new one once four fifths of its time are over.
    async fn token(
        &mut self,
        pod: &Pod,
        wanted: &ServiceAccountTokenProjection,
        key: String,
    ) -> VolumeResult<String> {
        let now = Timestamp::now();
        if let Some(known) = self.tokens.get(&key).filter(|token| token.renew_at > now) {
            return Ok(known.text.clone());
        }
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.as_deref());
        let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: wanted.audience.clone().map(|audience| vec![audience]),
                expiration_seconds: Some(wanted.expiration_seconds.unwrap_or(3600)),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            }),
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace(pod));
        let given = api
            .create_token_request(account, &PostParams::default(), &request)
            .await;
        let status = given
            .map_err(|error| format!("failed to fetch token: {error}"))?
            .status;
        let status = status.ok_or("failed to fetch token: no token in the answer")?;
        let text = status
            .token
            .ok_or("failed to fetch token: no token in the answer")?;
        let until = status.expiration_timestamp.map_or(now, |time| time.0);
        let whole = until.duration_since(now);
        let renew_at = now.checked_add(whole * 4 / 5).unwrap_or(now);
        let token = Token { text, renew_at };
        self.tokens.insert(key, token.clone());
        Ok(token.text)
    }

    /// Resolves a claim to a folder of this host: hostPath and local volumes only.
    async fn claim(&self, pod: &Pod, name: &str) -> VolumeResult<PathBuf> {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace(pod));
        let claim = claims
            .get_opt(name)
            .await
            .map_err(|error| error.to_string())?;
        let claim = claim.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
        let bound = claim
            .spec
            .and_then(|spec| spec.volume_name)
            .filter(|name| !name.is_empty());
        let bound = bound.ok_or_else(|| format!("PVC \"{name}\" is not bound"))?;
        let volumes = Api::<PersistentVolume>::all(self.client.clone());
        let volume = volumes
            .get(&bound)
            .await
            .map_err(|error| error.to_string())?;
        let spec = volume.spec.unwrap_or_default();
        if let Some(host) = &spec.host_path {
            return host_path(host);
        }
        let local = spec.local.map(|local| PathBuf::from(local.path));
        local.ok_or_else(|| "this type of persistent volume is not supported yet".to_owned())
    }
}

fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

fn said(action: &str, path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("failed to {action} {}: {error}", path.display())
}

/// Mounts memory on an empty folder, once.
fn memory(place: &Path, size: Option<i64>) -> VolumeResult<()> {
    if crate::runtime::host::mounts_below(place)
        .iter()
        .any(|point| point == place)
    {
        return Ok(());
    }
    let options = match size {
        Some(bytes) => format!("mode=777,size={bytes}"),
        None => "mode=777".to_owned(),
    };
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|error| said("mount memory on", place, &error))
}

/// Kubernetes, HostPathVolumeSource: the types.
fn host_path(volume: &HostPathVolumeSource) -> VolumeResult<PathBuf> {
    use std::os::unix::fs::FileTypeExt as _;
    let path = PathBuf::from(&volume.path);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("hostPath `{}` holds `..`", path.display()));
    }
    let kind = fs::metadata(&path).map(|meta| meta.file_type()).ok();
    let wrong = |what: &str| {
        Err(format!(
            "hostPath type check failed: {} is not {what}",
            volume.path
        ))
    };
    match volume.type_.as_deref().unwrap_or("") {
        "" => {}
        "DirectoryOrCreate" => {
            fs::create_dir_all(&path).map_err(|error| said("create", &path, &error))?;
        }
        "FileOrCreate" => {
            let mut options = fs::OpenOptions::new();
            options.create(true).append(true);
            options
                .open(&path)
                .map_err(|error| said("create", &path, &error))?;
        }
        "Directory" if !kind.is_some_and(|kind| kind.is_dir()) => return wrong("a directory"),
        "File" if !kind.is_some_and(|kind| kind.is_file()) => return wrong("a file"),
        "Socket" if !kind.is_some_and(|kind| kind.is_socket()) => return wrong("a socket file"),
        "CharDevice" if !kind.is_some_and(|kind| kind.is_char_device()) => {
            return wrong("a character device");
        }
        "BlockDevice" if !kind.is_some_and(|kind| kind.is_block_device()) => {
            return wrong("a block device");
        }
        _ => {}
    }
    Ok(path)
}

/// Adds all keys, or those that `items` names, under their paths.
fn select(
    files: &mut Files,
    data: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    mode: i32,
    optional: bool,
    what: &str,
) -> VolumeResult<()> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        files.extend(
            data.into_iter()
                .map(|(key, content)| (key, (content, mode))),
        );
        return Ok(());
    };
    for item in items {
        match data.get(&item.key) {
            Some(content) => {
                let mode = item.mode.unwrap_or(mode);
                files.insert(item.path.clone(), (content.clone(), mode));
            }
            None if optional => {}
            None => {
                return Err(format!(
                    "{what} references non-existent config key: {}",
                    item.key
                ));
            }
        }
    }
    Ok(())
}

fn downward_file(
    files: &mut Files,
    pod: &Pod,
    item: &DownwardAPIVolumeFile,
    mode: i32,
    sources: &Sources,
) -> VolumeResult<()> {
    let text = if let Some(field) = &item.field_ref {
        field_value(pod, &field.field_path, sources)
    } else if let Some(wanted) = &item.resource_field_ref {
        let name = wanted.container_name.as_deref().unwrap_or_default();
        let spec = pod.spec.as_ref();
        let container = spec.and_then(|spec| spec.containers.iter().find(|c| c.name == name));
        let divisor = wanted
            .divisor
            .as_ref()
            .map_or("1", |quantity| quantity.0.as_str());
        container.and_then(|c| resource_value(c, &wanted.resource, divisor, sources.allocatable))
    } else {
        None
    };
    let text =
        text.ok_or_else(|| format!("downward API file {} has no known source", item.path))?;
    files.insert(
        item.path.clone(),
        (text.into_bytes(), item.mode.unwrap_or(mode)),
    );
    Ok(())
}

/// Writes the files that differ, each by rename, and removes those that are no longer wanted.
fn write(place: &Path, files: &Files) -> VolumeResult<()> {
    for (name, (content, mode)) in files {
        let relative = Path::new(name);
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.is_empty() {
            return Err(format!("the path `{name}` leads out of the volume"));
        }
        let path = place.join(relative);
        let done = (|| {
            let same = fs::read(&path).is_ok_and(|known| known == *content);
            if !same {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                let scratch = path.with_file_name(".ordain-new");
                fs::write(&scratch, content)?;
                fs::rename(&scratch, &path)?;
            }
            let mode = fs::Permissions::from_mode((*mode as u32) & 0o777);
            fs::set_permissions(&path, mode)
        })();
        done.map_err(|error: io::Error| said("write", &path, &error))?;
    }
    let wanted: BTreeSet<PathBuf> = files.keys().map(|name| place.join(name)).collect();
    prune(place, &wanted).map_err(|error| said("clean", place, &error))
}

fn prune(folder: &Path, wanted: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            prune(&path, wanted)?;
        } else if !wanted.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let all = list
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (text.as_bytes().to_vec(), FILE_MODE)));
        all.collect()
    }

    #[test]
    fn a_volume_follows_its_source() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path();
        let read = |name: &str| fs::read_to_string(place.join(name)).ok();
        write(place, &files(&[("a", "1"), ("d/b", "2")])).expect("written");
        assert_eq!(
            (read("a"), read("d/b")),
            (Some("1".into()), Some("2".into()))
        );
        write(place, &files(&[("a", "3")])).expect("written");
        assert_eq!((read("a"), read("d/b")), (Some("3".into()), None));
        for bad in ["../x", "/x", "a/../../x", ""] {
            assert!(write(place, &files(&[(bad, "")])).is_err(), "{bad}");
        }
    }

    #[test]
    fn items_choose_and_rename_keys() {
        let data: BTreeMap<_, _> = [("k".to_owned(), b"v".to_vec())].into();
        let item = |key: &str| KeyToPath {
            key: key.to_owned(),
            path: "dir/name".to_owned(),
            mode: Some(0o400),
        };
        let mut out = Files::new();
        select(
            &mut out,
            data.clone(),
            Some(&[item("k")]),
            FILE_MODE,
            false,
            "configmap",
        )
        .expect("there");
        assert_eq!(out.get("dir/name"), Some(&(b"v".to_vec(), 0o400)));
        let missing = select(
            &mut out,
            data,
            Some(&[item("x")]),
            FILE_MODE,
            false,
            "configmap",
        );
        assert!(missing.is_err());
    }
}
