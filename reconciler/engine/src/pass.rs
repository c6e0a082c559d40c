//! One pass over an app: look, plan, write. What it came to is data; what follows is the loop's business.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use ordain_reconciler_journal::{Digest, Event, Outcome};
use ordain_reconciler_plan::{
    Action, Candidate, External, Graph, Hook, Input, Inventory, ObjectKey, Plan, Policy, Refusal,
    Verb, adoption, health::Health, plan, plan_rollback, set_occasion,
};

use crate::{
    Error, execute, facts,
    gather::candidates,
    health_view::elsewhere,
    live::Seen,
    look::Looked,
    member::{Applied, Care, Member},
    prepared::{Prepared, Route, prepare_all, reveal},
    resources::app::News,
    stuck::{Cause, Stuck},
    target::{Target, set_digest},
    worker::Worker,
};

/// What one pass over the app came to.
pub(crate) enum Pass {
    /// What could be applied was; look at health, and start over when something changes.
    Applied(Box<Applied>),
    /// Nothing could be done at all.
    Failed {
        reasons: Vec<String>,
        /// True when nothing is wrong with what is declared.
        transient: bool,
    },
}

impl Pass {
    pub(crate) fn failed(reasons: Vec<String>, transient: bool) -> Self {
        Self::Failed { reasons, transient }
    }
}

