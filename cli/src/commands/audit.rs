//! `ordain audit`: proves that the journal was not changed, and exports it.

use crate::Outcome;
use crate::args::{Format, Output, TargetArg, formats};
use crate::journal::{self, Reader};
use crate::trailers::{Compared, Rollbacks};
use crate::{terminal, when};
use clap::{Args, Subcommand};
use miette::{Result, miette};
use ordain_reconciler_engine::control::{ExportForm, JournalAnswer, JournalAsk, Target};
use ordain_reconciler_engine::is_finding;
use ordain_reconciler_journal::{
    AppRef, Compacted, Digest, Error, Journal, Record, verify, verify_chain,
};
use serde::Serialize;
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
///
/// With --kubeconfig the chain of records and its signatures are copied from the reconciler and checked here; the reconciler itself
/// looks at the objects, which stay where they are.
#[derive(Args)]
struct VerifyArgs {
    /// The hash of a record, kept elsewhere, that must still be the one of its number; as `120:3f2a…`
    #[arg(long, value_name = "RECORD:HASH")]
    head: Option<String>,

    /// The public key that it must be signed with, kept elsewhere, as `audit key` prints it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    target: TargetArg,
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
    target: TargetArg,
}

/// Print the public key that the journal is signed with
#[derive(Args)]
struct KeyArgs {
    #[command(flatten)]
    target: TargetArg,
}

/// Remove old records, and objects that nothing names any more
///
/// Whole segments of records that are all older than the given time are cut off. A record of the journal says so, and the chain goes
/// on from its hash. Each app's last deploy and its last healthy one are kept however old. A
/// running reconciler does it while it goes on with its work.
#[derive(Args)]
struct CompactArgs {
    /// Remove what happened before this time, as in `90d ago`
    #[arg(long, value_name = "TIME")]
    before: String,

    #[command(flatten)]
    target: TargetArg,
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
    /// The public key that everything is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Who looked at the objects: `here`, or `reconciler` when only that has them.
    blobs_checked: &'static str,
}

