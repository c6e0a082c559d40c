//! The seam to the language: files of a commit in, apps with their objects out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ordain_reconciler_journal::{AppRef, Digest};
use ordain_reconciler_plan::canonical;
use ordain_reconciler_source::{Repository, TreeFiles};
use serde_json::Value;

use crate::{Deployed, Rules, packed::Packed};

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

/// One app in one environment. Made by [`App::new`], which takes the digest of what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The environment, `default` when the project has none.
    pub env: String,
    /// Where namespaced objects without a namespace go.
    pub namespace: String,
    /// The encrypted files that its objects name.
    pub secrets: Arc<SecretFiles>,
    /// The cluster that its environment names.
    pub cluster: Option<String>,
    objects: Packed,
    digest: Digest,
}

impl App {
    /// Takes an app as it was compiled.
    #[must_use]
    pub fn new(
        name: String,
        env: String,
        namespace: String,
        objects: Vec<CompiledObject>,
        secrets: SecretFiles,
    ) -> Self {
        let mut text = namespace.clone();
        for compiled in &objects {
            text.push('\n');
            text.push_str(&canonical(&compiled.object));
        }
        for (path, bytes) in &secrets {
            text.push_str(&format!("\n{path} {}", Digest::of(bytes)));
        }
        let digest = Digest::of(text.as_bytes());
        Self {
            name,
            env,
            namespace,
            objects: Packed::new(objects),
            secrets: Arc::new(secrets),
            cluster: None,
            digest,
        }
    }

    /// Its objects, in source order. They are kept as text, so each call reads them anew.
    #[must_use]
    pub fn objects(&self) -> Vec<CompiledObject> {
        self.objects.objects()
    }

    /// How many objects it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// True when it has no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.len() == 0
    }

    /// Says which cluster its environment names.
    #[must_use]
    pub fn on(mut self, cluster: Option<String>) -> Self {
        self.cluster = cluster;
        self
    }

    /// Its name in the journal.
    #[must_use]
    pub fn reference(&self) -> AppRef {
        AppRef {
            env: self.env.clone(),
            name: self.name.clone(),
        }
    }

    /// The digest of everything that reaches the cluster: equal digests need no second look. Where objects
    /// stand in the sources is no part of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// A commit that compiled.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// Its apps. What is as in an earlier commit may be the same allocation.
    pub apps: Vec<Arc<App>>,
    /// Rendered warnings, possibly empty.
    pub warnings: String,
    /// What the project says about its rollouts.
    pub rules: Arc<Rules>,
}

/// A field of an object that the sources should give another value.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldEdit {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The field, such as `spec.template.spec.containers[web].image`.
    pub path: String,
    /// Its value now; none when the sources do not set it.
    pub from: Option<Value>,
    /// The value to give it; none when it is to be gone.
    pub to: Option<Value>,
}

/// Sources in which fields have other values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// The new texts of the files that change.
    pub files: BTreeMap<String, String>,
    /// Where each field was edited, and why there, in words.
    pub notes: Vec<String>,
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
    /// The apps that what changed since the last good commit can reach, as far as that is known.
    pub affected: Vec<String>,
    /// True when it may compile another time, as it is: its files could not all be had.
    pub may_pass: bool,
}

impl CompileError {
    /// Errors without a word on whom they concern.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            affected: Vec::new(),
            may_pass: false,
        }
    }
}

/// Compiles a commit, and knows its secrets. Called on a thread where it may block.
pub trait Compiler: Send + Sync + 'static {
    /// Returns every wanted app, or every error.
    ///
    /// # Errors
    /// When anything in the project is wrong: half a project is never deployed.
    fn compile(&self, files: &Arc<TreeFiles>, wanted: &Wanted) -> Result<Compiled, CompileError>;

    /// Nothing was compiled for a while, or much was applied since: lets go of what would be too much to keep. It can
    /// all be had again.
    fn rest(&self) {}

    /// Its name and version, for the record of what made the objects.
    fn version(&self) -> String {
        String::new()
    }

    /// Returns the files of a commit that the objects of one app are made from, as the compile graph has them;
    /// none when that is not known.
    fn inputs(
        &self,
        files: &Arc<TreeFiles>,
        wanted: &Wanted,
        app: &AppRef,
    ) -> Option<BTreeSet<String>> {
        let _ = (files, wanted, app);
        None
    }

    /// Returns the new texts of files in which fields have other values and nothing else changes.
    ///
    /// # Errors
    /// Why no such texts were found, in words.
    fn rewrite(&self, files: &Arc<TreeFiles>, edits: &[FieldEdit]) -> Result<Rewritten, String> {
        let _ = (files, edits);
        Err("these sources cannot be edited by a program".to_owned())
    }

    /// Returns who wrote the lines that a field of the one deployed object comes from, in a form of its own. Several
    /// objects, or none, are told in words, with the name that was asked for.
    ///
    /// # Errors
    /// Why that cannot be told, in words.
    fn blame(
        &self,
        repository: &Repository,
        found: Vec<Deployed>,
        object: &str,
        field: &str,
    ) -> Result<Value, String> {
        let _ = (repository, found, object, field);
        Err("the lines of these sources are not known".to_owned())
    }

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
