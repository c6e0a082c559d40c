//! What is remembered of hooks: which run of which one has ended, and how.
//!
//! A hook that is still there says so itself. One that is deleted when it is done does not, so that is made durable
//! before: neither a start of ours nor a look at the cluster runs it a second time.

mod events;
mod removal;

use std::{collections::BTreeMap, fmt};

use ordain_reconciler_journal::{Event as Entry, Query};
use ordain_reconciler_plan::{
    Desired, Hook, ObjectKey, Policy,
    health::{Health, Status},
    policy::Propagation,
    run_of,
};

use crate::{
    Error, facts,
    health_view::expires,
    member::{Applied, Member},
    prepared::Prepared,
    worker::Worker,
};

pub(crate) use removal::Removal;

/// The topic of the journal's notes about hooks.
const TOPIC: &str = "hook";

/// How many of an app's last records are read for them. What has been healthy since needs none.
const RECORDS: usize = 1024;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    /// In words.
    Failed(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => out.write_str("succeeded"),
            Self::Failed(words) if words.is_empty() => out.write_str("failed"),
            Self::Failed(words) => write!(out, "failed: {words}"),
        }
    }
}

/// What a worker knows of its app's hooks.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// By object and run.
    ended: BTreeMap<(String, String), Ended>,
    /// Those of a time other than a rollout that are under way.
    event: Option<events::Event>,
    /// What runs when the app is removed.
    removal: Option<removal::Plan>,
}

/// A declared object that runs once and may be gone afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    id: String,
    propagation: Propagation,
    delete_succeeded: bool,
    delete_failed: bool,
    is_noted: bool,
}

impl Run {
    /// The run of an object; `None` for one that stays when it is done.
    pub(crate) fn of(desired: &Desired) -> Option<Box<Self>> {
        let object = &desired.object;
        let id = run_of(object)?.to_owned();
        let hook = Hook::of(object);
        let vanishes = hook.as_ref().is_some_and(Hook::vanishes) || expires(object);
        vanishes.then(|| {
            Box::new(Self {
                id,
                propagation: Policy::of(object).propagation.value,
                delete_succeeded: hook.as_ref().is_some_and(|hook| hook.delete_succeeded),
                delete_failed: hook.as_ref().is_some_and(|hook| hook.delete_failed),
                is_noted: false,
            })
        })
    }
}

impl Worker {
    fn hooks(&mut self) -> &mut Hooks {
        self.hooks.get_or_insert_with(Box::default)
    }

    /// Reads what the journal knows of the app's hooks, once for each commit.
    async fn remember(&mut self) -> Result<(), Error> {
        if self.hooks.is_some() {
            return Ok(());
        }
        let query = Query {
            app: Some(self.app.name.clone()),
            env: Some(self.app.env.clone()),
            limit: Some(RECORDS),
            ..Query::default()
        };
        let records = self
            .shared
            .journal(move |journal| journal.records(&query))
            .await?;
        let notes = records.into_iter().filter_map(|record| match record.event {
            Entry::Note { topic, facts, .. } if topic == TOPIC => {
                let fact = |name: &str| facts.get(name).cloned();
                let ended = match fact("ended")?.as_str() {
                    "failed" => Ended::Failed(fact("reason").unwrap_or_default()),
                    _ => Ended::Succeeded,
                };
                Some(((fact("object")?, fact("run")?), ended))
            }
            _ => None,
        });
        let ended = notes.collect();
        self.hooks().ended = ended;
        Ok(())
    }

    /// The same, when something that runs once may be gone.
    pub(crate) async fn remember_runs(&mut self, prepared: &Prepared) -> Result<(), Error> {
        if prepared
            .desired
            .iter()
            .any(|desired| Run::of(desired).is_some())
        {
            self.remember().await?;
        }
        Ok(())
    }

    /// How a run ended, as far as that is durable.
    pub(crate) fn ended(&self, key: &ObjectKey, run: &str) -> Option<&Ended> {
        let known = &self.hooks.as_ref()?.ended;
        known.get(&(facts::name(key), run.to_owned()))
    }

