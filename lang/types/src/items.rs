//! Items: constants, functions, record defaults and apps, each checked once, on demand or in turn.

use std::sync::Arc;

use ordain_lang_syntax::ast::{Expr, Ident};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::{Checker, DEPTH_LIMIT, PendingRecord, Scope, State};
use crate::graph::Node;
use crate::hir::Body;
use crate::index::Def;
use crate::infer::{Rule, Want};
use crate::program::{AppId, FnId, LetId};
use crate::resolve::TypeScope;
use crate::ty::{Assert, Origin, RecordId, Ty, TyKind};

impl<'a> Checker<'a> {
    pub(crate) fn scope(&self, module: usize, owner: Node) -> Scope {
        Scope::new(module, owner)
    }

    /// Makes every type declaration, also those that nothing uses.
    pub(crate) fn check_types(&mut self) {
        for item in 0..self.type_items.len() {
            let decl = self.type_items[item].decl;
            let span = decl.name.span;
            if decl.params.is_empty() {
                self.instance(item, &[], span);
            } else {
                // A generic type is checked with its parameters standing for themselves.
                let args: Vec<Ty> = decl
                    .params
                    .iter()
                    .map(|p| self.types.intern(TyKind::Param(p.name)))
                    .collect();
                self.instance(item, &args, span);
            }
        }
        self.check_pending();
    }

    /// Checks defaults and asserts of the records made so far.
    pub(crate) fn check_pending(&mut self) {
        while let Some(pending) = self.pending.pop() {
            self.record_bodies(pending);
        }
    }

    fn record_bodies(&mut self, pending: PendingRecord<'a>) {
        let PendingRecord {
            record,
            module,
            body,
            type_args,
        } = pending;
        let mut fields_done: Vec<u32> = Vec::new();
        for field in &body.fields {
            let Some(at) = self.types.record(record).field(field.name.name) else {
                continue;
            };
            if fields_done.contains(&at) {
                continue;
            }
            fields_done.push(at);
            let ty = self.types.record(record).fields[at as usize].ty;
            self.note_definition(field.name.span, Def::Field(record, at), ty);
            let Some(default) = &field.default else {
                continue;
            };
            let mut sc = self.record_scope(module, record, &type_args);
            let ty = self.types.record(record).fields[at as usize].ty;
            let expr = self.check(
                &mut sc,
                default,
                Want {
                    ty,
                    rule: Rule::Field(record, at),
                },
            );
            self.leave(&mut sc, 0);
            let made = Body {
                expr,
                slots: sc.slots(),
            };
            self.types.record_mut(record).fields[at as usize].default = Some(made);
        }
        let mut asserts = Vec::with_capacity(body.asserts.len());
        for assert in &body.asserts {
            let mut sc = self.record_scope(module, record, &type_args);
            let (condition, _) = self.condition(&mut sc, &assert.condition);
            let condition = Body {
                expr: condition,
                slots: sc.slots(),
            };
            self.leave(&mut sc, 0);
            let message = assert.message.as_ref().map(|m| {
                let mut sc = self.record_scope(module, record, &type_args);
                let expr = self.check(&mut sc, m, Want::new(Ty::STRING));
                self.leave(&mut sc, 0);
                Body {
                    expr,
                    slots: sc.slots(),
                }
            });
            asserts.push(Assert {
                condition,
                message,
                span: assert.span,
            });
        }
        self.types.record_mut(record).asserts = asserts;
    }

    fn record_scope(
        &self,
        module: usize,
        record: RecordId,
        type_args: &[(ordain_lang_syntax::Name, Ty)],
    ) -> Scope {
        let mut sc = self.scope(module, Node::Record(record));
        sc.self_record = Some(record);
        sc.type_args = type_args.to_vec();
        sc
    }

