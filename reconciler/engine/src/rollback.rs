//! A rollback is a commit: the app's sources of an earlier commit, on top of the branch.
//!
//! The commit is written and compiled before the branch moves. First only the app's own files are
//! restored; when that does not give exactly the objects of the earlier commit, or changes another
//! app, the whole tree is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ordain_reconciler_journal::{AppRef, last_healthy};
use ordain_reconciler_plan::plan_hash;
use ordain_reconciler_source::{CommitId, Person, Restore};

use crate::{
    App, CompiledObject, Error,
    control::Reply,
    engine::blocking,
    origin::{Compile, Origin},
    prepared::prepare_all,
    requests::Requests,
    shared::now_ms,
};

/// What `--to` may say instead of a commit.
const LAST_HEALTHY: &str = "last-healthy";

/// A rollback commit that was not written yet.
struct Draft {
    restore: Restore,
    /// The app at the commit it goes back to.
    app: Arc<App>,
    /// Set when other apps change too.
    whole: bool,
}

impl Requests {
    /// Writes the commit and moves the branch.
    pub(crate) async fn rollback(
        &self,
        app: &AppRef,
        to: &str,
        reason: &str,
        author: &str,
        reply: &Reply,
    ) -> Result<CommitId, Error> {
        let to = self.rollback_target(app, to).await?;
        let (origin, compile) = (self.origin.clone(), self.compile.clone());
        let (wanted, reason) = (app.clone(), reason.to_owned());
        let author: Person = match author.parse() {
            Ok(author) => author,
            Err(never) => match never {},
        };
        let draft =
            blocking(move || draft(&origin, &compile, &wanted, &to, reason, author)).await?;
        if draft.whole {
            let text = "the app's files alone do not give the objects of that commit; \
                        the whole tree is restored, other apps with it";
            reply.line(text).await;
        }
        let hash = self.hash(app, &draft.app).await;
        let origin = self.origin.clone();
        blocking(move || {
            let restore = &draft.restore;
            let commit = origin
                .repository()
                .write_restore(restore, hash.as_deref())?;
            origin.publish(&restore.onto, &commit)?;
            Ok(commit)
        })
        .await
    }

    async fn rollback_target(&self, app: &AppRef, to: &str) -> Result<CommitId, Error> {
        if to == LAST_HEALTHY {
            let wanted = app.clone();
            let rows = self
                .shared
                .journal(move |journal| journal.history(&wanted))
                .await?;
            let found = last_healthy(&rows).ok_or_else(|| Error::NeverHealthy {
                app: app.to_string(),
            })?;
            return Ok(found.commit.parse()?);
        }
        let (origin, to) = (self.origin.clone(), to.to_owned());
        Ok(blocking(move || origin.repository().resolve(&to)).await?)
    }

    /// The hash of the plan which the rollback will lead to; not known when the cluster is not there.
    async fn hash(&self, app: &AppRef, target: &App) -> Option<String> {
        let owner = app.to_string();
        let cluster = &self.shared.cluster;
        let prepared = prepare_all(cluster, &target.objects, &target.namespace, &owner)
            .await
            .ok()?;
        let inventory = self.shared.inventory(app).await.ok()?;
        let declared: BTreeSet<_> = prepared
            .desired
            .iter()
            .map(|desired| &desired.key)
            .collect();
        let gone = inventory
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !declared.contains(key));
        Some(plan_hash(&owner, &prepared.desired, gone))
    }
}

fn draft(
    origin: &Origin,
    compile: &Compile,
    wanted: &AppRef,
    to: &CommitId,
    reason: String,
    author: Person,
) -> Result<Draft, Error> {
    let repository = origin.repository();
    let onto = origin
        .look()?
        .ok_or_else(|| ordain_reconciler_source::Error::Unborn {
            branch: origin.branch().to_owned(),
            repository: origin.name(),
        })?;
    let compiled = |id: &CommitId| {
        compile
            .commit(repository, id)
            .map_err(|error| Error::Compile {
                commit: id.short().to_owned(),
                errors: error.text,
            })
    };
    let earlier = compiled(to)?;
    let app = find(&earlier.apps, wanted)
        .cloned()
        .ok_or_else(|| Error::NotInCommit {
            app: wanted.to_string(),
            commit: to.short().to_owned(),
        })?;
    // A tip that does not compile is a good reason to roll back, and says nothing about other apps.
    let now = compile.commit(repository, &onto).ok();
    let mut paths = files_of(&app);
    for object in &app.objects {
        paths.extend(compile.compiler().secret_files(&object.object));
    }
    if let Some(now) = now.as_deref().and_then(|now| find(&now.apps, wanted)) {
        paths.extend(files_of(now));
    }
    let restore = Restore {
        reference: format!("refs/heads/{}", origin.branch()),
        onto,
        to: to.clone(),
        paths: Some(paths.into_iter().collect()),
        author,
        time: now_ms() / 1000,
        subject: format!("rollback {} to {}", wanted.name, to.short()),
        reason,
    };
    let partial = repository.write_restore(&restore, None).ok();
    let exact = partial
        .and_then(|id| compile.commit(repository, &id).ok())
        .is_some_and(|result| {
            let same = find(&result.apps, wanted).is_some_and(|found| same_objects(found, &app));
            let others = now.as_deref().is_none_or(|now| {
                let unchanged = |other: &Arc<App>| {
                    (other.env == wanted.env && other.name == wanted.name)
                        || find(&result.apps, &other.reference())
                            .is_some_and(|now| same_objects(now, other))
                };
                now.apps.len() == result.apps.len() && now.apps.iter().all(unchanged)
            });
            same && others
        });
    if exact {
        return Ok(Draft {
            restore,
            app,
            whole: false,
        });
    }
    let restore = Restore {
        paths: None,
        ..restore
    };
    // Written to find out now that there is something to restore; the same tree is written again later.
    repository.write_restore(&restore, None)?;
    let whole = earlier.apps.len() > 1;
    Ok(Draft {
        restore,
        app,
        whole,
    })
}

fn find<'a>(apps: &'a [Arc<App>], wanted: &AppRef) -> Option<&'a Arc<App>> {
    apps.iter()
        .find(|app| app.env == wanted.env && app.name == wanted.name)
}

/// The files that objects of the app were written in.
fn files_of(app: &App) -> BTreeSet<String> {
    let places = app.objects.iter().filter_map(|object| object.at.as_deref());
    places
        .filter_map(|at| Some(at.rsplit_once(':')?.0.to_owned()))
        .collect()
}

/// Equal objects in any order; where they stand in the sources does not matter.
fn same_objects(a: &App, b: &App) -> bool {
    let texts = |objects: &[CompiledObject]| {
        let mut counts = BTreeMap::new();
        for object in objects {
            *counts
                .entry(ordain_reconciler_plan::canonical(&object.object))
                .or_insert(0_usize) += 1;
        }
        counts
    };
    a.namespace == b.namespace && texts(&a.objects) == texts(&b.objects)
}
