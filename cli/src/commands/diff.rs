//! `ordain diff`: what a change of the sources, or another environment, changes in the cluster's objects, and what that does.

use crate::args::{Format, Output, formats};
use crate::diffing::{
    Built, ClusterArg, Side, at_commit, build_side, cite, digest_key, folder, known, live, on_disk,
    open, read,
};
use crate::usage::usage;
use crate::{Outcome, envs, terminal};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ordain_lang_project::{BuildOptions, MANIFEST};
use ordain_reconciler_diff::{
    Diff, Facts, Input, Level, Live, MarkdownOptions, Side as Name, TextOptions, compare, markdown,
    sarif, text,
};
use ordain_reconciler_plan::SetObject;
use ordain_reconciler_source::Repository;
use std::fs;
use std::path::{Path, PathBuf};

/// Show what a change of the sources changes in the cluster's objects, and what that does
///
/// Compiles two commits and compares every object, field by field, with the source line that decides it, and names effects:
/// restarts pods, deletes data, cannot be changed, and so on. It needs no cluster and no credentials, so it runs in CI. With
/// `--env dev..prod` two environments are compared instead: those of the files on disk, or of one commit.
///
/// `--live` also asks a cluster, with a dry run of each object that differs; without a range the files on disk are compared with
/// it. `--snapshot FILE` does the same offline, with a signed file that `ordain snapshot` wrote.
///
/// Exit codes: 0 nothing changes, 1 something does, 2 it could not be found out. `--fail-on` makes fewer changes a 1.
#[derive(clap::Args)]
pub(crate) struct DiffArgs {
    /// Two commits, branches or tags, as `A..B`; B is HEAD when it is left out
    #[arg(value_name = "A..B")]
    range: Option<String>,

    /// Compare this environment only; or two environments, as `dev..prod`
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Compare with the files on disk instead of a second commit
    #[arg(long)]
    worktree: bool,

    /// Project folder in the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,

    /// Compare with what is in the cluster, too
    #[arg(long, conflicts_with = "snapshot")]
    live: bool,

    #[command(flatten)]
    cluster: ClusterArg,

    /// Compare with a snapshot of what is applied, too
    #[arg(long, value_name = "FILE", requires = "snapshot_key")]
    snapshot: Option<PathBuf>,

    /// The public key that signed the snapshot, or a file that holds it
    #[arg(long, value_name = "KEY", requires = "snapshot")]
    snapshot_key: Option<String>,

    /// Tell Secrets in plain text from the snapshot's, with the key of its digests
    #[arg(long, value_name = "FILE", requires = "snapshot")]
    digest_key: Option<PathBuf>,

    /// How the difference is printed
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Output::Text, Output::Json, Output::Markdown, Output::Sarif]))]
    format: Output,

    /// Also write it to a file in a format, as `markdown=diff.md` (can be repeated)
    #[arg(short, long, value_name = "FORMAT=FILE", value_parser = output)]
    output: Vec<(Output, PathBuf)>,

    /// Where Markdown links sources to: the URL of the folder that the project is in, at the commit
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,

    /// What ends with exit code 1
    #[arg(long, value_name = "WHAT", default_value = "changes")]
    fail_on: FailOn,
}

/// What ends with exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// Every change
    Changes,
    /// An effect that is a warning or a danger
    Effects,
    /// Nothing
    Never,
}

/// Reads `markdown=diff.md`.
fn output(text: &str) -> Result<(Output, PathBuf), String> {
    let wrong = || {
        "write it like `markdown=diff.md`; formats are text, json, markdown and sarif".to_owned()
    };
    let (format, file) = text.split_once('=').ok_or_else(wrong)?;
    let format = match format {
        "text" => Output::Text,
        "json" => Output::Json,
        "markdown" => Output::Markdown,
        "sarif" => Output::Sarif,
        _ => return Err(wrong()),
    };
    match file {
        "" => Err(wrong()),
        file => Ok((format, PathBuf::from(file))),
    }
}

