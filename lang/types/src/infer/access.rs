//! Looking into values: fields, elements, and properties of scalars.

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Ident, Selector};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::name::dotted;
use crate::builtin::Builtin;
use crate::checker::{Checker, Global, Scope};
use crate::hir::{ExprId, ExprKind, Step};
use crate::index::Def;
use crate::program::ModuleId;
use crate::resolve::with_near;
use crate::suggest::nearest;
use crate::ty::{Format, Ty, TyKind};

/// What an image reference has.
const IMAGE_PARTS: [&str; 4] = ["registry", "repository", "tag", "digest"];

impl<'a> Checker<'a> {
    /// `base.name`.
    pub(super) fn field_expr(
        &mut self,
        sc: &mut Scope,
        base: &'a Expr,
        name: Ident,
        span: Span,
    ) -> ExprId {
        if name.name.is_empty() {
            self.infer(sc, base);
            return self.error;
        }
        if let Some(id) = self.module_member(sc, base, name, span) {
            return id;
        }
        let base_id = self.infer(sc, base);
        if self.hides_module(sc, base, name, base_id) {
            return self.error;
        }
        let id = self.field_of(base_id, name, span);
        self.narrowed(sc, id, || {
            dotted(base).map_or_else(String::new, |base| format!("{base}.{}", name.name))
        })
    }

