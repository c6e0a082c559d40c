//! List literals and comprehensions in them.

use std::collections::HashMap;

use ordain_lang_syntax::ast::{Element, Expr, ExprKind as Ast, ForClause, MemberKind};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use crate::checker::{Checker, Scope};
use crate::constant::Constant;
use crate::hir::{ExprId, ExprKind, For, Init, Item, RecordItem};
use crate::relate::{Fit, Misfit};
use crate::ty::{LenRange, ListTy, Ty, TyKind};

impl<'a> Checker<'a> {
    /// A list literal where a type is expected.
    pub(super) fn check_list(
        &mut self,
        sc: &mut Scope,
        elements: &'a [Element],
        want: Want,
        span: Span,
    ) -> ExprId {
        let plain = self.types.without_optional(want.ty);
        let list = match self.kind(plain).clone() {
            TyKind::List(list) => list,
            TyKind::Secret(inner) => {
                let id = self.check_list(sc, elements, want.part(inner), span);
                return self.coerce(id, want);
            }
            TyKind::Union(members) => {
                let lists: Vec<Ty> = members
                    .iter()
                    .copied()
                    .filter(|m| matches!(self.kind(*m), TyKind::List(_)))
                    .collect();
                if let [only] = lists.as_slice() {
                    let only = *only;
                    return self.check_list(sc, elements, want.part(only), span);
                }
                let id = self.infer_list(sc, elements, span);
                return self.coerce(id, want);
            }
            TyKind::Any => {
                let any = want.part(Ty::ANY);
                let items = self.items(sc, elements, |c, sc, e| c.check(sc, e, any));
                return self.add(ExprKind::List(items), Ty::ANY, span);
            }
            TyKind::Error => {
                self.infer_list(sc, elements, span);
                return self.error;
            }
            _ => {
                let id = self.infer_list(sc, elements, span);
                return self.coerce(id, want);
            }
        };
        let item = want.part(list.item);
        let items = self.items(sc, elements, |c, sc, e| c.check(sc, e, item));
        self.spreads_fit(&items, list.item, want);
        let exact = items.iter().all(|i| matches!(i, Item::Expr(_)));
        let fixed = items.iter().filter(|i| matches!(i, Item::Expr(_))).count();
        if list.len != LenRange::ALL
            && (exact || fixed > list.len.max as usize)
            && !list.len.contains(fixed)
        {
            let message = match (fixed, crate::show::show_len(list.len)) {
                (0, shown) if shown == "1.." => "this list may not be empty".to_owned(),
                (_, shown) => format!("this list has {fixed} elements, {shown} are allowed"),
            };
            let diagnostic =
                Diagnostic::error("E0211", message).label(span, format!("{fixed} elements"));
            let diagnostic = self.with_rule(diagnostic, want);
            self.report(diagnostic);
            return self.error;
        }
        self.same_keys(&items, &list);
        let id = self.add(ExprKind::List(items), plain, span);
        if !exact && (list.len != LenRange::ALL || list.set || !list.keys.is_empty()) {
            return self.add(
                ExprKind::Check(id, plain, self.rule_span(want.rule)),
                plain,
                span,
            );
        }
        id
    }

    /// Two elements of a keyed list with the same constant keys, or two equal constants of a set.
    fn same_keys(&mut self, items: &[Item], list: &ListTy) {
        if !list.set && list.keys.is_empty() {
            return;
        }
        let mut seen: HashMap<String, Span> = HashMap::new();
        for item in items {
            let Item::Expr(id) = item else { continue };
            let Some((key, span)) = self.constant_key(*id, list) else {
                continue;
            };
            let Some(first) = seen.insert(format!("{key:?}"), span) else {
                continue;
            };
            let names: Vec<&str> = list.keys.iter().map(|k| k.as_str()).collect();
            let values: Vec<String> = key.iter().map(Constant::show).collect();
            let what = match names.as_slice() {
                [] => format!("the element {}", values.join(", ")),
                _ => format!(
                    "an element with the {} {}",
                    names.join(" and "),
                    values.join(", ")
                ),
            };
            let diagnostic = Diagnostic::error("E0212", format!("{what} is in the list twice"))
                .label(span, "again here")
                .label(first, "first here")
                .help("remove one of them, or give it another key");
            self.report(diagnostic);
        }
    }

