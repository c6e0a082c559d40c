//! Watches what was applied: health, drift, approvals. Returns when the app has to be compared again.

use std::{collections::BTreeSet, time::Duration};

use ordain_reconciler_plan::health::Status;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Sync,
    health_view::{expires, summary},
    pass::Applied,
    target::Target,
    worker::Worker,
};

/// How often everything is compared with a dry run although nothing was heard.
const RESYNC: Duration = Duration::from_secs(600);

/// How often pods are asked for the reason while a rollout waits.
const LOOK: Duration = Duration::from_secs(1);

impl Worker {
    /// Watches what was applied until something has to be compared again.
    pub(crate) async fn observe(
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
            if target.objects().is_empty() && applied.candidates.is_empty() {
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
