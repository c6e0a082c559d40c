//! One app's loop: make the cluster equal to the target, watch it, start over when either changes.
//!
//! Level-triggered: whatever it waits for, a newer target takes over at once, by dropping the future that
//! waits. That is safe because everything that may exist is in the journal before it is written.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ordain_reconciler_journal::{AppRef, Counts, Event, Outcome, State};
use ordain_reconciler_plan::{
    Candidate, Desired, DryRun, Input, Inventory, ObjectKey, Observed, Plan, Verb, health::Status,
    plan,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    AppStatus, Error, Sync, execute,
    gather::{Gathered, Prepared, Route, gather, prepare_all},
    health_view::{HealthView, ObjectHealth, expires, summary},
    live::Seen,
    shared::Shared,
    target::{Target, set_bytes, set_digest},
};

/// How often everything is compared with a dry run although nothing was heard.
const RESYNC: Duration = Duration::from_secs(600);

/// How often pods are asked for the reason while a rollout waits.
const LOOK: Duration = Duration::from_secs(1);

/// The first pause after a failure; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Reverts within [`RESYNC`] that are not slowed down: more of them are a fight with somebody.
const REVERTS_FREE: u32 = 5;

/// What one pass over the app came to.
enum Pass {
    /// The cluster has what is declared; look at health, and start over when something changes.
    Applied(Applied),
    /// Something was refused.
    Failed {
        reasons: Vec<String>,
        /// True when nothing is wrong with what is declared.
        transient: bool,
    },
}

/// The state between an apply and the next one.
struct Applied {
    desired: Vec<Desired>,
    candidates: Vec<Candidate>,
    plan: Plan,
    seen: HashMap<ObjectKey, Seen>,
}

/// The loop of one app.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    app: AppRef,
    /// The deploy in the journal that is under way or stands.
    deploy: Option<Deploy>,
    failures: u32,
    reverts: u32,
    view: HealthView,
    /// The last line about the rollout, so that it is not said twice.
    said: String,
}

