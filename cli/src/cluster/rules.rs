//! What `ordain.toml` says about rollouts, as the reconciler takes it.

use ordain_lang_project::{Rollout, RolloutSettings};
use ordain_reconciler_engine::{AppRules, OnFailure, Rules};
use ordain_reconciler_plan::{Effect, Window};
use std::time::Duration;

/// Takes over a project's settings. They were checked: a cron line that cannot be read here was an error there.
pub(super) fn rules(rollout: &Rollout) -> Rules {
    let windows = rollout.windows.iter().filter_map(|window| {
        Some(Window {
            effect: match window.denies {
                true => Effect::Deny,
                false => Effect::Allow,
            },
            begins: window.begins.parse().ok()?,
            minutes: window.minutes,
            zone: window.zone.clone(),
            apps: window.apps.clone(),
            envs: window.envs.clone(),
        })
    });
    let apps = rollout.apps.iter();
    Rules {
        all: app(&rollout.all),
        apps: apps.map(|(name, own)| (name.clone(), app(own))).collect(),
        windows: windows.collect(),
    }
}

fn app(settings: &RolloutSettings) -> AppRules {
    AppRules {
        deadline: settings.deadline.map(Duration::from_secs),
        on_failure: settings.rolls_back.map(|rolls_back| match rolls_back {
            true => OnFailure::RollBack,
            false => OnFailure::Stay,
        }),
    }
}
