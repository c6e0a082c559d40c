//! What is told about a commit while it is rolled out: kept, so that a push can read it from the start.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ordain_reconciler_journal::AppRef;
use tokio::sync::watch;

/// Commits whose lines are kept; older ones are forgotten.
const COMMITS_MAX: usize = 64;

/// Lines kept for one commit; a plan that changes more is cut.
const LINES_MAX: usize = 10_000;

/// The rollouts of the last commits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Oldest first.
    rollouts: VecDeque<(String, Rollout)>,
    /// The commit that was begun last.
    begun: String,
}

impl Known {
    fn find(&self, commit: &str) -> Option<&Rollout> {
        let mut found = self.rollouts.iter().filter(|(known, _)| known == commit);
        found.next().map(|(_, rollout)| rollout)
    }

    fn of(&mut self, commit: &str) -> Rollout {
        if let Some(rollout) = self.find(commit) {
            return rollout.clone();
        }
        let rollout = Rollout::default();
        self.rollouts
            .push_back((commit.to_owned(), rollout.clone()));
        if self.rollouts.len() > COMMITS_MAX {
            self.rollouts.pop_front();
        }
        rollout
    }

    /// The rollout of a commit that the branch moves to. When another one was begun after it, the branch comes back to
    /// it, and what was told of it then says nothing about now.
    fn anew(&mut self, commit: &str) -> Rollout {
        if self.begun != commit {
            self.rollouts
                .retain(|(known, rollout)| known != commit || !rollout.is_over());
        }
        self.of(commit)
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rollout of a commit, begun when it is unknown.
    pub(crate) fn of(&self, commit: &str) -> Rollout {
        self.lock().of(commit)
    }

    /// The rollout of a commit that somebody wants now, whether it is begun already or not. What was told when it was
    /// rolled out at an earlier time is forgotten.
    pub(crate) fn anew(&self, commit: &str) -> Rollout {
        self.lock().anew(commit)
    }

    /// The rollout of a commit that is begun now.
    pub(crate) fn begin(&self, commit: &str) -> Rollout {
        let mut known = self.lock();
        let rollout = known.anew(commit);
        commit.clone_into(&mut known.begun);
        rollout
    }

    /// The rollout of a commit, when there is one.
    pub(crate) fn known(&self, commit: &str) -> Option<Rollout> {
        self.lock().find(commit).cloned()
    }

    /// Commits that somebody asked about and nobody began to roll out.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let known = self.lock();
        let waiting = known.rollouts.iter();
        let waiting = waiting.filter(|(_, rollout)| rollout.is_waiting());
        waiting.map(|(commit, _)| commit.clone()).collect()
    }

    /// Ends the rollout of a commit that a newer one overtook before it was begun.
    pub(crate) fn overtaken(&self, commit: &str, by: &str) {
        let rollout = self.of(commit);
        rollout.line(&format!("overtaken by {by} before it was begun"));
        rollout.end(false);
    }
}

/// How the rollout of a commit went for one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Pending,
    Done { ok: bool },
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<String>,
    parts: BTreeMap<AppRef, Part>,
    /// True when every app of the commit is in `parts`.
    complete: bool,
    /// Set when the commit ended before it had apps.
    ended: Option<bool>,
    /// Rollouts of later commits that wait for apps which are still on their way to this one.
    heirs: Vec<(AppRef, Rollout)>,
}

/// The rollout of one commit.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    lines: Arc<Mutex<Lines>>,
    changed: Arc<watch::Sender<()>>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            lines: Arc::default(),
            changed: Arc::new(watch::channel(()).0),
        }
    }
}