pub(crate) fn run(args: &DiffArgs) -> Result<Outcome> {
    let pair = args.env.as_deref().and_then(|env| env.split_once(".."));
    let diff = match pair {
        Some(_) if args.live || args.snapshot.is_some() => {
            return Err(usage(
                "two environments are compared with each other, not with a cluster",
                "choose one environment with `--env`",
            ));
        }
        Some((one, other)) => environments(args, one, other)?,
        None => commits(args)?,
    };
    let color = args.format.plain() == Format::Text && terminal::has_color(&std::io::stdout());
    terminal::data(&form(args, &diff, args.format, color)?)?;
    for (format, file) in &args.output {
        fs::write(file, form(args, &diff, *format, false)?)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write `{}`", file.display()))?;
    }
    let fails = match args.fail_on {
        FailOn::Changes => !diff.is_empty(),
        FailOn::Effects => diff.worst() >= Some(Level::Warning),
        FailOn::Never => false,
    };
    Ok(match fails {
        false => Outcome::Done,
        true => Outcome::Findings,
    })
}

fn form(args: &DiffArgs, diff: &Diff, format: Output, color: bool) -> Result<String> {
    let json = |value: serde_json::Result<String>| value.map(|text| text + "\n").into_diagnostic();
    match format {
        Output::Markdown => Ok(markdown(
            diff,
            &MarkdownOptions {
                bytes_max: None,
                source_url: args.source_url.clone(),
            },
        )),
        Output::Json => json(serde_json::to_string(diff)),
        Output::Sarif => {
            let folder = Repository::discover(&args.path)
                .map_or_else(|_| String::new(), |own| folder(&own, &args.path));
            json(serde_json::to_string(&sarif(diff, &folder)))
        }
        _ => Ok(text(diff, TextOptions { color })),
    }
}

/// Returns the difference of two commits as text, for the demo.
///
/// # Errors
/// As the command.
pub(crate) fn between(path: &Path, before: &str, after: &str, env: Option<&str>) -> Result<String> {
    let repository = open(path)?;
    let before = at_commit(&repository, path, before)?;
    let after = at_commit(&repository, path, after)?;
    let options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    let names = (Name::named("before"), Name::named("after"));
    let diff = sides(
        (&names.0, before.as_ref()),
        (&names.1, after.as_ref()),
        &options,
        |_, _, _| Ok(None),
    )?;
    Ok(text(&diff, TextOptions::default()))
}

fn commits(args: &DiffArgs) -> Result<Diff> {
    let env = args.env.as_deref();
    let mut options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    let asks = args.live || args.snapshot.is_some();
    let Some((before, after)) = range(args)? else {
        let side = on_disk(&args.path)?;
        envs::known(&side.project, env)?;
        if args.live {
            of_cluster(args, &side, &mut options)?;
        }
        let built = build_side(&side, &options)?;
        let mut facts = Facts::default();
        built.facts(&side, &mut facts);
        let live = beside(args, &side, &built, &facts, None)?;
        let mut diff = compare(&Input {
            base: None,
            head: (&side.name, &built.objects),
            live: live.as_ref(),
            facts: &facts,
        });
        cite(&mut diff, None, Some(&side), &options, same_place);
        return Ok(diff);
    };
    let repository = open(&args.path)?;
    let old = at_commit(&repository, &args.path, before)?;
    let new = match after {
        None => Some(on_disk(&args.path)?),
        Some(after) => at_commit(&repository, &args.path, after)?,
    };
    if after == Some("HEAD") {
        hint_at_uncommitted(&repository);
    }
    if let (true, Some(new)) = (args.live, &new) {
        of_cluster(args, new, &mut options)?;
    }
    if asks && new.is_none() {
        return Err(miette!(
            "there is no project at `{}`",
            after.unwrap_or("HEAD")
        ));
    }
    let name = |revision: &str| Name::named(revision);
    let names = (name(before), name(after.unwrap_or("the working tree")));
    sides(
        (&names.0, old.as_ref()),
        (&names.1, new.as_ref()),
        &options,
        |head, built, diff| match head {
            Some(head) if asks => beside(args, head, built, diff.1, Some(diff.0)),
            _ => Ok(None),
        },
    )
}

