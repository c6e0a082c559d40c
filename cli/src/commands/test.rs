//! `ordain test`: the tests of a project, and the files of their snapshots.

use crate::args::Format;
use crate::usage::usage;
use crate::watch::{Round, WatchArg, watch};
use crate::{Outcome, disk, envs, report, terminal};
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_project::{Disk, Project, SnapshotState, TestOptions, TestRun, Tested};
use ordain_lang_syntax::Sources;
use std::fs;
use std::path::{Path, PathBuf};

/// Run the tests of a project
///
/// Each `test` of the sources runs in its environment: its facts must hold, its snapshots must be as recorded below
/// `snapshots/`, and what must fail must fail with its code. A fact that does not hold shows the value of every part of it.
/// Programs in doc comments (fenced blocks that say `ord`) must be accepted too. Exit code 1 when a test fails.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Run only tests whose `FILE > NAME` contains this, in any case
    #[arg(value_name = "PATTERN")]
    pattern: Option<String>,

    /// Run only the tests of this environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Record snapshots that are new or differ, and remove those that no test takes
    #[arg(long)]
    update: bool,

    /// Write the results as JUnit XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Project folder, or one `.ord` file
    #[arg(long, value_name = "PATH", default_value = ".")]
    path: PathBuf,

    #[command(flatten)]
    watch: WatchArg,
}

pub(crate) fn run(args: &TestArgs, format: Format) -> Result<Outcome> {
    if args.watch.watch {
        return watch(&args.path, None, |Round { session, disk }| {
            once(args, format, session.project(), disk)
        });
    }
    let (project, disk) = disk::open(&args.path)?;
    once(args, format, &project, &disk)
}

/// Runs the tests of an opened project.
fn once(args: &TestArgs, format: Format, project: &Project, disk: &Disk) -> Result<Outcome> {
    envs::known(project, args.env.as_deref())?;
    let options = TestOptions {
        pattern: args.pattern.clone(),
        update: args.update,
    };
    let mut run = match ordain_lang_project::test(project, disk, &options) {
        Ok(run) => run,
        Err(diagnostics) => {
            if format == Format::Json {
                terminal::json(
                    &serde_json::json!({ "diagnostics": report::json(&diagnostics, &project.sources) }),
                )?;
            } else {
                super::check::show(&diagnostics, project);
            }
            return Ok(Outcome::Findings);
        }
    };
    let sources = add_examples(&mut run, project, args);
    if let Some(env) = &args.env {
        let all = run.tests.len();
        run.tests.retain(|test| test.env.as_ref() == Some(env));
        run.skipped += all - run.tests.len();
        // The tests of other environments take snapshots too.
        run.orphans.clear();
    }
    if run.tests.is_empty() && run.skipped > 0 {
        let help = format!("the project has {}", count(run.skipped, "test"));
        return Err(usage("no test fits", help));
    }
    let recorded = record(&run, disk.root())?;
    if let Some(file) = &args.junit {
        let xml = run.junit(&project.manifest.name);
        fs::write(file, xml)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", file.display()))?;
    }
    match format {
        Format::Json => terminal::json(&json(&run, &sources))?,
        Format::Text => {
            super::check::show(&run.warnings, project);
            terminal::data(&text(&run, &sources))?;
            if recorded > 0 {
                terminal::say(&format!("{} recorded", count(recorded, "snapshot")));
            }
        }
    }
    Ok(if run.is_ok() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// The programs in doc comments are tests as well: they must be accepted.
fn add_examples(run: &mut TestRun, project: &Project, args: &TestArgs) -> Sources {
    let wanted = args.pattern.as_deref().map(str::to_lowercase);
    let (examples, sources) = ordain_lang_project::examples(project);
    for example in examples {
        let name = format!("{} > {}", example.file, example.name).to_lowercase();
        match &wanted {
            Some(wanted) if !name.contains(wanted) => run.skipped += 1,
            _ => run.tests.push(example),
        }
    }
    sources
}

/// Writes and removes what an update asks for, and returns how many files that were.
fn record(run: &TestRun, root: &Path) -> Result<usize> {
    let mut files = 0;
    for (path, content) in run.writes() {
        let path = root.join(path);
        let folder = path.parent().expect("a snapshot lies in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
        files += 1;
    }
    for path in run.removals() {
        let path = root.join(path);
        fs::remove_file(&path)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot remove {}", path.display()))?;
        files += 1;
    }
    Ok(files)
}

fn text(run: &TestRun, sources: &Sources) -> String {
    let color = terminal::has_color(&std::io::stdout());
    let mut out = String::new();
    for test in &run.tests {
        let mark = match (test.passed(), color) {
            (true, false) => "ok  ",
            (false, false) => "FAIL",
            (true, true) => "\x1b[32mok\x1b[0m  ",
            (false, true) => "\x1b[31mFAIL\x1b[0m",
        };
        out.push_str(&format!("{mark}  {}\n", title(test)));
        if !test.passed() {
            let shown = report::render(&test.failures, sources, super::check::WIDTH, color);
            for line in shown.trim_end().lines() {
                out.push_str(format!("      {line}").trim_end());
                out.push('\n');
            }
            out.push('\n');
        }
    }
    let failed = run.failed().count();
    let mut parts = vec![format!("{} passed", run.tests.len() - failed)];
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if run.skipped > 0 {
        parts.push(format!("{} left out", run.skipped));
    }
    match run.tests.len() {
        0 => out.push_str("no tests\n"),
        _ => out.push_str(&format!("{}\n", parts.join(", "))),
    }
    out
}

fn title(test: &Tested) -> String {
    match &test.env {
        Some(env) => format!("{}  (in {env}, {})", test.name, test.at),
        None => format!("{}  ({})", test.name, test.at),
    }
}

fn json(run: &TestRun, sources: &Sources) -> serde_json::Value {
    let tests: Vec<serde_json::Value> = run
        .tests
        .iter()
        .map(|test| {
            let snapshots: Vec<serde_json::Value> = test
                .snapshots
                .iter()
                .map(|s| {
                    let state = match s.state {
                        SnapshotState::Same => "same",
                        SnapshotState::New => "new",
                        SnapshotState::Changed => "changed",
                    };
                    serde_json::json!({ "path": s.path, "state": state })
                })
                .collect();
            serde_json::json!({
                "name": test.name,
                "at": test.at,
                "env": test.env,
                "passed": test.passed(),
                "failures": report::json(&test.failures, sources),
                "snapshots": snapshots,
            })
        })
        .collect();
    serde_json::json!({
        "tests": tests,
        "left_out": run.skipped,
        "orphans": run.orphans,
        "warnings": report::json(&run.warnings, sources),
    })
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