impl Rollout {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Lines)) {
        act(&mut self.lock());
        self.changed.send_replace(());
    }

    /// Tells something.
    pub(crate) fn line(&self, text: &str) {
        self.change(|lines| {
            for line in text.lines() {
                match lines.text.len() {
                    count if count < LINES_MAX => lines.text.push(line.to_owned()),
                    LINES_MAX => lines.text.push("…".to_owned()),
                    _ => {}
                }
            }
        });
    }

    /// Names the apps that have to be done.
    pub(crate) fn expect(&self, apps: impl IntoIterator<Item = AppRef>) {
        self.change(|lines| {
            for app in apps {
                lines.parts.entry(app).or_insert(Part::Pending);
            }
            lines.complete = true;
            // It may have been kept out before.
            lines.ended = None;
        });
    }

    /// Lets the rollout of a later commit, for which this app is as it was, hear how it goes on here.
    /// Returns false when the app said its word already.
    pub(crate) fn inherit(&self, app: &AppRef, heir: &Rollout) -> bool {
        let mut lines = self.lock();
        let pending = lines
            .parts
            .get(app)
            .is_none_or(|part| *part == Part::Pending);
        if pending {
            lines.heirs.push((app.clone(), heir.clone()));
        }
        pending
    }

    /// Says that an app is done. The first word counts: later drift is no part of the rollout.
    /// Returns true when it was that first word.
    pub(crate) fn finish(&self, app: &AppRef, ok: bool) -> bool {
        let mut first = false;
        let mut heirs = Vec::new();
        self.change(|lines| {
            let part = lines.parts.entry(app.clone()).or_insert(Part::Pending);
            if *part == Part::Pending {
                *part = Part::Done { ok };
                first = true;
                heirs = lines
                    .heirs
                    .extract_if(.., |(waits_for, _)| waits_for == app)
                    .collect();
            }
        });
        for (app, heir) in heirs {
            let how = if ok { "done" } else { "failed" };
            heir.line(&format!("{app}: {how}, as an earlier commit has it"));
            heir.finish(&app, ok);
        }
        first
    }

    /// Says that an app is done, because the commit waits for something else than its own rollout.
    pub(crate) fn waits(&self, app: &AppRef, why: &str) {
        if self.is_pending(app) {
            self.line(&format!("{app}: waits: {why}"));
            self.finish(app, true);
        }
    }

    /// Ends the rollout as a whole, before its apps.
    pub(crate) fn end(&self, ok: bool) {
        self.change(|lines| lines.ended = Some(ok));
    }

    /// True when the app has not said its word yet.
    pub(crate) fn is_pending(&self, app: &AppRef) -> bool {
        let lines = self.lock();
        lines
            .parts
            .get(app)
            .is_none_or(|part| *part == Part::Pending)
    }

    /// True when the app's word was that it failed.
    pub(crate) fn has_failed(&self, app: &AppRef) -> bool {
        self.lock().parts.get(app) == Some(&Part::Done { ok: false })
    }

    /// True when every app of it said its word.
    pub(crate) fn is_over(&self) -> bool {
        verdict(&self.lock()).is_some()
    }

    fn is_waiting(&self) -> bool {
        let lines = self.lock();
        !lines.complete && lines.ended.is_none()
    }

    /// Waits for lines from `from` on; returns them, and the verdict when the rollout is over.
    pub(crate) async fn next(&self, from: usize) -> (Vec<String>, Option<bool>) {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let lines = self.lock();
                let new = lines.text.get(from..).unwrap_or_default().to_vec();
                let verdict = verdict(&lines);
                if !new.is_empty() || verdict.is_some() {
                    return (new, verdict);
                }
            }
            if changed.changed().await.is_err() {
                return (Vec::new(), Some(false));
            }
        }
    }
}

fn verdict(lines: &Lines) -> Option<bool> {
    if lines.ended.is_some() {
        return lines.ended;
    }
    let done = lines.parts.values().map(|part| match part {
        Part::Pending => None,
        Part::Done { ok } => Some(*ok),
    });
    let done: Option<Vec<_>> = done.collect();
    done.filter(|_| lines.complete)
        .map(|oks| oks.into_iter().all(|ok| ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_reader_sees_everything_and_the_verdict() {
        let progress = Progress::default();
        let app = |name: &str| AppRef {
            env: "dev".to_owned(),
            name: name.to_owned(),
        };
        let rollout = progress.of("c");
        rollout.line("one\ntwo");
        rollout.expect([app("a"), app("b")]);
        assert_eq!(
            progress.of("c").next(0).await,
            (vec!["one".to_owned(), "two".to_owned()], None)
        );
        assert!(rollout.finish(&app("a"), true));
        assert!(!rollout.finish(&app("a"), false), "the first word counts");
        assert!(rollout.is_pending(&app("b")));
        rollout.finish(&app("b"), false);
        assert_eq!(progress.of("c").next(2).await, (Vec::new(), Some(false)));
    }

    #[tokio::test]
    async fn a_later_commit_hears_of_an_app_that_an_earlier_one_changed() {
        let app = AppRef {
            env: "dev".to_owned(),
            name: "a".to_owned(),
        };
        let (first, second) = (Rollout::default(), Rollout::default());
        first.expect([app.clone()]);
        assert!(first.inherit(&app, &second));
        second.expect([app.clone()]);
        first.finish(&app, true);
        assert_eq!(second.next(1).await, (Vec::new(), Some(true)));
        assert!(!first.inherit(&app, &second), "it is over");
    }

    #[tokio::test]
    async fn a_commit_that_comes_back_is_told_anew() {
        let progress = Progress::default();
        let roll_out = |commit: &str| {
            let rollout = progress.begin(commit);
            rollout.line(commit);
            rollout.expect([]);
        };
        roll_out("a");
        let told = (vec!["a".to_owned()], Some(true));
        assert_eq!(progress.anew("a").next(0).await, told, "it was quick");
        roll_out("b");
        let pushed = progress.anew("a");
        assert!(!pushed.is_over(), "nothing of it is done yet");
        assert_eq!(progress.waiting(), ["a"]);
        roll_out("a");
        assert_eq!(pushed.next(0).await, told);
    }

    #[test]
    fn what_was_kept_out_and_is_let_in_goes_on_as_its_apps_do() {
        let app = AppRef {
            env: "dev".to_owned(),
            name: "a".to_owned(),
        };
        let rollout = Progress::default().begin("c");
        rollout.end(false);
        rollout.expect([app.clone()]);
        assert!(!rollout.is_over());
        rollout.finish(&app, true);
        assert_eq!(verdict(&rollout.lock()), Some(true));
    }

    #[test]
    fn old_commits_are_forgotten() {
        let progress = Progress::default();
        for number in 0..=COMMITS_MAX {
            progress.of(&number.to_string()).line("x");
        }
        assert_eq!(progress.lock().rollouts.len(), COMMITS_MAX);
    }
}
