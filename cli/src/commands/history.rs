//! `ordain history APP`: the deploys of an app, from the journal of the running instance.

use crate::Outcome;
use crate::args::{DataDirArg, Format};
use crate::terminal;
use ordain_reconciler_engine::HistoryRow;
use ordain_reconciler_engine::control::{self, Request, Response};

/// List the deploys of an app, newest last
///
/// Each line is one deploy: its time, the commit, who wrote it and how it ended; `--format json` adds what it changed. A
/// rollback's reason is in its commit's message.
#[derive(clap::Args)]
pub(crate) struct HistoryArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub(crate) app: String,

    /// Its environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArg,
}

pub(crate) fn run(args: &HistoryArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::History {
        app: args.app.clone(),
        env: args.env.clone(),
    };
    let answers =
        control::call(&args.data_dir.path(), &request, |_| {}).map_err(super::engine_error)?;
    let deploys: Vec<HistoryRow> = answers
        .into_iter()
        .filter_map(|a| match a {
            Response::History { deploys } => Some(deploys),
            _ => None,
        })
        .flatten()
        .collect();
    match format {
        Format::Json => {
            terminal::json(&serde_json::json!({ "app": args.app, "deploys": deploys }))?
        }
        Format::Text => terminal::data(&text(&deploys))?,
    }
    Ok(Outcome::Done)
}

/// Returns the deploys as people read them.
pub(crate) fn text(deploys: &[HistoryRow]) -> String {
    if deploys.is_empty() {
        return "no deploys yet\n".to_owned();
    }
    let rows = deploys.iter().map(|d| {
        let subject = d.subject.clone();
        let state = serde_json::to_value(&d.state).ok();
        let state = state
            .as_ref()
            .and_then(|v| v.get("state")?.as_str())
            .unwrap_or("unknown")
            .to_owned();
        [
            d.id.to_string(),
            d.time.clone(),
            super::status::short(&d.commit),
            d.env.clone(),
            state,
            d.author.clone(),
            subject,
        ]
    });
    super::table(
        ["ID", "TIME", "COMMIT", "ENV", "RESULT", "AUTHOR", "SUBJECT"],
        rows,
    )
}
