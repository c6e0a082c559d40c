//! Policies over all objects of a build, and the steps of tests.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::program::{
    EnvOp, Exempt, ExemptIn, ExemptRule, Policy, Rule, Test, TestStep,
};

use super::pour::Pour;
use super::{Cx, Machine};
use crate::emit::YamlText;
use crate::heap::Item;
use crate::provenance::{Prov, VALUE};
use crate::session::Object;
use crate::value::{Reported, Res, Value};

impl<'p> Machine<'p> {
    /// Makes an object of an app known to policies and tests.
    pub(crate) fn know_object(&mut self, object: &Object, app: Span, value: Value) {
        let at = self.heap.add_prov(Prov::set(object.at, VALUE));
        self.known.push(Item { at, value });
        self.known_as.push((object.clone(), app));
        self.objects = None;
    }

    /// Forgets objects that policies and tests are not to see. Each is the position of its app, whose objects became known
    /// in one go, and its own among them; `counts` is how many each app has.
    pub(crate) fn forget(
        &mut self,
        objects: &[(usize, usize)],
        counts: impl Iterator<Item = usize>,
    ) {
        if objects.is_empty() {
            return;
        }
        let all = counts.enumerate();
        let places = all.flat_map(|(app, count)| (0..count).map(move |at| (app, at)));
        let stays: Vec<bool> = places.map(|place| !objects.contains(&place)).collect();
        let mut at = stays.iter();
        self.known.retain(|_| at.next() != Some(&false));
        let mut at = stays.iter();
        self.known_as.retain(|_| at.next() != Some(&false));
        self.objects = None;
    }

    /// The list of the known objects.
    pub(super) fn known_objects(&mut self) -> Value {
        match self.objects {
            Some(objects) => objects,
            None => {
                let list = Value::List(self.heap.add_list(self.known.iter().copied()));
                self.objects = Some(list);
                list
            }
        }
    }

    /// Applies a policy to the known objects; what it denies becomes diagnostics.
    pub(crate) fn policy(&mut self, policy: &'p Policy) {
        let program = self.program;
        let chain = self
            .env
            .map_or(&[][..], |env| &program.envs[env.index()].chain);
        if policy.env.is_some_and(|env| !chain.contains(&env)) {
            return;
        }
        // A rule that cannot be evaluated was reported; the others still are.
        let _ = self.in_frame(policy.slots, VALUE, |m, cx| {
            m.rules(policy, &policy.rules, None, cx)
        });
    }

    fn rules(
        &mut self,
        policy: &'p Policy,
        rules: &'p [Rule],
        object: Option<Value>,
        cx: Cx,
    ) -> Res<()> {
        let mut result = Ok(());
        for rule in rules {
            let one = match rule {
                Rule::For(clause, rules) => self.each(clause, cx, &mut |m| {
                    let value = m.local(clause.value, cx);
                    let object = if m.is_object(value) {
                        Some(value)
                    } else {
                        object
                    };
                    // Mistakes of one turn do not hide those of the next.
                    let _ = m.rules(policy, rules, object, cx);
                    Ok(())
                }),
                Rule::If(condition, then, otherwise) => match self.condition(*condition, cx) {
                    Ok(true) => self.rules(policy, then, object, cx),
                    Ok(false) => self.rules(policy, otherwise, object, cx),
                    Err(Reported) => Err(Reported),
                },
                Rule::Let(slot, value) => self
                    .eval(*value, cx)
                    .map(|value| self.set_local(*slot, value, cx)),
                Rule::Deny {
                    condition,
                    message,
                    warn,
                    span,
                } => match self.condition(*condition, cx) {
                    Ok(true) => {
                        let said = match message {
                            Some(message) => self
                                .eval(*message, cx)
                                .map(|text| self.plain_text(text))
                                .ok(),
                            None => None,
                        };
                        self.denied(policy, said, *warn, *span, object);
                        Ok(())
                    }
                    other => other.map(drop),
                },
            };
            result = result.and(one);
        }
        result
    }

    fn is_object(&self, value: Value) -> bool {
        matches!(value, Value::Rec(rec) if self.def(self.heap.rec(rec).def).gvk().is_some())
    }

    fn denied(
        &mut self,
        policy: &Policy,
        said: Option<String>,
        warn: bool,
        span: Span,
        object: Option<Value>,
    ) {
        let message = said.unwrap_or_else(|| format!("the policy \"{}\" is broken", policy.name));
        let mut diagnostic = match warn {
            true => Diagnostic::warning("W0521", message),
            false => Diagnostic::error("E0521", message),
        };
        let known = object.and_then(|object| self.known_as(object));
        if self.is_allowed(&policy.name, known.as_ref()) {
            return;
        }
        if let Some((object, _)) = known {
            diagnostic = diagnostic
                .label(object.at, "this object")
                .object(object.title());
        }
        diagnostic = diagnostic.label(span, format!("policy \"{}\"", policy.name));
        self.report(diagnostic);
    }

