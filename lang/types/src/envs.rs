//! Environments: their chains, their settings, and their changes to apps.

use std::sync::Arc;

use ordain_lang_syntax::ast::{ExprKind as Ast, Record, Segment, SegmentKind};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::{Checker, Global, Scope};
use crate::graph::Node;
use crate::hir::{Amend, AmendKind, AmendOp};
use crate::index::Def;
use crate::infer::{Op, Pm, Rule};
use crate::program::{AppId, Env, EnvId, EnvOp, Setting};
use crate::resolve::with_near;
use crate::suggest::nearest;
use crate::touched::Touched;
use crate::ty::{Ty, TyKind};

/// What an environment says of itself.
const SETTINGS: [&str; 3] = ["cluster", "namespace", "kubernetes"];

impl<'a> Checker<'a> {
    /// Finds the chain of every environment.
    pub(crate) fn chain_envs(&mut self) {
        let mut parents: Vec<Option<EnvId>> = Vec::with_capacity(self.envs.len());
        for at in 0..self.envs.len() {
            let parent = self.envs[at].decl.extends.and_then(|name| {
                if name.name.is_empty() {
                    return None;
                }
                let known = self.env_names.get(&name.name).copied();
                if known.is_none() {
                    self.unknown_env(name.name, name.span);
                }
                known
            });
            parents.push(parent);
        }
        let mut told: Vec<usize> = Vec::new();
        for at in 0..self.envs.len() {
            let mut chain = vec![EnvId::new(at)];
            let mut current = at;
            while let Some(parent) = parents[current] {
                if chain.contains(&parent) {
                    let from = chain.iter().position(|e| *e == parent).unwrap_or(0);
                    let members: Vec<usize> = chain[from..].iter().map(|e| e.index()).collect();
                    if !members.iter().any(|m| told.contains(m)) {
                        self.env_cycle(&members);
                    }
                    told.extend(members);
                    break;
                }
                chain.push(parent);
                current = parent.index();
            }
            chain.reverse();
            self.envs[at].chain = chain;
        }
    }

    fn env_cycle(&mut self, members: &[usize]) {
        let first = self.envs[members[0]].decl;
        let names: Vec<String> = members
            .iter()
            .chain(members.first())
            .map(|m| self.envs[*m].decl.name.name.to_string())
            .collect();
        let mut diagnostic = Diagnostic::error(
            "E0302",
            format!("the environment `{}` extends itself", first.name.name),
        )
        .label(first.name.span, "this environment");
        if let Some(last) = members.last().and_then(|m| self.envs[*m].decl.extends) {
            diagnostic = diagnostic.label(last.span, "leads back to it");
        }
        if members.len() > 1 {
            diagnostic = diagnostic.note(names.join(" → "));
        }
        self.report(diagnostic.help("let one of them extend nothing"));
    }

    pub(crate) fn unknown_env(&mut self, name: Name, span: Span) {
        let mut known: Vec<&str> = self.env_names.keys().map(|n| n.as_str()).collect();
        known.sort_unstable();
        let near = nearest(name.as_str(), known.iter().copied());
        let mut diagnostic =
            Diagnostic::error("E0110", format!("there is no environment `{name}`"))
                .label(span, "not found");
        if near.is_none() && !known.is_empty() {
            diagnostic = diagnostic.note(format!("there are {}", known.join(", ")));
        }
        self.report(with_near(diagnostic, near));
    }

    /// Checks all environments, bases first.
    pub(crate) fn check_envs(&mut self) -> Vec<Env> {
        let mut order: Vec<usize> = (0..self.envs.len()).collect();
        order.sort_by_key(|at| self.envs[*at].chain.len());
        let mut made: Vec<Option<Env>> = (0..self.envs.len()).map(|_| None).collect();
        let mut touched: Vec<Touched> = (0..self.envs.len()).map(|_| Touched::default()).collect();
        for at in order {
            let (module, decl) = (self.envs[at].module, self.envs[at].decl);
            let chain = self.envs[at].chain.clone();
            let mut sc = self.scope(module, Node::Root);
            sc.whole = true;
            let mut env = Env {
                name: decl.name.name,
                span: decl.name.span,
                chain: chain.clone(),
                cluster: None,
                namespace: None,
                kubernetes: None,
                ops: Vec::new(),
                slots: 0,
            };
            let mut touch = Touched::default();
            let bases = &chain[..chain.len().saturating_sub(1)];
            touch.above = bases
                .iter()
                .map(|base| touched[base.index()].finals.clone())
                .collect();
            self.env = Some(decl.name.name.to_string());
            self.env_body(&mut sc, &decl.body, Some(&mut env), &mut touch);
            self.leave(&mut sc, 0);
            self.env = None;
            env.slots = sc.slots();
            touched[at] = touch;
            made[at] = Some(env);
        }
        self.unset_fields(&touched);
        made.into_iter().flatten().collect()
    }

