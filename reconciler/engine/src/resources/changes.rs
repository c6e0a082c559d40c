//! Which apps have something new to show. The apps' loops note it and go on; nobody waits for an API server.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ordain_reconciler_journal::AppRef;
use tokio::sync::Notify;

use super::app::News;

/// Things that happened and are kept until they are told; more are dropped.
const NEWS_MAX: usize = 1000;

/// What changed since somebody looked.
#[derive(Default)]
pub(crate) struct Changes {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// False while nobody shows anything: then nothing is gathered.
    on: bool,
    apps: BTreeSet<AppRef>,
    news: Vec<(AppRef, News)>,
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers from now on.
    pub(super) fn begin(&self) {
        self.lock().on = true;
    }

    /// Notes that an app may have something new to show.
    pub(crate) fn app(&self, app: &AppRef) {
        let mut state = self.lock();
        if state.on && !state.apps.contains(app) {
            state.apps.insert(app.clone());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Notes that something happened to an app which its state does not show.
    pub(crate) fn happened(&self, app: &AppRef, news: News) {
        let mut state = self.lock();
        if state.on && state.news.len() < NEWS_MAX {
            state.news.push((app.clone(), news));
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Takes what was noted.
    pub(super) fn take(&self) -> (BTreeSet<AppRef>, Vec<(AppRef, News)>) {
        let mut state = self.lock();
        let apps = std::mem::take(&mut state.apps);
        (apps, std::mem::take(&mut state.news))
    }

    /// Resolves when something was noted.
    pub(super) async fn noted(&self) {
        self.changed.notified().await;
    }
}
