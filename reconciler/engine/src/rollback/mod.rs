//! A rollback is a commit: the app's sources of an earlier commit, on top of the branch.
//!
//! The commit is written and compiled from what is here, without the remote. Then the objects stand at
//! once, and the commit goes to the branch now or when the remote is back. The commit that is undone stays
//! in quarantine until a newer one changes the app.

pub(crate) mod automatic;
mod draft;
mod goal;
pub(crate) mod publish;
mod signing;

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{AppRef, Deploy, Digest, Event, Rollback};
use ordain_reconciler_plan::{holds_data, plan_hash};
use ordain_reconciler_source::{CommitId, Person};

use crate::{
    App, Error,
    control::Reply,
    engine::blocking,
    holds::from_set,
    origin::Origin,
    prepared::prepare_all,
    requests::Requests,
    target::{CommitInfo, Target},
    words::short,
};

use draft::{Draft, Order, draft, find};
use goal::Goal;
use publish::{Published, publish};
pub(crate) use signing::Signing;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// A commit, branch, tag, time, or `last-healthy`.
    pub(crate) to: String,
    pub(crate) reason: String,
    /// As `Name <address>`.
    pub(crate) author: String,
    /// Sign the commit with the journal's key.
    pub(crate) sign: bool,
    /// Nobody is there to read a refusal: then the objects come back although the sources cannot.
    pub(crate) automatic: bool,
}

impl Ask {
    fn person(&self) -> Person {
        match self.author.parse() {
            Ok(person) => person,
            Err(never) => match never {},
        }
    }
}

/// True when the repository does not have what is asked for any more, so that only the journal can help.
fn is_lost(error: &Error) -> bool {
    use ordain_reconciler_source::Error as Source;
    matches!(
        error,
        Error::Gone { .. } | Error::Source(Source::Read { .. })
    )
}

/// What is undone, and what comes back.
struct Undo<'a> {
    ask: &'a Ask,
    /// The commit that is undone.
    of: String,
    /// The commit that comes back.
    to: String,
    /// The objects of it that the journal has.
    restores: Option<Digest>,
}