fn check(args: &VerifyArgs, format: Format) -> Result<Outcome> {
    let target = args.target.target();
    let anchor = args.head.as_deref().map(anchor).transpose()?;
    // From afar the chain is copied and checked here; the reconciler's word is taken for its objects alone.
    let copied = match &target {
        Target::DataDir(_) => None,
        Target::Cluster { .. } => Some(journal::Copied::of(&target)?),
    };
    let folder = match (&target, &copied) {
        (_, Some(copied)) => copied.path().to_owned(),
        (Target::DataDir(data_dir), None) => journal::folder(data_dir)?,
        (Target::Cluster { .. }, None) => return Err(miette!("the journal was not copied")),
    };
    let mut rollbacks = Rollbacks::default();
    let mut seen = None;
    let each = |record: &Record, hash: &Digest| {
        if anchor.is_some_and(|(number, _)| number == record.seq) {
            seen = Some(*hash);
        }
        rollbacks.see(record);
    };
    let verified = match copied {
        Some(_) => verify_chain(&folder, each),
        None => verify(&folder, each),
    };
    let mut findings = Vec::new();
    let mut verified = match verified {
        Ok(verified) => Some(verified),
        Err(error) if is_finding(&error) => {
            findings.push(error.to_string());
            None
        }
        Err(error) => return Err(super::report(error, None)),
    };
    let mut compared = Compared::default();
    let mut key = None;
    if let Some(verified) = &mut verified {
        if copied.is_some() {
            let (found, blobs, bytes) = ask_for_objects(&target)?;
            findings.extend(found);
            (verified.blobs, verified.bytes) = (blobs, bytes);
        }
        if let Some((number, wanted)) = anchor
            && seen != Some(wanted)
        {
            findings.push(match seen {
                Some(found) => format!("record {number} has the hash {found}"),
                None => format!("record {number} is not there"),
            });
        }
        let own = Journal::read(&folder).map_err(|error| super::report(error, None))?;
        let own_key = own
            .public_key()
            .map_err(|error| super::report(error, None))?;
        let own_key: String = own_key.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(wanted) = args.key.as_deref()
            && wanted.trim() != own_key
        {
            findings.push(format!("it is signed with the key {own_key}"));
        }
        key = Some(own_key);
        compared = compare(&target, &own, &rollbacks)?;
        findings.append(&mut compared.findings);
    }
    let verdict = Verdict {
        intact: findings.is_empty(),
        first: verified.as_ref().map(|one| one.first),
        last: verified.as_ref().map(|one| one.last),
        head: verified.as_ref().map(|one| one.head),
        blobs: verified.as_ref().map(|one| one.blobs),
        bytes: verified.as_ref().map(|one| one.bytes),
        findings,
        rollbacks: compared.commits,
        key,
        blobs_checked: match copied {
            Some(_) => "reconciler",
            None => "here",
        },
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

/// What the reconciler finds in its own journal: findings, blobs and bytes.
fn ask_for_objects(target: &Target) -> Result<(Vec<String>, u64, u64)> {
    journal::one(target, JournalAsk::Verify, |answer| match answer {
        JournalAnswer::Verified {
            findings,
            blobs,
            bytes,
        } => Some((findings, blobs, bytes)),
        _ => None,
    })
}

/// Compares the trailers of rollback commits with the journal.
fn compare(target: &Target, own: &Journal, rollbacks: &Rollbacks) -> Result<Compared> {
    let reader = Reader::of(target.clone())?;
    let Some(messages) = reader.messages(rollbacks.commits())? else {
        let mut compared = Compared::default();
        if rollbacks.has_some() {
            let finding = "the repository with the rollback commits is not there";
            compared.findings.push(finding.to_owned());
        }
        return Ok(compared);
    };
    let mut failed = None;
    let history = |app: &AppRef| match own.history(app) {
        Ok(rows) => rows,
        Err(error) => {
            failed = Some(error);
            Vec::new()
        }
    };
    let knows = |commit: &str| {
        let found = reader.messages(vec![commit.to_owned()]);
        matches!(found, Ok(Some(messages)) if !messages.is_empty())
    };
    let compared = rollbacks.compare(&messages, history, knows);
    match failed {
        Some(error) => Err(super::report(error, None)),
        None => Ok(compared),
    }
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
    let reader = Reader::of(args.target.target())?;
    let since = args.since.as_deref().map(when::milliseconds).transpose()?;
    let form = match args.format {
        Output::Cdevents => ExportForm::Cdevents,
        _ => ExportForm::InToto,
    };
    reader.export(form, since, |document| {
        terminal::data(&format!("{document}\n"))
    })?;
    Ok(Outcome::Done)
}

fn key(args: &KeyArgs, format: Format) -> Result<Outcome> {
    let hex = Reader::of(args.target.target())?.key()?;
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "ed25519": hex }))?,
        Format::Text => terminal::data(&format!("{hex}\n"))?,
    }
    Ok(Outcome::Done)
}

fn compact(args: &CompactArgs, format: Format) -> Result<Outcome> {
    let before_ms = when::milliseconds(&args.before)?;
    let by = format!("ordain audit compact --before {}", args.before);
    let done = match args.target.target() {
        Target::DataDir(data_dir) => match compact_here(&data_dir, before_ms, &by)? {
            Some(done) => done,
            // Whoever has it open does it himself.
            None => ask_to_compact(&Target::DataDir(data_dir), before_ms, by)?,
        },
        target @ Target::Cluster { .. } => ask_to_compact(&target, before_ms, by)?,
    };
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

/// Compacts a journal that nobody has open; none when somebody has.
fn compact_here(data_dir: &Path, before_ms: i64, by: &str) -> Result<Option<Compacted>> {
    let failed = |error| super::report(error, None);
    // Says where to look when there is none, instead of making one.
    let folder = journal::folder(data_dir)?;
    let (journal, warnings) = match Journal::open(&folder) {
        Ok(opened) => opened,
        Err(Error::InUse { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let now = jiff::Timestamp::now().as_millisecond();
    journal
        .compact(before_ms, now, by)
        .map(Some)
        .map_err(failed)
}

fn ask_to_compact(target: &Target, before_ms: i64, by: String) -> Result<Compacted> {
    let question = JournalAsk::Compact { before_ms, by };
    journal::one(target, question, |answer| match answer {
        JournalAnswer::Compacted { done } => Some(done),
        _ => None,
    })
}
