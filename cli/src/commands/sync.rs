//! `ordain sync [APP]`: asks the running instance to look at the repository now.

use super::follow::follow;
use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use ordain_reconciler_engine::control::{Request, Response};

/// Look at the repository now, and compare everything
///
/// The branch is looked at without waiting for the next poll, and every object of the app, or of all apps, is compared
/// with a dry run. Exit code 1 when the newest commit cannot be deployed or, with --wait, when it does not become healthy.
#[derive(clap::Args)]
pub(crate) struct SyncArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Its environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Return when it is healthy or failed
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &SyncArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::SyncApp {
        app: args.app.clone(),
        env: args.env.clone(),
        wait: args.wait,
    };
    let answers = follow(&args.target, &request)?;
    let (mut commit, mut is_ok) = (None, true);
    for answer in answers {
        match answer {
            Response::Commit { commit: at } => commit = Some(at),
            Response::Done { ok } => is_ok = ok,
            _ => {}
        }
    }
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "commit": commit, "ok": is_ok }))?,
        Format::Text => terminal::data(&format!("{}\n", commit.unwrap_or_default()))?,
    }
    Ok(match is_ok {
        true => Outcome::Done,
        false => Outcome::Findings,
    })
}
