//! Commits of ours on their way to the branch: now, on top of what came in between, or when the remote is
//! back. Nothing is ever forced; what others changed as well is held and named.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{AppRef, Event};
use ordain_reconciler_source::{CommitId, Signer};

use crate::{
    App, Error, Hold, HoldKind,
    control::Reply,
    engine::blocking,
    error::chain,
    hosts::Merge,
    origin::{Compile, Origin},
    shared::Shared,
    words::some_of,
};

use super::{
    draft::{find, same_objects},
    signing::Signing,
};

/// Below it lie the references of commits that are not on the branch yet.
const PENDING: &str = "refs/ordain/pending";

/// How often the branch may move while we push.
const TRIES: usize = 5;

/// Files that a conflict names.
const NAMED_MAX: usize = 5;

/// What became of a commit of ours.
#[derive(Debug)]
pub(crate) enum Published {
    /// It is on the branch, perhaps on top of newer commits and so under another name.
    OnBranch(CommitId),
    /// The remote does not answer or does not want it; tried again later.
    Waits(String),
    /// Somebody changed the same files.
    Conflict(String),
    /// The branch takes no pushes of ours: the commit is on a branch of its own.
    Proposed {
        /// That branch.
        branch: String,
        /// What the remote said.
        why: String,
    },
}

/// The branch on which a commit is offered to people who may merge it.
fn proposal(reference: &str, commit: &CommitId) -> String {
    let what = if reference.starts_with(ADOPTING) {
        "adopt"
    } else {
        "rollback"
    };
    let app = app_of(reference).map_or("all".to_owned(), |app| format!("{}-{}", app.env, app.name));
    format!("ordain/{what}-{app}-{}", commit.short())
}

/// Below it lie those of commits that adopt live edits.
const ADOPTING: &str = "refs/ordain/pending-adopt";

/// The reference under which a commit that adopts a live edit waits.
pub(crate) fn adoption(app: &AppRef) -> String {
    format!("{ADOPTING}/{}/{}", app.env, app.name)
}

/// The reference under which a rollback waits.
pub(crate) fn reference(app: Option<&AppRef>) -> String {
    match app {
        Some(app) => format!("{PENDING}/{}/{}", app.env, app.name),
        None => format!("{PENDING}-all"),
    }
}

fn app_of(reference: &str) -> Option<AppRef> {
    let (env, name) = reference
        .strip_prefix(ADOPTING)
        .or_else(|| reference.strip_prefix(PENDING))?
        .strip_prefix('/')?
        .split_once('/')?;
    Some(AppRef {
        env: env.to_owned(),
        name: name.to_owned(),
    })
}

