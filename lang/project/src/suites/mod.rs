//! Running a project's tests: facts, snapshots and what must fail.
//!
//! Nothing is written here: a run says which snapshot files would be written and removed, and the
//! caller does it.

mod diagram;
mod junit;
mod snapshot;

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, Severity, Span};
use serde::Serialize;

use crate::check::{Environment, check};
use crate::files::Files;
use crate::load::Project;
use crate::shared::SharedNames;
use crate::whole::OneTest;

pub use snapshot::{SNAPSHOTS, Snapshot, SnapshotState};

/// Which tests to run, and what to do about snapshots.
#[derive(Clone, Default, Debug)]
pub struct TestOptions {
    /// Only tests whose `file > name` contains this text, in any case.
    pub pattern: Option<String>,
    /// Snapshots that differ or were never recorded are no failures: they are to be written.
    pub update: bool,
}

/// What became of a test.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// The file in which it stands.
    pub file: String,
    /// `file:line`.
    pub at: String,
    /// Where its name stands.
    #[serde(skip)]
    pub span: Span,
    /// The environment it runs in.
    pub env: Option<String>,
    /// Why it failed; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// The snapshots it takes.
    pub snapshots: Vec<Snapshot>,
}

impl Tested {
    /// Returns whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What became of all tests of a run.
#[derive(Clone, Default, Debug, Serialize)]
pub struct TestRun {
    /// The tests in the order of the sources.
    pub tests: Vec<Tested>,
    /// Snapshot files that no test takes any more. Looked for only when all tests ran.
    pub orphans: Vec<String>,
    /// How many tests the pattern left out.
    pub skipped: usize,
    /// Warnings about the project and its snapshots.
    pub warnings: Vec<Diagnostic>,
    #[serde(skip)]
    is_update: bool,
}

impl TestRun {
    /// Returns whether every test passed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.tests.iter().all(Tested::passed)
    }

    /// Returns the tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Tested> {
        self.tests.iter().filter(|test| !test.passed())
    }

    /// Returns the snapshot files to write, as paths from the project's root and contents; none
    /// unless the run is to update them.
    pub fn writes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests
            .iter()
            .flat_map(|test| &test.snapshots)
            .filter(|snapshot| self.is_update && snapshot.state != SnapshotState::Same)
            .map(|snapshot| (&*snapshot.path, &*snapshot.text))
    }

    /// Returns the snapshot files to remove, as paths from the project's root; none unless the run
    /// is to update them.
    pub fn removals(&self) -> impl Iterator<Item = &str> {
        self.orphans
            .iter()
            .filter(|_| self.is_update)
            .map(String::as_str)
    }

    /// Writes the run as JUnit XML, which CI systems show: a suite for each file. `name` is that of
    /// the whole, such as the project's.
    #[must_use]
    pub fn junit(&self, name: &str) -> String {
        junit::write(name, &self.tests)
    }
}

/// Runs the tests of a project, each in its environment and against that one's Kubernetes version.
/// `files` are those that the project was loaded from; recorded snapshots are read from there.
///
/// # Errors
/// With what [`check`] finds, when there is an error among it: then no test is run.
pub fn test(
    project: &Project,
    files: &dyn Files,
    options: &TestOptions,
) -> Result<TestRun, Vec<Diagnostic>> {
    let diagnostics = check(project);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    let mut run = TestRun {
        is_update: options.update,
        warnings: diagnostics
            .into_iter()
            .filter(|found| found.severity == Severity::Warning)
            .collect(),
        ..TestRun::default()
    };
    let wanted = options.pattern.as_deref().map(str::to_lowercase);
    let is_wanted = |file: &str, name: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| format!("{file} > {name}").to_lowercase().contains(wanted))
    };
    let mut tested = evaluated(project, |span, name| {
        is_wanted(project.sources.path(span.file), name)
    });
    tested.sort_by_key(|(_, found)| (found.span.file, found.span.start));
    let mut paths = snapshot::Paths::default();
    for (env, found) in tested {
        let file = project.sources.path(found.span.file).to_owned();
        let places = paths.of(&file, &found.name, found.takes.len());
        if !found.ran {
            run.skipped += 1;
            continue;
        }
        let mut failures: Vec<Diagnostic> = found
            .failures
            .into_iter()
            .map(|failure| explained(project, &found.parts, failure))
            .collect();
        let mut snapshots = Vec::with_capacity(places.len());
        for (span, text) in found.snapshots {
            let at = found.takes.iter().position(|own| *own == span);
            let Some(path) = at.and_then(|at| places.get(at)).cloned() else {
                continue;
            };
            let one = Snapshot::compare(files, path, span, text);
            if !options.update {
                failures.extend(one.difference(env.as_deref()));
            }
            snapshots.push(one);
        }
        run.tests.push(Tested {
            at: project.sources.place(found.span),
            name: found.name,
            file,
            span: found.span,
            env,
            failures,
            snapshots,
        });
    }
    if run.skipped == 0 {
        run.orphans = paths.orphans(files);
        if !options.update {
            run.warnings
                .extend(run.orphans.iter().map(|path| snapshot::orphan(path)));
        }
    }
    Ok(run)
}

/// Evaluates the tests of every version with their environments' names.
fn evaluated(
    project: &Project,
    is_wanted: impl Fn(Span, &str) -> bool,
) -> Vec<(Option<String>, eval::Tested)> {
    let environments = project.environments();
    let own = project.manifest.kubernetes;
    let mut versions: Vec<_> = environments.iter().map(|env| env.kubernetes).collect();
    versions.push(own);
    versions.sort_unstable();
    versions.dedup();
    let shared = SharedNames::of(project);
    let mut tested = Vec::new();
    for version in versions {
        let (program, _) = project.checked(version);
        let env_of = |test: &ordain_lang_types::program::Test| -> Option<&Environment> {
            let name = program.envs[test.env?.index()].name;
            environments.iter().find(|env| name == *env.name)
        };
        let belongs = |test: &ordain_lang_types::program::Test| {
            env_of(test).map_or(own, |env| env.kubernetes) == version
        };
        for (at, test) in program.tests.iter().enumerate() {
            if !belongs(test) {
                continue;
            }
            let env = env_of(test).map(|env| env.name.clone());
            let found = match is_wanted(test.span, &test.name) {
                true => {
                    let mut rules = OneTest::new(&program, env_of(test), &shared);
                    eval::run_test(&program, at, &mut rules)
                }
                false => eval::Tested::left_out(test),
            };
            tested.push((env, found));
        }
    }
    tested
}

/// A failed assertion with the values of its parts below its text.
fn explained(
    project: &Project,
    parts: &[(Span, Vec<eval::Part>)],
    mut failure: Diagnostic,
) -> Diagnostic {
    let own = failure.span();
    if let Some((_, parts)) = parts.iter().find(|(span, _)| Some(*span) == own)
        && let Some(text) = diagram::draw(&project.sources, parts)
    {
        failure = failure.note(text);
    }
    failure
}
