//! When changes of a field are a fight, and for how long it is left alone.

use std::{fmt::Write as _, path::Path, time::Duration};

use ordain_reconciler_plan::{FightLimits, Fights, ObjectKey};
use serde::Deserialize;

use crate::{Result, expect, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    /// Changes back that we make, by seconds.
    events: Vec<Event>,
    /// When to look at what is left alone, in seconds.
    #[serde(default)]
    look: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    at: u64,
    field: String,
    by: String,
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let key = ObjectKey {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "web".to_owned(),
    };
    let mut fights = Fights::new(FightLimits::default());
    let mut text = String::new();
    let mut look = case.look.iter().peekable();
    let at = |text: &mut String, fights: &mut Fights, second: u64| -> Result {
        let now = Duration::from_secs(second);
        fights.tidy(now);
        let quiet: Vec<_> = fights.quiet(&key, now).collect();
        let quiet = if quiet.is_empty() {
            "nothing".to_owned()
        } else {
            quiet.join(", ")
        };
        let wake = fights.wake(&key, now).map(|until| until.as_secs());
        writeln!(text, "{second} s: left alone: {quiet}, until {wake:?}")?;
        Ok(())
    };
    for event in &case.events {
        while let Some(second) = look.next_if(|second| **second < event.at) {
            at(&mut text, &mut fights, *second)?;
        }
        let now = Duration::from_secs(event.at);
        match fights.reverted(&key, &event.field, &event.by, now) {
            Some(fight) => writeln!(text, "{} s: {fight}", event.at)?,
            None => writeln!(text, "{} s: {} was put right", event.at, event.field)?,
        }
    }
    for second in look {
        at(&mut text, &mut fights, *second)?;
    }
    expect(path, &text)
}