/// Brings a commit onto the branch; `name` is the reference under which it would wait. `tip` is where the branch is, when
/// that was just looked up.
pub(crate) fn publish(
    origin: &Origin,
    compile: &Compile,
    commit: &CommitId,
    tip: Option<&CommitId>,
    name: &str,
    signer: Option<&Signer<'_>>,
) -> Result<Published, ordain_reconciler_source::Error> {
    let app = app_of(name);
    let app = app.as_ref();
    let repository = origin.repository();
    let look = || match origin.look() {
        Ok(Some(tip)) => Ok(tip),
        Ok(None) => Err("the branch is gone".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    let mut tip = match tip.cloned().map_or_else(look, Ok) {
        Ok(tip) => tip,
        Err(why) => return Ok(Published::Waits(why)),
    };
    let mut commit = commit.clone();
    for _ in 0..TRIES {
        if repository.is_ancestor(&commit, &tip) {
            return Ok(Published::OnBranch(commit));
        }
        let onto = repository.commit(&commit)?.parents.first().cloned();
        if let Some(onto) = onto.filter(|onto| *onto != tip) {
            let ours = repository.changed_paths(&onto, &commit)?;
            let theirs = repository.changed_paths(&onto, &tip)?;
            let both: Vec<&str> = ours.intersection(&theirs).map(String::as_str).collect();
            if !both.is_empty() {
                let files = some_of(&both, NAMED_MAX);
                return Ok(Published::Conflict(format!(
                    "commit {} changes {files} as well",
                    tip.short()
                )));
            }
            let moved = repository.replay(&commit, &tip, signer)?;
            if !is_same(origin, compile, &commit, &moved, app) {
                return Ok(Published::Conflict(format!(
                    "on top of commit {} it would not give the same objects",
                    tip.short()
                )));
            }
            commit = moved;
        }
        let Err(error) = origin.publish(&tip, &commit) else {
            return Ok(Published::OnBranch(commit));
        };
        match look() {
            Ok(newer) if newer != tip => tip = newer,
            Ok(_) if error.is_protected() => {
                let branch = proposal(name, &commit);
                return Ok(match origin.propose(&branch, &commit) {
                    Ok(()) => {
                        let why = chain(&error);
                        Published::Proposed { branch, why }
                    }
                    Err(also) => Published::Waits(format!(
                        "{}; nor could it be put on a branch of its own: {}",
                        chain(&error),
                        chain(&also)
                    )),
                });
            }
            Ok(_) => return Ok(Published::Waits(chain(&error))),
            Err(why) => return Ok(Published::Waits(why)),
        }
    }
    Ok(Published::Waits("the branch keeps moving".to_owned()))
}

/// True when the commit gives the app the same objects after it was moved.
fn is_same(
    origin: &Origin,
    compile: &Compile,
    before: &CommitId,
    after: &CommitId,
    app: Option<&AppRef>,
) -> bool {
    let repository = origin.repository();
    let Ok(after) = compile.commit(repository, after) else {
        return false;
    };
    let Some(app) = app else {
        return true;
    };
    let Ok(before) = compile.commit(repository, before) else {
        return true;
    };
    has_same(&before.apps, &after.apps, app)
}

/// True when an app has the same objects among these apps as among those, or is in neither.
fn has_same(these: &[Arc<App>], those: &[Arc<App>], app: &AppRef) -> bool {
    match (find(these, app), find(those, app)) {
        (Some(one), Some(other)) => same_objects(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Makes durable that a commit is to be on the branch, before anything of it is: who is killed from then on finds it at the
/// next start. Nothing pushes it meanwhile, that is for [`keep`] to begin.
pub(crate) async fn remember(
    origin: &Origin,
    name: &str,
    commit: &CommitId,
) -> Result<(), ordain_reconciler_source::Error> {
    let (origin, commit, name) = (origin.clone(), commit.clone(), name.to_owned());
    blocking(move || origin.repository().set_reference(&name, &commit)).await
}

/// Keeps a commit until it can be pushed, and says why in the status.
pub(crate) async fn keep(
    shared: &Shared,
    origin: &Origin,
    (name, app): (&str, Option<&AppRef>),
    commit: &CommitId,
    published: &Published,
) -> Result<(), ordain_reconciler_source::Error> {
    let mut hold = hold(name, app, commit, published);
    if let Published::Proposed { branch, .. } = published {
        let asked = ask_to_merge(shared, origin, branch, commit).await;
        hold.message.push_str(&asked);
    }
    shared.holds.hold(name, hold);
    remember(origin, name, commit).await
}

/// Says what became of a commit that is not on the branch, after it was kept.
pub(crate) async fn tell(
    shared: &Shared,
    name: &str,
    commit: &CommitId,
    published: &Published,
    reply: &Reply,
) {
    let line = match published {
        Published::OnBranch(_) => return,
        Published::Waits(why) | Published::Conflict(why) => {
            format!("commit {} is not on the branch yet: {why}", commit.short())
        }
        // With the page of the request, when there is one.
        Published::Proposed { .. } => {
            let mut pending = shared.holds.pending().into_iter();
            let hold = pending.find(|(one, _)| one == name);
            hold.map_or_else(String::new, |(_, hold)| hold.message)
        }
    };
    reply.line(&line).await;
}

/// Asks the git host for a branch to be merged, where there is one that may be called. Returns what to add to a message.
async fn ask_to_merge(shared: &Shared, origin: &Origin, from: &str, commit: &CommitId) -> String {
    let Some(host) = shared.holds.host() else {
        return String::new();
    };
    let (source, id) = (origin.clone(), commit.clone());
    let read = blocking(move || source.repository().commit(&id)).await;
    let Ok(read) = read else {
        return String::new();
    };
    let merge = Merge {
        from,
        into: origin.branch(),
        title: read.summary(),
        text: read.body(),
    };
    let asked = host.propose(&merge).await;
    shared.metrics.told_host(asked.is_ok());
    match asked {
        Ok(Some(page)) => format!(": {page}"),
        Ok(None) => String::new(),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "cannot ask for a branch to be merged"
            );
            format!(" (it could not be asked for there: {})", chain(&error))
        }
    }
}

/// True when the branch has what a proposed commit brings, merged or squashed.
fn is_merged(
    origin: &Origin,
    compile: &Compile,
    commit: &CommitId,
    tip: &CommitId,
    app: Option<&AppRef>,
) -> bool {
    if origin.repository().is_ancestor(commit, tip) {
        return true;
    }
    let repository = origin.repository();
    let (Ok(ours), Ok(theirs)) = (
        compile.commit(repository, commit),
        compile.commit(repository, tip),
    ) else {
        return false;
    };
    let is_same = |app: &AppRef| has_same(&ours.apps, &theirs.apps, app);
    match app {
        Some(app) => is_same(app),
        None => (ours.apps.iter().chain(&theirs.apps)).all(|app| is_same(&app.reference())),
    }
}

/// Forgets a commit that is on the branch, or that is not wanted any more.
pub(crate) async fn forget(
    shared: &Shared,
    origin: &Origin,
    name: &str,
) -> Result<bool, ordain_reconciler_source::Error> {
    let was_there = shared.holds.unhold(name);
    let (origin, name) = (origin.clone(), name.to_owned());
    blocking(move || origin.repository().remove_reference(&name)).await?;
    Ok(was_there)
}

/// True while it is this commit that waits under a name: a newer one takes its place.
async fn is_current(origin: &Origin, name: &str, commit: &CommitId) -> bool {
    let (origin, name) = (origin.clone(), name.to_owned());
    let found = blocking(move || origin.repository().references(&name)).await;
    // Nobody knows better: what was held is what counts.
    found.map_or(true, |found| found.iter().any(|(_, one)| one == commit))
}

/// Reads what waited when the process ended.
pub(crate) fn load(shared: &Shared, origin: &Origin) {
    match origin.repository().references(PENDING) {
        Ok(found) => {
            for (name, commit) in found {
                let app = app_of(&name);
                let waits = Published::Waits("it was not tried again yet".to_owned());
                shared
                    .holds
                    .hold(&name, hold(&name, app.as_ref(), &commit, &waits));
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "cannot read what waits to be pushed"),
    }
}

fn hold(reference: &str, app: Option<&AppRef>, commit: &CommitId, published: &Published) -> Hold {
    let (what, next) = match reference.starts_with(ADOPTING) {
        true => (
            "commit that adopts a live edit",
            "push a fix or adopt again",
        ),
        false => ("rollback commit", "push a fix or roll back again"),
    };
    let (env, name) = app.map_or_else(Default::default, |app| (app.env.clone(), app.name.clone()));
    let (kind, message) = match published {
        Published::Conflict(why) => (
            HoldKind::Conflict,
            format!(
                "the {what} {} is not pushed: {why}; {next}, `ordain resume` drops it",
                commit.short()
            ),
        ),
        Published::Waits(why) => (
            HoldKind::Pending,
            format!("the {what} {} waits to be pushed: {why}", commit.short()),
        ),
        Published::Proposed { branch, why } => (
            HoldKind::Review,
            format!(
                "the {what} {} is on branch `{branch}`, as {why}; it stands until somebody merges it",
                commit.short()
            ),
        ),
        Published::OnBranch(_) => (HoldKind::Pending, String::new()),
    };
    Hold {
        env,
        app: name,
        kind,
        commit: Some(commit.to_string()),
        message,
        until: None,
    }
}

/// Tries again to push what waits, now that the branch is known to be at `tip`. Returns true when it moved.
pub(crate) async fn settle(
    shared: &Arc<Shared>,
    origin: &Origin,
    compile: &Compile,
    tip: &CommitId,
) -> bool {
    let mut moved = false;
    let mut tip = tip.clone();
    for (name, hold) in shared.holds.pending() {
        let Some(commit) = hold
            .commit
            .and_then(|commit| commit.parse::<CommitId>().ok())
        else {
            continue;
        };
        let app = app_of(&name);
        if hold.kind == HoldKind::Review {
            if shared.holds.was_compared(&name, &commit, &tip) {
                // Two compilations would say again that it is not merged.
                continue;
            }
            let (from, compile) = (origin.clone(), compile.clone());
            let (ours, now, app) = (commit.clone(), tip.clone(), app.clone());
            let merged =
                blocking(move || is_merged(&from, &compile, &ours, &now, app.as_ref())).await;
            if merged {
                tracing::info!(commit = tip.short(), "a commit that was proposed is merged");
                rename(shared, &commit, &tip).await;
                moved = true;
                if let Err(error) = forget(shared, origin, &name).await {
                    tracing::warn!(error = chain(&error), "cannot forget a merged commit");
                }
            }
            continue;
        }
        let published = {
            let (origin, compile) = (origin.clone(), compile.clone());
            let (commit, tip, name) = (commit.clone(), tip.clone(), name.clone());
            let signing = Signing::of(shared);
            blocking(move || {
                let signed = origin.repository().is_signed(&commit);
                let published = signing.lend(signed, |signer| {
                    publish(&origin, &compile, &commit, Some(&tip), &name, signer)
                });
                Ok::<_, Error>(published??)
            })
            .await
        };
        let is_current = is_current(origin, &name, &commit).await;
        let kept = match published {
            Ok(Published::OnBranch(id)) => {
                tracing::info!(commit = id.short(), "a commit that waited was pushed");
                rename(shared, &commit, &id).await;
                tip = id;
                moved = true;
                if !is_current {
                    continue;
                }
                forget(shared, origin, &name)
                    .await
                    .map(drop)
                    .map_err(Error::from)
            }
            Ok(_) if !is_current => Ok(()),
            Ok(other) => keep(shared, origin, (&name, app.as_ref()), &commit, &other)
                .await
                .map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(error = chain(&error), "cannot push a rollback");
        }
    }
    moved
}

/// Takes note that a rollback got another name when it was put on top of newer commits.
pub(super) async fn rename(shared: &Shared, from: &CommitId, to: &CommitId) {
    if from == to {
        return;
    }
    let (from, to) = (from.to_string(), to.to_string());
    let own = shared.scribe.known().quarantines().into_iter();
    let own = own.filter(|(_, one)| one.rollback.as_deref() == Some(from.as_str()));
    for (app, one) in own {
        let event = Event::Quarantine {
            app,
            commit: one.commit,
            objects: one.objects,
            to: if one.to == from { to.clone() } else { one.to },
            restores: one.restores,
            rollback: Some(to.clone()),
            reasons: one.reasons,
            by: one.by,
        };
        if let Err(error) = shared.record(event).await {
            tracing::error!(error = error.chain(), "cannot record a rollback's new name");
        }
    }
}

/// The names of apps, for a line.
pub(super) fn names(apps: &BTreeSet<AppRef>) -> String {
    let names: Vec<String> = apps.iter().map(AppRef::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_their_app() {
        let app = AppRef {
            env: "dev".to_owned(),
            name: "web".to_owned(),
        };
        assert_eq!(app_of(&reference(Some(&app))), Some(app.clone()));
        assert_eq!(app_of(&adoption(&app)), Some(app));
        assert_eq!(app_of(&reference(None)), None);
    }
}
