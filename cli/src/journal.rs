//! The journal that commands read: that of a data directory, beside a running engine or without one; or that of a
//! reconciler behind an API server, which is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use miette::{IntoDiagnostic, Report, Result, WrapErr, miette};
use ordain_reconciler_engine::control::{
    Client, ExportForm, JournalAnswer, JournalAsk, MESSAGES_MAX, RECORDS_MAX, Request, Response,
    Target,
};
use ordain_reconciler_engine::{Deployed, Lookup, export_each, look_back};
use ordain_reconciler_journal::{Journal, Query, Record, is_of_chain};
use ordain_reconciler_source::Repository;
use serde_json::Value;

use crate::commands::{engine_error, report};

/// Opens the journal of a data directory for reading.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) fn open(data_dir: &Path) -> Result<Journal> {
    let folder = folder(data_dir)?;
    Journal::read(&folder).map_err(|error| report(error, None))
}

/// The folder of a data directory's journal.
///
/// # Errors
/// When there is none.
pub(crate) fn folder(data_dir: &Path) -> Result<PathBuf> {
    let folder = data_dir.join("journal");
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(miette!(
        help = "name the directory of `ordain up` with --data-dir, or the cluster of `ordain run` with --kubeconfig",
        "there is no journal in `{}`",
        data_dir.display()
    ))
}

/// Opens the repository of a data directory: the hosted one, or the copy of the one that is followed.
///
/// # Errors
/// When there is none.
pub(crate) fn repository(data_dir: &Path) -> Result<Repository> {
    let git = data_dir.join("git");
    let hosted = git.join("ordain.git");
    let path = match hosted.join("HEAD").exists() {
        true => hosted,
        false => git.join("mirror.git"),
    };
    Repository::open(&path).map_err(|error| report(error, None))
}

/// A journal that is read.
pub(crate) enum Reader {
    /// Its files are here.
    Here {
        journal: Box<Journal>,
        data_dir: PathBuf,
    },
    /// Somebody else has them.
    There(Target),
}

impl Reader {
    /// Opens the files of a data directory; whoever is behind a cluster is asked later.
    ///
    /// # Errors
    /// When there is no journal, or it cannot be read.
    pub(crate) fn of(target: Target) -> Result<Self> {
        Ok(match target {
            Target::DataDir(data_dir) => Self::Here {
                journal: Box::new(open(&data_dir)?),
                data_dir,
            },
            there @ Target::Cluster { .. } => Self::There(there),
        })
    }

