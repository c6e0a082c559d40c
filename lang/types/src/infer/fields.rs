//! What is told about the fields of record literals, and which type braces without one are meant to be.

use ordain_lang_syntax::ast::{
    Expr, ExprKind as Ast, Field, FieldOp, MemberKind, Segment, SegmentKind,
};
use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_schemas::is_message;

use super::record::{Build, Op, Pm};
use super::{Rule, Want};
use crate::checker::{Checker, Scope};
use crate::hir::{ExprId, ExprKind, FieldInit, Init, RecordItem, Slot};
use crate::suggest::nearest;
use crate::ty::{Origin, RecordId, Ty, TyKind};

impl<'a> Checker<'a> {
    pub(crate) fn report_braces(&mut self, _id: ExprId, want: Want, span: Span) -> ExprId {
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
    pub(crate) fn option_for(&self, options: &[Ty], members: &[Pm<'a>]) -> Option<Ty> {
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
    pub(crate) fn construct_object(
        &mut self,
        sc: &mut Scope,
        members: &[Pm<'a>],
        span: Span,
    ) -> ExprId {
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
        if let Some(id) = self.crd_object(api, kind, api_span) {
            return self.construct_record(sc, id, members, span, span);
        }
        let made = self.construct_any(sc, members, span);
        if self.may_be_gone(api, kind, literal_name(members).as_deref()) {
            return made;
        }
        let version = self.k8s.table.version();
        let named: Vec<String> = self
            .k8s
            .table
            .kinds()
            .iter()
            .filter(|k| k.kind == kind)
            .map(|k| k.api_version())
            .collect();
        let diagnostic = if let Some(diagnostic) = self.crd_remedy(api, kind, api_span, kind_span) {
            diagnostic
        } else if named.is_empty() {
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
    pub(crate) fn object_name(&self, id: RecordId, members: &[Pm<'a>]) -> Option<String> {
        let gvk = self.types.record(id).gvk()?;
        Some(match literal_name(members) {
            Some(name) => format!("{} {name}", gvk.kind),
            None => gvk.kind.to_string(),
        })
    }

    /// Whether a value is an anonymous record whose fields are all fields of the record.
    pub(super) fn is_part_of(&self, ty: Ty, id: RecordId) -> bool {
        let TyKind::Record(from) = self.kind(ty) else {
            return false;
        };
        let (from, to) = (self.types.record(*from), self.types.record(id));
        from.origin == Origin::Anonymous && from.fields.iter().all(|f| to.field(f.name).is_some())
    }

    /// The fields of an anonymous record as fields of another: a slot for the record, and each field's position and value.
    pub(super) fn spread_parts(
        &mut self,
        sc: &mut Scope,
        value: ExprId,
        to: RecordId,
    ) -> (Slot, Vec<(u32, ExprId)>) {
        let slot = sc.fresh();
        let (ty, span) = (self.hir.ty(value), self.hir.span(value));
        let fields: Vec<(Name, Ty)> = self
            .types
            .as_record(ty)
            .map(|from| {
                self.types
                    .record(from)
                    .fields
                    .iter()
                    .map(|f| (f.name, f.ty))
                    .collect()
            })
            .unwrap_or_default();
        let mut parts = Vec::with_capacity(fields.len());
        for (from, (name, field_ty)) in fields.into_iter().enumerate() {
            let Some(at) = self.types.record(to).field(name) else {
                continue;
            };
            let local = self.add(ExprKind::Local(slot), ty, span);
            let part = self.add(ExprKind::Field(local, from as u32), field_ty, span);
            let wanted = self.types.record(to).fields[at as usize].ty;
            parts.push((
                at,
                self.coerce(
                    part,
                    Want {
                        ty: wanted,
                        rule: Rule::Field(to, at),
                    },
                ),
            ));
        }
        (slot, parts)
    }

    /// Tells the required fields that no member sets.
    pub(super) fn missing(&mut self, id: RecordId, build: &Build, head: Span) {
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
        if let Some(gvk) = def.gvk()
            && !is_message(self.k8s.table, &gvk.api_version, &gvk.kind)
        {
            self.nameless(id, build, head);
        }
    }

    /// An object needs a name, which Kubernetes' schema does not say.
    pub(super) fn nameless(&mut self, id: RecordId, build: &Build, head: Span) {
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
        // `metadata.nmae = …` has no literal around it, so the place is only bounded from the left: members are
        // checked before their record, and what follows it has not been looked at yet.
        let message = format!("{} has no field", meta_def.name);
        let told = self.diagnostics.iter().any(|d| {
            d.code == "E0201"
                && d.message.starts_with(&message)
                && d.help.as_deref().is_some_and(|h| h.contains("`name`"))
                && d.span()
                    .is_some_and(|s| s.file == head.file && head.start <= s.start)
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

    pub(crate) fn set_twice(&mut self, name: Name, again: Span, first: Span) {
        self.report(
            Diagnostic::error("E0208", format!("`{name}` is set twice"))
                .label(again, "set again here")
                .label(first, "set first here")
                .help("remove one of them"),
        );
    }

    pub(crate) fn no_declaration(&mut self, span: Span) {
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

    pub(crate) fn computed_field(
        &mut self,
        sc: &mut Scope,
        id: RecordId,
        segment: &'a Segment,
        span: Span,
    ) {
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

    /// The shortest path through records (not lists) to a field of a name, when it is near.
    fn deeper(&self, id: RecordId, name: Name) -> Option<String> {
        /// As deep as a Deployment's containers are.
        const LEVELS: usize = 4;
        let mut level: Vec<(RecordId, String)> = vec![(id, String::new())];
        for _ in 0..LEVELS {
            let mut next = Vec::new();
            for (record, path) in &level {
                for field in &self.types.record(*record).fields {
                    // What the cluster says of an object is not for specifications.
                    if field.name == "status" || field.name == "metadata" {
                        continue;
                    }
                    let Some(inner) = self.types.as_record(field.ty) else {
                        continue;
                    };
                    let path = format!("{path}{}.", field.name);
                    if self.types.record(inner).field(name).is_some() {
                        return Some(format!("{path}{name}"));
                    }
                    next.push((inner, path));
                }
            }
            level = next;
        }
        None
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
        if let Some(other) = self.k8s.version_with(id, name.as_str()) {
            let own = self.k8s.table.version();
            let note = format!("Kubernetes {other} has it, this is for {own}");
            self.report(diagnostic.note(note));
            return None;
        }
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            if let Some(rule) = near_span {
                diagnostic = diagnostic.label(rule, format!("`{near}` is declared here"));
            }
        } else {
            // A field that stands deeper: `containers` of a Deployment.
            if let Some(path) = self.deeper(id, name) {
                diagnostic = diagnostic.help(format!("write `{path}`"));
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

/// The name that members say outright: `metadata.name = "…"`.
fn literal_name(members: &[Pm<'_>]) -> Option<String> {
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
    name
}
