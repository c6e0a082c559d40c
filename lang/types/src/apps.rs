//! Apps: their fields are those of a record, checked in turn or when another field asks.

use std::sync::Arc;

use ordain_lang_syntax::ast::{FieldOp, Ident, MemberKind, SegmentKind};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::{AppField, Checker, State};
use crate::graph::Node;
use crate::hir::Body;
use crate::index::Def;
use crate::infer::{Rule, Want};
use crate::program::AppId;
use crate::resolve::TypeScope;
use crate::ty::{FieldDef, Ty, TyKind};

impl<'a> Checker<'a> {
    /// Makes the fields of every app; their values are checked in turn or on demand.
    pub(crate) fn declare_apps(&mut self) {
        for at in 0..self.apps.len() {
            let (decl, record, module) = (
                self.apps[at].decl,
                self.apps[at].record,
                self.apps[at].module,
            );
            let placeholder = Body {
                expr: self.error,
                slots: 0,
            };
            let mut defs: Vec<FieldDef> = Vec::new();
            let mut fields: Vec<AppField<'a>> = Vec::new();
            for member in &decl.body.members {
                let (name, declared, value, doc, is_final) = match &member.kind {
                    MemberKind::Error | MemberKind::Exempt(_) => continue,
                    MemberKind::Let(binding) => (
                        binding.name,
                        binding.ty.as_ref(),
                        Some(&binding.value),
                        None,
                        true,
                    ),
                    MemberKind::Field(field) => {
                        let name = match field.path.as_slice() {
                            [segment] => match &segment.kind {
                                SegmentKind::Name(name) => Some(Ident {
                                    name: *name,
                                    span: segment.span,
                                }),
                                _ => None,
                            },
                            _ => None,
                        };
                        let value = match &field.op {
                            FieldOp::Set(e) => Some(Some(e)),
                            FieldOp::Declare => Some(None),
                            FieldOp::Append(_) | FieldOp::Amend(_) => None,
                        };
                        match (name, value) {
                            (Some(name), Some(value)) => (
                                name,
                                field.ty.as_ref(),
                                value,
                                field.doc.as_deref(),
                                field.is_final,
                            ),
                            _ => {
                                self.app_member(member.span);
                                continue;
                            }
                        }
                    }
                    _ => {
                        self.app_member(member.span);
                        continue;
                    }
                };
                if let Some(first) = defs.iter().find(|f| f.name == name.name) {
                    let first = first.span.unwrap_or(name.span);
                    self.set_twice(name.name, name.span, first);
                    continue;
                }
                defs.push(FieldDef {
                    name: name.name,
                    ty: Ty::ERROR,
                    required: value.is_none(),
                    default: value.map(|_| placeholder),
                    is_final,
                    span: Some(declared.map_or(name.span, |te| name.span.to(te.span))),
                    doc: doc.map(Arc::from),
                });
                fields.push(AppField {
                    declared,
                    value,
                    state: State::Todo,
                });
            }
            let _ = module;
            if !defs.iter().any(|f| f.name == "objects") {
                self.report(
                    Diagnostic::error(
                        "E0401",
                        format!("the app `{}` has no objects", decl.name.name),
                    )
                    .label(decl.name.span, "this app")
                    .help("add `objects = […]`"),
                );
            }
            let def = self.types.record_mut(record);
            def.by_name = defs
                .iter()
                .enumerate()
                .map(|(at, f)| (f.name, at as u32))
                .collect();
            def.required = (0..defs.len() as u32)
                .filter(|at| defs[*at as usize].required)
                .collect();
            def.fields = defs;
            self.apps[at].fields = fields;
        }
    }

    pub(crate) fn app_member(&mut self, span: Span) {
        self.report(
            Diagnostic::error(
                "E0404",
                "an app's body has fields only: `name = value` or `name: Type = value`",
            )
            .label(span, "not possible here")
            .help("put it into the value of a field, such as `objects = [ … ]`"),
        );
    }

    pub(crate) fn app_field(&mut self, app: AppId, at: usize, asked: Option<Span>) {
        let item = &mut self.apps[app.index()];
        let field = item.fields[at];
        let (record, module) = (item.record, item.module);
        match field.state {
            State::Done => return,
            State::Doing => {
                let def = &self.types.record(record).fields[at];
                if def.ty == Ty::ERROR {
                    let (name, first) = (def.name, def.span);
                    let asked = asked.or(first);
                    if let Some(asked) = asked {
                        self.cycle(
                            &format!("the field `{name}`"),
                            first.unwrap_or(asked),
                            asked,
                        );
                    }
                }
                return;
            }
            State::Todo => item.fields[at].state = State::Doing,
        }
        let objects = std::mem::take(&mut self.objects);
        let mut sc = self.scope(module, Node::Root);
        sc.self_record = Some(record);
        sc.self_app = Some(app);
        let name = self.types.record(record).fields[at].name;
        let declared = match field.declared {
            Some(te) => Some(self.resolve(&TypeScope { module, args: &[] }, te)),
            None if name == "objects" => Some(self.types.list(Ty::OBJECT)),
            None => None,
        };
        if let Some(ty) = declared {
            self.types.record_mut(record).fields[at].ty = ty;
        }
        let body = field.value.map(|value| {
            let expr = match declared {
                Some(ty) => self.check(
                    &mut sc,
                    value,
                    Want {
                        ty,
                        rule: Rule::Field(record, at as u32),
                    },
                ),
                None => self.infer(&mut sc, value),
            };
            Body {
                expr,
                slots: sc.slots(),
            }
        });
        self.leave(&mut sc, 0);
        self.objects = objects;
        let inferred = body.map(|b| self.hir.ty(b.expr));
        let def = &mut self.types.record_mut(record).fields[at];
        if let (None, Some(ty)) = (declared, inferred) {
            def.ty = ty;
        }
        if body.is_some() {
            def.default = body;
        }
        let ty = def.ty;
        // What is only declared and may be absent is absent until somebody sets it.
        if matches!(self.kind(ty), TyKind::Optional(_) | TyKind::Any) {
            let def = self.types.record_mut(record);
            def.fields[at].required = false;
            def.required.retain(|pos| *pos != at as u32);
        }
        let def = &mut self.types.record_mut(record).fields[at];
        let (ty, name_span) = (def.ty, def.span);
        if let Some(span) = name_span {
            let end = span.end.min(span.start + name.as_str().len() as u32);
            let def = Def::Field(record, at as u32);
            self.note_definition(Span { end, ..span }, def, ty);
        }
        self.apps[app.index()].fields[at].state = State::Done;
    }
}
