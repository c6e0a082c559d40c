//! YAML to typed source: objects as the language would write them, and copies factored into base and overlays.
//!
//! [`import`] reads YAML and JSON (manifests, the output of Helm and kustomize, lists) and writes a project whose build
//! gives equal objects. It proves that by building what it wrote: an object that the checker refuses is kept as data,
//! unchecked, and told with its place in the input. Copies of the same objects, one per environment, become one base
//! and what each environment changes.
//!
//! It opens no file: texts come in and texts go out.

mod custom;
mod draft;
mod factor;
mod group;
mod object;
mod project;
mod prove;
mod write;
mod yaml;

use ordain_lang_syntax::{Diagnostic, Sources};
use ordain_schemas::KubeVersion;

/// A text to import.
#[derive(Clone, Debug)]
pub struct Input {
    /// What diagnostics call it: its path, or `stdin`.
    pub path: String,
    /// The text, as it was read.
    pub content: Vec<u8>,
    /// The environment whose objects it holds, when there is one copy per environment.
    pub env: Option<String>,
}

impl Input {
    /// Makes an input that belongs to no environment.
    pub fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Input {
        Input {
            path: path.into(),
            content: content.into(),
            env: None,
        }
    }

    /// Says which environment's objects it holds.
    #[must_use]
    pub fn env(mut self, env: impl Into<String>) -> Input {
        self.env = Some(env.into());
        self
    }
}

/// How to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the project, and of the app of objects that say no other.
    pub name: String,
    /// The version of Kubernetes whose types are meant.
    pub kubernetes: KubeVersion,
    /// Whether to write one file without a project around it.
    pub is_single: bool,
    /// Files with CustomResourceDefinitions that are not imported themselves, for the types of custom objects.
    pub crds: Vec<Input>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: "imported".to_owned(),
            kubernetes: KubeVersion::DEFAULT,
            is_single: false,
            crds: Vec::new(),
        }
    }
}

/// A file that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its path below the project's folder, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What an import gives.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The files of the project, or the one file.
    pub files: Vec<File>,
    /// What was found in the input: errors stand for what is missing in the result, warnings for what it says otherwise.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts of the input, for showing diagnostics.
    pub sources: Sources,
    /// What became of the objects.
    pub summary: Summary,
}

/// What became of the objects.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// How many objects were read.
    pub objects: usize,
    /// How many of them are written with their types.
    pub typed: usize,
    /// How many of them are written as data, which nothing checks.
    pub data: usize,
    /// Whether the result was built and gave objects equal to those that were read.
    pub is_proven: bool,
    /// The size of the YAML that was read, in bytes.
    pub bytes_read: usize,
    /// The size of the files that were written, in bytes.
    pub bytes_written: usize,
}

/// Imports texts as a project.
pub fn import(inputs: &[Input], options: &Options) -> Imported {
    project::import(inputs, options)
}

/// Imports one text as one file. Total: whatever the text is, something comes back.
pub fn import_text(text: &str) -> Imported {
    let options = Options {
        is_single: true,
        ..Options::default()
    };
    import(&[Input::new("stdin", text)], &options)
}