    /// The constant keys of a list element. Absent optional keys count as the API server's default.
    fn constant_key(&self, id: ExprId, list: &ListTy) -> Option<(Vec<Constant>, Span)> {
        if list.keys.is_empty() {
            return Some((vec![self.constant(id)?], self.hir.span(id)));
        }
        let ExprKind::Record(record, fields) = self.hir.kind(id) else {
            return None;
        };
        let def = self.types.record(*record);
        let mut span = self.hir.span(id);
        let mut key = Vec::with_capacity(list.keys.len());
        for name in &list.keys {
            let at = def.field(*name)?;
            let set = fields.iter().find_map(|f| match f {
                RecordItem::Field(init) if init.field == at => Some(init),
                _ => None,
            });
            match set.map(|init| (&init.init, init.span)) {
                Some((Init::Set(value) | Init::Final(value), _)) => {
                    key.push(self.constant(*value)?);
                    if key.len() == 1 {
                        span = self.hir.span(*value);
                    }
                }
                Some(_) => return None,
                None => {
                    let default = self.k8s.key_default(&self.types, *record, *name)?;
                    key.push(Constant::Str(default));
                }
            }
        }
        Some((key, span))
    }

    /// Checks that spread lists have elements of the type.
    fn spreads_fit(&mut self, items: &[Item], item: Ty, want: Want) {
        for each in items {
            match each {
                Item::Spread(id) => {
                    let ty = self.types.without_optional(self.hir.ty(*id));
                    let TyKind::List(list) = self.kind(ty).clone() else {
                        continue;
                    };
                    if let Fit::No(why) = self.fit(list.item, item) {
                        let wanted = self.types.list(item);
                        self.mismatch(*id, want.part(wanted), why);
                    }
                }
                Item::For(_, body) => self.spreads_fit(body, item, want),
                Item::If(_, then, otherwise) => {
                    self.spreads_fit(then, item, want);
                    self.spreads_fit(otherwise, item, want);
                }
                Item::Expr(_) => {}
            }
        }
    }

    /// A list literal of which nothing is known.
    pub(super) fn infer_list(
        &mut self,
        sc: &mut Scope,
        elements: &'a [Element],
        span: Span,
    ) -> ExprId {
        let items = self.items(sc, elements, |c, sc, e| c.infer(sc, e));
        let mut ty = Ty::NEVER;
        self.join_items(&items, &mut ty);
        let list = self.types.list(ty);
        self.add(ExprKind::List(items), list, span)
    }

    fn join_items(&mut self, items: &[Item], ty: &mut Ty) {
        for item in items {
            match item {
                Item::Expr(id) => *ty = self.join(*ty, self.hir.ty(*id)),
                Item::Spread(id) => {
                    let from = self.types.without_optional(self.hir.ty(*id));
                    if let TyKind::List(list) = self.kind(from).clone() {
                        *ty = self.join(*ty, list.item);
                    }
                }
                Item::For(_, body) => self.join_items(body, ty),
                Item::If(_, then, otherwise) => {
                    self.join_items(then, ty);
                    self.join_items(otherwise, ty);
                }
            }
        }
    }

    fn items(
        &mut self,
        sc: &mut Scope,
        elements: &'a [Element],
        each: impl Fn(&mut Self, &mut Scope, &'a Expr) -> ExprId,
    ) -> Box<[Item]> {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            match element {
                Element::Item(e) => items.extend(self.body_items(sc, e, &each)),
                Element::Spread(e) => {
                    let id = self.infer(sc, e);
                    let ty = self.types.without_optional(self.hir.ty(id));
                    match self.kind(ty) {
                        TyKind::List(_) | TyKind::Any | TyKind::Null => {
                            items.push(Item::Spread(id))
                        }
                        TyKind::Error => {}
                        _ => {
                            let list = self.types.list(Ty::ANY);
                            self.mismatch(id, Want::new(list), Misfit::Type);
                        }
                    }
                }
                Element::For {
                    clauses,
                    condition,
                    body,
                    ..
                } => {
                    let mark = sc.mark();
                    let (fors, conditions) = self.clauses(sc, clauses, condition.as_ref());
                    let body = self.body_items(sc, body, &each);
                    self.leave(sc, mark);
                    items.push(nest(fors, conditions, body));
                }
                Element::If {
                    condition, body, ..
                } => {
                    let present = sc.present.len();
                    let condition = self.condition(sc, condition);
                    self.assume(sc, condition.1, true);
                    let body = self.body_items(sc, body, &each);
                    sc.present.truncate(present);
                    items.push(Item::If(condition.0, body.into(), Box::default()));
                }
            }
        }
        items.into()
    }

