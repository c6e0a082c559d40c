//! Type parameters: found from arguments, replaced in results.

use std::sync::Arc;

use ordain_lang_syntax::Name;
use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Record};

use super::{Op, Pm};
use crate::checker::{Checker, Global, Scope};
use crate::ty::{ListTy, Ty, TyKind};

impl<'a> Checker<'a> {
    pub(crate) fn mentions_own(&self, ty: Ty, own: &[Name], sc: &Scope) -> bool {
        !own.is_empty()
            && matches!(self.kind(ty), TyKind::Param(name) if own.contains(name) && !sc.type_args.iter().any(|(n, _)| n == name))
    }

    /// Finds type parameters: where `declared` names one, `actual` says what it is.
    pub(super) fn unify(&mut self, declared: Ty, actual: Ty, found: &mut Vec<(Name, Ty)>) {
        if actual == Ty::ERROR {
            return;
        }
        match (self.kind(declared).clone(), self.kind(actual).clone()) {
            (TyKind::Param(name), _) => match found.iter().position(|(n, _)| *n == name) {
                Some(at) => {
                    let before = found[at].1;
                    if matches!(self.fit(actual, before), crate::relate::Fit::No(_)) {
                        found[at].1 = self.join(before, actual);
                    }
                }
                None => found.push((name, actual)),
            },
            (TyKind::Optional(d), TyKind::Optional(a)) => self.unify(d, a, found),
            (TyKind::Optional(d), _) => self.unify(d, actual, found),
            (TyKind::Secret(d), TyKind::Secret(a)) => self.unify(d, a, found),
            (TyKind::List(d), TyKind::List(a)) => self.unify(d.item, a.item, found),
            (TyKind::Map(dk, dv), TyKind::Map(ak, av)) => {
                self.unify(dk, ak, found);
                self.unify(dv, av, found);
            }
            (TyKind::Map(_, dv), TyKind::Record(id)) => {
                let fields: Vec<Ty> = self.types.record(id).fields.iter().map(|f| f.ty).collect();
                for field in fields {
                    self.unify(dv, field, found);
                }
            }
            (TyKind::Fn(dp, dr), TyKind::Fn(ap, ar)) => {
                for (d, a) in dp.iter().zip(&ap) {
                    self.unify(*d, *a, found);
                }
                self.unify(dr, ar, found);
            }
            (TyKind::Record(d), TyKind::Record(a)) if d != a => {
                // Two instances of one generic type: their fields agree in place.
                let pairs: Vec<(Ty, Ty)> = self
                    .types
                    .record(d)
                    .fields
                    .iter()
                    .zip(&self.types.record(a).fields)
                    .map(|(d, a)| (d.ty, a.ty))
                    .collect();
                if self.instance_of(d).is_some() && self.instance_of(d) == self.instance_of(a) {
                    for (d, a) in pairs {
                        self.unify(d, a, found);
                    }
                }
            }
            _ => {}
        }
    }

    /// `Box { value = 1 }`: the instance of a generic type that its fields say, where nothing else does.
    pub(super) fn guessed_instance(
        &mut self,
        sc: &mut Scope,
        base: &'a Expr,
        body: &'a Record,
        hint: Option<Ty>,
    ) -> Option<Ty> {
        let Ast::Name(name) = &base.kind else {
            return None;
        };
        let (Global::Type(item), _) = *self.modules[sc.module].items.get(name)? else {
            return None;
        };
        self.note_type(item, base.span);
        let params: Vec<Name> = self.type_items[item]
            .decl
            .params
            .iter()
            .map(|param| param.name)
            .collect();
        let hint = hint.map(|ty| self.types.without_optional(ty));
        let is_hinted = self
            .instances
            .iter()
            .any(|((i, _), ty)| *i == item && Some(*ty) == hint);
        if params.is_empty() || is_hinted {
            return None;
        }
        let open: Vec<Ty> = params
            .iter()
            .map(|name| self.types.intern(TyKind::Param(*name)))
            .collect();
        let pattern = self.instance(item, &open, base.span);
        let record = self.types.as_record(pattern)?;
        // Only a look: what is wrong is told when the fields are checked.
        let (told, reported) = (self.diagnostics.len(), self.reported.clone());
        let mut found = Vec::new();
        for member in self.members(&body.members) {
            let (
                Some((field, _)),
                Pm::Field {
                    path: [_],
                    op: Op::Set(e),
                    ..
                },
            ) = (member.name(), &member)
            else {
                continue;
            };
            let Some(at) = self.types.record(record).field(field) else {
                continue;
            };
            let declared = self.types.record(record).fields[at as usize].ty;
            if self.mentions_param(declared) {
                let value = self.infer(sc, e);
                let actual = self.hir.ty(value);
                self.unify(declared, actual, &mut found);
            }
        }
        self.diagnostics.truncate(told);
        self.reported = reported;
        let args: Option<Vec<Ty>> = params
            .iter()
            .map(|name| found.iter().find(|(n, _)| n == name).map(|(_, ty)| *ty))
            .map(|ty| ty.filter(|ty| *ty != Ty::NEVER))
            .collect();
        Some(self.instance(item, &args?, base.span))
    }

