//! What there is to show, and the address of each thing: the one place that decides what a page and an anchor are called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ordain_lang_project::{Module, Project};
use ordain_lang_syntax::ast::{Item, ItemKind, MemberKind, Record, Segment, SegmentKind, TypeBody};
use ordain_lang_syntax::{FileId, Span};
use ordain_lang_types::index::Def;
use ordain_lang_types::ty::TyKind;
use ordain_lang_types::{Index, Program};
use ordain_schemas::{Table, TypeId};

/// A project with the addresses of everything in it.
pub(crate) struct Links<'p> {
    pub(crate) project: &'p Project,
    pub(crate) index: Index,
    pub(crate) table: &'static Table,
    program: Arc<Program>,
    /// Addresses of what is declared, by where its name (or its declaration) begins.
    declared: HashMap<(FileId, u32), String>,
    /// The Kubernetes types that have a page.
    kube: BTreeSet<TypeId>,
}

impl<'p> Links<'p> {
    pub(crate) fn new(project: &'p Project) -> Self {
        let version = project.manifest.kubernetes;
        let (program, index) = project.recorded(version);
        let mut links = Links {
            project,
            index,
            table: ordain_schemas::table(version),
            program,
            declared: HashMap::new(),
            kube: BTreeSet::new(),
        };
        for module in &project.modules {
            let page = module_page(&module.path);
            for item in &module.parsed.file.items {
                links.declare(&page, item);
            }
        }
        links.kube = links.named_types();
        links
    }

    /// The project's own modules, then the others, by their paths.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &'p Module> {
        let mut modules: Vec<&'p Module> = self.project.modules.iter().collect();
        modules.sort_by(|a, b| (!a.is_own, &a.path).cmp(&(!b.is_own, &b.path)));
        modules.into_iter()
    }

    fn declare(&mut self, page: &str, item: &Item) {
        let Some((anchor, spans)) = anchor(item) else {
            return;
        };
        let address = format!("{page}#{anchor}");
        for span in spans {
            self.declared
                .insert((span.file, span.start), address.clone());
        }
        if let ItemKind::App(app) = &item.kind {
            for (name, span) in app_fields(&app.body) {
                let address = format!("{page}#{}", field_anchor(&anchor, name));
                self.declared.insert((span.file, span.start), address);
            }
        }
        if let ItemKind::Type(decl) = &item.kind
            && let TypeBody::Record(record) = &decl.body
        {
            for field in &record.fields {
                let address = format!("{page}#{}", field_anchor(&anchor, field.name.name.as_str()));
                for span in [field.span, field.name.span] {
                    self.declared
                        .insert((span.file, span.start), address.clone());
                }
            }
        }
    }

    /// The Kubernetes types that sources name, and those that these are made of.
    fn named_types(&self) -> BTreeSet<TypeId> {
        let mut todo: Vec<TypeId> = self
            .index
            .uses()
            .iter()
            .filter_map(|used| match used.def {
                Def::Kubernetes(ty) => self.type_of(ty),
                _ => None,
            })
            .collect();
        let mut known = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if !known.insert(id) {
                continue;
            }
            let fields = self.table.ty(id).fields.iter();
            todo.extend(fields.filter_map(|field| field.shape.struct_id()));
        }
        known.retain(|id| self.table.ty(*id).is_struct());
        known
    }

    fn type_of(&self, ty: ordain_lang_types::Ty) -> Option<TypeId> {
        match self.program.types.kind(ty) {
            TyKind::Record(id) => self.table.type_named(self.index.kubernetes(*id)?),
            _ => None,
        }
    }

    /// The Kubernetes types that have a page, by name.
    pub(crate) fn kube(&self) -> BTreeMap<String, TypeId> {
        let names = self.kube.iter().map(|id| (kube_name(self.table, *id), *id));
        names.collect()
    }

    /// The address of a Kubernetes type, if it has a page.
    pub(crate) fn of_kube(&self, id: TypeId) -> Option<String> {
        let known = self.kube.contains(&id);
        known.then(|| format!("k8s/{}.html", kube_name(self.table, id)))
    }

    /// The address of what a name stands for.
    pub(crate) fn of(&self, def: Def) -> Option<String> {
        let program = &self.program;
        let at = |span: Span| self.declared.get(&(span.file, span.start)).cloned();
        match def {
            Def::Type(span) => at(span),
            Def::Fn(id) => at(program.fns[id.index()].span),
            Def::Let(id) => at(program.lets[id.index()].span),
            Def::App(id) => at(program.apps[id.index()].span),
            Def::Env(id) => at(program.envs[id.index()].span),
            Def::Module(id) => {
                let path = &program.modules[id.index()].path;
                Some(module_page(path))
            }
            Def::Kubernetes(ty) => self.of_kube(self.type_of(ty)?),
            Def::Field(record, position) => {
                let field = program.types.record(record).fields.get(position as usize)?;
                match field.span {
                    Some(span) => at(span),
                    None => {
                        let id = self.table.type_named(self.index.kubernetes(record)?)?;
                        Some(format!("{}#{}", self.of_kube(id)?, word(&field.name)))
                    }
                }
            }
            Def::Local(_) | Def::Builtin(..) => None,
        }
    }

    /// The address of an item of a module by its name, for names in prose.
    pub(crate) fn of_name(&self, module: &Module, name: &str) -> Option<String> {
        let (module, name) = match name.split_once('.') {
            None => (module, name),
            Some((front, name)) => {
                let fits =
                    |m: &&Module| m.path == front || m.path.rsplit('.').next() == Some(front);
                (self.project.modules.iter().find(fits)?, name)
            }
        };
        let items = module.parsed.file.items.iter();
        let named = items.filter(|item| name_of(item).as_deref() == Some(name));
        let (anchor, _) = named.filter_map(anchor).next()?;
        Some(format!("{}#{anchor}", module_page(&module.path)))
    }
}