    /// What a body adds to a list: `{ ...list }` all elements of the list, anything else itself.
    fn body_items(
        &mut self,
        sc: &mut Scope,
        body: &'a Expr,
        each: &impl Fn(&mut Self, &mut Scope, &'a Expr) -> ExprId,
    ) -> Vec<Item> {
        if let Ast::If {
            condition,
            then,
            otherwise: Some(otherwise),
        } = &body.kind
            && self.spread_list(sc, then).is_some()
        {
            let (condition, facts) = self.condition(sc, condition);
            let present = sc.present.len();
            self.assume(sc, facts.clone(), true);
            let then = self.body_items(sc, then, each);
            sc.present.truncate(present);
            self.assume(sc, facts, false);
            let otherwise = self.body_items(sc, otherwise, each);
            sc.present.truncate(present);
            return vec![Item::If(condition, then.into(), otherwise.into())];
        }
        match self.spread_list(sc, body) {
            Some(list) => vec![Item::Spread(list)],
            None => vec![Item::Expr(each(self, sc, body))],
        }
    }

    /// The list in `{ ...list }`. Braces with a spread alone make a record everywhere else, and of a record here too.
    fn spread_list(&mut self, sc: &mut Scope, body: &'a Expr) -> Option<ExprId> {
        let Ast::Record(record) = &body.kind else {
            return None;
        };
        let [member] = record.members.as_slice() else {
            return None;
        };
        let MemberKind::Spread(e) = &member.kind else {
            return None;
        };
        let id = self.infer(sc, e);
        let ty = self.types.without_optional(self.hir.ty(id));
        matches!(self.kind(ty), TyKind::List(_) | TyKind::Error).then_some(id)
    }

    /// The clauses of a comprehension; their names stay in scope.
    pub(crate) fn clauses(
        &mut self,
        sc: &mut Scope,
        clauses: &'a [ForClause],
        condition: Option<&'a Expr>,
    ) -> (Vec<For>, Option<ExprId>) {
        let mut fors = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let mut over = self.infer(sc, &clause.iter);
            let (key_ty, value_ty) = self.iterated(over, clause);
            if self.types.as_record(self.hir.ty(over)).is_some() && value_ty != Ty::ERROR {
                let map = self.types.intern(TyKind::Map(Ty::STRING, value_ty));
                over = self.add(ExprKind::Convert(over, map, None), map, clause.iter.span);
            }
            let (key, value) = match clause.second {
                Some(second) => (
                    Some(sc.bind(clause.first, key_ty, false)),
                    sc.bind(second, value_ty, false),
                ),
                None => (None, sc.bind(clause.first, value_ty, false)),
            };
            fors.push(For {
                value,
                key,
                over,
                when: Box::default(),
            });
        }
        let condition = condition.map(|c| {
            let (id, facts) = self.condition(sc, c);
            self.assume(sc, facts, true);
            id
        });
        (fors, condition)
    }

    /// What the names of a clause stand for.
    fn iterated(&mut self, over: ExprId, clause: &'a ForClause) -> (Ty, Ty) {
        let ty = self.types.without_optional(self.hir.ty(over));
        match self.kind(ty).clone() {
            TyKind::List(list) => (Ty::INT, list.item),
            TyKind::Map(key, value) => {
                if clause.second.is_none() {
                    self.report(
                        Diagnostic::error("E0219", "a map is gone through by key and value")
                            .label(clause.first.span, "one name only")
                            .help("name both: `for key, value in …`; `_` for the one that is not needed"),
                    );
                    return (key, Ty::ERROR);
                }
                (key, value)
            }
            TyKind::Record(id) if self.types.record(id).origin == crate::ty::Origin::Anonymous => {
                let fields: Vec<Ty> = self.types.record(id).fields.iter().map(|f| f.ty).collect();
                let mut value = Ty::NEVER;
                for field in fields {
                    value = self.join(value, field);
                }
                (Ty::STRING, value)
            }
            TyKind::Any => (Ty::ANY, Ty::ANY),
            TyKind::Null | TyKind::Never => (Ty::NEVER, Ty::NEVER),
            TyKind::Error => (Ty::ERROR, Ty::ERROR),
            _ => {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0219", format!("`{shown}` cannot be gone through"))
                        .label(self.hir.span(over), format!("this is `{shown}`"))
                        .help("a list, a map or a range is meant"),
                );
                (Ty::ERROR, Ty::ERROR)
            }
        }
    }
}

/// Nests clauses, of which there is at least one, around items: the condition belongs to the innermost.
fn nest(fors: Vec<For>, condition: Option<ExprId>, items: Vec<Item>) -> Item {
    let mut made = items;
    for (at, mut clause) in fors.into_iter().rev().enumerate() {
        if at == 0 {
            clause.when = condition.into_iter().collect();
        }
        made = vec![Item::For(clause, made.into())];
    }
    made.swap_remove(0)
}
