//! Between the branch and an app's worker: suspensions, sync windows, quarantines, and rollbacks that are
//! not on the branch yet.
//!
//! A worker asks which target to follow, and asks again whenever something here changed or a time came.
//! Whatever is held, the newest commit is what is judged: nothing waits behind anything else.

mod decide;
mod standing;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use jiff::Timestamp;
use ordain_reconciler_journal::{AppRef, Deploy, Event, Quarantined, Suspension};
use ordain_reconciler_plan::window_open;
use ordain_reconciler_source::CommitId;
use tokio::sync::watch;

use crate::{
    Host, Rules,
    engine::blocking,
    origin::{Compile, Origin},
    shared::{Shared, now_ms},
    target::Target,
};

use decide::{Decision, View, decide, is_adoption, quarantined, suspended};
pub use decide::{Hold, HoldKind};
pub(crate) use standing::{deployed, from_set};

/// Which target a worker follows.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) target: Arc<Target>,
    /// Why nothing is written, when nothing is.
    pub(crate) rest: Option<String>,
    /// When to ask again.
    until: Option<Timestamp>,
}

impl Choice {
    /// True when nothing changes for who follows this one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.target, &other.target) && self.rest == other.rest
    }

    /// Resolves when the choice has to be made again because of the time.
    pub(crate) async fn is_over(&self) {
        let Some(until) = self.until else {
            return std::future::pending().await;
        };
        let left = until.as_millisecond().saturating_sub(now_ms());
        let left = std::time::Duration::from_millis(u64::try_from(left).unwrap_or(0));
        // A clock that is set back must not make this a busy loop.
        let left = left.max(std::time::Duration::from_millis(100));
        // In a box: most choices stand for ever, and are kept for each app.
        Box::pin(tokio::time::sleep(left)).await;
    }
}

#[derive(Default)]
struct State {
    rules: Arc<Rules>,
    /// Rollbacks that stand before their commit is on the branch.
    overrides: BTreeMap<AppRef, Arc<Target>>,
    /// Commits that wait for a window.
    waiting: BTreeMap<AppRef, Hold>,
    /// Commits of ours that are not on the branch yet, by their reference.
    pending: BTreeMap<String, Hold>,
    /// Which of them was compared with which tip of the branch, by their reference.
    compared: BTreeMap<String, (CommitId, CommitId)>,
}

/// See the module.
pub(crate) struct Holds {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    source: OnceLock<(Origin, Compile)>,
    host: OnceLock<Arc<Host>>,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::channel(()).0,
            source: OnceLock::new(),
            host: OnceLock::new(),
        }
    }
}

impl Holds {
    /// Tells where commits come from. Until then no commit is known to come after another.
    pub(crate) fn attach(&self, origin: Origin, compile: Compile) {
        let _ = self.source.set((origin, compile));
    }

    /// Tells which git host the commits come from.
    pub(crate) fn attach_host(&self, host: Arc<Host>) {
        let _ = self.host.set(host);
    }

    /// The git host that the commits come from, when it may be called.
    pub(crate) fn host(&self) -> Option<&Arc<Host>> {
        self.host.get()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the settings of the newest commit.
    pub(crate) fn set_rules(&self, rules: &Arc<Rules>) {
        let mut state = self.lock();
        if state.rules != *rules {
            state.rules = Arc::clone(rules);
            drop(state);
            self.wake();
        }
    }

    /// The settings in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.lock().rules)
    }

    /// Lets a target stand until the branch has something newer than what it replaces.
    pub(crate) fn put(&self, target: Arc<Target>) {
        self.lock().overrides.insert(target.app.clone(), target);
        self.wake();
    }

    /// Shows that a commit of ours is not on the branch.
    pub(crate) fn hold(&self, reference: &str, hold: Hold) {
        self.lock().pending.insert(reference.to_owned(), hold);
    }

    /// Returns false when there was none.
    pub(crate) fn unhold(&self, reference: &str) -> bool {
        let mut state = self.lock();
        state.compared.remove(reference);
        state.pending.remove(reference).is_some()
    }

