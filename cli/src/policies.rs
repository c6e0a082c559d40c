//! The options that hold for every app: what becomes of removed ones, whom objects are taken from, and which fields are
//! left to others.

use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_reconciler_engine::Ownership;
use ordain_reconciler_plan::{Ignores, OnRemove};
use std::path::{Path, PathBuf};

/// What holds for every app.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PolicyArgs {
    /// What happens to the objects of an app that is taken out of the repository
    #[arg(long, value_enum, default_value_t = RemovedArg::Prune)]
    on_removed_app: RemovedArg,

    /// Take over objects of this owner or other tool, such as prod/web, argocd/APP or flux/NAMESPACE/NAME
    #[arg(long, value_name = "OWNER")]
    take_from: Vec<String>,

    /// YAML file with rules about fields that are left to others
    #[arg(long, value_name = "FILE")]
    ignore_rules: Option<PathBuf>,
}

/// What happens to the objects of a removed app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum RemovedArg {
    /// They wait for an approval
    #[default]
    Prune,
    /// They are deleted; data waits for an approval
    Delete,
    /// They stay in the cluster and are nobody's
    Orphan,
}

impl PolicyArgs {
    /// Looks at the options.
    ///
    /// # Errors
    /// When the file with rules cannot be read, or one of them means nothing.
    pub(crate) fn look(&self) -> Result<Ownership> {
        let ignores = ignores(self.ignore_rules.as_deref())?;
        Ok(Ownership {
            on_remove: match self.on_removed_app {
                RemovedArg::Prune => OnRemove::Prune,
                RemovedArg::Delete => OnRemove::Delete,
                RemovedArg::Orphan => OnRemove::Orphan,
            },
            take_from: self.take_from.iter().cloned().collect(),
            ignores,
        })
    }
}

/// Reads a file of rules about fields that are left to others; the shipped ones alone when none is named.
///
/// # Errors
/// When it cannot be read, or a rule means nothing.
pub(crate) fn ignores(file: Option<&Path>) -> Result<Ignores> {
    let Some(file) = file else {
        return Ok(Ignores::default());
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the file of --ignore-rules, {shown}"))?;
    Ignores::read(&text)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot use the rules in {shown}"))
}
