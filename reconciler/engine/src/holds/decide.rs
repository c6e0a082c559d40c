//! Whether an app may follow the commit it was offered. Pure.

use jiff::Timestamp;
use ordain_reconciler_journal::{Quarantined, Suspension};
use ordain_reconciler_plan::Verdict;
use serde::{Deserialize, Serialize};

use crate::words::short;

/// What keeps a commit from an app, or an app from being written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Somebody suspended the app: nothing of it is written.
    Suspended,
    /// Its sync window is closed: a newer commit waits.
    Window,
    /// The commit was rolled back: earlier objects stand instead of its own.
    Quarantined,
    /// A rollback that could not be pushed yet stands.
    Pending,
    /// A rollback cannot be pushed: the branch moved, and changed the same files.
    Conflict,
    /// The branch takes no pushes of ours: a rollback is on a branch of its own, and somebody has to merge it.
    Review,
}

/// One thing that is held, for `ordain status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The environment; empty when it is about all apps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub env: String,
    /// The app; empty when it is about all apps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub app: String,
    /// What keeps it.
    pub kind: HoldKind,
    /// The commit that is held, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why, in words.
    pub message: String,
    /// When it ends by itself, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What is known when a commit is offered to an app.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// The commit is a rollback: those pass closed windows.
    pub(crate) is_rollback: bool,
    /// The app follows this commit already, or was deployed from it when it was last written to.
    pub(crate) is_standing: bool,
    pub(crate) suspension: Option<&'a Suspension>,
    /// Set when the commit's objects are those of a commit in quarantine, and it was not written after the
    /// rollback, which would make them wanted again.
    pub(crate) quarantine: Option<&'a Quarantined>,
    pub(crate) window: Verdict,
}

/// What an app may do with an offered commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Follow it.
    Follow,
    /// Follow what stood before.
    Stay {
        until: Option<Timestamp>,
        why: String,
    },
    /// Write nothing.
    Rest {
        until: Option<Timestamp>,
        why: String,
    },
}

/// Decides. Nothing here is edge-triggered: the same view has the same answer at any time.
pub(crate) fn decide(view: &View<'_>) -> Decision {
    if let Some(suspension) = view.suspension {
        return Decision::Rest {
            until: suspension
                .until_ms
                .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            why: suspended(suspension),
        };
    }
    if let Some(quarantine) = view.quarantine {
        return Decision::Stay {
            until: None,
            why: quarantined(quarantine),
        };
    }
    if view.window.is_open || view.is_standing || view.is_rollback {
        return Decision::Follow;
    }
    Decision::Stay {
        until: view.window.until,
        why: view.window.reason.clone(),
    }
}

/// A suspension in words.
pub(crate) fn suspended(suspension: &Suspension) -> String {
    match suspension.reason.as_str() {
        "" => format!("suspended by {}", suspension.by),
        reason => format!("suspended by {}: {reason}", suspension.by),
    }
}

/// True when the commit is held for one of ours that adopts a live edit and is on its way to the branch.
pub(crate) fn is_adoption(quarantine: &Quarantined) -> bool {
    quarantine.rollback.as_ref() == Some(&quarantine.to)
}

/// A quarantine in words.
pub(crate) fn quarantined(quarantine: &Quarantined) -> String {
    if is_adoption(quarantine) {
        return format!(
            "commit {} stands back until commit {}, by which {} adopts a live edit, is on the branch",
            short(&quarantine.commit),
            short(&quarantine.to),
            quarantine.by,
        );
    }
    let reasons = quarantine.reasons.join("; ");
    format!(
        "commit {} was rolled back to {} by {}{}{reasons}",
        short(&quarantine.commit),
        short(&quarantine.to),
        quarantine.by,
        if reasons.is_empty() { "" } else { ": " },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(is_open: bool) -> Verdict {
        Verdict {
            is_open,
            reason: "closed".to_owned(),
            until: Timestamp::from_second(60).ok(),
        }
    }

    #[test]
    fn a_commit_passes_what_does_not_concern_it() {
        let suspension = Suspension {
            by: "Ada".to_owned(),
            reason: "we move".to_owned(),
            since_ms: 0,
            until_ms: Some(5000),
        };
        let quarantine = Quarantined {
            commit: "bad".to_owned(),
            objects: ordain_reconciler_journal::Digest::of(b""),
            to: "good".to_owned(),
            restores: None,
            rollback: None,
            reasons: vec!["crashes".to_owned()],
            by: "Ada".to_owned(),
            since_ms: 0,
        };
        let open = View {
            is_rollback: false,
            is_standing: false,
            suspension: None,
            quarantine: None,
            window: verdict(true),
        };
        assert_eq!(decide(&open), Decision::Follow);
        let closed = View {
            window: verdict(false),
            ..open
        };
        let until = Timestamp::from_second(60).ok();
        let why = "closed".to_owned();
        assert_eq!(decide(&closed), Decision::Stay { until, why });
        // What stands is not taken away by a window, and a rollback does not wait for one.
        for (is_standing, is_rollback) in [(true, false), (false, true)] {
            let view = View {
                is_standing,
                is_rollback,
                window: verdict(false),
                ..open_view()
            };
            assert_eq!(decide(&view), Decision::Follow);
        }
        let bad = View {
            quarantine: Some(&quarantine),
            ..open_view()
        };
        let why = "commit bad was rolled back to good by Ada: crashes".to_owned();
        assert_eq!(decide(&bad), Decision::Stay { until: None, why });
        // A suspension is stronger than all.
        let both = View {
            suspension: Some(&suspension),
            quarantine: Some(&quarantine),
            ..open_view()
        };
        let until = Timestamp::from_second(5).ok();
        let why = "suspended by Ada: we move".to_owned();
        assert_eq!(decide(&both), Decision::Rest { until, why });
    }

    fn open_view() -> View<'static> {
        View {
            is_rollback: false,
            is_standing: false,
            suspension: None,
            quarantine: None,
            window: verdict(true),
        }
    }
}
