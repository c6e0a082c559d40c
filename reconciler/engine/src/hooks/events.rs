//! Runs the hooks of a time that is no rollout: one step at a look, so that nothing else waits for them.
//!
//! It knows the hooks and their order. When that time is, others know: a failed rollout below, a removal beside.

use ordain_reconciler_plan::{
    Graph, Hook, OWNER_ANNOTATION, ObjectKey, Policy, Walk, When, event_hook, health::Status,
    run_of, set_run,
};
use serde_json::Value;

use super::Ended;
use crate::{
    CompiledObject, Error,
    cluster::Resource,
    prepared::{Prepared, Route, hidden, prepare_all, reveal},
    remove::{is_leaving, uid},
    target::Target,
    worker::Worker,
};

/// The hooks of one event, and how they stand.
#[derive(Debug)]
pub(super) struct Event {
    when: When,
    /// For which they run: they run once for it.
    run: String,
    prepared: Prepared,
    graph: Graph,
    states: Vec<State>,
    /// What came of it, once nothing more is done.
    result: Option<Result<(), Vec<String>>>,
}

/// How one hook stands.
#[derive(Debug, Clone, PartialEq)]
enum State {
    /// Nothing was done.
    Waits,
    /// It is there and not done, or the one before it is on its way out.
    Runs(String),
    Ended(Ended),
}

/// How far the hooks of an event are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Underway,
    Done,
    Failed(Vec<String>),
}

/// The hooks of a time among objects.
pub(super) fn of_time(objects: Vec<CompiledObject>, when: When) -> Vec<CompiledObject> {
    let is_it = |compiled: &CompiledObject| {
        event_hook(&compiled.object).is_some_and(|hook| hook.when == Some(when))
    };
    objects.into_iter().filter(is_it).collect()
}

impl Event {
    /// One line for each hook.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let states = self.prepared.desired.iter().zip(&self.states);
        states.map(|(desired, state)| {
            let key = &desired.key;
            let words = match state {
                State::Waits => "is about to run".to_owned(),
                State::Runs(words) if words.is_empty() => "runs".to_owned(),
                State::Runs(words) => format!("runs: {words}"),
                State::Ended(ended) => ended.to_string(),
            };
            format!("hook {key} ({}) {words}", self.when.name())
        })
    }
}

impl Worker {
    /// Runs the hooks of a failed rollout, once for each deploy. How they end changes nothing else.
    pub(crate) async fn rollout_failed(&mut self, target: &Target) -> Result<(), Error> {
        let run = self.ledger.failing(&target.commit);
        let Some(run) = run.filter(|_| !target.is_removed) else {
            return Ok(());
        };
        let hooks = || of_time(target.objects(), When::Failed);
        match self.hook_step(target, When::Failed, &run, hooks).await? {
            Step::Underway => {}
            Step::Done | Step::Failed(_) => {
                let event = self.hooks.as_ref().and_then(|hooks| hooks.event.as_ref());
                let lines: Vec<_> = event.into_iter().flat_map(Event::notes).collect();
                for line in lines {
                    if self.said.insert(line.clone()) {
                        tracing::info!(app = %self.app, hook = line, "a hook of a failed rollout");
                    }
                }
            }
        }
        Ok(())
    }

    /// The hooks of a removal that are under way.
    pub(crate) fn removing(&self, target: &Target) -> Option<String> {
        let event = self.hooks.as_ref()?.event.as_ref()?;
        let runs = target.is_removed && event.result.is_none();
        runs.then(|| event.notes().collect::<Vec<_>>().join("; "))
    }

    /// What people should know of hooks that are no part of a rollout.
    pub(crate) fn hook_notes(&self) -> Vec<String> {
        let event = self.hooks.as_ref().and_then(|hooks| hooks.event.as_ref());
        event.into_iter().flat_map(Event::notes).collect()
    }

