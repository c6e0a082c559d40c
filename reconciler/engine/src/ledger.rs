//! One app's side of the journal: which deploy is under way or stands, and what was recorded of it.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{
    AppRef, CLUSTER_FACT, Counts, Event, Intent, Journal, ObjectSet, ObjectWrite, Outcome, Query,
    State,
};
use ordain_reconciler_plan::{Candidate, Desired, Inventory, Plan, Verb, canonical, plan_hash};

use crate::{
    Error,
    prepared::Prepared,
    shared::{Shared, now_ms},
    target::{CommitInfo, Target, object_set},
    words::short,
};

/// The deploy that is under way or stands.
#[derive(Debug)]
struct Deploy {
    /// Number of its intent.
    id: u64,
    commit: Arc<str>,
    /// The commit that it was recorded for, when that is an earlier one: `commit` changes nothing then.
    since: Option<Box<str>>,
    /// Its last recorded outcome.
    outcome: Option<Outcome>,
}

impl Deploy {
    /// The commit that it was recorded for.
    fn since(&self) -> &str {
        self.since.as_deref().unwrap_or(&self.commit)
    }
}

/// What an app wrote into the journal.
pub(crate) struct Ledger {
    shared: Arc<Shared>,
    app: AppRef,
    deploy: Option<Deploy>,
    /// What was written and is not recorded yet.
    writes: Vec<ObjectWrite>,
}

impl Ledger {
    pub(crate) fn new(shared: Arc<Shared>, app: AppRef) -> Self {
        Self {
            shared,
            app,
            deploy: None,
            writes: Vec::new(),
        }
    }

    /// Takes note of writes; they are recorded with the next outcome.
    pub(crate) fn wrote(&mut self, writes: Vec<ObjectWrite>) {
        self.writes.extend(writes);
    }