    /// `module.name`, `k8s.Name`: a member of a namespace as a value; none when the base is a value.
    fn module_member(
        &mut self,
        sc: &mut Scope,
        base: &'a Expr,
        name: Ident,
        span: Span,
    ) -> Option<ExprId> {
        let Ast::Name(first) = &base.kind else {
            return None;
        };
        let shadowed = sc.locals.iter().any(|l| l.name == *first)
            || sc
                .self_record
                .is_some_and(|r| self.types.record(r).field(*first).is_some())
            || self.modules[sc.module].items.contains_key(first);
        if shadowed {
            return None;
        }
        if *first == "k8s" {
            let ty = self.k8s_named(&[name.name.as_str()], span);
            if ty != Ty::ERROR {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0111", format!("the type `{shown}` is no value"))
                        .label(span, "here")
                        .help(format!("make a value of it: `{shown} {{ … }}`")),
                );
            }
            return Some(self.error);
        }
        let part = self.part_at(span);
        let import = self.modules[sc.module].imports.get_mut(first)?;
        import.note(part);
        if let Some(file) = import.crd {
            let ty = self.crd_named(file, &[name], span);
            if ty != Ty::ERROR {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0111", format!("the type `{shown}` is no value"))
                        .label(span, "here")
                        .help(format!("make a value of it: `{shown} {{ … }}`")),
                );
            }
            return Some(self.error);
        }
        let Some(module) = import.module else {
            return Some(self.error);
        };
        let def = Def::Module(ModuleId::new(module));
        self.note(base.span, def, Ty::ERROR);
        match self.modules[module].items.get(&name.name).copied() {
            Some((global, _)) => Some(self.global(sc, global, name.name, span)),
            None => {
                self.no_member(module, name);
                Some(self.error)
            }
        }
    }

    /// Reports a name that a module does not have.
    pub(super) fn no_member(&mut self, module: usize, name: Ident) {
        let path = self.modules[module].path;
        let mut candidates: Vec<&str> = self.modules[module]
            .items
            .keys()
            .map(|n| n.as_str())
            .collect();
        candidates.sort_unstable();
        let near = nearest(name.name.as_str(), candidates);
        let diagnostic =
            Diagnostic::error("E0101", format!("module `{path}` has no `{}`", name.name))
                .label(name.span, "not found");
        self.report(with_near(diagnostic, near));
    }

    /// A field of a value.
    pub(super) fn field_of(&mut self, base: ExprId, name: Ident, span: Span) -> ExprId {
        let base_ty = self.hir.ty(base);
        let plain = self.types.without_optional(base_ty);
        let absent = plain != base_ty;
        let (kind, ty) = match self.kind(plain).clone() {
            TyKind::Error => return self.error,
            TyKind::Record(id) => match self.types.record(id).field(name.name) {
                Some(at) => {
                    let ty = self.field_ty(id, at, name.span);
                    self.note(name.span, Def::Field(id, at), ty);
                    (ExprKind::Field(base, at), ty)
                }
                None => {
                    self.unknown_field(id, name.name, name.span);
                    return self.error;
                }
            },
            TyKind::Any => (ExprKind::DynField(base, name.name), Ty::ANY),
            TyKind::Object => {
                let ty = match name.name.as_str() {
                    "apiVersion" | "kind" => Ty::STRING,
                    "metadata" => self
                        .k8s
                        .resolve(&mut self.types, &mut self.hir, &["ObjectMeta"])
                        .unwrap_or(Ty::ANY),
                    _ => Ty::ANY,
                };
                (ExprKind::DynField(base, name.name), ty)
            }
            TyKind::Map(key, value) => {
                let key_id = self.add(
                    ExprKind::Str(std::sync::Arc::from(name.name.as_str())),
                    Ty::STRING,
                    name.span,
                );
                let key_id = self.coerce(key_id, super::Want::new(key));
                let ty = self.types.optional(value);
                (ExprKind::MapGet(base, key_id), ty)
            }
            TyKind::String(rule) if rule.format == Some(Format::Image) => {
                let (part, ty) = match name.name.as_str() {
                    "registry" => (Builtin::ImageRegistry, self.types.optional(Ty::STRING)),
                    "repository" => (Builtin::ImageRepository, Ty::STRING),
                    "tag" => (Builtin::ImageTag, self.types.optional(Ty::STRING)),
                    "digest" => (Builtin::ImageDigest, self.types.optional(Ty::STRING)),
                    _ => return self.no_field(plain, name, &IMAGE_PARTS),
                };
                (ExprKind::Builtin(part, Box::new([base])), ty)
            }
            TyKind::Union(members) => {
                let mut ty = Ty::NEVER;
                for member in members {
                    let field = match self.kind(member).clone() {
                        TyKind::Record(id) => match self.types.record(id).field(name.name) {
                            Some(at) => {
                                let ty = self.field_ty(id, at, name.span);
                                self.note(name.span, Def::Field(id, at), ty);
                                ty
                            }
                            None => return self.no_field(member, name, &[]),
                        },
                        TyKind::Any => Ty::ANY,
                        _ => return self.no_field(member, name, &[]),
                    };
                    ty = self.join(ty, field);
                }
                (ExprKind::DynField(base, name.name), ty)
            }
            TyKind::Secret(_) => {
                self.report(
                    Diagnostic::error("E0207", "a secret cannot be looked into")
                        .label(span, "this would make a part of it plain")
                        .help("make the part a secret of its own"),
                );
                return self.error;
            }
            _ => return self.no_field(plain, name, &[]),
        };
        let ty = if absent { self.types.optional(ty) } else { ty };
        self.add(kind, ty, span)
    }

    fn no_field(&mut self, ty: Ty, name: Ident, known: &[&'static str]) -> ExprId {
        let shown = self.show(ty);
        let mut diagnostic =
            Diagnostic::error("E0201", format!("`{shown}` has no field `{}`", name.name))
                .label(name.span, "unknown field");
        if matches!(self.kind(ty), TyKind::List(_)) {
            diagnostic =
                diagnostic.help("choose an element first: `[0]`, or go through it: `[for x in …]`");
        } else if super::method::exists(self.kind(ty), name.name.as_str()) {
            diagnostic = diagnostic.help(format!("call it: `.{}()`", name.name));
        } else if let Some(near) = super::method::nearest_of(self.kind(ty), name.name.as_str())
            && nearest(name.name.as_str(), known.iter().copied()).is_none()
        {
            diagnostic = diagnostic.help(format!("did you mean `.{near}()`?"));
        }
        self.report(with_near(
            diagnostic,
            nearest(name.name.as_str(), known.iter().copied()),
        ));
        self.error
    }

    /// `base[…]`.
    pub(super) fn index_expr(
        &mut self,
        sc: &mut Scope,
        base: &'a Expr,
        selector: &'a Selector,
        span: Span,
    ) -> ExprId {
        let base_id = self.infer(sc, base);
        let base_ty = self.hir.ty(base_id);
        let plain = self.types.without_optional(base_ty);
        let inside = Span {
            start: base.span.end,
            ..span
        };
        let Some((step, ty, _)) = self.select(sc, plain, selector, inside) else {
            return self.error;
        };
        let absent = plain != base_ty;
        let (kind, ty) = match step {
            Step::MapKey(key) => (ExprKind::MapGet(base_id, key), self.types.optional(ty)),
            Step::Index(index) if plain == Ty::ANY => (ExprKind::MapGet(base_id, index), ty),
            Step::Index(index) => (ExprKind::Index(base_id, index), ty),
            Step::ListKey(key) => (
                ExprKind::Lookup(base_id, Box::new(key)),
                self.types.optional(ty),
            ),
            Step::Object(key) => (ExprKind::Object(base_id, Box::new(key)), ty),
            Step::Field(..) => return self.error,
        };
        let ty = if absent { self.types.optional(ty) } else { ty };
        self.add(kind, ty, span)
    }

    /// A global that a callee names: a function of this module or of an imported one.
    pub(super) fn callee_fn(
        &mut self,
        sc: &mut Scope,
        callee: &'a Expr,
    ) -> Option<crate::program::FnId> {
        match &callee.kind {
            Ast::Name(name) => {
                if self.is_value(sc, *name) {
                    return None;
                }
                match self.modules[sc.module].items.get(name) {
                    Some((Global::Fn(id), _)) => {
                        let id = *id;
                        self.note(callee.span, Def::Fn(id), Ty::ERROR);
                        Some(id)
                    }
                    _ => None,
                }
            }
            Ast::Field { base, name, .. } => {
                let Ast::Name(first) = &base.kind else {
                    return None;
                };
                if self.is_value(sc, *first) || self.modules[sc.module].items.contains_key(first) {
                    return None;
                }
                let part = self.part_at(base.span);
                let import = self.modules[sc.module].imports.get_mut(first)?;
                import.note(part);
                let module = import.module?;
                let def = Def::Module(ModuleId::new(module));
                self.note(base.span, def, Ty::ERROR);
                match self.modules[module].items.get(&name.name).copied() {
                    Some((Global::Fn(id), _)) => {
                        self.note(name.span, Def::Fn(id), Ty::ERROR);
                        Some(id)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a name is a local or a field of the surrounding record.
    fn is_value(&self, sc: &Scope, name: Name) -> bool {
        sc.locals.iter().any(|l| l.name == name)
            || sc
                .self_record
                .is_some_and(|r| self.types.record(r).field(name).is_some())
    }
}
