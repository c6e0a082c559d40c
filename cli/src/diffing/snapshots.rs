//! Reading, checking and making signed snapshots of what is applied.

use super::ClusterArg;
use crate::cluster::block_on;
use crate::usage::usage;
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_reconciler_diff::{DigestKey, Snapshot, SnapshotApp, SnapshotKey, applied_fields};
use ordain_reconciler_engine::control::{self, Request, Response};
use ordain_reconciler_engine::{Applied, Error, applied_in, owned};
use ordain_reconciler_plan::MANAGER;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Reads a snapshot that `key` signed: the public key itself, or a file that holds it.
///
/// # Errors
/// When it cannot be read, or the signature does not hold.
pub(crate) fn read(path: &Path, key: &str) -> Result<Snapshot> {
    let key = match fs::read_to_string(key) {
        Ok(text) => text,
        Err(_) => key.to_owned(),
    };
    let wrong = || format!("cannot use the snapshot `{}`", path.display());
    let file = fs::read(path).into_diagnostic().wrap_err_with(wrong)?;
    Snapshot::from_file(&file, &key)
        .map_err(|error| crate::commands::report(error, None))
        .wrap_err_with(wrong)
}

/// Reads the key that signs: the one that is named, or the journal's of the data directory.
///
/// # Errors
/// When there is none.
pub(crate) fn signing_key(named: Option<&Path>, data_dir: &Path) -> Result<SnapshotKey> {
    let own = data_dir.join("journal").join("key");
    let path = named.unwrap_or(&own);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Err(usage(
                format!(
                    "there is no journal in `{}`, so no key to sign with",
                    data_dir.display()
                ),
                "name the key with `--key FILE`: 64 hexadecimal digits, such as `openssl rand -hex 32` prints",
            ));
        }
        Err(error) => {
            let wrong = || format!("cannot read the key `{}`", path.display());
            return Err(error).into_diagnostic().wrap_err_with(wrong);
        }
    };
    SnapshotKey::from_hex(&text).ok_or_else(|| {
        usage(
            format!("`{}` holds no signing key", path.display()),
            "a key is 64 hexadecimal digits",
        )
    })
}

/// Returns what is applied, and what the cluster is called: from the running engine, from the journal of one that does not
/// run, or from what a cluster says of the fields that we applied.
///
/// # Errors
/// When nobody can be asked.
pub(crate) fn applied(cluster: &ClusterArg) -> Result<(String, Vec<SnapshotApp>)> {
    if cluster.kubeconfig.is_some() {
        return of_cluster(cluster);
    }
    let data_dir = cluster.data_dir.path();
    let apps = match control::call(&data_dir, &Request::Applied, |_| {}) {
        Ok(answers) => answers
            .into_iter()
            .find_map(|answer| match answer {
                Response::Applied { apps } => Some(apps),
                _ => None,
            })
            .unwrap_or_default(),
        Err(Error::NotRunning { .. }) if data_dir.join("journal").is_dir() => {
            applied_in(&data_dir).map_err(crate::commands::engine_error)?
        }
        Err(error) => return Err(crate::commands::engine_error(error)),
    };
    let apps = apps.into_iter().map(|app: Applied| SnapshotApp {
        env: app.env,
        app: app.app,
        commit: app.commit,
        objects: app.objects,
    });
    Ok(("local".to_owned(), apps.collect()))
}

fn of_cluster(cluster: &ClusterArg) -> Result<(String, Vec<SnapshotApp>)> {
    block_on(async {
        let connected = cluster.connect().await?;
        let found = owned(&connected.client)
            .await
            .map_err(crate::commands::engine_error)?;
        let mut apps: BTreeMap<(String, String), Vec<_>> = BTreeMap::new();
        for one in found {
            let Some((env, app)) = one.owner.split_once('/') else {
                continue;
            };
            // Without our fields there is nothing that we applied.
            if let Some(object) = applied_fields(&one.object, MANAGER) {
                let entry = apps.entry((env.to_owned(), app.to_owned()));
                entry.or_default().push(object);
            }
        }
        let apps = apps.into_iter().map(|((env, app), objects)| SnapshotApp {
            env,
            app,
            commit: None,
            objects,
        });
        Ok((connected.name, apps.collect()))
    })
}

/// Reads a key of digests.
///
/// # Errors
/// When the file holds none.
pub(crate) fn digest_key(path: &Path) -> Result<DigestKey> {
    let wrong = || format!("cannot read the key `{}`", path.display());
    let text = fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(wrong)?;
    DigestKey::from_hex(&text).ok_or_else(|| {
        usage(
            format!("`{}` holds no key of digests", path.display()),
            "`ordain snapshot --write-digest-key FILE` writes one",
        )
    })
}
