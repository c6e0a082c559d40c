//! `ordain status`: how every app stands, asked from the running instance.

use crate::Outcome;
use crate::args::{DataDirArg, Format};
use crate::terminal;
use miette::miette;
use ordain_reconciler_engine::control::{self, Request, Response};
use ordain_reconciler_engine::{AppStatus, Status};
use std::fmt::Write;

/// Show how every app stands
///
/// One line per app: where it runs, which commit it is at, and its health. What is not healthy is listed below it with
/// the reason. Exit code 1 when an app is not healthy or a commit could not be deployed.
#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    #[command(flatten)]
    data_dir: DataDirArg,
}

pub(crate) fn run(args: &StatusArgs, format: Format) -> miette::Result<Outcome> {
    let answers = control::call(&args.data_dir.path(), &Request::Status, |_| {})
        .map_err(super::engine_error)?;
    let status = answers.into_iter().find_map(|a| match a {
        Response::Status { status } => Some(status),
        _ => None,
    });
    let mut status = status.ok_or_else(|| miette!("the running `ordain up` gave no status"))?;
    if let Some(wanted) = &args.app {
        status.apps.retain(|a| a.name == *wanted);
        if status.apps.is_empty() {
            return Err(miette!(
                help = "`ordain status` without a name lists all",
                "no app is called `{wanted}`"
            ));
        }
    }
    match format {
        Format::Json => terminal::json(&status)?,
        Format::Text => terminal::data(&text(&status))?,
    }
    let well =
        status.source.message.is_empty() && status.apps.iter().all(|a| a.health == "healthy");
    Ok(if well {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Returns the status as people read it.
pub(crate) fn text(status: &Status) -> String {
    let mut text = String::new();
    let source = &status.source;
    let tip = source
        .commit
        .as_deref()
        .map_or_else(|| "no commit yet".to_owned(), short);
    let _ = writeln!(text, "{} ({}): {tip}", source.repository, source.branch);
    if !source.message.is_empty() {
        let _ = writeln!(text, "  {}", source.message.replace('\n', "\n  "));
    }
    if status.apps.is_empty() {
        let _ = writeln!(text, "no apps; push a project to deploy one");
        return text;
    }
    let rows = status.apps.iter().map(|a| {
        [
            a.name.clone(),
            a.env.clone(),
            a.namespace.clone(),
            short(&a.commit),
            sync(a),
            a.health.clone(),
        ]
    });
    text.push_str(&super::table(
        ["APP", "ENV", "NAMESPACE", "COMMIT", "SYNC", "HEALTH"],
        rows,
    ));
    for app in &status.apps {
        if !app.message.is_empty() {
            let _ = writeln!(text, "{}: {}", app.name, app.message);
        }
        for object in app.objects.iter().filter(|o| o.health != "healthy") {
            let _ = writeln!(
                text,
                "  {} {}: {} {}",
                object.kind, object.name, object.health, object.message
            );
        }
    }
    text
}

fn sync(app: &AppStatus) -> String {
    serde_json::to_value(app.sync)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Returns the first characters of a commit, as git shortens it.
pub(crate) fn short(commit: &str) -> String {
    commit.chars().take(10).collect()
}
