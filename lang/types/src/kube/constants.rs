//! Expressions as a [`View`]: what is constant of a record literal, before anything is evaluated.

use std::borrow::Cow;

use ordain_lang_syntax::Span;

use super::{Count, Part, Rules, Slot, View};
use crate::checker::{Checker, State};
use crate::constant::Constant;
use crate::exempt::OWN_PODS;
use crate::hir::{ExprId, ExprKind, Init, Item, MapItem, RecordItem};
use crate::ty::RecordId;

impl Checker<'_> {
    /// Judges a record literal, as far as it is constant, by the rules of its kind.
    pub(crate) fn judge(&mut self, record: RecordId, literal: ExprId) {
        let Some(rules) = Rules::of(self.types.record(record)) else {
            return;
        };
        for diagnostic in rules.judge(&Literals(self), literal) {
            if diagnostic.code != OWN_PODS || !self.may_be_exempt(OWN_PODS) {
                self.report(diagnostic);
            }
        }
    }
}

struct Literals<'c, 'a>(&'c Checker<'a>);

impl Literals<'_, '_> {
    /// The literal behind constants and what the checker put around it.
    fn peel(&self, mut id: ExprId) -> ExprId {
        /// Constants that name constants; longer chains are left to evaluation.
        const CHAIN: usize = 8;
        for _ in 0..CHAIN {
            id = match self.0.hir.kind(id) {
                ExprKind::Check(inner, ..) => *inner,
                ExprKind::Let(named) => match self.0.lets.get(named.index()) {
                    Some(item) if item.state == State::Done => item.body.expr,
                    _ => return id,
                },
                _ => return id,
            };
        }
        id
    }

    fn slot(&self, id: ExprId) -> Slot<ExprId> {
        match self.0.hir.kind(self.peel(id)) {
            ExprKind::Null => Slot::Absent,
            // What may be absent is not known to be set.
            ExprKind::Str(_)
            | ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Float(_)
            | ExprKind::Quantity(_)
            | ExprKind::Duration(_)
            | ExprKind::List(_)
            | ExprKind::Map(_)
            | ExprKind::Record(..)
            | ExprKind::Interp(_) => Slot::Is(id),
            _ => Slot::Unknown,
        }
    }

    fn sets(items: &[RecordItem], at: u32) -> bool {
        items.iter().any(|item| match item {
            RecordItem::Field(init) => init.field == at,
            RecordItem::If(_, then, otherwise) => {
                Literals::sets(then, at) || Literals::sets(otherwise, at)
            }
            RecordItem::Spread(_) => true,
            RecordItem::Let(..) => false,
        })
    }
}

impl View for Literals<'_, '_> {
    type Node = ExprId;

    fn get(&self, of: ExprId, name: &str) -> Slot<ExprId> {
        match self.0.hir.kind(self.peel(of)) {
            ExprKind::Record(record, items) => {
                let def = self.0.types.record(*record);
                let Some(at) = def.fields.iter().position(|field| field.name == name) else {
                    return Slot::Absent;
                };
                let mut found = match &def.fields[at].default {
                    Some(body) => self.slot(body.expr),
                    None => Slot::Absent,
                };
                for item in items {
                    match item {
                        RecordItem::Field(init) if init.field as usize == at => {
                            found = match &init.init {
                                Init::Set(value) | Init::Final(value) => self.slot(*value),
                                Init::Amend(..) | Init::Append(_) => Slot::Unknown,
                            };
                        }
                        RecordItem::Field(_) | RecordItem::Let(..) => {}
                        other => {
                            if Literals::sets(std::slice::from_ref(other), at as u32) {
                                found = Slot::Unknown;
                            }
                        }
                    }
                }
                found
            }
            ExprKind::Map(items) => {
                let mut found = Slot::Absent;
                for item in items {
                    match item {
                        MapItem::Entry(key, value) => match self.0.constant(*key) {
                            Some(Constant::Str(key)) if *key == *name => found = self.slot(*value),
                            Some(Constant::Str(_)) => {}
                            _ => found = Slot::Unknown,
                        },
                        MapItem::Let(..) => {}
                        _ => found = Slot::Unknown,
                    }
                }
                found
            }
            _ => Slot::Unknown,
        }
    }

    fn count(&self, of: ExprId) -> Count {
        match self.0.hir.kind(self.peel(of)) {
            ExprKind::Record(_, items) => Count {
                len: items.len(),
                all: items.iter().all(|item| match item {
                    RecordItem::Field(init) => match &init.init {
                        Init::Set(value) | Init::Final(value) => self.slot(*value) != Slot::Unknown,
                        _ => false,
                    },
                    RecordItem::Let(..) => true,
                    _ => false,
                }),
            },
            ExprKind::Map(items) => Count {
                len: items.len(),
                all: items
                    .iter()
                    .all(|item| matches!(item, MapItem::Entry(..) | MapItem::Let(..))),
            },
            ExprKind::List(items) => Count {
                len: items.len(),
                all: items.iter().all(|item| matches!(item, Item::Expr(_))),
            },
            _ => Count { len: 0, all: false },
        }
    }

    fn part(&self, of: ExprId, at: usize) -> Option<Part<'_, ExprId>> {
        let hir = &self.0.hir;
        match hir.kind(self.peel(of)) {
            ExprKind::Record(record, items) => {
                let RecordItem::Field(init) = items.get(at)? else {
                    return None;
                };
                let field = self
                    .0
                    .types
                    .record(*record)
                    .fields
                    .get(init.field as usize)?;
                let node = match &init.init {
                    Init::Set(value) | Init::Final(value) => self.slot(*value).known()?,
                    _ => return None,
                };
                Some(Part {
                    key: Cow::Borrowed(field.name.as_str()),
                    key_span: init.span,
                    node,
                })
            }
            ExprKind::Map(items) => {
                let MapItem::Entry(key, value) = items.get(at)? else {
                    return None;
                };
                let Some(Constant::Str(text)) = self.0.constant(*key) else {
                    return None;
                };
                Some(Part {
                    key: Cow::Owned(text.to_string()),
                    key_span: hir.span(*key),
                    node: *value,
                })
            }
            ExprKind::List(items) => match items.get(at)? {
                Item::Expr(node) => Some(Part {
                    key: Cow::Borrowed(""),
                    key_span: hir.span(*node),
                    node: *node,
                }),
                _ => None,
            },
            _ => None,
        }
    }

    fn text(&self, of: ExprId) -> Option<Cow<'_, str>> {
        match self.0.constant(of)? {
            Constant::Str(text) | Constant::Quantity(text) => Some(Cow::Owned(text.to_string())),
            _ => None,
        }
    }

    fn int(&self, of: ExprId) -> Option<i64> {
        match self.0.constant(of)? {
            Constant::Int(value) => Some(value),
            _ => None,
        }
    }

    fn flag(&self, of: ExprId) -> Option<bool> {
        match self.0.constant(of)? {
            Constant::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn span(&self, of: ExprId) -> Span {
        self.0.hir.span(of)
    }

    fn is_in_object(&self) -> bool {
        !self.0.objects.is_empty()
    }

    fn is_finished(&self) -> bool {
        false
    }
}
