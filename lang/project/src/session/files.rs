//! The texts of a session: a project's files with an editor's unsaved texts on top.

use std::collections::BTreeMap;

use crate::files::{Entry, Files, FilesError};
use crate::load::Project;

/// Files below, texts on top.
pub(super) struct Overlay {
    below: Box<dyn Files + Send>,
    single: Option<Single>,
    texts: BTreeMap<String, String>,
}

/// A file without a project around it. Paths are written as its own is, with its folder.
struct Single {
    path: String,
    text: String,
    /// What its path begins with; the files below start from there.
    folder: String,
}

impl Overlay {
    pub(super) fn project(below: Box<dyn Files + Send>) -> Overlay {
        Overlay {
            below,
            single: None,
            texts: BTreeMap::new(),
        }
    }

    pub(super) fn single(path: &str, text: String, beside: Box<dyn Files + Send>) -> Overlay {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        Overlay {
            below: beside,
            single: Some(Single {
                folder: path[..path.len() - name.len()].to_owned(),
                path: path.to_owned(),
                text,
            }),
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
        match &self.single {
            None => Project::load(self),
            Some(single) => {
                let text = self.texts.get(&single.path).unwrap_or(&single.text);
                Project::single_beside(&single.path, text.as_str(), self)
            }
        }
    }

    /// Reads a file by the path that diagnostics show.
    pub(super) fn read_shown(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        match &self.single {
            None => self.read(path),
            Some(single) => match path.strip_prefix(&single.folder) {
                Some(inside) => self.read(inside),
                None => Err(FilesError::NotFound(path.to_owned())),
            },
        }
    }
}

/// Of a single file: its folder.
impl Files for Overlay {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        let mut paths = match &self.single {
            None => self.below.list()?,
            // Nobody asked for all that stands around it.
            Some(single) => vec![single.path[single.folder.len()..].to_owned()],
        };
        let folder = self.single.as_ref().map_or("", |single| &single.folder);
        for path in self.texts.keys() {
            if let Some(path) = path.strip_prefix(folder)
                && !paths.iter().any(|known| known == path)
            {
                paths.push(path.to_owned());
            }
        }
        Ok(paths)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        let Some(single) = &self.single else {
            return match self.texts.get(path) {
                Some(text) => Ok(text.clone().into_bytes()),
                None => self.below.read(path),
            };
        };
        let shown = format!("{}{path}", single.folder);
        match self.texts.get(&shown) {
            Some(text) => Ok(text.clone().into_bytes()),
            None if shown == single.path => Ok(single.text.clone().into_bytes()),
            None => self.below.read(path),
        }
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, FilesError> {
        self.below.entries(folder)
    }
}
