//! Amending: `base { … }` and the blocks inside it, and paths into values.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Record, Segment, SegmentKind};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::record::Op;
use super::{Pm, Rule, Want};
use crate::checker::{Checker, Scope};
use crate::hir::{Amend, AmendKind, AmendOp, ExprId, ExprKind, For, Step};
use crate::index::Def;
use crate::relate::Misfit;
use crate::ty::{ListTy, Ty, TyKind};

/// Where a path leads.
pub(crate) struct Place {
    pub(crate) steps: Vec<Step>,
    pub(crate) ty: Ty,
    pub(crate) rule: Rule,
    /// The path with constant keys, for finding two that are the same.
    pub(crate) key: Option<String>,
    pub(crate) span: Span,
}

impl<'a> Checker<'a> {
    /// `base { … }`: a new value when `base` names a type, else an amended copy.
    pub(super) fn amend_expr(
        &mut self,
        sc: &mut Scope,
        base: &'a Expr,
        body: &'a Record,
        hint: Option<Ty>,
        span: Span,
    ) -> ExprId {
        let hint = self.guessed_instance(sc, base, body, hint).or(hint);
        if let Some(ty) = self.expr_type(sc, base, hint) {
            self.note_braces(body.span, ty);
            let members = self.members(&body.members);
            return match self.kind(ty).clone() {
                TyKind::Record(id) => self.construct_record(sc, id, &members, span, base.span),
                TyKind::Error => {
                    self.look_inside(sc, &Op::Amend(body));
                    self.error
                }
                _ => self.construct(sc, Want::new(ty), &members, body.span),
            };
        }
        let base_id = self.infer(sc, base);
        let base_ty = self.hir.ty(base_id);
        let members = self.members(&body.members);
        let ty = self.types.without_optional(base_ty);
        self.note_braces(body.span, ty);
        match self.kind(ty).clone() {
            TyKind::Error => {
                self.look_inside(sc, &Op::Amend(body));
                return self.error;
            }
            TyKind::Record(_) | TyKind::Map(..) | TyKind::Any | TyKind::Object => {}
            _ => {
                let shown = self.show(base_ty);
                self.report(
                    Diagnostic::error("E0307", format!("`{shown}` cannot be amended"))
                        .label(base.span, format!("this is `{shown}`"))
                        .help("records, maps and objects can be amended"),
                );
                return self.error;
            }
        }
        if base_ty != ty {
            self.mismatch(base_id, Want::new(ty), Misfit::Absent);
        }
        let mark = sc.mark();
        let ops = self.amend_ops(sc, ty, &members, Rule::None);
        self.leave(sc, mark);
        self.add(
            ExprKind::Amend(base_id, Amend { ops: ops.into() }),
            ty,
            span,
        )
    }