    /// Makes durable that a run has ended.
    async fn end(&mut self, key: &ObjectKey, run: &str, ended: &Ended) -> Result<(), Error> {
        if self.ended(key, run).is_some() {
            return Ok(());
        }
        let object = facts::name(key);
        let mut about: BTreeMap<String, String> = [
            ("object", object.clone()),
            ("run", run.to_owned()),
            ("ended", "succeeded".to_owned()),
        ]
        .map(|(name, fact)| (name.to_owned(), fact))
        .into();
        if let Ended::Failed(words) = ended {
            about.insert("ended".to_owned(), "failed".to_owned());
            about.insert("reason".to_owned(), words.clone());
        }
        let note = Entry::Note {
            only: Some(self.app.clone()),
            topic: TOPIC.to_owned(),
            text: format!("{key} {ended}"),
            facts: about,
        };
        self.shared.record(note).await?;
        let known = (object, run.to_owned());
        self.hooks().ended.insert(known, ended.clone());
        Ok(())
    }

    /// Says of members that were done before and are gone how they ended.
    pub(crate) fn recall(&self, members: &mut [Member]) {
        for member in members.iter_mut().filter(|member| member.written.is_none()) {
            let Some(run) = &member.run else { continue };
            if let Some(ended) = self.ended(&member.key, &run.id).cloned() {
                member.vanished(&ended);
            }
        }
    }

    /// Makes durable which members that may vanish are done, and deletes those that ask for it: what failed when the
    /// rollout failed, what succeeded when all of it did (Argo CD deletes hooks at the same two moments).
    ///
    /// # Errors
    /// When that cannot be made durable; then nothing more is deleted.
    pub(crate) async fn note_runs(
        &mut self,
        applied: &mut Applied,
        result: Option<Status>,
    ) -> Result<(), Error> {
        for at in 0..applied.members.len() {
            let member = &applied.members[at];
            let (Some(run), Some(written)) = (&member.run, &member.written) else {
                continue;
            };
            let live = self.shared.live.get(&member.key);
            let Some(seen) = live.filter(|seen| seen.uid == written.uid) else {
                continue;
            };
            let ended = match seen.health.status {
                Status::Healthy => Ended::Succeeded,
                Status::Degraded => Ended::Failed(seen.health.message.clone()),
                _ => continue,
            };
            let goes = match (&ended, result) {
                (Ended::Succeeded, Some(Status::Healthy)) => run.delete_succeeded,
                (Ended::Failed(_), Some(Status::Degraded)) => run.delete_failed,
                _ => false,
            };
            // A failed one that stays can be deleted by somebody to have it run again.
            if (run.is_noted || ended != Ended::Succeeded) && !goes {
                continue;
            }
            let (key, id, propagation) = (member.key.clone(), run.id.clone(), run.propagation);
            let version = member.version.clone();
            let uid = seen.uid.clone();
            self.remember().await?;
            self.end(&key, &id, &ended).await?;
            if let Some(run) = &mut applied.members[at].run {
                run.is_noted = true;
            }
            if !goes {
                continue;
            }
            match self.delete_hook(&key, &version, &uid, propagation).await {
                Ok(()) => applied.members[at].vanished(&ended),
                Err(reason) => {
                    tracing::warn!(app = %self.app, hook = %key, reason, "a hook cannot be deleted");
                }
            }
        }
        Ok(())
    }

    async fn delete_hook(
        &self,
        key: &ObjectKey,
        version: &str,
        uid: &str,
        propagation: Propagation,
    ) -> Result<(), String> {
        let cluster = &self.shared.cluster;
        let version = ordain_reconciler_plan::ApiVersion {
            group: key.group.clone(),
            version: version.to_owned(),
        };
        let resource = cluster.resource(&version, &key.kind).await;
        let Some(resource) = resource.map_err(|refusal| refusal.message)? else {
            return Ok(());
        };
        let deleted = cluster.delete(&resource, key, Some(uid), propagation).await;
        deleted.map_err(|refusal| refusal.message)
    }
}

impl Member {
    /// It is gone because it is done.
    fn vanished(&mut self, ended: &Ended) {
        self.expires = true;
        self.gone = match ended {
            Ended::Succeeded => Health {
                status: Status::Healthy,
                message: "done, and deleted".to_owned(),
            },
            Ended::Failed(words) => Health {
                status: Status::Degraded,
                message: format!("failed, and deleted: {words}"),
            },
        };
    }
}