    /// The changes of `must fail`, as an environment would make them.
    pub(crate) fn changes(&mut self, sc: &mut Scope, body: &'a Record) -> Vec<EnvOp> {
        let mut env = Env {
            name: Name::new(""),
            span: body.span,
            chain: Vec::new(),
            cluster: None,
            namespace: None,
            kubernetes: None,
            ops: Vec::new(),
            slots: 0,
        };
        self.env_body(sc, body, Some(&mut env), &mut Touched::default());
        env.ops
    }

    fn env_body(
        &mut self,
        sc: &mut Scope,
        body: &'a Record,
        env: Option<&mut Env>,
        touch: &mut Touched,
    ) {
        let Some(env) = env else { return };
        let around = self.part;
        for one in &body.members {
            // A block of changes in a test is a part of that.
            self.part = around.or(Some(one.span));
            for member in self.members(std::slice::from_ref(one)) {
                self.env_member(sc, member, env, touch);
            }
        }
        self.part = around;
    }

    fn env_member(&mut self, sc: &mut Scope, member: Pm<'a>, env: &mut Env, touch: &mut Touched) {
        match member {
            Pm::Field { path, field, op } => {
                let Some((name, span)) = member.name() else {
                    self.not_in_env(path[0].span);
                    return;
                };
                if path.len() == 1
                    && SETTINGS.contains(&name.as_str())
                    && !matches!(op, Op::Amend(_))
                {
                    self.setting(env, name, span, op);
                    return;
                }
                let Some(app) = self.app_named(name, span, path, op) else {
                    if let Op::Set(e) = op {
                        self.check(sc, e, crate::infer::Want::new(Ty::ERROR));
                    }
                    return;
                };
                let ops = self.app_changes(sc, app, &path[1..], op, field.is_final, span, touch);
                if !ops.is_empty() {
                    env.ops.push(EnvOp {
                        app,
                        amend: Amend { ops: ops.into() },
                        span,
                    });
                }
            }
            Pm::Delete { path, span } => {
                let [
                    Segment {
                        kind: SegmentKind::Name(name),
                        span: at,
                        ..
                    },
                    rest @ ..,
                ] = path
                else {
                    self.not_in_env(span);
                    return;
                };
                let Some(app) = self.app_named(*name, *at, path, Op::Declare) else {
                    return;
                };
                let record = self.app_ty(app);
                if rest.is_empty() {
                    self.not_in_env(span);
                    return;
                }
                if let Some(place) = self.walk(sc, record, rest, Rule::None) {
                    self.deletable(&place);
                    self.touch(app, &place, false, touch);
                    let op = AmendOp {
                        path: place.steps.into(),
                        span,
                        kind: AmendKind::Delete,
                    };
                    env.ops.push(EnvOp {
                        app,
                        amend: Amend {
                            ops: Box::new([op]),
                        },
                        span,
                    });
                }
            }
            Pm::Let(binding) => self.not_in_env(binding.span),
            Pm::Spread(e) => self.not_in_env(e.span),
            Pm::For { span, .. } | Pm::If { span, .. } => self.not_in_env(span),
        }
    }

    fn not_in_env(&mut self, span: Span) {
        self.report(
            Diagnostic::error("E0301", "an environment has settings and changes to apps only")
                .label(span, "not possible here")
                .help("write `cluster = \"…\"` or `app.path = value`; `if` and `for` go inside an app's braces"),
        );
    }

    fn app_ty(&mut self, app: AppId) -> Ty {
        let record = self.apps[app.index()].record;
        self.types.intern(TyKind::Record(record))
    }

    fn setting(&mut self, env: &mut Env, name: Name, span: Span, op: Op<'a>) {
        let value = match op {
            Op::Set(e) => match &e.kind {
                Ast::Str(text) => Some((Arc::<str>::from(&**text), e.span)),
                Ast::Error => return,
                _ => {
                    self.report(
                        Diagnostic::error("E0202", format!("`{name}` is a constant string"))
                            .label(e.span, "not a constant string")
                            .help(format!("write `{name} = \"…\"`")),
                    );
                    return;
                }
            },
            _ => None,
        };
        let Some((value, at)) = value else {
            self.not_in_env(span);
            return;
        };
        let fault = match name.as_str() {
            "namespace" => crate::format::check_format(crate::ty::Format::DnsLabel, &value)
                .err()
                .map(|why| ("E0205", format!("\"{value}\" is no namespace: {why}"))),
            // Whoever chooses the tables by version tells versions without one.
            _ => None,
        };
        if let Some((code, message)) = fault {
            self.report(Diagnostic::error(code, message).label(at, "here"));
        }
        let slot = match name.as_str() {
            "cluster" => &mut env.cluster,
            "namespace" => &mut env.namespace,
            _ => &mut env.kubernetes,
        };
        if let Some(first) = slot {
            let first = first.span;
            self.set_twice(name, span, first);
            return;
        }
        *slot = Some(Setting { value, span: at });
    }

