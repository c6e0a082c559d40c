//! Says at the git host how each app is after its commit. Looks at what is known, and tells what changed; what nobody
//! heard is told again, unless there is something newer.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ordain_reconciler_journal::AppRef;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    AppStatus, Sync,
    error::chain,
    shared::{Shared, now_ms},
};

use super::{Host, State};

/// How often it is looked at what changed.
const LOOK: Duration = Duration::from_secs(1);

/// How long a host that failed is left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// After a start, what happened longer ago counts as told.
const NEWS_MS: i64 = 3_600_000;

/// What was said of an app, or is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    commit: String,
    state: State,
    text: String,
}

/// Runs until `shutdown`. Only the reconciler that leads speaks.
pub(crate) async fn run(
    host: Arc<Host>,
    shared: Arc<Shared>,
    leads: watch::Receiver<bool>,
    shutdown: CancellationToken,
) {
    let mut said: BTreeMap<AppRef, Said> = BTreeMap::new();
    let mut silent_until = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if !*leads.borrow() || Instant::now() < silent_until {
            continue;
        }
        let changed: Vec<(AppRef, Said)> = (shared.statuses().iter())
            .filter_map(|(app, status)| Some((app, saying(status)?)))
            .filter(|(app, next)| said.get(*app) != Some(next))
            .map(|(app, next)| (app.clone(), next))
            .collect();
        for (app, next) in changed {
            let last = shared.scribe.known().last(&app);
            let deployed = last.map(|last| (last.commit, now_ms() - last.changed_ms));
            if !is_news(said.get(&app), &next, deployed.as_ref()) {
                said.insert(app, next);
                continue;
            }
            let context = format!("ordain/{app}");
            let call = host.status(&next.commit, &context, next.state, &next.text);
            let sent = tokio::select! {
                () = shutdown.cancelled() => return,
                sent = host.call(call) => sent,
            };
            let is_done = match &sent {
                Ok(_) => true,
                Err(error) => error.is_no_news(),
            };
            shared.metrics.told_host(is_done);
            if let (false, Err(error)) = (is_done, sent) {
                tracing::warn!(%app, error = chain(&error), "cannot set a commit's status");
                silent_until = Instant::now() + PAUSE;
                break;
            }
            said.insert(app, next);
        }
    }
}

/// What there is to say of an app; nothing before anything is known.
fn saying(status: &AppStatus) -> Option<Said> {
    let (state, text) = match status.sync {
        Sync::Unknown => return None,
        Sync::Synced => (State::Success, "healthy".to_owned()),
        Sync::Failed | Sync::OutOfSync => (State::Failure, status.message.clone()),
        Sync::Blocked => (State::Pending, "waits for an approval".to_owned()),
        Sync::Suspended => (State::Pending, "suspended".to_owned()),
        Sync::Applying => (State::Pending, "being applied".to_owned()),
        Sync::Applied if status.health == "degraded" => (State::Failure, status.message.clone()),
        Sync::Applied => (State::Pending, "applied, not healthy yet".to_owned()),
    };
    if status.commit.is_empty() {
        return None;
    }
    let line = text.lines().next().unwrap_or_default().to_owned();
    Some(Said {
        commit: status.commit.clone(),
        state,
        text: line,
    })
}

/// Whether a host has to hear it. `deployed` is the commit that the app was deployed from last, and how long ago that was
/// in milliseconds: a commit that leaves an app as it is has nothing to say of it.
fn is_news(said: Option<&Said>, next: &Said, deployed: Option<&(String, i64)>) -> bool {
    let is_own = deployed.is_some_and(|(commit, _)| *commit == next.commit);
    match said {
        Some(said) if said == next => false,
        Some(said) if said.commit == next.commit => true,
        Some(_) => is_own || next.state != State::Success,
        None => is_own && deployed.is_some_and(|(_, age)| *age < NEWS_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(commit: &str, state: State) -> Said {
        Said {
            commit: commit.to_owned(),
            state,
            text: String::new(),
        }
    }

    #[test]
    fn only_what_is_new_is_said() {
        let own = Some(("b".to_owned(), 0));
        let other = Some(("a".to_owned(), 0));
        let old = Some(("b".to_owned(), NEWS_MS));
        let done = one("b", State::Success);
        assert!(is_news(None, &done, own.as_ref()));
        assert!(!is_news(None, &done, old.as_ref()), "told before a restart");
        assert!(!is_news(None, &done, other.as_ref()));
        assert!(!is_news(Some(&done), &done, own.as_ref()));
        let before = one("a", State::Success);
        assert!(is_news(Some(&before), &done, own.as_ref()));
        let untouched = other.as_ref();
        assert!(!is_news(Some(&before), &done, untouched), "not its commit");
        assert!(is_news(Some(&before), &one("b", State::Failure), untouched));
        assert!(is_news(Some(&one("b", State::Pending)), &done, untouched));
    }
}
