//! The door: parsed modules in, a program and its mistakes out.

use std::collections::HashSet;
use std::sync::Arc;

use ordain_lang_syntax::ast::Ident;
use ordain_lang_syntax::{Diagnostic, FileId, ast};
use ordain_schemas::KubeVersion;

use crate::checker::{Checker, Global, ModuleScope};
use crate::index::Index;
use crate::k8s::K8s;
use crate::program::{
    App, Env, Function, ItemRef, Let, LetId, Module, ModuleId, Named, Param, Policy, Program, Test,
};

/// One parsed module.
#[derive(Clone, Copy, Debug)]
pub struct ModuleInput<'a> {
    /// Its path with dots, from the project's root: `apps.shop`; `std.web`; `DEPENDENCY.module`.
    pub path: &'a str,
    /// Its syntax tree.
    pub file: &'a ast::File,
}

/// What is checked.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// All modules of the project, the standard library and the dependencies.
    pub modules: Vec<ModuleInput<'a>>,
    /// The Kubernetes version whose types are meant.
    pub kubernetes: KubeVersion,
    /// The secrets files that `use secrets` names.
    pub secrets: Vec<crate::vault::SecretsInput>,
    /// The files that `use text` names.
    pub texts: Vec<crate::vault::TextInput>,
    /// The CRD files of the project.
    pub crds: crate::Crds,
}

/// What came out.
#[derive(Debug)]
pub struct Checked {
    /// The resolved program. Only when there is no error among the diagnostics may it be evaluated.
    pub program: Arc<Program>,
    /// Every mistake, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether the program may be evaluated.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// The checker's stack. It descends as deep as a program is nested, and from item to item; this is enough for the limits
/// that the parser and [`crate::checker::DEPTH_LIMIT`] set, whatever stack the caller has. Pages are used when touched.
const STACK: usize = 128 << 20;

/// Resolves and checks a program. Never fails: what is wrong is told in the diagnostics.
#[must_use]
pub fn check(input: &Input<'_>) -> Checked {
    on_large_stack(|| run(input, false).0)
}

/// Checks as [`check`] does, and notes what every name stands for and which types are expected, for an editor.
#[must_use]
pub fn check_recording(input: &Input<'_>) -> (Checked, Index) {
    on_large_stack(|| run(input, true))
}

fn on_large_stack<T: Send>(work: impl Fn() -> T + Sync) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("check".into())
            .stack_size(STACK);
        match thread.spawn_scoped(scope, &work) {
            Ok(running) => running
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // Without another thread, this one's stack must do.
            Err(_) => work(),
        }
    })
}

fn run(input: &Input<'_>, is_recording: bool) -> (Checked, Index) {
    let mut checker = Checker::new(K8s::new(ordain_schemas::table(input.kubernetes)));
    checker.crds.known = input.crds.clone();
    checker.index = is_recording.then(Box::default);
    checker.secrets.clone_from(&input.secrets);
    checker.texts.clone_from(&input.texts);
    checker.collect(&input.modules);
    checker.chain_envs();
    checker.declare_apps();
    checker.check_exemptions();
    checker.check_types();
    checker.check_items();
    let envs = checker.check_envs();
    let (tests, policies) = checker.check_suites();
    let exemptions = std::mem::take(&mut checker.exemptions);
    checker.check_pending();
    checker.check_cycles();
    checker.unused_imports();
    checker.unused_items();
    checker.unused_vaults();
    let index = checker.take_index();
    (
        checker.finish(input, envs, tests, policies, exemptions),
        index,
    )
}

