//! Names in expressions: locals, fields of the surrounding record, the module's items, imports, built-ins.

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Ident};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::{Checker, Global, ModuleScope, Scope};
use crate::graph::Node;
use crate::hir::{ExprId, ExprKind};
use crate::index::Def;
use crate::program::ModuleId;
use crate::suggest::nearest;
use crate::ty::{Literal, Ty, TyKind};

/// Functions that are always there.
pub(super) const FUNCTIONS: [&str; 4] = ["min", "max", "quantity", "fail"];

impl<'a> Checker<'a> {
    /// A name as a value. What is expected helps with a name that stands for nothing.
    pub(super) fn name(
        &mut self,
        sc: &mut Scope,
        name: Name,
        want: Option<Ty>,
        span: Span,
    ) -> ExprId {
        if name.is_empty() {
            return self.error;
        }
        if let Some((slot, ty)) = sc.local(name) {
            if let Some(local) = sc.locals.iter().rev().find(|l| l.name == name) {
                self.note(span, Def::Local(local.span), ty);
            }
            let id = self.add(ExprKind::Local(slot), ty, span);
            return self.narrowed(sc, id, || name.to_string());
        }
        if let Some(record) = sc.self_record
            && let Some(at) = self.types.record(record).field(name)
        {
            let ty = self.field_ty(record, at, span);
            self.note(span, Def::Field(record, at), ty);
            let id = self.add(ExprKind::SelfField(at), ty, span);
            return self.narrowed(sc, id, || name.to_string());
        }
        if let Some((global, _)) = self.modules[sc.module].items.get(&name).copied() {
            return self.global(sc, global, name, span);
        }
        if sc.whole && name == "objects" {
            let ty = self.types.list(Ty::OBJECT);
            return self.add(ExprKind::Objects, ty, span);
        }
        if let Some(&app) = self.app_names.get(&name)
            && (sc.whole || !self.modules[sc.module].imports.contains_key(&name))
        {
            return self.global(sc, Global::App(app), name, span);
        }
        let part = self.part_at(span);
        if let Some(import) = self.modules[sc.module].imports.get_mut(&name) {
            import.note(part);
            if import.crd.is_some() {
                self.not_a_value(
                    &format!("CRD `{name}`"),
                    span,
                    &format!("pick a kind from it: `{name}.Kind {{ … }}`"),
                );
                return self.error;
            }
            if let Some(at) = import.module {
                self.note(span, Def::Module(ModuleId::new(at)), Ty::ERROR);
                self.not_a_value(
                    &format!("module `{name}`"),
                    span,
                    "pick something from it: `module.name`",
                );
            }
            return self.error;
        }
        if name == "k8s" {
            self.not_a_value(
                "namespace `k8s`",
                span,
                "pick a type from it: `k8s.Deployment { … }`",
            );
            return self.error;
        }
        self.unknown_name(sc, name, want, span);
        self.error
    }

    /// The text in quotes that a word was meant to be, where texts are expected: the member of an enum that it is or is
    /// nearly, or the word itself.
    fn as_text(&self, word: &str, want: Ty) -> Option<String> {
        match self.kind(self.types.without_extra(self.types.without_optional(want))) {
            TyKind::String(_) | TyKind::IntOrString => Some(format!("{word:?}")),
            TyKind::Enum(names) => {
                let near = nearest(word, names.iter().map(|name| name.as_str()));
                near.map(|name| format!("{name:?}"))
            }
            TyKind::Literal(Literal::Str(text)) => {
                nearest(word, [text.as_str()]).map(|text| format!("{text:?}"))
            }
            TyKind::Union(options) => {
                let mut texts = options.iter().filter_map(|one| self.as_text(word, *one));
                texts.next()
            }
            _ => None,
        }
    }

    fn not_a_value(&mut self, what: &str, span: Span, help: &str) {
        self.report(
            Diagnostic::error("E0111", format!("the {what} is no value"))
                .label(span, "here")
                .help(help),
        );
    }