    /// True when a commit of ours was compared with this tip of the branch already; from now on it was.
    pub(crate) fn was_compared(&self, reference: &str, commit: &CommitId, tip: &CommitId) -> bool {
        let pair = (commit.clone(), tip.clone());
        let mut state = self.lock();
        let before = state.compared.insert(reference.to_owned(), pair.clone());
        before == Some(pair)
    }

    /// The commits of ours that are not on the branch, by their reference.
    pub(crate) fn pending(&self) -> Vec<(String, Hold)> {
        let state = self.lock();
        let pending = state.pending.iter();
        pending
            .map(|(name, hold)| (name.clone(), hold.clone()))
            .collect()
    }

    /// Makes every worker ask again.
    pub(crate) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Hears of changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Everything that is held, by app.
    pub(crate) fn all(shared: &Shared) -> Vec<Hold> {
        let now = now_ms();
        let journal = shared.scribe.known();
        let (suspensions, quarantines) = (journal.suspensions(now), journal.quarantines());
        let time = |ms: i64| {
            Timestamp::from_millisecond(ms)
                .ok()
                .map(|at| at.to_string())
        };
        let mut holds = Vec::new();
        for (app, suspension) in suspensions {
            let (env, name) = app.map_or_else(Default::default, |app| (app.env, app.name));
            holds.push(Hold {
                env,
                app: name,
                kind: HoldKind::Suspended,
                commit: None,
                message: suspended(&suspension),
                until: suspension.until_ms.and_then(time),
            });
        }
        for (app, quarantine) in quarantines {
            holds.push(Hold {
                env: app.env,
                app: app.name,
                kind: HoldKind::Quarantined,
                message: quarantined(&quarantine),
                commit: Some(quarantine.commit),
                until: None,
            });
        }
        let state = shared.holds.lock();
        holds.extend(state.pending.values().cloned());
        holds.extend(state.waiting.values().cloned());
        drop(state);
        holds
    }

    /// Chooses what an app follows: the offered target, what stood before, or nothing.
    pub(crate) async fn choose(
        shared: &Arc<Shared>,
        offered: &Arc<Target>,
        current: Option<&Choice>,
    ) -> Choice {
        let own = &shared.holds;
        let app = &offered.app;
        let known = Known::of(shared, app);
        let quarantine = known.quarantine.as_ref();
        let holds = match quarantine {
            Some(one) => own.is_held(one, offered).await,
            None => false,
        };
        let follows = |target: &Arc<Target>| target.commit.id == offered.commit.id;
        let window = {
            let rules = own.rules();
            let now = Timestamp::from_millisecond(now_ms()).unwrap_or_default();
            window_open(&rules.windows, &app.env, &app.name, now)
        };
        let mut is_standing = current.is_some_and(|choice| follows(&choice.target))
            || (known.last.as_ref()).is_some_and(|last| last.commit == offered.commit.id);
        if !window.is_open
            && !is_standing
            && let Some(last) = &known.last
        {
            // After a start the newest commit is offered, whether or not it is about this app.
            is_standing = standing::is_set(shared, offered, last.set).await;
        }
        let decision = decide(&View {
            is_rollback: offered.commit.rollback.is_some(),
            is_standing,
            suspension: known.suspension.as_ref(),
            quarantine: quarantine.filter(|_| holds),
            window,
        });
        let waiting = matches!(&decision, Decision::Stay { .. } if !holds);
        match decision {
            Decision::Follow => {
                own.let_through(app);
                if let Some(quarantine) = quarantine {
                    let restored = known.last.filter(|last| last.rollback.is_some());
                    let restored = quarantine.restores.or(restored.map(|last| last.set));
                    let stands = match restored {
                        Some(set) => standing::is_set(shared, offered, set).await,
                        None => false,
                    };
                    if !stands {
                        lift(shared, quarantine, offered).await;
                    }
                }
                Choice {
                    target: Arc::clone(offered),
                    rest: None,
                    until: None,
                }
            }
            Decision::Stay { until, why } => {
                if waiting {
                    own.wait(shared, offered, &why, until).await;
                }
                offered.rollout.waits(app, &why);
                let stands = own.overridden(app).or_else(|| {
                    let is_held = |target: &Target| {
                        holds && quarantine.is_some_and(|one| one.objects == target.digest())
                    };
                    let other = current
                        .filter(|choice| !follows(&choice.target) && !is_held(&choice.target))?;
                    Some(Arc::clone(&other.target))
                });
                let stands = match stands {
                    Some(target) => Some(target),
                    None => standing::of(shared, app, quarantine.filter(|_| holds)).await,
                };
                let rest = stands.is_none().then_some(why);
                let target = stands.unwrap_or_else(|| Arc::clone(offered));
                Choice {
                    target,
                    rest,
                    until,
                }
            }
            Decision::Rest { until, why } => {
                offered.rollout.waits(app, &why);
                let stands = own.overridden(app);
                let stands = stands.or_else(|| current.map(|choice| Arc::clone(&choice.target)));
                Choice {
                    target: stands.unwrap_or_else(|| Arc::clone(offered)),
                    rest: Some(why),
                    until,
                }
            }
        }
    }