struct Deploy {
    id: u64,
    commit: String,
    /// Nothing final was recorded for it.
    open: bool,
    /// Its last recorded outcome.
    outcome: Option<Outcome>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, app: AppRef) -> Self {
        Self {
            shared,
            app,
            deploy: None,
            failures: 0,
            reverts: 0,
            view: HealthView::default(),
            said: String::new(),
        }
    }

    /// Follows the newest target until `shutdown`.
    pub(crate) async fn run(
        mut self,
        mut targets: watch::Receiver<Arc<Target>>,
        shutdown: CancellationToken,
    ) {
        loop {
            let target = Arc::clone(&targets.borrow_and_update());
            let newer = {
                let follow = self.follow(&target);
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    changed = targets.changed() => changed,
                    never = follow => match never {},
                }
            };
            if newer.is_err() {
                return;
            }
            let next = Arc::clone(&targets.borrow());
            self.superseded(&target, &next).await;
        }
    }

    /// Works on one target for ever.
    async fn follow(&mut self, target: &Target) -> std::convert::Infallible {
        self.failures = 0;
        self.said.clear();
        self.set_status(target, Sync::Applying, Status::Unknown, "", None);
        let mut approvals = self.shared.approvals();
        if let Some(plan) = &target.commit.approves {
            self.shared.approve(plan);
        }
        let woken = self.shared.live.owner(&target.owner());
        loop {
            match self.pass(target).await {
                Ok(Pass::Applied(applied)) => {
                    self.failures = 0;
                    self.observe(target, &applied, &woken, &mut approvals).await;
                }
                Ok(Pass::Failed { reasons, transient }) => {
                    self.failed(target, reasons, transient).await;
                }
                Err(error) => self.failed(target, vec![error.chain()], true).await,
            }
        }
    }

    /// Compares, plans and applies once.
    async fn pass(&mut self, target: &Target) -> Result<Pass, Error> {
        let shared = Arc::clone(&self.shared);
        let cluster = &shared.cluster;
        let owner = target.owner();
        let prepared = prepare_all(cluster, &target.objects, &target.namespace, &owner).await;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        let inventory = shared.inventory(&self.app).await?;
        let mut gathered = match gather(cluster, &prepared, &inventory).await {
            Ok(gathered) => gathered,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        self.done_jobs(&prepared, &mut gathered).await;
        let mut plan = self.plan(target, &prepared, &gathered);
        self.announce(target, &plan).await?;
        if let Some(failed) = refused(&plan, &gathered) {
            return Ok(failed);
        }
        self.intent(target, &prepared, &inventory, &plan).await?;

        if !gathered.missing_namespaces.is_empty() {
            // A dry run needs the namespace to be there; what it says then may still stop the rest.
            if let Err(refusal) = self.namespaces(target, &prepared, &gathered).await {
                return Ok(Pass::failed(vec![refusal.message], refusal.transient));
            }
            gathered = match gather(cluster, &prepared, &inventory).await {
                Ok(gathered) => gathered,
                Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
            };
            self.done_jobs(&prepared, &mut gathered).await;
            plan = self.plan(target, &prepared, &gathered);
            if let Some(failed) = refused(&plan, &gathered) {
                return Ok(failed);
            }
        }
        for route in &prepared.routes {
            if let Route::Served(resource) = route {
                shared.live.watch(resource);
            }
        }
        let mut seen = unchanged(&shared, &prepared, &gathered, &plan);
        let written = execute::apply(cluster, &plan, &prepared.desired).await;
        for (key, resource, object) in &written.objects {
            shared.live.watch(resource);
            seen.insert(key.clone(), shared.live.wrote(key, object));
        }
        if !written.errors.is_empty() {
            return Ok(Pass::failed(written.errors, written.transient));
        }
        if !written.objects.is_empty() || self.deploy.as_ref().is_some_and(|deploy| deploy.open) {
            self.outcome(Outcome::Applied, None).await?;
        }
        let candidates = gathered.candidates;
        Ok(Pass::Applied(Applied {
            desired: prepared.desired,
            candidates,
            plan,
            seen,
        }))
    }

    fn plan(&self, target: &Target, prepared: &Prepared, gathered: &Gathered) -> Plan {
        plan(&Input {
            owner: &target.owner(),
            desired: &prepared.desired,
            observed: &gathered.observed,
            candidates: &gathered.candidates,
            breaker: self.shared.breaker,
            approved: &self.shared.approvals().borrow(),
        })
    }

    /// A Job that deletes itself after it is done would be run again at each start of ours.
    async fn done_jobs(&self, prepared: &Prepared, gathered: &mut Gathered) {
        let jobs: HashSet<_> = prepared
            .desired
            .iter()
            .filter(|desired| expires(&desired.object))
            .map(|desired| desired.key.clone())
            .collect();
        if jobs.is_empty() {
            return;
        }
        let (app, set) = (self.app.clone(), set_digest(&prepared.desired));
        let done = self.shared.journal(move |journal| {
            journal
                .history(&app)
                .last()
                .is_some_and(|last| last.set == set && last.was_healthy)
        });
        if !done.await {
            return;
        }
        for (desired, observed) in prepared.desired.iter().zip(&mut gathered.observed) {
            if jobs.contains(&desired.key) && observed.live.is_none() {
                let object = desired.object.clone();
                *observed = Observed {
                    live: Some(object.clone()),
                    dry_run: DryRun::Accepted(object),
                };
            }
        }
    }

    /// Tells the plan, once per commit and again when it says something new.
    async fn announce(&mut self, target: &Target, plan: &Plan) -> Result<(), Error> {
        let text = plan.to_string();
        if target.rollout.is_pending(&self.app) && self.said != text {
            target.rollout.line(&text);
        }
        self.said = text;
        let standing = self.deploy.as_ref().is_some_and(|deploy| {
            deploy.commit == target.commit.id && deploy.outcome == Some(Outcome::Healthy)
        });
        let writes = plan
            .actions
            .iter()
            .filter(|action| matches!(action.verb, Verb::Create | Verb::Update | Verb::Replace));
        let drifted: Vec<_> = writes
            .map(|action| format!("{}: {}", action.key, action.reason))
            .collect();
        if standing && !drifted.is_empty() {
            self.reverts += 1;
            for object in &drifted {
                tracing::info!(app = %self.app, object, "drift is put right");
            }
            if self.reverts > REVERTS_FREE {
                let pause = pause(self.reverts - REVERTS_FREE);
                tracing::warn!(app = %self.app, ?pause, "somebody keeps changing these objects");
                tokio::time::sleep(pause).await;
            }
            let event = Event::Drift {
                app: self.app.clone(),
                objects: drifted,
            };
            self.shared.record(event).await?;
        }
        Ok(())
    }

    /// Makes durable what is about to be written, unless this very deploy was written already.
    async fn intent(
        &mut self,
        target: &Target,
        prepared: &Prepared,
        inventory: &Inventory,
        plan: &Plan,
    ) -> Result<(), Error> {
        let mut union: Inventory = prepared
            .desired
            .iter()
            .map(|desired| (desired.key.clone(), desired.version.version.clone()))
            .collect();
        // The version of what is declared wins over the one that was recorded.
        let declared = union.clone();
        union.merge(inventory);
        union.merge(&declared);
        let bytes = set_bytes(&prepared.desired);
        let set = set_digest(&prepared.desired);
        let app = self.app.clone();
        let last = self
            .shared
            .journal(move |journal| journal.history(&app).last().cloned())
            .await;
        let same = last.as_ref().filter(|last| {
            last.set == set
                && union == *inventory
                && (last.commit == target.commit.id || plan.is_noop())
        });
        if let Some(last) = same {
            // Another commit with the same objects is no deploy of this app.
            let outcome = match &last.state {
                State::Healthy => Some(Outcome::Healthy),
                State::Applied => Some(Outcome::Applied),
                _ => None,
            };
            if self
                .deploy
                .as_ref()
                .is_none_or(|deploy| deploy.id != last.id)
            {
                let open = outcome != Some(Outcome::Healthy);
                let commit = target.commit.id.clone();
                self.deploy = Some(Deploy {
                    id: last.id,
                    commit,
                    open,
                    outcome,
                });
            } else if let Some(deploy) = &mut self.deploy {
                deploy.commit.clone_from(&target.commit.id);
            }
            return Ok(());
        }
        let counts = Counts {
            create: plan.count(Verb::Create),
            update: plan.count(Verb::Update) + plan.count(Verb::Replace),
            delete: plan.count(Verb::Delete) + plan.count(Verb::Held),
            unchanged: plan.count(Verb::Unchanged),
        };
        let (app, commit, hash) = (self.app.clone(), target.commit.clone(), plan.hash.clone());
        let now = crate::shared::now_ms();
        let record = self.shared.journal(move |journal| {
            let set = journal.put(&bytes)?;
            let inventory = journal.put(&union.to_bytes())?;
            let event = Event::Intent {
                app,
                commit: commit.id,
                author: commit.author,
                subject: commit.subject,
                set,
                inventory,
                plan: hash,
                counts,
                rollback: commit.rollback,
                facts: Default::default(),
            };
            journal.append(now, event)
        });
        let id = record.await?.seq;
        let commit = target.commit.id.clone();
        self.deploy = Some(Deploy {
            id,
            commit,
            open: true,
            outcome: None,
        });
        Ok(())
    }

    async fn namespaces(
        &self,
        target: &Target,
        prepared: &Prepared,
        gathered: &Gathered,
    ) -> Result<(), ordain_reconciler_plan::Refusal> {
        for name in &gathered.missing_namespaces {
            let declared = prepared
                .desired
                .iter()
                .zip(&prepared.routes)
                .find(|(desired, _)| desired.key.is("", "Namespace") && desired.key.name == *name);
            match declared {
                Some((desired, Route::Served(resource))) => {
                    self.shared.cluster.apply(resource, desired, false).await?;
                }
                _ => {
                    self.shared.cluster.create_namespace(name).await?;
                    target
                        .rollout
                        .line(&format!("{}: created namespace {name}", self.app));
                }
            }
        }
        Ok(())
    }

    /// Watches what was applied until something has to be compared again.
    async fn observe(
        &mut self,
        target: &Target,
        applied: &Applied,
        woken: &tokio::sync::Notify,
        approvals: &mut watch::Receiver<std::collections::BTreeSet<String>>,
    ) {
        let deadline = Instant::now() + self.shared.health_deadline;
        let resync = Instant::now() + RESYNC;
        loop {
            let objects = self
                .view
                .look(
                    &self.shared.cluster,
                    &self.shared.live,
                    &applied.desired,
                    &applied.seen,
                )
                .await;
            if self.drifted(applied) {
                return;
            }
            let (worst, message) = summary(&objects);
            let sync = if applied.plan.held.is_empty() {
                Sync::Synced
            } else {
                Sync::Blocked
            };
            self.set_status(target, sync, worst, &message, Some(&objects));
            let settled = if worst.is_done() {
                self.healthy(target, applied).await
            } else if worst == Status::Degraded || Instant::now() >= deadline {
                self.unhealthy(target, &objects, worst).await
            } else {
                self.waiting(target, &message);
                Ok(())
            };
            if let Err(error) = settled {
                tracing::error!(app = %self.app, error = error.chain(), "cannot record an outcome");
            }
            let look = if worst.is_done() {
                resync
            } else {
                Instant::now() + LOOK
            };
            tokio::select! {
                () = woken.notified() => {}
                () = tokio::time::sleep_until(look.min(resync)) => {
                    if Instant::now() >= resync {
                        self.reverts = 0;
                        return;
                    }
                }
                Ok(()) = approvals.changed() => return,
            }
        }
    }

    /// True when an object is not as it was written: somebody edited or deleted it.
    fn drifted(&self, applied: &Applied) -> bool {
        applied.desired.iter().any(|desired| {
            let Some(written) = applied.seen.get(&desired.key) else {
                return false;
            };
            match self.shared.live.get(&desired.key) {
                None => !expires(&desired.object),
                // An older state is only late.
                Some(seen) if seen.uid == written.uid && seen.generation < written.generation => {
                    false
                }
                Some(seen) => seen.fingerprint != written.fingerprint,
            }
        })
    }

    fn waiting(&mut self, target: &Target, message: &str) {
        let line = format!("{}: waiting: {message}", self.app);
        if self.said != line {
            if target.rollout.is_pending(&self.app) {
                target.rollout.line(&line);
            }
            self.said = line;
        }
    }

    async fn healthy(&mut self, target: &Target, applied: &Applied) -> Result<(), Error> {
        let held = &applied.plan.held;
        let outcome = if held.is_empty() {
            Outcome::Healthy
        } else {
            let mut reasons = held.clone();
            reasons.push(format!("plan {} waits for an approval", applied.plan.hash));
            Outcome::Blocked { reasons }
        };
        let recorded = self
            .deploy
            .as_ref()
            .and_then(|deploy| deploy.outcome.as_ref());
        let prunes = applied
            .plan
            .actions
            .iter()
            .any(|action| matches!(action.verb, Verb::Delete | Verb::Forget));
        if recorded != Some(&outcome) || (prunes && target.rollout.is_pending(&self.app)) {
            let pruned =
                execute::prune(&self.shared.cluster, &applied.plan, &applied.candidates).await;
            for error in &pruned.errors {
                tracing::warn!(app = %self.app, error, "cannot delete");
                target
                    .rollout
                    .line(&format!("{}: cannot delete {error}", self.app));
            }
            let mut left: Inventory = applied
                .desired
                .iter()
                .map(|desired| (desired.key.clone(), desired.version.version.clone()))
                .collect();
            for candidate in &applied.candidates {
                if !pruned.gone.contains(&candidate.key) {
                    left.insert(candidate.key.clone(), &candidate.version);
                }
            }
            self.outcome(outcome, Some(left)).await?;
        }
        if target.objects.is_empty() && applied.candidates.is_empty() {
            self.shared.statuses().remove(&self.app);
        }
        if target.rollout.is_pending(&self.app) {
            let line = match held.is_empty() {
                true => format!("{}: healthy", self.app),
                false => format!(
                    "{}: healthy; deletions wait for an approval of plan {}",
                    self.app, applied.plan.hash
                ),
            };
            target.rollout.line(&line);
            target.rollout.finish(&self.app, true);
        }
        Ok(())
    }

    async fn unhealthy(
        &mut self,
        target: &Target,
        objects: &[ObjectHealth],
        worst: Status,
    ) -> Result<(), Error> {
        let reasons: Vec<_> = objects
            .iter()
            .filter(|object| !object.health.status.is_done())
            .map(|object| match object.health.message.as_str() {
                "" => format!("{} is {}", object.key, object.health.status),
                message => format!("{}: {message}", object.key),
            })
            .collect();
        if target.rollout.is_pending(&self.app) {
            let why = if worst == Status::Degraded {
                "failed"
            } else {
                "not healthy in time"
            };
            for reason in &reasons {
                target
                    .rollout
                    .line(&format!("{}: {why}: {reason}", self.app));
            }
            target.rollout.finish(&self.app, false);
        }
        let settled = matches!(
            self.deploy
                .as_ref()
                .and_then(|deploy| deploy.outcome.as_ref()),
            Some(Outcome::Failed { .. } | Outcome::Healthy | Outcome::Blocked { .. })
        );
        // The words change with every restart of a pod, so one record is enough; and a deploy that was
        // healthy once did not fail by what happens to its pods later.
        if !settled {
            self.outcome(Outcome::Failed { reasons }, None).await?;
        }
        Ok(())
    }

    /// Says what was refused, and waits before the next try.
    async fn failed(&mut self, target: &Target, reasons: Vec<String>, transient: bool) {
        self.failures += 1;
        self.shared.cluster.forget_kinds().await;
        let text = reasons.join("; ");
        self.set_status(target, Sync::Failed, Status::Unknown, &text, None);
        tracing::warn!(app = %self.app, commit = target.commit.short(), reason = text, "deploy failed");
        if target.rollout.is_pending(&self.app) {
            for reason in &reasons {
                let line = format!("{}: failed: {reason}", self.app);
                if self.said != line || reasons.len() > 1 {
                    target.rollout.line(&line);
                }
                self.said = line;
            }
            // What may go away by itself is tried a few times before a push is told that it failed.
            if !transient || self.failures > 3 {
                target.rollout.finish(&self.app, false);
            }
        }
        let final_word = !transient || self.failures > 3;
        let same = self.deploy.as_ref().is_some_and(|deploy| {
            deploy.commit == target.commit.id
                && matches!(deploy.outcome, Some(Outcome::Failed { .. }))
        });
        if final_word && !same {
            let recorded = self.record_failure(target, reasons).await;
            if let Err(error) = recorded {
                tracing::error!(app = %self.app, error = error.chain(), "cannot record a failure");
            }
        }
        tokio::time::sleep(pause(self.failures)).await;
    }

    /// A deploy that was refused before anything was written has no intent yet; it is history all the same.
    async fn record_failure(&mut self, target: &Target, reasons: Vec<String>) -> Result<(), Error> {
        let begun = self
            .deploy
            .as_ref()
            .is_some_and(|deploy| deploy.commit == target.commit.id);
        if !begun {
            let app = self.app.clone();
            let commit = target.commit.clone();
            let objects = target
                .objects
                .iter()
                .map(|compiled| compiled.object.clone())
                .collect();
            let now = crate::shared::now_ms();
            let record = self.shared.journal(move |journal| {
                let objects = serde_json::Value::Array(objects);
                let set = journal.put(ordain_reconciler_plan::canonical(&objects).as_bytes())?;
                let inventory = match journal.inventory(&app) {
                    Some(inventory) => inventory,
                    None => journal.put(&Inventory::default().to_bytes())?,
                };
                let event = Event::Intent {
                    app,
                    commit: commit.id,
                    author: commit.author,
                    subject: commit.subject,
                    set,
                    inventory,
                    plan: String::new(),
                    counts: Counts::default(),
                    rollback: commit.rollback,
                    facts: Default::default(),
                };
                journal.append(now, event)
            });
            let id = record.await?.seq;
            let commit = target.commit.id.clone();
            self.deploy = Some(Deploy {
                id,
                commit,
                open: true,
                outcome: None,
            });
        }
        self.outcome(Outcome::Failed { reasons }, None).await
    }

    async fn outcome(&mut self, outcome: Outcome, left: Option<Inventory>) -> Result<(), Error> {
        let Some(deploy) = &mut self.deploy else {
            return Ok(());
        };
        if deploy.outcome.as_ref() == Some(&outcome) && left.is_none() {
            return Ok(());
        }
        // A deploy that was healthy stays so in the journal while drift is put right.
        if outcome == Outcome::Applied && deploy.outcome == Some(Outcome::Healthy) {
            return Ok(());
        }
        let (id, app, said) = (deploy.id, self.app.clone(), outcome.clone());
        let now = crate::shared::now_ms();
        self.shared
            .journal(move |journal| {
                let inventory = left.map(|left| journal.put(&left.to_bytes())).transpose()?;
                journal.append(
                    now,
                    Event::Outcome {
                        deploy: id,
                        app,
                        outcome: said,
                        inventory,
                    },
                )
            })
            .await?;
        deploy.open = !matches!(outcome, Outcome::Healthy | Outcome::Failed { .. });
        deploy.outcome = Some(outcome);
        Ok(())
    }

    async fn superseded(&mut self, old: &Target, new: &Target) {
        if old.commit.id == new.commit.id {
            return;
        }
        if old.rollout.is_pending(&self.app) {
            let text = format!("{}: superseded by {}", self.app, new.commit.short());
            old.rollout
                .line(&format!("{text}; it was {}", self.where_it_stood()));
            old.rollout.finish(&self.app, false);
        }
        if self
            .deploy
            .as_ref()
            .is_some_and(|deploy| deploy.open && deploy.commit == old.commit.id)
        {
            let outcome = Outcome::Superseded {
                by: new.commit.id.clone(),
            };
            if let Err(error) = self.outcome(outcome, None).await {
                tracing::error!(app = %self.app, error = error.chain(), "cannot record an outcome");
            }
        }
    }

    fn where_it_stood(&self) -> String {
        let statuses = self.shared.statuses();
        match statuses.get(&self.app) {
            Some(status) if !status.message.is_empty() => status.message.clone(),
            Some(status) if status.sync == Sync::Synced => status.health.clone(),
            _ => "being applied".to_owned(),
        }
    }

    fn set_status(
        &self,
        target: &Target,
        sync: Sync,
        health: Status,
        message: &str,
        objects: Option<&[ObjectHealth]>,
    ) {
        let mut statuses = self.shared.statuses();
        let known = statuses.remove(&self.app).map(|status| status.objects);
        let objects = match objects {
            Some(objects) => objects.iter().map(ObjectHealth::to_status).collect(),
            None => known.unwrap_or_default(),
        };
        let status = AppStatus {
            name: self.app.name.clone(),
            env: self.app.env.clone(),
            namespace: target.namespace.clone(),
            commit: target.commit.id.clone(),
            sync,
            health: health.to_string(),
            message: message.to_owned(),
            objects,
        };
        statuses.insert(self.app.clone(), status);
    }
}

