//! The seam to the language: files of a commit in, apps with their objects out.

use ordain_reconciler_source::TreeFiles;
use serde_json::Value;

/// Which environments to compile.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Only this one.
    pub env: Option<String>,
    /// Otherwise those whose cluster has this name; `None` for every environment.
    pub cluster: Option<String>,
}

/// One object as the language produced it.
#[derive(Debug, Clone, PartialEq)]
pub struct CompiledObject {
    /// The Kubernetes object.
    pub object: Value,
    /// `file:line` of the source that made it.
    pub at: Option<String>,
}

/// One app in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The environment, `default` when the project has none.
    pub env: String,
    /// Where namespaced objects without a namespace go.
    pub namespace: String,
    /// Its objects, in source order.
    pub objects: Vec<CompiledObject>,
}

/// A commit that compiled.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// Its apps.
    pub apps: Vec<App>,
    /// Rendered warnings, possibly empty.
    pub warnings: String,
}

/// A commit that did not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the commit does not compile")]
pub struct CompileError {
    /// The rendered errors, as the user should read them.
    pub text: String,
}

/// Compiles a commit. Called on a thread where it may block.
pub trait Compiler: Send + Sync + 'static {
    /// Returns every wanted app, or every error.
    ///
    /// # Errors
    /// When anything in the project is wrong: half a project is never deployed.
    fn compile(&self, files: &TreeFiles, wanted: &Wanted) -> Result<Compiled, CompileError>;
}
