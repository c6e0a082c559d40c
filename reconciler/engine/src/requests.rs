//! Answers commands and git hooks.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use jiff::Timestamp;
use ordain_reconciler_journal::{AppRef, Deploy, Event, Journal};
use ordain_reconciler_source::{CommitId, HookStage, Quarantine};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, HistoryRow, SourceStatus, Status, Trust,
    adopting::Adoption,
    control::{Handler, HookUpdate, Reply, Request, Response},
    election::Lead,
    engine::blocking,
    holds::Holds,
    origin::{Compile, Origin},
    progress::Rollout,
    rollback::Ask,
    shared::Shared,
    site::Sites,
};

/// What requests need of the engine.
pub(crate) struct Requests {
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Origin,
    pub(crate) compile: Compile,
    pub(crate) source: Arc<Mutex<SourceStatus>>,
    pub(crate) poke: Arc<Notify>,
    /// Whose pushes are taken.
    pub(crate) trust: Trust,
    pub(crate) lead: Lead,
    pub(crate) sites: Arc<Sites>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Handler for Requests {
    fn handle(self: Arc<Self>, request: Request, reply: Reply) -> BoxFuture<'static, Response> {
        let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
        let only_reads = request.only_reads();
        let work = async move {
            match self.answer(request, &reply).await {
                Ok(response) => response,
                Err(error) => Response::Error {
                    message: error.chain(),
                },
            }
        };
        if only_reads {
            return Box::pin(work);
        }
        // A change is brought to its end, although whoever asked for it may leave in the middle.
        let work = tasks.spawn(shutdown.run_until_cancelled_owned(work));
        Box::pin(async move {
            match work.await {
                Ok(Some(response)) => response,
                Ok(None) | Err(_) => Response::Error {
                    message: "the reconciler stopped meanwhile; ask again".to_owned(),
                },
            }
        })
    }
}

impl Requests {
    async fn answer(&self, request: Request, reply: &Reply) -> Result<Response, Error> {
        if !self.lead.holds() && !request.only_reads() {
            return Err(Error::StandsBy {
                leader: self.lead.leader(),
            });
        }
        match request {
            Request::Status => {
                reply
                    .send(Response::Status {
                        status: self.status(),
                    })
                    .await;
            }
            Request::History { app, env, limit } => {
                let app = self.find(&app, env.as_deref()).await?;
                let deploys = self.history(app, limit).await?;
                reply.send(Response::History { deploys }).await;
            }
            Request::Rollback {
                app,
                env,
                to,
                reason,
                author,
                sign,
                wait,
            } => {
                let app = self.find(&app, env.as_deref()).await?;
                let ask = Ask {
                    to,
                    reason,
                    author,
                    sign,
                    automatic: false,
                };
                let commit = self.rollback(&app, &ask, reply).await;
                return self.rolled_back(commit, wait, reply).await;
            }
            Request::RollbackAll {
                to,
                reason,
                author,
                sign,
                wait,
            } => {
                let ask = Ask {
                    to,
                    reason,
                    author,
                    sign,
                    automatic: false,
                };
                let commit = self.rollback_all(&ask, reply).await;
                return self.rolled_back(commit, wait, reply).await;
            }
            Request::ApproveApp { plan, env, author } => {
                self.approve(&plan, env.as_deref(), author, reply).await?;
            }
            Request::Suspend {
                app,
                env,
                reason,
                until_ms,
                author,
            } => {
                let (app, env) = (app.as_deref(), env.as_deref());
                self.suspend(app, env, (reason, until_ms), author, reply)
                    .await?;
            }
            Request::Resume { app, env, author } => {
                self.resume(app.as_deref(), env.as_deref(), author, reply)
                    .await?;
            }
            Request::Adopt {
                object,
                fields,
                env,
                reason,
                author,
                dry_run,
            } => {
                let adoption = Adoption {
                    object,
                    fields,
                    env,
                    reason,
                    author,
                    dry_run,
                };
                self.adopt(&adoption, reply).await?;
            }
            Request::SyncApp { app, env, wait } => {
                let ok = self
                    .sync(app.as_deref(), env.as_deref(), wait, reply)
                    .await?;
                return Ok(Response::Done { ok });
            }
            Request::Approve { plan, author } => {
                self.allow(&plan, author, reply).await?;
                // It may be a commit that waits to be let in.
                self.poke.notify_one();
            }
            Request::Why { app, env, object } => {
                let app = self.find(&app, env.as_deref()).await?;
                let tree = self.why(&app, object.as_deref()).await?;
                let ok = tree.is_well();
                reply.send(Response::Why { tree }).await;
                return Ok(Response::Done { ok });
            }
            Request::Plan { app, env } => self.plans(app.as_deref(), env.as_deref(), reply).await?,
            Request::Applied => self.applied(reply).await?,
            Request::Rules => self.own_rules(reply).await,
            Request::Journal { question } => self.read_journal(question, reply).await?,
            Request::Sync => self.poke.notify_one(),
            Request::Compare { app, env } => {
                let app = self.find(&app, env.as_deref()).await?;
                self.shared.compare(app);
            }
            Request::Hook {
                stage,
                updates,
                quarantine,
            } => {
                let ok = match HookStage::from_name(&stage) {
                    Some(HookStage::PreReceive) => {
                        self.pre_receive(updates, quarantine.map(Quarantine), reply)
                            .await
                    }
                    Some(HookStage::PostReceive) => self.post_receive(updates, reply).await,
                    None => false,
                };
                return Ok(Response::Done { ok });
            }
        }
        Ok(Response::Done { ok: true })
    }

