//! What is held back or refused: the prune breaker, and what admission said in a dry run.

use crate::{EffectKind, Level, Verb};

use super::{Changed, Found};

pub(super) fn look(changed: &Changed<'_>, found: &mut Found) {
    if changed.verb == Verb::Held {
        found.add(
            EffectKind::Policy,
            Level::Warning,
            "the deletion waits for an approval of the plan",
        );
    }
    let Some((message, immutable)) = changed.refused else {
        return;
    };
    // Immutable fields are told by name.
    if immutable.is_empty() {
        found.add(EffectKind::Refused, Level::Danger, message);
    }
    for field in immutable {
        found.at(
            EffectKind::Immutable,
            Level::Danger,
            format!("{field} cannot be changed; the server refuses it"),
            Some(field),
        );
    }
}
