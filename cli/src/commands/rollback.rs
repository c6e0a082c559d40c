//! `ordain rollback APP --to COMMIT|TIME|last-healthy`: asks the running instance for a rollback commit and follows it.

use super::follow::follow;
use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use ordain_reconciler_engine::control::{Request, Response};

/// Restore an app to an earlier commit, by a new commit
///
/// The branch gets a commit that restores the app's sources, with the reason and the trailers `Rollback-Of`, `Rollback-To`
/// and `Plan-Hash`. It is compiled first: it gives exactly the objects of the earlier commit and changes no other app, or
/// nothing is done. Automatic deploys stay on: the commit that is undone is held, and the next change goes forward again.
///
/// When the repository cannot be reached, the earlier objects are applied at once, and the commit is pushed when it is back.
/// Claims, volumes, namespaces and definitions are never deleted by a rollback. Exit code 1 when it does not become healthy.
#[derive(clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["app", "all"])]
pub(crate) struct RollbackArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// The whole repository, every app in it
    #[arg(long, conflicts_with = "env")]
    all: bool,

    /// Where to: a commit, branch or tag, a time such as `2026-08-01 14:03` or `2h ago`, or `last-healthy`
    #[arg(long, value_name = "COMMIT|TIME")]
    to: String,

    /// Why; it stands in the commit and in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    /// Sign the commit with the journal's key
    #[arg(long)]
    sign: bool,

    /// Its environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Who asks, as `Name <address>`; taken from git's configuration when left out
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,

    /// Return when the commit is written, without waiting for the rollout
    #[arg(long)]
    no_wait: bool,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &RollbackArgs, format: Format) -> miette::Result<Outcome> {
    let (to, reason) = (args.to.clone(), args.reason.clone());
    let author = args.author.clone().unwrap_or_else(author);
    let (sign, wait) = (args.sign, !args.no_wait);
    let request = match args.app.clone() {
        Some(app) => Request::Rollback {
            app,
            env: args.env.clone(),
            to,
            reason,
            author,
            sign,
            wait,
        },
        None => Request::RollbackAll {
            to,
            reason,
            author,
            sign,
            wait,
        },
    };
    let answers = follow(&args.target, &request)?;
    let mut healthy = true;
    for answer in &answers {
        match answer {
            Response::Commit { commit } if format == Format::Text => {
                terminal::data(&format!("{commit}\n"))?
            }
            Response::Done { ok } => healthy = *ok,
            _ => {}
        }
    }
    if format == Format::Json {
        let commit = answers.iter().find_map(|a| match a {
            Response::Commit { commit } => Some(commit),
            _ => None,
        });
        terminal::json(
            &serde_json::json!({ "app": args.app, "commit": commit, "healthy": healthy && !args.no_wait }),
        )?;
    }
    Ok(if healthy {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Returns who git says is working here.
pub(crate) fn author() -> String {
    // As git: the variables win over the configuration.
    let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    if let (Some(name), Some(email)) = (variable("GIT_AUTHOR_NAME"), variable("GIT_AUTHOR_EMAIL")) {
        return format!("{name} <{email}>");
    }
    ordain_reconciler_source::configured_author().unwrap_or_else(|| {
        format!(
            "{} <>",
            std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned())
        )
    })
}