impl Requests {
    /// Takes an app back. Returns what to follow: the rollback commit, or the name of a rollout.
    pub(crate) async fn rollback(
        &self,
        app: &AppRef,
        ask: &Ask,
        reply: &Reply,
    ) -> Result<String, Error> {
        let goal = self.goal(app, &ask.to).await?;
        let onto = self.here().await?;
        let last = self.shared.scribe.known().last(app);
        let of = self.undone(last.as_ref(), &onto).await;
        let undo = Undo {
            ask,
            of: of.as_ref().unwrap_or(&onto).to_string(),
            to: goal.name.clone(),
            restores: goal.set,
        };
        let drafted = match goal.commit.clone() {
            Some(to) => {
                let order = Order {
                    app: Some(app.clone()),
                    to,
                    of,
                    onto: onto.clone(),
                    reason: ask.reason.clone(),
                    author: ask.person(),
                };
                self.draft(order).await
            }
            None => Err(Error::Gone {
                commit: short(&goal.name).to_owned(),
            }),
        };
        match drafted {
            Ok(draft) => self.by_commit(Some(app), draft, &undo, reply).await,
            Err(error) if goal.set.is_some() && (is_lost(&error) || ask.automatic) => {
                self.by_objects(app, &goal, &onto, &undo, &error, reply)
                    .await
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the whole repository back.
    pub(crate) async fn rollback_all(&self, ask: &Ask, reply: &Reply) -> Result<String, Error> {
        let to = self.goal_of_all(&ask.to).await?;
        let onto = self.here().await?;
        let undo = Undo {
            ask,
            of: onto.to_string(),
            to: to.to_string(),
            restores: None,
        };
        let order = Order {
            app: None,
            to,
            of: None,
            onto,
            reason: ask.reason.clone(),
            author: ask.person(),
        };
        let draft = self.draft(order).await?;
        self.by_commit(None, draft, &undo, reply).await
    }

    /// The branch's tip, as far as it is known without asking the remote.
    async fn here(&self) -> Result<CommitId, Error> {
        let origin = self.origin.clone();
        let here = blocking(move || origin.here()).await?;
        Ok(here.ok_or_else(|| ordain_reconciler_source::Error::Unborn {
            branch: self.origin.branch().to_owned(),
            repository: self.origin.name(),
        })?)
    }

    /// The commit that the app was deployed from last, when the branch has it.
    async fn undone(&self, last: Option<&Deploy>, onto: &CommitId) -> Option<CommitId> {
        let last: CommitId = last?.commit.parse().ok()?;
        let (origin, tip) = (self.origin.clone(), onto.clone());
        blocking(move || {
            let is_there = origin.repository().is_ancestor(&last, &tip);
            is_there.then_some(last)
        })
        .await
    }

    async fn draft(&self, order: Order) -> Result<Draft, Error> {
        let (origin, compile) = (self.origin.clone(), self.compile.clone());
        blocking(move || draft(&origin, &compile, &order, None)).await
    }

    /// Writes the commit, lets its objects stand, and brings it onto the branch.
    async fn by_commit(
        &self,
        app: Option<&AppRef>,
        draft: Draft,
        undo: &Undo<'_>,
        reply: &Reply,
    ) -> Result<String, Error> {
        let mut hashes = Vec::new();
        for app in &draft.apps {
            let hash = self.hash(&app.reference(), app).await;
            // Without a cluster there is no plan; an audit must know that from a trailer which somebody took away.
            hashes.push(hash.unwrap_or_else(|| "unknown".to_owned()));
        }
        let Draft { restore, apps, now } = draft;
        let signing = Signing::of(&self.shared);
        let origin = self.origin.clone();
        let (sign, lent) = (undo.ask.sign, signing.clone());
        let commit = blocking(move || {
            lent.lend(sign, |signer| {
                let repository = origin.repository();
                let commit = repository.write_restore(&restore, &hashes, signer)?;
                Ok::<_, Error>(repository.commit(&commit)?)
            })?
        })
        .await?;
        let info = Arc::new(CommitInfo::from(&commit));
        let commit = commit.id;
        self.shared.askers.asked(commit.as_str(), reply.asker());
        let names: BTreeSet<AppRef> = apps.iter().map(|app| app.reference()).collect();
        let is_foreign = matches!(self.origin, Origin::Foreign(_));
        let name = publish::reference(app);
        if is_foreign {
            // Nobody waits for a remote: the objects stand first.
            publish::remember(&self.origin, &name, &commit).await?;
            let held = self.quarantine(&apps, &now, Some(&commit), undo).await;
            if let Err(error) = held {
                publish::forget(&self.shared, &self.origin, &name).await?;
                return Err(error);
            }
            let rollout = self.shared.progress.of(commit.as_str());
            rollout.expect(names.iter().cloned());
            for app in &apps {
                let target = Target::new(Arc::clone(app), Arc::clone(&info), rollout.clone());
                self.shared.holds.put(Arc::new(target));
            }
            let names = publish::names(&names);
            reply
                .line(&format!("{names}: the earlier objects are applied now"))
                .await;
        }
        let published = {
            let (origin, compile) = (self.origin.clone(), self.compile.clone());
            let (commit, name) = (commit.clone(), name.clone());
            blocking(move || {
                let published = signing.lend(sign, |signer| {
                    publish(&origin, &compile, &commit, None, &name, signer)
                });
                Ok::<_, Error>(published??)
            })
            .await
        };
        let published = match published {
            // The objects stand already, so the commit has to get there.
            Err(error) if is_foreign => Published::Waits(error.chain()),
            other => other?,
        };
        match published {
            Published::OnBranch(id) => {
                self.shared.askers.asked(id.as_str(), reply.asker());
                if is_foreign {
                    publish::rename(&self.shared, &commit, &id).await;
                } else {
                    self.quarantine(&apps, &now, Some(&id), undo).await?;
                }
                publish::forget(&self.shared, &self.origin, &name).await?;
                Ok(id.to_string())
            }
            Published::Waits(why) | Published::Conflict(why) if !is_foreign => {
                Err(Error::NotPublished { why })
            }
            other => {
                publish::keep(&self.shared, &self.origin, (&name, app), &commit, &other).await?;
                publish::tell(&self.shared, &name, &commit, &other, reply).await;
                Ok(commit.to_string())
            }
        }
    }

    /// Lets the objects that the journal keeps stand, when the sources cannot come back.
    async fn by_objects(
        &self,
        app: &AppRef,
        goal: &Goal,
        onto: &CommitId,
        undo: &Undo<'_>,
        error: &Error,
        reply: &Reply,
    ) -> Result<String, Error> {
        let Some(set) = goal.set else {
            return Err(Error::Gone {
                commit: goal.name.clone(),
            });
        };
        let (origin, compile, onto) = (self.origin.clone(), self.compile.clone(), onto.clone());
        let now = blocking(move || compile.commit(origin.repository(), &onto).ok()).await;
        let now = now.map_or_else(Vec::new, |now| now.apps.clone());
        let short = short(&goal.name);
        let info = CommitInfo {
            id: goal.name.clone(),
            author: undo.ask.author.clone(),
            subject: format!("rollback {} to {short}", app.name),
            rollback: Some(Rollback {
                of: undo.of.clone(),
                to: goal.name.clone(),
            }),
            approves: Vec::new(),
            reason: undo.ask.reason.clone(),
            signature: None,
            committer: None,
            inputs: String::new(),
        };
        self.shared.askers.asked(&info.id, reply.asker());
        let name = format!("the objects of {short} for {app}");
        let rollout = self.shared.progress.anew(&name);
        rollout.expect([app.clone()]);
        let target = from_set(&self.shared, app, set, info, rollout).await;
        let target = target.ok_or_else(|| Error::Gone {
            commit: goal.name.clone(),
        })?;
        let current = find(&now, app).map(|app| app.digest());
        self.quarantine_one(app, current, None, undo).await?;
        self.shared.holds.put(Arc::new(target));
        let why = match is_lost(error) {
            true => format!("commit {short} is not in the repository any more"),
            false => error.chain(),
        };
        reply.line(&why).await;
        reply
            .line(
                "its objects are applied from the journal; the sources could not be restored, \
                 so commit a change that keeps them",
            )
            .await;
        Ok(name)
    }

    /// Records that the commit is held back from apps.
    async fn quarantine(
        &self,
        apps: &[Arc<App>],
        now: &[Arc<App>],
        rollback: Option<&CommitId>,
        undo: &Undo<'_>,
    ) -> Result<(), Error> {
        for app in apps {
            let app = app.reference();
            let current = find(now, &app).map(|app| app.digest());
            self.quarantine_one(&app, current, rollback, undo).await?;
        }
        Ok(())
    }

    async fn quarantine_one(
        &self,
        app: &AppRef,
        objects: Option<Digest>,
        rollback: Option<&CommitId>,
        undo: &Undo<'_>,
    ) -> Result<(), Error> {
        let event = Event::Quarantine {
            app: app.clone(),
            commit: undo.of.clone(),
            // A tip that does not compile is offered to nobody.
            objects: objects.unwrap_or_else(|| Digest::of(b"")),
            to: undo.to.clone(),
            restores: undo.restores,
            rollback: rollback.map(CommitId::to_string),
            reasons: vec![undo.ask.reason.clone()],
            by: undo.ask.author.clone(),
        };
        self.shared.record(event).await.map(drop)
    }

    /// The hash of the plan which the rollback will lead to; not known when the cluster is not there.
    async fn hash(&self, app: &AppRef, target: &App) -> Option<String> {
        let owner = app.to_string();
        let site = self.sites.of(app, target.cluster.as_deref());
        let cluster = &site.cluster;
        let prepared = prepare_all(cluster, target.objects(), &target.namespace, &owner)
            .await
            .ok()?;
        let inventory = site.inventory(app).await.ok()?;
        let declared: BTreeSet<_> = prepared
            .desired
            .iter()
            .map(|desired| &desired.key)
            .collect();
        let mut gone = Vec::new();
        for (key, version) in inventory.iter().filter(|(key, _)| !declared.contains(key)) {
            // A StatefulSet says itself whether data goes with it.
            let live = match key.is("apps", "StatefulSet") {
                true => {
                    crate::gather::candidate(cluster, key, version)
                        .await
                        .ok()?
                        .live
                }
                false => None,
            };
            if !holds_data(key, live.as_ref()) {
                gone.push(key.clone());
            }
        }
        Some(plan_hash(&owner, &prepared.desired, gone.iter()))
    }
}
