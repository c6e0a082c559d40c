//! What an app was, from the journal alone: for when its newest commit may not be followed.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{AppRef, Deploy, Digest, Quarantined, Rollback};
use ordain_reconciler_plan::{Desired, ObjectKey, prepare, stamp};
use ordain_reconciler_source::CommitId;
use serde_json::Value;

use crate::{
    App, CompiledObject, SecretFiles,
    engine::blocking,
    progress::Rollout,
    shared::Shared,
    target::{CommitInfo, Target, set_digest},
    words::short,
};

/// The target that stands: what a quarantine put in place, or what was written last.
pub(super) async fn of(
    shared: &Shared,
    app: &AppRef,
    quarantine: Option<&Quarantined>,
) -> Option<Arc<Target>> {
    let restored = quarantine.and_then(|one| Some((one.restores?, restoring(app, one))));
    let (set, commit) = match restored {
        Some(restored) => restored,
        None => last(shared, app)?,
    };
    let target = from_set(shared, app, set, commit, Rollout::default()).await;
    target.map(Arc::new)
}

/// A target of objects that the journal keeps. Every object of a stored set carries its namespace.
pub(crate) async fn from_set(
    shared: &Shared,
    app: &AppRef,
    set: Digest,
    commit: CommitInfo,
    rollout: Rollout,
) -> Option<Target> {
    let texts = shared.journal(move |journal| journal.objects(&set)).await;
    let objects: Result<Vec<Value>, _> = (texts.ok()?.iter())
        .map(|text| serde_json::from_str(text))
        .collect();
    let objects: Vec<_> = (objects.ok()?.into_iter())
        .map(|object| CompiledObject { object, at: None })
        .collect();
    let from = commit.rollback.as_ref().map_or(&commit.id, |back| &back.to);
    let secrets = secret_files(shared, from, &objects).await;
    let (name, env) = (app.name.clone(), app.env.clone());
    let app = App::new(name, env, String::new(), objects, secrets);
    Some(Target::new(Arc::new(app), Arc::new(commit), rollout))
}

/// True when a target's objects are those of a stored set: another commit, and nothing else of this app.
///
/// Stored objects have their namespaces and marks. Whether a kind has namespaces is known to the cluster alone, so it is
/// taken from them.
pub(super) async fn is_set(shared: &Shared, offered: &Target, set: Digest) -> bool {
    let texts = shared.journal(move |journal| journal.objects(&set)).await;
    let Ok(texts) = texts else { return false };
    let stored = texts
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok());
    let keys: BTreeSet<ObjectKey> = stored.filter_map(|object| ObjectKey::of(&object)).collect();
    let owner = offered.owner();
    let in_place = |compiled: &CompiledObject| {
        [true, false].into_iter().find_map(|namespaced| {
            let object = compiled.object.clone();
            let desired = prepare(object, None, namespaced, &offered.namespace, &owner)?;
            keys.contains(&desired.key).then_some(desired)
        })
    };
    let desired: Option<Vec<Desired>> = offered.objects().iter().map(in_place).collect();
    let Some(mut desired) = desired else {
        return false;
    };
    stamp(&mut desired);
    set_digest(&desired) == set
}

fn last(shared: &Shared, app: &AppRef) -> Option<(Digest, CommitInfo)> {
    let row = shared.scribe.known().last(app)?;
    Some((row.set, deployed(row)))
}

/// The commit of a deploy, as far as the journal knows it.
pub(crate) fn deployed(row: Deploy) -> CommitInfo {
    CommitInfo {
        id: row.commit,
        author: row.author,
        subject: row.subject,
        rollback: row.rollback,
        approves: Vec::new(),
        reason: row.reason,
        signature: None,
        committer: None,
        inputs: String::new(),
    }
}

/// The commit of a rollback that may not have one.
fn restoring(app: &AppRef, quarantine: &Quarantined) -> CommitInfo {
    let to = &quarantine.to;
    let short = short(to);
    CommitInfo {
        id: quarantine.rollback.clone().unwrap_or_else(|| to.clone()),
        author: quarantine.by.clone(),
        subject: format!("rollback {} to {short}", app.name),
        rollback: Some(Rollback {
            of: quarantine.commit.clone(),
            to: to.clone(),
        }),
        approves: Vec::new(),
        reason: quarantine.reasons.join("; "),
        signature: None,
        committer: None,
        inputs: String::new(),
    }
}

/// The encrypted files that objects name, as a commit has them. What is missing is told when it is needed.
async fn secret_files(shared: &Shared, commit: &str, objects: &[CompiledObject]) -> SecretFiles {
    let paths: BTreeSet<String> = (objects.iter())
        .flat_map(|compiled| shared.compiler.secret_files(&compiled.object))
        .collect();
    let (Some((origin, _)), Ok(id)) = (shared.holds.source.get(), commit.parse::<CommitId>())
    else {
        return SecretFiles::new();
    };
    if paths.is_empty() {
        return SecretFiles::new();
    }
    let origin = origin.clone();
    blocking(move || {
        let files = origin.repository().files(&id).ok();
        let read = |path: String| Some((path.clone(), files.as_ref()?.read(&path).ok()?));
        paths.into_iter().filter_map(read).collect()
    })
    .await
}
