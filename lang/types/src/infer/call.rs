//! Calls: arguments to parameters, type parameters found from arguments, lambdas.

use ordain_lang_syntax::ast::{Arg, Expr, ExprKind as Ast, Param};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::Want;
use crate::builtin::Builtin;
use crate::checker::{Checker, Scope};
use crate::graph::Node;
use crate::hir::{Body, ExprId, ExprKind};
use crate::index::Def;
use crate::program::FnId;
use crate::resolve::with_near;
use crate::suggest::nearest;
use crate::ty::{Ty, TyKind};

impl<'a> Checker<'a> {
    /// `callee(args)`.
    pub(super) fn call(
        &mut self,
        sc: &mut Scope,
        callee: &'a Expr,
        args: &'a [Arg],
        hint: Option<Ty>,
        span: Span,
    ) -> ExprId {
        if let Some(id) = self.callee_fn(sc, callee) {
            self.graph.edge(sc.owner, Node::Fn(id), callee.span);
            return self.call_fn(sc, id, args, hint, callee.span, span);
        }
        if let Ast::Name(name) = &callee.kind
            && let Some(id) = self.builtin_call(sc, *name, args, span)
        {
            return id;
        }
        if let Ast::Field { base, name, .. } = &callee.kind
            && !self.is_namespace(sc, base)
        {
            let receiver = self.infer(sc, base);
            if self.hides_module(sc, base, *name, receiver) {
                self.args_alone(sc, args);
                return self.error;
            }
            return self.method(sc, receiver, *name, args, span);
        }
        if let Ast::Field { base, name, .. } = &callee.kind
            && let Ast::Name(first) = &base.kind
            && let Some(import) = self.modules[sc.module].imports.get(first)
            && let Some(module) = import.module
            && !self.modules[module].items.contains_key(&name.name)
        {
            self.no_member(module, *name);
            self.args_alone(sc, args);
            return self.error;
        }
        let value = self.infer(sc, callee);
        self.call_value(sc, value, args, span)
    }

    /// Whether an expression names a module or `k8s`.
    fn is_namespace(&self, sc: &Scope, e: &Expr) -> bool {
        let Ast::Name(name) = &e.kind else {
            return false;
        };
        let shadowed = sc.locals.iter().any(|l| l.name == *name)
            || sc
                .self_record
                .is_some_and(|r| self.types.record(r).field(*name).is_some())
            || self.modules[sc.module].items.contains_key(name);
        !shadowed && (*name == "k8s" || self.modules[sc.module].imports.contains_key(name))
    }

    /// Checks arguments of a call that cannot be checked itself.
    pub(super) fn args_alone(&mut self, sc: &mut Scope, args: &'a [Arg]) {
        for arg in args {
            // What was called is not known: a type may have been meant for it.
            let is_path = matches!(arg.value.kind, Ast::Field { .. } | Ast::Name(_));
            if is_path && self.expr_type(sc, &arg.value, None).is_some() {
                continue;
            }
            self.check(sc, &arg.value, Want::new(Ty::ERROR));
        }
    }

    fn call_fn(
        &mut self,
        sc: &mut Scope,
        id: FnId,
        args: &'a [Arg],
        hint: Option<Ty>,
        callee_span: Span,
        span: Span,
    ) -> ExprId {
        let params = self.fn_params(id);
        let decl = self.fns[id.index()].decl;
        let slots = self.place_args(
            sc,
            &decl.params,
            args,
            decl.name.name,
            decl.name.span,
            callee_span,
        );
        let Some(slots) = slots else {
            let _ = self.fn_ret(id, span);
            return self.error;
        };
        let type_params: Vec<Name> = decl.type_params.iter().map(|p| p.name).collect();
        let mut found: Vec<(Name, Ty)> = Vec::new();
        let mut made: Vec<Option<ExprId>> = vec![None; slots.len()];
        // Lambdas last: the other arguments say what their parameters are.
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_by_key(|at| {
            slots[*at].is_some_and(|a| matches!(a.value.kind, Ast::Lambda { .. }))
        });
        if !type_params.is_empty()
            && let Some(hint) = hint
        {
            let ret = self.fn_ret(id, span);
            let mut by_hint = Vec::new();
            self.unify(ret, hint, &mut by_hint);
            // Only a help for literals: arguments decide.
            found = by_hint
                .into_iter()
                .filter(|(_, ty)| *ty != Ty::ANY)
                .collect();
        }
        let hinted = found.len();
        for at in order {
            let Some(arg) = slots[at] else { continue };
            let declared = params[at];
            let rule = decl.params[at]
                .ty
                .as_ref()
                .map_or(decl.params[at].span, |t| t.span);
            if type_params.is_empty() {
                made[at] = Some(self.check(sc, &arg.value, Want::at(declared, rule)));
                continue;
            }
            let expected = self.substitute(declared, &found);
            let value = if self.mentions_param(expected) {
                match (&arg.value.kind, self.kind(expected).clone()) {
                    (Ast::Lambda { params, body }, TyKind::Fn(..)) => {
                        self.lambda(
                            sc,
                            params,
                            body,
                            Some(Want::at(expected, rule)),
                            arg.value.span,
                        )
                        .0
                    }
                    _ => self.infer(sc, &arg.value),
                }
            } else {
                self.check(sc, &arg.value, Want::at(expected, rule))
            };
            let actual = self.hir.ty(value);
            self.unify(declared, actual, &mut found);
            let expected = self.substitute(declared, &found);
            made[at] = Some(self.coerce(value, Want::at(expected, rule)));
        }
        let _ = hinted;
        let ret = self.fn_ret(id, span);
        let ret = if type_params.is_empty() {
            ret
        } else {
            self.substitute(ret, &found)
        };
        if self.mentions_own(ret, &type_params, sc) {
            self.report(
                Diagnostic::error(
                    "E0222",
                    format!("the result type of `{}` is not known here", decl.name.name),
                )
                .label(span, "which type?")
                .help("give the value a type, as in `let x: Type = …`"),
            );
            return self.error;
        }
        if made.iter().flatten().any(|a| *a == self.error) {
            // Reported; the result is as declared, so what follows is still checked.
            return self.add(ExprKind::Error, ret, span);
        }
        self.add(ExprKind::Call(id, made.into()), ret, span)
    }

