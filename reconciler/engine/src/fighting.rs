//! Fights of one app's objects: which fields are left to others for now, and what is said about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ordain_reconciler_plan::{Action, Fight, FightLimits, Fights, ObjectKey};
use tokio::time::Instant;

/// The fights of an app.
#[derive(Debug)]
pub(crate) struct Fighting {
    state: Fights,
    /// Time is told to the state as a span since this moment.
    start: Instant,
    current: BTreeMap<ObjectKey, BTreeMap<String, Fight>>,
}

impl Default for Fighting {
    fn default() -> Self {
        Self {
            state: Fights::new(FightLimits::default()),
            start: Instant::now(),
            current: BTreeMap::new(),
        }
    }
}

impl Fighting {
    /// Reports what was changed back; returns the fights that this makes.
    pub(crate) fn reverted(&mut self, action: &Action) -> Vec<Fight> {
        let now = self.start.elapsed();
        self.state.tidy(now);
        let theirs = |field: &str| {
            let taken = action.taken.iter().find(|taken| {
                let fields = taken.fields.iter();
                fields.into_iter().any(|taken| covers(taken, field))
            });
            let only = (action.taken.len() == 1).then(|| &action.taken[0]);
            taken.or(only).map_or("", |taken| taken.manager.as_str())
        };
        // An object that somebody keeps deleting is fought over as a whole.
        let whole = ["the whole object".to_owned()];
        let fields: Vec<&str> = match action.changes.as_slice() {
            [] => whole.iter().map(String::as_str).collect(),
            changes => changes.iter().map(|change| change.path.as_str()).collect(),
        };
        let mut fights = Vec::new();
        for field in fields {
            let fight = self.state.reverted(&action.key, field, theirs(field), now);
            if let Some(fight) = fight {
                let known = self.current.entry(action.key.clone()).or_default();
                known.insert(field.to_owned(), fight.clone());
                fights.push(fight);
            }
        }
        fights
    }

    /// Objects with fields that are left alone now.
    pub(crate) fn quiet(&self, key: &ObjectKey) -> Vec<String> {
        let fields = self.state.quiet(key, self.start.elapsed());
        fields.map(str::to_owned).collect()
    }

    /// How long until the first field is no longer left alone.
    pub(crate) fn wake(&self) -> Option<Duration> {
        let now = self.start.elapsed();
        let wakes = self.current.keys().map(|key| {
            let at = self.state.wake(key, now);
            // One that is over by now is looked at at once.
            at.map_or(Duration::ZERO, |at| at.saturating_sub(now))
        });
        wakes.min()
    }

    /// Takes the objects with fields that need not be left alone any longer.
    pub(crate) fn over(&mut self) -> BTreeSet<ObjectKey> {
        let now = self.start.elapsed();
        let state = &self.state;
        let mut over = BTreeSet::new();
        self.current.retain(|key, fields| {
            let quiet: BTreeSet<_> = state.quiet(key, now).collect();
            let before = fields.len();
            fields.retain(|field, _| quiet.contains(field.as_str()));
            if fields.len() < before {
                over.insert(key.clone());
            }
            !fields.is_empty()
        });
        over
    }

    /// What is said about it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let fights = self.current.values().flat_map(BTreeMap::values);
        fights.map(ToString::to_string).collect()
    }
}

/// True when a field of `managedFields` is, contains or is part of a field of a difference.
fn covers(taken: &str, field: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    within(taken, field) || within(field, taken)
}
