//! One app's loop: make the cluster equal to the target, watch it, start over when either changes.
//!
//! Level-triggered: whatever it waits for, a newer target takes over at once, by dropping the future that
//! waits. That is safe because everything that may exist is in the journal before it is written.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ordain_reconciler_journal::{AppRef, Event, Outcome};
use ordain_reconciler_plan::{
    Candidate, Desired, DryRun, Input, ObjectKey, Observed, Plan, Refusal, Verb, health::Status,
    plan,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Sync, execute,
    gather::{Gathered, Prepared, Route, gather, prepare_all, reveal},
    health_view::{HealthView, expires, summary},
    ledger::Ledger,
    live::Seen,
    shared::Shared,
    target::{Target, set_digest},
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
pub(crate) struct Applied {
    pub(crate) desired: Vec<Desired>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) plan: Plan,
    /// Each object as it was written or found.
    pub(crate) seen: HashMap<ObjectKey, Seen>,
}

/// The loop of one app.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) app: AppRef,
    pub(crate) ledger: Ledger,
    pub(crate) failures: u32,
    /// What was said about the rollout, so that it is not said twice.
    pub(crate) said: BTreeSet<String>,
    /// The last plan that was told.
    planned: String,
    reverts: u32,
    view: HealthView,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, app: AppRef) -> Self {
        Self {
            ledger: Ledger::new(Arc::clone(&shared), app.clone()),
            shared,
            app,
            failures: 0,
            said: BTreeSet::new(),
            planned: String::new(),
            reverts: 0,
            view: HealthView::default(),
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
        self.planned.clear();
        // What pods of an older template did says nothing about this one.
        self.view = HealthView::default();
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
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        if let Err(reasons) = reveal(&shared.compiler, &mut prepared, &target.secrets).await {
            // A key that is missing now may be there soon, and is looked for again.
            return Ok(Pass::failed(reasons, true));
        }
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
        self.ledger
            .intend(&target.commit, &prepared, &inventory, &plan)
            .await?;

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
        let written = execute::apply(cluster, &plan, &prepared).await;
        for (key, resource, object) in &written.objects {
            shared.live.watch(resource);
            seen.insert(key.clone(), shared.live.wrote(key, object));
        }
        if !written.errors.is_empty() {
            return Ok(Pass::failed(written.errors, written.transient));
        }
        if self.ledger.is_open() {
            self.ledger.record(Outcome::Applied, None).await?;
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
        let writes = plan
            .actions
            .iter()
            .filter(|action| matches!(action.verb, Verb::Create | Verb::Update | Verb::Replace));
        let drifted: Vec<_> = writes
            .map(|action| format!("{}: {}", action.key, action.reason))
            .collect();
        // Said once, and again when there is more to say than that it is being carried out.
        let more = !drifted.is_empty() || plan.count(Verb::Refused) > 0;
        let news = self.planned.is_empty() || (self.planned != text && more);
        if target.rollout.is_pending(&self.app) && news {
            target.rollout.line(&text);
            self.planned = text;
        }
        if self.ledger.stands(&target.commit) && !drifted.is_empty() {
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

    async fn namespaces(
        &self,
        target: &Target,
        prepared: &Prepared,
        gathered: &Gathered,
    ) -> Result<(), Refusal> {
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
        woken: &Notify,
        approvals: &mut watch::Receiver<BTreeSet<String>>,
    ) {
        let deadline = Instant::now() + self.shared.health_deadline;
        let resync = Instant::now() + RESYNC;
        let mut was_healthy = false;
        loop {
            let (cluster, live) = (&self.shared.cluster, &self.shared.live);
            let objects = self
                .view
                .look(cluster, live, &applied.desired, &applied.seen)
                .await;
            if self.drifted(applied) {
                return;
            }
            let (worst, mut message) = summary(&objects);
            let held = &applied.plan.held;
            let sync = if held.is_empty() {
                Sync::Synced
            } else {
                // Whoever did not see the push must be able to allow it, or to see why not.
                if !message.is_empty() {
                    message.push_str("; ");
                }
                let (reasons, hash) = (held.join("; "), &applied.plan.hash);
                message.push_str(&format!(
                    "deletions wait: {reasons}; to allow them, push a commit with the trailer `Approve-Plan: {hash}`"
                ));
                Sync::Blocked
            };
            if target.objects.is_empty() && applied.candidates.is_empty() {
                // Nothing is declared and nothing is left: the app is gone.
                self.shared.statuses().remove(&self.app);
            } else {
                self.set_status(target, sync, worst, &message, Some(&objects));
            }
            let settled = if worst.is_done() && was_healthy {
                Ok(false)
            } else if worst.is_done() {
                was_healthy = true;
                self.healthy(target, applied).await
            } else if worst == Status::Degraded || Instant::now() >= deadline {
                self.unhealthy(target, &objects, worst)
                    .await
                    .map(|()| false)
            } else {
                self.waiting(target, &objects);
                Ok(false)
            };
            match settled {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(app = %self.app, error = error.chain(), "cannot record an outcome");
                }
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
pub(crate) fn pause(failures: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX)
}