    /// Tells the name of a rollback commit, and follows its rollout when that is wanted.
    async fn rolled_back(
        &self,
        commit: Result<String, Error>,
        wait: bool,
        reply: &Reply,
    ) -> Result<Response, Error> {
        self.shared.metrics.rolled_back(commit.is_ok());
        let commit = commit?;
        if commit.parse::<CommitId>().is_ok() {
            let commit = commit.clone();
            reply.send(Response::Commit { commit }).await;
        }
        self.poke.notify_one();
        let ok = !wait || self.follow(&commit, reply).await;
        Ok(Response::Done { ok })
    }

    /// Where the branch is.
    pub(crate) fn source(&self) -> SourceStatus {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.clone()
    }

    pub(crate) fn status(&self) -> Status {
        let holds = Holds::all(&self.shared);
        Status {
            apps: self
                .shared
                .statuses()
                .values()
                .map(|app| crate::AppStatus::clone(app))
                .collect(),
            holds,
            source: self.source(),
        }
    }

    /// The app of this name, in the only environment that has it or the named one.
    pub(crate) async fn find(&self, name: &str, env: Option<&str>) -> Result<AppRef, Error> {
        let mut known = self.shared.journal(Journal::apps).await;
        known.extend(self.shared.statuses().keys().cloned());
        known.sort();
        known.dedup();
        let mut found: Vec<_> = known
            .iter()
            .filter(|app| app.name == name && env.is_none_or(|env| app.env == env))
            .cloned()
            .collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Error::UnknownApp {
                app: name.to_owned(),
                known: known.iter().map(AppRef::to_string).collect(),
            }),
            _ => Err(Error::WhichEnv {
                app: name.to_owned(),
                envs: found.into_iter().map(|app| app.env).collect(),
            }),
        }
    }

    /// The newest deploys of an app, oldest first.
    async fn history(&self, app: AppRef, limit: Option<usize>) -> Result<Vec<HistoryRow>, Error> {
        let limit = limit.unwrap_or(usize::MAX);
        let read =
            move |journal: &Journal| journal.history_until(&app, |deploys| deploys.len() >= limit);
        let mut deploys = self.shared.journal(read).await?;
        deploys.drain(..deploys.len().saturating_sub(limit));
        Ok(deploys.into_iter().map(row).collect())
    }

    /// Sends the lines of a commit's rollout until it is over; returns how it went.
    pub(crate) async fn follow(&self, commit: &str, reply: &Reply) -> bool {
        follow(&self.shared.progress.of(commit), reply).await
    }

    /// Compiles what is pushed to the deployed branch, while git can still refuse it.
    async fn pre_receive(
        &self,
        updates: Vec<HookUpdate>,
        quarantine: Option<Quarantine>,
        reply: &Reply,
    ) -> bool {
        let deployed = format!("refs/heads/{}", self.origin.branch());
        let Some(update) = updates
            .into_iter()
            .find(|update| update.reference == deployed)
        else {
            return true;
        };
        let Some(new) = update.new else {
            reply
                .line(&format!(
                    "branch `{}` is deployed; it cannot be deleted",
                    self.origin.branch()
                ))
                .await;
            return false;
        };
        self.shared.askers.asked(&new, reply.asker());
        let (origin, compile, commit) = (self.origin.clone(), self.compile.clone(), new.clone());
        let (trust, old) = (self.trust.clone(), update.old);
        let compiled = blocking(move || {
            let id: CommitId = new.parse().map_err(Error::Source)?;
            let repository = match &quarantine {
                Some(quarantine) => origin.repository().with_quarantine(quarantine)?,
                None => origin.repository().clone(),
            };
            let old = old.and_then(|old| old.parse().ok());
            repository.hold_to(trust.verify, &trust.signers, old.as_ref(), &id)?;
            let short = id.short().to_owned();
            let errors = compile.commit(&repository, &id).err();
            Ok::<_, Error>(errors.map(|errors| Error::Compile {
                commit: short,
                errors: errors.text,
            }))
        })
        .await;
        let refusal = match compiled {
            Ok(None) => return true,
            Ok(Some(error)) | Err(error) => error,
        };
        let is_untrusted = matches!(&refusal, Error::Source(source) if source.is_about_trust());
        if self.origin.receives_broken() && !is_untrusted {
            // What is wrong is told after the branch moved, with the rest of the rollout.
            return true;
        }
        let errors = refusal.chain();
        reply.line(&errors).await;
        let event = Event::Rejected { commit, errors };
        if let Err(error) = self.shared.record(event).await {
            tracing::error!(error = error.chain(), "cannot write to the journal");
        }
        reply
            .line("the push is refused; the branch and the cluster stay as they are")
            .await;
        false
    }

    /// Follows the rollout of what was pushed to the deployed branch.
    async fn post_receive(&self, updates: Vec<HookUpdate>, reply: &Reply) -> bool {
        let deployed = format!("refs/heads/{}", self.origin.branch());
        let mut followed = None;
        for update in updates {
            if update.reference == deployed {
                followed = update.new;
            } else if update.new.is_some() {
                let name = update
                    .reference
                    .trim_start_matches("refs/heads/")
                    .to_owned();
                let branch = self.origin.branch();
                reply
                    .line(&format!("`{name}` is kept but not deployed; `{branch}` is"))
                    .await;
            }
        }
        let Some(commit) = followed else { return true };
        // Known before the branch is looked at, so that a newer push cannot overtake it unseen.
        let rollout = self.shared.progress.anew(&commit);
        self.poke.notify_one();
        follow(&rollout, reply).await
    }
}

/// Sends the lines of a rollout until it is over; returns how it went.
async fn follow(rollout: &Rollout, reply: &Reply) -> bool {
    let mut from = 0;
    loop {
        let (lines, verdict) = tokio::select! {
            next = rollout.next(from) => next,
            () = reply.gone() => return false,
        };
        from += lines.len();
        for line in &lines {
            if !reply.line(line).await {
                return false;
            }
        }
        if let Some(ok) = verdict {
            return ok;
        }
    }
}

fn row(deploy: Deploy) -> HistoryRow {
    let time = Timestamp::from_second(deploy.started_ms / 1000).unwrap_or_default();
    HistoryRow {
        id: deploy.id,
        number: deploy.number,
        reason: deploy.reason,
        actor: deploy.actor,
        app: deploy.app.name,
        env: deploy.app.env,
        commit: deploy.commit,
        author: deploy.author,
        subject: deploy.subject,
        time: time.to_string(),
        plan: deploy.plan,
        set: deploy.set.to_string(),
        counts: deploy.counts,
        rollback: deploy.rollback,
        was_healthy: deploy.was_healthy,
        state: deploy.state,
    }
}
