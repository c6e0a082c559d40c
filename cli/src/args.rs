//! What can be typed. Each subcommand's arguments stand beside its code in `commands`; their doc comments are the help.

use crate::commands;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use ordain_reconciler_engine::control;
use std::path::PathBuf;

/// Typed specs to a running cluster, by git push
///
/// Ordain compiles `.ord` files to Kubernetes objects, keeps a cluster equal to what a git repository declares, and
/// brings its own Kubernetes-compatible cluster for the machine where there is none.
#[derive(Parser)]
#[command(name = "ordain", version, max_term_width = 100, arg_required_else_help = true, after_help = AFTER)]
pub(crate) struct Args {
    /// How data is printed on stdout
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Output::Text, Output::Json]))]
    pub(crate) format: Output,

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
    // In the order of help: write, look closer, then run.
    New(commands::new::NewArgs),
    Check(commands::check::CheckArgs),
    Build(commands::build::BuildArgs),
    Test(commands::test::TestArgs),
    Fmt(commands::fmt::FmtArgs),
    Import(commands::import::ImportArgs),
    Export(commands::export::ExportArgs),
    Vendor(commands::vendor::VendorArgs),
    Secret(commands::secret::SecretArgs),
    Explain(commands::explain::ExplainArgs),
    Repl(commands::repl::ReplArgs),
    Doc(commands::doc::DocArgs),
    Lsp(commands::lsp::LspArgs),
    Diff(commands::diff::DiffArgs),
    Plan(commands::plan::PlanArgs),
    Snapshot(commands::snapshot::SnapshotArgs),
    Demo(commands::demo::DemoArgs),
    Up(commands::up::UpArgs),
    Run(commands::run::RunArgs),
    Dashboard(commands::dashboard::DashboardArgs),
    Status(commands::status::StatusArgs),
    History(commands::history::HistoryArgs),
    Why(commands::why::WhyArgs),
    Log(commands::log::LogArgs),
    At(commands::at::AtArgs),
    Blame(commands::blame::BlameArgs),
    Audit(commands::audit::AuditArgs),
    Rollback(commands::rollback::RollbackArgs),
    Sync(commands::sync::SyncArgs),
    Adopt(commands::adopt::AdoptArgs),
    Approve(commands::approve::ApproveArgs),
    Suspend(commands::suspend::SuspendArgs),
    Resume(commands::suspend::ResumeArgs),
    Image(commands::image::ImageArgs),
}

/// How data is printed, where a command knows no other forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Every form that some command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
    /// A stream of YAML documents
    Yaml,
    /// SARIF 2.1.0, as code scanning services read it
    Sarif,
    /// A comment of a pull request
    Markdown,
    /// in-toto statements in signed envelopes, one a line
    InToto,
    /// CDEvents, one a line
    Cdevents,
}

impl Output {
    /// Returns which of the two common forms is meant.
    pub(crate) fn plain(self) -> Format {
        match self {
            Output::Json | Output::Sarif | Output::InToto | Output::Cdevents => Format::Json,
            Output::Text | Output::Yaml | Output::Markdown => Format::Text,
        }
    }
}

/// Accepts some of the forms. A command with forms of its own declares `--format` again, and that hides the common one.
pub(crate) fn formats(some: &'static [Output]) -> impl TypedValueParser<Value = Output> {
    let values = some.iter().filter_map(Output::to_possible_value);
    PossibleValuesParser::new(values).map(|name| {
        Output::from_str(&name, false).expect("only names of forms pass the parser before")
    })
}

/// Which running `ordain up` a command speaks to.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DataDirArg {
    /// Directory of the cluster: its store, keys, images and journal
    ///
    /// Commands find the running `ordain up` by it. Without the option it is `$ORDAIN_DATA_DIR`, else `/var/lib/ordain`
    /// for root and `ordain` in the user's data directory for everybody else.
    #[arg(long, value_name = "DIR", global = true)]
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

/// Which running reconciler a command speaks to: one on this machine, or one behind an API server.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TargetArg {
    #[command(flatten)]
    own: DataDirArg,

    /// Ask through this cluster instead, by its kubeconfig
    ///
    /// The command becomes a `Request` object, which the reconciler answers in its status. Whoever may create `requests`
    /// of the group `ordain.dev` in the reconciler's namespace may command it.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    kubeconfig: Option<PathBuf>,

    /// Ask through the cluster of this context; without --kubeconfig it is one of `$KUBECONFIG` or `~/.kube/config`
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    context: Option<String>,

    /// Namespace of the reconciler's objects, with --kubeconfig or --context
    #[arg(long, value_name = "NAME", default_value = control::NAMESPACE)]
    system_namespace: String,
}

impl TargetArg {
    /// Returns who is asked.
    pub(crate) fn target(&self) -> control::Target {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return control::Target::DataDir(self.own.path());
        }
        control::Target::Cluster {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.system_namespace.clone(),
        }
    }
}

/// What makes a command speak to the same reconciler.
pub(crate) fn arguments(target: &control::Target) -> Vec<String> {
    let path = |path: &std::path::Path| path.display().to_string();
    let mut words = Vec::new();
    let mut say = |name: &str, value: String| words.extend([name.to_owned(), value]);
    match target {
        control::Target::DataDir(dir) => say("--data-dir", path(dir)),
        control::Target::Cluster {
            kubeconfig,
            context,
            namespace,
        } => {
            if let Some(kubeconfig) = kubeconfig {
                say("--kubeconfig", path(kubeconfig));
            }
            if let Some(context) = context {
                say("--context", context.clone());
            }
            if namespace != control::NAMESPACE {
                say("--system-namespace", namespace.clone());
            }
        }
    }
    words
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
