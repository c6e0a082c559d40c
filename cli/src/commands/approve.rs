//! `ordain approve PLAN|APP`: lets the running instance carry out a plan that waits.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use ordain_reconciler_engine::control::{self, Request};

/// Allow a plan that waits for an approval
///
/// A plan that deletes much, or something that holds data, waits. `ordain status` names its hash; the approval is bound to
/// it, so a plan that changes has to be approved again. It is recorded in the journal with who gave it.
#[derive(clap::Args)]
pub(crate) struct ApproveArgs {
    /// The plan's hash, the beginning of it, or the app that waits; or what allows one object, as its refusal says it
    #[arg(value_name = "PLAN|APP")]
    plan: String,

    /// The app's environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Who allows it, as `Name <address>`; taken from git's configuration when left out
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &ApproveArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::ApproveApp {
        plan: args.plan.clone(),
        env: args.env.clone(),
        author: args.author.clone().unwrap_or_else(super::rollback::author),
    };
    tell(&args.target, &request, format)
}

/// Sends a request whose answer is a line or two, and prints those.
pub(super) fn tell(
    target: &TargetArg,
    request: &Request,
    format: Format,
) -> miette::Result<Outcome> {
    let mut lines = Vec::new();
    control::call(target.target(), request, |line| lines.push(line.to_owned()))
        .map_err(super::engine_error)?;
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "done": lines }))?,
        Format::Text => terminal::data(&format!("{}\n", lines.join("\n")))?,
    }
    Ok(Outcome::Done)
}
