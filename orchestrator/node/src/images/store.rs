//! The image store: blobs by digest, names to images, layers as unpacked folders.
//!
//! ```text
//! blobs/sha256/<hex>     manifests, configs, layers as they came
//! names.json             normalized reference -> manifest digest
//! layers/<hex>/          an unpacked layer with overlayfs whiteouts (root)
//! flat/<hex>/            all layers of an image in one folder (no root)
//! ```
//! Every file appears by rename, so a crash leaves at most a stale name under `tmp/`. Several
//! processes may use one store: names are read anew each time and written under a lock. The store
//! does not know where content comes from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use oci_client::Reference;
use sha2::{Digest as _, Sha256};

use super::model::{ConfigFile, Descriptor, Image, ImageError, Manifest, format_digest, hex_of};
use super::unpack;

/// Largest manifest or config read into memory, in bytes; a larger one is refused.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 8 << 20;

/// A store in a folder. Clones share it.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: Arc<PathBuf>,
    /// Held while a layer is unpacked, so that two pods with one image do the work once.
    unpacking: Arc<Mutex<()>>,
}

impl ImageStore {
    /// Opens the store in `root`, making it if needed.
    ///
    /// # Errors
    /// When the folder cannot be made or the name list cannot be read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let root = root.into();
        for folder in ["blobs/sha256", "layers", "flat", "tmp"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(ImageError::io("create", path))?;
        }
        clear_stale(&root.join("tmp"));
        let store = Self {
            root: Arc::new(root),
            unpacking: Arc::default(),
        };
        store.names()?;
        Ok(store)
    }

    /// Returns the image that `reference` names, if the store has all of it.
    ///
    /// # Errors
    /// When the reference is not one or a stored document is damaged.
    pub fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        let name = normalize(reference)?;
        let names = self.names()?;
        let digest = names.get(&name).cloned().or_else(|| {
            // `name:tag@digest` and `name@digest` also match by digest alone.
            let digest = name.split_once('@')?.1.to_owned();
            names
                .values()
                .any(|known| *known == digest)
                .then_some(digest)
        });
        match digest {
            Some(digest) if self.has(&digest) => self.image(&digest).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns all names with their images, for the node's status.
    pub fn list(&self) -> Vec<(String, Image)> {
        let names = self.names().unwrap_or_default();
        let known = names.into_iter();
        known
            .filter_map(|(name, digest)| Some((name, self.image(&digest).ok()?)))
            .collect()
    }

    /// Gives an image whose blobs are stored a name.
    ///
    /// # Errors
    /// When the reference is not one, a blob is missing, or the list cannot be written.
    pub fn name(&self, reference: &str, manifest: &str) -> Result<Image, ImageError> {
        let name = normalize(reference)?;
        let image = self.image(manifest)?;
        for layer in &image.layers {
            if !self.has(layer) {
                return Err(ImageError::invalid(
                    reference,
                    format!("layer {layer} is missing"),
                ));
            }
        }
        let path = self.root.join("names.lock");
        let lock = File::create(&path).map_err(ImageError::io("create", &path))?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, error)| ImageError::io("lock", path)(error.into()))?;
        let mut names = self.names()?;
        names.insert(name, manifest.to_owned());
        let text = serde_json::to_vec_pretty(&names).expect("strings are always JSON");
        self.write(&self.root.join("names.json"), &text)?;
        Ok(image)
    }

    /// Returns whether a blob is here.
    pub fn has(&self, digest: &str) -> bool {
        self.blob(digest).is_ok_and(|path| path.exists())
    }

    /// Returns where a blob is or would be.
    ///
    /// # Errors
    /// When the digest is not a sha256 one.
    pub fn blob(&self, digest: &str) -> Result<PathBuf, ImageError> {
        Ok(self.root.join("blobs/sha256").join(hex_of(digest)?))
    }

    /// Stores a blob from a reader and returns its digest and size.
    ///
    /// # Errors
    /// When it cannot be written, or `expected` is given and the content has another digest.
    pub fn put(
        &self,
        mut from: impl Read,
        expected: Option<&str>,
    ) -> Result<(String, u64), ImageError> {
        let path = self.temporary();
        let mut file = File::create(&path).map_err(ImageError::io("create", &path))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let n = from
                .read(&mut buffer)
                .map_err(ImageError::io("read into", &path))?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
            size += n as u64;
            file.write_all(&buffer[..n])
                .map_err(ImageError::io("write", &path))?;
        }
        let found = format_digest(hash.finalize().as_slice());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let _ = fs::remove_file(&path);
            return Err(ImageError::Digest {
                expected: expected.to_owned(),
                found,
            });
        }
        let to = self.blob(&found)?;
        fs::rename(&path, &to).map_err(ImageError::io("rename to", to))?;
        Ok((found, size))
    }

    /// Adopts a file that is already inside the store's temporary folder as a blob.
    pub(crate) fn adopt(&self, path: &Path, expected: &str) -> Result<(), ImageError> {
        let mut file = File::open(path).map_err(ImageError::io("open", path))?;
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(ImageError::io("read", path))?;
        let found = format_digest(hash.finalize().as_slice());
        if found != expected {
            let _ = fs::remove_file(path);
            return Err(ImageError::Digest {
                expected: expected.to_owned(),
                found,
            });
        }
        let to = self.blob(expected)?;
        fs::rename(path, &to).map_err(ImageError::io("rename to", to))
    }

    /// Returns a fresh path inside the store's temporary folder.
    pub(crate) fn temporary(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        self.root.join("tmp").join(name)
    }

    /// Reads a small document.
    pub(crate) fn document(&self, digest: &str) -> Result<Vec<u8>, ImageError> {
        let path = self.blob(digest)?;
        let file = File::open(&path).map_err(ImageError::io("open", &path))?;
        let mut text = Vec::new();
        file.take(DOCUMENT_BYTES_MAX)
            .read_to_end(&mut text)
            .map_err(ImageError::io("read", &path))?;
        Ok(text)
    }

    /// Returns the image behind a manifest digest.
    ///
    /// # Errors
    /// When a document is missing or not valid.
    pub fn image(&self, manifest: &str) -> Result<Image, ImageError> {
        let text = self.document(manifest)?;
        let (config, layers) = match parse_manifest(&text)? {
            Manifest::Image { config, layers } => (config, layers),
            Manifest::Index { manifests } => {
                let entry = choose(&manifests)?;
                return self.image(&entry.digest.clone());
            }
        };
        let text = self.document(&config.digest)?;
        let file: ConfigFile = serde_json::from_slice(&text)
            .map_err(|error| ImageError::invalid("image config", error))?;
        if file.rootfs.diff_ids.len() != layers.len() {
            return Err(ImageError::invalid(
                "image config",
                "it has another number of layers",
            ));
        }
        Ok(Image {
            id: config.digest,
            manifest: manifest.to_owned(),
            diff_ids: file.rootfs.diff_ids,
            size: layers.iter().map(|layer| layer.size).sum(),
            layers: layers.into_iter().map(|layer| layer.digest).collect(),
            config: file.config.unwrap_or_default(),
        })
    }

    /// Unpacks the layers of `image` for overlayfs and returns their folders, lowest first.
    /// Blocking; needs root for device nodes, owners and trusted attributes.
    ///
    /// # Errors
    /// When a layer is damaged, tries to leave its folder, or cannot be written.
    pub fn layers(&self, image: &Image) -> Result<Vec<PathBuf>, ImageError> {
        let _guard = self
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let pairs = image.layers.iter().zip(&image.diff_ids);
        pairs
            .map(|(layer, diff_id)| {
                let to = self.root.join("layers").join(hex_of(diff_id)?);
                if !to.exists() {
                    let scratch = self.temporary();
                    let unpacked = self.unpack(layer, diff_id, &scratch, unpack::Mode::Overlay);
                    self.finish(unpacked, &scratch, &to)?;
                }
                Ok(to)
            })
            .collect()
    }

    /// Unpacks all layers of `image` into one folder and returns it. Blocking; needs no root.
    ///
    /// # Errors
    /// When a layer is damaged, tries to leave the folder, or cannot be written.
    pub fn flat(&self, image: &Image) -> Result<PathBuf, ImageError> {
        let _guard = self
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let to = self.root.join("flat").join(hex_of(&image.id)?);
        if !to.exists() {
            let scratch = self.temporary();
            let mut pairs = image.layers.iter().zip(&image.diff_ids);
            let unpacked = pairs.try_for_each(|(layer, diff_id)| {
                self.unpack(layer, diff_id, &scratch, unpack::Mode::Flat)
            });
            self.finish(unpacked, &scratch, &to)?;
        }
        Ok(to)
    }

    fn unpack(
        &self,
        layer: &str,
        diff_id: &str,
        to: &Path,
        mode: unpack::Mode,
    ) -> Result<(), ImageError> {
        let path = self.blob(layer)?;
        let file = File::open(&path).map_err(ImageError::io("open", &path))?;
        fs::create_dir_all(to).map_err(ImageError::io("create", to))?;
        let found = unpack::unpack(io::BufReader::new(file), to, mode)?;
        if found != diff_id {
            return Err(ImageError::Digest {
                expected: diff_id.to_owned(),
                found,
            });
        }
        Ok(())
    }

    fn finish(
        &self,
        done: Result<(), ImageError>,
        scratch: &Path,
        to: &Path,
    ) -> Result<(), ImageError> {
        let done = done.and_then(|()| {
            fs::create_dir_all(scratch).map_err(ImageError::io("create", scratch))?;
            match fs::rename(scratch, to) {
                // Another process was faster; what it unpacked is the same.
                Err(_) if to.exists() => {
                    unpack::clear(scratch);
                    Ok(())
                }
                other => other.map_err(ImageError::io("rename to", to)),
            }
        });
        if done.is_err() {
            unpack::clear(scratch);
        }
        done
    }

    /// Writes a file by rename.
    fn write(&self, path: &Path, content: &[u8]) -> Result<(), ImageError> {
        let scratch = self.temporary();
        fs::write(&scratch, content).map_err(ImageError::io("write", &scratch))?;
        fs::rename(&scratch, path).map_err(ImageError::io("rename to", path))
    }

    fn names(&self) -> Result<BTreeMap<String, String>, ImageError> {
        let path = self.root.join("names.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| ImageError::invalid("names.json", error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(ImageError::io("read", path)(error)),
        }
    }
}