    fn overridden(&self, app: &AppRef) -> Option<Arc<Target>> {
        self.lock().overrides.get(app).cloned()
    }

    fn let_through(&self, app: &AppRef) {
        let mut state = self.lock();
        state.overrides.remove(app);
        state.waiting.remove(app);
    }

    /// Records that a commit waits for a window, once.
    async fn wait(&self, shared: &Shared, offered: &Target, why: &str, until: Option<Timestamp>) {
        let app = offered.app.clone();
        let hold = Hold {
            env: app.env.clone(),
            app: app.name.clone(),
            kind: HoldKind::Window,
            commit: Some(offered.commit.id.clone()),
            message: why.to_owned(),
            until: until.map(|until| until.to_string()),
        };
        let before = self.lock().waiting.insert(app.clone(), hold);
        if before.is_some_and(|before| before.commit.as_ref() == Some(&offered.commit.id)) {
            return;
        }
        let event = Event::Waiting {
            app,
            commit: offered.commit.id.clone(),
            reason: why.to_owned(),
        };
        if let Err(error) = shared.record(event).await {
            tracing::error!(error = error.chain(), "cannot record that a commit waits");
        }
    }

    /// True when the offered commit has the objects of the one in quarantine, and was not written on top of
    /// the rollback: then somebody wants them again.
    async fn is_held(&self, quarantine: &Quarantined, offered: &Arc<Target>) -> bool {
        // What was resumed from the journal is the same commit in other words: as it was sent.
        let is_itself = offered.commit.id == quarantine.commit;
        if !is_itself && quarantine.objects != offered.digest() {
            return false;
        }
        let (Some(rollback), Some((origin, _))) = (&quarantine.rollback, self.source.get()) else {
            return true;
        };
        let (origin, rollback) = (origin.clone(), rollback.clone());
        let commit = offered.commit.id.clone();
        let is_after = blocking(move || {
            let (Ok(rollback), Ok(commit)) = (rollback.parse(), commit.parse()) else {
                return false;
            };
            origin.repository().is_ancestor(&rollback, &commit)
        });
        !is_after.await
    }
}

/// What the journal knows of an app.
struct Known {
    suspension: Option<Suspension>,
    quarantine: Option<Quarantined>,
    /// Its last deploy.
    last: Option<Deploy>,
}

impl Known {
    fn of(shared: &Shared, app: &AppRef) -> Self {
        let journal = shared.scribe.known();
        Self {
            suspension: journal.suspension(app, now_ms()),
            quarantine: journal.quarantine(app),
            last: journal.last(app),
        }
    }
}

/// Ends a quarantine because of a commit that is followed. A rollback does not end one: as long as it
/// stands, people should see why.
async fn lift(shared: &Shared, quarantine: &Quarantined, by: &Target) {
    let is_own = quarantine.rollback.as_deref() == Some(by.commit.id.as_str());
    if (is_own && !is_adoption(quarantine)) || by.commit.rollback.is_some() {
        return;
    }
    let event = Event::Lifted {
        app: by.app.clone(),
        commit: quarantine.commit.clone(),
        by: by.commit.id.clone(),
    };
    if let Err(error) = shared.record(event).await {
        tracing::error!(
            error = error.chain(),
            "cannot record the end of a quarantine"
        );
    }
}