impl Worker {
    /// Compares, plans and applies everything once.
    pub(crate) async fn pass(&mut self, target: &Target) -> Result<Pass, Error> {
        let shared = Arc::clone(&self.shared);
        let cluster = &shared.cluster;
        let mut prepared = match self.prepare(target).await {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        self.remember_runs(&prepared).await?;
        shared.judge(&target.app, &mut prepared);
        reveal(&shared.compiler, &mut prepared, |_| true, target.secrets()).await;
        let inventory = shared.inventory(&self.app).await?;
        let all = (0..prepared.desired.len()).collect();
        let mut looked = match self.look(&prepared, all).await {
            Ok(looked) => looked,
            Err(failed) => return Ok(failed),
        };
        let (candidates, unread) = candidates(cluster, &prepared.desired, &inventory).await;
        let clusters = match self.clusters().await {
            Ok(clusters) => clusters,
            Err(refusal) => return Ok(Pass::failed(vec![refusal.message], refusal.transient)),
        };
        looked.rules.holds.extend(clusters.hold());
        looked.rules.removed = target.is_removed.then_some(shared.ownership.on_remove);
        let declared = prepared.desired.iter().map(|desired| &desired.key);
        let keys = declared.chain(candidates.iter().map(|candidate| &candidate.key));
        looked.rules.claims = Some(shared.claims(&shared.name, &target.owner(), keys));
        let mut plan = self.plan(target, &prepared, &looked, &candidates);
        if !plan.held.is_empty() {
            let (desired, hash) = (&prepared.desired, &plan.hash);
            let carried = self.ledger.carried(target, desired, &candidates, hash);
            if let Some(hash) = carried.await? {
                looked.rules.hash = Some(hash);
                plan = self.plan(target, &prepared, &looked, &candidates);
            }
        }
        self.announce(target, &plan).await?;
        let nothing = !plan.actions.is_empty()
            && plan
                .actions
                .iter()
                .all(|action| action.verb == Verb::Refused);
        if !nothing {
            self.ledger
                .intend(
                    &target.commit,
                    &prepared,
                    &inventory,
                    &plan,
                    clusters.inventory_is_about(&plan),
                )
                .await?;
        }
        if !nothing && self.namespaces(target, &prepared, &mut looked, &plan).await {
            // What could not be asked before is asked before anything else is written.
            plan = self.plan(target, &prepared, &looked, &candidates);
            if plan.count(Verb::Refused) > 0 {
                self.announce(target, &plan).await?;
            }
        }
        let graph = Graph::new(&prepared.desired);
        let (seen, stuck) = self
            .write(target, &prepared, &graph, &looked, &plan, Vec::new())
            .await;
        if self.ledger.is_open() && stuck.is_empty() {
            self.ledger.record(Outcome::Applied, None).await?;
        }
        let members = prepared.desired.iter().enumerate().map(|(at, desired)| {
            let written = seen.get(&desired.key).map(Arc::clone);
            Member::of(desired, looked.care(&prepared, at), written)
        });
        let mut members: Vec<_> = members.collect();
        self.recall(&mut members);
        Ok(Pass::Applied(Box::new(Applied {
            members,
            graph: (!stuck.is_empty()).then(|| Arc::new(graph)),
            stuck,
            candidates,
            unread,
            plan: Applied::slim(plan),
            leaving: BTreeMap::new(),
            partial: false,
        })))
    }

    /// Compares, plans and applies some objects once more; the others stay as they are.
    ///
    /// Returns `None` when that is not enough and everything has to be looked at.
    pub(crate) async fn partial_pass(
        &mut self,
        target: &Target,
        mut applied: Applied,
        focus: &BTreeSet<ObjectKey>,
    ) -> Result<Option<Applied>, Error> {
        let shared = Arc::clone(&self.shared);
        let Ok(mut prepared) = self.prepare(target).await else {
            return Ok(None);
        };
        self.remember_runs(&prepared).await?;
        shared.judge(&target.app, &mut prepared);
        let wanted = |key: &ObjectKey| focus.contains(key);
        reveal(&shared.compiler, &mut prepared, wanted, target.secrets()).await;
        let at = (prepared.desired.iter().enumerate())
            .filter(|(_, desired)| focus.contains(&desired.key))
            .map(|(at, _)| at)
            .collect();
        let Ok(mut looked) = self.look(&prepared, at).await else {
            return Ok(None);
        };
        looked.rules.claims = Some(shared.claims(&shared.name, &target.owner(), focus));
        looked.rules.hash = Some(applied.plan.hash.clone());
        if !looked.missing.is_empty() {
            return Ok(None);
        }
        let plan = self.plan(target, &prepared, &looked, &[]);
        self.announce(target, &plan).await?;
        let graph = Graph::new(&prepared.desired);
        let others = (applied.members.iter())
            .filter(|member| !focus.contains(&member.key))
            .filter_map(|member| Some((member.key.clone(), self.standing(&applied, &member.key)?)))
            .collect();
        let was_stuck = !applied.stuck.is_empty();
        let (seen, stuck) = self
            .write(target, &prepared, &graph, &looked, &plan, others)
            .await;
        for member in &mut applied.members {
            if let Some(seen) = seen.get(&member.key) {
                member.written = Some(Arc::clone(seen));
            }
        }
        applied.stuck.retain(|stuck| !focus.contains(&stuck.key));
        applied.stuck.extend(stuck);
        applied.stuck.sort_by(|a, b| a.key.cmp(&b.key));
        if was_stuck && applied.stuck.is_empty() {
            // What is to be deleted was found out while something failed.
            return Ok(None);
        }
        for member in &mut applied.members {
            if !focus.contains(&member.key) {
                continue;
            }
            let mut desired = prepared.desired.iter();
            if let Some(at) = desired.position(|desired| desired.key == member.key) {
                member.care = looked.care(&prepared, at);
            }
        }
        applied.graph = (!applied.stuck.is_empty()).then(|| Arc::new(graph));
        applied.partial = true;
        Ok(Some(applied))
    }

    /// How an object that is not looked at stands; `None` when it waits itself.
    fn standing(&self, applied: &Applied, key: &ObjectKey) -> Option<Result<Health, String>> {
        match applied.stuck.iter().find(|stuck| stuck.key == *key) {
            Some(stuck) => match &stuck.cause {
                Cause::Refused(refusal) => Some(Err(refusal.message.clone())),
                Cause::Blocked(_) | Cause::Waits(_) => None,
            },
            None => {
                let mut members = applied.members.iter();
                let member = members.find(|member| member.key == *key)?;
                if let Care::Elsewhere(by) = &member.care {
                    return Some(Ok(elsewhere(by)));
                }
                let seen = self.shared.live.get(key);
                let health = seen.map(|seen| seen.health.clone());
                let gone = || member.expires.then(|| member.gone.clone());
                health.or_else(gone).map(Ok)
            }
        }
    }

    /// The objects of a target, ready to be asked about.
    async fn prepare(&self, target: &Target) -> Result<Prepared, Refusal> {
        let (cluster, owner) = (&self.shared.cluster, target.owner());
        let mut prepared =
            prepare_all(cluster, target.objects(), &target.namespace, &owner).await?;
        if prepared
            .desired
            .iter()
            .any(|desired| Hook::of(&desired.object).is_some())
        {
            let last = self.shared.scribe.known().last(&self.app);
            // What stands keeps the occasion that brought it, whatever commit the branch is at.
            let rollback = match last {
                Some(last) if last.set == set_digest(&prepared.desired) => last.rollback,
                _ => target.commit.rollback.clone(),
            };
            set_occasion(&mut prepared.desired, rollback.is_some());
        }
        Ok(prepared)
    }

    fn plan(
        &self,
        target: &Target,
        prepared: &Prepared,
        looked: &Looked,
        candidates: &[Candidate],
    ) -> Plan {
        let whole = looked.at.len() == prepared.desired.len();
        let some: Vec<_> = if whole {
            Vec::new()
        } else {
            looked
                .at
                .iter()
                .map(|at| prepared.desired[*at].clone())
                .collect()
        };
        let observed: Vec<_> = looked.observed.values().cloned().collect();
        let plan = match target.commit.rollback {
            Some(_) => plan_rollback,
            None => plan,
        };
        let mut plan = plan(&Input {
            owner: &target.owner(),
            desired: if whole { &prepared.desired } else { &some },
            observed: &observed,
            candidates,
            breaker: self.shared.breaker,
            approved: &self.shared.approvals().borrow(),
            rules: &looked.rules,
        });
        // Taking over kubectl's fields may be all there is to do.
        for (at, observed) in &looked.observed {
            let desired = &prepared.desired[*at];
            let key = &desired.key;
            let takes = observed.live.as_ref().is_some_and(|live| {
                let adopts = Policy::merged(&desired.object, Some(live)).adopts();
                adopts
                    && adoption(live, &desired.version, true)
                        != adoption(live, &desired.version, false)
            });
            let unchanged = |action: &&mut Action| {
                takes && action.key == *key && action.verb == Verb::Unchanged
            };
            if let Some(action) = plan.actions.iter_mut().find(unchanged) {
                action.verb = Verb::Update;
                action.reason = "fields of kubectl are taken over".to_owned();
            }
        }
        plan
    }

    /// Writes what the plan says, and returns what is known of every object of it.
    async fn write(
        &mut self,
        target: &Target,
        prepared: &Prepared,
        graph: &Graph,
        looked: &Looked,
        plan: &Plan,
        others: Vec<(ObjectKey, Result<Health, String>)>,
    ) -> (HashMap<ObjectKey, Arc<Seen>>, Vec<Stuck>) {
        let shared = Arc::clone(&self.shared);
        for (desired, route) in prepared.desired.iter().zip(&prepared.routes) {
            if let Route::Served(resource) = route {
                shared.live.watch_for(resource, &desired.object);
            }
        }
        let mut seen = self.unchanged(prepared, looked, plan);
        let externals: Vec<_> = graph.externals().cloned().collect();
        let there = self.there(target, externals).await;
        let round = execute::Round {
            cluster: &shared.cluster,
            graph,
            plan,
            prepared,
            observed: &looked.observed,
            payloads: &looked.payloads,
            others,
            there,
        };
        let written = execute::apply(&round).await;
        for (key, resource, object) in &written.objects {
            shared.live.watch_for(resource, object);
            seen.insert(key.clone(), shared.live.wrote(key, object));
        }
        let objects = written.objects.iter();
        let objects = objects.map(|(key, _, object)| (key, object));
        let before = looked.observed.iter().filter_map(|(at, observed)| {
            Some((&prepared.desired[*at].key, observed.live.as_ref()?))
        });
        self.ledger.wrote(facts::applied(plan, before, objects));
        self.tell_taken(target, plan, &written).await;
        let mut stuck = written.stuck;
        if let Some(circle) = self.circle(graph) {
            Stuck::close(&mut stuck, &circle);
        }
        (seen, stuck)
    }

    /// The apps that wait for each other, when this one is among them.
    pub(crate) fn circle(&self, graph: &Graph) -> Option<Vec<String>> {
        let apps = graph.externals().filter_map(|external| match external {
            External::App(name) => Some(name.clone()),
            External::Object { .. } => None,
        });
        self.shared.comes_after(&self.app, apps.collect())
    }

    /// What is known of the objects that nothing is sent for.
    fn unchanged(
        &self,
        prepared: &Prepared,
        looked: &Looked,
        plan: &Plan,
    ) -> HashMap<ObjectKey, Arc<Seen>> {
        let same: HashSet<_> = (plan.with(Verb::Unchanged))
            .chain(plan.with(Verb::Skipped))
            .map(|action| &action.key)
            .collect();
        let found = looked.observed.iter().filter_map(|(at, observed)| {
            let key = &prepared.desired[*at].key;
            let live = observed.live.as_ref().filter(|_| same.contains(key))?;
            if is_done_and_gone(live) {
                return None;
            }
            Some((key.clone(), self.shared.live.wrote(key, live)))
        });
        found.collect()
    }

    /// What is there of the things outside of the set that objects wait for.
    pub(crate) async fn there(&self, target: &Target, wanted: Vec<External>) -> Vec<External> {
        let mut there = Vec::new();
        for external in wanted {
            let ready = match &external {
                External::App(name) => self.shared.is_synced(&target.app.env, name),
                External::Object { .. } => self.shared.cluster.is_healthy(&external).await,
            };
            if ready {
                there.push(external);
            }
        }
        there
    }

    /// Tells the plan, once per commit and again when it says something new.
    async fn announce(&mut self, target: &Target, plan: &Plan) -> Result<(), Error> {
        let text = plan.to_string();
        let writes = plan
            .actions
            .iter()
            .filter(|action| matches!(action.verb, Verb::Create | Verb::Update | Verb::Replace));
        let writes: Vec<_> = writes.collect();
        let drifted: Vec<_> = writes.iter().map(|action| drift_line(action)).collect();
        // Said once, and again when there is more to say than that it is being carried out.
        let stands = self.ledger.stands(&target.commit);
        let more = (stands && !drifted.is_empty()) || plan.count(Verb::Refused) > 0;
        let digest = Some(Digest::of(text.as_bytes()));
        let news = self.planned.is_none() || (self.planned != digest && more);
        if target.rollout.is_pending(&self.app) && news {
            target.rollout.line(&text);
            self.planned = digest;
        }
        if stands && !drifted.is_empty() {
            self.shared.metrics.drifted(drifted.len());
            for object in &drifted {
                tracing::info!(app = %self.app, object, "drift is put right");
            }
            self.shared.changes.happened(
                &self.app,
                News {
                    reason: "DriftReverted",
                    warning: false,
                    note: drifted.join("; "),
                },
            );
            let event = Event::Drift {
                app: self.app.clone(),
                objects: drifted,
                changes: writes.into_iter().map(facts::drifted).collect(),
            };
            self.shared.record(event).await?;
        }
        Ok(())
    }
}

/// True for what is taken for something that is as declared although it is gone: it is done.
pub(crate) fn is_done_and_gone(object: &serde_json::Value) -> bool {
    object.pointer("/metadata/uid").is_none()
}

/// What is put right, and who had changed it.
fn drift_line(action: &Action) -> String {
    let taken = action.taken.iter().map(|taken| {
        format!(
            "; {} had changed {}",
            taken.manager,
            taken.fields.join(", ")
        )
    });
    let taken: String = taken.collect();
    format!("{}: {}{taken}", action.key, action.reason)
}

/// What a whole inventory would be after everything of it was applied.
pub(crate) fn inventory_of(applied: &Applied) -> Inventory {
    let members = applied.members.iter();
    members
        .map(|member| (member.key.clone(), member.version.clone()))
        .collect()
}
