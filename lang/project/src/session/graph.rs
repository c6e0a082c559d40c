//! Who depends on whom: modules by their uses, apps by what environments, tests and policies say of them.
//!
//! Built from the outlines and from what the checker resolved. Every answer errs on the side of "depends".

use std::collections::{BTreeSet, HashMap};

use ordain_lang_syntax::{FileId, Name, Span};
use ordain_lang_types::Program;

use super::outline::{Outline, words};
use crate::load::Project;

/// A set of positions.
pub(super) type Set = BTreeSet<usize>;

/// An app of the project.
#[derive(Clone, Copy, Debug)]
pub(super) struct AppAt {
    pub(super) name: Name,
    pub(super) module: usize,
}

/// A change that an environment makes to an app.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) module: usize,
    /// Position of the environment among the module's items.
    pub(super) item: usize,
    /// Position among its members.
    pub(super) member: usize,
    pub(super) target: usize,
    /// The apps whose names are in its text, the target among them.
    pub(super) mentions: Vec<usize>,
    pub(super) span: Span,
}

/// A test or a policy.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) module: usize,
    pub(super) item: usize,
    pub(super) mentions: Vec<usize>,
    pub(super) span: Span,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) outlines: Vec<Outline>,
    /// The numbers of the modules' files.
    pub(super) files: Vec<FileId>,
    /// The modules that a module uses, and those that use it.
    uses: Vec<Vec<usize>>,
    users: Vec<Vec<usize>>,
    pub(super) apps: Vec<AppAt>,
    /// The apps of a module.
    apps_in: Vec<Vec<usize>>,
    pub(super) ops: Vec<Op>,
    /// What else an environment (by module and item) has: positions among its members.
    pub(super) frames: HashMap<(usize, usize), Vec<usize>>,
    /// The changes that mention an app.
    ops_with: Vec<Vec<usize>>,
    /// The changes of an app.
    ops_on: Vec<Vec<usize>>,
    pub(super) suites: Vec<Suite>,
    /// The modules with environments, tests or policies.
    pub(super) whole: Vec<usize>,
    /// Whether names are unique: of modules, and of apps.
    pub(super) is_plain: bool,
}

impl Graph {
    pub(super) fn new(project: &Project, program: &Program, outlines: Vec<Outline>) -> Graph {
        let count = outlines.len();
        let mut graph = Graph {
            uses: vec![Vec::new(); count],
            users: vec![Vec::new(); count],
            apps: Vec::new(),
            apps_in: vec![Vec::new(); count],
            ops: Vec::new(),
            frames: HashMap::new(),
            ops_with: Vec::new(),
            ops_on: Vec::new(),
            suites: Vec::new(),
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
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (module, outline) in graph.outlines.iter().enumerate() {
            for name in &outline.apps {
                let app = graph.apps.len();
                graph.is_plain &= by_name.insert(name.as_str(), app).is_none();
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
        let mentions = |span: Span| -> Vec<usize> {
            let mut found: Vec<usize> = words(project.sources.slice(span))
                .filter_map(|word| by_name.get(word).copied())
                .collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        for &module in &graph.whole {
            let outline = &graph.outlines[module];
            for env in &outline.envs {
                let mut frame: Vec<usize> = env.others.clone();
                for op in &env.ops {
                    let Some(&target) = by_name.get(op.target.as_str()) else {
                        frame.push(op.member);
                        continue;
                    };
                    let mut mentions = mentions(op.span);
                    if !mentions.contains(&target) {
                        mentions.push(target);
                    }
                    graph.ops.push(Op {
                        module,
                        item: env.item,
                        member: op.member,
                        target,
                        mentions,
                        span: op.span,
                    });
                }
                graph.frames.insert((module, env.item), frame);
            }
            for suite in &outline.suites {
                graph.suites.push(Suite {
                    module,
                    item: suite.item,
                    mentions: mentions(suite.span),
                    span: suite.span,
                });
            }
        }
        graph.ops_with = vec![Vec::new(); graph.apps.len()];
        graph.ops_on = vec![Vec::new(); graph.apps.len()];
        for (at, op) in graph.ops.iter().enumerate() {
            graph.ops_on[op.target].push(at);
            for app in &op.mentions {
                graph.ops_with[*app].push(at);
            }
        }
        graph
    }

    pub(super) fn app(&self, name: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.name == *name)
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
            for op in &self.ops_with[app] {
                let target = self.ops[*op].target;
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
            .flat_map(|app| &self.ops_with[*app])
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
                    for op in &self.ops_on[*app] {
                        ops.insert(*op);
                        for other in &self.ops[*op].mentions {
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
