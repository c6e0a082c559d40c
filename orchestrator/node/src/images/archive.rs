//! Reads images from `docker save` archives and OCI layout archives. Knows no registry.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::model::{ConfigFile, Descriptor, ImageError, Manifest, hex_of};
use super::store::{ImageStore, choose, parse_manifest};
use super::unpack;

/// The annotation under which containerd and buildkit write the full reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// OCI image-spec, annotations.md.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Imports every image of a `docker save` or OCI layout archive (plain, gzip or zstd tar) into the
/// store in `store_dir` and returns their normalized names.
///
/// # Errors
/// When the archive cannot be read, holds no image, or content does not match its digest.
pub fn load_archive(store_dir: &Path, path: &Path) -> Result<Vec<String>, ImageError> {
    import(&ImageStore::open(store_dir)?, path)
}

/// As [`load_archive`], into an open store.
///
/// # Errors
/// As [`load_archive`].
pub fn import(store: &ImageStore, path: &Path) -> Result<Vec<String>, ImageError> {
    let folder = store.temporary();
    let imported = extract(path, &folder).and_then(|()| {
        if folder.join("manifest.json").exists() {
            docker(store, &folder)
        } else if folder.join("index.json").exists() {
            layout(store, &folder)
        } else {
            let what = path.display().to_string();
            Err(ImageError::invalid(
                what,
                "it has neither manifest.json nor index.json",
            ))
        }
    });
    unpack::clear(&folder);
    imported
}

/// Writes the archive's plain files into `folder`; links and the rest have no place in one.
fn extract(path: &Path, folder: &Path) -> Result<(), ImageError> {
    let file = File::open(path).map_err(ImageError::io("open", path))?;
    fs::create_dir_all(folder).map_err(ImageError::io("create", folder))?;
    unpack::unpack(BufReader::new(file), folder, unpack::Mode::Flat).map(drop)
}

/// One image of `docker save`'s manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn docker(store: &ImageStore, folder: &Path) -> Result<Vec<String>, ImageError> {
    let text = read(folder, "manifest.json")?;
    let saved: Vec<Saved> = serde_json::from_slice(&text)
        .map_err(|error| ImageError::invalid("manifest.json", error))?;
    let mut names = Vec::new();
    for image in saved {
        let config_text = read(folder, &image.config)?;
        let (config, config_size) = store.put(config_text.as_slice(), None)?;
        let file: ConfigFile = serde_json::from_slice(&config_text)
            .map_err(|error| ImageError::invalid("image config", error))?;
        if file.rootfs.diff_ids.len() != image.layers.len() {
            return Err(ImageError::invalid(
                "manifest.json",
                "it has another number of layers",
            ));
        }
        let mut layers = Vec::new();
        for layer in &image.layers {
            let path = locate(folder, layer)?;
            let opened = File::open(&path).map_err(ImageError::io("open", &path))?;
            let (digest, size) = store.put(opened, None)?;
            layers.push(descriptor(
                "application/vnd.oci.image.layer.v1.tar",
                digest,
                size,
            ));
        }
        let config = descriptor(
            "application/vnd.oci.image.config.v1+json",
            config,
            config_size,
        );
        let manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers,
        }))
        .expect("strings and numbers are always JSON");
        let (digest, _) = store.put(manifest.as_slice(), None)?;
        for name in image.repo_tags.unwrap_or_default() {
            store.name(&name, &digest)?;
            names.push(super::store::normalize(&name)?);
        }
    }
    Ok(names)
}

fn layout(store: &ImageStore, folder: &Path) -> Result<Vec<String>, ImageError> {
    let index = parse_manifest(&read(folder, "index.json")?)?;
    let Manifest::Index { manifests } = index else {
        return Err(ImageError::invalid("index.json", "it is not an index"));
    };
    let mut names = Vec::new();
    for entry in &manifests {
        let digest = copy_image(store, folder, entry)?;
        let name = [CONTAINERD_NAME, REF_NAME]
            .iter()
            .find_map(|key| entry.annotations.get(*key));
        match name {
            Some(name) => {
                store.name(name, &digest)?;
                names.push(super::store::normalize(name)?);
            }
            None => tracing::warn!(%digest, "an image of the archive has no name"),
        }
    }
    Ok(names)
}

/// Copies one image with everything it points at, and returns its manifest's digest.
fn copy_image(store: &ImageStore, folder: &Path, at: &Descriptor) -> Result<String, ImageError> {
    let text = read(folder, &blob_name(&at.digest)?)?;
    store.put(text.as_slice(), Some(&at.digest))?;
    match parse_manifest(&text)? {
        Manifest::Index { manifests } => {
            copy_image(store, folder, choose(&manifests)?)?;
        }
        Manifest::Image { config, layers } => {
            for blob in std::iter::once(&config).chain(&layers) {
                let path = locate(folder, &blob_name(&blob.digest)?)?;
                let file = File::open(&path).map_err(ImageError::io("open", &path))?;
                store.put(file, Some(&blob.digest))?;
            }
        }
    }
    Ok(at.digest.clone())
}

fn blob_name(digest: &str) -> Result<String, ImageError> {
    Ok(format!("blobs/sha256/{}", hex_of(digest)?))
}

fn descriptor(media_type: &str, digest: String, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: BTreeMap::new(),
    }
}

/// Finds a file that a document of the archive names; the name may not lead out.
fn locate(folder: &Path, name: &str) -> Result<PathBuf, ImageError> {
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() {
        return Err(ImageError::invalid(
            "archive",
            format!("`{name}` is no file of it"),
        ));
    }
    // Old archives link repeated layers; links resolve inside the folder only.
    unpack::scoped(folder, Path::new(name)).map_err(ImageError::io("resolve", folder.join(name)))
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, ImageError> {
    let path = locate(folder, name)?;
    let file = File::open(&path).map_err(ImageError::io("open", &path))?;
    let mut text = Vec::new();
    let limit = super::store::DOCUMENT_BYTES_MAX;
    file.take(limit)
        .read_to_end(&mut text)
        .map_err(ImageError::io("read", &path))?;
    Ok(text)
}
