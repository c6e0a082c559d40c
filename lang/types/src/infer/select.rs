//! Brackets: which element of a list, a map or a list of objects they name.

use ordain_lang_syntax::ast::{Expr, Selector};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::{Rule, Want};
use crate::checker::{Checker, Scope};
use crate::hir::{ExprId, ListKey, ObjectKey, Step};
use crate::relate::Fit;
use crate::ty::{ListTy, Ty, TyKind};

impl<'a> Checker<'a> {
    /// The element of a list or map that brackets name: the step, the element's type, and the key when it is constant.
    pub(super) fn select(
        &mut self,
        sc: &mut Scope,
        ty: Ty,
        selector: &'a Selector,
        span: Span,
    ) -> Option<(Step, Ty, Option<String>)> {
        match (selector, self.kind(ty).clone()) {
            (_, TyKind::Error) => None,
            (Selector::Key(e), TyKind::Map(key, value)) => {
                let id = self.check(sc, e, Want::new(key));
                let constant = self.constant(id).map(|c| c.show());
                Some((Step::MapKey(id), value, constant))
            }
            (Selector::Key(e), TyKind::Any) => {
                let id = self.infer(sc, e);
                let constant = self.constant(id).map(|c| c.show());
                let step = match self.kind(self.hir.ty(id)) {
                    TyKind::Int(_) => Step::Index(id),
                    _ => Step::MapKey(id),
                };
                Some((step, Ty::ANY, constant))
            }
            (Selector::Key(e), TyKind::List(list)) => {
                let id = self.infer(sc, e);
                if self.hir.ty(id) == Ty::ERROR {
                    return None;
                }
                let constant = self.constant(id).map(|c| c.show());
                match self.list_key(&list, id, span)? {
                    Some(key) => Some((Step::ListKey(key), list.item, constant)),
                    None => Some((Step::Index(id), list.item, constant)),
                }
            }
            (Selector::Object { kind, name }, TyKind::List(list)) => {
                let name = self.check(sc, name, Want::new(Ty::STRING));
                let constant = self.constant(name).map(|c| c.show());
                let Some(kind_ty) = self.expr_type(sc, kind, None) else {
                    self.report(
                        Diagnostic::error("E0102", "a kind is meant here")
                            .label(kind.span, "not a type")
                            .help("write `[k8s.Deployment \"name\"]`"),
                    );
                    return None;
                };
                if kind_ty == Ty::ERROR {
                    return None;
                }
                let record = self.types.as_record(kind_ty);
                let is_kind = record.is_some_and(|r| self.types.record(r).gvk().is_some());
                let fits = !matches!(self.fit(kind_ty, list.item), Fit::No(_));
                let (Some(record), true, true) = (record, is_kind, fits) else {
                    let shown = self.show(kind_ty);
                    self.report(
                        Diagnostic::error(
                            "E0309",
                            format!("`{shown}` is no kind of object of this list"),
                        )
                        .label(kind.span, "here")
                        .help("name a kind such as `k8s.Deployment`"),
                    );
                    return None;
                };
                let key = constant.map(|name| format!("{} {name}", self.types.record(record).name));
                let step = Step::Object(ObjectKey {
                    record,
                    name,
                    namespace: None,
                    span,
                });
                Some((step, kind_ty, key))
            }
            (Selector::Keys(values), TyKind::List(list)) => {
                let (key, constant) = self.several_keys(sc, &list, values, span)?;
                Some((Step::ListKey(key), list.item, constant))
            }
            (_, _) => {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error(
                        "E0309",
                        format!("a `{shown}` has no elements to choose from"),
                    )
                    .label(span, format!("this is a `{shown}`"))
                    .help("brackets choose an element of a list or a map"),
                );
                None
            }
        }
    }

    /// `ports[8080, "TCP"]`: a value for each of the list's keys, in their order.
    fn several_keys(
        &mut self,
        sc: &mut Scope,
        list: &ListTy,
        values: &'a [Expr],
        span: Span,
    ) -> Option<(ListKey, Option<String>)> {
        let item = self.types.without_optional(list.item);
        let record = match *self.kind(item) {
            TyKind::Record(record) if list.keys.len() == values.len() => record,
            _ => {
                for value in values {
                    self.infer(sc, value);
                }
                let names: Vec<String> = list.keys.iter().map(|key| format!("`{key}`")).collect();
                let diagnostic = Diagnostic::error(
                    "E0309",
                    format!(
                        "elements of this list are not named by {} keys",
                        values.len()
                    ),
                )
                .label(span, format!("{} keys", values.len()));
                self.report(match names.as_slice() {
                    [] => diagnostic.help("choose by position: `[0]`"),
                    names => diagnostic.help(format!(
                        "its elements are told apart by {}",
                        names.join(" and ")
                    )),
                });
                return None;
            }
        };
        let mut keys = Vec::with_capacity(values.len());
        let mut shown = Some(Vec::new());
        for (name, value) in list.keys.iter().zip(values) {
            let at = self.types.record(record).field(*name)?;
            let ty = self.types.record(record).fields[at as usize].ty;
            let ty = self.types.without_optional(ty);
            let rule = Rule::Field(record, at);
            let id = self.check(sc, value, Want { ty, rule });
            if self.hir.ty(id) == Ty::ERROR {
                return None;
            }
            match (self.constant(id), &mut shown) {
                (Some(constant), Some(parts)) => parts.push(constant.show()),
                _ => shown = None,
            }
            keys.push((at, id, self.k8s.key_default(&self.types, record, *name)));
        }
        let key = ListKey {
            record,
            keys: keys.into(),
            span,
        };
        Some((key, shown.map(|parts| parts.join(", "))))
    }

    /// How brackets with a value name an element of a list: by key, or by position (none); reports when neither.
    pub(super) fn list_key(
        &mut self,
        list: &ListTy,
        value: ExprId,
        span: Span,
    ) -> Option<Option<ListKey>> {
        let value_ty = self.types.without_optional(self.hir.ty(value));
        let is_int = matches!(self.kind(value_ty), TyKind::Int(_));
        let item = self.types.without_optional(list.item);
        if item == Ty::OBJECT {
            if is_int {
                return Some(None);
            }
            self.report(
                Diagnostic::error("E0309", "objects are chosen by kind and name")
                    .label(span, "no kind")
                    .help("write `[k8s.Deployment \"name\"]`"),
            );
            return None;
        }
        let TyKind::Record(record) = *self.kind(item) else {
            if is_int || item == Ty::ANY {
                return Some(None);
            }
            self.report(
                Diagnostic::error("E0309", "the elements of this list have no names")
                    .label(span, "here")
                    .help("choose by position: `[0]`"),
            );
            return None;
        };
        // The list's own keys first; else a field `name`, which names elements wherever there is one.
        let mut candidates: Vec<Name> = list.keys.first().copied().into_iter().collect();
        candidates.push(Name::new("name"));
        for name in candidates {
            let Some(at) = self.types.record(record).field(name) else {
                continue;
            };
            let field_ty = self
                .types
                .without_optional(self.types.record(record).fields[at as usize].ty);
            let int_key = matches!(self.kind(field_ty), TyKind::Int(_));
            if int_key != is_int || matches!(self.fit(value_ty, field_ty), Fit::No(_)) {
                continue;
            }
            let default = self.k8s.key_default(&self.types, record, name);
            return Some(Some(ListKey {
                record,
                keys: Box::new([(at, value, default)]),
                span,
            }));
        }
        if is_int {
            return Some(None);
        }
        let title = self.types.record(record).name.clone();
        let help = match list.keys.first() {
            Some(key) => format!("its elements are told apart by `{key}`"),
            None => "choose by position: `[0]`".to_owned(),
        };
        self.report(
            Diagnostic::error(
                "E0309",
                format!("elements of List<{title}> have no such key"),
            )
            .label(span, "here")
            .help(help),
        );
        None
    }
}