    /// Goes one step on with the hooks of an event.
    pub(super) async fn hook_step(
        &mut self,
        target: &Target,
        when: When,
        run: &str,
        hooks: impl FnOnce() -> Vec<CompiledObject>,
    ) -> Result<Step, Error> {
        self.remember().await?;
        let known = self.hooks().event.take();
        let known = known.filter(|event| event.when == when && event.run == run);
        let mut event = match known {
            Some(event) => event,
            None => match self.begin(target, when, run, hooks()).await {
                Ok(event) => event,
                Err(reason) => return Ok(Step::Failed(vec![reason])),
            },
        };
        let step = match &event.result {
            Some(Ok(())) => Ok(Step::Done),
            Some(Err(reasons)) => Ok(Step::Failed(reasons.clone())),
            None => self.go_on(&mut event).await,
        };
        self.hooks().event = Some(event);
        step
    }

    async fn begin(
        &self,
        target: &Target,
        when: When,
        run: &str,
        objects: Vec<CompiledObject>,
    ) -> Result<Event, String> {
        let (cluster, owner) = (&self.shared.cluster, target.owner());
        let prepared = prepare_all(cluster, objects, &target.namespace, &owner).await;
        let mut prepared = prepared.map_err(|refusal| refusal.message)?;
        for desired in &mut prepared.desired {
            set_run(desired, run);
        }
        self.shared.judge(&target.app, &mut prepared);
        reveal(
            &self.shared.compiler,
            &mut prepared,
            |_| true,
            target.secrets(),
        )
        .await;
        Ok(Event {
            when,
            run: run.to_owned(),
            graph: Graph::new(&prepared.desired),
            states: vec![State::Waits; prepared.desired.len()],
            prepared,
            result: None,
        })
    }

    async fn go_on(&mut self, event: &mut Event) -> Result<Step, Error> {
        let mut live = Vec::new();
        for at in 0..event.states.len() {
            live.push(self.look_at_hook(event, at).await?);
        }
        self.start_free(event, &live).await;
        let reasons: Vec<_> = (event.prepared.desired.iter().zip(&event.states))
            .filter_map(|(desired, state)| match state {
                State::Ended(ended @ Ended::Failed(_)) => Some(format!(
                    "hook {} ({}) {ended}",
                    desired.key,
                    event.when.name()
                )),
                _ => None,
            })
            .collect();
        let runs = |state: &State| matches!(state, State::Runs(_));
        let waits = |state: &State| matches!(state, State::Waits);
        if event.states.iter().any(runs) || (reasons.is_empty() && event.states.iter().any(waits)) {
            return Ok(Step::Underway);
        }
        if !self.tidy(event, &live, reasons.is_empty()).await? {
            return Ok(Step::Underway);
        }
        // A removal that failed is tried again, when somebody deleted the hook that failed.
        let again = event.when != When::Failed && !reasons.is_empty();
        if !again {
            event.result = Some(match reasons.is_empty() {
                true => Ok(()),
                false => Err(reasons.clone()),
            });
        }
        Ok(match reasons.is_empty() {
            true => Step::Done,
            false => Step::Failed(reasons),
        })
    }

    /// Finds out how one hook stands, and returns it as it is.
    async fn look_at_hook(&mut self, event: &mut Event, at: usize) -> Result<Option<Value>, Error> {
        let key = event.prepared.desired[at].key.clone();
        let resource = match &event.prepared.routes[at] {
            Route::Served(resource) => resource.clone(),
            Route::AfterDefinition(_) => {
                let words = "the cluster does not serve its kind".to_owned();
                event.states[at] = State::Ended(Ended::Failed(words));
                return Ok(None);
            }
            Route::Fault(refusal) => {
                event.states[at] = State::Ended(Ended::Failed(refusal.message.clone()));
                return Ok(None);
            }
        };
        let found = match self.shared.cluster.get(&resource, &key).await {
            Ok(found) => found,
            Err(refusal) => {
                event.states[at] = State::Runs(refusal.message);
                return Ok(None);
            }
        };
        let noted = self.ended(&key, &event.run).cloned();
        let ours = found
            .as_ref()
            .filter(|live| run_of(live) == Some(&event.run) && !is_leaving(live));
        let state = match (noted, ours) {
            (Some(ended), _) => State::Ended(ended),
            (None, None) => State::Waits,
            (None, Some(live)) => {
                let health = self.shared.cluster.health(live);
                match health.status {
                    Status::Healthy => State::Ended(Ended::Succeeded),
                    Status::Degraded => State::Ended(Ended::Failed(health.message)),
                    _ => State::Runs(health.message),
                }
            }
        };
        if state == State::Ended(Ended::Succeeded) {
            // Before anything is deleted, by us or by its own time to live.
            self.end(&key, &event.run, &Ended::Succeeded).await?;
        }
        event.states[at] = state;
        Ok(found)
    }