    /// The changes of an amend block to a value of a type.
    pub(crate) fn amend_ops(
        &mut self,
        sc: &mut Scope,
        ty: Ty,
        members: &[Pm<'a>],
        rule: Rule,
    ) -> Vec<AmendOp> {
        let mut ops = Vec::with_capacity(members.len());
        let mut set: HashMap<String, Span> = HashMap::new();
        for member in members {
            match member {
                Pm::Field { path, field, op } => {
                    let Some(place) = self.walk(sc, ty, path, rule) else {
                        self.look_inside(sc, op);
                        continue;
                    };
                    if let (Op::Set(_), Some(key)) = (op, &place.key)
                        && let Some(first) = set.insert(key.clone(), place.span)
                    {
                        let name = Name::new(key.trim_start_matches('.'));
                        self.set_twice(name, place.span, first);
                        continue;
                    }
                    ops.extend(self.amend_op(sc, place, *op, field.is_final));
                }
                Pm::Delete { path, span } => {
                    if let Some(place) = self.walk(sc, ty, path, rule) {
                        self.deletable(&place);
                        ops.push(AmendOp {
                            path: place.steps.into(),
                            span: *span,
                            kind: AmendKind::Delete,
                        });
                    }
                }
                Pm::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    ops.push(AmendOp {
                        path: Box::default(),
                        span: binding.span,
                        kind: AmendKind::Let(slot, value),
                    });
                }
                Pm::Spread(e) => {
                    let id = self.infer(sc, e);
                    let from = self.hir.ty(id);
                    if let Some(record) = self.types.as_record(ty)
                        && self.is_part_of(from, record)
                    {
                        // Some fields of the record, by name.
                        let (slot, parts) = self.spread_parts(sc, id, record);
                        let span = e.span;
                        let kind = AmendKind::Let(slot, id);
                        ops.push(AmendOp {
                            path: Box::default(),
                            span,
                            kind,
                        });
                        ops.extend(parts.into_iter().map(|(at, value)| AmendOp {
                            path: Box::new([Step::Field(record, at)]),
                            span,
                            kind: AmendKind::Set(value),
                        }));
                        continue;
                    }
                    let id = match self.kind(ty) {
                        TyKind::Map(..) if matches!(self.kind(from), TyKind::Optional(_)) => {
                            // Absent changes nothing.
                            let optional = self.types.optional(ty);
                            self.coerce(id, Want { ty: optional, rule })
                        }
                        _ => self.coerce(id, Want { ty, rule }),
                    };
                    ops.push(AmendOp {
                        path: Box::default(),
                        span: e.span,
                        kind: AmendKind::Spread(id),
                    });
                }
                Pm::If {
                    condition,
                    then,
                    otherwise,
                    span,
                } => {
                    let (condition, facts) = self.condition(sc, condition);
                    let present = sc.present.len();
                    let mark = sc.mark();
                    self.assume(sc, facts.clone(), true);
                    let members = self.members(then);
                    let first = self.amend_ops(sc, ty, &members, rule);
                    sc.present.truncate(present);
                    self.assume(sc, facts, false);
                    let members = self.members(otherwise);
                    let second = self.amend_ops(sc, ty, &members, rule);
                    sc.present.truncate(present);
                    self.leave(sc, mark);
                    let kind = AmendKind::When(
                        condition,
                        Amend { ops: first.into() },
                        Amend { ops: second.into() },
                    );
                    ops.push(AmendOp {
                        path: Box::default(),
                        span: *span,
                        kind,
                    });
                }
                Pm::For {
                    clauses,
                    condition,
                    body,
                    span,
                } => {
                    let mark = sc.mark();
                    let (fors, condition) = self.clauses(sc, clauses, *condition);
                    let members = self.members(body);
                    let inner = self.amend_ops(sc, ty, &members, rule);
                    self.leave(sc, mark);
                    ops.push(nest(fors, condition, inner, *span));
                }
            }
        }
        ops
    }

    /// Checks what stands behind a name that is not known: its own mistakes are told too.
    pub(super) fn look_inside(&mut self, sc: &mut Scope, op: &Op<'a>) {
        match op {
            Op::Set(e) | Op::Append(e) => {
                self.check(sc, e, Want::new(Ty::ERROR));
            }
            Op::Amend(record) => {
                for member in self.members(&record.members) {
                    if let Pm::Field { op, .. } = member {
                        self.look_inside(sc, &op);
                    }
                }
            }
            Op::Declare => {}
        }
    }

    /// A record that lacks fields after `=` may have been meant to change the fields that it names.
    fn perhaps_amend(&mut self, e: &Expr, said: usize) {
        let first = self.diagnostics.get_mut(said);
        if let (Ast::Record(_), Some(first)) = (&e.kind, first)
            && first.code == "E0204"
            && first.span().is_some_and(|at| at.start == e.span.start)
        {
            let amend = "or write `{ … }` without the `=`, which changes only what it names";
            first.help = Some(match first.help.take() {
                Some(help) => format!("{help}; {amend}"),
                None => amend.to_owned(),
            });
        }
    }