    /// The type of a field; an app's fields are checked when first asked for.
    pub(crate) fn field_ty(&mut self, record: RecordId, at: u32, span: Span) -> Ty {
        if self.types.record(record).origin == Origin::App
            && let Some(app) = self.app_records.get(&record).copied()
        {
            self.app_field(app, at as usize, Some(span));
        }
        self.types.record(record).fields[at as usize].ty
    }

    /// The type of a constant.
    pub(crate) fn let_ty(&mut self, id: LetId, at: Span) -> Ty {
        match self.lets[id.index()].state {
            State::Done => {}
            State::Doing => {
                let item = &self.lets[id.index()];
                let name = item.name;
                if let Some(te) = item.declared {
                    // Its type is known; the cycle is told when all dependencies are.
                    let module = item.module;
                    return self.resolve(&TypeScope { module, args: &[] }, te);
                }
                self.cycle(&format!("the constant `{}`", name.name), name.span, at);
                return Ty::ERROR;
            }
            State::Todo if self.depth >= DEPTH_LIMIT => {
                let item = &self.lets[id.index()];
                let (module, declared) = (item.module, item.declared);
                return match declared {
                    Some(te) => self.resolve(&TypeScope { module, args: &[] }, te),
                    None => self.too_deep(at),
                };
            }
            State::Todo => {
                self.depth += 1;
                self.check_let_item(id);
                self.depth -= 1;
            }
        }
        self.lets[id.index()].ty
    }

    fn too_deep(&mut self, at: Span) -> Ty {
        self.report(
            Diagnostic::error(
                "E0113",
                format!(
                    "more than {DEPTH_LIMIT} constants and functions need one another's types here"
                ),
            )
            .label(at, "its type is not known yet")
            .help("give it a type: `let name: Type = …`, `fn name() -> Type = …`"),
        );
        Ty::ERROR
    }

    pub(crate) fn cycle(&mut self, what: &str, first: Span, at: Span) {
        self.report(
            Diagnostic::error("E0107", format!("{what} depends on itself"))
                .label(at, "needed here to find its own type")
                .label(first, "defined here")
                .help("break the cycle: the language has no recursion"),
        );
    }

    fn check_let_item(&mut self, id: LetId) {
        let item = &mut self.lets[id.index()];
        item.state = State::Doing;
        let (module, declared, value, exported, name) = (
            item.module,
            item.declared,
            item.value,
            item.exported,
            item.name,
        );
        let objects = std::mem::take(&mut self.objects);
        let mut sc = self.scope(module, Node::Let(id));
        let (expr, ty) = match declared {
            Some(te) => {
                let ty = self.resolve(&TypeScope { module, args: &[] }, te);
                self.lets[id.index()].ty = ty;
                (self.check(&mut sc, value, Want::at(ty, te.span)), ty)
            }
            None if exported => self.export_value(&mut sc, value),
            None => {
                let expr = self.infer(&mut sc, value);
                (expr, self.hir.ty(expr))
            }
        };
        self.leave(&mut sc, 0);
        self.objects = objects;
        let exports_objects = self.is_objects(ty);
        let constant = self.constant(expr);
        let item = &mut self.lets[id.index()];
        item.constant = constant;
        item.ty = ty;
        item.body = Body {
            expr,
            slots: sc.slots(),
        };
        item.state = State::Done;
        if exported && !exports_objects {
            let shown = self.show(ty);
            let span = if name.name.is_empty() {
                value.span
            } else {
                name.span
            };
            self.report(
                Diagnostic::error("E0403", "an export is an object or a list of objects")
                    .label(span, format!("this is `{shown}`"))
                    .help(
                        "export `k8s.Deployment { … }` or the like; for other values write `let`",
                    ),
            );
        }
    }

