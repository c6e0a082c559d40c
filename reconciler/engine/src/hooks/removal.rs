//! The hooks of an app that was taken out of the repository: before its objects are deleted, and after.
//!
//! The commit no longer has them, so they come from the journal: from the last objects that were deployed. One that fails
//! before stops every deletion; one that fails after leaves the app where everybody sees it.

use std::collections::BTreeSet;

use ordain_reconciler_journal::{Deploy, Error as JournalError, Journal, ObjectSet};
use ordain_reconciler_plan::{ObjectKey, OnRemove, Verb, When, event_hook};
use serde_json::Value;

use super::events::{Step, of_time};
use crate::{CompiledObject, Error, member::Applied, target::Target, words::short, worker::Worker};

/// What runs when an app is removed.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// For which it runs: the deploy that is removed.
    run: String,
    objects: Vec<CompiledObject>,
    before: BTreeSet<ObjectKey>,
    after: BTreeSet<ObjectKey>,
    /// True when nothing of the app is left but what the inventory says of its last hooks.
    is_over: bool,
}

/// What comes next of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The plan is carried out.
    Go,
    /// A hook is under way, or has failed.
    Wait,
    /// The plan is made anew: a hook is there that it does not know.
    Again,
}

impl Plan {
    fn new(run: String, texts: &[String]) -> Self {
        let objects = texts
            .iter()
            .filter_map(|text| serde_json::from_str(text).ok());
        let objects = objects
            .map(|object: Value| CompiledObject { object, at: None })
            .collect::<Vec<_>>();
        let mut plan = Self {
            run,
            ..Self::default()
        };
        for compiled in objects {
            let when = event_hook(&compiled.object).and_then(|hook| hook.when);
            let keys = match when {
                Some(When::BeforeRemoval) => &mut plan.before,
                Some(When::AfterRemoval) => &mut plan.after,
                _ => continue,
            };
            if let Some(key) = ObjectKey::of(&compiled.object) {
                keys.insert(key);
                plan.objects.push(compiled);
            }
        }
        plan
    }
}

impl Worker {
    /// Runs the hooks of a removal that come before the plan is carried out.
    pub(crate) async fn removal(
        &mut self,
        target: &Target,
        applied: &mut Applied,
    ) -> Result<Removal, Error> {
        let leaves = self.shared.ownership.on_remove == OnRemove::Orphan;
        if !target.is_removed || leaves || applied.candidates.is_empty() {
            return Ok(Removal::Go);
        }
        self.remember().await?;
        if self.hooks().removal.is_none() {
            let plan = self.last_hooks().await?;
            self.hooks().removal = Some(plan);
        }
        let Some(plan) = self.hooks().removal.take() else {
            return Ok(Removal::Go);
        };
        let (next, is_over) = match plan.objects.is_empty() {
            true => (Ok(Removal::Go), false),
            false => self.hooks_of_removal(target, applied, &plan).await,
        };
        self.hooks().removal = Some(Plan { is_over, ..plan });
        next
    }

    async fn hooks_of_removal(
        &mut self,
        target: &Target,
        applied: &mut Applied,
        plan: &Plan,
    ) -> (Result<Removal, Error>, bool) {
        let left = |action: &&ordain_reconciler_plan::Action| {
            let goes = matches!(action.verb, Verb::Forget | Verb::Release);
            !goes && !plan.after.contains(&action.key)
        };
        let left: Vec<_> = applied.plan.actions.iter().filter(left).collect();
        let deletes = left
            .iter()
            .any(|action| action.verb == Verb::Delete && !plan.before.contains(&action.key));
        let when = match (deletes, left.is_empty()) {
            (true, _) => When::BeforeRemoval,
            (false, true) => When::AfterRemoval,
            // What is left waits for something else, or is what ran before.
            (false, false) => return (Ok(Removal::Go), false),
        };
        let hooks = || of_time(plan.objects.clone(), when);
        let step = self.hook_step(target, when, &plan.run, hooks).await;
        let next = match step {
            Err(error) => Err(error),
            Ok(Step::Underway) => Ok(Removal::Wait),
            Ok(Step::Failed(reasons)) => {
                applied.unread = reasons;
                Ok(Removal::Wait)
            }
            Ok(Step::Done) if when == When::BeforeRemoval && self.is_news(applied, plan).await => {
                Ok(Removal::Again)
            }
            Ok(Step::Done) => Ok(Removal::Go),
        };
        let is_over = when == When::AfterRemoval && matches!(next, Ok(Removal::Go));
        (next, is_over)
    }

    /// True when a hook that ran before is there and the plan, which is older, takes it for gone.
    async fn is_news(&self, applied: &Applied, plan: &Plan) -> bool {
        let unknown = applied
            .candidates
            .iter()
            .filter(|candidate| candidate.live.is_none() && plan.before.contains(&candidate.key));
        for candidate in unknown {
            let (cluster, key) = (&self.shared.cluster, &candidate.key);
            let found = crate::gather::candidate(cluster, key, &candidate.version.version).await;
            if found.map_or(true, |found| found.live.is_some()) {
                return true;
            }
        }
        false
    }

    /// True for a hook that has to stay in the inventory, since it has not run yet.
    pub(crate) fn is_to_run(&self, key: &ObjectKey) -> bool {
        let plan = self.hooks.as_ref().and_then(|hooks| hooks.removal.as_ref());
        plan.is_some_and(|plan| !plan.is_over && plan.after.contains(key))
    }

    /// The hooks of the last deploy that had objects.
    async fn last_hooks(&self) -> Result<Plan, Error> {
        let app = self.app.clone();
        let find = move |journal: &Journal| {
            let none = ObjectSet::new([]).digest();
            let has_objects = |row: &&Deploy| row.was_planned() && row.set != none;
            let rows =
                journal.history_until(&app, |rows| rows.iter().any(|row| has_objects(&row)))?;
            let Some(row) = rows.iter().rev().find(has_objects) else {
                return Ok::<_, JournalError>(None);
            };
            let run = format!("{}-{}", short(&row.commit), row.id);
            Ok(Some((run, journal.objects(&row.set)?)))
        };
        let found = self.shared.journal(find).await?;
        Ok(found.map_or_else(Plan::default, |(run, texts)| Plan::new(run, &texts)))
    }
}