/// Leaves the environments that the cluster is for: those of the bundled one, or the one that is meant.
fn of_cluster(args: &DiffArgs, side: &Side, options: &mut BuildOptions) -> Result<()> {
    match (&args.cluster.kubeconfig, &args.env) {
        (None, None) => options.cluster = Some("local".to_owned()),
        (_, env) => options.env = envs::choose(&side.project, env.as_deref(), "")?,
    }
    Ok(())
}

/// What is live, when it is asked for.
fn beside(
    args: &DiffArgs,
    side: &Side,
    built: &Built,
    facts: &Facts,
    touched: Option<&Diff>,
) -> Result<Option<Live>> {
    if args.live {
        return live(&args.cluster, side, built, touched).map(Some);
    }
    let (Some(file), Some(key)) = (&args.snapshot, &args.snapshot_key) else {
        return Ok(None);
    };
    let snapshot = read(file, key)?;
    let digests = args.digest_key.as_deref().map(digest_key).transpose()?;
    let env = args.env.as_deref();
    Ok(Some(Live::of_snapshot(
        &snapshot,
        &built.objects,
        facts,
        env,
        digests.as_ref(),
    )))
}

/// Returns the two sides, none for the files on disk; nothing when only the live state is compared with.
fn range(args: &DiffArgs) -> Result<Option<(&str, Option<&str>)>> {
    let form = "write it like `main..HEAD`, or name one commit to compare HEAD with";
    let Some(text) = args.range.as_deref() else {
        return match args.worktree {
            _ if args.live || args.snapshot.is_some() => Ok(None),
            true => Ok(Some(("HEAD", None))),
            false => Err(usage(
                "nothing to compare",
                "name two commits like `main..HEAD`, two environments like `--env dev..prod`, or `--worktree`; `--live` and `--snapshot` compare with what is applied",
            )),
        };
    };
    let (before, after) = text.split_once("..").unwrap_or((text, ""));
    if before.is_empty() || after.starts_with('.') {
        return Err(usage(format!("`{text}` is no range of commits"), form));
    }
    match (args.worktree, after) {
        (true, "") => Ok(Some((before, None))),
        (true, _) => Err(usage(
            format!("`{text}` names two commits, and `--worktree` is a third"),
            format!("write `ordain diff {before} --worktree`"),
        )),
        (false, "") => Ok(Some((before, Some("HEAD")))),
        (false, after) => Ok(Some((before, Some(after)))),
    }
}