    /// Whether a type is an object, or a list of objects.
    fn is_objects(&self, ty: Ty) -> bool {
        match self.kind(ty) {
            TyKind::Error | TyKind::Object | TyKind::Any | TyKind::Never => true,
            TyKind::Record(id) => self.types.record(*id).gvk().is_some(),
            TyKind::List(list) => self.is_objects(list.item),
            TyKind::Optional(inner) => self.is_objects(*inner),
            TyKind::Union(members) => members.iter().all(|m| self.is_objects(*m)),
            _ => false,
        }
    }

    /// The value of an `export` without a type: braces and lists are objects.
    fn export_value(&mut self, sc: &mut Scope, value: &'a Expr) -> (crate::hir::ExprId, Ty) {
        use ordain_lang_syntax::ast::ExprKind as Ast;
        let expr = match &value.kind {
            Ast::Record(_) => self.check(sc, value, Want::new(Ty::OBJECT)),
            Ast::List(_) => {
                let list = self.types.list(Ty::OBJECT);
                self.check(sc, value, Want::new(list))
            }
            _ => self.infer(sc, value),
        };
        (expr, self.hir.ty(expr))
    }

    /// The types of a function's parameters.
    pub(crate) fn fn_params(&mut self, id: FnId) -> Arc<[Ty]> {
        if let Some(params) = &self.fns[id.index()].params {
            return Arc::clone(params);
        }
        let item = &self.fns[id.index()];
        let (module, decl) = (item.module, item.decl);
        let args = self.fn_type_args(id);
        let sc = TypeScope {
            module,
            args: &args,
        };
        let mut tys = Vec::with_capacity(decl.params.len());
        for param in &decl.params {
            tys.push(match &param.ty {
                Some(te) => self.resolve(&sc, te),
                None => {
                    if !param.name.name.is_empty() {
                        self.report(
                            Diagnostic::error(
                                "E0222",
                                format!("the parameter `{}` needs a type", param.name.name),
                            )
                            .label(param.span, "no type")
                            .help(format!("write `{}: Type`", param.name.name)),
                        );
                    }
                    Ty::ERROR
                }
            });
        }
        let ret = decl.result.as_ref().map(|te| self.resolve(&sc, te));
        let params: Arc<[Ty]> = tys.into();
        let item = &mut self.fns[id.index()];
        item.params = Some(Arc::clone(&params));
        if let Some(ret) = ret {
            item.ret = ret;
        }
        params
    }

    fn fn_type_args(&mut self, id: FnId) -> Vec<(ordain_lang_syntax::Name, Ty)> {
        let decl = self.fns[id.index()].decl;
        decl.type_params
            .iter()
            .map(|p| (p.name, self.types.intern(TyKind::Param(p.name))))
            .collect()
    }

    /// The type of a function's value: declared, or that of its body.
    pub(crate) fn fn_ret(&mut self, id: FnId, at: Span) -> Ty {
        self.fn_params(id);
        let item = &self.fns[id.index()];
        if item.decl.result.is_some() {
            return item.ret;
        }
        match item.state {
            State::Done => {}
            State::Doing => {
                let name = item.decl.name;
                self.cycle(&format!("the function `{}`", name.name), name.span, at);
                return Ty::ERROR;
            }
            State::Todo if self.depth >= DEPTH_LIMIT => return self.too_deep(at),
            State::Todo => {
                self.depth += 1;
                self.check_fn(id);
                self.depth -= 1;
            }
        }
        self.fns[id.index()].ret
    }

