//! Map literals, and braces for which no type is expected.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::ast::{Segment, SegmentKind};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::record::{Groups, Op};
use super::{Pm, Want};
use crate::checker::{Checker, NameMap, Scope};
use crate::extra::{Extra, Measured};
use crate::hir::{ExprId, ExprKind, FieldInit, For, Init, MapItem, RecordItem};
use crate::relate::Misfit;
use crate::ty::{FieldDef, Origin, RecordDef, RecordId, Ty, TyKind};

impl<'a> Checker<'a> {
    /// A map literal.
    pub(super) fn construct_map(
        &mut self,
        sc: &mut Scope,
        want: Want,
        (key, value): (Ty, Ty),
        members: &[Pm<'a>],
        span: Span,
    ) -> ExprId {
        let mark = sc.mark();
        let mut items = Vec::new();
        self.map_items(sc, want, (key, value), members, &mut items);
        self.leave(sc, mark);
        let ty = if want.ty == Ty::ANY {
            Ty::ANY
        } else {
            self.types.intern(TyKind::Map(key, value))
        };
        let id = self.add(ExprKind::Map(items.into()), ty, span);
        match self.types.extra(want.ty).cloned() {
            Some(extra) => self.counted(id, extra, want),
            None => id,
        }
    }

    /// A map literal under a rule of how many entries it has.
    fn counted(&mut self, id: ExprId, extra: Extra, want: Want) -> ExprId {
        let span = self.hir.span(id);
        let ExprKind::Map(items) = self.hir.kind(id) else {
            return id;
        };
        let exact = items
            .iter()
            .all(|item| matches!(item, MapItem::Entry(..) | MapItem::Let(..)));
        let count = items
            .iter()
            .filter(|item| matches!(item, MapItem::Entry(..)))
            .count();
        if !exact {
            let rule = self.rule_span(want.rule);
            return self.add(ExprKind::Check(id, want.ty, rule), want.ty, span);
        }
        let Some((code, message)) = extra.broken(Measured::Entries(count)) else {
            return id;
        };
        let diagnostic = Diagnostic::error(code, message).label(span, format!("{count} entries"));
        let diagnostic = self.with_rule(diagnostic, want);
        self.report(diagnostic);
        self.error
    }

    fn map_items(
        &mut self,
        sc: &mut Scope,
        want: Want,
        (key, value): (Ty, Ty),
        members: &[Pm<'a>],
        items: &mut Vec<MapItem>,
    ) {
        let groups = Groups::of(members);
        for (at, member) in members.iter().enumerate() {
            match member {
                Pm::Field { path, op, .. } => {
                    let first = &path[0];
                    if let SegmentKind::Name(name) = &first.kind {
                        let Some(same) = groups.same(members, at, *name) else {
                            continue;
                        };
                        self.map_entry(sc, want, (key, value), *name, first.span, &same, items);
                        continue;
                    }
                    let Some(key_id) = self.computed_key(sc, first, key, want) else {
                        continue;
                    };
                    let value_id = match (path.len(), op) {
                        (1, Op::Set(e) | Op::Append(e)) => self.check(sc, e, want.part(value)),
                        (1, Op::Amend(record)) => {
                            self.note_braces(record.span, value);
                            let inner = self.members(&record.members);
                            self.construct(sc, want.part(value), &inner, record.span)
                        }
                        _ => {
                            self.report(
                                Diagnostic::error("E0202", "a computed key takes a value")
                                    .label(first.span, "here")
                                    .help("write `[key] = { … }`"),
                            );
                            continue;
                        }
                    };
                    items.push(MapItem::Entry(key_id, value_id));
                }
                Pm::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    items.push(MapItem::Let(slot, value));
                }
                Pm::Spread(e) => {
                    let id = self.infer(sc, e);
                    let from = self.hir.ty(id);
                    let plain = self.types.without_optional(from);
                    let map = self.types.intern(TyKind::Map(key, value));
                    if plain == Ty::NULL {
                        continue;
                    }
                    let fitted = match from == plain {
                        true => self.coerce(id, want.part(map)),
                        false => {
                            // Absent adds nothing.
                            let optional = self.types.optional(map);
                            self.coerce(id, want.part(optional))
                        }
                    };
                    items.push(MapItem::Spread(fitted));
                }
                Pm::For {
                    clauses,
                    condition,
                    body,
                    ..
                } => {
                    let mark = sc.mark();
                    let (fors, condition) = self.clauses(sc, clauses, *condition);
                    let members = self.members(body);
                    let mut inner = Vec::new();
                    self.map_items(sc, want, (key, value), &members, &mut inner);
                    self.leave(sc, mark);
                    items.extend(nest(fors, condition, inner));
                }
                Pm::If {
                    condition,
                    then,
                    otherwise,
                    ..
                } => {
                    let present = sc.present.len();
                    let (condition, facts) = self.condition(sc, condition);
                    self.assume(sc, facts.clone(), true);
                    let mark = sc.mark();
                    let members = self.members(then);
                    let mut first = Vec::new();
                    self.map_items(sc, want, (key, value), &members, &mut first);
                    self.leave(sc, mark);
                    sc.present.truncate(present);
                    self.assume(sc, facts, false);
                    let members = self.members(otherwise);
                    let mut second = Vec::new();
                    self.map_items(sc, want, (key, value), &members, &mut second);
                    self.leave(sc, mark);
                    sc.present.truncate(present);
                    items.push(MapItem::If(condition, first.into(), second.into()));
                }
                Pm::Delete { span, .. } => self.report(
                    Diagnostic::error("E0307", "there is nothing to delete in a new value")
                        .label(*span, "here")
                        .help("leave the entry out"),
                ),
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn map_entry(
        &mut self,
        sc: &mut Scope,
        want: Want,
        (key, value): (Ty, Ty),
        name: Name,
        span: Span,
        same: &[Pm<'a>],
        items: &mut Vec<MapItem>,
    ) {
        let key_id = self.add(ExprKind::Str(Arc::from(name.as_str())), Ty::STRING, span);
        let key_id = self.coerce(key_id, want.part(key));
        let want = want.part(value);
        if let [
            Pm::Field {
                path: [_],
                op: Op::Set(e) | Op::Append(e),
                ..
            },
        ] = same
        {
            let value = self.check(sc, e, want);
            items.push(MapItem::Entry(key_id, value));
            return;
        }
        let mut inner: Vec<Pm<'a>> = Vec::new();
        let mut whole: Option<Span> = None;
        let mut braces = span;
        for member in same {
            let Pm::Field { path, field, op } = member else {
                continue;
            };
            match (path.len(), op) {
                (1, Op::Set(e)) => match whole {
                    Some(first) => self.set_twice(name, path[0].span, first),
                    None => {
                        whole = Some(path[0].span);
                        match &e.kind {
                            ordain_lang_syntax::ast::ExprKind::Record(record) => {
                                self.note_braces(record.span, value);
                                inner.extend(self.members(&record.members));
                                braces = record.span;
                            }
                            _ => {
                                let value = self.check(sc, e, want);
                                items.push(MapItem::Entry(key_id, value));
                            }
                        }
                    }
                },
                (1, Op::Amend(record)) => {
                    self.note_braces(record.span, value);
                    inner.extend(self.members(&record.members));
                    braces = record.span;
                }
                (1, _) => {}
                _ => inner.push(Pm::Field {
                    path: &path[1..],
                    field,
                    op: *op,
                }),
            }
        }
        if inner.is_empty() && whole.is_some() {
            return;
        }
        let value = self.construct(sc, want, &inner, braces);
        items.push(MapItem::Entry(key_id, value));
    }

    fn computed_key(
        &mut self,
        sc: &mut Scope,
        segment: &'a Segment,
        key: Ty,
        want: Want,
    ) -> Option<ExprId> {
        match &segment.kind {
            SegmentKind::Name(_) => None,
            SegmentKind::Computed(e) => Some(self.check(sc, e, want.part(key))),
            SegmentKind::Select(_) => {
                self.report(
                    Diagnostic::error("E0307", "there is no element to choose in a new value")
                        .label(segment.span, "here")
                        .help("write a list: `[…]`"),
                );
                None
            }
        }
    }

    /// Braces for which no type is expected: an anonymous record, or a map when the keys are not all names.
    pub(super) fn construct_free(
        &mut self,
        sc: &mut Scope,
        members: &[Pm<'a>],
        span: Span,
    ) -> ExprId {
        let named = members.iter().all(|m| match m {
            Pm::Field { path, .. } => m.name().is_some() && path.len() == 1,
            Pm::Let(_) => true,
            _ => false,
        });
        if !named || members.is_empty() {
            return self.free_map(sc, members, span);
        }
        let mark = sc.mark();
        let mut fields: Vec<(Name, Ty)> = Vec::new();
        let mut places: NameMap<Span> = NameMap::default();
        let mut items: Vec<RecordItem> = Vec::new();
        for member in members {
            match member {
                Pm::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    items.push(RecordItem::Let(slot, value));
                }
                Pm::Field { path, op, .. } => {
                    let Some((name, at)) = member.name() else {
                        continue;
                    };
                    let value = match op {
                        Op::Set(e) | Op::Append(e) => self.infer(sc, e),
                        Op::Amend(record) => {
                            let inner = self.members(&record.members);
                            self.construct_free(sc, &inner, record.span)
                        }
                        Op::Declare => self.error,
                    };
                    if let Some(first) = places.insert(name, at) {
                        self.set_twice(name, path[0].span, first);
                        continue;
                    }
                    let field = fields.len() as u32;
                    items.push(RecordItem::Field(FieldInit {
                        field,
                        span: at,
                        init: Init::Set(value),
                    }));
                    fields.push((name, self.hir.ty(value)));
                }
                _ => {}
            }
        }
        self.leave(sc, mark);
        let id = self.anonymous_record(fields);
        let ty = self.types.intern(TyKind::Record(id));
        self.add(ExprKind::Record(id, items.into()), ty, span)
    }

    fn anonymous_record(&mut self, shape: Vec<(Name, Ty)>) -> RecordId {
        if let Some(&id) = self.anonymous.get(&shape) {
            return id;
        }
        let shown: Vec<String> = shape
            .iter()
            .take(3)
            .map(|(name, ty)| format!("{name}: {}", self.show(*ty)))
            .collect();
        let more = if shape.len() > 3 { ", …" } else { "" };
        let fields: Vec<FieldDef> = shape
            .iter()
            .map(|(name, ty)| FieldDef {
                name: *name,
                ty: *ty,
                required: true,
                default: None,
                is_final: false,
                span: None,
                doc: None,
            })
            .collect();
        let def = RecordDef {
            name: format!("{{ {}{more} }}", shown.join(", ")).into(),
            origin: Origin::Anonymous,
            span: None,
            by_name: fields
                .iter()
                .enumerate()
                .map(|(at, f)| (f.name, at as u32))
                .collect::<HashMap<_, _, _>>(),
            required: (0..fields.len() as u32).collect(),
            fields,
            asserts: Vec::new(),
            open: false,
            doc: None,
        };
        let id = self.types.add_record(def);
        self.anonymous.insert(shape, id);
        id
    }

    /// A map whose value type is found from its entries.
    fn free_map(&mut self, sc: &mut Scope, members: &[Pm<'a>], span: Span) -> ExprId {
        // Paths nest, so the values are untyped then.
        let nested = members
            .iter()
            .any(|m| matches!(m, Pm::Field { path, .. } if path.len() > 1));
        if nested {
            return self.construct_any(sc, members, span);
        }
        let mut value = Ty::NEVER;
        let mut items = Vec::new();
        let mark = sc.mark();
        self.free_items(sc, members, &mut items, &mut value);
        self.leave(sc, mark);
        let ty = self.types.intern(TyKind::Map(Ty::STRING, value));
        self.add(ExprKind::Map(items.into()), ty, span)
    }

    fn free_items(
        &mut self,
        sc: &mut Scope,
        members: &[Pm<'a>],
        items: &mut Vec<MapItem>,
        value: &mut Ty,
    ) {
        for member in members {
            match member {
                Pm::Field { path, op, .. } => {
                    let segment = &path[0];
                    let key = match &segment.kind {
                        SegmentKind::Name(name) => self.add(
                            ExprKind::Str(Arc::from(name.as_str())),
                            Ty::STRING,
                            segment.span,
                        ),
                        _ => {
                            match self.computed_key(sc, segment, Ty::STRING, Want::new(Ty::STRING))
                            {
                                Some(key) => key,
                                None => continue,
                            }
                        }
                    };
                    let made = match op {
                        Op::Set(e) | Op::Append(e) => self.infer(sc, e),
                        Op::Amend(record) => {
                            let inner = self.members(&record.members);
                            self.construct_free(sc, &inner, record.span)
                        }
                        Op::Declare => self.error,
                    };
                    *value = self.join(*value, self.hir.ty(made));
                    items.push(MapItem::Entry(key, made));
                }
                Pm::Let(binding) => {
                    let (slot, id) = self.bind_let(sc, binding);
                    items.push(MapItem::Let(slot, id));
                }
                Pm::Spread(e) => {
                    let id = self.infer(sc, e);
                    let ty = self.types.without_optional(self.hir.ty(id));
                    let from = self.as_map(id, ty);
                    match self
                        .kind(self.types.without_optional(self.hir.ty(from)))
                        .clone()
                    {
                        TyKind::Map(_, v) => *value = self.join(*value, v),
                        TyKind::Any => *value = Ty::ANY,
                        TyKind::Error | TyKind::Null => continue,
                        _ => {
                            let map = self.types.intern(TyKind::Map(Ty::STRING, Ty::ANY));
                            self.mismatch(id, Want::new(map), Misfit::Type);
                            continue;
                        }
                    }
                    items.push(MapItem::Spread(from));
                }
                Pm::For {
                    clauses,
                    condition,
                    body,
                    ..
                } => {
                    let mark = sc.mark();
                    let (fors, condition) = self.clauses(sc, clauses, *condition);
                    let members = self.members(body);
                    let mut inner = Vec::new();
                    self.free_items(sc, &members, &mut inner, value);
                    self.leave(sc, mark);
                    items.extend(nest(fors, condition, inner));
                }
                Pm::If {
                    condition,
                    then,
                    otherwise,
                    ..
                } => {
                    let (condition, _) = self.condition(sc, condition);
                    let mark = sc.mark();
                    let (mut first, mut second) = (Vec::new(), Vec::new());
                    let members = self.members(then);
                    self.free_items(sc, &members, &mut first, value);
                    self.leave(sc, mark);
                    let members = self.members(otherwise);
                    self.free_items(sc, &members, &mut second, value);
                    self.leave(sc, mark);
                    items.push(MapItem::If(condition, first.into(), second.into()));
                }
                Pm::Delete { span, .. } => self.report(
                    Diagnostic::error("E0307", "there is nothing to delete in a new value")
                        .label(*span, "here")
                        .help("leave the entry out"),
                ),
            }
        }
    }

    /// An anonymous record as a map of its fields; other values are themselves.
    pub(super) fn as_map(&mut self, id: ExprId, ty: Ty) -> ExprId {
        let TyKind::Record(record) = *self.kind(ty) else {
            return id;
        };
        if self.types.record(record).origin != Origin::Anonymous {
            return id;
        }
        let fields: Vec<Ty> = self
            .types
            .record(record)
            .fields
            .iter()
            .map(|f| f.ty)
            .collect();
        let mut value = Ty::NEVER;
        for field in fields {
            value = self.join(value, field);
        }
        let map = self.types.intern(TyKind::Map(Ty::STRING, value));
        let span = self.hir.span(id);
        self.add(ExprKind::Convert(id, map, None), map, span)
    }
}

fn nest(fors: Vec<For>, condition: Option<ExprId>, body: Vec<MapItem>) -> Option<MapItem> {
    let mut condition = condition;
    let mut inner = body;
    for mut clause in fors.into_iter().rev() {
        // The condition belongs to the innermost clause.
        clause.when = condition.take().into_iter().collect();
        inner = vec![MapItem::For(clause, inner.into())];
    }
    inner.pop()
}
