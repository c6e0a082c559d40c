//! A rollback commit, compiled before anything moves: it must give exactly the objects of the earlier
//! commit, and change no other app.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ordain_reconciler_journal::AppRef;
use ordain_reconciler_plan::canonical;
use ordain_reconciler_source::{CommitId, Error as SourceError, Person, Restore, Signer};

use crate::{
    App, Compiled, CompiledObject, Error,
    origin::{Compile, Origin},
    shared::now_ms,
    words::some_of,
};

/// Apps and files that an error names.
const NAMED_MAX: usize = 5;

/// What is wanted of a draft.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The app; none for the whole repository.
    pub(super) app: Option<AppRef>,
    /// The commit to go back to.
    pub(super) to: CommitId,
    /// The commit that is undone, when it is not the branch's tip.
    pub(super) of: Option<CommitId>,
    /// The tip that is known here.
    pub(super) onto: CommitId,
    pub(super) reason: String,
    pub(super) author: Person,
}

/// A rollback commit that is not written for good.
pub(super) struct Draft {
    pub(super) restore: Restore,
    /// The apps that go back, as they will be.
    pub(super) apps: Vec<Arc<App>>,
    /// Apps as the tip has them: the one that goes back, or all; none when it does not compile.
    pub(super) now: Vec<Arc<App>>,
}

/// Finds the files that have to be restored.
pub(super) fn draft(
    origin: &Origin,
    compile: &Compile,
    order: &Order,
    signer: Option<&Signer<'_>>,
) -> Result<Draft, Error> {
    let repository = origin.repository();
    let earlier = compile
        .commit(repository, &order.to)
        .map_err(|error| Error::Compile {
            commit: order.to.short().to_owned(),
            errors: error.text,
        })?;
    // A tip that does not compile is a good reason to roll back, and says nothing about other apps.
    let now = compile.commit(repository, &order.onto).ok();
    let restore = |paths: Option<BTreeSet<String>>| Restore {
        reference: format!("refs/heads/{}", origin.branch()),
        onto: order.onto.clone(),
        of: order.of.clone(),
        to: order.to.clone(),
        paths: paths.map(|paths| paths.into_iter().collect()),
        author: order.author.clone(),
        time: now_ms() / 1000,
        subject: match &order.app {
            Some(app) => format!("rollback {} to {}", app.name, order.to.short()),
            None => format!("rollback everything to {}", order.to.short()),
        },
        reason: order.reason.clone(),
    };
    let Some(wanted) = &order.app else {
        let restore = restore(None);
        repository.write_restore(&restore, &[], signer)?;
        let now = now.map_or_else(Vec::new, |now| now.apps.clone());
        let same = |app: &&Arc<App>| {
            find(&now, &app.reference()).is_some_and(|now| now.digest() == app.digest())
        };
        let apps = earlier.apps.iter().filter(|app| !same(app)).cloned();
        let apps = apps.collect();
        return Ok(Draft { restore, apps, now });
    };
    let (name, commit) = (wanted.to_string(), order.to.short().to_owned());
    let Some(app) = find(&earlier.apps, wanted).cloned() else {
        return Err(Error::NotInCommit { app: name, commit });
    };
    let current = now.as_deref().and_then(|now| find(&now.apps, wanted));
    if current.is_some_and(|now| same_objects(now, &app)) {
        return Err(Error::SameObjects { app: name, commit });
    }
    let changed = repository.changed_paths(&order.to, &order.onto)?;
    let mut files = own_files(compile, &app);
    files.extend(current.into_iter().flat_map(|app| own_files(compile, app)));
    let mut verdict = Misfit::Objects;
    let mut tried = BTreeSet::new();
    // As few files as possible: each of them could be changed by somebody else in the meantime.
    for is_near in [true, false] {
        if !is_near {
            for commit in [&order.to, &order.onto] {
                let tree = Arc::new(repository.files(commit)?);
                files.extend(compile.inputs(&tree, wanted).unwrap_or_default());
            }
        }
        let paths: BTreeSet<String> = files.intersection(&changed).cloned().collect();
        if paths == tried {
            continue;
        }
        tried.clone_from(&paths);
        let restore = restore(Some(paths));
        let written = match repository.write_restore(&restore, &[], signer) {
            Ok(written) => written,
            Err(SourceError::NothingToRestore { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let result = compile.commit(repository, &written).ok();
        match misfit(result.as_deref(), now.as_deref(), &app, wanted) {
            None => {
                let now = current.cloned().into_iter().collect();
                let apps = vec![app];
                return Ok(Draft { restore, apps, now });
            }
            Some(misfit) => verdict = misfit,
        }
    }
    Err(match verdict {
        Misfit::Others(others) => Error::SharedFiles {
            app: name,
            commit,
            files: named(&tried),
            others: named(&others),
        },
        Misfit::Objects => Error::NotExact { app: name, commit },
    })
}

/// What is wrong with a draft.
enum Misfit {
    /// The objects are not those of the earlier commit, or it does not compile.
    Objects,
    /// Other apps change with it.
    Others(BTreeSet<String>),
}

fn misfit(
    result: Option<&Compiled>,
    now: Option<&Compiled>,
    app: &App,
    wanted: &AppRef,
) -> Option<Misfit> {
    let found = result.and_then(|result| Some((result, find(&result.apps, wanted)?)));
    let Some((result, _)) = found.filter(|(_, found)| same_objects(found, app)) else {
        return Some(Misfit::Objects);
    };
    let digests = |compiled: &Compiled| -> BTreeMap<AppRef, _> {
        let others = compiled
            .apps
            .iter()
            .filter(|app| app.reference() != *wanted);
        others.map(|app| (app.reference(), app.digest())).collect()
    };
    let (before, after) = (digests(now?), digests(result));
    let names = before.keys().chain(after.keys());
    let others: BTreeSet<String> = names
        .filter(|app| before.get(app) != after.get(app))
        .map(AppRef::to_string)
        .collect();
    (!others.is_empty()).then_some(Misfit::Others(others))
}

pub(super) fn find<'a>(apps: &'a [Arc<App>], wanted: &AppRef) -> Option<&'a Arc<App>> {
    apps.iter()
        .find(|app| app.env == wanted.env && app.name == wanted.name)
}

/// The files that objects of the app were written in, and the encrypted ones that they name.
fn own_files(compile: &Compile, app: &Arc<App>) -> BTreeSet<String> {
    let objects = app.objects();
    let places = objects.iter().filter_map(|object| object.at.as_deref());
    let mut files: BTreeSet<String> = places
        .filter_map(|at| Some(at.rsplit_once(':')?.0.to_owned()))
        .collect();
    for object in &objects {
        files.extend(compile.compiler().secret_files(&object.object));
    }
    files
}

/// Equal objects in any order; where they stand in the sources does not matter.
pub(super) fn same_objects(a: &App, b: &App) -> bool {
    let texts = |objects: &[CompiledObject]| {
        let mut counts = BTreeMap::new();
        for object in objects {
            *counts.entry(canonical(&object.object)).or_insert(0_usize) += 1;
        }
        counts
    };
    a.namespace == b.namespace
        && a.secrets == b.secrets
        && texts(&a.objects()) == texts(&b.objects())
}

fn named(names: &BTreeSet<String>) -> String {
    let names: Vec<&String> = names.iter().collect();
    some_of(&names, NAMED_MAX)
}
