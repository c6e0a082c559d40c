//! `ordain status`: how every app stands, asked from the running instance.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use miette::miette;
use ordain_reconciler_engine::control::{self, Request, Response};
use ordain_reconciler_engine::{AppStatus, Status, Sync};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// Show how every app stands
///
/// One line per app: where it runs, which commit it is at, and its health. What is not healthy is listed below it with
/// the reason, and so is what is held: suspensions, closed windows, commits that were rolled back. With an app's name every
/// object of it is listed.
///
/// Exit code 1 when an app is not healthy, does not have what its commit declares, or a commit could not be deployed.
#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// Only this app, with all of its objects
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Go on and show every change, until interrupted
    ///
    /// On a terminal the table stays in place, with a bar for each app that is on its way. Otherwise each state is printed
    /// once, below the one before; with `--format json` as one document per line.
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    target: TargetArg,
}

/// How often a watched status is asked for.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &StatusArgs, format: Format) -> miette::Result<Outcome> {
    if args.watch {
        return watch(args, format);
    }
    let status = ask(args)?;
    match format {
        Format::Json => terminal::json(&status)?,
        Format::Text => terminal::data(&page(&status, args))?,
    }
    let well = status.source.message.is_empty() && status.apps.iter().all(is_well);
    Ok(if well {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn is_well(app: &AppStatus) -> bool {
    app.health == "healthy" && app.sync == Sync::Synced
}

fn ask(args: &StatusArgs) -> miette::Result<Status> {
    let answers = control::call(args.target.target(), &Request::Status, |_| {})
        .map_err(super::engine_error)?;
    let status = status_of(answers);
    let mut status = status.ok_or_else(|| miette!("the running reconciler gave no status"))?;
    if let Some(wanted) = &args.app {
        status.apps.retain(|a| a.name == *wanted);
        status
            .holds
            .retain(|hold| hold.app.is_empty() || hold.app == *wanted);
        if status.apps.is_empty() && !args.watch {
            return Err(miette!(
                help = "`ordain status` without a name lists all",
                "no app is called `{wanted}`"
            ));
        }
    }
    Ok(status)
}

/// The status among answers.
pub(super) fn status_of(answers: Vec<Response>) -> Option<Status> {
    answers.into_iter().find_map(|answer| match answer {
        Response::Status { status } => Some(status),
        _ => None,
    })
}

/// Shows every change until the user interrupts, or the instance stops.
fn watch(args: &StatusArgs, format: Format) -> miette::Result<Outcome> {
    let in_place = format == Format::Text && std::io::stdout().is_terminal();
    let (mut last, mut lines) = (None, 0);
    loop {
        let status = ask(args)?;
        if last.as_ref() != Some(&status) {
            match format {
                Format::Json => terminal::json(&status)?,
                Format::Text => {
                    let mut text = page(&status, args);
                    text.push_str(&bars(&status));
                    // Cursor up, then erase to the end of the screen (ECMA-48, CUU and ED).
                    let back = match in_place && lines > 0 {
                        true => format!("\x1b[{lines}A\x1b[J"),
                        false => String::new(),
                    };
                    lines = text.lines().count();
                    terminal::data(&format!("{back}{text}"))?;
                }
            }
            last = Some(status);
        }
        std::thread::sleep(LOOK);
    }
}

/// Cells of a bar.
const BAR: usize = 20;

/// A bar for each app that is on its way: how many of its objects are healthy.
pub(super) fn bars(status: &Status) -> String {
    let mut text = String::new();
    for app in status.apps.iter().filter(|app| !is_well(app)) {
        let total = app.objects.len();
        if total == 0 {
            continue;
        }
        let done = app.objects.iter().filter(|o| o.health == "healthy");
        let done = done.count();
        let full = done * BAR / total;
        let _ = writeln!(
            text,
            "{} [{}{}] {done}/{total}",
            app.name,
            "#".repeat(full),
            ".".repeat(BAR - full)
        );
    }
    text
}

/// The status, and every object when one app is meant.
fn page(status: &Status, args: &StatusArgs) -> String {
    let mut page = text(status);
    if args.app.is_none() {
        return page;
    }
    for app in &status.apps {
        let rows = app.objects.iter().map(|object| {
            let namespace = object.namespace.clone().unwrap_or_default();
            let name = match namespace.as_str() {
                "" => object.name.clone(),
                namespace => format!("{namespace}/{}", object.name),
            };
            [
                object.kind.clone(),
                name,
                object.health.clone(),
                object.message.clone(),
            ]
        });
        page.push_str(&super::table(["KIND", "NAME", "HEALTH", "MESSAGE"], rows));
    }
    page
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
    for hold in &status.holds {
        let app = match hold.app.as_str() {
            "" => "all apps",
            app => app,
        };
        let until = hold.until.as_ref();
        let until = until.map_or_else(String::new, |until| format!(", until {until}"));
        let _ = writeln!(text, "{app}: {}{until}", hold.message);
    }
    if status.apps.is_empty() {
        let _ = writeln!(text, "no apps; push a project to deploy one");
        return text;
    }
    // Of one cluster nobody needs the name.
    let several = (status.apps.iter()).any(|app| app.cluster != status.apps[0].cluster);
    let rows = status.apps.iter().map(|a| {
        let place = match several {
            true => format!("{}/{}", a.cluster, a.namespace),
            false => a.namespace.clone(),
        };
        [
            a.name.clone(),
            a.env.clone(),
            place,
            short(&a.commit),
            sync(a),
            a.health.clone(),
        ]
    });
    let place = if several {
        "CLUSTER/NAMESPACE"
    } else {
        "NAMESPACE"
    };
    text.push_str(&super::table(
        ["APP", "ENV", place, "COMMIT", "SYNC", "HEALTH"],
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
    for app in &status.apps {
        for note in &app.notes {
            let _ = writeln!(text, "{}: note: {note}", app.name);
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
