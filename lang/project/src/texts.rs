//! `use text`: the files that a project's modules use as texts, read as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, FileId, Span};
use ordain_lang_types::TextInput;

use crate::files::{Files, FilesError};
use crate::load::Project;
use crate::near::nearest;

/// Bytes of a text. No object that holds more is taken: a ConfigMap has at most 1 MiB of data
/// (https://kubernetes.io/docs/concepts/configuration/configmap/).
const TEXT_LIMIT: usize = 1 << 20;

impl Project {
    /// Reads the files that the modules use as texts; `paths` are the project's files.
    pub(crate) fn add_texts(&mut self, files: &dyn Files, paths: &[String]) {
        let mut read: BTreeMap<String, Option<Arc<str>>> = BTreeMap::new();
        for (module, is_own, path, span) in self.text_uses() {
            let (folder, candidates) = self.used_paths(module, is_own, &path);
            let text = match text(files, &path, &candidates, &mut read) {
                Ok(text) => text,
                Err(mut diagnostic) => {
                    if diagnostic.help.is_none() {
                        diagnostic.help = Some(missing_help(&path, &folder, paths));
                    }
                    self.diagnostics
                        .push((*diagnostic).label(span, "this file"));
                    None
                }
            };
            self.texts.push(TextInput {
                module,
                path: path.into(),
                text,
            });
        }
    }

    fn text_uses(&self) -> Vec<(FileId, bool, String, Span)> {
        let mut uses = Vec::new();
        for module in &self.modules {
            for item in &module.parsed.file.items {
                if let ItemKind::Use(used) = &item.kind
                    && let UseTarget::Text { path, span } = &used.target
                {
                    uses.push((module.file, module.is_own, path.to_string(), *span));
                }
            }
        }
        uses
    }
}

/// Reads the first of the candidates that is there. None when it was told before.
fn text(
    files: &dyn Files,
    path: &str,
    candidates: &[String],
    read: &mut BTreeMap<String, Option<Arc<str>>>,
) -> Result<Option<Arc<str>>, Box<Diagnostic>> {
    let cannot = |why: &str| Diagnostic::error("E0871", format!("`{path}` cannot be used: {why}"));
    let boxed = |diagnostic: Diagnostic| Err(Box::new(diagnostic));
    if candidates.is_empty() {
        let help = "copy the file into the project: a build depends on nothing else";
        return boxed(cannot("it leads out of the project").help(help));
    }
    for candidate in candidates {
        if let Some(known) = read.get(candidate) {
            return Ok(known.clone());
        }
        let bytes = match files.read(candidate) {
            Ok(bytes) => bytes,
            Err(FilesError::NotFound(_)) => continue,
            Err(error) => {
                let diagnostic = cannot(&error.to_string()).help("make it readable");
                return boxed(match std::error::Error::source(&error) {
                    Some(source) => diagnostic.note(source.to_string()),
                    None => diagnostic,
                });
            }
        };
        read.insert(candidate.clone(), None);
        if bytes.len() > TEXT_LIMIT {
            let why = format!("it has {} bytes, {TEXT_LIMIT} are allowed", bytes.len());
            let help = "no ConfigMap holds more: put it into an image or a volume";
            return boxed(cannot(&why).help(help));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            let help = "bytes are written as base64, in a file of its own, for `binaryData` of a ConfigMap";
            return boxed(cannot("it is not UTF-8").help(help));
        };
        let text: Arc<str> = text.into();
        read.insert(candidate.clone(), Some(Arc::clone(&text)));
        return Ok(Some(text));
    }
    boxed(cannot("there is no such file"))
}

/// Where a file is looked for that was not found.
fn missing_help(path: &str, folder: &str, paths: &[String]) -> String {
    let known = paths.iter().map(String::as_str);
    match nearest(path, known.filter(|path| !path.ends_with(".ord"))) {
        Some(near) => format!("did you mean `{near}`?"),
        None if folder.is_empty() => "the path starts from the project's folder".to_owned(),
        None => format!(
            "the path starts from `{folder}`, where this file is, or from the project's folder"
        ),
    }
}
