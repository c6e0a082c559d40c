//! The texts of a session: a project's files with an editor's unsaved texts on top.

use std::collections::BTreeMap;

use crate::files::{Files, FilesError};
use crate::load::Project;

/// Files below, texts on top.
pub(super) struct Overlay {
    below: Below,
    texts: BTreeMap<String, String>,
}

enum Below {
    Project(Box<dyn Files + Send>),
    Single(String, String),
}

impl Overlay {
    pub(super) fn project(files: Box<dyn Files + Send>) -> Overlay {
        Overlay {
            below: Below::Project(files),
            texts: BTreeMap::new(),
        }
    }

    pub(super) fn single(path: &str, text: String) -> Overlay {
        Overlay {
            below: Below::Single(path.to_owned(), text),
            texts: BTreeMap::new(),
        }
    }

    pub(super) fn set_text(&mut self, path: &str, text: Option<String>) {
        match text {
            Some(text) => self.texts.insert(path.to_owned(), text),
            None => self.texts.remove(path),
        };
    }

    /// Loads everything anew.
    pub(super) fn load(&self) -> Project {
        match &self.below {
            Below::Project(_) => Project::load(self),
            Below::Single(path, text) => {
                let text = self.texts.get(path).unwrap_or(text);
                Project::single(path, text.as_str())
            }
        }
    }
}

impl Files for Overlay {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        let mut paths = match &self.below {
            Below::Project(files) => files.list()?,
            Below::Single(path, _) => vec![path.clone()],
        };
        for path in self.texts.keys() {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        Ok(paths)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        if let Some(text) = self.texts.get(path) {
            return Ok(text.clone().into_bytes());
        }
        match &self.below {
            Below::Project(files) => files.read(path),
            Below::Single(own, text) if own == path => Ok(text.clone().into_bytes()),
            Below::Single(..) => Err(FilesError::NotFound(path.to_owned())),
        }
    }
}
