//! `ordain snapshot FILE`: a signed, secret-free file of what is applied, for `ordain diff --snapshot`.

use crate::args::Format;
use crate::diffing::{ClusterArg, applied, signing_key};
use crate::{Outcome, terminal};
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_reconciler_diff::{Snapshot, SnapshotRules};
use ordain_reconciler_engine::OwnRules;
use std::fs;
use std::path::PathBuf;

/// Write what is applied into a signed file without secrets
///
/// `ordain diff --snapshot FILE` compares with it, so a job that checks pull requests needs no access to the cluster. The values
/// of Secrets are replaced by keyed digests. It is signed with the journal's key; the public half is printed, and is what
/// `--snapshot-key` takes.
#[derive(clap::Args)]
pub(crate) struct SnapshotArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Sign with this key (64 hexadecimal digits) instead of the journal's
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Also write the key of the digests: who has it can tell whether a Secret in plain text is the applied one, and can
    /// try values
    #[arg(long, value_name = "FILE")]
    write_digest_key: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArg,
}

pub(crate) fn run(args: &SnapshotArgs, format: Format) -> Result<Outcome> {
    let key = signing_key(args.key.as_deref(), &args.cluster.data_dir.path())?;
    let (cluster, apps) = applied(&args.cluster)?;
    let count = apps.len();
    let objects: usize = apps.iter().map(|app| app.objects.len()).sum();
    let objects: usize = objects;
    let made = jiff::Timestamp::now().round(jiff::Unit::Second);
    let made = made.map_or_else(|_| String::new(), |made| made.to_string());
    let OwnRules {
        ignores, take_from, ..
    } = args.cluster.rules()?;
    let snapshot = Snapshot::new(cluster, made, apps, &key.digests());
    let snapshot = snapshot.by(SnapshotRules { ignores, take_from });
    let write = |path: &PathBuf, bytes: Vec<u8>| {
        fs::write(path, bytes)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write `{}`", path.display()))
    };
    write(&args.file, snapshot.to_file(&key))?;
    if let Some(path) = &args.write_digest_key {
        write(path, format!("{}\n", key.digests().to_hex()).into_bytes())?;
    }
    let public = key.public();
    match format {
        Format::Json => terminal::json(
            &serde_json::json!({ "key": public, "apps": count, "objects": objects, "made": snapshot.made }),
        )?,
        Format::Text => {
            terminal::say(&format!(
                "{objects} object{} of {count} app{}; check it with this public key:",
                if objects == 1 { "" } else { "s" },
                if count == 1 { "" } else { "s" },
            ));
            terminal::data(&format!("{public}\n"))?;
        }
    }
    Ok(Outcome::Done)
}
