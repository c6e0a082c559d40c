//! Record literals: fields by name, paths nested, defaults amended, missing and unknown fields told.

use ordain_lang_syntax::ast::{
    Binding, Expr, ExprKind as Ast, Field, FieldOp, ForClause, Member, MemberKind, Record, Segment,
    SegmentKind,
};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::{Rule, Want};
use crate::checker::{Checker, Scope};
use crate::constant::Constant;
use crate::graph::Node;
use crate::hir::{Amend, ExprId, ExprKind, FieldInit, Init, RecordItem};
use crate::relate::{Fit, Misfit};
use crate::suggest::nearest;
use crate::ty::{Origin, RecordId, Ty, TyKind};

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

impl<'a> Checker<'a> {
    /// The members of braces.
    pub(crate) fn members(&mut self, members: &'a [Member]) -> Vec<Pm<'a>> {
        let mut made = Vec::with_capacity(members.len());
        for member in members {
            made.push(match &member.kind {
                MemberKind::Error => continue,
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
                Some(ty) => self.construct(sc, want.part(ty), members, span),
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

    fn report_braces(&mut self, _id: ExprId, want: Want, span: Span) -> ExprId {
        let shown = self.show(want.ty);
        let mut diagnostic =
            Diagnostic::error("E0202", format!("expected `{shown}`, found a record")).label(
                Span {
                    end: span.start + 1,
                    ..span
                },
                "braces make a record",
            );
        if matches!(self.kind(want.ty), TyKind::List(_)) {
            diagnostic = diagnostic.help("write a list of it: `[{ … }]`");
        }
        let diagnostic = self.with_rule(diagnostic, want);
        self.report(diagnostic);
        self.error
    }

    /// The member of a union that braces with these names make.
    fn option_for(&self, options: &[Ty], members: &[Pm<'a>]) -> Option<Ty> {
        let braces = |ty: &&Ty| {
            matches!(
                self.kind(**ty),
                TyKind::Record(_) | TyKind::Map(..) | TyKind::Any | TyKind::Object
            )
        };
        let fitting: Vec<Ty> = options.iter().filter(braces).copied().collect();
        let score = |ty: &Ty| match self.types.as_record(*ty) {
            Some(id) => {
                let def = self.types.record(id);
                let known = members
                    .iter()
                    .filter_map(Pm::name)
                    .filter(|(n, _)| def.field(*n).is_some());
                let required = def.required.iter().filter(|at| {
                    let name = def.fields[**at as usize].name;
                    members
                        .iter()
                        .any(|m| m.name().is_some_and(|(n, _)| n == name))
                });
                known.count() * 2 + required.count()
            }
            None => 0,
        };
        fitting.into_iter().rev().max_by_key(score)
    }

    /// An object whose kind its own `apiVersion` and `kind` say.
    fn construct_object(&mut self, sc: &mut Scope, members: &[Pm<'a>], span: Span) -> ExprId {
        let text = |wanted: &str| {
            members.iter().find_map(|m| match m {
                Pm::Field {
                    path: [_],
                    op: Op::Set(e),
                    ..
                } if m.name().is_some_and(|(n, _)| n == *wanted) => match &e.kind {
                    Ast::Str(text) => Some((&**text, e.span)),
                    _ => None,
                },
                _ => None,
            })
        };
        let (Some((api, api_span)), Some((kind, kind_span))) = (text("apiVersion"), text("kind"))
        else {
            let missing = if text("apiVersion").is_none() {
                "apiVersion"
            } else {
                "kind"
            };
            self.construct_any(sc, members, span);
            self.report(
                Diagnostic::error("E0402", format!("an object needs a constant `{missing}`"))
                    .label(Span { end: span.start + 1, ..span }, "this object")
                    .help("name its kind in front: `k8s.Deployment { … }`, or set `apiVersion` and `kind`"),
            );
            return self.error;
        };
        if let Some(id) = self.k8s.object(&mut self.types, &mut self.hir, api, kind) {
            return self.construct_record(sc, id, members, span, span);
        }
        self.construct_any(sc, members, span);
        let version = self.k8s.table.version();
        let named: Vec<String> = self
            .k8s
            .table
            .kinds()
            .iter()
            .filter(|k| k.kind == kind)
            .map(|k| k.api_version())
            .collect();
        let diagnostic = if named.is_empty() {
            let near = nearest(kind, self.k8s.kind_names());
            let diagnostic = Diagnostic::error(
                "E0105",
                format!("Kubernetes {version} has no kind `{kind}`"),
            )
            .label(kind_span, "not found");
            match near {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic,
            }
        } else {
            Diagnostic::error(
                "E0105",
                format!("Kubernetes {version} has no `{kind}` in `{api}`"),
            )
            .label(api_span, "not found")
            .help(format!("write \"{}\"", named.join("\" or \"")))
        };
        self.report(diagnostic);
        self.error
    }

    /// How messages call the object that members describe.
    fn object_name(&self, id: RecordId, members: &[Pm<'a>]) -> Option<String> {
        let gvk = self.types.record(id).gvk()?;
        let mut name = None;
        for member in members {
            let Some((first, _)) = member.name() else {
                continue;
            };
            if first != "metadata" {
                continue;
            }
            if name.is_some() {
                break;
            }
            name = match member {
                Pm::Field {
                    path: [_, second],
                    op: Op::Set(e),
                    ..
                } if is_name(second) => text_of(e),
                Pm::Field { path: [_], op, .. } => {
                    let r = match op {
                        Op::Set(Expr {
                            kind: Ast::Record(r),
                            ..
                        }) => r,
                        Op::Amend(r) => r,
                        _ => continue,
                    };
                    r.members.iter().find_map(|m| match &m.kind {
                        MemberKind::Field(Field {
                            path,
                            op: FieldOp::Set(e),
                            ..
                        }) if path.len() == 1 && is_name(&path[0]) => text_of(e),
                        _ => None,
                    })
                }
                _ => None,
            };
        }
        Some(match name {
            Some(name) => format!("{} {name}", gvk.kind),
            None => gvk.kind.to_string(),
        })
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
        let mut build = Build {
            items: Vec::new(),
            set: Vec::new(),
            unsure: false,
            typos: Vec::new(),
        };
        self.record_items(sc, id, members, &mut build);
        self.leave(sc, mark);
        self.missing(id, &build, head);
        if named {
            self.objects.pop();
        }
        let ty = self.types.intern(TyKind::Record(id));
        self.add(ExprKind::Record(id, build.items.into()), ty, span)
    }

    /// Tells the required fields that no member sets.
    fn missing(&mut self, id: RecordId, build: &Build, head: Span) {
        if build.unsure {
            return;
        }
        let def = self.types.record(id);
        let missing: Vec<u32> = def
            .required
            .iter()
            .copied()
            .filter(|at| !build.set.contains(at))
            // A misspelled name is told as such.
            .filter(|at| !build.typos.contains(&def.fields[*at as usize].name))
            .collect();
        for at in missing {
            let def = self.types.record(id);
            let field = &def.fields[at as usize];
            let (name, shown) = (field.name, self.show(field.ty));
            let short = match head.end - head.start {
                0..=60 => head,
                _ => Span {
                    end: head.start + 1,
                    ..head
                },
            };
            let mut diagnostic = Diagnostic::error(
                "E0204",
                format!("{} needs `{name}`", self.types.record(id).name),
            )
            .label(short, format!("`{name}` is missing"))
            .help(format!("add `{name} = …`, a `{shown}`"));
            diagnostic = match (field.span, &def.origin) {
                (Some(span), _) => {
                    diagnostic.label(span, format!("`{name}` is required: it has no default"))
                }
                (None, Origin::Kubernetes(_)) => {
                    diagnostic.note(format!("Kubernetes requires `{name}` of {}", def.name))
                }
                _ => diagnostic,
            };
            self.report(diagnostic);
        }
        let def = self.types.record(id);
        if def.gvk().is_some() {
            self.nameless(id, build, head);
        }
    }

    /// An object needs a name, which Kubernetes' schema does not say.
    fn nameless(&mut self, id: RecordId, build: &Build, head: Span) {
        let def = self.types.record(id);
        let Some(at) = def.field(Name::new("metadata")) else {
            return;
        };
        let metadata = build.items.iter().find_map(|item| match item {
            RecordItem::Field(FieldInit {
                field,
                init: Init::Set(value),
                ..
            }) if *field == at => Some(*value),
            _ => None,
        });
        let Some(metadata) = metadata else { return };
        let ExprKind::Record(meta, items) = self.hir.kind(metadata) else {
            return;
        };
        let meta_def = self.types.record(*meta);
        let sets = |name: &str| {
            let at = meta_def.field(Name::new(name));
            items.iter().any(|item| match item {
                RecordItem::Field(init) => Some(init.field) == at,
                RecordItem::Let(..) => false,
                RecordItem::If(..) | RecordItem::Spread(_) => true,
            })
        };
        if sets("name") || sets("generateName") {
            return;
        }
        // A misspelled name is told as such.
        let meta_span = self.hir.span(metadata);
        let told = self.diagnostics.iter().any(|d| {
            d.code == "E0201"
                && d.help.as_deref().is_some_and(|h| h.contains("`name`"))
                && d.span()
                    .is_some_and(|s| meta_span.start <= s.start && s.end <= meta_span.end)
        });
        if told {
            return;
        }
        let kind = def.name.clone();
        self.report(
            Diagnostic::error("E0204", format!("{kind} needs `metadata.name`"))
                .label(
                    Span {
                        end: head.start + 1,
                        ..head
                    },
                    "`metadata.name` is missing",
                )
                .help("add `metadata.name = \"…\"`"),
        );
    }

    fn record_items(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        members: &[Pm<'a>],
        build: &mut Build,
    ) {
        let mut done: Vec<Name> = Vec::new();
        for (at, member) in members.iter().enumerate() {
            match member {
                Pm::Field { path, field, .. } => match member.name() {
                    Some((name, span)) => {
                        if done.contains(&name) || name.is_empty() {
                            continue;
                        }
                        done.push(name);
                        let same: Vec<Pm<'a>> = members[at..]
                            .iter()
                            .filter(|m| m.name().is_some_and(|(n, _)| n == name))
                            .copied()
                            .collect();
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
                    let value = match self.fit(self.hir.ty(value), ty) {
                        // Some fields of the record, from a record without a name.
                        Fit::No(_) if self.is_part_of(self.hir.ty(value), id) => value,
                        _ => self.coerce(value, Want::new(ty)),
                    };
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

    /// Whether an anonymous record's fields are all fields of the record.
    fn is_part_of(&self, ty: Ty, id: RecordId) -> bool {
        let Some(from) = self.types.as_record(ty).map(|r| self.types.record(r)) else {
            return false;
        };
        let to = self.types.record(id);
        from.origin == Origin::Anonymous
            && from.fields.iter().all(|f| {
                let at = to.field(f.name);
                at.is_some_and(|at| {
                    !matches!(self.fit(f.ty, to.fields[at as usize].ty), Fit::No(_))
                })
            })
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
        let Some(at) = self.types.record(id).field(name) else {
            if self.types.record(id).open {
                return;
            }
            build.typos.extend(self.unknown_field(id, name, span));
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
            match (path.len(), op) {
                (1, Op::Set(e)) => match whole {
                    Some((_, first, _)) => self.set_twice(name, here, first),
                    None => whole = Some((e, here, field.is_final)),
                },
                (1, Op::Append(e)) => appended = Some((e, here)),
                (1, Op::Amend(record)) => inner.extend(self.members(&record.members)),
                (1, Op::Declare) => self.no_declaration(here),
                _ => inner.extend(member.inner()),
            }
        }
        let known = build.set.contains(&at) || has_default || build.unsure;
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

    pub(crate) fn set_twice(&mut self, name: Name, again: Span, first: Span) {
        self.report(
            Diagnostic::error("E0208", format!("`{name}` is set twice"))
                .label(again, "set again here")
                .label(first, "set first here")
                .help("remove one of them"),
        );
    }

    fn no_declaration(&mut self, span: Span) {
        self.report(
            Diagnostic::error("E0202", "a value is missing here")
                .label(span, "no value")
                .help("write `name = value`; only an app's body declares fields without one"),
        );
    }

    pub(crate) fn set_final(&mut self, id: RecordId, at: u32, span: Span) {
        let field = &self.types.record(id).fields[at as usize];
        let mut diagnostic = Diagnostic::error("E0303", format!("`{}` is final", field.name))
            .label(span, "set here")
            .help("remove this; a final field keeps its first value");
        if let Some(rule) = field.span {
            diagnostic = diagnostic.label(rule, "made final here");
        }
        self.report(diagnostic);
    }

    fn computed_field(&mut self, sc: &mut Scope, id: RecordId, segment: &'a Segment, span: Span) {
        if let SegmentKind::Computed(e) = &segment.kind {
            self.infer(sc, e);
        }
        let name = self.types.record(id).name.clone();
        self.report(
            Diagnostic::error("E0202", format!("the fields of {name} have fixed names"))
                .label(span, "a computed name")
                .help("write the field's name"),
        );
    }

    /// Reports a field that a record does not have; gives back the name that was probably meant.
    pub(crate) fn unknown_field(&mut self, id: RecordId, name: Name, span: Span) -> Option<Name> {
        let def = self.types.record(id);
        let near =
            nearest(name.as_str(), def.fields.iter().map(|f| f.name.as_str())).map(Name::new);
        let near_span = near
            .and_then(|n| def.field(n))
            .and_then(|at| def.fields[at as usize].span);
        let title = def.name.clone();
        let fields = def
            .fields
            .iter()
            .map(|f| f.name.as_str())
            .collect::<Vec<_>>();
        /// How many fields a note lists.
        const LISTED: usize = 12;
        let mut diagnostic = Diagnostic::error("E0201", format!("{title} has no field `{name}`"))
            .label(span, "unknown field");
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            if let Some(rule) = near_span {
                diagnostic = diagnostic.label(rule, format!("`{near}` is declared here"));
            }
        } else {
            // A field that stands one level deeper: `containers` belongs into `spec`.
            let deeper = def.fields.iter().find(|f| {
                self.types
                    .as_record(f.ty)
                    .is_some_and(|inner| self.types.record(inner).field(name).is_some())
            });
            if let Some(outer) = deeper {
                diagnostic = diagnostic.help(format!("write `{}.{name}`", outer.name));
            } else if fields.len() <= LISTED && !fields.is_empty() {
                diagnostic = diagnostic.note(format!("its fields are {}", fields.join(", ")));
            }
            if let Some(rule) = def.span {
                diagnostic = diagnostic.label(rule, "declared here");
            }
        }
        self.report(diagnostic);
        near
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
struct Build {
    items: Vec<RecordItem>,
    /// Fields that are set in any case.
    set: Vec<u32>,
    /// Whether fields may be set that are not known by name.
    unsure: bool,
    /// Names that misspelled ones probably meant.
    typos: Vec<Name>,
}

fn is_name(segment: &Segment) -> bool {
    matches!(&segment.kind, SegmentKind::Name(name) if *name == "name")
}

fn text_of(e: &Expr) -> Option<String> {
    match &e.kind {
        Ast::Str(text) => Some(text.to_string()),
        _ => None,
    }
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