/// Compares two environments of one state of the sources.
fn environments(args: &DiffArgs, one: &str, other: &str) -> Result<Diff> {
    let side = match args.range.as_deref() {
        None => on_disk(&args.path)?,
        Some(range) if range.contains("..") => {
            return Err(usage(
                "two commits and two environments are four sides",
                format!("choose one commit, as `ordain diff HEAD --env {one}..{other}`"),
            ));
        }
        Some(commit) => {
            let repository = open(&args.path)?;
            at_commit(&repository, &args.path, commit)?
                .ok_or_else(|| usage(format!("there is no project at `{commit}`"), ""))?
        }
    };
    envs::known(&side.project, Some(one))?;
    envs::known(&side.project, Some(other))?;
    let options = |env: &str| BuildOptions {
        env: Some(env.to_owned()),
        cluster: None,
    };
    let mut before = build_side(&side, &options(one))?;
    let mut after = build_side(&side, &options(other))?;
    let space = |built: &Built| built.apps.first().map(|app| app.namespace.clone());
    let spaces = space(&before)
        .zip(space(&after))
        .filter(|(from, to)| from != to);
    // The same object has another namespace where the environments have.
    if let Some((from, to)) = &spaces {
        terminal::say(&format!("namespace {from} is compared with {to}"));
        for object in &mut before.objects {
            if let Some(space) = object.object.pointer_mut("/metadata/namespace")
                && space.as_str() == Some(from)
            {
                *space = to.as_str().into();
            }
        }
    }
    let mut facts = Facts::default();
    after.facts(&side, &mut facts);
    let label = format!("{one}..{other}");
    if let Some(known) = facts.envs.remove(other) {
        facts.envs.insert(label.clone(), known);
    }
    let label_all = |objects: &mut [SetObject]| {
        for object in objects {
            object.env.clone_from(&label);
        }
    };
    label_all(&mut before.objects);
    label_all(&mut after.objects);
    let (base, head) = (Name::named(one), Name::named(other));
    let mut diff = compare(&Input {
        base: Some((&base, &before.objects)),
        head: (&head, &after.objects),
        live: None,
        facts: &facts,
    });
    // A declared environment that is not deployed holds nothing back.
    diff.held.clear();
    let both = BuildOptions::default();
    cite(
        &mut diff,
        Some(&side),
        Some(&side),
        &both,
        |is_head, field| {
            let mut space = field.key.namespace.clone();
            if let (false, Some((from, to))) = (is_head, &spaces)
                && space.as_ref() == Some(to)
            {
                space = Some(from.clone());
            }
            let env = if is_head { other } else { one };
            (env.to_owned(), space)
        },
    );
    Ok(diff)
}

type Known<'a> = (&'a Name, Option<&'a Side>);

/// Compares two sides, with what is live when `beside` finds that out for the sides' own difference.
fn sides(
    (base_name, base): Known<'_>,
    (head_name, head): Known<'_>,
    options: &BuildOptions,
    beside: impl FnOnce(Option<&Side>, &Built, (&Diff, &Facts)) -> Result<Option<Live>>,
) -> Result<Diff> {
    let all: Vec<&Side> = [head, base].into_iter().flatten().collect();
    known(&all, options.env.as_deref())?;
    let built = |side: Option<&Side>| match side {
        Some(side) => build_side(side, options),
        None => Ok(Built::default()),
    };
    // The sides have nothing in common; each takes a core.
    let (old, new) = std::thread::scope(|scope| {
        let old = scope.spawn(|| built(base));
        let new = built(head);
        (old.join(), new)
    });
    let old = old.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let new = new?;
    let mut facts = Facts::default();
    for (side, built) in [(head, &new), (base, &old)] {
        if let Some(side) = side {
            built.facts(side, &mut facts);
        }
    }
    let base_name = base.map_or(base_name, |side| &side.name);
    let head_name = head.map_or(head_name, |side| &side.name);
    let of = |live: Option<&Live>| {
        compare(&Input {
            base: Some((base_name, &old.objects)),
            head: (head_name, &new.objects),
            live,
            facts: &facts,
        })
    };
    let mut diff = of(None);
    if let Some(live) = beside(head, &new, (&diff, &facts))? {
        diff = of(Some(&live));
    }
    cite(&mut diff, base, head, options, same_place);
    Ok(diff)
}

fn same_place(_: bool, field: &ordain_reconciler_diff::FieldAt) -> (String, Option<String>) {
    (field.env.clone(), field.key.namespace.clone())
}

/// Who compares with HEAD may mean what is not committed yet.
fn hint_at_uncommitted(repository: &Repository) {
    // Whether there is a hint is no reason to fail.
    let changed = repository.uncommitted().unwrap_or_default();
    let sources: Vec<&String> = changed
        .iter()
        .filter(|path| path.ends_with(".ord") || path.ends_with(MANIFEST))
        .collect();
    if let Some(first) = sources.first() {
        let more = match sources.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        terminal::say(&format!(
            "hint: {first}{more} differs from HEAD and is not compared; `--worktree` compares the files on disk"
        ));
    }
}