    /// Records, newest first, as many as the query wants.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn records(&self, query: &Query) -> Result<Vec<Record>> {
        let target = match self {
            Self::Here { journal, .. } => {
                return journal.records(query).map_err(|error| report(error, None));
            }
            Self::There(target) => target,
        };
        let wanted = query.limit.unwrap_or(usize::MAX);
        let mut all: Vec<Record> = Vec::new();
        loop {
            let page = (wanted - all.len()).min(RECORDS_MAX);
            let query = Query {
                limit: Some(page),
                before_seq: all.last().map(|last| last.seq).or(query.before_seq),
                ..query.clone()
            };
            let before = all.len();
            each(target, JournalAsk::Records { query }, |answer| {
                if let JournalAnswer::Records { records } = answer {
                    all.extend(records);
                }
                Ok(())
            })?;
            if all.len() - before < page || all.len() >= wanted {
                return Ok(all);
            }
        }
    }

    /// Objects as they were declared and applied at a time, without values of secrets.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn objects(&self, lookup: &Lookup) -> Result<Vec<Deployed>> {
        let mut all = Vec::new();
        match self {
            Self::Here { journal, .. } => look_back(journal, lookup, |found| {
                all.push(found);
                true
            })
            .map_err(engine_error)?,
            Self::There(target) => {
                let lookup = lookup.clone();
                each(target, JournalAsk::Objects { lookup }, |answer| {
                    if let JournalAnswer::Object { found } = answer {
                        all.push(*found);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(all)
    }

    /// Messages of commits, by their names; those that are not in the repository are left out. None when there is no
    /// repository.
    ///
    /// # Errors
    /// When nobody answers.
    pub(crate) fn messages(
        &self,
        commits: Vec<String>,
    ) -> Result<Option<BTreeMap<String, String>>> {
        let mut all = BTreeMap::new();
        match self {
            Self::Here { data_dir, .. } => {
                let Ok(repository) = repository(data_dir) else {
                    return Ok(None);
                };
                all.extend(commits.into_iter().filter_map(|name| {
                    let commit = repository.commit(&name.parse().ok()?).ok()?;
                    Some((name, commit.message))
                }));
            }
            Self::There(target) => {
                for commits in commits.chunks(MESSAGES_MAX) {
                    let commits = commits.to_vec();
                    each(target, JournalAsk::Messages { commits }, |answer| {
                        if let JournalAnswer::Messages { messages } = answer {
                            all.extend(messages);
                        }
                        Ok(())
                    })?;
                }
            }
        }
        Ok(Some(all))
    }

    /// Gives each record in another form to `take`, oldest first.
    ///
    /// # Errors
    /// When the records cannot be read, or `take` fails.
    pub(crate) fn export(
        &self,
        form: ExportForm,
        since_ms: Option<i64>,
        mut take: impl FnMut(Value) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Here { journal, .. } => {
                let mut failed = Ok(());
                let exported = export_each(journal, form, since_ms, |document| {
                    failed = take(document);
                    failed.is_ok()
                });
                exported.map_err(engine_error)?;
                failed
            }
            Self::There(target) => {
                each(
                    target,
                    JournalAsk::Export { form, since_ms },
                    |answer| match answer {
                        JournalAnswer::Exported { document } => take(document),
                        _ => Ok(()),
                    },
                )
            }
        }
    }

    /// The public key, hexadecimal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn key(&self) -> Result<String> {
        match self {
            Self::Here { journal, .. } => {
                let key = journal.public_key().map_err(|error| report(error, None))?;
                Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Self::There(target) => one(target, JournalAsk::Key, |answer| match answer {
                JournalAnswer::Key { ed25519 } => Some(ed25519),
                _ => None,
            }),
        }
    }
}

/// Asks a running reconciler, and gives each piece of its answer to `take`.
///
/// # Errors
/// When it does not answer, refuses, or `take` fails.
pub(crate) fn each(
    target: &Target,
    question: JournalAsk,
    mut take: impl FnMut(JournalAnswer) -> Result<()>,
) -> Result<()> {
    let request = Request::Journal { question };
    for response in Client::send(target, &request).map_err(engine_error)? {
        if let Response::Journal { answer } = response.map_err(engine_error)? {
            take(answer)?;
        }
    }
    Ok(())
}

/// Asks a running reconciler for one thing.
///
/// # Errors
/// When it does not answer, or with something else.
pub(crate) fn one<T>(
    target: &Target,
    question: JournalAsk,
    pick: impl Fn(JournalAnswer) -> Option<T>,
) -> Result<T> {
    let mut found = None;
    each(target, question, |answer| {
        found = pick(answer).or(found.take());
        Ok(())
    })?;
    found.ok_or_else(|| miette!("the reconciler gave no answer; is it of another version?"))
}

/// The files of a chain in a folder of our own, which is deleted with the value.
pub(crate) struct Copied(tempfile::TempDir);

impl Copied {
    /// Copies what proves the chain of records from a running reconciler.
    ///
    /// # Errors
    /// When it does not answer, or a file cannot be written here.
    pub(crate) fn of(target: &Target) -> Result<Self> {
        let copied = tempfile::tempdir().into_diagnostic();
        let copied = Self(copied.wrap_err("cannot make a folder for a copy of the journal")?);
        let segments = copied.path().join("segments");
        let failed = |error: std::io::Error| {
            Report::from_err(error).wrap_err("cannot write a copy of the journal")
        };
        fs::create_dir(&segments).map_err(failed)?;
        // It stays empty: a journal has one.
        fs::create_dir(copied.path().join("packs")).map_err(failed)?;
        each(target, JournalAsk::Chain, |answer| {
            let JournalAnswer::File { name, bytes } = answer else {
                return Ok(());
            };
            let bytes = STANDARD.decode(bytes).ok();
            // Whoever answers does not choose where files are written.
            let bytes = bytes.filter(|_| is_of_chain(&name));
            let bytes = bytes.ok_or_else(|| miette!("the reconciler sent no file of a journal"))?;
            let file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(copied.path().join(name));
            file.and_then(|mut file| file.write_all(&bytes))
                .map_err(failed)
        })?;
        Ok(copied)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
