//! Watches what was applied: health, drift, approvals, and what stuck objects wait for. Says when the app has to be
//! looked at again, and how much of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ordain_reconciler_plan::{
    ObjectKey, Verb, Walk,
    health::{Health, Status},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Sync, execute,
    health_view::{ObjectHealth, summary},
    hooks::Removal,
    member::{Applied, Care},
    stuck::{Cause, Stuck},
    target::Target,
    worker::{Worker, pause},
};

/// How often pods are asked for the reason while a rollout waits.
const LOOK: Duration = Duration::from_secs(1);

/// What an app's loop does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Looks at everything.
    All,
    /// Looks at these objects; nothing was heard of the others.
    These(BTreeSet<ObjectKey>),
}

/// What wakes an app's loop.
pub(crate) struct Wakers<'a> {
    /// One of its objects changed.
    pub(crate) objects: &'a Notify,
    /// Somebody approved a plan.
    pub(crate) approvals: &'a mut watch::Receiver<BTreeSet<String>>,
    /// An app became synced, or is no longer.
    pub(crate) apps: &'a mut watch::Receiver<u64>,
}

/// What one look came to.
struct Look {
    objects: Vec<ObjectHealth>,
    worst: Status,
}

impl Worker {
    /// Watches what was applied until something has to be looked at again. In an app that is as declared and
    /// healthy nothing is sent meanwhile: everything is heard from watches.
    pub(crate) async fn observe(
        &mut self,
        target: &Target,
        applied: &mut Applied,
        wakers: Wakers<'_>,
    ) -> Next {
        let deadline = Instant::now() + self.shared.deadline(&self.app);
        let mut retry = self.retry_of(applied);
        let mut settled = false;
        loop {
            if let Err(error) = Box::pin(self.note_runs(applied, None)).await {
                tracing::error!(app = %self.app, error = error.chain(), "cannot record a hook");
            }
            let look = Box::pin(self.look_at(applied)).await;
            let drifted = self.drifted(applied);
            if !drifted.is_empty() {
                return Next::These(drifted);
            }
            let freed = Box::pin(self.freed(target, applied, &look.objects)).await;
            if !freed.is_empty() {
                return Next::These(freed);
            }
            let live = &self.shared.live;
            if applied.leaving.keys().any(|key| live.get(key).is_none()) {
                return Next::All;
            }
            if self.taken_over(target, applied) {
                return Next::All;
            }
            let done = look.worst.is_done() && applied.stuck.is_empty();
            if !done || settled || applied.is_failing() {
                self.publish(target, applied, &look);
            }
            let result = if applied.is_failing() {
                Box::pin(self.failing(target, applied))
                    .await
                    .map(|()| false)
            } else if done && settled {
                Ok(false)
            } else if done && applied.partial && applied.has_removals() {
                return Next::All;
            } else if done {
                let settling = match Box::pin(self.removal(target, applied)).await {
                    Ok(Removal::Go) => {
                        settled = true;
                        Box::pin(self.healthy(target, applied)).await
                    }
                    Ok(Removal::Again) => return Next::All,
                    Ok(Removal::Wait) => Ok(false),
                    Err(error) => Err(error),
                };
                if !matches!(settling, Ok(true)) {
                    // Not before what had to go is gone.
                    self.publish(target, applied, &look);
                }
                if !applied.unread.is_empty() {
                    retry = self.retry_of(applied);
                }
                settling
            } else if look.worst == Status::Degraded || Instant::now() >= deadline {
                Box::pin(self.unhealthy(target, applied, &look.objects, look.worst))
                    .await
                    .map(|()| false)
            } else {
                self.waiting(target, &look.objects);
                Ok(false)
            };
            match result {
                Ok(true) => return Next::All,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(app = %self.app, error = error.chain(), "cannot record an outcome");
                }
            }
            let now = Instant::now();
            let fight = self.fights.wake().map(|wait| now + wait);
            let quiet = done && settled;
            let again = (!quiet).then(|| now + LOOK);
            let next = [retry, again, fight].into_iter().flatten().min();
            let (hash, is_held) = (&applied.plan.hash, !applied.plan.held.is_empty());
            // Nothing is kept of a look while nothing happens.
            drop(look);
            tokio::select! {
                () = wakers.objects.notified() => {
                    if self.shared.is_to_compare(&self.app) {
                        return Next::All;
                    }
                }
                () = sleep_until(next) => {
                    let now = Instant::now();
                    if retry.is_some_and(|retry| now >= retry) {
                        return self.again(applied);
                    }
                    if fight.is_some_and(|fight| now >= fight) {
                        return Next::These(self.fights.over());
                    }
                }
                // The approval of another app's plan is no reason to look.
                () = changed_when(is_held, wakers.approvals) => {
                    if wakers.approvals.borrow_and_update().contains(hash) {
                        return Next::All;
                    }
                }
                () = changed_when(applied.stuck.iter().any(waits), wakers.apps) => {}
            }
        }
    }

    /// True when another app has applied an object that was kept for it: it is not ours any more.
    fn taken_over(&self, target: &Target, applied: &Applied) -> bool {
        let owner = target.owner();
        applied.plan.with(Verb::Keep).any(|action| {
            let seen = self.shared.live.get(&action.key);
            seen.is_some_and(|seen| !seen.is_of(&owner))
        })
    }

    /// When something that failed is tried again; a look at other objects in between changes nothing of that.
    fn retry_of(&mut self, applied: &Applied) -> Option<Instant> {
        let now = Instant::now();
        if !applied.is_failing() {
            self.retry_at = None;
            if applied.stuck.is_empty() {
                self.failures = 0;
            }
        } else if self.retry_at.is_none_or(|at| at <= now) {
            self.failures += 1;
            self.retry_at = Some(now + pause(self.failures));
        }
        self.retry_at
    }

    /// What is tried again after a failure.
    fn again(&self, applied: &Applied) -> Next {
        if !applied.unread.is_empty() {
            return Next::All;
        }
        Next::These(
            applied
                .stuck
                .iter()
                .map(|stuck| stuck.key.clone())
                .collect(),
        )
    }

    /// Looks at the health of every object. What is stuck says so, whatever its old state is.
    async fn look_at(&mut self, applied: &Applied) -> Look {
        let (cluster, live) = (&self.shared.cluster, &self.shared.live);
        let mut objects = self.view.look(cluster, live, &applied.members).await;
        let worst = |objects: &[ObjectHealth]| {
            let worst = objects.iter().map(|object| object.health.status).max();
            worst.unwrap_or(Status::Healthy)
        };
        if !applied.stuck.is_empty() {
            let stuck: BTreeMap<_, _> = applied
                .stuck
                .iter()
                .map(|stuck| (&stuck.key, stuck))
                .collect();
            for object in &mut objects {
                if let Some(stuck) = stuck.get(&object.key) {
                    let status = match stuck.cause {
                        Cause::Refused(_) | Cause::Blocked(_) => Status::Degraded,
                        Cause::Waits(_) => Status::Progressing,
                    };
                    object.health = Health {
                        status,
                        message: stuck.reason(),
                    };
                }
            }
        }
        let worst = worst(&objects);
        Look { objects, worst }
    }

    /// Publishes where the app stands.
    fn publish(&self, target: &Target, applied: &Applied, look: &Look) {
        if target.is_empty() && applied.candidates.is_empty() && applied.unread.is_empty() {
            // Nothing is declared and nothing is left: the app is gone.
            self.shared.forget(&self.app);
            return;
        }
        let (_, mut message) = summary(&look.objects);
        let held = &applied.plan.held;
        let sync = if applied.is_failing() {
            message = applied.reasons().join("; ");
            Sync::OutOfSync
        } else if !applied.stuck.is_empty() {
            Sync::Applying
        } else if !held.is_empty() {
            // Whoever did not see the push must be able to allow it, or to see why not.
            if !message.is_empty() {
                message.truncate(message.trim_end_matches('.').len());
                message.push_str("; ");
            }
            let (reasons, hash) = (held.join("; "), &applied.plan.hash);
            message.push_str(&format!(
                "deletions wait: {reasons}; `ordain approve {} --env {}` allows them, or a commit with the trailer \
                 `Approve-Plan: {hash}`",
                self.app.name, self.app.env
            ));
            Sync::Blocked
        } else if let Some(hooks) = self.removing(target) {
            message = hooks;
            Sync::Applying
        } else if look.worst.is_done() {
            Sync::Synced
        } else {
            Sync::Applied
        };
        let worst = if applied.is_failing() {
            look.worst.max(Status::Degraded)
        } else {
            look.worst
        };
        self.shared.set_stuck(&self.app, &applied.stuck);
        let notes = self.notes(applied);
        self.set_status(target, sync, worst, &message, Some(&look.objects), notes);
    }

    /// What people should know of an app that is no failure of it.
    fn notes(&self, applied: &Applied) -> Vec<String> {
        let leaving = applied.leaving.iter();
        let mut notes: Vec<_> = leaving
            .map(|(key, held)| format!("{key} is being deleted{held}"))
            .collect();
        for member in &applied.members {
            match &member.care {
                Care::Full => {}
                Care::Existence(by) => {
                    notes.push(format!(
                        "{} is created and never changed: `{by}`",
                        member.key
                    ));
                }
                Care::None(by) => notes.push(format!("{} is left alone: `{by}`", member.key)),
                Care::Elsewhere(by) => {
                    notes.push(format!("{} is no part of a rollout: `{by}`", member.key));
                }
            }
        }
        notes.extend(self.hook_notes());
        notes.extend(self.fights.notes());
        notes.extend(self.taken.iter().cloned());
        notes
    }

    /// Objects that are not as they were written: somebody edited or deleted them.
    fn drifted(&self, applied: &Applied) -> BTreeSet<ObjectKey> {
        let stuck: BTreeSet<_> = applied.stuck.iter().map(|stuck| &stuck.key).collect();
        let drifted = applied.members.iter().filter(|member| {
            let Some(written) = &member.written else {
                return false;
            };
            if stuck.contains(&member.key) {
                return false;
            }
            match (self.shared.live.get(&member.key), &member.care) {
                (_, Care::Elsewhere(_)) => false,
                (None, Care::None(_)) => false,
                (None, _) => !member.expires,
                // An older state is only late.
                (Some(seen), _)
                    if seen.uid == written.uid && seen.generation < written.generation =>
                {
                    false
                }
                // Somebody may have lifted a pause.
                (Some(seen), _) => seen.fingerprint != written.fingerprint,
            }
        });
        drifted.map(|member| member.key.clone()).collect()
    }

    /// Objects that waited and need not wait any longer. The reasons of the others are brought up to date.
    async fn freed(
        &self,
        target: &Target,
        applied: &mut Applied,
        objects: &[ObjectHealth],
    ) -> BTreeSet<ObjectKey> {
        let Some(graph) = applied.graph.clone() else {
            return BTreeSet::new();
        };
        let behind: BTreeSet<_> = applied
            .stuck
            .iter()
            .filter(|stuck| !matches!(stuck.cause, Cause::Refused(_)))
            .map(|stuck| stuck.key.clone())
            .collect();
        if behind.is_empty() {
            return behind;
        }
        let there = self
            .there(target, graph.externals().cloned().collect())
            .await;
        let mut walk = Walk::new(&graph);
        for object in objects {
            let stuck = applied.stuck.iter().find(|stuck| stuck.key == object.key);
            match stuck.map(|stuck| &stuck.cause) {
                Some(Cause::Refused(refusal)) => walk.failed(&object.key, &refusal.message),
                Some(Cause::Blocked(_) | Cause::Waits(_)) => {}
                None => execute::tell(&mut walk, &object.key, &object.health),
            }
        }
        for external in &there {
            walk.external(external);
        }
        for stuck in &mut applied.stuck {
            if let Some(blocked) = walk.why(&stuck.key)
                && let Cause::Blocked(known) | Cause::Waits(known) = &mut stuck.cause
            {
                *known = blocked;
            }
        }
        if let Some(circle) = self.circle(&graph) {
            Stuck::close(&mut applied.stuck, &circle);
        }
        let free = walk.take().into_iter();
        let mut free: BTreeSet<_> = free.filter(|key| behind.contains(key)).collect();
        let untried = applied.stuck.iter().filter(|stuck| stuck.untried);
        let untried: Vec<_> = untried.map(|stuck| &stuck.key).collect();
        if untried.iter().any(|key| free.contains(*key)) {
            // All of them are asked about before one of them is written.
            free.extend(untried.into_iter().cloned());
        }
        free
    }
}

fn waits(stuck: &Stuck) -> bool {
    stuck.waits()
}

/// Waits for a moment, or for ever when there is none: then it takes no room, as for most apps most of the time.
pub(crate) async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => Box::pin(tokio::time::sleep_until(moment)).await,
        None => std::future::pending().await,
    }
}

/// Waits for news of something, when it matters; otherwise, and when there will be none, for ever.
async fn changed_when<T>(matters: bool, news: &mut watch::Receiver<T>) {
    if !matters || Box::pin(news.changed()).await.is_err() {
        std::future::pending().await
    }
}
