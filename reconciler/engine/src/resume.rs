//! Goes on from the journal while the repository cannot be reached.

use ordain_reconciler_journal::Journal;

use crate::{
    follower::Follower,
    holds::{deployed, from_set},
};

impl Follower {
    /// Goes on from the journal while the repository cannot be reached: what was deployed last is kept
    /// as it was, and nothing is concluded from commits that cannot be seen.
    pub(crate) async fn resume(&mut self) {
        // The journal says which cluster an app is in by its uid, whatever that is called now.
        let places = match self.sites.are_several() {
            true => Some(self.sites.by_uid().await),
            false => None,
        };
        let known = self.shared.journal(Journal::apps).await;
        self.shared.know_apps(&known);
        let mut targets = Vec::new();
        for app in known {
            let Some(deploy) = self.shared.scribe.known().healthy(&app) else {
                continue;
            };
            let rollout = self.shared.progress.of(&deploy.commit);
            // That it is a rollback still counts: it deletes no data, and its quarantine holds.
            let (set, commit) = (deploy.set, deployed(deploy));
            let Some(target) = from_set(&self.shared, &app, set, commit, rollout).await else {
                continue;
            };
            let target = match &places {
                None => target,
                Some(places) => {
                    let uid = self.shared.scribe.known().cluster(&app);
                    let Some(name) = uid.and_then(|uid| places.get(&uid)) else {
                        tracing::warn!(%app, "its cluster does not answer or is another one; it waits for the repository");
                        continue;
                    };
                    target.on(name)
                }
            };
            if !target.is_empty() {
                tracing::info!(%app, commit = target.commit.short(), "resumed from the journal");
                targets.push(target);
            }
        }
        targets.iter().for_each(|target| self.claim(target));
        for target in targets {
            self.hand_over(target).await;
        }
    }
}