    fn app_named(&mut self, name: Name, span: Span, path: &[Segment], op: Op<'a>) -> Option<AppId> {
        if name.is_empty() {
            return None;
        }
        if let Some(app) = self.app_names.get(&name).copied() {
            let ty = self.app_ty(app);
            self.note(span, Def::App(app), ty);
            return Some(app);
        }
        let mut known: Vec<&str> = self.app_names.keys().map(|n| n.as_str()).collect();
        known.sort_unstable();
        let as_setting = path.len() == 1 && !matches!(op, Op::Amend(_));
        let (code, message) = match as_setting {
            true => ("E0301", format!("an environment has no setting `{name}`")),
            false => ("E0109", format!("there is no app `{name}`")),
        };
        let near = match as_setting {
            true => nearest(
                name.as_str(),
                SETTINGS.into_iter().chain(known.iter().copied()),
            ),
            false => nearest(name.as_str(), known.iter().copied()),
        };
        let mut diagnostic = Diagnostic::error(code, message).label(span, "not found");
        let owner = self.apps.iter().find(|app| {
            let fields = &self.types.record(app.record).by_name;
            as_setting && fields.contains_key(&name)
        });
        if let Some(owner) = owner {
            let app = owner.decl.name.name;
            diagnostic = diagnostic.help(format!(
                "`{app}` has such a field: write `{app}.{name} = …`"
            ));
        } else if near.is_none() {
            diagnostic = match as_setting {
                true => diagnostic.note(format!("the settings are {}", SETTINGS.join(", "))),
                false if known.is_empty() => diagnostic.note("the project has no apps"),
                false => diagnostic.note(format!("the apps are {}", known.join(", "))),
            };
        }
        // What is no app may still be something: then it is the wrong place to change it.
        let module = self
            .envs
            .iter()
            .find(|env| env.decl.body.span.file == span.file);
        let module = module.map_or(0, |env| env.module);
        let item = self.modules.get(module).and_then(|m| m.items.get(&name));
        let other = match item {
            Some((Global::Type(_), _)) => {
                Some("a type: its defaults are changed where it is declared")
            }
            Some((Global::Let(_), _)) => {
                Some("a constant: let a field of an app hold what differs")
            }
            Some((Global::Fn(_), _)) => Some("a function: give it a parameter"),
            _ if self.env_names.contains_key(&name) => {
                Some("an environment: what it shares with others stands in the one they extend")
            }
            _ => None,
        };
        if let (Some(other), false) = (other, as_setting) {
            self.report(diagnostic.help(format!(
                "environments change the fields of apps; `{name}` is {other}"
            )));
            return None;
        }
        self.report(with_near(diagnostic, near));
        None
    }

    /// The changes of one member to an app.
    #[allow(clippy::too_many_arguments)]
    fn app_changes(
        &mut self,
        sc: &mut Scope,
        app: AppId,
        path: &'a [Segment],
        op: Op<'a>,
        is_final: bool,
        span: Span,
        touch: &mut Touched,
    ) -> Vec<AmendOp> {
        let ty = self.app_ty(app);
        if path.is_empty() {
            let Op::Amend(record) = op else {
                self.report(
                    Diagnostic::error("E0307", "an app is amended, not replaced")
                        .label(span, "an app")
                        .help("write braces: `app { … }`, or a path: `app.config.field = value`"),
                );
                return Vec::new();
            };
            self.note_braces(record.span, ty);
            let mut ops = Vec::new();
            for member in self.members(&record.members) {
                match member {
                    Pm::Field { path, field, op } => {
                        ops.extend(self.app_changes(
                            sc,
                            app,
                            path,
                            op,
                            field.is_final,
                            span,
                            touch,
                        ));
                    }
                    other => ops.extend(self.amend_ops(sc, ty, &[other], Rule::None)),
                }
            }
            return ops;
        }
        // Braces on the way are one place with several changes: each is followed, so that conflicts are found.
        let Some(place) = self.walk(sc, ty, path, Rule::None) else {
            if let Op::Set(e) | Op::Append(e) = op {
                self.check(sc, e, crate::infer::Want::new(Ty::ERROR));
            }
            return Vec::new();
        };
        let conflict = match op {
            Op::Set(_) => self.touch(app, &place, is_final, touch),
            Op::Amend(record) => self.touch_inside(app, &place, record, touch),
            _ => false,
        };
        if conflict {
            return Vec::new();
        }
        self.amend_op(sc, place, op, is_final).into_iter().collect()
    }
}
