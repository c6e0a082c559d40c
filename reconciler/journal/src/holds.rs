//! What keeps commits from apps: suspensions and quarantines. A pure fold over records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AppRef, Digest, Event, Record, deploy::by_app};

/// Nothing is written for an app, or for any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Who asked for it.
    pub by: String,
    /// Why, possibly empty.
    pub reason: String,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since_ms: i64,
    /// When it ends by itself.
    pub until_ms: Option<i64>,
}

impl Suspension {
    fn holds(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

/// A commit that is held back from an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The commit.
    pub commit: String,
    /// Its objects, as they were compiled.
    pub objects: Digest,
    /// The commit whose objects stand instead.
    pub to: String,
    /// Those objects, when the journal has them.
    pub restores: Option<Digest>,
    /// The rollback commit, when one could be written.
    pub rollback: Option<String>,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// Who asked for it.
    pub by: String,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since_ms: i64,
}

/// All that is held.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Holds {
    everywhere: Option<Suspension>,
    #[serde(with = "by_app")]
    suspended: BTreeMap<AppRef, Suspension>,
    #[serde(with = "by_app")]
    quarantined: BTreeMap<AppRef, Quarantined>,
}

impl Holds {
    pub(crate) fn suspension(&self, app: &AppRef, now_ms: i64) -> Option<&Suspension> {
        let of_all = self.everywhere.as_ref();
        let mut both = self.suspended.get(app).into_iter().chain(of_all);
        both.find(|one| one.holds(now_ms))
    }

    pub(crate) fn suspensions(
        &self,
        now_ms: i64,
    ) -> impl Iterator<Item = (Option<&AppRef>, &Suspension)> {
        let of_all = self.everywhere.iter().map(|one| (None, one));
        let of_one = self.suspended.iter().map(|(app, one)| (Some(app), one));
        of_all
            .chain(of_one)
            .filter(move |(_, one)| one.holds(now_ms))
    }

    pub(crate) fn quarantine(&self, app: &AppRef) -> Option<&Quarantined> {
        self.quarantined.get(app)
    }

    pub(crate) fn quarantines(&self) -> impl Iterator<Item = (&AppRef, &Quarantined)> {
        self.quarantined.iter()
    }

    pub(crate) fn add(&mut self, record: &Record) {
        match &record.event {
            Event::Suspend {
                app,
                by,
                reason,
                until_ms,
            } => {
                let one = Suspension {
                    by: by.clone(),
                    reason: reason.clone(),
                    since_ms: record.time_ms,
                    until_ms: *until_ms,
                };
                match app {
                    Some(app) => drop(self.suspended.insert(app.clone(), one)),
                    None => self.everywhere = Some(one),
                }
            }
            Event::Resume { app: Some(app), .. } => drop(self.suspended.remove(app)),
            Event::Resume { app: None, .. } => self.everywhere = None,
            Event::Quarantine {
                app,
                commit,
                objects,
                to,
                restores,
                rollback,
                reasons,
                by,
            } => {
                let one = Quarantined {
                    commit: commit.clone(),
                    objects: *objects,
                    to: to.clone(),
                    restores: *restores,
                    rollback: rollback.clone(),
                    reasons: reasons.clone(),
                    by: by.clone(),
                    since_ms: record.time_ms,
                };
                self.quarantined.insert(app.clone(), one);
            }
            Event::Lifted { app, .. } => drop(self.quarantined.remove(app)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppRef {
        AppRef {
            env: "dev".to_owned(),
            name: name.to_owned(),
        }
    }

    fn holds(events: Vec<Event>) -> Holds {
        let mut holds = Holds::default();
        for (at, event) in events.into_iter().enumerate() {
            let seq = at as u64 + 1;
            holds.add(&Record {
                seq,
                time_ms: 1000,
                event,
            });
        }
        holds
    }

    fn suspend(app: Option<AppRef>, until_ms: Option<i64>) -> Event {
        Event::Suspend {
            app,
            by: "Ada".to_owned(),
            reason: String::new(),
            until_ms,
        }
    }

    #[test]
    fn a_suspension_of_all_apps_outlives_that_of_one() {
        let by = "Ada".to_owned();
        let resume = Event::Resume {
            app: Some(app("web")),
            by: by.clone(),
        };
        let mut events = vec![suspend(None, None), suspend(Some(app("web")), None), resume];
        assert!(holds(events.clone()).suspension(&app("web"), 0).is_some());
        events.push(Event::Resume { app: None, by });
        assert!(holds(events).suspension(&app("web"), 0).is_none());
    }

    #[test]
    fn a_suspension_ends_by_itself() {
        let holds = holds(vec![suspend(Some(app("web")), Some(5000))]);
        assert!(holds.suspension(&app("web"), 4999).is_some());
        assert!(holds.suspension(&app("web"), 5000).is_none());
        assert!(holds.suspension(&app("db"), 0).is_none());
        assert_eq!(holds.suspensions(5000).count(), 0);
    }
}
