//! What is found out before a plan is made: the objects as they are and as they would be, whose they are, and which
//! cluster this is.

use std::collections::{BTreeMap, BTreeSet};

use ordain_reconciler_plan::{DryRun, Observed, Plan, Refusal, Rules, Verb, run_of};
use serde_json::Value;

use crate::{
    gather::{Found, missing_namespaces, observe_all},
    health_view::expires,
    hooks::{Ended, Run},
    member::Care,
    pass::Pass,
    prepared::{Prepared, is_definition},
    target::{Target, set_digest},
    wire::lasting,
    worker::Worker,
};

/// What was found out about some objects of a set.
pub(crate) struct Looked {
    /// Their positions.
    pub(crate) at: Vec<usize>,
    /// One for each position.
    pub(crate) observed: BTreeMap<usize, Observed>,
    /// What is sent instead of some of them.
    pub(crate) payloads: BTreeMap<usize, Value>,
    pub(crate) missing: BTreeSet<String>,
    pub(crate) rules: Rules,
}

impl Worker {
    /// Asks the cluster about the objects at these positions.
    pub(crate) async fn look(&self, prepared: &Prepared, at: Vec<usize>) -> Result<Looked, Pass> {
        let cluster = &self.shared.cluster;
        let missing = missing_namespaces(cluster, prepared, &at)
            .await
            .map_err(|refusal| Pass::failed(vec![refusal.message], refusal.transient))?;
        let rules = self.rules(prepared, &at);
        let found = observe_all(cluster, prepared, &rules, &at, &missing).await;
        let mut looked = Looked {
            at: Vec::new(),
            observed: BTreeMap::new(),
            payloads: BTreeMap::new(),
            missing,
            rules,
        };
        looked.put(&at, found);
        looked.at = at;
        self.done_jobs(prepared, &mut looked);
        self.custom_objects(prepared, &mut looked).await;
        Ok(looked)
    }

    /// What plans depend on beyond the objects.
    fn rules(&self, prepared: &Prepared, at: &[usize]) -> Rules {
        let keys = at.iter().map(|at| &prepared.desired[*at].key);
        let quiet = keys.filter_map(|key| {
            let fields = self.fights.quiet(key);
            (!fields.is_empty()).then(|| (key.clone(), fields))
        });
        let ownership = &self.shared.ownership;
        Rules {
            ignores: ownership.ignores.clone(),
            take_from: ownership.take_from.clone(),
            quiet: quiet.collect(),
            ..Rules::default()
        }
    }

    /// Finds out whether there are objects of a kind whose definition is about to change.
    async fn custom_objects(&self, prepared: &Prepared, looked: &mut Looked) {
        for at in &looked.at {
            let desired = &prepared.desired[*at];
            let Some(observed) = looked.observed.get(at) else {
                continue;
            };
            if let (true, Some(live), DryRun::Accepted(after)) = (
                is_definition(&desired.key),
                &observed.live,
                &observed.dry_run,
            ) && looked.rules.ignored(desired, live).differs(live, after)
                && let Ok(some) = self.shared.cluster.has_objects(live).await
            {
                let name = desired.key.name.clone();
                looked.rules.custom_objects.insert(name, some);
            }
        }
    }

    /// Which cluster this is, and which one the inventory is about.
    pub(crate) async fn clusters(&self) -> Result<Clusters, Refusal> {
        Ok(Clusters {
            now: self.shared.cluster.uid().await?,
            before: self.shared.scribe.known().cluster(&self.app),
        })
    }

    /// A Job that deletes itself after it is done would be run again at each start of ours.
    fn done_jobs(&self, prepared: &Prepared, looked: &mut Looked) {
        let absent = |at: &usize| {
            let (observed, desired) = (looked.observed.get(at), &prepared.desired[*at]);
            observed.is_some_and(|observed| observed.live.is_none())
                && (expires(&desired.object) || Run::of(desired).is_some())
        };
        let mut jobs: Vec<usize> = looked.at.iter().copied().filter(absent).collect();
        jobs.retain(|at| {
            let desired = &prepared.desired[*at];
            let run = run_of(&desired.object).unwrap_or_default();
            match self.ended(&desired.key, run) {
                Some(Ended::Succeeded) => looked.as_it_is(prepared, *at),
                Some(Ended::Failed(words)) => {
                    let message = format!("it failed, and was deleted for that: {words}");
                    if let Some(observed) = looked.observed.get_mut(at) {
                        observed.dry_run = DryRun::Refused(lasting(message));
                    }
                }
                None => return true,
            }
            false
        });
        if jobs.is_empty() {
            return;
        }
        let (app, set) = (self.app.clone(), set_digest(&prepared.desired));
        let last = self.shared.scribe.known().last(&app);
        if !last.is_some_and(|last| last.set == set && last.was_healthy) {
            return;
        }
        for at in jobs {
            looked.as_it_is(prepared, at);
        }
    }

