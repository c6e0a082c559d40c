//! `ordain why APP[/OBJECT]`: what keeps an app from being as it should be, asked from the running instance.

use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::terminal;
use miette::miette;
use ordain_reconciler_engine::control::{self, Request, Response};

/// Show why an app is not as it should be
///
/// A tree: the app or object, and below each thing what stands in its way, down to the object that was refused, the app
/// that is waited for, or the pod that does not start and the last event about it. Exit code 1 when something is in the
/// way.
#[derive(clap::Args)]
pub(crate) struct WhyArgs {
    /// The app, or one object of it: `web`, `web/settings`, `web/Deployment/web`
    #[arg(value_name = "APP[/OBJECT]")]
    pub(crate) what: String,

    /// Its environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,

    #[command(flatten)]
    pub(crate) target: TargetArg,
}

pub(crate) fn run(args: &WhyArgs, format: Format) -> miette::Result<Outcome> {
    let (app, object) = match args.what.split_once('/') {
        Some((app, object)) => (app.to_owned(), Some(object.to_owned())),
        None => (args.what.clone(), None),
    };
    let request = Request::Why {
        app,
        env: args.env.clone(),
        object,
    };
    let answers =
        control::call(args.target.target(), &request, |_| {}).map_err(super::engine_error)?;
    let tree = answers.into_iter().find_map(|a| match a {
        Response::Why { tree } => Some(tree),
        _ => None,
    });
    let tree = tree.ok_or_else(|| miette!("the running `ordain up` gave no answer"))?;
    match format {
        Format::Json => terminal::json(&tree)?,
        Format::Text => terminal::data(&tree.to_string())?,
    }
    Ok(if tree.is_well() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}
