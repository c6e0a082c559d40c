//! Record literals: fields by name, paths nested, defaults amended, missing and unknown fields told.

use ordain_lang_syntax::ast::{
    Binding, Expr, ExprKind as Ast, Field, FieldOp, ForClause, Member, MemberKind, Record, Segment,
    SegmentKind,
};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::{Rule, Want};
use crate::checker::{Checker, NameMap, Scope};
use crate::constant::Constant;
use crate::graph::Node;
use crate::hir::{Amend, ExprId, ExprKind, FieldInit, Init, RecordItem};
use crate::index::Def;
use crate::relate::Misfit;
use crate::ty::{RecordId, Ty, TyKind};

/// A member of braces, taken out of the syntax tree so that paths can be shortened step by step.
#[derive(Clone, Copy)]
pub(crate) enum Pm<'a> {
    Field {
        path: &'a [Segment],
        field: &'a Field,
        op: Op<'a>,
    },
    Delete {
        path: &'a [Segment],
        span: Span,
    },
    Let(&'a Binding),
    Spread(&'a Expr),
    For {
        clauses: &'a [ForClause],
        condition: Option<&'a Expr>,
        body: &'a [Member],
        span: Span,
    },
    If {
        condition: &'a Expr,
        then: &'a [Member],
        otherwise: &'a [Member],
        span: Span,
    },
}

/// What a field does.
#[derive(Clone, Copy)]
pub(crate) enum Op<'a> {
    Set(&'a Expr),
    Append(&'a Expr),
    Amend(&'a Record),
    Declare,
}

impl<'a> Pm<'a> {
    /// The name of the first step, when it is one.
    pub(crate) fn name(&self) -> Option<(Name, Span)> {
        match self {
            Pm::Field {
                path:
                    [
                        Segment {
                            kind: SegmentKind::Name(name),
                            span,
                            ..
                        },
                        ..,
                    ],
                ..
            } => Some((*name, *span)),
            _ => None,
        }
    }

    /// The same member, seen from inside its first step.
    fn inner(&self) -> Option<Pm<'a>> {
        match self {
            Pm::Field { path, field, op } if path.len() > 1 => Some(Pm::Field {
                path: &path[1..],
                field,
                op: *op,
            }),
            _ => None,
        }
    }
}

/// Members by the name of their first step, so that all that say something of one field are found at once. Braces
/// with few members, which nearly all are, are searched as they stand.
pub(super) struct Groups(Option<NameMap<Vec<usize>>>);

impl Groups {
    /// From how many members on a table is worth its making.
    const MANY: usize = 24;

    pub(super) fn of(members: &[Pm<'_>]) -> Groups {
        if members.len() < Groups::MANY {
            return Groups(None);
        }
        let mut groups: NameMap<Vec<usize>> = NameMap::default();
        for (at, member) in members.iter().enumerate() {
            if let Some((name, _)) = member.name() {
                groups.entry(name).or_default().push(at);
            }
        }
        Groups(Some(groups))
    }

    /// The members with the name of the one at `at`; none when an earlier one stands for them.
    pub(super) fn same<'a>(
        &self,
        members: &[Pm<'a>],
        at: usize,
        name: Name,
    ) -> Option<Vec<Pm<'a>>> {
        if let Some(groups) = &self.0 {
            let group = groups.get(&name)?;
            return (group.first() == Some(&at))
                .then(|| group.iter().map(|at| members[*at]).collect());
        }
        let named = |member: &&Pm<'a>| member.name().is_some_and(|(n, _)| n == name);
        match members[..at].iter().any(|m| named(&m)) {
            true => None,
            false => Some(members[at..].iter().filter(named).copied().collect()),
        }
    }
}

impl<'a> Checker<'a> {
    /// The members of braces.
    pub(crate) fn members(&mut self, members: &'a [Member]) -> Vec<Pm<'a>> {
        let mut made = Vec::with_capacity(members.len());
        for member in members {
            made.push(match &member.kind {
                // Exemptions are looked at by themselves.
                MemberKind::Error | MemberKind::Exempt(_) => continue,
                MemberKind::Field(field) => {
                    let op = match &field.op {
                        FieldOp::Set(e) => Op::Set(e),
                        FieldOp::Append(e) => Op::Append(e),
                        FieldOp::Amend(record) => Op::Amend(record),
                        FieldOp::Declare => Op::Declare,
                    };
                    Pm::Field {
                        path: &field.path,
                        field,
                        op,
                    }
                }
                MemberKind::Delete(path) => Pm::Delete {
                    path,
                    span: member.span,
                },
                MemberKind::Let(binding) => Pm::Let(binding),
                MemberKind::Spread(e) => Pm::Spread(e),
                MemberKind::For {
                    clauses,
                    condition,
                    body,
                } => Pm::For {
                    clauses,
                    condition: condition.as_ref(),
                    body,
                    span: member.span,
                },
                MemberKind::If {
                    condition,
                    then,
                    otherwise,
                } => Pm::If {
                    condition,
                    then,
                    otherwise,
                    span: member.span,
                },
            });
        }
        made
    }

    /// A value made of members, of the expected type.
    pub(crate) fn construct(
        &mut self,
        sc: &mut Scope,
        want: Want,
        members: &[Pm<'a>],
        span: Span,
    ) -> ExprId {
        match self.kind(want.ty).clone() {
            TyKind::Record(id) => self.construct_record(sc, id, members, span, span),
            TyKind::Map(key, value) => self.construct_map(sc, want, (key, value), members, span),
            TyKind::Any => self.construct_any(sc, members, span),
            TyKind::Object => self.construct_object(sc, members, span),
            TyKind::Optional(inner) => self.construct(sc, want.part(inner), members, span),
            TyKind::Secret(inner) => {
                let id = self.construct(sc, want.part(inner), members, span);
                self.coerce(id, want)
            }
            TyKind::Union(options) => match self.option_for(&options, members) {
                Some(ty) => {
                    self.note_braces(span, ty);
                    self.construct(sc, want.part(ty), members, span)
                }
                None => {
                    let id = self.construct_free(sc, members, span);
                    self.mismatch(id, want, Misfit::Type)
                }
            },
            TyKind::Error => {
                self.construct_any(sc, members, span);
                self.error
            }
            TyKind::Param(_) => {
                let id = self.construct_free(sc, members, span);
                self.coerce(id, want)
            }
            _ => {
                let before = self.diagnostics.len();
                let id = self.construct_free(sc, members, span);
                // What is inside is not what is meant here: one message is enough.
                self.diagnostics.truncate(before);
                self.report_braces(id, want, span)
            }
        }
    }

    /// A new value of a record type.
    pub(crate) fn construct_record(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        members: &[Pm<'a>],
        span: Span,
        head: Span,
    ) -> ExprId {
        let object = self.object_name(id, members);
        let named = object.is_some();
        self.objects.extend(object);
        if !self.types.record(id).is_plain() {
            self.graph.edge(sc.owner, Node::Record(id), head);
        }
        let mark = sc.mark();
        // What the place of the value says need not be said again.
        let implied = self.implied.take().filter(|(record, _)| *record == id);
        let mut build = Build {
            items: Vec::new(),
            set: Vec::new(),
            maybe: Vec::new(),
            unsure: false,
            typos: implied.map(|(_, names)| names).unwrap_or_default(),
        };
        self.record_items(sc, id, members, &mut build);
        self.leave(sc, mark);
        self.missing(id, &build, head);
        let ty = self.types.intern(TyKind::Record(id));
        let literal = self.add(ExprKind::Record(id, build.items.into()), ty, span);
        self.judge(id, literal);
        if named {
            self.objects.pop();
        }
        literal
    }

    fn record_items(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        members: &[Pm<'a>],
        build: &mut Build,
    ) {
        let groups = Groups::of(members);
        for (at, member) in members.iter().enumerate() {
            match member {
                Pm::Field { path, field, .. } => match member.name() {
                    Some((name, span)) => {
                        let Some(same) = groups.same(members, at, name) else {
                            continue;
                        };
                        if name.is_empty() {
                            continue;
                        }
                        self.record_field(sc, id, name, span, &same, build);
                    }
                    None => {
                        build.unsure = true;
                        let span = path.first().map_or(field.path[0].span, |s| s.span);
                        self.computed_field(sc, id, &path[0], span);
                    }
                },
                Pm::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    build.items.push(RecordItem::Let(slot, value));
                }
                Pm::Spread(e) => {
                    let ty = self.types.intern(TyKind::Record(id));
                    let value = self.infer(sc, e);
                    if self.is_part_of(self.hir.ty(value), id) {
                        // Some fields of the record, by name.
                        let (slot, parts) = self.spread_parts(sc, value, id);
                        build.items.push(RecordItem::Let(slot, value));
                        for (field, value) in parts {
                            if !build.set.contains(&field) {
                                build.set.push(field);
                            }
                            let (span, init) = (e.span, Init::Set(value));
                            build
                                .items
                                .push(RecordItem::Field(FieldInit { field, span, init }));
                        }
                        continue;
                    }
                    let value = self.coerce(value, Want::new(ty));
                    build.unsure = true;
                    build.items.push(RecordItem::Spread(value));
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
                    let first = self.branch(sc, id, then, build);
                    sc.present.truncate(present);
                    self.assume(sc, facts, false);
                    let second = self.branch(sc, id, otherwise, build);
                    sc.present.truncate(present);
                    build.unsure |= first.unsure || second.unsure;
                    for branch in [&first, &second] {
                        build.maybe.extend(branch.set.iter().chain(&branch.maybe));
                    }
                    build
                        .set
                        .extend(first.set.iter().filter(|at| second.set.contains(at)));
                    build.typos.extend(first.typos.iter().chain(&second.typos));
                    build.items.push(RecordItem::If(
                        condition,
                        first.items.into(),
                        second.items.into(),
                    ));
                }
                Pm::For { span, .. } => {
                    build.unsure = true;
                    let name = self.types.record(id).name.clone();
                    self.report(
                        Diagnostic::error(
                            "E0202",
                            format!("the fields of {name} are fixed, `for` makes entries of a map"),
                        )
                        .label(*span, "here")
                        .help("write the fields out"),
                    );
                }
                Pm::Delete { span, .. } => {
                    self.report(
                        Diagnostic::error("E0307", "there is nothing to delete in a new value")
                            .label(*span, "here")
                            .help("leave the field out"),
                    );
                }
            }
        }
    }

    fn branch(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        members: &'a [Member],
        outer: &Build,
    ) -> Build {
        let mark = sc.mark();
        let members = self.members(members);
        let mut build = Build {
            items: Vec::new(),
            // A path inside amends what stands before it.
            set: Vec::new(),
            maybe: outer.maybe.clone(),
            unsure: outer.unsure,
            typos: Vec::new(),
        };
        let before = outer.set.clone();
        build.set = before.clone();
        self.record_items(sc, id, &members, &mut build);
        build.set.retain(|at| !before.contains(at));
        build.unsure = false;
        self.leave(sc, mark);
        build
    }

    /// All members that set one field.
    fn record_field(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        name: Name,
        span: Span,
        same: &[Pm<'a>],
        build: &mut Build,
    ) {
        let Some(at) = self.field_or_new(id, name) else {
            build.typos.extend(self.unknown_field(id, name, span));
            for member in same {
                if let Pm::Field { op, .. } = member {
                    self.look_inside(sc, op);
                }
            }
            return;
        };
        let field = &self.types.record(id).fields[at as usize];
        let (ty, is_final, has_default) = (field.ty, field.is_final, field.default.is_some());
        let want = Want {
            ty,
            rule: Rule::Field(id, at),
        };
        if is_final && has_default {
            self.set_final(id, at, span);
            return;
        }
        let mut whole: Option<(&'a Expr, Span, bool)> = None;
        let mut inner: Vec<Pm<'a>> = Vec::new();
        let mut appended: Option<(&'a Expr, Span)> = None;
        for member in same {
            let Pm::Field { path, field, op } = member else {
                continue;
            };
            let here = path[0].span;
            self.note(here, Def::Field(id, at), ty);
            match (path.len(), op) {
                (1, Op::Set(e)) => match whole {
                    Some((_, first, _)) => self.set_twice(name, here, first),
                    None => whole = Some((e, here, field.is_final)),
                },
                (1, Op::Append(e)) => appended = Some((e, here)),
                (1, Op::Amend(record)) => {
                    self.note_braces(record.span, ty);
                    inner.extend(self.members(&record.members));
                }
                (1, Op::Declare) => self.no_declaration(here),
                _ => inner.extend(member.inner()),
            }
        }
        // What a branch may have set is amended as well.
        let known =
            build.set.contains(&at) || build.maybe.contains(&at) || has_default || build.unsure;
        if !build.set.contains(&at) {
            build.set.push(at);
        }
        let mut push = |init: Init| {
            build.items.push(RecordItem::Field(FieldInit {
                field: at,
                span,
                init,
            }))
        };
        if let Some((e, _, is_final)) = whole {
            // `a = { … }` and `a.b = …` describe one value.
            if let (Ast::Record(record), false) = (&e.kind, inner.is_empty()) {
                self.note_braces(record.span, ty);
                let mut all = self.members(&record.members);
                all.append(&mut inner);
                inner = all;
                let value = self.construct(sc, want, &inner, e.span);
                push(Init::Set(value));
                inner.clear();
            } else {
                let value = self.check(sc, e, want);
                push(if is_final {
                    Init::Final(value)
                } else {
                    Init::Set(value)
                });
            }
        }
        if !inner.is_empty()
            || matches!(
                same,
                [Pm::Field {
                    op: Op::Amend(_),
                    ..
                }]
            ) && whole.is_none()
        {
            let braces = braces_of(same).unwrap_or(span);
            if whole.is_none() && !known {
                let value = self.construct(sc, want, &inner, braces);
                push(Init::Set(value));
            } else {
                let inside = self.types.without_optional(ty);
                let ops = self.amend_ops(sc, inside, &inner, Rule::Field(id, at));
                push(Init::Amend(Amend { ops: ops.into() }, inside));
            }
        }
        if let Some((e, _)) = appended {
            let value = self.check(sc, e, want);
            push(if known || whole.is_some() {
                Init::Append(value)
            } else {
                Init::Set(value)
            });
        }
    }

    /// Braces of which no type is known: an untyped value.
    pub(super) fn construct_any(
        &mut self,
        sc: &mut Scope,
        members: &[Pm<'a>],
        span: Span,
    ) -> ExprId {
        let want = Want::new(Ty::ANY);
        let id = self.construct_map(sc, want, (Ty::STRING, Ty::ANY), members, span);
        match self.hir.kind(id).clone() {
            kind @ ExprKind::Map(_) => self.add(kind, Ty::ANY, span),
            _ => id,
        }
    }

    /// The value of an expression that is a constant string, for messages.
    pub(crate) fn text_constant(&self, id: ExprId) -> Option<std::sync::Arc<str>> {
        match self.constant(id)? {
            Constant::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// A record literal in the making.
pub(super) struct Build {
    pub(super) items: Vec<RecordItem>,
    /// Fields that are set in any case.
    pub(super) set: Vec<u32>,
    /// Fields that are set in some case.
    pub(super) maybe: Vec<u32>,
    /// Whether fields may be set that are not known by name.
    pub(super) unsure: bool,
    /// Names that misspelled ones probably meant, and names that are given elsewhere: not missing.
    pub(super) typos: Vec<Name>,
}

/// The braces after the first member that has them.
fn braces_of(members: &[Pm<'_>]) -> Option<Span> {
    members.iter().find_map(|m| match m {
        Pm::Field {
            op: Op::Amend(record),
            path: [_],
            ..
        } => Some(record.span),
        _ => None,
    })
}
