//! Building: a checked project to the objects of its apps, per environment.

use ordain_lang_syntax::{Diagnostic, Severity};
use serde_json::Value;

use crate::check::{find, sort};
use crate::load::Project;

/// What to build.
#[derive(Clone, Default, Debug)]
pub struct BuildOptions {
    /// Only this environment.
    pub env: Option<String>,
    /// Only environments for this cluster.
    pub cluster: Option<String>,
}

/// What was built.
#[derive(Clone, Default, Debug)]
pub struct Build {
    /// Every app in every wanted environment; empty when there is an error.
    pub apps: Vec<App>,
    /// What was found, errors and warnings, in the order of the sources.
    pub diagnostics: Vec<Diagnostic>,
}

impl Build {
    /// Returns whether nothing stops the result from being used.
    pub fn is_ok(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

/// An app in an environment.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name; the file's name for exported objects of a file without an app.
    pub name: String,
    /// The environment; `default` when the project declares none.
    pub env: String,
    /// The environment's namespace; `default` when it names none.
    pub namespace: String,
    /// The environment's cluster.
    pub cluster: Option<String>,
    /// Its objects, in the order of the source.
    pub objects: Vec<Object>,
}

/// An object and where it comes from.
#[derive(Clone, Debug)]
pub struct Object {
    /// The Kubernetes object.
    pub json: Value,
    /// `file:line` of the source that made it.
    pub at: String,
}

/// Checks a project and evaluates its apps. With an error anywhere there are no objects at all: half
/// a project is never deployed.
pub fn build(project: &Project, options: &BuildOptions) -> Build {
    let environments = project.environments();
    let mut diagnostics = project.loading_diagnostics(&environments);
    if let Some(name) = &options.env
        && let Err(diagnostic) = find(&environments, name)
    {
        diagnostics.push(*diagnostic);
    }
    for diagnostic in crate::check(project) {
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    sort(&mut diagnostics);
    Build {
        apps: Vec::new(),
        diagnostics,
    }
}
