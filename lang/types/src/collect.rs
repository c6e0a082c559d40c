//! First look: which names each module has, and which modules it uses.

use std::collections::HashMap;

use ordain_lang_syntax::ast::{Ident, ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::{
    AppItem, Checker, EnvItem, FnItem, Global, Import, LetItem, ModuleScope, NameMap, State,
    TypeItem,
};
use crate::hir::Body;
use crate::index::Def;
use crate::input::ModuleInput;
use crate::program::{AppId, EnvId, FnId, LetId, ModuleId};
use crate::suggest::nearest;
use crate::ty::{Origin, RecordDef, Ty};

impl<'a> Checker<'a> {
    /// Takes in all modules.
    pub(crate) fn collect(&mut self, modules: &[ModuleInput<'a>]) {
        for module in modules {
            self.module_paths
                .entry(module.path)
                .or_insert(self.modules.len());
            self.modules.push(ModuleScope {
                path: module.path,
                file: module.file,
                items: NameMap::default(),
                imports: NameMap::default(),
            });
        }
        for at in 0..self.modules.len() {
            self.collect_module(at);
        }
    }

    fn collect_module(&mut self, module: usize) {
        let file = self.modules[module].file;
        let unset = Body {
            expr: self.error,
            slots: 0,
        };
        for item in &file.items {
            match &item.kind {
                ItemKind::Type(decl) => {
                    let at = self.type_items.len();
                    let doc = item.doc.as_deref();
                    self.type_items.push(TypeItem {
                        module,
                        decl,
                        doc,
                        state: State::Todo,
                        used: false,
                        used_in: Vec::new(),
                    });
                    self.declare(module, decl.name, Global::Type(at));
                }
                ItemKind::Fn(decl) => {
                    let id = FnId::new(self.fns.len());
                    self.fns.push(FnItem {
                        module,
                        decl,
                        state: State::Todo,
                        params: None,
                        ret: Ty::ERROR,
                        body: unset,
                        defaults: Vec::new(),
                        used: false,
                        used_in: Vec::new(),
                    });
                    self.declare(module, decl.name, Global::Fn(id));
                }
                ItemKind::Let(binding) => {
                    let id = LetId::new(self.lets.len());
                    self.lets.push(LetItem {
                        module,
                        name: binding.name,
                        declared: binding.ty.as_ref(),
                        value: &binding.value,
                        exported: false,
                        state: State::Todo,
                        ty: Ty::ERROR,
                        body: unset,
                        constant: None,
                        used: false,
                        used_in: Vec::new(),
                    });
                    self.declare(module, binding.name, Global::Let(id));
                }
                ItemKind::Export(export) => {
                    let id = LetId::new(self.lets.len());
                    let name = export.name.unwrap_or(Ident {
                        name: Name::new(""),
                        span: item.span,
                    });
                    self.lets.push(LetItem {
                        module,
                        name,
                        declared: export.ty.as_ref(),
                        value: &export.value,
                        exported: true,
                        state: State::Todo,
                        ty: Ty::ERROR,
                        body: unset,
                        constant: None,
                        used: false,
                        used_in: Vec::new(),
                    });
                    if let Some(name) = export.name {
                        self.declare(module, name, Global::Let(id));
                    }
                }
                ItemKind::App(decl) => self.collect_app(module, decl),
                ItemKind::Env(decl) => {
                    let id = EnvId::new(self.envs.len());
                    if let Some(other) = self.env_names.get(&decl.name.name) {
                        let first = self.envs[other.index()].decl.name.span;
                        self.defined_twice(decl.name, first, "environment");
                    } else if !decl.name.name.is_empty() {
                        self.env_names.insert(decl.name.name, id);
                    }
                    self.envs.push(EnvItem {
                        module,
                        decl,
                        chain: Vec::new(),
                    });
                }
                ItemKind::Use(item_use) => {
                    if let UseTarget::Secrets { path, span } = &item_use.target {
                        self.use_secrets(module, path, *span, item_use.alias);
                        continue;
                    }
                    if let UseTarget::Text { path, span } = &item_use.target {
                        self.use_text(module, (file.id, path), *span, item_use.alias);
                        continue;
                    }
                    let mut crd = None;
                    let (name, target, span) = match &item_use.target {
                        UseTarget::Module(path) => {
                            let dotted = path
                                .parts
                                .iter()
                                .map(|p| p.name.as_str())
                                .collect::<Vec<_>>();
                            let last = path.parts.last().copied();
                            let module_at = self.use_module(module, &dotted.join("."), path.span);
                            if let (Some(at), Some(last)) = (module_at, last) {
                                let def = Def::Module(ModuleId::new(at));
                                self.note(last.span, def, Ty::ERROR);
                                if let Some(alias) = item_use.alias {
                                    self.note_definition(alias.span, def, Ty::ERROR);
                                }
                            }
                            (item_use.alias.or(last), module_at, path.span)
                        }
                        UseTarget::Crd { path, span } => {
                            // A file that could not be read was told where it was looked for.
                            crd = self.crds.known.used(file.id, path);
                            (item_use.alias, None, *span)
                        }
                        UseTarget::Secrets { .. } | UseTarget::Text { .. } => continue,
                    };
                    let Some(name) = name.filter(|n| !n.name.is_empty()) else {
                        continue;
                    };
                    let imports = &self.modules[module].imports;
                    if let Some(first) = imports.get(&name.name).map(|i| i.span) {
                        self.defined_twice(name, first, "import");
                        continue;
                    }
                    let import = Import {
                        span,
                        module: target,
                        crd,
                        used: false,
                        used_in: Vec::new(),
                    };
                    self.modules[module].imports.insert(name.name, import);
                }
                ItemKind::Test(_) | ItemKind::Policy(_) | ItemKind::Exempt(_) | ItemKind::Error => {
                }
            }
        }
    }

    fn collect_app(&mut self, module: usize, decl: &'a ordain_lang_syntax::ast::App) {
        let id = AppId::new(self.apps.len());
        if let Some(other) = self.app_names.get(&decl.name.name) {
            let first = self.apps[other.index()].decl.name.span;
            self.defined_twice(decl.name, first, "app");
        } else if !decl.name.name.is_empty() {
            self.app_names.insert(decl.name.name, id);
        }
        let record = self.types.add_record(RecordDef {
            name: format!("app {}", decl.name.name).into(),
            origin: Origin::App,
            span: Some(decl.name.span),
            fields: Vec::new(),
            by_name: HashMap::default(),
            required: Vec::new(),
            asserts: Vec::new(),
            open: false,
            doc: None,
        });
        self.app_records.insert(record, id);
        self.apps.push(AppItem {
            module,
            decl,
            record,
            fields: Vec::new(),
        });
    }

    pub(crate) fn declare(&mut self, module: usize, name: Ident, global: Global) {
        if name.name.is_empty() {
            return;
        }
        let items = &mut self.modules[module].items;
        match items.get(&name.name).map(|(_, span)| *span) {
            Some(first) => self.defined_twice(name, first, "name"),
            None => {
                items.insert(name.name, (global, name.span));
            }
        }
    }

    fn defined_twice(&mut self, name: Ident, first: Span, what: &str) {
        self.report(
            Diagnostic::error(
                "E0103",
                format!("the {what} `{}` is defined twice", name.name),
            )
            .label(name.span, "defined again here")
            .label(first, "defined first here")
            .help("give one of them another name"),
        );
    }

    /// Finds a module by the path of a `use`: from the project's root, or beside the using module.
    fn use_module(&mut self, from: usize, path: &str, span: Span) -> Option<usize> {
        let beside = self.modules[from]
            .path
            .rsplit_once('.')
            .map(|(folder, _)| format!("{folder}.{path}"));
        let found = self.module_paths.get(path).copied();
        let found =
            found.or_else(|| beside.and_then(|b| self.module_paths.get(b.as_str()).copied()));
        if let Some(found) = found {
            return Some(found);
        }
        let near = nearest(path, self.module_paths.keys().copied());
        let file = path.replace('.', "/");
        let mut diagnostic = Diagnostic::error("E0104", format!("there is no module `{path}`"))
            .label(span, "not found");
        let bare = path.strip_suffix(".ord").map(|bare| bare.replace('/', "."));
        diagnostic = match near {
            _ if bare.is_some() => diagnostic.help(format!(
                "modules are named without `.ord` and without quotes: `use {}`",
                bare.unwrap_or_default()
            )),
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if path.starts_with("std.") => {
                let mut known: Vec<&str> = self
                    .module_paths
                    .keys()
                    .copied()
                    .filter(|p| p.starts_with("std."))
                    .collect();
                known.sort_unstable();
                match known.is_empty() {
                    true => diagnostic,
                    false => diagnostic.help(format!("std has {}", known.join(", "))),
                }
            }
            None => diagnostic.help(format!("create `{file}.ord`, or correct the name")),
        };
        self.report(diagnostic);
        None
    }
}