impl Checker<'_> {
    /// Constants, functions and types that nothing names, in a program that emits something: a library's are for others.
    fn unused_items(&mut self) {
        let with_errors: HashSet<FileId> = self
            .diagnostics
            .iter()
            .filter(|d| d.is_error())
            .filter_map(|d| Some(d.span()?.file))
            .collect();
        let emits = !self.apps.is_empty() || self.lets.iter().any(|item| item.exported);
        if emits && with_errors.is_empty() {
            let lets = self
                .lets
                .iter()
                .filter(|item| !item.used && !item.exported)
                .map(|item| (item.module, item.name));
            let fns = self
                .fns
                .iter()
                .filter(|item| !item.used)
                .map(|item| (item.module, item.decl.name));
            let types = self
                .type_items
                .iter()
                .filter(|item| !item.used)
                .map(|item| (item.module, item.decl.name));
            let unused: Vec<(usize, Ident)> = lets.chain(fns).chain(types).collect();
            for (module, name) in unused {
                let is_library = self.modules[module].path.starts_with("std.");
                if is_library || name.name.is_empty() || name.name.starts_with('_') {
                    continue;
                }
                self.report(
                    Diagnostic::warning("W0102", format!("nothing uses `{}`", name.name))
                        .label(name.span, "named here")
                        .help(format!("remove it, or call it `_{}`", name.name)),
                );
            }
        }
        // What could not be read may have used a name.
        self.diagnostics.retain(|d| {
            d.code != "W0102"
                || d.span()
                    .is_none_or(|span| !with_errors.contains(&span.file))
        });
    }

    fn unused_imports(&mut self) {
        for at in 0..self.modules.len() {
            // What the library itself imports is not the user's business.
            if self.modules[at].path.starts_with("std.") {
                continue;
            }
            let mut unused: Vec<_> = self.modules[at]
                .imports
                .iter()
                .filter(|(name, import)| {
                    !import.used
                        && (import.module.is_some() || import.crd.is_some())
                        && !name.starts_with('_')
                })
                .map(|(name, import)| (import.span, *name))
                .collect();
            unused.sort_by_key(|(span, _)| *span);
            for (span, name) in unused {
                self.report(
                    Diagnostic::warning("W0101", format!("nothing uses the import `{name}`"))
                        .label(span, "imported here")
                        .help("remove it"),
                );
            }
        }
    }

    fn finish(
        self,
        input: &Input<'_>,
        envs: Vec<Env>,
        tests: Vec<Test>,
        policies: Vec<Policy>,
        exemptions: Vec<crate::program::Exemption>,
    ) -> Checked {
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|d| d.span());
        let exports = |module: usize| -> Vec<LetId> {
            let mine = |(_, item): &(usize, &crate::checker::LetItem<'_>)| {
                item.module == module && item.exported
            };
            self.lets
                .iter()
                .enumerate()
                .filter(mine)
                .map(|(at, _)| LetId::new(at))
                .collect()
        };
        let uses = |module: &ModuleScope<'_>| {
            let mut used: Vec<ModuleId> = module
                .imports
                .values()
                .filter_map(|import| import.module.map(ModuleId::new))
                .collect();
            used.sort_unstable();
            used.dedup();
            used
        };
        let modules = self.modules.iter().enumerate().map(|(at, module)| {
            let items = module.items.iter().filter_map(|(name, (global, _))| {
                let item = match global {
                    Global::Type(item) => ItemRef::Type(*self.instances.get(&(*item, Vec::new()))?),
                    Global::Fn(id) => ItemRef::Fn(*id),
                    Global::Let(id) => ItemRef::Let(*id),
                    Global::App(id) => ItemRef::App(*id),
                };
                Some((*name, item))
            });
            Module {
                path: module.path.into(),
                file: module.file.id,
                uses: uses(module),
                exports: exports(at),
                items: items.collect(),
            }
        });
        let fns = self.fns.iter().map(|item| {
            let tys = item.params.iter().flat_map(|p| p.iter().copied());
            let defaults = item.defaults.iter().copied().chain(std::iter::repeat(None));
            let params = item.decl.params.iter().zip(tys).zip(defaults);
            Function {
                name: item.decl.name.name,
                span: item.decl.name.span,
                params: params
                    .map(|((param, ty), default)| Param {
                        name: param.name.name,
                        ty,
                        default,
                    })
                    .collect(),
                ret: item.ret,
                body: item.body,
            }
        });
        let lets = self.lets.iter().map(|item| Let {
            name: item.name.name,
            span: item.name.span,
            ty: item.ty,
            body: item.body,
        });
        let apps = self.apps.iter().map(|item| App {
            name: item.decl.name.name,
            span: item.decl.name.span,
            module: ModuleId::new(item.module),
            record: item.record,
            objects: self.types.record(item.record).field("objects".into()),
        });
        let of_fns = self.fns.iter().map(|f| (&f.used_in, f.decl.name.span));
        let of_lets = self.lets.iter().map(|l| (&l.used_in, l.name.span));
        let of_types = self.type_items.iter();
        let of_types = of_types.map(|t| (&t.used_in, t.decl.name.span));
        let of_vaults = self.vaults.iter();
        let of_vaults = of_vaults.map(|(id, at)| (&self.lets[id.index()].used_in, *at));
        let of_imports = self.modules.iter().flat_map(|module| {
            let file = module.file.id;
            let imports = module.imports.values();
            imports.flat_map(move |import| {
                let parts = import.used_in.iter();
                parts.map(move |part| (file, *part, import.span))
            })
        });
        let mut named: Vec<Named> = of_fns
            .chain(of_lets)
            .chain(of_types)
            .chain(of_vaults)
            .flat_map(|(users, name)| users.iter().map(move |(file, part)| (*file, *part, name)))
            .chain(of_imports)
            .map(|(file, part, declared)| Named {
                file,
                part,
                declared,
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        let type_names = self.type_items.iter().map(|t| t.decl.name.span);
        let program = Program {
            named,
            type_names: type_names.collect(),
            modules: modules.collect(),
            fns: fns.collect(),
            lets: lets.collect(),
            apps: apps.collect(),
            envs,
            tests,
            policies,
            exemptions,
            kubernetes: input.kubernetes.to_string().into(),
            crds: self.crds.known,
            types: self.types,
            hir: self.hir,
        };
        Checked {
            program: Arc::new(program),
            diagnostics,
        }
    }
}
