//! Who wrote the lines that a deployed field comes from: the language's lines, and the commits that brought them.

use crate::cluster::Tree;
use crate::commands;
use crate::usage::usage;
use miette::{Result, miette};
use ordain_lang_project::{Explained, How, Project, explain};
use ordain_reconciler_engine::{Deployed, is_kind};
use ordain_reconciler_journal::time;
use ordain_reconciler_source::{CommitId, LineOrigin, Repository};
use serde::{Deserialize, Serialize};

/// What is known about a field.
#[derive(Serialize, Deserialize)]
pub(crate) struct Blame {
    pub(crate) object: String,
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) app: String,
    pub(crate) env: String,
    /// The deploy's number within the app.
    pub(crate) deploy: u64,
    /// The deployed commit.
    pub(crate) commit: String,
    /// Which of the lines decides the value: where it was set, or what was copied there in the end.
    pub(crate) decides: usize,
    /// The winner first.
    pub(crate) lines: Vec<Line>,
}

/// What a reconciler answers that is asked for the lines of a field.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// They are known.
    Known(Box<Blame>),
    /// The object or the field cannot be meant: the remedy is another command line, as where the question was asked.
    Misnamed {
        misnamed: String,
        help: Option<String>,
    },
}

impl Answer {
    /// The lines, or the failure as it is where the question was asked.
    pub(crate) fn known(self) -> Result<Blame> {
        match self {
            Answer::Known(blame) => Ok(*blame),
            Answer::Misnamed { misnamed, help } => Err(usage(misnamed, help.unwrap_or_default())),
        }
    }
}

/// A line that had a say.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    /// `file:line` in the deployed commit.
    pub(crate) at: String,
    pub(crate) layer: String,
    pub(crate) how: String,
    /// The text of the line.
    pub(crate) text: String,
    #[serde(flatten)]
    pub(crate) origin: Option<Origin>,
}

/// The commit that brought a line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Origin {
    /// `file:line` as it was in that commit.
    pub(crate) from: String,
    pub(crate) brought_by: String,
    pub(crate) author: String,
    pub(crate) time: String,
    pub(crate) subject: String,
}

/// Returns the one object of those that were found.
///
/// # Errors
/// When there is none, or there are several.
pub(crate) fn single(mut found: Vec<Deployed>, object: &str) -> Result<Deployed> {
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(usage(
            format!("no {object} is deployed"),
            "`ordain at now get` lists what is deployed",
        )),
        _ => {
            let all: Vec<String> = found
                .iter()
                .map(|one| format!("{} of {}", one.title(), one.deploy.app))
                .collect();
            Err(usage(
                format!("{object} is meant by several objects: {}", all.join(", ")),
                "say which with --namespace, --app or --env",
            ))
        }
    }
}

/// Finds the lines of a field.
///
/// # Errors
/// When the deployed commit is gone or does not compile any more, or the sources have no such field.
pub(crate) fn blame(repository: &Repository, deployed: &Deployed, field: &str) -> Result<Blame> {
    let deploy = &deployed.deploy;
    let failed = |error| commands::report(error, None);
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
        commands::check::show(&diagnostics, &project);
        miette!("commit {} does not compile any more", commit.short())
    })?;
    let is_it = |one: &&Explained| {
        let title = one.object.split_once(' ').map_or("", |(kind, _)| kind);
        one.app == deploy.app.name && is_kind(title, kind)
    };
    let Some(found) = explained.iter().find(is_it) else {
        return Err(usage(
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
            }
            .to_owned(),
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
