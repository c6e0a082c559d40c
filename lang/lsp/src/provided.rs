//! Documents that come with the program: the standard library's modules and the pages of diagnostics.
//!
//! An editor that can show virtual documents asks for their text by an `ordain-std:` URI. For others they are
//! written to a folder of their own below the system's temporary one, when they are first needed.

use std::path::{Path, PathBuf};

use lsp_types::Uri;

use crate::uri;

/// How provided documents reach the editor.
#[derive(Clone, Debug)]
pub(crate) struct Provided {
    is_virtual: bool,
    folder: PathBuf,
}

impl Provided {
    /// `is_virtual` when the editor asks for texts itself; else `folder` is where they are written.
    pub(crate) fn new(is_virtual: bool, folder: PathBuf) -> Provided {
        Provided { is_virtual, folder }
    }

    /// The folder for this version of the program below the system's temporary folder.
    pub(crate) fn default_folder() -> PathBuf {
        std::env::temp_dir().join(concat!("ordain-std-", env!("CARGO_PKG_VERSION")))
    }

    /// Returns the URI of a module of the standard library, by the name that diagnostics show (`std/web.ord`).
    pub(crate) fn module(&self, file: &str) -> Option<Uri> {
        self.document(file)
    }

    /// Returns the URI of a diagnostic's page.
    pub(crate) fn page(&self, code: &str) -> Option<Uri> {
        ordain_lang_types::page(code)?;
        self.document(&format!("diagnostics/{code}.md"))
    }

    fn document(&self, name: &str) -> Option<Uri> {
        let text = text(name)?;
        if self.is_virtual {
            return Some(uri::provided(name));
        }
        let path = self.folder.join(name);
        write(&path, text).ok()?;
        Some(uri::of(&path))
    }
}

/// Returns the text of a provided document.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    if let Some(code) = name
        .strip_prefix("diagnostics/")
        .and_then(|n| n.strip_suffix(".md"))
    {
        return ordain_lang_types::page(code);
    }
    let module = ordain_stdlib::MODULES.iter().find(|m| m.file == name)?;
    Some(module.text)
}

/// Writes a document unless it is there already.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}
