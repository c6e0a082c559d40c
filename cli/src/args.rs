//! What can be typed. Each subcommand's arguments stand beside its code in `commands`; their doc comments are the help.

use crate::commands;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Typed specs to a running cluster, by git push
///
/// Ordain compiles `.ord` files to Kubernetes objects, keeps a cluster equal to what a git repository declares, and
/// brings its own Kubernetes-compatible cluster for the machine where there is none.
#[derive(Parser)]
#[command(name = "ordain", version, max_term_width = 100, arg_required_else_help = true, after_help = AFTER)]
pub(crate) struct Args {
    /// How data is printed on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Say more on stderr (can be repeated)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Start here:
  ordain demo                  the whole story on this machine, in under a minute
  ordain new shop && cd shop   a project of your own
  ordain up                    a cluster; `git push` deploys to it

Exit codes: 0 done, 1 findings (mistakes, differences), 2 usage, 3 could not finish.";

#[derive(Subcommand)]
pub(crate) enum Command {
    New(commands::new::NewArgs),
    Check(commands::check::CheckArgs),
    Build(commands::build::BuildArgs),
    Fmt(commands::fmt::FmtArgs),
    Diff(commands::diff::DiffArgs),
    Up(commands::up::UpArgs),
    Demo(commands::demo::DemoArgs),
    Status(commands::status::StatusArgs),
    History(commands::history::HistoryArgs),
    Rollback(commands::rollback::RollbackArgs),
    Explain(commands::explain::ExplainArgs),
    Image(commands::image::ImageArgs),
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Which running `ordain up` a command speaks to.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DataDirArg {
    /// Directory of the cluster: its store, keys, images and journal
    ///
    /// Commands find the running `ordain up` by it. Without the option it is `$ORDAIN_DATA_DIR`, else `/var/lib/ordain`
    /// for root and `ordain` in the user's data directory for everybody else.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl DataDirArg {
    /// Returns the directory that is meant.
    pub(crate) fn path(&self) -> PathBuf {
        let given = self
            .data_dir
            .clone()
            .or_else(|| std::env::var_os("ORDAIN_DATA_DIR").map(PathBuf::from));
        given.unwrap_or_else(crate::cluster::default_data_dir)
    }
}

/// Which sources a command reads.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SourceArg {
    /// Project folder, or one `.ord` file
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