    pub(crate) fn instance_of(&self, id: crate::ty::RecordId) -> Option<usize> {
        self.instances
            .iter()
            .find(|(_, ty)| matches!(self.kind(**ty), TyKind::Record(r) if *r == id))
            .map(|((item, _), _)| *item)
    }

    /// A type with its parameters replaced by what was found.
    pub(crate) fn substitute(&mut self, ty: Ty, found: &[(Name, Ty)]) -> Ty {
        if found.is_empty() {
            return ty;
        }
        match self.kind(ty).clone() {
            TyKind::Param(name) => found
                .iter()
                .find(|(n, _)| *n == name)
                .map_or(ty, |(_, ty)| *ty),
            TyKind::Optional(inner) => {
                let inner = self.substitute(inner, found);
                self.types.optional(inner)
            }
            TyKind::Secret(inner) => {
                let inner = self.substitute(inner, found);
                self.types.intern(TyKind::Secret(inner))
            }
            TyKind::List(list) => {
                let item = self.substitute(list.item, found);
                self.types.intern(TyKind::List(ListTy { item, ..list }))
            }
            TyKind::Map(key, value) => {
                let (key, value) = (self.substitute(key, found), self.substitute(value, found));
                self.types.intern(TyKind::Map(key, value))
            }
            TyKind::Union(members) => {
                let members: Vec<Ty> = members.iter().map(|m| self.substitute(*m, found)).collect();
                self.union(&members)
            }
            TyKind::Fn(params, ret) => {
                let params: Arc<[Ty]> = params.iter().map(|p| self.substitute(*p, found)).collect();
                let ret = self.substitute(ret, found);
                self.types
                    .intern(TyKind::Fn(params.iter().copied().collect(), ret))
            }
            TyKind::Record(id) => {
                let instance = self.instances.iter().find_map(|((item, args), t)| {
                    matches!(self.kind(*t), TyKind::Record(r) if *r == id)
                        .then(|| (*item, args.clone()))
                });
                match instance {
                    Some((item, args)) if !args.is_empty() => {
                        let args: Vec<Ty> =
                            args.iter().map(|a| self.substitute(*a, found)).collect();
                        let span = self.type_items[item].decl.name.span;
                        self.instance(item, &args, span)
                    }
                    _ => ty,
                }
            }
            _ => ty,
        }
    }

    /// Whether a type has parameters in it.
    pub(super) fn mentions_param(&self, ty: Ty) -> bool {
        self.mentions(ty, &|_| true)
    }

    /// Whether a type has parameters in it that are not the surrounding function's own.
    pub(crate) fn mentions_param_of(&self, ty: Ty, sc: &Scope) -> bool {
        self.mentions(ty, &|name| !sc.type_args.iter().any(|(n, _)| *n == name))
    }

    pub(crate) fn mentions(&self, ty: Ty, which: &dyn Fn(Name) -> bool) -> bool {
        match self.kind(ty) {
            TyKind::Param(name) => which(*name),
            TyKind::Optional(inner) | TyKind::Secret(inner) => self.mentions(*inner, which),
            TyKind::List(list) => self.mentions(list.item, which),
            TyKind::Map(key, value) => self.mentions(*key, which) || self.mentions(*value, which),
            TyKind::Union(members) => members.iter().any(|m| self.mentions(*m, which)),
            TyKind::Fn(params, ret) => {
                params.iter().any(|p| self.mentions(*p, which)) || self.mentions(*ret, which)
            }
            TyKind::Record(id) => self.instances.iter().any(|((_, args), t)| {
                !args.is_empty()
                    && matches!(self.kind(*t), TyKind::Record(r) if r == id)
                    && args.iter().any(|a| self.mentions(*a, which))
            }),
            _ => false,
        }
    }
}
