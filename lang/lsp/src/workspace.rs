//! What an editor has open: projects by folder, single files by themselves, and unsaved texts on top of both.
//!
//! Knows which project a document belongs to. It asks the compiler nothing but through a [`Session`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use lsp_types::Uri;
use ordain_lang_project::{Disk, MANIFEST, Memory, Project, Session};
use ordain_lang_syntax::{Diagnostic, FileId};

use crate::objects::Known;
use crate::position::Encoding;
use crate::uri;
use crate::view::{Analysis, Reach, View};

/// How deep projects are looked for below a workspace folder.
const SEARCH_DEPTH: usize = 6;
/// How many folders are looked into; a workspace with more shows a project when one of its files is opened.
const SEARCH_FOLDERS: usize = 4_000;
/// How many analyses of a project are kept.
const KEPT: usize = 8;

/// Which project: its folder, or the document that is one by itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    /// A folder with an `ordain.toml`.
    Folder(PathBuf),
    /// A document outside every project.
    Document(String),
}

/// A document that the editor has open.
#[derive(Debug)]
pub(crate) struct Document {
    /// As the editor spells it.
    pub(crate) uri: Uri,
    /// The editor's count of changes.
    pub(crate) version: i32,
    /// What it says now.
    pub(crate) text: String,
    /// The project it belongs to.
    pub(crate) key: Key,
    /// Its path in the project.
    pub(crate) path: String,
}

/// An open project.
pub(crate) struct Open {
    /// The compiler's side.
    pub(crate) session: Session,
    /// Where it is.
    pub(crate) key: Key,
    /// Counts changes.
    pub(crate) revision: u64,
    /// What is still to be published for the last change.
    pub(crate) pending: Pending,
    /// Whether nothing was published yet.
    pub(crate) is_new: bool,
    /// Whether mistakes that keep the project from being built are shown.
    pub(crate) shows_mistakes: bool,
    /// What was last found.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Documents with published diagnostics, and a fingerprint of these.
    pub(crate) published: BTreeMap<String, String>,
    /// The objects of the last build without errors.
    pub(crate) known: Known,
    analyses: Vec<(u64, FileId, Reach, Analysis)>,
}

/// How far publishing got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pending {
    /// Everything was published.
    Nothing,
    /// The files that were edited are to be looked at.
    Glance,
    /// The checks are to be run.
    Check,
    /// The checks found no error: the project is to be built.
    Build,
}

impl Open {
    fn new(key: Key, session: Session) -> Open {
        Open {
            session,
            key,
            revision: 0,
            pending: Pending::Check,
            is_new: true,
            shows_mistakes: false,
            diagnostics: Vec::new(),
            published: BTreeMap::new(),
            known: Known::default(),
            analyses: Vec::new(),
        }
    }

    /// Notes that something changed.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
        self.pending = Pending::Glance;
    }

    /// The number of a file by its path in the project.
    pub(crate) fn file(&mut self, path: &str) -> Option<FileId> {
        let project = self.session.project();
        project
            .sources
            .files()
            .find(|(_, known)| *known == path)
            .map(|(file, _)| file)
    }

    /// A view of a file; the analysis is kept until something changes.
    pub(crate) fn view(&mut self, file: FileId, reach: Reach) -> View<'_> {
        let revision = self.revision;
        let reach = match reach {
            Reach::Whole => Reach::Whole,
            // A single file has no other environments.
            Reach::Envs if matches!(self.key, Key::Document(_)) => Reach::File,
            other => other,
        };
        let whose = |at: &(u64, FileId, Reach, Analysis)| {
            at.0 == revision && at.2 == reach && (at.1 == file || reach == Reach::Whole)
        };
        let project = self.session.project();
        if !self.analyses.iter().any(whose) {
            self.analyses.retain(|kept| kept.0 == revision);
            if self.analyses.len() >= KEPT {
                self.analyses.remove(0);
            }
            let made = Analysis::new(project, file, reach);
            self.analyses.push((revision, file, reach, made));
        }
        let (.., analysis) = self
            .analyses
            .iter()
            .find(|kept| whose(kept))
            .expect("it was just made");
        View {
            project,
            analysis,
            file,
        }
    }

    /// Whether a file may be one that this single one uses: it stands in its folder, or deeper.
    fn reads(&mut self, path: &str) -> bool {
        let project = self.session.project();
        let main = project.modules.first();
        let main = main.map_or("", |module| project.sources.path(module.file));
        let name = main.rsplit(['/', '\\']).next().unwrap_or(main);
        let folder = &main[..main.len() - name.len()];
        !folder.is_empty() && path.starts_with(folder)
    }

    /// The loaded project.
    pub(crate) fn project(&mut self) -> &Project {
        self.session.project()
    }
}