impl Pass {
    fn failed(reasons: Vec<String>, transient: bool) -> Self {
        Self::Failed { reasons, transient }
    }
}

/// The failure of a plan with refused objects: every one is named, nothing is applied.
fn refused(plan: &Plan, gathered: &Gathered) -> Option<Pass> {
    let reasons: Vec<_> = plan
        .with(Verb::Refused)
        .map(|action| {
            let at = action
                .at
                .as_deref()
                .map_or_else(String::new, |at| format!(" ({at})"));
            format!("{}: {}{at}", action.key, action.reason)
        })
        .collect();
    let transient = gathered
        .observed
        .iter()
        .all(|observed| match &observed.dry_run {
            DryRun::Refused(refusal) => refusal.transient,
            _ => true,
        });
    (!reasons.is_empty()).then(|| Pass::failed(reasons, transient))
}

/// What is known of the objects that nothing is sent for.
fn unchanged(
    shared: &Shared,
    prepared: &Prepared,
    gathered: &Gathered,
    plan: &Plan,
) -> HashMap<ObjectKey, Seen> {
    let same: HashSet<_> = plan
        .with(Verb::Unchanged)
        .map(|action| &action.key)
        .collect();
    let objects = prepared.desired.iter().zip(&gathered.observed);
    objects
        .filter(|(desired, _)| same.contains(&desired.key))
        .filter_map(|(desired, observed)| {
            let live = observed.live.as_ref()?;
            Some((desired.key.clone(), shared.live.wrote(&desired.key, live)))
        })
        .collect()
}

/// Doubles from [`PAUSE_MIN`] to [`PAUSE_MAX`].
fn pause(failures: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX)
}
