//! `ordain blame OBJECT FIELD`: who wrote the lines that a deployed field comes from.

use crate::args::{DataDirArg, Format};
use crate::cluster::Tree;
use crate::journal::{self, Deployed, Wanted, is_kind};
use crate::{Outcome, terminal, when};
use miette::{Result, miette};
use ordain_lang_project::{Explained, How, Project, explain};
use ordain_reconciler_journal::time;
use ordain_reconciler_source::{CommitId, LineOrigin, Repository};
use serde::Serialize;

/// Show who wrote the lines that a deployed field comes from
///
/// The field's value as it is deployed, and every line that had a say in it through the layers of the language, the winner first:
/// the file and line, the commit that brought it, its author and its subject. The journal and the repository of the data directory
/// are read; nothing has to run. Elements of lists are named by their key, as in
/// `ordain blame deployment/web 'spec.template.spec.containers["main"].image'`.
#[derive(clap::Args)]
pub(crate) struct BlameArgs {
    /// The object, as KIND/NAME
    #[arg(value_name = "OBJECT")]
    object: String,

    /// The field, such as `spec.replicas`
    #[arg(value_name = "FIELD")]
    field: String,

    /// The namespace, when several have such an object
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The app, when several have such an object
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// The environment, when several have such an object
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// As it was at this time, such as `2026-08-01 14:03` or `2h ago`
    #[arg(long, value_name = "TIME", default_value = "now")]
    at: String,

    #[command(flatten)]
    data_dir: DataDirArg,
}

/// What is known about a field.
#[derive(Serialize)]
struct Blame {
    object: String,
    field: String,
    value: String,
    app: String,
    env: String,
    /// The deploy's number within the app.
    deploy: u64,
    /// The deployed commit.
    commit: String,
    /// Which of the lines decides the value: where it was set, or what was copied there in the end.
    decides: usize,
    /// The winner first.
    lines: Vec<Line>,
}

/// A line that had a say.
#[derive(Serialize)]
struct Line {
    /// `file:line` in the deployed commit.
    at: String,
    layer: String,
    how: &'static str,
    /// The text of the line.
    text: String,
    #[serde(flatten)]
    origin: Option<Origin>,
}

/// The commit that brought a line.
#[derive(Serialize)]
struct Origin {
    /// `file:line` as it was in that commit.
    from: String,
    brought_by: String,
    author: String,
    time: String,
    subject: String,
}

pub(crate) fn run(args: &BlameArgs, format: Format) -> Result<Outcome> {
    let data_dir = args.data_dir.path();
    let journal = journal::open(&data_dir)?;
    let repository = journal::repository(&data_dir)?;
    let deployed = find(args, &journal)?;
    let blame = blame(&repository, &deployed, &args.field)?;
    match format {
        Format::Json => terminal::json(&blame)?,
        Format::Text => terminal::data(&text(&blame))?,
    }
    Ok(Outcome::Done)
}

fn find(args: &BlameArgs, journal: &ordain_reconciler_journal::Journal) -> Result<Deployed> {
    if !args.object.contains('/') {
        return Err(crate::usage::usage(
            format!("`{}` is not an object", args.object),
            "name one as KIND/NAME, such as `deployment/web`",
        ));
    }
    let wanted = Wanted {
        namespace: args.namespace.as_deref(),
        app: args.app.as_deref(),
        env: args.env.as_deref(),
        ..Wanted::of(&args.object)
    };
    let mut found = journal::objects(journal, when::milliseconds(&args.at)?, &wanted)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(miette!(
            help = "`ordain at now get` lists what is deployed",
            "no {} is deployed",
            args.object
        )),
        _ => {
            let all: Vec<String> = found
                .iter()
                .map(|one| format!("{} of {}", one.title(), one.deploy.app))
                .collect();
            Err(crate::usage::usage(
                format!(
                    "{} is meant by several objects: {}",
                    args.object,
                    all.join(", ")
                ),
                "say which with --namespace, --app or --env",
            ))
        }
    }
}

