//! `ordain audit`: proves that the journal was not changed, and exports it.

use crate::Outcome;
use crate::args::{DataDirArg, Format, Output, formats};
use crate::{journal, terminal, when};
use clap::{Args, Subcommand};
use miette::{Result, miette};
use ordain_reconciler_journal::{Digest, Error, Event, Exporter, Journal, Query, Record, verify};
use ordain_reconciler_source::{CommitId, Repository, trailer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Prove that the journal was not changed, and export it
#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    Verify(VerifyArgs),
    Export(ExportArgs),
    Key(KeyArgs),
    Compact(CompactArgs),
}

/// Check every hash, signature and blob, and the rollback commits
///
/// Any byte of the journal that was changed, removed or put elsewhere is found. Rollback commits of the repository are compared with
/// what the journal recorded of them. Exit code 1 when something does not fit. Nothing is changed.
#[derive(Args)]
struct VerifyArgs {
    /// The hash of a record, kept elsewhere, that must still be the one of its number; as `120:3f2a…`
    #[arg(long, value_name = "RECORD:HASH")]
    head: Option<String>,

    #[command(flatten)]
    data_dir: DataDirArg,
}

/// Write records as JSON lines, oldest first
///
/// `in-toto` gives a signed envelope (DSSE) with an in-toto statement for each record; `cdevents` gives a CDEvent for each deploy
/// that became healthy, and for each failure and drift.
#[derive(Args)]
struct ExportArgs {
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "in-toto", value_parser = formats(&[Output::InToto, Output::Cdevents]))]
    format: Output,

    /// Only what happened at this time or later, as in `2026-08-01 14:03` or `2h ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    #[command(flatten)]
    data_dir: DataDirArg,
}

/// Print the public key that the journal is signed with
#[derive(Args)]
struct KeyArgs {
    #[command(flatten)]
    data_dir: DataDirArg,
}

/// Remove old records, and objects that nothing names any more
///
/// Whole segments of records that are all older than the given time are cut off. A record of the journal says so, and the chain goes
/// on from its hash. Each app's last deploy and its last healthy one are kept however old. `ordain up` must not run meanwhile.
#[derive(Args)]
struct CompactArgs {
    /// Remove what happened before this time, as in `90d ago`
    #[arg(long, value_name = "TIME")]
    before: String,

    #[command(flatten)]
    data_dir: DataDirArg,
}

pub(crate) fn run(args: &AuditArgs, format: Format) -> Result<Outcome> {
    match &args.command {
        AuditCommand::Verify(own) => check(own, format),
        AuditCommand::Export(own) => export(own),
        AuditCommand::Key(own) => key(own, format),
        AuditCommand::Compact(own) => compact(own, format),
    }
}

/// What a check came to.
#[derive(Serialize)]
struct Verdict {
    intact: bool,
    /// What does not fit.
    findings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Rollback commits that were compared with the repository.
    rollbacks: usize,
}

/// A rollback commit and the deploys that the journal recorded of it.
#[derive(Default)]
struct RolledBack {
    of: String,
    to: String,
    records: Vec<u64>,
    plans: Vec<String>,
}

