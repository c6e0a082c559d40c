//! Back to the last healthy deploy without being asked, where the project wants that.
//!
//! Looked at again and again instead of armed once: a restart or a clock that jumps loses nothing. A
//! rollback is never rolled back, so nothing can go round in circles.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ordain_reconciler_journal::{AppRef, Deploy, State, last_healthy};
use tokio_util::sync::CancellationToken;

use crate::{
    OnFailure,
    control::{Asker, Reply},
    requests::Requests,
    shared::now_ms,
};

use super::Ask;

/// How often deploys are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Who writes these commits.
const AUTHOR: &str = "Ordain <ordain@localhost>";

/// Reasons that a commit's message names.
const REASONS_MAX: usize = 5;

/// Watches every app until `shutdown`.
pub(crate) async fn run(requests: Arc<Requests>, shutdown: CancellationToken) {
    // What could not be rolled back would fail the same way again.
    let mut tried: BTreeSet<(AppRef, u64)> = BTreeSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        for (app, deploy, reason) in late(&requests).await {
            if !tried.insert((app.clone(), deploy)) {
                continue;
            }
            tracing::warn!(%app, reason, "rolled back automatically");
            let ask = Ask {
                to: "last-healthy".to_owned(),
                reason,
                author: AUTHOR.to_owned(),
                sign: true,
                automatic: true,
            };
            let nobody = Reply::nobody().to(Some(Asker::Own));
            match requests.rollback(&app, &ask, &nobody).await {
                Ok(_) => requests.poke.notify_one(),
                Err(error) => {
                    tracing::error!(%app, error = error.chain(), "cannot roll back");
                }
            }
        }
    }
}

/// The apps whose last deploy did not become healthy in time, with its number and why.
async fn late(requests: &Requests) -> Vec<(AppRef, u64, String)> {
    let shared = &requests.shared;
    let rules = shared.holds.rules();
    let wanted = |app: &str| rules.on_failure(app) == OnFailure::RollBack;
    if !wanted("") && !rules.apps.keys().any(|app| wanted(app)) {
        return Vec::new();
    }
    let (rules, default, now) = (Arc::clone(&rules), shared.health_deadline, now_ms());
    let found = shared.journal(move |journal| {
        let deadline = |app: &AppRef| rules.deadline(&app.name).unwrap_or(default);
        // Nearly everything is on its way in time, and is not even copied.
        let may_be_late = |last: &Deploy| {
            rules.on_failure(&last.app.name) == OnFailure::RollBack
                && lateness(last, None, deadline(&last.app), now).is_some()
        };
        let late = |last: Deploy| {
            let app = last.app.clone();
            if journal.suspension(&app, now).is_some() {
                return None;
            }
            let known = journal.quarantine(&app).map(|one| one.commit);
            let reason = lateness(&last, known.as_deref(), deadline(&app), now)?;
            let is_enough = |rows: &[Deploy]| last_healthy(rows).is_some();
            let rows = journal.history_until(&app, is_enough).ok()?;
            last_healthy(&rows)?;
            Some((app, last.id, reason))
        };
        let last = journal.last_where(may_be_late).into_iter();
        last.filter_map(late).collect()
    });
    found.await
}

/// Why a deploy, which is its app's last one, has to be rolled back, when there is something to go back to.
fn lateness(
    last: &Deploy,
    quarantined: Option<&str>,
    deadline: Duration,
    now_ms: i64,
) -> Option<String> {
    let reasons = match &last.state {
        State::Started | State::Applied => Vec::new(),
        State::Failed { reasons } => reasons.clone(),
        _ => return None,
    };
    let is_over = now_ms.saturating_sub(last.started_ms)
        >= i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
    if last.was_healthy || last.rollback.is_some() || !is_over {
        return None;
    }
    if quarantined == Some(last.commit.as_str()) {
        return None;
    }
    let mut reason = format!("not healthy within {} s", deadline.as_secs());
    let named = &reasons[..reasons.len().min(REASONS_MAX)];
    for (at, one) in named.iter().enumerate() {
        reason.push_str(if at == 0 { ": " } else { "; " });
        reason.push_str(one);
    }
    Some(reason)
}

#[cfg(test)]
mod tests {
    use ordain_reconciler_journal::{Counts, Digest, Rollback};

    use super::*;

    fn row(id: u64, state: State) -> Deploy {
        Deploy {
            id,
            app: AppRef {
                env: "dev".to_owned(),
                name: "web".to_owned(),
            },
            number: id,
            reason: String::new(),
            actor: None,
            commit: format!("commit {id}"),
            author: String::new(),
            subject: String::new(),
            started_ms: 1000,
            changed_ms: 1000,
            set: Digest::of(&id.to_be_bytes()),
            plan: String::new(),
            counts: Counts::default(),
            rollback: None,
            was_healthy: state == State::Healthy,
            was_applied: true,
            state,
        }
    }

    #[test]
    fn only_a_new_commit_that_is_late_is_rolled_back() {
        let failed = State::Failed {
            reasons: vec!["ImagePullBackOff".to_owned()],
        };
        let deadline = Duration::from_secs(5);
        let late = |last: &Deploy| lateness(last, None, deadline, 6000);
        let bad = row(2, failed.clone());
        let reason = "not healthy within 5 s: ImagePullBackOff".to_owned();
        assert_eq!(late(&bad), Some(reason));
        let early = lateness(&bad, None, deadline, 5999);
        assert_eq!(early, None, "there is time left");
        let known = lateness(&bad, Some("commit 2"), deadline, 6000);
        assert_eq!(known, None, "done already");
        assert_eq!(late(&row(2, State::Healthy)), None);
        let waits = State::Blocked {
            reasons: Vec::new(),
        };
        assert_eq!(late(&row(2, waits)), None, "somebody is asked");
        let mut own = row(3, failed);
        own.rollback = Some(Rollback {
            of: "commit 2".to_owned(),
            to: "commit 1".to_owned(),
        });
        assert_eq!(late(&own), None, "a rollback is never rolled back");
    }
}
