//! What a worker says and records when an app is healthy, waits, or fails.

use std::collections::BTreeMap;

use ordain_reconciler_journal::Outcome;
use ordain_reconciler_plan::{ObjectKey, health::Status};

use crate::{
    AppStatus, Error, Sync, facts,
    health_view::{ObjectHealth, summary},
    member::Applied,
    pass::inventory_of,
    remove,
    target::Target,
    words::cut,
    worker::{Worker, pause},
};

/// Tries of something that may go away by itself before a push is told that it failed.
const TRIES: u32 = 3;

impl Worker {
    /// Says what the rollout waits for, when that is news.
    ///
    /// Pods go to and fro between two states of one trouble; each is said once.
    pub(crate) fn waiting(&mut self, target: &Target, objects: &[ObjectHealth]) {
        let (_, message) = summary(objects);
        let news = objects.iter().find(|object| {
            !object.health.status.is_done()
                && !object.health.message.contains(NOT_OBSERVED)
                && !self.said.contains(&gist(object))
        });
        let Some(object) = news else { return };
        let gist = gist(object);
        let line = match message.starts_with(&object.to_string()) {
            true => message,
            false => object.to_string(),
        };
        self.tell(
            target,
            &format!("{}: waiting: {}", self.app, cut(&line, WAITING_CHARS_MAX)),
        );
        self.said.insert(gist);
    }

    /// Tells a push that still listens.
    fn tell(&self, target: &Target, line: &str) {
        if target.rollout.is_pending(&self.app) {
            target.rollout.line(line);
        }
    }

    /// Prunes and records, once for each pass. Returns true when the inventory became smaller: then the
    /// plan that was carried out should be an empty one now, and another pass shows it.
    pub(crate) async fn healthy(
        &mut self,
        target: &Target,
        applied: &mut Applied,
    ) -> Result<bool, Error> {
        let cluster = &self.shared.cluster;
        let pruned = remove::prune(cluster, &applied.plan, &applied.candidates).await;
        for (key, held) in &pruned.leaving {
            let line = format!("{}: {key} is being deleted{held}", self.app);
            if self.said.insert(line.clone()) {
                self.tell(target, &line);
            }
        }
        let mut pruned = pruned;
        pruned.gone.retain(|key| !self.is_to_run(key));
        let fewer = !pruned.gone.is_empty();
        self.ledger
            .wrote(facts::deleted(&applied.candidates, &pruned.gone));
        let mut left = inventory_of(applied);
        for candidate in &applied.candidates {
            if !pruned.gone.contains(&candidate.key) {
                left.insert(candidate.key.clone(), &candidate.version);
            }
        }
        let left = fewer.then_some(left);
        self.watch_leaving(applied, &pruned.leaving).await;
        applied.leaving = pruned.leaving;
        if !pruned.errors.is_empty() {
            // They stay in the inventory, and are tried again.
            let errors = pruned.errors.into_iter();
            applied.unread = errors
                .map(|error| format!("cannot delete {error}"))
                .collect();
            if left.is_some() {
                self.ledger.record(Outcome::Applied, left).await?;
            }
            return Ok(false);
        }
        self.note_runs(applied, Some(Status::Healthy)).await?;
        let held = &applied.plan.held;
        let outcome = if held.is_empty() {
            Outcome::Healthy
        } else {
            let mut reasons = held.clone();
            reasons.push(format!("plan {} waits for an approval", applied.plan.hash));
            Outcome::Blocked { reasons }
        };
        self.ledger.record(outcome, left).await?;
        let line = if held.is_empty() {
            format!("{}: healthy", self.app)
        } else {
            let hash = &applied.plan.hash;
            format!(
                "{}: healthy; deletions wait for an approval of plan {hash}",
                self.app
            )
        };
        self.tell(target, &line);
        target.rollout.finish(&self.app, true);
        Ok(fewer)
    }

    /// Hears of it when what is being deleted is gone: after a start, or in another cluster, nobody may watch its kind.
    async fn watch_leaving(&self, applied: &Applied, leaving: &BTreeMap<ObjectKey, String>) {
        let left = applied.candidates.iter();
        for candidate in left.filter(|one| leaving.contains_key(&one.key)) {
            let (key, version) = (&candidate.key, &candidate.version);
            let resource = self.shared.cluster.resource(version, &key.kind).await;
            if let (Ok(Some(resource)), Some(object)) = (resource, &candidate.live) {
                self.shared.live.watch_left(&resource, key, object);
            }
        }
    }

    /// Says and records what could not be applied or deleted, once it is known to stay so for a while.
    pub(crate) async fn failing(
        &mut self,
        target: &Target,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let reasons = applied.reasons();
        let text = reasons.join("; ");
        if self.said.insert(text.clone()) {
            tracing::warn!(app = %self.app, commit = target.commit.short(), reason = text, "not as declared");
            for reason in &reasons {
                self.tell(target, &format!("{}: failed: {reason}", self.app));
            }
        }
        if applied.is_transient() && self.failures <= TRIES {
            return Ok(());
        }
        // Before anybody hears of the failure: a rollback that follows takes over at once.
        self.rollout_failed(target).await?;
        self.note_runs(applied, Some(Status::Degraded)).await?;
        target.rollout.finish(&self.app, false);
        self.ledger.fail(target, reasons).await
    }

