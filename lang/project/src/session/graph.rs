//! Who depends on whom: modules by their uses, apps by what environments, tests and policies say of them.
//!
//! Built from the outlines and from what the checker resolved. Every answer errs on the side of "depends".

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ordain_lang_syntax::{FileId, Name, Sources};
use ordain_lang_types::Program;

use super::moved::Patch;
use super::outline::Outline;
use super::parts::Parts;
use crate::load::Project;

/// A set of positions.
pub(super) type Set = BTreeSet<usize>;

/// An app of the project.
#[derive(Clone, Copy, Debug)]
pub(super) struct AppAt {
    pub(super) name: Name,
    pub(super) module: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) outlines: Vec<Arc<Outline>>,
    /// The numbers of the modules' files.
    pub(super) files: Vec<FileId>,
    /// The modules that a module uses, and those that use it.
    uses: Vec<Vec<usize>>,
    users: Vec<Vec<usize>>,
    pub(super) apps: Vec<AppAt>,
    /// The apps of a module.
    apps_in: Vec<Vec<usize>>,
    /// The apps by name.
    by_name: HashMap<&'static str, usize>,
    pub(super) parts: Parts,
    /// The modules with environments, tests or policies.
    pub(super) whole: Vec<usize>,
    /// Whether names are unique: of modules, and of apps.
    pub(super) is_plain: bool,
}

impl Graph {
    pub(super) fn new(project: &Project, program: &Program, outlines: Vec<Arc<Outline>>) -> Graph {
        let count = outlines.len();
        let mut graph = Graph {
            uses: vec![Vec::new(); count],
            users: vec![Vec::new(); count],
            apps: Vec::new(),
            apps_in: vec![Vec::new(); count],
            by_name: HashMap::new(),
            parts: Parts::default(),
            whole: (0..count).filter(|at| outlines[*at].is_whole()).collect(),
            is_plain: true,
            files: project.modules.iter().map(|module| module.file).collect(),
            outlines,
        };
        for (at, module) in program.modules.iter().enumerate() {
            for used in &module.uses {
                graph.uses[at].push(used.index());
                graph.users[used.index()].push(at);
            }
        }
        for (module, outline) in graph.outlines.iter().enumerate() {
            for name in &outline.apps {
                let app = graph.apps.len();
                let known = *graph.by_name.entry(name.as_str()).or_insert(app);
                graph.is_plain &= known == app;
                graph.apps.push(AppAt {
                    name: *name,
                    module,
                });
                graph.apps_in[module].push(app);
            }
        }
        let mut paths: Vec<&str> = project.modules.iter().map(|m| &*m.path).collect();
        paths.sort_unstable();
        graph.is_plain &= paths.windows(2).all(|pair| pair[0] != pair[1]);
        graph.parts = Parts::of(
            &graph.outlines,
            &graph.whole,
            (&graph.by_name, graph.apps.len()),
            (&Parts::default(), &[]),
            &project.sources,
        );
        graph
    }

    pub(super) fn app(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Takes other outlines of some modules, which name the same apps and use the same modules. Gives back what there was.
    pub(super) fn take(
        &mut self,
        outlines: Vec<(usize, Arc<Outline>)>,
        patches: &[Patch],
        sources: &Sources,
    ) -> Before {
        let mut before = Vec::with_capacity(outlines.len());
        for (at, outline) in outlines {
            before.push((at, std::mem::replace(&mut self.outlines[at], outline)));
        }
        let parts = match before.is_empty() {
            true => None,
            false => {
                let apps = (&self.by_name, self.apps.len());
                let parts = Parts::of(
                    &self.outlines,
                    &self.whole,
                    apps,
                    (&self.parts, patches),
                    sources,
                );
                Some(std::mem::replace(&mut self.parts, parts))
            }
        };
        Before {
            outlines: before,
            parts,
        }
    }

    /// Takes back what there was.
    pub(super) fn restore(&mut self, before: Before) {
        for (at, outline) in before.outlines {
            self.outlines[at] = outline;
        }
        if let Some(parts) = before.parts {
            self.parts = parts;
        }
    }

    /// Whether the project makes any objects.
    pub(super) fn emits(&self) -> bool {
        !self.apps.is_empty() || self.outlines.iter().any(|outline| outline.has_exports)
    }

    /// These modules and all that use them, directly or not.
    pub(super) fn users(&self, modules: &Set) -> Set {
        closure(modules, |at| &self.users[at])
    }

    /// The apps of these modules.
    pub(super) fn apps_of(&self, modules: &Set) -> Set {
        modules
            .iter()
            .flat_map(|module| &self.apps_in[*module])
            .copied()
            .collect()
    }

    /// These apps and all whose environments' changes read one of them.
    pub(super) fn readers(&self, apps: &Set) -> Set {
        let mut all = apps.clone();
        let mut todo: Vec<usize> = apps.iter().copied().collect();
        while let Some(app) = todo.pop() {
            for op in &self.parts.ops_with[app] {
                let target = self.parts.ops[*op].target;
                if all.insert(target) {
                    todo.push(target);
                }
            }
        }
        all
    }

    /// The changes that mention one of these apps.
    pub(super) fn ops_with(&self, apps: &Set) -> Set {
        apps.iter()
            .flat_map(|app| &self.parts.ops_with[*app])
            .copied()
            .collect()
    }

    /// The modules and changes that are needed to check and to evaluate these modules' apps.
    pub(super) fn needed(&self, modules: &Set) -> (Set, Set) {
        let mut start: Set = modules.clone();
        start.extend(&self.whole);
        let mut all = Set::new();
        let mut ops = Set::new();
        while !start.is_empty() {
            let more = closure(&start, |at| &self.uses[at]);
            start = Set::new();
            for module in more {
                if !all.insert(module) {
                    continue;
                }
                for app in &self.apps_in[module] {
                    for op in &self.parts.ops_on[*app] {
                        ops.insert(*op);
                        for other in &self.parts.ops[*op].mentions {
                            let home = self.apps[*other].module;
                            if !all.contains(&home) {
                                start.insert(home);
                            }
                        }
                    }
                }
            }
        }
        (all, ops)
    }
}

/// What a graph said of some modules before it took other outlines of them.
pub(super) struct Before {
    outlines: Vec<(usize, Arc<Outline>)>,
    parts: Option<Parts>,
}

/// These and all that is reached from them.
fn closure<'g>(from: &Set, next: impl Fn(usize) -> &'g Vec<usize>) -> Set {
    let mut all = from.clone();
    let mut todo: Vec<usize> = from.iter().copied().collect();
    while let Some(at) = todo.pop() {
        for other in next(at) {
            if all.insert(*other) {
                todo.push(*other);
            }
        }
    }
    all
}