/// Everything that is open.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Projects and single documents.
    pub(crate) projects: BTreeMap<Key, Open>,
    /// Open documents by their URI in one spelling.
    pub(crate) documents: HashMap<String, Document>,
    /// What columns count.
    pub(crate) encoding: Encoding,
    /// Folders that the editor shows.
    pub(crate) folders: BTreeSet<PathBuf>,
}

impl Workspace {
    /// Opens the projects in a folder of the editor, or the one around it.
    pub(crate) fn add_folder(&mut self, folder: PathBuf) {
        let mut roots = Vec::new();
        if let Some(disk) = Disk::find(&folder) {
            roots.push(disk.root().to_path_buf());
        }
        find_projects(&folder, &mut roots);
        self.folders.insert(folder);
        for root in roots {
            self.open_folder(root);
        }
    }

    /// Forgets a folder; its projects stay while documents of them are open. Gives back the projects to close.
    pub(crate) fn remove_folder(&mut self, folder: &Path) -> Vec<Key> {
        self.folders.remove(folder);
        let used: BTreeSet<Key> = self.documents.values().map(|d| d.key.clone()).collect();
        let wanted = |root: &Path| {
            self.folders
                .iter()
                .any(|f| root.starts_with(f) || f.starts_with(root))
        };
        self.projects
            .keys()
            .filter(|key| match key {
                Key::Folder(root) => !used.contains(*key) && !wanted(root),
                Key::Document(_) => false,
            })
            .cloned()
            .collect()
    }

    fn open_folder(&mut self, root: PathBuf) -> Key {
        let key = Key::Folder(root.clone());
        self.projects
            .entry(key.clone())
            .or_insert_with(|| Open::new(key.clone(), Session::new(Disk::new(root))));
        key
    }

    /// Finds the project of a document, and its path in it.
    pub(crate) fn place(&self, document: &Uri) -> (Key, String) {
        let same = uri::same(document);
        if let Some(open) = self.documents.get(&same) {
            return (open.key.clone(), open.path.clone());
        }
        place_on_disk(document)
    }

    /// Makes sure that the project of a document is open.
    pub(crate) fn open(&mut self, document: &Uri) -> (Key, String) {
        let (key, path) = self.place(document);
        if !self.projects.contains_key(&key) {
            match &key {
                Key::Folder(root) => {
                    self.open_folder(root.clone());
                }
                Key::Document(_) => {
                    let on_disk = uri::path(document.as_str());
                    let text = on_disk
                        .as_ref()
                        .and_then(|path| std::fs::read(path).ok())
                        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                        .unwrap_or_default();
                    let mut session = match on_disk.as_deref().and_then(Path::parent) {
                        Some(folder) => Session::single(&path, text, Disk::new(folder)),
                        None => Session::single(&path, text, Memory::new()),
                    };
                    // What others that are open say of its folder.
                    for other in self.documents.values() {
                        if matches!(other.key, Key::Document(_)) {
                            session.set_text(&other.path, Some(other.text.clone()));
                        }
                    }
                    self.projects
                        .insert(key.clone(), Open::new(key.clone(), session));
                }
            }
        }
        (key, path)
    }

    /// The editor opened a document.
    pub(crate) fn did_open(&mut self, document: Uri, version: i32, text: String) {
        let (key, path) = self.open(&document);
        self.set_text(&key, &path, Some(&text));
        self.documents.insert(
            uri::same(&document),
            Document {
                uri: document,
                version,
                text,
                key,
                path,
            },
        );
    }

