//! `ordain log`: every transition that the journal holds, newest first.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::journal::Reader;
use crate::{terminal, when};
use miette::Result;
use ordain_reconciler_journal::{AppRef, Query, Record, State, sentence, time};

/// Show every transition, newest first
///
/// Commits, deploys with what they changed and how they ended, failed attempts, deletions, drift and who caused it, rollbacks,
/// suspensions, approvals and adoptions. The journal of the data directory is read; nothing has to run. With --kubeconfig the reconciler
/// that runs behind the cluster is asked. `--format json` gives each record whole, with UID and resource versions of every object that
/// was written.
#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Only this environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Only what happened at this time or later, as in `2026-08-01 14:03` or `2h ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only what happened before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// At most so many records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &LogArgs, format: Format) -> Result<Outcome> {
    let reader = Reader::of(args.target.target())?;
    let time = |text: &Option<String>| text.as_deref().map(when::milliseconds).transpose();
    let query = Query {
        app: args.app.clone(),
        env: args.env.clone(),
        since_ms: time(&args.since)?,
        until_ms: time(&args.until)?,
        before_seq: None,
        limit: Some(args.limit),
    };
    let records = reader.records(&query)?;
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "records": records }))?,
        Format::Text if records.is_empty() => terminal::data("nothing happened yet\n")?,
        Format::Text => terminal::data(&text(&records))?,
    }
    Ok(Outcome::Done)
}

/// Returns the records as people read them.
fn text(records: &[Record]) -> String {
    let rows = records.iter().map(|record| {
        let app = record.event.app().map_or(String::new(), AppRef::to_string);
        [
            time(record.time_ms),
            record.seq.to_string(),
            app,
            sentence(&record.event),
        ]
    });
    super::table(["TIME", "RECORD", "APP", "WHAT"], rows)
}

/// The name of a state.
pub(crate) fn state(state: &State) -> &'static str {
    match state {
        State::Started => "started",
        State::Applied => "applied",
        State::Healthy => "healthy",
        State::Failed { .. } => "failed",
        State::Superseded { .. } => "superseded",
        State::Blocked { .. } => "blocked",
        State::RolledBack { .. } => "rolled-back",
    }
}
