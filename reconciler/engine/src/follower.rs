//! Follows the branch: each new tip is judged, compiled and handed over.
//!
//! Does not know which apps a commit changes, or where metrics and commands come in.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ordain_reconciler_journal::{AppRef, Event, SignatureVerdict};
use ordain_reconciler_source::CommitId;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    SourceStatus, Trust,
    election::Lead,
    engine::blocking,
    facts,
    handing::Handed,
    origin::{Compile, Origin},
    rollback,
    shared::Shared,
    site::Sites,
    target::CommitInfo,
    words::some_of,
};

/// How long after the last news of the branch the compiler lets go of what it need not keep.
const REST_AFTER: Duration = Duration::from_secs(60);

/// Requests to clusters between two times that it lets go without news.
const REST_REQUESTS: u64 = 1_000;

/// Overtaken commits that are counted; nobody reads more of them one by one.
const OVERTAKEN_MAX: usize = 10_000;

/// Apps that are named when a commit does not compile; more are counted.
const AFFECTED_NAMED_MAX: usize = 10;

/// Says that a commit had no effect, and which apps it would have reached.
fn nothing_changed(affected: &[String]) -> String {
    let mut text = "nothing was changed in the cluster".to_owned();
    if affected.is_empty() {
        return text;
    }
    text.push_str("; these apps stay as their last good commit has them: ");
    text.push_str(&some_of(affected, AFFECTED_NAMED_MAX));
    text
}

