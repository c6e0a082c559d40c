//! The seam to the language: files of a commit in, apps with their objects out.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// The encrypted files that its objects name.
    pub secrets: Arc<SecretFiles>,
}

/// Encrypted files by their path, as they lie in a commit.
pub type SecretFiles = BTreeMap<String, Vec<u8>>;

/// An object with its secrets: what is sent, and kept nowhere.
pub struct Revealed {
    /// The object.
    pub object: Value,
    /// Takes the secrets out of what somebody says about the object.
    pub scrub: Scrub,
}

/// Takes values out of a message.
pub type Scrub = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A commit that did not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the commit does not compile")]
pub struct CompileError {
    /// The rendered errors, as the user should read them.
    pub text: String,
}

/// Compiles a commit, and knows its secrets. Called on a thread where it may block.
pub trait Compiler: Send + Sync + 'static {
    /// Returns every wanted app, or every error.
    ///
    /// # Errors
    /// When anything in the project is wrong: half a project is never deployed.
    fn compile(&self, files: &TreeFiles, wanted: &Wanted) -> Result<Compiled, CompileError>;

    /// Returns the encrypted files that an object names.
    fn secret_files(&self, object: &Value) -> Vec<String> {
        let _ = object;
        Vec::new()
    }

    /// Returns for each object that names secrets what it is with them.
    ///
    /// # Errors
    /// Why some of them cannot be decrypted, in words that give nothing of them away.
    fn reveal(
        &self,
        objects: &[&Value],
        files: &SecretFiles,
    ) -> Result<Vec<Option<Revealed>>, Vec<String>> {
        let _ = files;
        Ok(objects.iter().map(|_| None).collect())
    }
}
