//! `ordain history APP`: the deploys of an app, from the journal of the running instance.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use ordain_reconciler_engine::HistoryRow;
use ordain_reconciler_engine::control::{self, Request, Response};

/// List the deploys of an app, newest last
///
/// Each line is one deploy: its time, the commit, what it created, changed and deleted, how it ended, who wrote it and why.
/// `--format json` has everything that the journal knows.
#[derive(clap::Args)]
pub(crate) struct HistoryArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub(crate) app: String,

    /// Its environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,

    /// At most so many deploys, the newest; all of them when it is left out
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    #[command(flatten)]
    pub(crate) target: TargetArg,
}

pub(crate) fn run(args: &HistoryArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::History {
        app: args.app.clone(),
        env: args.env.clone(),
        limit: args.limit,
    };
    let answers =
        control::call(args.target.target(), &request, |_| {}).map_err(super::engine_error)?;
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
        let subject = match d.reason.as_str() {
            "" => d.subject.clone(),
            reason => format!("{}: {}", d.subject, reason.replace('\n', " ")),
        };
        let state = serde_json::to_value(&d.state).ok();
        let state = state
            .as_ref()
            .and_then(|v| v.get("state")?.as_str())
            .unwrap_or("unknown")
            .to_owned();
        [
            d.number.to_string(),
            d.time.clone(),
            super::status::short(&d.commit),
            d.env.clone(),
            changes(d),
            state,
            d.author.clone(),
            subject,
        ]
    });
    super::table(
        [
            "#", "TIME", "COMMIT", "ENV", "CHANGES", "RESULT", "AUTHOR", "SUBJECT",
        ],
        rows,
    )
}

/// What a deploy did: created, changed and deleted objects.
fn changes(deploy: &HistoryRow) -> String {
    let counts = &deploy.counts;
    let parts = [
        ("+", counts.create),
        ("~", counts.update),
        ("-", counts.delete),
    ];
    let parts = parts.iter().filter(|(_, count)| *count > 0);
    let text: Vec<String> = parts
        .map(|(sign, count)| format!("{sign}{count}"))
        .collect();
    match text.is_empty() {
        true => "none".to_owned(),
        false => text.join(" "),
    }
}