    /// Says and records that an app failed, or did not become healthy in time.
    pub(crate) async fn unhealthy(
        &mut self,
        target: &Target,
        applied: &mut Applied,
        objects: &[ObjectHealth],
        worst: Status,
    ) -> Result<(), Error> {
        let bad = objects
            .iter()
            .filter(|object| !object.health.status.is_done());
        let reasons: Vec<_> = bad.map(ToString::to_string).collect();
        let why = if worst == Status::Degraded {
            "failed"
        } else {
            "not healthy in time"
        };
        for reason in &reasons {
            self.tell(target, &format!("{}: {why}: {reason}", self.app));
        }
        self.rollout_failed(target).await?;
        self.note_runs(applied, Some(Status::Degraded)).await?;
        target.rollout.finish(&self.app, false);
        // The words change with every restart of a pod, so one record is enough; and a deploy that was
        // healthy once did not fail by what happens to its pods later.
        let settled = matches!(
            self.ledger.outcome(),
            Some(Outcome::Failed { .. } | Outcome::Healthy | Outcome::Blocked { .. })
        );
        if settled {
            return Ok(());
        }
        self.ledger.record(Outcome::Failed { reasons }, None).await
    }

    /// Says what was refused, and waits before the next try.
    pub(crate) async fn failed(&mut self, target: &Target, reasons: Vec<String>, transient: bool) {
        self.failures += 1;
        self.shared.cluster.forget_kinds().await;
        let text = reasons.join("; ");
        self.set_status(
            target,
            Sync::Failed,
            Status::Unknown,
            &text,
            None,
            Vec::new(),
        );
        tracing::warn!(app = %self.app, commit = target.commit.short(), reason = text, "deploy failed");
        if self.said.insert(text) {
            for reason in &reasons {
                self.tell(target, &format!("{}: failed: {reason}", self.app));
            }
        }
        if !transient || self.failures > TRIES {
            target.rollout.finish(&self.app, false);
            if let Err(error) = self.ledger.fail(target, reasons).await {
                tracing::error!(app = %self.app, error = error.chain(), "cannot record a failure");
            }
        }
        tokio::time::sleep(pause(self.failures)).await;
    }

    /// Says and records that a newer commit took over.
    pub(crate) async fn superseded(&mut self, old: &Target, new: &Target) {
        if old.commit.id == new.commit.id {
            return;
        }
        let stood = self.where_it_stood();
        let text = format!(
            "{}: superseded by {}; it was {stood}",
            self.app,
            new.commit.short()
        );
        self.tell(old, &text);
        old.rollout.finish(&self.app, false);
        if let Err(error) = self.ledger.supersede(&old.commit, &new.commit).await {
            tracing::error!(app = %self.app, error = error.chain(), "cannot record an outcome");
        }
    }

    fn where_it_stood(&self) -> String {
        let statuses = self.shared.statuses();
        match statuses.get(&self.app) {
            Some(status) if status.sync == Sync::Synced && status.message.is_empty() => {
                status.health.clone()
            }
            Some(status) if !status.message.is_empty() => format!("waiting: {}", status.message),
            _ => "being applied".to_owned(),
        }
    }

    /// Publishes where the app stands. Without `objects` the last known ones stay.
    pub(crate) fn set_status(
        &self,
        target: &Target,
        sync: Sync,
        health: Status,
        message: &str,
        objects: Option<&[ObjectHealth]>,
        notes: Vec<String>,
    ) {
        let mut statuses = self.shared.statuses();
        let known = statuses.remove(&self.app).map(|known| *known);
        let before = known.clone();
        let turned = known.as_ref().is_none_or(|known| known.sync != sync);
        let objects = match objects {
            Some(objects) => objects.iter().map(ObjectHealth::to_status).collect(),
            None => known.map(|known| known.objects).unwrap_or_default(),
        };
        let status = AppStatus {
            name: self.app.name.clone(),
            env: self.app.env.clone(),
            namespace: target.namespace.clone(),
            cluster: self.shared.name.as_ref().to_owned(),
            commit: target.at(),
            deployed: self.ledger.deployed(&target.commit).map(str::to_owned),
            sync,
            health: health.to_string(),
            message: message.to_owned(),
            objects,
            notes,
        };
        let news = before.as_ref() != Some(&status);
        statuses.insert(self.app.clone(), Box::new(status));
        drop(statuses);
        if news {
            self.shared.changes.app(&self.app);
        }
        if turned {
            self.shared.app_changed();
        }
    }
}

/// In the words of `health`: true for a moment after each write, so it is no news.
const NOT_OBSERVED: &str = "not observed yet";

/// The object and the first words about it: what comes behind the second colon are details.
fn gist(object: &ObjectHealth) -> String {
    let message = &object.health.message;
    let words = message.split(": ").next().unwrap_or_default();
    format!("{}: {words}", object.key)
}

/// Characters of a line while it is only waited; a failure is told in full.
const WAITING_CHARS_MAX: usize = 160;