    /// Which object a value is, and where the name of its app stands.
    fn known_as(&self, object: Value) -> Option<(Object, Span)> {
        let Value::Rec(rec) = object else { return None };
        let is_it = |item: &Item| matches!(item.value, Value::Rec(other) if other == rec);
        let at = self.known.iter().position(is_it)?;
        self.known_as.get(at).cloned()
    }

    /// Whether an exemption allows an object to break a policy; takes note of those that do.
    fn is_allowed(&mut self, policy: &str, known: Option<&(Object, Span)>) -> bool {
        let is_it =
            |rule: &ExemptRule| matches!(rule, ExemptRule::Policy(name) if **name == *policy);
        let known = known.map(|(object, app)| (object, *app));
        self.is_exempt(is_it, known)
    }

    /// Whether an exemption of a rule is for an object of the app whose name stands at a place; takes note of those that
    /// are. What belongs to no object is exempt from what nothing need keep.
    pub(crate) fn is_exempt(
        &mut self,
        is_rule: impl Fn(&ExemptRule) -> bool,
        known: Option<(&Object, Span)>,
    ) -> bool {
        let program = self.program;
        let chain = self
            .env
            .map_or(&[][..], |env| &program.envs[env.index()].chain);
        let before = self.exempted.len();
        for exemption in &program.exemptions {
            let Exempt::Allow {
                rule,
                object: wanted,
                ..
            } = &exemption.what
            else {
                continue;
            };
            let is_here = match (exemption.place, known) {
                (ExemptIn::Env(env), _) => chain.contains(&env),
                (ExemptIn::App(app), Some((_, own))) => program.apps[app.index()].span == own,
                (ExemptIn::Module(module), Some((_, own))) => {
                    program.modules[module.index()].file == own.file
                }
                (ExemptIn::App(_) | ExemptIn::Module(_), None) => false,
            };
            let is_it = match (wanted, known) {
                (None, _) => true,
                (Some(wanted), Some((object, _))) => {
                    *wanted.group == *object.group()
                        && *wanted.kind == *object.kind
                        && wanted.is_called(&object.name)
                }
                (Some(_), None) => false,
            };
            if is_here && is_it && is_rule(rule) {
                self.exempted.push(exemption.span);
            }
        }
        self.exempted.len() > before
    }

    /// Runs the steps of a test up to the `must fail` blocks, which need a machine of their own.
    pub(crate) fn test(&mut self, test: &'p Test, snapshots: &mut Vec<(Span, String)>) {
        self.in_frame(test.slots, VALUE, |m, cx| {
            for step in &test.steps {
                match step {
                    TestStep::Let(slot, value) => {
                        if let Ok(value) = m.eval(*value, cx) {
                            m.set_local(*slot, value, cx);
                        }
                    }
                    TestStep::Assert(condition, message, span) => {
                        let _ = m.assert(*condition, *message, *span, cx);
                    }
                    TestStep::Snapshot(value, span) => {
                        let text = m.eval(*value, cx).and_then(|value| m.snapshot(value));
                        snapshots.extend(text.ok().map(|text| (*span, text)));
                    }
                    TestStep::MustFail { .. } => {}
                }
            }
        });
    }

    fn assert(
        &mut self,
        condition: ordain_lang_types::hir::ExprId,
        message: Option<ordain_lang_types::hir::ExprId>,
        span: Span,
        cx: Cx,
    ) -> Res<()> {
        if self.condition(condition, cx)? {
            return Ok(());
        }
        let message = match message {
            Some(message) => {
                let text = self.eval(message, cx)?;
                self.plain_text(text)
            }
            None => "the assertion does not hold".to_owned(),
        };
        let parts = self.power(condition, cx);
        self.asserted.push((span, parts));
        Err(self.report(Diagnostic::error("E0522", message).label(span, "does not hold")))
    }

    /// A value as a snapshot keeps it: YAML, one document for each element of a list of objects.
    fn snapshot(&mut self, value: Value) -> Res<String> {
        let mut text = YamlText::new();
        match value {
            Value::List(list) if self.heap.list(list).iter().all(|i| self.is_object(i.value)) => {
                for item in self.heap.list(list).to_vec() {
                    text.document();
                    self.pour(item.value, &mut text, Pour::default())?;
                }
            }
            value => {
                text.document();
                self.pour(value, &mut text, Pour::default())?;
            }
        }
        Ok(text.finish())
    }

    /// Carries out the changes of a `must fail` block.
    pub(crate) fn change_apps(&mut self, ops: &'p [EnvOp], slots: u32) -> Res<()> {
        let mut result = Ok(());
        for op in ops {
            result = result.and(self.amend_app(op.app, &op.amend, slots).map(drop));
        }
        result
    }
}
