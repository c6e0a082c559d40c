//! Tests and policies: statements over apps and objects.

use std::sync::Arc;

use ordain_lang_syntax::ast::{Ident, ItemKind, Stmt, StmtKind};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::{Checker, Scope};
use crate::graph::Node;
use crate::hir::{ExprKind, For};
use crate::index::Def;
use crate::infer::Want;
use crate::program::{EnvId, Policy, Rule, Test, TestStep};
use crate::ty::{Ty, TyKind};

impl<'a> Checker<'a> {
    /// Checks all tests and policies.
    pub(crate) fn check_suites(&mut self) -> (Vec<Test>, Vec<Policy>) {
        let (mut tests, mut policies) = (Vec::new(), Vec::new());
        for module in 0..self.modules.len() {
            for item in &self.modules[module].file.items {
                let mut sc = self.scope(module, Node::Root);
                sc.whole = true;
                match &item.kind {
                    ItemKind::Test(test) => {
                        sc.in_test = true;
                        let env = test.env.and_then(|name| self.env_named(name));
                        let mut steps = Vec::new();
                        self.env = test.env.map(|name| name.name.to_string());
                        self.part = Some(item.span);
                        self.test_steps(&mut sc, &test.body, &mut steps);
                        self.env = None;
                        self.part = None;
                        self.leave(&mut sc, 0);
                        tests.push(Test {
                            name: Arc::from(&*test.name),
                            span: test.name_span,
                            env,
                            steps,
                            slots: sc.slots(),
                        });
                    }
                    ItemKind::Policy(policy) => {
                        let env = policy.env.and_then(|name| self.env_named(name));
                        self.part = Some(item.span);
                        let rules = self.rules(&mut sc, &policy.body);
                        self.part = None;
                        self.leave(&mut sc, 0);
                        policies.push(Policy {
                            name: Arc::from(&*policy.name),
                            span: policy.name_span,
                            env,
                            rules,
                            slots: sc.slots(),
                        });
                    }
                    _ => {}
                }
            }
        }
        (tests, policies)
    }

    fn env_named(&mut self, name: Ident) -> Option<EnvId> {
        let known = self.env_names.get(&name.name).copied();
        if known.is_none() && !name.name.is_empty() {
            self.unknown_env(name.name, name.span);
        }
        if let Some(env) = known {
            self.note(name.span, Def::Env(env), Ty::ERROR);
        }
        known
    }

    fn test_steps(&mut self, sc: &mut Scope, body: &'a [Stmt], steps: &mut Vec<TestStep>) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Error => {}
                StmtKind::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    steps.push(TestStep::Let(slot, value));
                }
                StmtKind::Assert(assert) => {
                    let (condition, _) = self.condition(sc, &assert.condition);
                    let message = assert
                        .message
                        .as_ref()
                        .map(|m| self.check(sc, m, Want::new(Ty::STRING)));
                    steps.push(TestStep::Assert(condition, message, assert.span));
                }
                StmtKind::Snapshot(e) => {
                    let id = self.infer(sc, e);
                    steps.push(TestStep::Snapshot(id, stmt.span));
                }
                StmtKind::MustFail { code, body } => {
                    let before = self.diagnostics.len();
                    let told = std::mem::take(&mut self.reported);
                    let ops = self.changes(sc, body);
                    self.reported = told;
                    let found = self.diagnostics.split_off(before);
                    let is_code = |code: &str| crate::pages::codes().any(|c| c == code);
                    let misspelled = code.as_ref().is_some_and(|(code, _)| !is_code(code));
                    if let Some((code, span)) = code
                        && misspelled
                    {
                        let near = crate::suggest::nearest(code, crate::pages::codes());
                        let diagnostic =
                            Diagnostic::error("E0310", format!("there is no code `{code}`"))
                                .label(*span, "not found");
                        self.report(crate::resolve::with_near(diagnostic, near));
                    }
                    let wanted = |d: &Diagnostic| {
                        let fits = code.as_ref().is_none_or(|(code, _)| d.code == &**code);
                        d.is_error() && (fits || misspelled)
                    };
                    let proven = found.iter().any(wanted);
                    if !proven {
                        // Another mistake than the expected one is a mistake of the test.
                        self.diagnostics.extend(found);
                    }
                    steps.push(TestStep::MustFail {
                        code: code.as_ref().map(|(code, _)| Arc::from(&**code)),
                        ops: if proven { Vec::new() } else { ops },
                        exprs: Vec::new(),
                        proven,
                        span: stmt.span,
                    });
                }
                StmtKind::For { .. } | StmtKind::If { .. } | StmtKind::Deny { .. } => {
                    self.wrong_place(
                        stmt.span,
                        "a test asserts, takes snapshots and says what must fail",
                        "write `assert`, with `.all(x => …)` for lists",
                    );
                }
            }
        }
    }

    fn wrong_place(&mut self, span: Span, message: &str, help: &str) {
        self.report(
            Diagnostic::error("E0310", message)
                .label(span, "not possible here")
                .help(help),
        );
    }

    fn rules(&mut self, sc: &mut Scope, body: &'a [Stmt]) -> Vec<Rule> {
        let mut rules = Vec::with_capacity(body.len());
        for stmt in body {
            match &stmt.kind {
                StmtKind::Error => {}
                StmtKind::Let(binding) => {
                    let (slot, value) = self.bind_let(sc, binding);
                    rules.push(Rule::Let(slot, value));
                }
                StmtKind::For {
                    clauses,
                    condition,
                    body,
                } => {
                    let mark = sc.mark();
                    let (fors, mut condition) = self.clauses(sc, clauses, condition.as_ref());
                    let mut inner = self.rules(sc, body);
                    self.leave(sc, mark);
                    for mut clause in fors.into_iter().rev() {
                        clause.when = condition.take().into_iter().collect();
                        let clause: For = clause;
                        inner = vec![Rule::For(clause, inner)];
                    }
                    rules.append(&mut inner);
                }
                StmtKind::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let (condition, facts) = self.condition(sc, condition);
                    let (present, mark) = (sc.present.len(), sc.mark());
                    self.assume(sc, facts.clone(), true);
                    let first = self.rules(sc, then);
                    self.leave(sc, mark);
                    sc.present.truncate(present);
                    self.assume(sc, facts, false);
                    let second = self.rules(sc, otherwise);
                    self.leave(sc, mark);
                    sc.present.truncate(present);
                    rules.push(Rule::If(condition, first, second));
                }
                StmtKind::Deny {
                    is_warning,
                    condition,
                    message,
                } => {
                    let condition = match condition {
                        Some(e) => self.condition(sc, e).0,
                        None => self.add(ExprKind::Bool(true), Ty::BOOL, stmt.span),
                    };
                    let message = message.as_ref().map(|m| {
                        let id = self.check(sc, m, Want::new(Ty::STRING));
                        debug_assert!(matches!(self.kind(Ty::STRING), TyKind::String(_)));
                        id
                    });
                    rules.push(Rule::Deny {
                        condition,
                        message,
                        warn: *is_warning,
                        span: stmt.span,
                    });
                }
                StmtKind::Assert(_) | StmtKind::Snapshot(_) | StmtKind::MustFail { .. } => {
                    self.wrong_place(
                        stmt.span,
                        "a policy denies or warns",
                        "write `deny if condition, \"message\"`",
                    );
                }
            }
        }
        rules
    }
}
