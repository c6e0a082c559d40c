//! Answers to those who hold something back or let it go: approvals, suspensions, and looks that are asked for.

use std::{collections::BTreeSet, time::Duration};

use ordain_reconciler_journal::{AppRef, Event, State};

use crate::{
    Error, HoldKind, Sync,
    control::{Reply, Response, asked_by},
    requests::Requests,
    rollback::publish,
    shared::now_ms,
    words::short,
};

/// Digits of a whole hash.
const HASH_DIGITS: usize = 64;

/// Digits of a plan's hash that are enough to name it.
const HASH_DIGITS_MIN: usize = 8;

/// How often an app is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(100);

/// An app whose deletions wait, with the hash of its plan.
struct Blocked {
    app: AppRef,
    plan: String,
}

/// True for what allows one object of a plan to be replaced, as the refusal of the object says it: `HASH/KIND/NAMESPACE/NAME`.
fn is_of_object(plan: &str) -> bool {
    let hash = plan.split_once('/').map_or("", |(hash, _)| hash);
    hash.len() == HASH_DIGITS && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl Requests {
    /// Allows the plan of an app that waits; `plan` is its hash, the beginning of it, or the app's name; or what allows one
    /// object of it.
    pub(crate) async fn approve(
        &self,
        plan: &str,
        env: Option<&str>,
        author: String,
        reply: &Reply,
    ) -> Result<(), Error> {
        if is_of_object(plan) {
            self.allow(plan, author, reply).await?;
            reply.line(&format!("{plan} is approved")).await;
            return Ok(());
        }
        let blocked = self.blocked();
        let is_hash = plan.len() >= HASH_DIGITS_MIN;
        let of_app =
            |one: &&Blocked| one.app.name == plan && env.is_none_or(|env| one.app.env == env);
        let mut found: Vec<&Blocked> = blocked.iter().filter(of_app).collect();
        if found.is_empty() {
            let by_hash = |one: &&Blocked| is_hash && one.plan.starts_with(plan);
            found = blocked.iter().filter(by_hash).collect();
        }
        let [one] = found[..] else {
            return Err(Error::NoPlan {
                plan: plan.to_owned(),
                waiting: blocked
                    .iter()
                    .map(|one| format!("{} of {}", one.plan, one.app))
                    .collect(),
            });
        };
        self.allow(&one.plan, author, reply).await?;
        let (app, hash) = (&one.app, &one.plan);
        reply.line(&format!("{app}: plan {hash} is approved")).await;
        Ok(())
    }

    /// Allows what is named by this hash.
    pub(crate) async fn allow(
        &self,
        plan: &str,
        author: String,
        reply: &Reply,
    ) -> Result<(), Error> {
        let event = Event::Approval {
            plan: plan.to_owned(),
            by: asked_by(author, reply.asker()),
        };
        self.shared.record(event).await?;
        self.shared.approve(plan);
        Ok(())
    }

    /// Every app of which a part waits for an approval. The rest of its deploy may have failed meanwhile.
    fn blocked(&self) -> Vec<Blocked> {
        let statuses = self.shared.statuses();
        let shown = statuses
            .iter()
            .filter(|(_, status)| status.sync == Sync::Blocked);
        let shown: BTreeSet<AppRef> = shown.map(|(app, _)| app.clone()).collect();
        drop(statuses);
        let journal = self.shared.scribe.known();
        let waits = |app: AppRef| {
            let last = journal.last(&app)?;
            let is_blocked = shown.contains(&app) || matches!(last.state, State::Blocked { .. });
            let plan = last.plan;
            (is_blocked && !plan.is_empty()).then_some(Blocked { app, plan })
        };
        journal.apps().into_iter().filter_map(waits).collect()
    }

    /// The named app, or none for all.
    async fn one_or_all(
        &self,
        app: Option<&str>,
        env: Option<&str>,
    ) -> Result<Option<AppRef>, Error> {
        match app {
            None => Ok(None),
            Some(app) => self.find(app, env).await.map(Some),
        }
    }

    pub(crate) async fn suspend(
        &self,
        app: Option<&str>,
        env: Option<&str>,
        (reason, until_ms): (String, Option<i64>),
        by: String,
        reply: &Reply,
    ) -> Result<(), Error> {
        let app = self.one_or_all(app, env).await?;
        let by = asked_by(by, reply.asker());
        let name = named(app.as_ref());
        let event = Event::Suspend {
            app,
            by,
            reason,
            until_ms,
        };
        self.shared.record(event).await?;
        self.shared.holds.wake();
        reply
            .line(&format!("{name}: suspended; nothing is written"))
            .await;
        Ok(())
    }

    pub(crate) async fn resume(
        &self,
        app: Option<&str>,
        env: Option<&str>,
        by: String,
        reply: &Reply,
    ) -> Result<(), Error> {
        let app = self.one_or_all(app, env).await?;
        let by = asked_by(by, reply.asker());
        let all = self.shared.scribe.known().suspensions(now_ms());
        let is_own = all.iter().any(|(one, _)| *one == app);
        let of_all = all.iter().any(|(one, _)| one.is_none());
        // A rollback that could not be pushed is let go as well.
        let reference = publish::reference(app.as_ref());
        let dropped = publish::forget(&self.shared, &self.origin, &reference).await?;
        let name = named(app.as_ref());
        let dropped_edit = match &app {
            Some(app) => self.drop_adoption(app, is_own, reply).await?,
            None => false,
        };
        if dropped {
            let text = format!("{name}: the rollback commit that waited is dropped");
            reply.line(&text).await;
        }
        match is_own {
            true => {
                self.shared
                    .record(Event::Resume {
                        app: app.clone(),
                        by,
                    })
                    .await?;
                self.shared.holds.wake();
                reply.line(&format!("{name}: resumed")).await;
                if of_all && app.is_some() {
                    reply
                        .line("all apps are suspended as well; `ordain resume --all` ends that")
                        .await;
                }
                Ok(())
            }
            false if dropped || dropped_edit => Ok(()),
            false => Err(Error::NotSuspended { app: name, of_all }),
        }
    }

    /// Lets a commit go that adopts a live edit and could not be pushed. Whoever ends a suspension under which it was made
    /// keeps it, unless it conflicts.
    async fn drop_adoption(
        &self,
        app: &AppRef,
        ends_suspension: bool,
        reply: &Reply,
    ) -> Result<bool, Error> {
        let name = publish::adoption(app);
        let mut pending = self.shared.holds.pending().into_iter();
        let Some((_, hold)) = pending.find(|(one, _)| *one == name) else {
            return Ok(false);
        };
        if ends_suspension && hold.kind != HoldKind::Conflict {
            reply.line(&format!("{app}: {}", hold.message)).await;
            return Ok(false);
        }
        publish::forget(&self.shared, &self.origin, &name).await?;
        let quarantine = self.shared.scribe.known().quarantine(app);
        if let Some(quarantine) = quarantine.filter(|one| hold.commit.as_ref() == Some(&one.to)) {
            let (app, commit) = (app.clone(), quarantine.commit);
            let by = commit.clone();
            let event = Event::Lifted { app, commit, by };
            self.shared.record(event).await?;
            self.shared.holds.wake();
        }
        reply
            .line(&format!(
                "{app}: the commit that adopts a live edit and waited is dropped"
            ))
            .await;
        Ok(true)
    }

    /// Looks at the repository, compares everything of an app, and waits for how it goes.
    pub(crate) async fn sync(
        &self,
        app: Option<&str>,
        env: Option<&str>,
        wait: bool,
        reply: &Reply,
    ) -> Result<bool, Error> {
        let app = self.one_or_all(app, env).await?;
        {
            let looked = self.shared.looked();
            tokio::pin!(looked);
            // Polled once before the poke: it has to count the looks that were begun until now.
            tokio::select! {
                biased;
                () = &mut looked => {}
                () = async { self.poke.notify_one(); std::future::pending().await } => {}
            }
        }
        let source = self.source();
        let Some(tip) = source.commit else {
            reply.line("the branch has no commit yet").await;
            return Ok(source.message.is_empty());
        };
        reply
            .line(&format!("{} is at {}", source.branch, short(&tip)))
            .await;
        if !source.message.is_empty() {
            reply.line(&source.message).await;
        }
        reply
            .send(Response::Commit {
                commit: tip.clone(),
            })
            .await;
        match &app {
            Some(app) => self.shared.compare(app.clone()),
            None => {
                let apps: Vec<AppRef> = self.shared.statuses().keys().cloned().collect();
                apps.into_iter().for_each(|app| self.shared.compare(app));
            }
        }
        if !wait {
            return Ok(source.message.is_empty());
        }
        let rolled_out = self
            .shared
            .progress
            .known(&tip)
            .is_none_or(|one| one.is_over())
            || self.follow(&tip, reply).await;
        let settled = self.settled(app.as_ref(), reply).await;
        Ok(rolled_out && settled && source.message.is_empty())
    }

    /// Waits until an app, or each, is healthy or failed; returns whether all are healthy.
    async fn settled(&self, app: Option<&AppRef>, reply: &Reply) -> bool {
        loop {
            let (mut busy, mut well) = (false, true);
            for (name, status) in &*self.shared.statuses() {
                if app.is_some_and(|app| app != name) {
                    continue;
                }
                let is_healthy = status.health == "healthy";
                busy |= matches!(status.sync, Sync::Unknown | Sync::Applying)
                    || (status.sync == Sync::Applied && status.health == "progressing");
                well &= is_healthy && status.sync == Sync::Synced;
            }
            if !busy {
                return well;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = reply.gone() => return false,
            }
        }
    }
}

fn named(app: Option<&AppRef>) -> String {
    app.map_or_else(|| "all apps".to_owned(), AppRef::to_string)
}
