//! Running the tests of a program: each in its environment, with a fresh machine.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::{Test, TestStep};

use crate::limits;
use crate::machine::Machine;
use crate::session::{app_objects, no_thread};

/// What became of a test.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Why it failed; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// The values it takes snapshots of, as YAML, for the caller to compare with the recorded ones.
    pub snapshots: Vec<(Span, String)>,
}

impl Tested {
    /// Whether nothing failed, snapshots aside.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs all tests of a program, which must have passed the checker without errors.
#[must_use]
pub fn run_tests(program: &Program) -> Vec<Tested> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
        let run = || {
            program
                .tests
                .iter()
                .map(|test| one(program, test))
                .collect()
        };
        match thread.spawn_scoped(scope, run) {
            Ok(running) => match running.join() {
                Ok(tested) => tested,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(_) => program.tests.iter().map(not_run).collect(),
        }
    })
}

fn not_run(test: &Test) -> Tested {
    let failures = vec![no_thread()];
    Tested {
        name: test.name.to_string(),
        span: test.span,
        failures,
        snapshots: Vec::new(),
    }
}

fn one(program: &Program, test: &Test) -> Tested {
    let mut machine = Machine::new(program, test.env);
    for app in 0..program.apps.len() {
        for (at, object) in app_objects(&mut machine, app) {
            machine.know_object(at, object);
        }
    }
    let mut snapshots = Vec::new();
    machine.test(test, &mut snapshots);
    let mut failures = std::mem::take(&mut machine.diagnostics);
    for step in &test.steps {
        if let TestStep::MustFail { proven: false, .. } = step {
            failures.extend(must_fail(program, test, step));
        }
    }
    Tested {
        name: test.name.to_string(),
        span: test.span,
        failures,
        snapshots,
    }
}

/// Makes the changes of a `must fail` block and looks at what evaluation says.
fn must_fail(program: &Program, test: &Test, step: &TestStep) -> Option<Diagnostic> {
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
    for app in 0..program.apps.len() {
        let _ = app_objects(&mut machine, app);
    }
    for expr in exprs {
        let _ = machine.in_frame(test.slots, crate::provenance::VALUE, |m, cx| {
            m.eval(*expr, cx)
        });
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