    /// A module's item as a value.
    pub(super) fn global(
        &mut self,
        sc: &mut Scope,
        global: Global,
        name: Name,
        span: Span,
    ) -> ExprId {
        match global {
            Global::Let(id) => {
                self.graph.edge(sc.owner, Node::Let(id), span);
                self.used_vaults.insert(id);
                let ty = self.let_ty(id, span);
                self.note(end_of(span, name), Def::Let(id), ty);
                self.add(ExprKind::Let(id), ty, span)
            }
            Global::Fn(id) => {
                self.graph.edge(sc.owner, Node::Fn(id), span);
                let params = self.fn_params(id);
                let ret = self.fn_ret(id, span);
                let ty = self
                    .types
                    .intern(TyKind::Fn(params.iter().copied().collect(), ret));
                self.note(end_of(span, name), Def::Fn(id), ty);
                self.add(ExprKind::Fn(id), ty, span)
            }
            Global::App(id) => {
                if !sc.whole {
                    self.report(
                        Diagnostic::error("E0111", format!("the app `{name}` cannot be read here"))
                            .label(span, "an app")
                            .help("share a constant or a function between apps instead"),
                    );
                    return self.error;
                }
                let record = self.apps[id.index()].record;
                let ty = self.types.intern(TyKind::Record(record));
                self.note(end_of(span, name), Def::App(id), ty);
                self.add(ExprKind::App(id), ty, span)
            }
            Global::Type(_) => {
                let help = format!("make a value of it: `{name} {{ … }}`");
                self.not_a_value(&format!("type `{name}`"), span, &help);
                self.error
            }
        }
    }

    fn unknown_name(&mut self, sc: &Scope, name: Name, want: Option<Ty>, span: Span) {
        let mut candidates: Vec<&str> = sc.locals.iter().map(|l| l.name.as_str()).collect();
        if let Some(record) = sc.self_record {
            candidates.extend(
                self.types
                    .record(record)
                    .fields
                    .iter()
                    .map(|f| f.name.as_str()),
            );
        }
        let module = &self.modules[sc.module];
        candidates.extend(module.items.keys().map(|n| n.as_str()));
        candidates.extend(module.imports.keys().map(|n| n.as_str()));
        candidates.extend(FUNCTIONS);
        candidates.push("k8s");
        if sc.whole {
            candidates.extend(self.app_names.keys().map(|n| n.as_str()));
            candidates.push("objects");
        }
        candidates.sort_unstable();
        let near = nearest(name.as_str(), candidates);
        let diagnostic = Diagnostic::error("E0101", format!("there is no `{name}` here"))
            .label(span, "not found");
        let help = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => self.somewhere_else(name),
        };
        // A module of exactly this name is nearer than a name that resembles it.
        let help = self.standard_module(name.as_str()).or(help);
        let text = want.and_then(|want| self.as_text(name.as_str(), want));
        let help = match (help, text) {
            (help, None) => help,
            (None, Some(text)) => Some(format!("write `{text}` for a text")),
            (Some(help), Some(text)) if help.ends_with('?') => {
                Some(format!("{help} Or write `{text}` for a text"))
            }
            (Some(help), Some(text)) => Some(format!("{help}; or write `{text}` for a text")),
        };
        self.report(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    /// How to reach what another module, or Kubernetes, calls by a name.
    fn somewhere_else(&self, name: Name) -> Option<String> {
        let has_it = |module: &&ModuleScope<'_>| {
            matches!(
                module.items.get(&name),
                Some((Global::Fn(_) | Global::Let(_) | Global::Type(_), _))
            )
        };
        let is_it =
            |module: &&ModuleScope<'_>| module.path.rsplit('.').next() == Some(name.as_str());
        if let Some(elsewhere) = self.modules.iter().find(has_it) {
            return Some(format!("`{}` has one: add `use {0}`", elsewhere.path));
        }
        if let Some(module) = self.modules.iter().find(is_it) {
            return Some(format!("add `use {}`", module.path));
        }
        if let Some(help) = self.standard_module(name.as_str()) {
            return Some(help);
        }
        let kind = self.k8s.kind(name.as_str());
        kind.map(|_| format!("write `k8s.{name}`"))
    }