/// The page of a module.
pub(crate) fn module_page(path: &str) -> String {
    format!("module/{}.html", word(path))
}

/// A text as a part of an address: everything else is escaped, so that different texts stay different.
pub(crate) fn word(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => out.push(c),
            c => out.push_str(&format!("~{:x}", u32::from(c))),
        }
    }
    out
}

/// The short, unique name of a Kubernetes type: `apps.v1.Deployment`.
pub(crate) fn kube_name(table: &Table, id: TypeId) -> String {
    let name = table.type_name(id);
    let starts = ["io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s."];
    let short = starts.iter().find_map(|start| name.strip_prefix(start));
    word(short.unwrap_or(name))
}

/// The anchor of an item, and where its name and declaration begin; none for items without a name.
pub(crate) fn anchor(item: &Item) -> Option<(String, Vec<Span>)> {
    let (kind, span) = match &item.kind {
        ItemKind::Type(decl) => ("type", decl.name.span),
        ItemKind::Fn(decl) => ("fn", decl.name.span),
        ItemKind::Let(binding) => ("let", binding.name.span),
        ItemKind::Export(export) => ("export", export.name?.span),
        ItemKind::App(app) => ("app", app.name.span),
        ItemKind::Env(env) => ("env", env.name.span),
        ItemKind::Test(test) => ("test", test.name_span),
        ItemKind::Policy(policy) => ("policy", policy.name_span),
        _ => return None,
    };
    let name = name_of(item)?;
    Some((format!("{kind}.{}", word(&name)), vec![span, item.span]))
}

/// The fields that an app itself sets, each once, with the place of their names.
pub(crate) fn app_fields(body: &Record) -> Vec<(&'static str, Span)> {
    let mut fields: Vec<(&'static str, Span)> = Vec::new();
    for member in &body.members {
        let MemberKind::Field(field) = &member.kind else {
            continue;
        };
        if let Some(Segment {
            kind: SegmentKind::Name(name),
            span,
            ..
        }) = field.path.first()
            && !fields.iter().any(|(known, _)| *known == name.as_str())
        {
            fields.push((name.as_str(), *span));
        }
    }
    fields
}

/// The anchor of a field of a type or an app.
pub(crate) fn field_anchor(anchor: &str, field: &str) -> String {
    format!("{anchor}.{}", word(field))
}

/// The name of an item.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Type(decl) => Some(decl.name.name.to_string()),
        ItemKind::Fn(decl) => Some(decl.name.name.to_string()),
        ItemKind::Let(binding) => Some(binding.name.name.to_string()),
        ItemKind::Export(export) => Some(export.name?.name.to_string()),
        ItemKind::App(app) => Some(app.name.name.to_string()),
        ItemKind::Env(env) => Some(env.name.name.to_string()),
        ItemKind::Test(test) => Some(test.name.to_string()),
        ItemKind::Policy(policy) => Some(policy.name.to_string()),
        _ => None,
    }
}
