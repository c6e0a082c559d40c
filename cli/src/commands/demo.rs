//! `ordain demo`: the whole story on a cluster of its own, which is gone afterwards.

use super::up::RuntimeArg;
use crate::Outcome;
use crate::cluster::Options;
use crate::demo::story::Story;
use crate::terminal::say;
use miette::IntoDiagnostic;
use std::path::PathBuf;

/// See the whole story on this machine, in under a minute
///
/// Starts a cluster in a temporary directory, pushes the example shop to it, previews and deploys a change, pushes a bad
/// image, rolls it back, prints the history, and removes everything. As root with real containers, otherwise with plain
/// processes. Needs git.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// How containers are run
    #[arg(long, value_enum, default_value_t = RuntimeArg::Auto)]
    runtime: RuntimeArg,

    /// Keep the cluster running at the end until Ctrl-C, to look around
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &DemoArgs) -> miette::Result<Outcome> {
    let temp = tempfile::Builder::new()
        .prefix("ordain-demo-")
        .tempdir()
        .into_diagnostic()?;
    let dir: PathBuf = temp.path().to_owned();
    let mut options = Options::new(dir.join("data"));
    options.runtime = args.runtime;
    crate::cluster::block_on(async {
        let story = Story::begin(dir, options).await?;
        let told = tokio::select! {
            told = story.tell() => Some(told),
            () = crate::cluster::interrupted() => None,
        };
        if let Some(Ok(took)) = &told {
            say(&format!(
                "\nThe whole story took {:.0} s. Your turn: `ordain new shop`, `ordain up`.",
                took.as_secs_f64()
            ));
            if args.keep {
                say(&format!(
                    "Everything lies in {} and runs until Ctrl-C.",
                    story.dir().display()
                ));
                crate::cluster::interrupted().await;
            }
        }
        story.end().await?;
        told.unwrap_or(Ok(std::time::Duration::ZERO))?;
        Ok(Outcome::Done)
    })
}