fn check(args: &VerifyArgs, format: Format) -> Result<Outcome> {
    let data_dir = args.data_dir.path();
    // Says where to look when there is none.
    let folder = data_dir.join("journal");
    if !folder.is_dir() {
        journal::open(&data_dir)?;
    }
    let anchor = args.head.as_deref().map(anchor).transpose()?;
    let mut rollbacks: BTreeMap<String, RolledBack> = BTreeMap::new();
    let mut seen = None;
    let verified = verify(&folder, |record, hash| {
        if anchor.is_some_and(|(number, _)| number == record.seq) {
            seen = Some(*hash);
        }
        note(record, &mut rollbacks);
    });
    let mut findings = Vec::new();
    let verified = match verified {
        Ok(verified) => Some(verified),
        Err(error) if is_finding(&error) => {
            findings.push(error.to_string());
            None
        }
        Err(error) => return Err(super::report(error, None)),
    };
    if let (Some((number, wanted)), Some(_)) = (anchor, &verified)
        && seen != Some(wanted)
    {
        findings.push(match seen {
            Some(found) => format!("record {number} has the hash {found}"),
            None => format!("record {number} is not there"),
        });
    }
    let compared = compare(&data_dir, &rollbacks, &mut findings);
    let verdict = Verdict {
        intact: findings.is_empty(),
        first: verified.as_ref().map(|one| one.first),
        last: verified.as_ref().map(|one| one.last),
        head: verified.as_ref().map(|one| one.head),
        blobs: verified.as_ref().map(|one| one.blobs),
        bytes: verified.as_ref().map(|one| one.bytes),
        findings,
        rollbacks: compared,
    };
    match format {
        Format::Json => terminal::json(&verdict)?,
        Format::Text => terminal::data(&text(&verdict))?,
    }
    Ok(if verdict.intact {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn anchor(text: &str) -> Result<(u64, Digest)> {
    let parsed = text
        .split_once(':')
        .and_then(|(number, hash)| Some((number.parse().ok()?, hash.parse().ok()?)));
    parsed.ok_or_else(|| {
        crate::usage::usage(
            format!("`{text}` is not a record's hash"),
            "write it as `audit verify` prints it, such as `120:3f2a…`",
        )
    })
}

/// True when the journal is not what was written, rather than not readable.
fn is_finding(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. }
            | Error::Changed { .. }
            | Error::CutOff { .. }
            | Error::BlobChanged { .. }
            | Error::NoBlob { .. }
            | Error::NotASet { .. }
            | Error::NotADigest { .. }
            | Error::Key { .. }
    )
}

fn note(record: &Record, rollbacks: &mut BTreeMap<String, RolledBack>) {
    let Event::Intent(intent) = &record.event else {
        return;
    };
    let Some(rollback) = &intent.rollback else {
        return;
    };
    let one = rollbacks.entry(intent.commit.clone()).or_default();
    one.of.clone_from(&rollback.of);
    one.to.clone_from(&rollback.to);
    one.records.push(record.seq);
    one.plans.push(intent.plan.clone());
}

/// Compares the trailers of rollback commits with the journal. Returns how many commits were there.
fn compare(
    data_dir: &Path,
    rollbacks: &BTreeMap<String, RolledBack>,
    findings: &mut Vec<String>,
) -> usize {
    if rollbacks.is_empty() {
        return 0;
    }
    let Ok(repository) = journal::repository(data_dir) else {
        findings.push("the repository with the rollback commits is not there".to_owned());
        return 0;
    };
    let mut compared = 0;
    for (id, recorded) in rollbacks {
        // The sources could not be restored: the objects came from the journal, and there is no rollback commit.
        if *id == recorded.to {
            continue;
        }
        // History may have been rewritten since; then the journal alone tells.
        let Some(message) = message(&repository, id) else {
            continue;
        };
        compared += 1;
        let short = super::status::short(id);
        let mut differs = |key: &str, wanted: &str| {
            let found = trailer(&message, key).unwrap_or("nothing");
            if found != wanted {
                findings.push(format!(
                    "rollback commit {short} says `{key}: {found}`, record {} says {wanted}",
                    recorded.records[0]
                ));
            }
        };
        differs("Rollback-Of", &recorded.of);
        differs("Rollback-To", &recorded.to);
        // The hash is that of one app's plan; a rollback of the whole tree has others besides. It is made
        // before the commit, so a plan that changed since has another hash and an approval of its own.
        let planned: Vec<&String> = recorded
            .plans
            .iter()
            .filter(|one| !one.is_empty())
            .collect();
        if let Some(hash) = trailer(&message, "Plan-Hash")
            && !planned.is_empty()
            && !planned.iter().any(|plan| *plan == hash)
        {
            findings.push(format!(
                "rollback commit {short} says `Plan-Hash: {hash}`, no record of it has that plan"
            ));
        }
    }
    compared
}

fn message(repository: &Repository, id: &str) -> Option<String> {
    let id: CommitId = id.parse().ok()?;
    Some(repository.commit(&id).ok()?.message)
}

fn text(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.findings {
        text.push_str(&format!("finding: {finding}\n"));
    }
    if let (Some(first), Some(last), Some(head)) = (verdict.first, verdict.last, verdict.head) {
        text.push_str(&format!(
            "records {first} to {last}, {} blobs, {} rollback commits\nhead {last}:{head}\n",
            verdict.blobs.unwrap_or_default(),
            verdict.rollbacks,
        ));
    }
    if verdict.intact {
        text.push_str("intact: every hash, signature and blob fits\n");
    }
    text
}

fn export(args: &ExportArgs) -> Result<Outcome> {
    let failed = |error| super::report(error, None);
    let journal = journal::open(&args.data_dir.path())?;
    let since = args.since.as_deref().map(when::milliseconds).transpose()?;
    let mut records = journal.records(&Query::default()).map_err(failed)?;
    records.reverse();
    let mut exporter = Exporter::new(&journal);
    let mut lines = String::new();
    for record in &records {
        exporter.see(record);
        if since.is_some_and(|since| record.time_ms < since) {
            continue;
        }
        let line = match args.format {
            Output::Cdevents => exporter.cdevent(record),
            _ => {
                let statement = exporter.statement(record);
                Some(exporter.envelope(&statement).map_err(failed)?)
            }
        };
        if let Some(line) = line {
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    terminal::data(&lines)?;
    Ok(Outcome::Done)
}

fn key(args: &KeyArgs, format: Format) -> Result<Outcome> {
    let journal = journal::open(&args.data_dir.path())?;
    let key = journal
        .public_key()
        .map_err(|error| super::report(error, None))?;
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    if hex.is_empty() {
        return Err(miette!("the journal has no key"));
    }
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "ed25519": hex }))?,
        Format::Text => terminal::data(&format!("{hex}\n"))?,
    }
    Ok(Outcome::Done)
}

fn compact(args: &CompactArgs, format: Format) -> Result<Outcome> {
    let failed = |error| super::report(error, None);
    let before = when::milliseconds(&args.before)?;
    let data_dir = args.data_dir.path();
    // Says where to look when there is none, instead of making one.
    journal::open(&data_dir)?;
    let (journal, warnings) = Journal::open(&data_dir.join("journal")).map_err(|error| {
        let help = matches!(error, Error::InUse { .. })
            .then(|| "stop the `ordain up` that runs on this directory first".to_owned());
        super::report(error, help)
    })?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let by = format!("ordain audit compact --before {}", args.before);
    let done = journal
        .compact(before, jiff::Timestamp::now().as_millisecond(), &by)
        .map_err(failed)?;
    match format {
        Format::Json => terminal::json(&serde_json::json!({
            "through": done.through, "segments": done.segments, "blobs": done.blobs,
        }))?,
        Format::Text => terminal::data(&format!(
            "{} segments up to record {}, and {} blobs were removed\n",
            done.segments, done.through, done.blobs
        ))?,
    }
    Ok(Outcome::Done)
}