    /// Creates the missing namespaces that nothing declares, and asks about the objects in them. Those that are
    /// declared are objects like others: what is in them waits for them.
    ///
    /// Returns false when there was nothing to do.
    pub(crate) async fn namespaces(
        &self,
        target: &Target,
        prepared: &Prepared,
        looked: &mut Looked,
        plan: &Plan,
    ) -> bool {
        let cluster = &self.shared.cluster;
        let declared = prepared.desired.iter().map(|desired| &desired.key);
        let declared: BTreeSet<_> = declared
            .filter(|key| key.is("", "Namespace"))
            .map(|key| key.name.clone())
            .collect();
        let wanted = plan.with(Verb::Create);
        let wanted: BTreeSet<_> = wanted
            .filter_map(|action| action.key.namespace.as_ref())
            .collect();
        looked
            .missing
            .retain(|name| !declared.contains(name) && wanted.contains(name));
        if looked.missing.is_empty() {
            return false;
        }
        let mut refused = BTreeMap::new();
        for name in &looked.missing {
            match cluster.create_namespace(name).await {
                Ok(()) => {
                    let line = format!("{}: created namespace {name}", self.app);
                    target.rollout.line(&line);
                }
                Err(mut refusal) => {
                    refusal.message = format!("its namespace {name}: {}", refusal.message);
                    refused.insert(name.clone(), refusal);
                }
            }
        }
        let inside: Vec<usize> = looked
            .observed
            .iter()
            .filter(|(_, observed)| observed.dry_run == DryRun::NoNamespace)
            .map(|(at, _)| *at)
            .filter(|at| {
                let namespace = prepared.desired[*at].key.namespace.as_ref();
                namespace.is_some_and(|name| looked.missing.contains(name))
            })
            .collect();
        let none = BTreeSet::new();
        let mut again = observe_all(cluster, prepared, &looked.rules, &inside, &none).await;
        for (at, found) in inside.iter().zip(&mut again) {
            let namespace = prepared.desired[*at].key.namespace.as_ref();
            if let Some(refusal) = namespace.and_then(|name| refused.get(name)) {
                found.observed.dry_run = DryRun::Refused(refusal.clone());
            }
        }
        looked.put(&inside, again);
        looked.missing.clear();
        self.done_jobs(prepared, looked);
        true
    }
}

impl Looked {
    /// Takes an object for one that is as it should be.
    fn as_it_is(&mut self, prepared: &Prepared, at: usize) {
        let Some(observed) = self.observed.get_mut(&at) else {
            return;
        };
        let live = observed.live.take();
        let object = live.unwrap_or_else(|| prepared.desired[at].object.clone());
        *observed = Observed {
            live: Some(object.clone()),
            dry_run: DryRun::Accepted(object),
        };
    }

    /// Puts in what was found at these positions.
    fn put(&mut self, at: &[usize], found: Vec<Found>) {
        for (at, found) in at.iter().zip(found) {
            self.observed.insert(*at, found.observed);
            match found.payload {
                Some(payload) => self.payloads.insert(*at, payload),
                None => self.payloads.remove(at),
            };
        }
    }

    /// How far an object is ours to keep as declared.
    pub(crate) fn care(&self, prepared: &Prepared, at: usize) -> Care {
        let observed = self.observed.get(&at);
        let live = observed.and_then(|observed| observed.live.as_ref());
        Care::of(&prepared.desired[at].object, live)
    }
}

/// Clusters by the uid of their `kube-system`.
pub(crate) struct Clusters {
    now: Option<String>,
    before: Option<String>,
}

impl Clusters {
    /// Why nothing is deleted without an approval: an inventory says nothing about another cluster.
    pub(crate) fn hold(&self) -> Option<String> {
        let (now, before) = (self.now.as_ref()?, self.before.as_ref()?);
        (now != before).then(|| {
            format!(
                "this is another cluster than at the last deploy (uid {now} of kube-system, not {before})"
            )
        })
    }

    /// The cluster that the inventory is about once the plan is begun: the old one while deletions are held.
    pub(crate) fn inventory_is_about(&self, plan: &Plan) -> Option<String> {
        match (&self.now, &self.before) {
            (_, Some(before)) if !plan.held.is_empty() => Some(before.clone()),
            (Some(now), _) => Some(now.clone()),
            (None, before) => before.clone(),
        }
    }
}