    /// The last recorded outcome of the deploy that is under way or stands.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.deploy
            .as_ref()
            .and_then(|deploy| deploy.outcome.as_ref())
    }

    /// The commit from which this commit's objects were deployed, once that is known.
    pub(crate) fn deployed(&self, commit: &CommitInfo) -> Option<&str> {
        let deploy = self.deploy.as_ref()?;
        (*deploy.commit == *commit.id).then(|| deploy.since())
    }

    /// True when this commit was deployed and became healthy.
    pub(crate) fn stands(&self, commit: &CommitInfo) -> bool {
        let deploy = self
            .deploy
            .as_ref()
            .filter(|deploy| *deploy.commit == *commit.id);
        deploy.is_some_and(|deploy| deploy.outcome == Some(Outcome::Healthy))
    }

    /// The deploy of a commit that was never healthy, in words that name it.
    pub(crate) fn failing(&self, commit: &CommitInfo) -> Option<String> {
        let deploy = self
            .deploy
            .as_ref()
            .filter(|deploy| *deploy.commit == *commit.id)?;
        let was_done = matches!(
            deploy.outcome,
            Some(Outcome::Healthy | Outcome::Blocked { .. })
        );
        (!was_done).then(|| format!("{}-{}", short(deploy.since()), deploy.id))
    }

    /// True when nothing final was recorded of the deploy.
    pub(crate) fn is_open(&self) -> bool {
        self.deploy.as_ref().is_some_and(|deploy| {
            matches!(
                deploy.outcome,
                None | Some(Outcome::Applied | Outcome::Blocked { .. })
            )
        })
    }

    /// Makes durable what is about to be written, unless this very deploy was written already.
    ///
    /// A commit that changes nothing for this app is no deploy of it.
    pub(crate) async fn intend(
        &mut self,
        commit: &CommitInfo,
        prepared: &Prepared,
        inventory: &Inventory,
        plan: &Plan,
        cluster: Option<String>,
    ) -> Result<(), Error> {
        let mut union = inventory.clone();
        for desired in &prepared.desired {
            union.insert(desired.key.clone(), &desired.version);
        }
        let objects = object_set(&prepared.desired);
        let set = objects.digest();
        let last = self.shared.scribe.known().last(&self.app);
        let before = self.shared.scribe.known().cluster(&self.app);
        let same_cluster = before.is_none() || before == cluster;
        let same = last.filter(|last| {
            last.set == set
                && union == *inventory
                && (last.commit == commit.id || plan.is_noop())
                && (plan.held.is_empty() || last.plan == plan.hash)
                && same_cluster
        });
        if let Some(last) = same {
            let known = self.deploy.take().filter(|deploy| deploy.id == last.id);
            let outcome = match (known, last.state) {
                (Some(deploy), _) => deploy.outcome,
                (None, State::Healthy) => Some(Outcome::Healthy),
                (None, State::Applied) => Some(Outcome::Applied),
                (None, State::Failed { reasons }) => Some(Outcome::Failed { reasons }),
                (None, State::Blocked { reasons }) => Some(Outcome::Blocked { reasons }),
                (None, State::Started | State::Superseded { .. } | State::RolledBack { .. }) => {
                    None
                }
            };
            self.deploy = Some(Deploy {
                id: last.id,
                commit: commit.id.as_str().into(),
                since: (last.commit != commit.id).then(|| last.commit.into()),
                outcome,
            });
            return Ok(());
        }
        let counts = Counts {
            create: plan.count(Verb::Create),
            update: plan.count(Verb::Update) + plan.count(Verb::Replace),
            delete: plan.count(Verb::Delete) + plan.count(Verb::Held),
            unchanged: plan.count(Verb::Unchanged),
        };
        let (union, hash) = (Some(union), plan.hash.clone());
        self.begin(commit, objects, union, hash, counts, cluster)
            .await
    }

    /// The hash of the plan that is being carried out, when this one is what is left of it: the same objects are declared,
    /// and everything that is to go was to go then. A plan of which half is done keeps its approval.
    pub(crate) async fn carried(
        &self,
        target: &Target,
        desired: &[Desired],
        candidates: &[Candidate],
        hash: &str,
    ) -> Result<Option<String>, Error> {
        let last = self.shared.scribe.known().last(&self.app);
        // A plan that is carried out from its beginning needs no other hash, and no look into the journal.
        let Some(last) = last.filter(|last| !last.plan.is_empty() && last.plan != hash) else {
            return Ok(None);
        };
        let query = Query {
            app: Some(self.app.name.clone()),
            env: Some(self.app.env.clone()),
            before_seq: Some(last.id + 1),
            limit: Some(1),
            ..Query::default()
        };
        let listed =
            move |journal: &Journal| match journal.records(&query)?.pop().map(|one| one.event) {
                Some(Event::Intent(intent)) => journal.get(&intent.inventory).map(Some),
                _ => Ok(None),
            };
        let Some(listed) = self.shared.journal(listed).await? else {
            return Ok(None);
        };
        let listed =
            Inventory::from_bytes(&listed).map_err(|source| Error::Inventory { source })?;
        let declared: BTreeSet<_> = desired.iter().map(|desired| &desired.key).collect();
        let gone: BTreeSet<_> = (listed.iter().map(|(key, _)| key))
            .filter(|key| !declared.contains(key))
            .collect();
        let is_left = candidates.iter().all(|one| gone.contains(&one.key));
        // The hash proves that the objects are the same as well.
        let was = || plan_hash(&target.owner(), desired, gone.iter().copied()) == last.plan;
        Ok((is_left && was()).then_some(last.plan))
    }

    async fn begin(
        &mut self,
        commit: &CommitInfo,
        set: ObjectSet,
        inventory: Option<Inventory>,
        plan: String,
        counts: Counts,
        cluster: Option<String>,
    ) -> Result<(), Error> {
        let (app, info, now) = (self.app.clone(), commit.clone(), now_ms());
        let compiler = self.shared.compiler.version();
        let actor = self.shared.askers.of(&commit.id);
        let approver = self.shared.scribe.known().approver(&plan);
        let record = self.shared.scribe.write(move |batch| {
            let set = batch.put_set(&set);
            let inventory = match (inventory, batch.inventory(&app)) {
                (Some(inventory), _) => batch.put(&inventory.to_bytes()),
                (None, Some(recorded)) => recorded,
                (None, None) => batch.put(&Inventory::default().to_bytes()),
            };
            let intent = Intent {
                app,
                commit: info.id,
                author: info.author,
                subject: info.subject,
                set,
                inventory,
                plan,
                counts,
                rollback: info.rollback,
                reason: info.reason,
                actor,
                committer: info.committer,
                signature: info.signature,
                compiler,
                inputs: info.inputs,
                approvals: approver.into_iter().collect(),
                facts: (cluster.into_iter())
                    .map(|uid| (CLUSTER_FACT.to_owned(), uid))
                    .collect(),
            };
            Ok(batch.append(now, Event::Intent(Box::new(intent))))
        });
        let id = record.await?.seq;
        self.deploy = Some(Deploy {
            id,
            commit: commit.id.as_str().into(),
            since: None,
            outcome: None,
        });
        Ok(())
    }

    /// Records how the deploy went on, and what is left in the cluster when that changed.
    pub(crate) async fn record(
        &mut self,
        outcome: Outcome,
        left: Option<Inventory>,
    ) -> Result<(), Error> {
        let Some(deploy) = &mut self.deploy else {
            return Ok(());
        };
        if deploy.outcome.as_ref() == Some(&outcome) && left.is_none() && self.writes.is_empty() {
            return Ok(());
        }
        // A deploy that was healthy stays so in the journal while drift is put right, and one that waits for an approval
        // waits; what was written meanwhile is recorded when it is healthy again.
        let was_done = matches!(
            deploy.outcome,
            Some(Outcome::Healthy | Outcome::Blocked { .. })
        );
        if outcome == Outcome::Applied && was_done {
            return Ok(());
        }
        let (id, app, said, now) = (deploy.id, self.app.clone(), outcome.clone(), now_ms());
        let writes = self.writes.clone();
        self.shared
            .scribe
            .write(move |batch| {
                let inventory = left.map(|left| batch.put(&left.to_bytes()));
                let event = Event::Outcome {
                    deploy: id,
                    app,
                    outcome: said,
                    inventory,
                    writes,
                };
                Ok(batch.append(now, event))
            })
            .await?;
        deploy.outcome = Some(outcome);
        // Its room too: most apps write once in a long while.
        self.writes = Vec::new();
        Ok(())
    }

    /// Records a failure, once per deploy. A commit that was refused before anything was written has no
    /// intent yet; it is history all the same.
    pub(crate) async fn fail(
        &mut self,
        target: &Target,
        reasons: Vec<String>,
    ) -> Result<(), Error> {
        let begun = self
            .deploy
            .as_ref()
            .filter(|deploy| *deploy.commit == *target.commit.id);
        match begun {
            Some(deploy) if matches!(deploy.outcome, Some(Outcome::Failed { .. })) => return Ok(()),
            Some(_) => {}
            None => {
                let objects = target.objects();
                let texts = objects.iter().map(|compiled| canonical(&compiled.object));
                let set = ObjectSet::new(texts);
                let (plan, counts) = (String::new(), Counts::default());
                self.begin(&target.commit, set, None, plan, counts, None)
                    .await?;
            }
        }
        self.record(Outcome::Failed { reasons }, None).await
    }

    /// Records that a newer commit takes over, when the older one was not done.
    pub(crate) async fn supersede(
        &mut self,
        old: &CommitInfo,
        new: &CommitInfo,
    ) -> Result<(), Error> {
        let open = self.is_open()
            && self
                .deploy
                .as_ref()
                .is_some_and(|deploy| *deploy.commit == *old.id);
        if !open {
            return Ok(());
        }
        self.record(Outcome::Superseded { by: new.id.clone() }, None)
            .await
    }
}
