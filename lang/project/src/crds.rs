//! The CRD files of a project: which ones `use crd` and `ordain.toml` mean, read once each.

use std::collections::BTreeMap;

use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, FileId, Span};
use ordain_lang_types::{CrdFile, crd_problem};

use crate::files::{Files, FilesError};
use crate::load::{Module, Project};
use crate::near::nearest;

/// A `use crd`.
struct Use {
    module: FileId,
    is_own: bool,
    path: String,
    span: Span,
    alias: Option<String>,
}

impl Project {
    /// Reads the CRD files that the modules use and the manifest names; `paths` are the project's files.
    pub(crate) fn add_crds(&mut self, files: &dyn Files, paths: &[String]) {
        let mut read: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for each in self.crd_uses() {
            let (folder, candidates) = self.used_paths(each.module, each.is_own, &each.path);
            let mut found = None;
            for path in &candidates {
                match self.crd_file(files, path, &mut read) {
                    Ok(at) => {
                        found = Some(at);
                        break;
                    }
                    Err(FilesError::NotFound(_)) => {}
                    Err(error) => {
                        self.diagnostics.push(unreadable(&error, each.span));
                        found = Some(None);
                        break;
                    }
                }
            }
            match found {
                Some(Some(at)) => {
                    self.crds
                        .bind(each.module, &each.path, at, each.alias.as_deref());
                }
                Some(None) => {}
                None => {
                    let diagnostic = match candidates.is_empty() {
                        false => self.missing(&each, &folder, paths),
                        true => outside(&each.path, each.span),
                    };
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        for (pattern, span) in self.manifest.crds.clone() {
            if inside("", &pattern).is_none() {
                self.diagnostics.push(outside(&pattern, span));
                continue;
            }
            let fitting: Vec<&String> = paths.iter().filter(|path| fits(&pattern, path)).collect();
            if fitting.is_empty() {
                self.diagnostics.push(
                    Diagnostic::error("E0851", format!("no file is `{pattern}`"))
                        .label(span, "nothing fits")
                        .help("`*` stands for any part of a name, `**` for any folders"),
                );
            }
            for path in fitting {
                if let Err(error) = self.crd_file(files, path, &mut read) {
                    self.diagnostics.push(unreadable(&error, span));
                }
            }
        }
    }

    /// The folder of a module, and where a file is looked for that it names by a path.
    pub(crate) fn used_paths(
        &self,
        module: FileId,
        is_own: bool,
        path: &str,
    ) -> (String, Vec<String>) {
        let from = self.sources.path(module);
        let from = from.strip_prefix(&self.folder).unwrap_or(from);
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        if is_own {
            return (folder.to_owned(), crd_paths(folder, path));
        }
        // A dependency's paths start from its own folder, and stay in it.
        let root = from.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        let candidates = [folder, root.as_str()]
            .iter()
            .filter_map(|folder| inside(folder, path))
            .filter(|path| path.starts_with(&root))
            .collect();
        (folder.to_owned(), candidates)
    }

    /// Where the texts and CRDs may lie that a module of the project itself uses.
    pub(crate) fn used_files(&self, module: &Module) -> Vec<String> {
        let used = module.parsed.file.items.iter().filter_map(|item| {
            let ItemKind::Use(item) = &item.kind else {
                return None;
            };
            match &item.target {
                UseTarget::Text { path, .. } | UseTarget::Crd { path, .. } => Some(path),
                _ => None,
            }
        });
        used.flat_map(|path| self.used_paths(module.file, true, path).1)
            .collect()
    }

    /// The uses of CRDs in all modules.
    fn crd_uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for module in &self.modules {
            for item in &module.parsed.file.items {
                let ItemKind::Use(item) = &item.kind else {
                    continue;
                };
                if let UseTarget::Crd { path, span } = &item.target {
                    uses.push(Use {
                        module: module.file,
                        is_own: module.is_own,
                        path: path.to_string(),
                        span: *span,
                        alias: item.alias.map(|alias| alias.name.to_string()),
                    });
                }
            }
        }
        uses
    }

    /// Reads a file once; none when there is nothing in it to use.
    fn crd_file(
        &mut self,
        files: &dyn Files,
        path: &str,
        read: &mut BTreeMap<String, Option<usize>>,
    ) -> Result<Option<usize>, FilesError> {
        if let Some(known) = read.get(path) {
            return Ok(*known);
        }
        let bytes = files.read(path)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (crds, problems) = ordain_lang_crd::parse(&text);
        let file = self.sources.add(format!("{}{path}", self.folder), text);
        let problems = problems.iter().map(|problem| crd_problem(file, problem));
        self.diagnostics.extend(problems);
        let at = (!crds.is_empty()).then(|| {
            self.crds.add(CrdFile {
                file,
                path: path.into(),
                alias: None,
                crds: crds.into(),
            })
        });
        read.insert(path.to_owned(), at);
        Ok(at)
    }

    fn missing(&self, each: &Use, folder: &str, paths: &[String]) -> Diagnostic {
        let diagnostic = Diagnostic::error("E0851", format!("there is no file `{}`", each.path))
            .label(each.span, "not found");
        let yaml = paths
            .iter()
            .map(String::as_str)
            .filter(|path| path.ends_with(".yaml") || path.ends_with(".yml"));
        match nearest(&each.path, yaml) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if folder.is_empty() => {
                diagnostic.help("the path starts from the project's folder")
            }
            None => diagnostic.help(format!(
                "the path starts from `{folder}`, where this file is, or from the project's folder"
            )),
        }
    }
}

fn outside(path: &str, span: Span) -> Diagnostic {
    Diagnostic::error("E0851", format!("`{path}` leads out of the project"))
        .label(span, "this path")
        .help("copy the file into the project: a build depends on nothing else")
}

fn unreadable(error: &FilesError, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error("E0851", error.to_string()).label(span, "this file");
    match std::error::Error::source(error) {
        Some(source) => diagnostic.note(source.to_string()),
        None => diagnostic,
    }
}

/// Returns where `use crd` and `use text` look for a file that is written as `path` in a module of a folder, in order: beside the
/// module, then from the project's root. Empty when it leads out of the project.
pub fn crd_paths(folder: &str, path: &str) -> Vec<String> {
    let mut found: Vec<String> = [folder, ""]
        .iter()
        .filter_map(|folder| inside(folder, path))
        .collect();
    found.dedup();
    found
}

/// A path below a folder of the project, without `.` and `..`; none when it leads out of the project.
fn inside(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.contains(['\\', ':', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether a path is of a pattern: `*` and `?` stay inside a name, `**` stands for any folders.
fn fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern
        .split('/')
        .filter(|p| !matches!(*p, "" | "."))
        .collect();
    let path: Vec<&str> = path.split('/').collect();
    // Which first parts of the path the pattern so far covers.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            if !reached[at] {
                continue;
            }
            if part == "**" {
                next[at..].fill(true);
                break;
            }
            if at < path.len() && name_fits(part.as_bytes(), path[at].as_bytes()) {
                next[at + 1] = true;
            }
        }
        reached = next;
    }
    reached[path.len()]
}

/// Whether a name is of a pattern with `*` and `?`.
fn name_fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                // The star takes one byte more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::{fits, inside};

    #[test]
    fn paths_stay_inside() {
        assert_eq!(
            inside("apps/shop", "../crds/a.yaml").as_deref(),
            Some("apps/crds/a.yaml")
        );
        assert_eq!(inside("", "./crds//a.yaml").as_deref(), Some("crds/a.yaml"));
        for path in ["../a.yaml", "/etc/passwd", "a/../../b", "", "C:/a", "..\\a"] {
            assert_eq!(inside("", path), None, "{path}");
        }
    }

    #[test]
    fn patterns() {
        assert!(fits("crds/*.yaml", "crds/a.yaml"));
        assert!(!fits("crds/*.yaml", "crds/deep/a.yaml"));
        assert!(fits("crds/**/*.yaml", "crds/deep/er/a.yaml"));
        assert!(fits("**/*.yaml", "a.yaml"));
        assert!(fits("crds/a?.*", "crds/ab.yml"));
        assert!(!fits("crds/*", "crds"));
        assert!(!fits("*a*a*a*b", &"a".repeat(200)));
    }
}