fn blame(repository: &Repository, deployed: &Deployed, field: &str) -> Result<Blame> {
    let deploy = &deployed.deploy;
    let failed = |error| super::report(error, None);
    let commit: CommitId = deploy.commit.parse().map_err(failed)?;
    let files = repository.files(&commit).map_err(failed)?;
    let project = Project::load(&Tree(&files));
    // A project without environments deploys to one that it does not name.
    let env = project
        .environments()
        .iter()
        .any(|env| env.name == deploy.app.env)
        .then_some(deploy.app.env.as_str());
    let (kind, name) = (deployed.text("/kind"), deployed.text("/metadata/name"));
    let object = format!("{kind}/{name}");
    let explained = explain(&project, env, &object, field).map_err(|diagnostics| {
        super::check::show(&diagnostics, &project);
        miette!("commit {} does not compile any more", commit.short())
    })?;
    let is_it = |one: &&Explained| {
        let title = one.object.split_once(' ').map_or("", |(kind, _)| kind);
        one.app == deploy.app.name && is_kind(title, kind)
    };
    let Some(found) = explained.iter().find(is_it) else {
        return Err(crate::usage::usage(
            format!("{} has no field `{field}` in the sources", deployed.title()),
            "fields are written as in `spec.replicas`; what the API server or the engine adds has no line",
        ));
    };
    let deciding = found.deciding();
    let decides = found
        .origins
        .iter()
        .position(|one| deciding.is_some_and(|deciding| std::ptr::eq(one, deciding)));
    let lines = found.origins.iter().map(|origin| {
        let (path, number) = origin
            .at
            .rsplit_once(':')
            .unwrap_or((origin.at.as_str(), ""));
        let number: usize = number.parse().unwrap_or(0);
        // Lines of the standard library and of vendored types are in no commit.
        let brought = match files.contains(path) {
            true => repository
                .line_origin(&commit, path, number)
                .map_err(failed)?,
            false => None,
        };
        let text = files.read(path).ok().and_then(|bytes| {
            let text = String::from_utf8(bytes).ok()?;
            Some(text.lines().nth(number.checked_sub(1)?)?.trim().to_owned())
        });
        Ok(Line {
            at: origin.at.clone(),
            layer: origin.layer.clone(),
            how: match origin.how {
                How::Set => "set",
                How::Changed => "changed",
                How::From => "from",
                How::Deleted => "deleted",
            },
            text: text.unwrap_or_default(),
            origin: brought.map(|line| self::origin(path, line)),
        })
    });
    Ok(Blame {
        object: deployed.title(),
        field: field.to_owned(),
        value: found.value.clone(),
        app: deploy.app.name.clone(),
        env: deploy.app.env.clone(),
        deploy: deploy.number,
        commit: commit.to_string(),
        decides: decides.unwrap_or_default(),
        lines: lines.collect::<Result<_>>()?,
    })
}

fn origin(path: &str, line: LineOrigin) -> Origin {
    Origin {
        from: format!("{path}:{}", line.line),
        brought_by: line.commit.to_string(),
        author: line.author.to_string(),
        time: time(line.time * 1000),
        subject: line.subject,
    }
}

fn text(blame: &Blame) -> String {
    let mut text = format!(
        "{}  {} = {}  (deploy #{} of {}/{}, commit {})\n",
        blame.object,
        blame.field,
        blame.value,
        blame.deploy,
        blame.env,
        blame.app,
        super::status::short(&blame.commit)
    );
    let rows = blame.lines.iter().enumerate().map(|(at, line)| {
        let did = match (line.how, at) {
            _ if at == blame.decides => "decides it",
            ("set", 0) => "sets it",
            ("set", _) => "overridden",
            ("changed", _) => "changes a part",
            ("from", _) => "copied from",
            _ => "deletes it",
        };
        let (at, author, subject) = match &line.origin {
            Some(origin) => (
                format!("{}@{}", line.at, super::status::short(&origin.brought_by)),
                format!("{} {}", origin.author, origin.time),
                origin.subject.clone(),
            ),
            None => (
                line.at.clone(),
                "not in the repository".to_owned(),
                String::new(),
            ),
        };
        [at, line.layer.clone(), did.to_owned(), author, subject]
    });
    for line in super::table(["", "", "", "", ""], rows).lines().skip(1) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}
