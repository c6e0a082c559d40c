//! Objects that are not as declared: what was refused, and what stands behind something else.

use std::fmt;

use ordain_reconciler_plan::{
    ObjectKey, Refusal,
    graph::{Blocked, Standing},
};

use crate::wire::lasting;

/// Why an object is not as declared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause {
    /// It cannot be applied itself.
    Refused(Refusal),
    /// Something that it needs cannot be applied, or failed.
    Blocked(Blocked),
    /// Something that it needs is on its way, or elsewhere.
    Waits(Blocked),
}

/// An object that is not as declared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stuck {
    pub(crate) key: ObjectKey,
    /// `file:line` of its source.
    pub(crate) at: Option<String>,
    pub(crate) cause: Cause,
    /// True when the server was not asked about it yet: that comes before it is written.
    pub(crate) untried: bool,
}

impl Stuck {
    /// Turns what waits for apps that wait for it into a failure that names them all.
    pub(crate) fn close(stuck: &mut [Self], circle: &[String]) {
        let words = circle.join(" waits for ");
        for stuck in stuck {
            let elsewhere = match &stuck.cause {
                Cause::Waits(waits) => waits.chain.iter().any(|link| {
                    link.standing == Standing::Elsewhere && link.on.starts_with("app ")
                }),
                Cause::Refused(_) | Cause::Blocked(_) => false,
            };
            if elsewhere {
                let message = format!("these apps wait for each other: {words}");
                stuck.cause = Cause::Refused(lasting(message));
            }
        }
    }

    /// True when nothing failed: it is only not its turn yet.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.cause, Cause::Waits(_))
    }

    /// True when trying again may help by itself.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.cause {
            Cause::Refused(refusal) => refusal.transient,
            Cause::Blocked(_) | Cause::Waits(_) => true,
        }
    }

    /// Why, without the object's name.
    pub(crate) fn reason(&self) -> String {
        match &self.cause {
            Cause::Refused(refusal) => refusal.message.clone(),
            Cause::Blocked(blocked) | Cause::Waits(blocked) => blocked.to_string(),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.key, self.reason())?;
        match &self.at {
            Some(at) => write!(out, " ({at})"),
            None => Ok(()),
        }
    }
}