    /// The type that an expression names (`Shop`, `k8s.Deployment`, `web.Service`); none when it is a value. Reports
    /// unknown names of namespaces.
    pub(super) fn expr_type(
        &mut self,
        sc: &mut Scope,
        e: &'a Expr,
        hint: Option<Ty>,
    ) -> Option<Ty> {
        let mut parts: Vec<Ident> = Vec::new();
        let mut at = e;
        loop {
            match &at.kind {
                Ast::Name(name) => {
                    parts.push(Ident {
                        name: *name,
                        span: at.span,
                    });
                    break;
                }
                Ast::Field { base, name, .. } => {
                    parts.push(*name);
                    at = base;
                }
                _ => return None,
            }
        }
        parts.reverse();
        let first = parts[0];
        if sc.locals.iter().any(|l| l.name == first.name) {
            return None;
        }
        if let Some(record) = sc.self_record
            && self.types.record(record).field(first.name).is_some()
        {
            return None;
        }
        if first.name == "k8s" && parts.len() > 1 {
            let names: Vec<&str> = parts[1..].iter().map(|p| p.name.as_str()).collect();
            let ty = self.k8s_named(&names, e.span);
            if let (Some(last), true) = (parts.last(), ty != Ty::ERROR) {
                self.note(last.span, Def::Kubernetes(ty), ty);
            }
            return Some(ty);
        }
        if let Some(file) = self.crd_import(sc.module, &parts) {
            return Some(self.crd_named(file, &parts[1..], e.span));
        }
        if parts.len() == 1
            && let Some((_, ty)) = sc.type_args.iter().rev().find(|(n, _)| *n == first.name)
        {
            return Some(*ty);
        }
        if parts.len() > 2 {
            return None;
        }
        let known_value = parts.len() == 1
            && !matches!(
                self.modules[sc.module].items.get(&first.name),
                None | Some((Global::Type(_), _))
            );
        if known_value {
            return None;
        }
        if let Some(item) = self.find_type(sc.module, &parts) {
            let wanted = self.type_items[item].decl.params.len();
            if wanted == 0 {
                return Some(self.instance(item, &[], e.span));
            }
            return Some(self.generic_by_hint(item, hint, e.span));
        }
        if parts.len() == 1
            && first.name.starts_with(|c: char| c.is_ascii_uppercase())
            && !self.modules[sc.module].imports.contains_key(&first.name)
        {
            let sc_types = sc.types();
            return Some(self.named_type(&sc_types, &parts, e.span));
        }
        None
    }

    /// The instance of a generic type that the expected type is.
    fn generic_by_hint(&mut self, item: usize, hint: Option<Ty>, span: Span) -> Ty {
        let hint = hint.map(|ty| self.types.without_optional(ty));
        let known = self
            .instances
            .iter()
            .find(|((i, _), ty)| *i == item && Some(**ty) == hint);
        if let Some((_, ty)) = known {
            return *ty;
        }
        let name = self.type_items[item].decl.name.name;
        self.report(
            Diagnostic::error(
                "E0222",
                format!("the type arguments of `{name}` are not known here"),
            )
            .label(span, "which one?")
            .help("give the value a type, as in `let x: Type<Int> = …`"),
        );
        Ty::ERROR
    }

    /// A value without its optional type, where a condition has said that it is there.
    pub(super) fn narrowed(&mut self, sc: &Scope, id: ExprId, text: impl Fn() -> String) -> ExprId {
        if sc.present.is_empty() {
            return id;
        }
        let TyKind::Optional(inner) = *self.kind(self.hir.ty(id)) else {
            return id;
        };
        let text = text();
        if !sc.present.contains(&text) {
            return id;
        }
        let kind = self.hir.kind(id).clone();
        let span = self.hir.span(id);
        self.add(kind, inner, span)
    }
}

/// The place of the name at the end of `module.name`.
fn end_of(span: Span, name: Name) -> Span {
    let len = u32::try_from(name.as_str().len()).unwrap_or(0);
    Span {
        start: span.end.saturating_sub(len).max(span.start),
        ..span
    }
}

/// An expression as written, when it is a name with fields: what conditions can say something about.
pub(super) fn dotted(e: &Expr) -> Option<String> {
    match &e.kind {
        Ast::Name(name) => Some(name.to_string()),
        Ast::Field { base, name, .. } => Some(format!("{}.{}", dotted(base)?, name.name)),
        _ => None,
    }
}
