//! The reconciler's own plans as a live state: what it would do now, object by object.

use std::collections::BTreeMap;

use ordain_reconciler_plan::{ObjectKey, Plan, Verb as PlanVerb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{After, Held, Live, LiveSource, Look, Side, Verb};

/// A plan, and the objects that it was made from. Secrets are masked by whoever made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// What happens to each object, and why.
    pub plan: Plan,
    /// The objects as they are and as a dry run says they would be.
    pub looks: Vec<(ObjectKey, Option<Value>, Option<Value>)>,
}

/// Makes a live state of plans.
#[must_use]
pub fn of_plan(side: Side, plans: Vec<Planned>) -> Live {
    let mut live = Live {
        side,
        source: LiveSource::Cluster,
        looks: BTreeMap::new(),
        held: Vec::new(),
        not_compared: 0,
    };
    for Planned {
        env,
        app,
        plan,
        looks,
    } in plans
    {
        let mut seen: BTreeMap<ObjectKey, (Option<Value>, Option<Value>)> = looks
            .into_iter()
            .map(|(key, now, after)| (key, (now, after)))
            .collect();
        for action in plan.actions {
            let (now, after) = seen.remove(&action.key).unwrap_or_default();
            let after = match (action.verb, after) {
                (PlanVerb::Refused | PlanVerb::Blocked, _) => After::Refused {
                    immutable: Vec::new(),
                    message: action.reason,
                },
                (PlanVerb::Replace, after) => After::Replaced(after),
                (PlanVerb::Delete, _) => After::Gone(Verb::Delete, action.reason),
                (PlanVerb::Held, _) => After::Gone(Verb::Held, action.reason),
                (PlanVerb::Create | PlanVerb::Update | PlanVerb::Unchanged, Some(after)) => {
                    After::Would(after)
                }
                (PlanVerb::Create | PlanVerb::Update, None) => After::Later(action.reason),
                (_, _) => After::Gone(Verb::Keep, action.reason),
            };
            let look = Look {
                app: app.clone(),
                now,
                after,
                not_compared: 0,
                at: action.at,
            };
            live.looks.insert((env.clone(), action.key), look);
        }
        if !plan.held.is_empty() {
            live.held.push(Held {
                env,
                app,
                reasons: plan.held,
                hash: Some(plan.hash),
            });
        }
    }
    live
}