/// Follows the branch.
pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lead: Lead,
    pub(crate) leads: watch::Receiver<bool>,
    pub(crate) sites: Arc<Sites>,
    /// Ends the workers when another reconciler takes over.
    pub(crate) term: CancellationToken,
    pub(crate) origin: Origin,
    pub(crate) compile: Compile,
    pub(crate) source: Arc<Mutex<SourceStatus>>,
    pub(crate) poke: Arc<Notify>,
    pub(crate) poll: Duration,
    pub(crate) workers: BTreeMap<AppRef, Handed>,
    pub(crate) trust: Trust,
    /// True when the tip is not taken for now: a key or an approval may come, or a remote may answer.
    pub(crate) tries_again: bool,
    /// The tip that was handled last, compiled or not.
    pub(crate) at: Option<CommitId>,
    /// Why the tip is not deployed, or empty.
    pub(crate) verdict: String,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Follower {
    pub(crate) async fn run(mut self) -> std::convert::Infallible {
        let mut last_news = Instant::now();
        let mut is_resting = false;
        let (mut heard, mut rested) = (0, 0);
        loop {
            // Whoever waits for a commit began to wait before this look, so the tip is that commit or newer.
            self.shared.look(|looks| looks.begun += 1);
            let waiting = self.shared.progress.waiting();
            let origin = self.origin.clone();
            let (begun, looked) = (Instant::now(), blocking(move || origin.look()).await);
            self.shared.metrics.fetched(looked.is_ok(), begun.elapsed());
            match looked {
                Ok(tip) => {
                    self.say(tip.as_ref(), "");
                    if let Some(tip) = tip {
                        let late = waiting.into_iter().filter(|id| id != tip.as_str());
                        late.for_each(|id| self.shared.progress.overtaken(&id, tip.short()));
                        let news = self.tries_again || self.at.as_ref() != Some(&tip);
                        if news && !*self.leads.borrow() {
                            self.stand_by(&tip).await;
                            self.at = Some(tip);
                        } else if news {
                            self.take(&tip).await;
                            self.at = Some(tip);
                            (last_news, is_resting) = (Instant::now(), false);
                        }
                        self.push_pending().await;
                    }
                }
                Err(error) => {
                    let text = crate::error::chain(&error);
                    tracing::warn!(error = text, "cannot look at the repository");
                    self.say(None, &text);
                    let idle = self.at.is_none() && self.workers.is_empty();
                    if idle && *self.leads.borrow() {
                        self.resume().await;
                    }
                }
            }
            // Once some time after the news, and again when much was done since and nothing is any more.
            let sent = self.shared.metrics.sent();
            let is_quiet = sent == heard && sent >= rested + REST_REQUESTS;
            heard = sent;
            if last_news.elapsed() >= REST_AFTER && (!is_resting || is_quiet) {
                let compile = self.compile.clone();
                blocking(move || compile.rest()).await;
                (is_resting, rested) = (true, sent);
            }
            self.shared.look(|looks| looks.done = looks.begun);
            tokio::select! {
                () = tokio::time::sleep(self.poll) => {}
                () = self.poke.notified() => {}
                Ok(()) = self.leads.changed() => self.turn().await,
            }
        }
    }

    /// Pushes rollbacks that the remote did not take before.
    async fn push_pending(&mut self) {
        let Some(tip) = self.at.clone() else { return };
        let (shared, origin, compile) = (&self.shared, &self.origin, &self.compile);
        if rollback::publish::settle(shared, origin, compile, &tip).await {
            self.poke.notify_one();
        }
    }

    /// Publishes where the branch is. An error at the look hides for as long as it lasts what was said
    /// about the tip itself.
    fn say(&self, tip: Option<&CommitId>, error: &str) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tip) = tip {
            source.commit = Some(tip.to_string());
        }
        let message = if error.is_empty() {
            &self.verdict
        } else {
            error
        };
        message.clone_into(&mut source.message);
    }

    /// Says something about the tip that stays true until there is another one.
    pub(crate) fn judge(&mut self, tip: &CommitId, verdict: String) {
        self.verdict = verdict;
        self.say(Some(tip), "");
    }

    /// Compiles a new tip and hands it to the workers.
    async fn take(&mut self, tip: &CommitId) {
        let rollout = self.shared.progress.begin(tip.as_str());
        // What keeps it out is told once, however often it is tried.
        let is_told = std::mem::take(&mut self.tries_again) && self.at.as_ref() == Some(tip);
        let (origin, id) = (self.origin.clone(), tip.clone());
        let commit = match blocking(move || origin.repository().commit(&id)).await {
            Ok(commit) => commit,
            Err(error) => {
                let text = crate::error::chain(&error);
                self.judge(tip, text.clone());
                self.tries_again = error.may_pass();
                if !is_told {
                    rollout.line(&format!("error: {text}"));
                    rollout.end(false);
                }
                return;
            }
        };
        let accepted = self.accepted().await;
        let trusted = self.trusted(accepted.as_ref(), tip).await;
        let signature = trusted.as_ref().ok().cloned().flatten();
        if let Err(reason) = trusted {
            self.judge(tip, reason.clone());
            // A key may be allowed later, and a rewritten branch approved.
            self.tries_again = true;
            if is_told {
                return;
            }
            tracing::warn!(commit = tip.short(), reason, "a commit is not let in");
            rollout.line(&format!("error: {reason}"));
            rollout.line(&nothing_changed(&[]));
            rollout.end(false);
            let commit = tip.to_string();
            let errors = reason;
            self.record(Event::Rejected { commit, errors }).await;
            return;
        }
        self.judge(tip, String::new());
        let known = self.note_commit(tip).await;
        let (compile, origin, id) = (self.compile.clone(), self.origin.clone(), tip.clone());
        let begun = Instant::now();
        let compiled = blocking(move || compile.commit(origin.repository(), &id)).await;
        let took = begun.elapsed();
        self.shared.metrics.compiled(compiled.is_ok(), took);
        match compiled {
            Ok(compiled) => {
                let mut info = CommitInfo::from(&commit);
                info.signature = signature;
                self.deploy(&Arc::new(info), &compiled).await;
            }
            Err(error) => {
                let mut verdict = format!("commit {} does not compile", tip.short());
                if error.may_pass {
                    verdict.push_str(" for now: ");
                    verdict.push_str(error.text.trim_start_matches("error: "));
                }
                self.judge(tip, verdict);
                self.tries_again = error.may_pass;
                if is_told {
                    return;
                }
                tracing::warn!(commit = tip.short(), "a commit does not compile");
                rollout.line(&error.text);
                rollout.line(&nothing_changed(&error.affected));
                rollout.end(false);
                if !known {
                    let (commit, errors) = (tip.to_string(), error.text);
                    self.record(Event::Rejected { commit, errors }).await;
                }
            }
        }
    }

    /// The tip that was let in last.
    async fn accepted(&self) -> Option<CommitId> {
        let (repository, branch) = (self.origin.name(), self.origin.branch().to_owned());
        let tip = self.shared.journal(move |journal| {
            let tip = journal.tip(&repository, &branch)?;
            tip.parse().ok()
        });
        tip.await
    }

    /// What is known of a tip's signature, when that is asked for; or why the tip is not let in.
    async fn trusted(
        &self,
        accepted: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Option<SignatureVerdict>, String> {
        let Trust {
            verify,
            signers,
            hold_rewrites,
        } = self.trust.clone();
        let is_approved = self.shared.approvals().borrow().contains(tip.as_str());
        let (origin, accepted, tip) = (self.origin.clone(), accepted.cloned(), tip.clone());
        let judged = blocking(move || {
            let repository = origin.repository();
            let verdict = repository
                .hold_to(verify, &signers, accepted.as_ref(), &tip)
                .map_err(|error| crate::error::chain(&error))?;
            match accepted {
                Some(accepted)
                    if hold_rewrites
                        && !is_approved
                        && !repository.is_ancestor(&accepted, &tip) =>
                {
                    let (branch, old, new) = (origin.branch(), accepted.short(), tip.short());
                    Err(format!(
                        "the history of `{branch}` was rewritten: {new} does not follow {old}; `ordain approve {tip}` lets it in"
                    ))
                }
                _ => {
                    let method = repository.signature_method(&tip);
                    Ok(Some(facts::signature(verdict.as_ref(), method)))
                }
            }
        });
        judged.await
    }

    /// Records that the branch moved; returns true when the journal knew it already.
    async fn note_commit(&self, tip: &CommitId) -> bool {
        let (repository, branch) = (self.origin.name(), self.origin.branch().to_owned());
        let from = {
            let (repository, branch) = (repository.clone(), branch.clone());
            self.shared
                .journal(move |journal| journal.tip(&repository, &branch))
                .await
        };
        if from.as_deref() == Some(tip.as_str()) {
            return true;
        }
        let (origin, before, id) = (self.origin.clone(), from.clone(), tip.clone());
        let rewritten = blocking(move || {
            let before = before.and_then(|before| before.parse::<CommitId>().ok());
            before.is_some_and(|before| !origin.repository().is_ancestor(&before, &id))
        })
        .await;
        if rewritten {
            tracing::warn!(branch, commit = tip.short(), "the branch was rewritten");
            let text =
                "note: the history of this branch was rewritten; the tip is deployed as it is";
            self.shared.progress.of(tip.as_str()).line(text);
        }
        let commit = tip.to_string();
        let before = from.clone();
        self.record(Event::Commit {
            repository,
            branch,
            from,
            commit,
            rewritten,
        })
        .await;
        if let Some(before) = before.and_then(|before| before.parse().ok()) {
            self.note_overtaken(before, tip).await;
        }
        false
    }

    /// Records the commits that a newer one took the place of before they were begun.
    async fn note_overtaken(&self, before: CommitId, tip: &CommitId) {
        let (origin, id) = (self.origin.clone(), tip.clone());
        let between =
            blocking(move || origin.repository().overtaken(&before, &id, OVERTAKEN_MAX)).await;
        let overtaken = match between {
            Ok(overtaken) => overtaken,
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::warn!(error, "cannot tell which commits were overtaken");
                return;
            }
        };
        let (Some(first), Some(last)) = (overtaken.first(), overtaken.last()) else {
            return;
        };
        let count = overtaken.len();
        let facts = [
            ("by", tip.to_string()),
            ("commits", count.to_string()),
            ("first", first.to_string()),
            ("last", last.to_string()),
        ];
        let text = match count {
            1 => format!(
                "commit {} was superseded by {} before it was begun",
                first.short(),
                tip.short()
            ),
            _ => format!(
                "{count} commits, {} to {}, were superseded by {} before they were begun",
                first.short(),
                last.short(),
                tip.short()
            ),
        };
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        self.record(Event::Note {
            only: None,
            topic: "superseded".to_owned(),
            text,
            facts: facts.into_iter().collect(),
        })
        .await;
    }

    async fn record(&self, event: Event) {
        if let Err(error) = self.shared.record(event).await {
            tracing::error!(error = error.chain(), "cannot write to the journal");
        }
    }
}
