//! Running the tests of a program: each in its environment, with a fresh machine.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::{Test, TestStep};

use crate::identity::duplicates;
use crate::limits;
use crate::machine::Machine;
use crate::session::{App, look_at_app, no_thread};

/// The value of a part of an assertion that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part.
    pub span: Span,
    /// Behind this place the value's mark belongs: behind the left operand, or what stands before a
    /// dot. The beginning of `span` where there is neither.
    pub after: u32,
    /// The value, as messages show it.
    pub value: String,
}

/// What became of a test.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Whether it ran at all.
    pub ran: bool,
    /// Why it failed; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// For assertions that did not hold, by their place: the values of their parts.
    pub parts: Vec<(Span, Vec<Part>)>,
    /// The values it takes snapshots of, as YAML, for the caller to compare with the recorded ones.
    pub snapshots: Vec<(Span, String)>,
    /// Where it takes snapshots; those that could not be evaluated are not among `snapshots`.
    pub takes: Vec<Span>,
}

impl Tested {
    /// A test that was not run.
    #[must_use]
    pub fn left_out(test: &Test) -> Self {
        let snapshots = test.steps.iter().filter_map(|step| match step {
            TestStep::Snapshot(_, span) => Some(*span),
            _ => None,
        });
        Self {
            name: test.name.to_string(),
            span: test.span,
            ran: false,
            failures: Vec::new(),
            parts: Vec::new(),
            snapshots: Vec::new(),
            takes: snapshots.collect(),
        }
    }

    /// Whether nothing failed, snapshots aside.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Rules over all objects of an environment, which a `must fail` block may expect to be broken. They are
/// the caller's: evaluation knows none.
pub trait Rules: Send {
    /// Looks at an app; called once for each before the others.
    fn look(&mut self, app: &mut App<'_, '_>);

    /// Whether several may declare an object, so that a test is to see it once.
    fn has_shared(&self) -> bool {
        false
    }

    /// Names the objects that are not to be seen, by the positions of their app and their own: others are the same, or
    /// should be.
    fn left_out(&mut self) -> Vec<(usize, usize)> {
        Vec::new()
    }

    /// Says what is broken, and forgets the apps.
    fn broken(&mut self) -> Vec<Diagnostic>;
}

/// No rules at all.
impl Rules for () {
    fn look(&mut self, _: &mut App<'_, '_>) {}

    fn broken(&mut self) -> Vec<Diagnostic> {
        Vec::new()
    }
}

/// Runs all tests of a program, which must have passed the checker without errors.
#[must_use]
pub fn run_tests(program: &Program) -> Vec<Tested> {
    (0..program.tests.len())
        .map(|at| run_test(program, at, &mut ()))
        .collect()
}

/// Runs the test at a position of the program's tests.
#[must_use]
pub fn run_test(program: &Program, at: usize, rules: &mut dyn Rules) -> Tested {
    let test = &program.tests[at];
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
        match thread.spawn_scoped(scope, || one(program, test, rules)) {
            Ok(running) => match running.join() {
                Ok(tested) => tested,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(_) => Tested {
                failures: vec![no_thread()],
                ran: true,
                ..Tested::left_out(test)
            },
        }
    })
}

fn one(program: &Program, test: &Test, rules: &mut dyn Rules) -> Tested {
    let mut machine = Machine::new(program, test.env);
    let has_shared = rules.has_shared();
    let mut counts = Vec::with_capacity(program.apps.len());
    for app in 0..program.apps.len() {
        look_at_app(&mut machine, app, |app| {
            counts.push(app.objects.len());
            if has_shared {
                rules.look(app);
            }
        });
    }
    if has_shared {
        machine.forget(&rules.left_out(), counts.into_iter());
        // A build says it.
        rules.broken();
    }
    let mut snapshots = Vec::new();
    machine.test(test, &mut snapshots);
    let mut failures = std::mem::take(&mut machine.diagnostics);
    let parts = std::mem::take(&mut machine.asserted);
    for step in &test.steps {
        if let TestStep::MustFail { proven: false, .. } = step {
            failures.extend(must_fail(program, test, step, rules));
        }
    }
    Tested {
        ran: true,
        failures,
        parts,
        snapshots,
        ..Tested::left_out(test)
    }
}

/// Makes the changes of a `must fail` block and looks at what evaluation says.
fn must_fail(
    program: &Program,
    test: &Test,
    step: &TestStep,
    rules: &mut dyn Rules,
) -> Option<Diagnostic> {
    let TestStep::MustFail {
        code,
        ops,
        exprs,
        span,
        ..
    } = step
    else {
        return None;
    };
    let mut machine = Machine::new(program, test.env);
    let _ = machine.change_apps(ops, test.slots);
    let mut objects = Vec::new();
    let mut counts = Vec::with_capacity(program.apps.len());
    for app in 0..program.apps.len() {
        look_at_app(&mut machine, app, |looked| {
            rules.look(looked);
            counts.push(looked.objects.len());
            let own = looked.objects.iter().cloned().enumerate();
            objects.extend(own.map(|(at, object)| ((app, at), object)));
        });
    }
    for expr in exprs {
        let _ = machine.in_frame(test.slots, crate::provenance::VALUE, |m, cx| {
            m.eval(*expr, cx)
        });
    }
    // Rules over all objects come when there are all of them, as in a build.
    let left_out = rules.left_out();
    let broken = rules.broken();
    if !machine.diagnostics.iter().any(Diagnostic::is_error) {
        let env = test.env.map(|env| program.envs[env.index()].name);
        objects.retain(|(place, _)| !left_out.contains(place));
        let objects = objects.iter().map(|(_, object)| object);
        duplicates(objects, env, &mut machine.diagnostics);
        machine.forget(&left_out, counts.into_iter());
        for policy in &program.policies {
            machine.policy(policy);
        }
        machine.diagnostics.extend(broken);
    }
    let found = &machine.diagnostics;
    let expected = code.as_deref();
    if found
        .iter()
        .any(|diagnostic| expected.is_none_or(|code| diagnostic.code == code))
    {
        return None;
    }
    let message = match expected {
        Some(code) => format!("this should fail with {code}"),
        None => "this should fail".to_owned(),
    };
    let mut failure = Diagnostic::error("E0523", message).label(
        *span,
        match found.first() {
            Some(other) => format!("it fails with {}: {}", other.code, other.message),
            None => "it is accepted".to_owned(),
        },
    );
    failure.env = test
        .env
        .map(|env| program.envs[env.index()].name.as_str().to_owned());
    Some(failure)
}