    /// Takes in what a document says; none when the disk is to be believed again. A document without a project is also
    /// a file of the folder of others without one.
    pub(crate) fn set_text(&mut self, key: &Key, path: &str, text: Option<&str>) {
        for (known, open) in &mut self.projects {
            let is_beside = match (known, key) {
                (Key::Document(_), Key::Document(_)) => open.reads(path),
                _ => false,
            };
            if known == key || is_beside {
                open.session.set_text(path, text.map(str::to_owned));
                open.session.refresh(&[path.to_owned()]);
                open.touch();
            }
        }
    }

    /// The editor closed a document. Gives back the project when nothing keeps it open any more.
    pub(crate) fn did_close(&mut self, document: &Uri) -> Option<Key> {
        let closed = self.documents.remove(&uri::same(document))?;
        self.set_text(&closed.key, &closed.path, None);
        matches!(closed.key, Key::Document(_)).then_some(closed.key)
    }

    /// Files changed on disk. Gives back projects that are none any more.
    pub(crate) fn files_changed(&mut self, changed: &[(PathBuf, bool)]) -> Vec<Key> {
        let mut has_moved = false;
        for (path, is_new_or_gone) in changed {
            has_moved |= *is_new_or_gone && path.file_name().is_some_and(|name| name == MANIFEST);
            for (key, open) in &mut self.projects {
                let changed = match key {
                    Key::Folder(root) => match path.strip_prefix(root) {
                        Ok(inside) => inside.to_string_lossy().replace('\\', "/"),
                        Err(_) => continue,
                    },
                    Key::Document(_) => {
                        let shown = path.to_string_lossy().into_owned();
                        if !open.reads(&shown) {
                            continue;
                        }
                        shown
                    }
                };
                open.session.refresh(&[changed]);
                open.touch();
            }
        }
        if has_moved {
            return self.reassign();
        }
        Vec::new()
    }

    /// Finds the project of every document anew, after an `ordain.toml` came or went.
    fn reassign(&mut self) -> Vec<Key> {
        let documents: Vec<String> = self.documents.keys().cloned().collect();
        for name in documents {
            let Some(document) = self.documents.remove(&name) else {
                continue;
            };
            let (key, _) = place_on_disk(&document.uri);
            if key != document.key {
                self.set_text(&document.key, &document.path, None);
            }
            self.did_open(document.uri, document.version, document.text);
        }
        let folders: Vec<PathBuf> = self.folders.iter().cloned().collect();
        for folder in folders {
            self.add_folder(folder);
        }
        let used: BTreeSet<Key> = self.documents.values().map(|d| d.key.clone()).collect();
        let is_gone = |key: &&Key| match key {
            Key::Folder(root) => !root.join(MANIFEST).is_file() && !used.contains(*key),
            Key::Document(_) => !used.contains(*key),
        };
        self.projects.keys().filter(is_gone).cloned().collect()
    }
}

fn place_on_disk(document: &Uri) -> (Key, String) {
    let Some(path) = uri::path(document.as_str()) else {
        let text = document.as_str();
        let name = text.rsplit(['/', ':']).next().unwrap_or(text);
        return (Key::Document(uri::same(document)), name.to_owned());
    };
    let folder = path.parent().unwrap_or(&path);
    if let Some(disk) = Disk::find(folder)
        && let Ok(inside) = path.strip_prefix(disk.root())
    {
        let inside = inside.to_string_lossy().replace('\\', "/");
        return (Key::Folder(disk.root().to_path_buf()), inside);
    }
    let shown = path.to_string_lossy().into_owned();
    (Key::Document(uri::same(document)), shown)
}

/// Folders below `folder` that hold an `ordain.toml`.
fn find_projects(folder: &Path, roots: &mut Vec<PathBuf>) {
    let mut todo = vec![(folder.to_path_buf(), 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = todo.pop() {
        looked += 1;
        if looked > SEARCH_FOLDERS {
            break;
        }
        if folder.join(MANIFEST).is_file() && !roots.contains(&folder) {
            roots.push(folder.clone());
        }
        if depth == SEARCH_DEPTH {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_left_out = name.to_str().is_none_or(|name| {
                name.starts_with('.') || name == "node_modules" || name == "target"
            });
            if !is_left_out && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push((entry.path(), depth + 1));
            }
        }
    }
}
