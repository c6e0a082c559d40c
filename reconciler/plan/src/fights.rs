//! Notices that somebody else keeps changing a field back, and leaves that field alone for a while.
//!
//! A state machine over what is reported to it. Time is an argument: a span since any fixed moment. Config Sync counts in
//! the same way, five changes in a minute (`pkg/diff/fight`), and only logs; here the field is let go, the rest of the
//! object is not.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{MANAGER, ObjectKey};

/// When repeated changes are a fight, and what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FightLimits {
    /// This many changes of one field by us within a minute are a fight.
    pub per_minute: usize,
    /// How long the field is left alone at first; each further fight doubles it.
    pub pause_min: Duration,
    /// The longest time for which it is left alone.
    pub pause_max: Duration,
}

impl Default for FightLimits {
    /// Five in a minute; ten seconds up to five minutes.
    fn default() -> Self {
        Self {
            per_minute: 5,
            pause_min: Duration::from_secs(10),
            pause_max: Duration::from_secs(300),
        }
    }
}

/// The time over which changes are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// A field that stayed as it is for as many of its longest pauses is forgotten.
const CALM_PAUSES: u32 = 2;

/// Two managers that want different values of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fight {
    /// The object.
    pub key: ObjectKey,
    /// The way to the field, as in [`FieldChange::path`](crate::FieldChange::path).
    pub field: String,
    /// Our manager.
    pub ours: String,
    /// The other one; `unknown` when nothing says who it is.
    pub theirs: String,
    /// Our changes within the last minute.
    pub changes: usize,
    /// For how long the field is left to the other one now.
    pub pause: Duration,
}

impl fmt::Display for Fight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {} and {} fight over {}: changed back {} times in a minute; it is left alone for {} s. To leave it for \
             good, ignore it: `ordain.dev/ignore`",
            self.key,
            self.ours,
            self.theirs,
            self.field,
            self.changes,
            self.pause.as_secs()
        )
    }
}

#[derive(Debug, Clone, Default)]
struct Field {
    /// When we changed it back, within [`WINDOW`].
    changes: VecDeque<Duration>,
    theirs: String,
    /// Fights so far.
    fights: u32,
    /// Until when it is left alone.
    until: Duration,
}

/// What is known of the fields that were changed back.
#[derive(Debug, Clone, Default)]
pub struct Fights {
    limits: FightLimits,
    fields: BTreeMap<ObjectKey, BTreeMap<String, Field>>,
}

impl Fights {
    /// Begins without any fight.
    #[must_use]
    pub fn new(limits: FightLimits) -> Self {
        Self {
            limits,
            fields: BTreeMap::new(),
        }
    }

    /// Reports that we changed a field back which `theirs` had changed, and returns the fight when this is one.
    pub fn reverted(
        &mut self,
        key: &ObjectKey,
        field: &str,
        theirs: &str,
        now: Duration,
    ) -> Option<Fight> {
        let limits = self.limits;
        let known = self.fields.entry(key.clone()).or_default();
        let state = known.entry(field.to_owned()).or_default();
        let calm = limits.pause_max * CALM_PAUSES;
        if state
            .changes
            .back()
            .is_some_and(|last| now.saturating_sub(*last) > calm)
        {
            state.fights = 0;
        }
        state.changes.push_back(now);
        while state
            .changes
            .front()
            .is_some_and(|first| now.saturating_sub(*first) > WINDOW)
        {
            state.changes.pop_front();
        }
        if !theirs.is_empty() {
            theirs.clone_into(&mut state.theirs);
        }
        // After a fight the first change back is one more: nothing has changed in between.
        let again = state.fights > 0 && now >= state.until;
        if state.changes.len() < limits.per_minute && !again {
            return None;
        }
        let factor = 1_u32.checked_shl(state.fights).unwrap_or(u32::MAX);
        let pause = limits
            .pause_min
            .saturating_mul(factor)
            .min(limits.pause_max);
        state.fights = state.fights.saturating_add(1);
        state.until = now + pause;
        let theirs = if state.theirs.is_empty() {
            "unknown"
        } else {
            &state.theirs
        };
        Some(Fight {
            key: key.clone(),
            field: field.to_owned(),
            ours: MANAGER.to_owned(),
            theirs: theirs.to_owned(),
            changes: state.changes.len(),
            pause,
        })
    }

    /// The fields of an object that are to be left alone now; see [`Ignored::add_field`](crate::Ignored::add_field).
    pub fn quiet(&self, key: &ObjectKey, now: Duration) -> impl Iterator<Item = &str> {
        let fields = self.fields.get(key).into_iter().flatten();
        fields
            .filter(move |(_, field)| now < field.until)
            .map(|(path, _)| path.as_str())
    }

    /// When the next field of an object is no longer left alone: then it has to be looked at again.
    #[must_use]
    pub fn wake(&self, key: &ObjectKey, now: Duration) -> Option<Duration> {
        let fields = self.fields.get(key)?;
        fields
            .values()
            .map(|field| field.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Forgets fields that stayed calm, and objects without any left.
    pub fn tidy(&mut self, now: Duration) {
        let calm = self.limits.pause_max * CALM_PAUSES;
        self.fields.retain(|_, fields| {
            fields.retain(|_, field| {
                field
                    .changes
                    .back()
                    .is_some_and(|last| now.saturating_sub(*last) <= calm)
            });
            !fields.is_empty()
        });
    }

    /// Forgets an object, after it was deleted or its declaration changed: a new value is a new start.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.fields.remove(key);
    }
}
