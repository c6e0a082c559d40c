//! `use secrets`: the files that a project's modules name, read for their keys. Nothing is decrypted here.

use std::sync::Arc;

use ordain_lang_secrets::{Document, Format, Kind, Reference, Shape, Template};
use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::{SecretKind, SecretShape, SecretsInput};

use crate::files::{Files, FilesError};
use crate::load::Project;

/// Keys of one file that a message lists.
const KEYS_SHOWN: usize = 5;

/// Reads the secrets files that the modules use; without `files` there are none to read.
pub(crate) fn load(project: &mut Project, files: Option<&dyn Files>) {
    let mut wanted: Vec<(Arc<str>, Span, bool)> = Vec::new();
    for module in &project.modules {
        for item in &module.parsed.file.items {
            if let ItemKind::Use(used) = &item.kind
                && let UseTarget::Secrets { path, span } = &used.target
                && !wanted.iter().any(|(known, ..)| **known == **path)
            {
                wanted.push((Arc::from(&**path), *span, module.is_own));
            }
        }
    }
    for (path, span, is_own) in wanted {
        let shape = match read(files, &path, is_own) {
            Ok(document) => {
                project.diagnostics.extend(plain(&document, &path, span));
                Some(convert(document.shape(), &path, &mut Vec::new()))
            }
            Err(diagnostic) => {
                project
                    .diagnostics
                    .push(diagnostic.label(span, "this file"));
                None
            }
        };
        project.secrets.push(SecretsInput { path, shape });
    }
}

fn read(files: Option<&dyn Files>, path: &str, is_own: bool) -> Result<Document, Box<Diagnostic>> {
    let cannot = |why: String, help: &str| {
        let diagnostic = Diagnostic::error("E0801", format!("`{path}` cannot be used: {why}"));
        Err(Box::new(diagnostic.help(help)))
    };
    let Some(files) = files else {
        return cannot(
            "a single file has no secrets".to_owned(),
            "make a project: a folder with an `ordain.toml`",
        );
    };
    if !is_own {
        return cannot(
            "only the project itself has secrets".to_owned(),
            "take the secret as a parameter: `password: Secret<String>`",
        );
    }
    let stays_inside = !path.is_empty()
        && !path.starts_with('/')
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !stays_inside {
        return cannot(
            "it is not below the project's root".to_owned(),
            "write the path from the project's root, with `/`",
        );
    }
    let format = match Format::of(path) {
        Ok(format) => format,
        Err(error) => return cannot(error.to_string(), "rename the file"),
    };
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(FilesError::NotFound(_)) => {
            let near = files.list().unwrap_or_default();
            let near = crate::near::nearest(path, near.iter().map(String::as_str));
            return match near {
                Some(near) => cannot(
                    "there is no such file".to_owned(),
                    &format!("did you mean `{near}`?"),
                ),
                None => cannot(
                    "there is no such file".to_owned(),
                    &format!("make it with `ordain secret set {path} KEY`"),
                ),
            };
        }
        Err(error) => return cannot(error.to_string(), "make it readable"),
    };
    match Document::parse(format, &bytes) {
        Ok(document) => Ok(document),
        // What is in the file is not shown: it may be what should have been encrypted.
        Err(error) => cannot(
            error.to_string(),
            "encrypt it with `sops encrypt -i`, or make a new one with `ordain secret set`",
        ),
    }
}

/// Says which keys hold a value in the clear, and nothing of the values.
fn plain(document: &Document, path: &str, span: Span) -> Option<Diagnostic> {
    let entries = document.entries();
    let mut keys: Vec<String> = entries
        .iter()
        .filter(|entry| entry.is_plain)
        .map(|entry| format!("`{}`", entry.path.join(".")))
        .collect();
    let count = keys.len();
    let message = match count {
        0 => return None,
        1 => format!("a value in `{path}` is not encrypted: {}", keys[0]),
        n => {
            if n > KEYS_SHOWN {
                keys.truncate(KEYS_SHOWN);
                keys.push("…".to_owned());
            }
            format!(
                "{n} values in `{path}` are not encrypted: {}",
                keys.join(", ")
            )
        }
    };
    Some(
        Diagnostic::error("E0802", message)
            .label(span, "this file")
            .help("remove it from the file, and set it with `ordain secret set FILE KEY`")
            .note("whoever read the repository since then knows the value: change it"),
    )
}

fn convert(shape: Shape, file: &str, key: &mut Vec<String>) -> SecretShape {
    match shape {
        Shape::Map(entries) => SecretShape::Map(
            entries
                .into_iter()
                .map(|(name, shape)| {
                    key.push(name.clone());
                    let converted = convert(shape, file, key);
                    key.pop();
                    (name, converted)
                })
                .collect(),
        ),
        Shape::List(items) => SecretShape::List(
            items
                .into_iter()
                .enumerate()
                .map(|(at, shape)| {
                    key.push(at.to_string());
                    let converted = convert(shape, file, key);
                    key.pop();
                    converted
                })
                .collect(),
        ),
        Shape::Leaf(leaf) => {
            let reference = Reference {
                file: file.to_owned(),
                key: key.clone(),
                digest: leaf.digest,
            };
            SecretShape::Value {
                kind: match leaf.kind {
                    Kind::Str | Kind::Bytes => SecretKind::String,
                    Kind::Int => SecretKind::Int,
                    Kind::Float => SecretKind::Float,
                    Kind::Bool => SecretKind::Bool,
                },
                reference: Template::of(reference).encode().into(),
            }
        }
    }
}
