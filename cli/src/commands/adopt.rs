//! `ordain adopt OBJECT [FIELD…]`: asks the running instance to make a live edit a commit.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use ordain_reconciler_engine::control::{self, Request, Response};

/// Make a live edit of an object a change of its source, by a commit
///
/// What the cluster has and the sources say otherwise is written into the sources: at the line that decides the field, or
/// as a line of the environment when that line is shared. The change is compiled first: it gives exactly this value and
/// changes nothing else, or nothing is done. The commit carries the trailer `Adopt-Of`.
///
/// Drift of declared fields is put right within a second, so suspend the app before you edit it by hand.
#[derive(clap::Args)]
pub(crate) struct AdoptArgs {
    /// The object, such as `deployment/web` or `deployment/shop/web`
    #[arg(value_name = "OBJECT")]
    object: String,

    /// Only these fields, such as `spec.replicas`; all declared ones that differ when none is named
    #[arg(value_name = "FIELD")]
    fields: Vec<String>,

    /// The environment, when the object is in several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Why; it stands in the commit
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    /// Who asks, as `Name <address>`; taken from git's configuration when left out
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,

    /// Show the change of the source, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &AdoptArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::Adopt {
        object: args.object.clone(),
        fields: args.fields.clone(),
        env: args.env.clone(),
        reason: args.reason.clone(),
        author: args.author.clone().unwrap_or_else(super::rollback::author),
        dry_run: args.dry_run,
    };
    let mut lines = Vec::new();
    let answers = control::call(args.target.target(), &request, |line| {
        lines.push(line.to_owned())
    })
    .map_err(super::engine_error)?;
    let commit = answers.into_iter().find_map(|answer| match answer {
        Response::Commit { commit } => Some(commit),
        _ => None,
    });
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "lines": lines, "commit": commit }))?,
        Format::Text => {
            lines.extend(commit);
            terminal::data(&format!("{}\n", lines.join("\n")))?;
        }
    }
    Ok(Outcome::Done)
}
