//! One pass over an app: look, plan, write. What it came to is data; what follows is the loop's business.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ordain_reconciler_journal::{Event, Outcome};
use ordain_reconciler_plan::{
    Candidate, Desired, DryRun, Input, ObjectKey, Observed, Plan, Refusal, Rules, Verb, plan,
};

use crate::{
    Error, execute, facts,
    gather::{Gathered, Prepared, Route, gather, prepare_all, reveal},
    health_view::expires,
    live::Seen,
    shared::Shared,
    target::{Target, set_digest},
    worker::{Worker, pause},
};

/// Reverts that are not slowed down: more of them before the next resync are a fight with somebody.
const REVERTS_FREE: u32 = 5;

/// What one pass over the app came to.
pub(crate) enum Pass {
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

impl Worker {
    /// Compares, plans and applies once.
    pub(crate) async fn pass(&mut self, target: &Target) -> Result<Pass, Error> {
        let shared = Arc::clone(&self.shared);
        let cluster = &shared.cluster;
        let owner = target.owner();
        let prepared = prepare_all(cluster, target.objects(), &target.namespace, &owner).await;
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        if let Err(reasons) = reveal(&shared.compiler, &mut prepared, target.secrets()).await {
            // A key that is missing now may be there soon, and is looked for again.
            return Ok(Pass::failed(reasons, true));
        }
        let inventory = shared.inventory(&self.app).await?;
        let mut gathered = match gather(cluster, &prepared, &inventory).await {
            Ok(gathered) => gathered,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        self.done_jobs(&prepared, &mut gathered);
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
            self.done_jobs(&prepared, &mut gathered);
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
        let objects = written.objects.iter();
        let objects = objects.map(|(key, _, object)| (key, object));
        let (desired, observed) = (&prepared.desired, &gathered.observed);
        self.ledger
            .wrote(facts::applied(&plan, desired, observed, objects));
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
            rules: &Rules::default(),
        })
    }

    /// A Job that deletes itself after it is done would be run again at each start of ours.
    fn done_jobs(&self, prepared: &Prepared, gathered: &mut Gathered) {
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
        let last = self.shared.scribe.known().last(&app);
        if !last.is_some_and(|last| last.set == set && last.was_healthy) {
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
                changes: Vec::new(),
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
}

impl Pass {
    pub(crate) fn failed(reasons: Vec<String>, transient: bool) -> Self {
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