/// Removes what processes that are gone left in the temporary folder.
fn clear_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().unwrap_or_default();
        let lives = owner.parse::<u32>().is_ok() && Path::new("/proc").join(owner).exists();
        if !lives {
            unpack::clear(&entry.path());
        }
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the full form of a reference: `busybox` is `docker.io/library/busybox:latest`.
///
/// # Errors
/// When the text is not a reference.
pub fn normalize(text: &str) -> Result<String, ImageError> {
    Ok(parse_reference(text)?.whole())
}

pub(crate) fn parse_reference(text: &str) -> Result<Reference, ImageError> {
    text.parse()
        .map_err(|error: oci_client::ParseError| ImageError::Reference {
            text: text.to_owned(),
            reason: error.to_string(),
        })
}

pub(crate) fn parse_manifest(text: &[u8]) -> Result<Manifest, ImageError> {
    serde_json::from_slice(text).map_err(|error| ImageError::invalid("image manifest", error))
}

/// Returns the entry of an index that this machine can run.
pub(crate) fn choose(manifests: &[Descriptor]) -> Result<&Descriptor, ImageError> {
    let fits = |entry: &&Descriptor| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|p| p.os == "linux" && p.architecture == super::model::architecture())
    };
    let chosen = manifests.iter().find(fits);
    // An archive's index often names no platform at all.
    let unnamed = || manifests.iter().find(|entry| entry.platform.is_none());
    chosen.or_else(unnamed).ok_or_else(|| {
        let wanted = format!("no entry for linux/{}", super::model::architecture());
        ImageError::invalid("image index", wanted)
    })
}
