//! Has images ready: by policy from the store, from archives, or from a registry. Two pods that
//! want the same image at once cause one pull.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::config::ImageConfig;
use crate::images::archive::import;
use crate::images::pull::{Credentials, pull};
use crate::images::{Image, ImageError, ImageStore};

/// How an image was had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Had {
    /// It was here.
    Present,
    /// It was fetched, and took this long.
    Pulled(Duration),
}

/// Why an image is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotHad {
    /// Upstream's word.
    pub(super) reason: &'static str,
    /// What happened.
    pub(super) message: String,
}

/// Fetches images.
pub(crate) struct Puller {
    store: ImageStore,
    config: ImageConfig,
    data_dir: PathBuf,
    busy: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Archives that were read, with the time they had then.
    seen: Mutex<BTreeMap<PathBuf, SystemTime>>,
}

impl Puller {
    pub(super) fn new(store: ImageStore, config: ImageConfig, data_dir: PathBuf) -> Self {
        Self {
            store,
            config,
            data_dir,
            busy: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Has an image ready. `started` is called when a registry is asked.
    pub(super) async fn ensure(
        &self,
        reference: &str,
        policy: &str,
        credentials: &[(String, Credentials)],
        started: impl FnOnce(),
    ) -> Result<(Image, Had), NotHad> {
        let invalid = |error: ImageError| NotHad {
            reason: "InvalidImageName",
            message: format!("Failed to apply default image tag \"{reference}\": {error}"),
        };
        let name = crate::images::store::normalize(reference).map_err(invalid)?;
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.entry(name.clone()).or_default().clone()
        };
        let _one_at_a_time = lock.lock().await;
        if policy != "Always"
            && let Some(image) = self.find(reference)
        {
            return Ok((image, Had::Present));
        }
        self.import_archives().await;
        let archived = self
            .find(reference)
            .filter(|_| policy != "Always" || self.archived(&name));
        if let Some(image) = archived {
            return Ok((image, Had::Present));
        }
        if policy == "Never" {
            return Err(NotHad {
                reason: "ErrImageNeverPull",
                message: format!(
                    "Container image \"{reference}\" is not present with pull policy of Never"
                ),
            });
        }
        started();
        let begun = Instant::now();
        let fits =
            |(registry, _): &&(String, Credentials)| name.starts_with(&format!("{registry}/"));
        let known = credentials.iter().find(fits).map(|(_, known)| known);
        match pull(&self.store, &self.config, reference, known).await {
            Ok(image) => Ok((image, Had::Pulled(begun.elapsed()))),
            Err(error) => Err(NotHad {
                reason: "ErrImagePull",
                message: crate::shim::chain(&error),
            }),
        }
    }

    fn find(&self, reference: &str) -> Option<Image> {
        match self.store.find(reference) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, image = reference, "stored image is damaged");
                None
            }
        }
    }

    /// Returns whether an image came from an archive of a host that no registry could serve: names
    /// under reserved domains (RFC 2606, RFC 6761) are never asked for.
    fn archived(&self, name: &str) -> bool {
        let registry = name.split('/').next().unwrap_or_default();
        let host = registry.split(':').next().unwrap_or_default();
        let reserved = [".local", ".test", ".invalid", ".example"].iter();
        reserved.into_iter().any(|end| host.ends_with(end))
            && !self.config.mirrors.contains_key(registry)
    }

    /// Imports archives that are new or have changed.
    pub(super) async fn import_archives(&self) {
        let own = self.data_dir.join("images");
        for folder in std::iter::once(&own).chain(&self.config.archive_dirs) {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            for path in paths.filter(|path| path.extension().is_some_and(|end| end == "tar")) {
                let changed = std::fs::metadata(&path).and_then(|meta| meta.modified());
                let Ok(changed) = changed else { continue };
                {
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if seen.insert(path.clone(), changed) == Some(changed) {
                        continue;
                    }
                }
                let (store, at) = (self.store.clone(), path.clone());
                let imported = tokio::task::spawn_blocking(move || import(&store, &at)).await;
                match imported {
                    Ok(Ok(names)) => {
                        tracing::info!(path = %path.display(), ?names, "image archive imported");
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(path = %path.display(), %error, "image archive refused");
                    }
                    Err(error) => tracing::warn!(%error, "image archive refused"),
                }
            }
        }
    }
}
