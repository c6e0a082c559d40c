//! What a project says about its own rollouts: deadlines, what follows a failure, sync windows.

use std::{collections::BTreeMap, time::Duration};

use ordain_reconciler_plan::Window;

/// What happens to a commit that does not become healthy in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It stays, and is reported. A commit written without being asked for would be a surprise.
    #[default]
    Stay,
    /// The app goes back to its last healthy deploy, by a commit.
    RollBack,
}

/// The settings of one app. What is not set is as for all apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppRules {
    /// How long it may take to become healthy.
    pub deadline: Option<Duration>,
    /// What happens when it does not.
    pub on_failure: Option<OnFailure>,
}

/// The settings of a project, as its newest commit has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// For apps without own settings.
    pub all: AppRules,
    /// By the app's name.
    pub apps: BTreeMap<String, AppRules>,
    /// When commits may be deployed.
    pub windows: Vec<Window>,
}

impl Rules {
    /// How long an app may take to become healthy, when the project says so.
    #[must_use]
    pub fn deadline(&self, app: &str) -> Option<Duration> {
        let own = self.apps.get(app).and_then(|own| own.deadline);
        own.or(self.all.deadline)
    }

    /// What follows when it does not.
    #[must_use]
    pub fn on_failure(&self, app: &str) -> OnFailure {
        let own = self.apps.get(app).and_then(|own| own.on_failure);
        own.or(self.all.on_failure).unwrap_or_default()
    }
}