    /// One change at a place.
    pub(crate) fn amend_op(
        &mut self,
        sc: &mut Scope,
        place: Place,
        op: Op<'a>,
        is_final: bool,
    ) -> Option<AmendOp> {
        let Place {
            steps,
            ty,
            rule,
            span,
            ..
        } = place;
        let want = Want { ty, rule };
        let kind = match op {
            Op::Set(e) => {
                // `env["NEW"] = { value = "x" }`: the brackets name the element.
                if let (Some(Step::ListKey(key)), Ast::Record(_)) = (steps.last(), &e.kind) {
                    let fields = &self.types.record(key.record).fields;
                    let names = key.keys.iter().map(|(at, ..)| fields[*at as usize].name);
                    self.implied = Some((key.record, names.collect()));
                }
                let said = self.diagnostics.len();
                let value = self.check(sc, e, want);
                self.implied = None;
                self.perhaps_amend(e, said);
                if is_final {
                    AmendKind::Final(value)
                } else {
                    AmendKind::Set(value)
                }
            }
            Op::Append(e) => {
                let plain = self.types.without_optional(ty);
                match self.kind(plain) {
                    TyKind::List(_)
                    | TyKind::Map(..)
                    | TyKind::String(_)
                    | TyKind::Int(_)
                    | TyKind::Float(_)
                    | TyKind::Quantity
                    | TyKind::Duration
                    | TyKind::Any
                    | TyKind::Error => {}
                    _ => {
                        let shown = self.show(ty);
                        self.report(
                            Diagnostic::error(
                                "E0307",
                                format!("nothing can be appended to a `{shown}`"),
                            )
                            .label(span, format!("this is `{shown}`"))
                            .help("write `=` to replace it, or braces to amend it"),
                        );
                        return None;
                    }
                }
                // What is appended need not keep the length that the whole keeps.
                let whole = match self.kind(plain).clone() {
                    TyKind::List(list) => self.types.intern(TyKind::List(ListTy {
                        len: crate::ty::LenRange::ALL,
                        ..list
                    })),
                    TyKind::Int(_) => Ty::INT,
                    TyKind::Float(_) => Ty::FLOAT,
                    TyKind::String(_) => Ty::STRING,
                    _ => plain,
                };
                AmendKind::Append(self.check(sc, e, Want { ty: whole, rule }))
            }
            Op::Amend(record) => {
                let plain = self.types.without_optional(ty);
                match self.kind(plain) {
                    TyKind::Record(_)
                    | TyKind::Map(..)
                    | TyKind::Any
                    | TyKind::Union(_)
                    | TyKind::Object => {}
                    TyKind::Error => return None,
                    _ => {
                        let shown = self.show(ty);
                        let mut diagnostic = Diagnostic::error(
                            "E0307",
                            format!("braces amend a record, this is a `{shown}`"),
                        )
                        .label(span, format!("this is `{shown}`"));
                        diagnostic = match self.kind(plain) {
                            TyKind::List(list) if !list.keys.is_empty() => diagnostic
                                .help("choose an element: `[\"name\"] { … }`, or append with `+= [{ … }]`"),
                            _ => diagnostic.help("write `= value`"),
                        };
                        self.report(diagnostic);
                        return None;
                    }
                }
                self.note_braces(record.span, plain);
                let members = self.members(&record.members);
                let mark = sc.mark();
                let inner = self.amend_ops(sc, plain, &members, rule);
                self.leave(sc, mark);
                AmendKind::Amend(Amend { ops: inner.into() }, plain)
            }
            Op::Declare => {
                self.report(
                    Diagnostic::error("E0202", "a value is missing here")
                        .label(span, "no value")
                        .help("write `path = value`"),
                );
                return None;
            }
        };
        Some(AmendOp {
            path: steps.into(),
            span,
            kind,
        })
    }

    pub(crate) fn deletable(&mut self, place: &Place) {
        if let Rule::Field(record, at) = place.rule
            && matches!(place.steps.last(), Some(Step::Field(..)))
        {
            let def = self.types.record(record);
            let field = &def.fields[at as usize];
            if field.required {
                let mut diagnostic = Diagnostic::error(
                    "E0308",
                    format!("`{}` is required, it cannot be deleted", field.name),
                )
                .label(place.span, "deleted here")
                .help("set another value");
                diagnostic = match field.span {
                    Some(rule) => diagnostic.label(rule, "required here"),
                    None => diagnostic.note(format!(
                        "Kubernetes requires `{}` of {}",
                        field.name, def.name
                    )),
                };
                self.report(diagnostic);
            }
        }
    }

    /// Follows a path from a value of a type; none after a report.
    pub(crate) fn walk(
        &mut self,
        sc: &mut Scope,
        from: Ty,
        path: &'a [Segment],
        rule: Rule,
    ) -> Option<Place> {
        let mut place = Place {
            steps: Vec::with_capacity(path.len()),
            ty: from,
            rule,
            key: Some(String::new()),
            span: path.first()?.span,
        };
        for segment in path {
            place.span = place.span.to(segment.span);
            self.step(sc, &mut place, segment)?;
        }
        Some(place)
    }