    fn check_fn(&mut self, id: FnId) {
        let params = self.fn_params(id);
        let item = &mut self.fns[id.index()];
        if item.state != State::Todo {
            return;
        }
        item.state = State::Doing;
        let (module, decl, ret) = (item.module, item.decl, item.ret);
        let objects = std::mem::take(&mut self.objects);
        let mut sc = self.scope(module, Node::Fn(id));
        sc.type_args = self.fn_type_args(id);
        let mut defaults = Vec::with_capacity(params.len());
        let mut seen: Vec<Ident> = Vec::new();
        for (param, ty) in decl.params.iter().zip(params.iter()) {
            if let Some(first) = seen
                .iter()
                .find(|p| p.name == param.name.name && !p.name.is_empty())
            {
                self.report(
                    Diagnostic::error(
                        "E0103",
                        format!("the parameter `{}` is defined twice", first.name),
                    )
                    .label(param.name.span, "defined again here")
                    .label(first.span, "defined first here")
                    .help("give one of them another name"),
                );
            }
            seen.push(param.name);
            sc.bind(param.name, *ty, true);
        }
        for (param, ty) in decl.params.iter().zip(params.iter()) {
            defaults.push(param.default.as_ref().map(|d| {
                let rule = param.ty.as_ref().map_or(param.span, |t| t.span);
                self.check(&mut sc, d, Want::at(*ty, rule))
            }));
        }
        let (expr, ret) = match &decl.result {
            Some(te) => (self.check(&mut sc, &decl.body, Want::at(ret, te.span)), ret),
            None => {
                let expr = self.infer(&mut sc, &decl.body);
                (expr, self.hir.ty(expr))
            }
        };
        self.leave(&mut sc, 0);
        self.objects = objects;
        let item = &mut self.fns[id.index()];
        item.ret = ret;
        item.body = Body {
            expr,
            slots: sc.slots(),
        };
        item.defaults = defaults;
        item.state = State::Done;
    }

    /// Checks all items that were not needed yet.
    pub(crate) fn check_items(&mut self) {
        for id in (0..self.fns.len()).map(FnId::new) {
            self.fn_params(id);
        }
        for id in (0..self.lets.len()).map(LetId::new) {
            let span = self.lets[id.index()].name.span;
            self.let_ty(id, span);
        }
        for id in (0..self.fns.len()).map(FnId::new) {
            self.check_fn(id);
        }
        for app in (0..self.apps.len()).map(AppId::new) {
            for at in 0..self.apps[app.index()].fields.len() {
                self.app_field(app, at, None);
            }
        }
        self.check_pending();
    }

    /// Reports the cycles among functions, constants and defaults.
    pub(crate) fn check_cycles(&mut self) {
        for cycle in self.graph.cycles() {
            let nodes: Vec<(String, Option<Span>)> =
                cycle.iter().map(|(n, _)| self.node_name(*n)).collect();
            // Told already when its type was looked for.
            let told = nodes.iter().any(|(_, span)| {
                span.is_some_and(|s| {
                    self.diagnostics
                        .iter()
                        .any(|d| d.code == "E0107" && d.labels.iter().any(|l| l.span == s))
                })
            });
            if told {
                continue;
            }
            let (name, first) = nodes[0].clone();
            let way: Vec<String> = nodes
                .iter()
                .chain(nodes.first())
                .map(|(n, _)| n.trim_start_matches("the ").to_owned())
                .collect();
            let mut diagnostic = Diagnostic::error("E0107", format!("{name} depends on itself"))
                .label(
                    cycle.last().map_or(crate::k8s::NOWHERE, |(_, at)| *at),
                    "leads back to it",
                );
            if let Some(first) = first {
                diagnostic = diagnostic.label(first, "defined here");
            }
            if cycle.len() > 1 {
                diagnostic = diagnostic.note(way.join(" → "));
            }
            self.report(diagnostic.help(
                "break the cycle: the language has no recursion; go through a list with `for`",
            ));
        }
    }

    fn node_name(&self, node: Node) -> (String, Option<Span>) {
        match node {
            Node::Fn(id) => {
                let name = self.fns[id.index()].decl.name;
                (format!("the function `{}`", name.name), Some(name.span))
            }
            Node::Let(id) => {
                let name = self.lets[id.index()].name;
                (format!("the constant `{}`", name.name), Some(name.span))
            }
            Node::Record(id) => {
                let def = self.types.record(id);
                (format!("the default of `{}`", def.name), def.span)
            }
            Node::Root => ("this".into(), None),
        }
    }
}