    /// Creates the hooks whose turn it is.
    async fn start_free(&self, event: &mut Event, live: &[Option<Value>]) {
        let keys: Vec<ObjectKey> = (event.prepared.desired.iter())
            .map(|desired| desired.key.clone())
            .collect();
        let free = {
            let mut walk = Walk::new(&event.graph);
            for external in event.graph.externals() {
                walk.external(external);
            }
            for (key, state) in keys.iter().zip(&event.states) {
                match state {
                    State::Waits => {}
                    State::Runs(words) => walk.unhealthy(key, words),
                    State::Ended(Ended::Succeeded) => walk.healthy(key),
                    State::Ended(Ended::Failed(words)) => walk.failed(key, words),
                }
            }
            walk.take()
        };
        for key in free {
            let Some(at) = keys.iter().position(|known| *known == key) else {
                continue;
            };
            if event.states[at] == State::Waits {
                event.states[at] = self.start(&event.prepared, at, live[at].as_ref()).await;
            }
        }
    }

    /// Creates one hook; the one of another run goes first.
    async fn start(&self, prepared: &Prepared, at: usize, live: Option<&Value>) -> State {
        let cluster = &self.shared.cluster;
        let (desired, scrub) = prepared.sent(at);
        let Route::Served(resource) = &prepared.routes[at] else {
            return State::Waits;
        };
        if let Some(live) = live {
            let owner = |object: &Value| {
                let annotations = object.pointer("/metadata/annotations");
                annotations.and_then(|all| all.get(OWNER_ANNOTATION)?.as_str().map(str::to_owned))
            };
            if owner(live) != owner(&desired.object) {
                let words = "an object by its name is there that is not ours".to_owned();
                return State::Ended(Ended::Failed(words));
            }
            return match self.send_away(resource, &desired.key, live).await {
                Ok(()) => State::Runs("the one of an earlier run is being deleted".to_owned()),
                Err(words) => State::Runs(words),
            };
        }
        match cluster.apply(resource, desired, false).await {
            Ok(_) => State::Runs(String::new()),
            Err(refusal) => {
                let refusal = hidden(refusal, scrub);
                match refusal.transient {
                    true => State::Runs(refusal.message),
                    false => State::Ended(Ended::Failed(refusal.message)),
                }
            }
        }
    }

    async fn send_away(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        live: &Value,
    ) -> Result<(), String> {
        if is_leaving(live) {
            return Ok(());
        }
        let propagation = Policy::of(live).propagation.value;
        let cluster = &self.shared.cluster;
        let deleted = cluster.delete(resource, key, uid(live), propagation).await;
        deleted.map_err(|refusal| refusal.message)
    }

    /// Deletes what is to be deleted at the end of an event: what asks for it, and everything that succeeded after a
    /// removal, as nothing of the app is left. Returns false while something of it is still there.
    async fn tidy(
        &mut self,
        event: &Event,
        live: &[Option<Value>],
        succeeded: bool,
    ) -> Result<bool, Error> {
        let mut gone = true;
        for (at, desired) in event.prepared.desired.iter().enumerate() {
            let (State::Ended(ended), Some(live)) = (&event.states[at], &live[at]) else {
                continue;
            };
            let Route::Served(resource) = &event.prepared.routes[at] else {
                continue;
            };
            let Some(hook) = Hook::of(&desired.object) else {
                continue;
            };
            let goes = match ended {
                Ended::Succeeded => {
                    succeeded && (hook.delete_succeeded || event.when == When::AfterRemoval)
                }
                Ended::Failed(_) => hook.delete_failed && run_of(live) == Some(&event.run),
            };
            if !goes {
                continue;
            }
            self.end(&desired.key, &event.run, ended).await?;
            if let Err(reason) = self.send_away(resource, &desired.key, live).await {
                tracing::warn!(app = %self.app, hook = %desired.key, reason, "a hook cannot be deleted");
            }
            // After a removal its entry in the inventory is all that is known of it.
            gone &= event.when != When::AfterRemoval;
        }
        Ok(gone)
    }
}