    fn step(&mut self, sc: &mut Scope, place: &mut Place, segment: &'a Segment) -> Option<()> {
        let ty = self.types.without_optional(place.ty);
        let ty = match self.kind(ty) {
            TyKind::Secret(inner) => *inner,
            _ => ty,
        };
        let span = segment.span;
        match (&segment.kind, self.kind(ty).clone()) {
            (_, TyKind::Error) => return None,
            (SegmentKind::Name(name), TyKind::Record(id)) => {
                if name.is_empty() {
                    return None;
                }
                let Some(at) = self.field_or_new(id, *name) else {
                    self.unknown_field(id, *name, span);
                    return None;
                };
                if self.types.record(id).fields[at as usize].is_final {
                    self.set_final(id, at, span);
                    return None;
                }
                place.steps.push(Step::Field(id, at));
                place.ty = self.field_ty(id, at, span);
                self.note(span, Def::Field(id, at), place.ty);
                place.rule = Rule::Field(id, at);
                if let Some(key) = &mut place.key {
                    key.push('.');
                    key.push_str(name.as_str());
                }
            }
            (SegmentKind::Name(name), TyKind::Map(key, value)) => {
                let id = self.add(ExprKind::Str(Arc::from(name.as_str())), Ty::STRING, span);
                let id = self.coerce(
                    id,
                    Want {
                        ty: key,
                        rule: place.rule,
                    },
                );
                place.steps.push(Step::MapKey(id));
                place.ty = value;
                if let Some(key) = &mut place.key {
                    key.push('.');
                    key.push_str(name.as_str());
                }
            }
            (SegmentKind::Name(name), TyKind::Any | TyKind::Object) => {
                let id = self.add(ExprKind::Str(Arc::from(name.as_str())), Ty::STRING, span);
                place.steps.push(Step::MapKey(id));
                place.ty = Ty::ANY;
                if let Some(key) = &mut place.key {
                    key.push('.');
                    key.push_str(name.as_str());
                }
            }
            (SegmentKind::Name(_), TyKind::Union(members)) => {
                let records: Vec<Ty> = members
                    .iter()
                    .copied()
                    .filter(|m| matches!(self.kind(*m), TyKind::Record(_) | TyKind::Map(..)))
                    .collect();
                match records.as_slice() {
                    [only] => {
                        place.ty = *only;
                        return self.step(sc, place, segment);
                    }
                    _ => {
                        return self.no_step(
                            place,
                            ty,
                            span,
                            "choose what it is first: `= … { … }`",
                        );
                    }
                }
            }
            (SegmentKind::Name(name), TyKind::List(list)) => {
                let help = if list.keys.is_empty() {
                    "a list has no fields; write `[0]` for its first element".to_owned()
                } else {
                    format!("choose an element by its {}: `[\"{name}\"]`", list.keys[0])
                };
                return self.no_step(place, ty, span, &help);
            }
            (SegmentKind::Computed(e), TyKind::Map(key, value)) => {
                let id = self.check(
                    sc,
                    e,
                    Want {
                        ty: key,
                        rule: place.rule,
                    },
                );
                place.steps.push(Step::MapKey(id));
                place.ty = value;
                place.key = None;
            }
            (SegmentKind::Computed(e), TyKind::Any) => {
                let id = self.check(sc, e, Want::new(Ty::STRING));
                place.steps.push(Step::MapKey(id));
                place.ty = Ty::ANY;
                place.key = None;
            }
            (SegmentKind::Select(selector), _) => {
                let (step, ty, key) = self.select(sc, ty, selector, span)?;
                place.steps.push(step);
                place.ty = ty;
                place.key = match (place.key.take(), key) {
                    (Some(path), Some(key)) => Some(format!("{path}[{key}]")),
                    _ => None,
                };
            }
            _ => return self.no_step(place, ty, span, "write `= value` instead of a path into it"),
        }
        Some(())
    }

    fn no_step(&mut self, place: &Place, ty: Ty, span: Span, help: &str) -> Option<()> {
        let shown = self.show(ty);
        let diagnostic = Diagnostic::error(
            "E0307",
            format!("there is nothing inside a `{shown}` to amend"),
        )
        .label(span, "leads nowhere")
        .help(help);
        let diagnostic = self.with_rule(
            diagnostic,
            Want {
                ty,
                rule: place.rule,
            },
        );
        self.report(diagnostic);
        None
    }
}

fn nest(fors: Vec<For>, condition: Option<ExprId>, inner: Vec<AmendOp>, span: Span) -> AmendOp {
    let mut condition = condition;
    let mut ops = inner;
    for mut clause in fors.into_iter().rev() {
        // The condition belongs to the innermost clause.
        clause.when = condition.take().into_iter().collect();
        let kind = AmendKind::For(Box::new(clause), Amend { ops: ops.into() });
        ops = vec![AmendOp {
            path: Box::default(),
            span,
            kind,
        }];
    }
    let nothing = AmendKind::Amend(Amend::default(), Ty::ANY);
    ops.pop().unwrap_or(AmendOp {
        path: Box::default(),
        span,
        kind: nothing,
    })
}
