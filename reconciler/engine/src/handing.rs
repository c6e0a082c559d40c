//! Hands the apps of a commit to their workers, each in the cluster that it goes to.
//!
//! Does not know where commits come from, or how an app is applied.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{AppRef, Digest, Journal};
use tokio::task::JoinHandle;

use crate::{
    App, Compiled, SecretFiles, Sync,
    follower::Follower,
    gate::in_a_lane,
    post,
    progress::Rollout,
    site::Site,
    target::{CommitInfo, Target},
    worker::Worker,
};

/// A worker, and what it was given last.
pub(crate) struct Handed {
    digest: Digest,
    targets: post::Sender<Target>,
    site: Arc<Site>,
    task: JoinHandle<()>,
}

/// What a commit means for an app.
enum Verdict {
    /// It has other objects than before, or has to begin again.
    Changed,
    /// Its objects are the same, and it is still on its way to them.
    UnderWay,
    /// Nothing at all.
    Same,
}

impl Follower {
    /// Hands each app over whose objects are others than before, and tells of the rest that nothing changes.
    pub(crate) async fn deploy(&mut self, commit: &Arc<CommitInfo>, compiled: &Compiled) {
        let rollout = self.shared.progress.of(&commit.id);
        self.shared.holds.set_rules(&compiled.rules);
        if !compiled.warnings.is_empty() {
            rollout.line(&compiled.warnings);
        }
        if compiled.apps.is_empty() {
            // More often a mistake than a wish, so nothing is concluded from it.
            let wanted = self.compile.wanted();
            let text = format!("commit {} has no app for {wanted}", commit.short());
            rollout.line(&format!("{text}; nothing was changed"));
            rollout.end(true);
            if let Ok(tip) = commit.id.parse() {
                self.judge(&tip, text);
            }
            return;
        }
        let declared: BTreeSet<_> = compiled.apps.iter().map(|app| app.reference()).collect();
        let (mut apps, elsewhere): (Vec<_>, Vec<_>) =
            (compiled.apps.iter().cloned()).partition(|app| self.sites.takes(app));
        for app in elsewhere {
            self.leave(&app.reference()).await;
        }
        for AppRef { env, name } in self.left_over(&declared).await {
            let mut same = apps.iter().filter(|app| app.env == env);
            let cluster = same.next().and_then(|app| app.cluster.clone());
            let reference = AppRef { env, name };
            if self.sites.are_several()
                && cluster.is_none()
                && !self.workers.contains_key(&reference)
            {
                // Another cluster does not have its objects, and that they are not there would be no news.
                tracing::warn!(app = %reference, "its cluster is not known; what is left of it stays");
                continue;
            }
            let AppRef { env, name } = reference;
            // An app without objects, whose deletions are subject to every rule of pruning.
            let (namespace, secrets) = (String::new(), SecretFiles::new());
            let app = App::new(name, env, namespace, Vec::new(), secrets);
            apps.push(Arc::new(app.on(cluster)));
        }
        let (mut expected, mut targets, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for app in &apps {
            let reference = app.reference();
            match self.verdict_on(&reference, app, commit, &rollout) {
                Verdict::Changed => {
                    expected.push(reference);
                    // A copy: what was allocated between the garbage of a compilation pins its pages.
                    let app = Arc::new(App::clone(app));
                    let target = Target::new(app, Arc::clone(commit), rollout.clone());
                    let is_removed = !declared.contains(&target.app);
                    targets.push(target.removed(is_removed));
                }
                Verdict::UnderWay => {
                    expected.push(reference.clone());
                    kept.push(reference);
                }
                Verdict::Same => kept.push(reference),
            }
        }
        if targets.is_empty() {
            rollout.line("no object of any app changes");
        }
        rollout.expect(expected);
        let at: Arc<str> = commit.id.as_str().into();
        for app in &kept {
            if let Some(worker) = self.workers.get(app) {
                worker.targets.last().moved_on(&at);
            }
        }
        self.shared.moved_on(&kept, &at);
        // All before the first: an object that goes from one app to another must not be deleted in between.
        targets.iter().for_each(|target| self.claim(target));
        for target in targets {
            self.hand_over(target).await;
        }
    }

    /// What a commit means for an app.
    fn verdict_on(
        &self,
        reference: &AppRef,
        app: &App,
        commit: &CommitInfo,
        rollout: &Rollout,
    ) -> Verdict {
        let Some(worker) = self.workers.get(reference) else {
            return Verdict::Changed;
        };
        let moved =
            app.cluster.is_some() && *worker.site.name != *self.sites.name(app.cluster.as_deref());
        if moved || worker.digest != app.digest() {
            return Verdict::Changed;
        }
        let standing = worker.targets.last().rollout.clone();
        if standing.inherit(reference, rollout) {
            // Starting over would only take longer; a storm of commits would keep it from ever being done.
            return Verdict::UnderWay;
        }
        let is_blocked = || {
            let statuses = self.shared.statuses();
            let status = statuses.get(reference);
            status.is_some_and(|status| status.sync == Sync::Blocked)
        };
        // What failed is tried again at once, and told to whoever pushes; what waits for an approval gets it.
        if standing.has_failed(reference) || (!commit.approves.is_empty() && is_blocked()) {
            return Verdict::Changed;
        }
        Verdict::Same
    }

    /// Apps that were deployed and are no longer declared.
    async fn left_over(&self, declared: &BTreeSet<AppRef>) -> Vec<AppRef> {
        let apps = self.shared.journal(Journal::apps).await;
        self.shared.know_apps(&apps);
        let mut left = Vec::new();
        for app in apps.into_iter().filter(|app| !declared.contains(app)) {
            // An inventory that cannot be read is no reason to think that nothing is left.
            let empty = self
                .shared
                .inventory(&app)
                .await
                .is_ok_and(|found| found.is_empty());
            if !empty || self.workers.contains_key(&app) {
                left.push(app);
            }
        }
        left
    }

    pub(crate) fn claim(&self, target: &Target) {
        let cluster = self.sites.name(target.cluster());
        self.shared.claim(cluster, target);
    }

    pub(crate) async fn hand_over(&mut self, target: Target) {
        let (app, digest) = (target.app.clone(), target.digest());
        let target = Arc::new(target);
        let site = self.sites.of(&app, target.cluster());
        if let Some(worker) = self.workers.get_mut(&app) {
            // What is no longer declared goes from where it was.
            if target.cluster().is_none() || Arc::ptr_eq(&worker.site, &site) {
                worker.digest = digest;
                worker.targets.send(target);
                return;
            }
            let (from, to) = (&worker.site.name, &site.name);
            tracing::warn!(%app, %from, %to, "it moves; what is in the old cluster stays there");
            self.let_go(&app).await;
        }
        let (targets, reader) = post::post(target);
        let worker = Worker::new(Arc::clone(&site), app.clone());
        let work = in_a_lane(worker.run(reader, self.term.clone()));
        let handed = Handed {
            digest,
            targets,
            site,
            task: self.tasks.spawn(work),
        };
        self.workers.insert(app, handed);
    }

    /// Leaves an app to whoever deploys to the cluster that it goes to now. It was not removed, so nothing of it is deleted.
    async fn leave(&mut self, app: &AppRef) {
        if !self.workers.contains_key(app) {
            return;
        }
        tracing::warn!(%app, "it goes to a cluster that is not known here; what is in the old one stays there");
        self.let_go(app).await;
        self.shared.forget(app);
    }

    /// Ends the worker of an app. What it deployed stays where it is.
    async fn let_go(&mut self, app: &AppRef) {
        let Some(worker) = self.workers.remove(app) else {
            return;
        };
        let last = worker.targets.last();
        // Another app may declare the same objects from now on.
        self.shared.unclaim(&worker.site.name, &last.owner());
        drop(worker.targets);
        // It ends where it waits next, and nothing more is said of the app by it then.
        let _ = worker.task.await;
        last.rollout.finish(app, false);
    }
}
