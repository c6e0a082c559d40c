//! One app's loop: make the cluster equal to the target, watch it, start over when either changes.
//!
//! Level-triggered: whatever it waits for, a newer target takes over at once, by dropping the future that
//! waits. That is safe because everything that may exist is in the journal before it is written.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ordain_reconciler_journal::{AppRef, Digest};
use ordain_reconciler_plan::{ObjectKey, health::Status};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Sync,
    fighting::Fighting,
    health_view::HealthView,
    holds::{Choice, Holds},
    hooks::Hooks,
    ledger::Ledger,
    member::Applied,
    observe::{Next, Wakers},
    pass::Pass,
    post,
    site::Site,
    target::Target,
};

/// The first pause after a failure; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The loop of one app.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Site>,
    pub(crate) app: AppRef,
    pub(crate) ledger: Ledger,
    pub(crate) failures: u32,
    /// What was said about the rollout, so that it is not said twice.
    pub(crate) said: BTreeSet<String>,
    /// Digest of the last plan that was told.
    pub(crate) planned: Option<Digest>,
    /// When something that failed is tried again.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) fights: Fighting,
    /// Fields that were taken from others for this commit, one line each.
    pub(crate) taken: BTreeSet<String>,
    pub(crate) view: HealthView,
    /// Most apps have none that have to be remembered.
    pub(crate) hooks: Option<Box<Hooks>>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Site>, app: AppRef) -> Box<Self> {
        Box::new(Self {
            ledger: Ledger::new(Arc::clone(shared.common()), app.clone()),
            shared,
            app,
            failures: 0,
            said: BTreeSet::new(),
            planned: None,
            retry_at: None,
            fights: Fighting::default(),
            taken: BTreeSet::new(),
            view: HealthView::default(),
            hooks: None,
        })
    }

    /// Follows the newest target until `shutdown`.
    ///
    /// In a box, because an async function keeps its arguments beside what it makes of them.
    pub(crate) async fn run(
        mut self: Box<Self>,
        mut targets: post::Reader<Target>,
        shutdown: CancellationToken,
    ) {
        let shared = Arc::clone(self.shared.common());
        let mut held = shared.holds.subscribe();
        let mut offered = targets.read();
        let mut choice = Box::pin(Holds::choose(&shared, &offered, None)).await;
        loop {
            let mut latest = choice.clone();
            let newer = {
                let follow = self.follow_or_rest(&choice);
                tokio::pin!(follow);
                loop {
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => return,
                        changed = targets.changed() => if changed.is_err() {
                            return;
                        },
                        Ok(()) = held.changed() => {}
                        () = latest.is_over() => {}
                        never = &mut follow => match never {},
                    }
                    offered = targets.read();
                    let newer = Box::pin(Holds::choose(&shared, &offered, Some(&choice))).await;
                    if !newer.is_same(&choice) {
                        break newer;
                    }
                    latest = newer;
                }
            };
            let old = std::mem::replace(&mut choice, newer);
            Box::pin(self.superseded(&old.target, &choice.target)).await;
        }
    }

    /// Works on the chosen target for ever, or says for ever why it does not.
    async fn follow_or_rest(&mut self, choice: &Choice) -> std::convert::Infallible {
        match &choice.rest {
            None => self.follow(&choice.target).await,
            Some(why) => {
                let (target, notes) = (&choice.target, Vec::new());
                self.set_status(target, Sync::Suspended, Status::Unknown, why, None, notes);
                std::future::pending().await
            }
        }
    }

    /// Works on one target for ever.
    async fn follow(&mut self, target: &Target) -> std::convert::Infallible {
        self.failures = 0;
        self.said.clear();
        self.planned = None;
        // What pods of an older template did says nothing about this one.
        self.view = HealthView::default();
        self.retry_at = None;
        self.fights = Fighting::default();
        self.taken.clear();
        self.hooks = None;
        let notes = Vec::new();
        self.set_status(target, Sync::Applying, Status::Unknown, "", None, notes);
        let mut approvals = self.shared.approvals();
        let mut apps = self.shared.turns();
        for plan in &target.commit.approves {
            self.shared.approve(plan);
        }
        let woken = self.shared.live.owner(&target.owner());
        let mut before = None;
        loop {
            // Boxed: the state of a pass is large, and most apps are at rest most of the time.
            let applied = Box::pin(self.step(target, before.take())).await;
            if let Some(mut applied) = applied {
                let wakers = Wakers {
                    objects: &woken,
                    approvals: &mut approvals,
                    apps: &mut apps,
                };
                if let Next::These(focus) = self.observe(target, &mut applied, wakers).await {
                    before = Some((applied, focus));
                }
            }
        }
    }

    /// Compares, plans and applies everything, or some objects of what was applied before. Returns what there is to
    /// watch; after a failure nothing, when it is time to try again.
    async fn step(
        &mut self,
        target: &Target,
        before: Option<(Box<Applied>, BTreeSet<ObjectKey>)>,
    ) -> Option<Box<Applied>> {
        let begun = Instant::now();
        let pass = match before {
            Some((applied, focus)) => {
                match Box::pin(self.partial_pass(target, *applied, &focus)).await {
                    Ok(Some(applied)) => Ok(Pass::Applied(Box::new(applied))),
                    Ok(None) => self.whole_pass(target).await,
                    Err(error) => Err(error),
                }
            }
            None => self.whole_pass(target).await,
        };
        let is_ok = matches!(pass, Ok(Pass::Applied(_)));
        self.shared.metrics.passed(is_ok, begun.elapsed());
        match pass {
            Ok(Pass::Applied(applied)) => return Some(applied),
            Ok(Pass::Failed { reasons, transient }) => {
                Box::pin(self.failed(target, reasons, transient)).await;
            }
            Err(error) => Box::pin(self.failed(target, vec![error.chain()], true)).await,
        }
        None
    }

    /// A pass over everything, when there is a place for it.
    async fn whole_pass(&mut self, target: &Target) -> Result<Pass, Error> {
        let site = Arc::clone(&self.shared);
        let place = site.crowd.enter().await;
        Box::pin(place.work(self.pass(target))).await
    }
}

/// Doubles from [`PAUSE_MIN`] to [`PAUSE_MAX`], and a bit longer at random.
pub(crate) fn pause(failures: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    crate::wire::jittered(PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that a function makes.
    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    #[test]
    fn an_app_at_rest_is_small() {
        let bytes = size(Worker::run);
        assert!(bytes <= 1_320, "{bytes} bytes for each app's loop");
    }
}