    /// Arguments in the places of the parameters; none after a report.
    fn place_args(
        &mut self,
        sc: &mut Scope,
        params: &'a [Param],
        args: &'a [Arg],
        name: Name,
        name_span: Span,
        callee_span: Span,
    ) -> Option<Vec<Option<&'a Arg>>> {
        let mut slots: Vec<Option<&'a Arg>> = vec![None; params.len()];
        let mut next = 0;
        let mut failed = false;
        for arg in args {
            let at = match arg.name {
                Some(arg_name) => match params.iter().position(|p| p.name.name == arg_name.name) {
                    Some(at) => {
                        let def = Def::Local(params[at].name.span);
                        self.note(arg_name.span, def, Ty::ERROR);
                        at
                    }
                    None => {
                        let near = nearest(
                            arg_name.name.as_str(),
                            params.iter().map(|p| p.name.name.as_str()),
                        );
                        let diagnostic = Diagnostic::error(
                            "E0209",
                            format!("`{name}` has no parameter `{}`", arg_name.name),
                        )
                        .label(arg_name.span, "unknown parameter")
                        .label(name_span, "declared here");
                        self.report(with_near(diagnostic, near));
                        self.check(sc, &arg.value, Want::new(Ty::ERROR));
                        failed = true;
                        continue;
                    }
                },
                None => {
                    next += 1;
                    next - 1
                }
            };
            if at >= params.len() {
                continue;
            }
            if slots[at].is_some() {
                self.report(
                    Diagnostic::error(
                        "E0209",
                        format!("the parameter `{}` is given twice", params[at].name.name),
                    )
                    .label(arg.value.span, "given again here")
                    .help("remove one of them"),
                );
                failed = true;
                continue;
            }
            slots[at] = Some(arg);
        }
        let missing: Vec<&str> = params
            .iter()
            .zip(&slots)
            .filter(|(p, slot)| slot.is_none() && p.default.is_none())
            .map(|(p, _)| p.name.name.as_str())
            .collect();
        let too_many = next > params.len();
        if too_many || (!missing.is_empty() && !failed) {
            let needed = params.iter().filter(|p| p.default.is_none()).count();
            let takes = match (needed, params.len()) {
                (0, 0) => "no arguments".to_owned(),
                (1, 1) => "one argument".to_owned(),
                (n, m) if n == m => format!("{n} arguments"),
                (n, m) => format!("{n} to {m} arguments"),
            };
            let signature: Vec<String> = params.iter().map(|p| p.name.name.to_string()).collect();
            let mut diagnostic = Diagnostic::error(
                "E0209",
                format!("`{name}` takes {takes}, {} given", args.len()),
            )
            .label(callee_span, format!("called with {}", args.len()))
            .label(
                name_span,
                format!("declared as {name}({})", signature.join(", ")),
            );
            if !missing.is_empty() {
                diagnostic = diagnostic.help(format!("add {}", missing.join(", ")));
            }
            self.report(diagnostic);
            failed = true;
        }
        if failed {
            for arg in slots.iter().flatten() {
                self.check(sc, &arg.value, Want::new(Ty::ERROR));
            }
            return None;
        }
        Some(slots)
    }

    /// A function value is called.
    fn call_value(&mut self, sc: &mut Scope, value: ExprId, args: &'a [Arg], span: Span) -> ExprId {
        let ty = self.hir.ty(value);
        match self.kind(ty).clone() {
            TyKind::Fn(params, ret) => {
                if params.len() != args.len() {
                    self.report(
                        Diagnostic::error(
                            "E0209",
                            format!(
                                "this function takes {} arguments, {} given",
                                params.len(),
                                args.len()
                            ),
                        )
                        .label(self.hir.span(value), format!("this is `{}`", self.show(ty))),
                    );
                    self.args_alone(sc, args);
                    return self.error;
                }
                let args: Vec<ExprId> = args
                    .iter()
                    .zip(&params)
                    .map(|(a, p)| self.check(sc, &a.value, Want::new(*p)))
                    .collect();
                self.add(ExprKind::CallValue(value, args.into()), ret, span)
            }
            TyKind::Error => {
                self.args_alone(sc, args);
                self.error
            }
            _ => {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0218", format!("`{shown}` is no function"))
                        .label(self.hir.span(value), "called here")
                        .help("remove the parentheses"),
                );
                self.args_alone(sc, args);
                self.error
            }
        }
    }

    /// A lambda, and the type of its result.
    pub(super) fn lambda(
        &mut self,
        sc: &mut Scope,
        params: &'a [Param],
        body: &'a Expr,
        want: Option<Want>,
        span: Span,
    ) -> (ExprId, Ty) {
        let expected = want.and_then(|w| {
            let plain = self.types.without_optional(w.ty);
            match self.kind(plain).clone() {
                TyKind::Fn(params, ret) => Some((params, ret, w)),
                _ => None,
            }
        });
        if let Some((wanted, _, w)) = &expected
            && wanted.len() != params.len()
        {
            self.report(
                Diagnostic::error(
                    "E0209",
                    format!(
                        "a function of {} parameters is expected, this one has {}",
                        wanted.len(),
                        params.len()
                    ),
                )
                .label(span, format!("`{}` is expected", self.show(w.ty))),
            );
            return (self.error, Ty::ERROR);
        }
        if let (Some(want), None) = (want, &expected)
            && !matches!(want.ty, Ty::ERROR | Ty::ANY)
            && !matches!(self.kind(want.ty), TyKind::Param(_))
        {
            let shown = self.show(want.ty);
            let diagnostic =
                Diagnostic::error("E0202", format!("expected `{shown}`, found a function"))
                    .label(span, "a function");
            let diagnostic = self.with_rule(diagnostic, want);
            self.report(diagnostic);
            return (self.error, Ty::ERROR);
        }
        sc.push_frame();
        let mark = sc.mark();
        let mut tys = Vec::with_capacity(params.len());
        for (at, param) in params.iter().enumerate() {
            let ty = match (&param.ty, &expected) {
                (Some(te), _) => {
                    let types = sc.types();
                    self.resolve(&types, te)
                }
                (None, Some((wanted, ..))) if !self.mentions_param_of(wanted[at], sc) => wanted[at],
                (None, _) => {
                    if want.is_none_or(|w| w.ty != Ty::ERROR) {
                        self.report(
                            Diagnostic::error(
                                "E0222",
                                format!("the type of `{}` is not known here", param.name.name),
                            )
                            .label(param.span, "which type?")
                            .help(format!("write it: `({}: Type) => …`", param.name.name)),
                        );
                    }
                    Ty::ERROR
                }
            };
            sc.bind(param.name, ty, false);
            tys.push(ty);
        }
        let body_id = match &expected {
            Some((_, ret, w)) if !self.mentions_param_of(*ret, sc) => {
                self.check(sc, body, w.part(*ret))
            }
            _ => self.infer(sc, body),
        };
        let ret = self.hir.ty(body_id);
        self.leave(sc, mark);
        let (slots, captures) = sc.pop_frame();
        let ret_ty = match &expected {
            Some((_, wanted, _)) if !self.mentions_param_of(*wanted, sc) && ret != Ty::ERROR => {
                *wanted
            }
            _ => ret,
        };
        let ty = self.types.intern(TyKind::Fn(tys.into(), ret_ty));
        let kind = ExprKind::Lambda {
            params: params.len() as u32,
            captures,
            body: Body {
                expr: body_id,
                slots,
            },
        };
        let id = self.add(kind, ty, span);
        if let (Some(want), None) = (want, &expected) {
            return (self.coerce(id, want), ret_ty);
        }
        (id, ret_ty)
    }

    /// A lambda argument of a built-in method: parameters are known, the result perhaps.
    pub(super) fn lambda_arg(
        &mut self,
        sc: &mut Scope,
        e: &'a Expr,
        params: &[Ty],
        ret: Option<Ty>,
    ) -> (ExprId, Ty) {
        if let Ast::Lambda {
            params: named,
            body,
        } = &e.kind
        {
            let any = Ty::ANY;
            let want = self
                .types
                .intern(TyKind::Fn(params.into(), ret.unwrap_or(any)));
            if named.len() != params.len() {
                return self.lambda(sc, named, body, Some(Want::new(want)), e.span);
            }
            if ret.is_some() {
                return self.lambda(sc, named, body, Some(Want::new(want)), e.span);
            }
            // The result is whatever the body is.
            let unknown = self.types.intern(TyKind::Param(Name::new("?")));
            let want = self.types.intern(TyKind::Fn(params.into(), unknown));
            return self.lambda(sc, named, body, Some(Want::new(want)), e.span);
        }
        let id = self.infer(sc, e);
        match self.kind(self.hir.ty(id)).clone() {
            TyKind::Fn(_, result) => {
                let want = self
                    .types
                    .intern(TyKind::Fn(params.into(), ret.unwrap_or(result)));
                (self.coerce(id, Want::new(want)), result)
            }
            TyKind::Error => (id, Ty::ERROR),
            _ => {
                let want = self
                    .types
                    .intern(TyKind::Fn(params.into(), ret.unwrap_or(Ty::ANY)));
                (
                    self.mismatch(id, Want::new(want), crate::relate::Misfit::Type),
                    Ty::ERROR,
                )
            }
        }
    }

    /// A function that is always there; none when the name is not one (or is shadowed).
    fn builtin_call(
        &mut self,
        sc: &mut Scope,
        name: Name,
        args: &'a [Arg],
        span: Span,
    ) -> Option<ExprId> {
        if !super::name::FUNCTIONS.contains(&name.as_str())
            || sc.locals.iter().any(|l| l.name == name)
            || self.modules[sc.module].items.contains_key(&name)
        {
            return None;
        }
        let wanted = match name.as_str() {
            "min" | "max" => 2,
            _ => 1,
        };
        if args.len() != wanted || args.iter().any(|a| a.name.is_some()) {
            self.report(
                Diagnostic::error(
                    "E0209",
                    format!("`{name}` takes {wanted} arguments, {} given", args.len()),
                )
                .label(span, "called here"),
            );
            self.args_alone(sc, args);
            return Some(self.error);
        }
        Some(match name.as_str() {
            "min" | "max" => {
                let a = self.infer(sc, &args[0].value);
                let b = self.infer(sc, &args[1].value);
                let joined = self.join(self.hir.ty(a), self.hir.ty(b));
                let (ta, tb) = (self.hir.ty(a), self.hir.ty(b));
                if !self.ordered(a) || !self.ordered(b) {
                    return Some(self.error);
                }
                if ta == Ty::ERROR || tb == Ty::ERROR {
                    return Some(self.error);
                }
                let ty = match (self.int_range_of(a), self.int_range_of(b)) {
                    (Some(x), Some(y)) => {
                        let range = if name == "min" {
                            crate::ty::IntRange {
                                min: x.min.min(y.min),
                                max: x.max.min(y.max),
                            }
                        } else {
                            crate::ty::IntRange {
                                min: x.min.max(y.min),
                                max: x.max.max(y.max),
                            }
                        };
                        self.types.intern(TyKind::Int(range))
                    }
                    _ => joined,
                };
                let a = self.coerce(a, Want::new(joined));
                let b = self.coerce(b, Want::new(joined));
                let which = if name == "min" {
                    Builtin::Min
                } else {
                    Builtin::Max
                };
                self.add(ExprKind::Builtin(which, Box::new([a, b])), ty, span)
            }
            "quantity" => {
                let text = self.check(sc, &args[0].value, Want::new(Ty::STRING));
                if let Some(constant) = self.text_constant(text) {
                    let constant = crate::constant::Constant::Str(constant);
                    return Some(match self.constant_as(&constant, Ty::QUANTITY, span) {
                        Some(Ok(id)) => id,
                        Some(Err(fault)) => self.fault(fault, text, Want::new(Ty::QUANTITY)),
                        None => self.error,
                    });
                }
                self.add(
                    ExprKind::Builtin(Builtin::ParseQuantity, Box::new([text])),
                    Ty::QUANTITY,
                    span,
                )
            }
            _ => {
                let message = self.check(sc, &args[0].value, Want::new(Ty::STRING));
                self.add(
                    ExprKind::Builtin(Builtin::Fail, Box::new([message])),
                    Ty::NEVER,
                    span,
                )
            }
        })
    }
}
