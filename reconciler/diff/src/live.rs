//! What is known of the live state: one look per object, from a cluster's dry runs or from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use ordain_reconciler_plan::{
    Breaker, Claims, Ignores, ObjectKey, Rules, SetObject, kept_from, prepare,
};
use serde_json::Value;

use crate::{
    Facts, Held, Side, Snapshot, Verb,
    digest::{DigestKey, settle_secret},
    is_namespaced,
};

/// Where a live state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveSource {
    /// An API server that was asked.
    Cluster,
    /// A signed snapshot of what was applied.
    Snapshot,
}

/// The live state as far as it was looked at.
#[derive(Debug, Clone)]
pub struct Live {
    /// What it is called.
    pub side: Side,
    /// Where it comes from.
    pub source: LiveSource,
    /// Objects by environment and identity, with their namespaces filled in.
    pub looks: BTreeMap<(String, ObjectKey), Look>,
    /// Apps whose deletions wait.
    pub held: Vec<Held>,
    /// Secret values which only a digest is known of and which could not be compared.
    pub not_compared: usize,
}

/// One live object, and what applying the head does to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Its app.
    pub app: String,
    /// As it is; `None` when it does not exist.
    pub now: Option<Value>,
    /// As it would be.
    pub after: After,
    /// Values of it that only a digest is known of; they are taken for equal.
    pub not_compared: usize,
    /// `file:line` of its source.
    pub at: Option<String>,
}

/// What becomes of a live object.
#[derive(Debug, Clone, PartialEq)]
pub enum After {
    /// It would be this.
    Would(Value),
    /// It is deleted and made again as this, when that is known.
    Replaced(Option<Value>),
    /// It is not declared any more: `delete`, `held` or `keep`, and why.
    Gone(Verb, String),
    /// The server refuses it.
    Refused {
        /// In the server's words.
        message: String,
        /// The fields that it says are immutable.
        immutable: Vec<String>,
    },
    /// It cannot be tried yet, and why.
    Later(String),
}

/// Every object of a snapshot, whichever app or environment has it.
fn everything(snapshot: &Snapshot) -> BTreeMap<ObjectKey, &Value> {
    let objects = snapshot.apps.iter().flat_map(|app| &app.objects);
    let keyed = objects.filter_map(|object| Some((ObjectKey::of(object)?, object)));
    keyed.collect()
}

/// The rules by which the reconciler of a snapshot would apply the head.
fn rules(snapshot: &Snapshot, head: &[SetObject], facts: &Facts) -> Rules {
    let mut apps: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for object in head {
        let app = apps.entry((&object.env, &object.app)).or_default();
        app.push(&object.object);
    }
    let mut claims = Claims::default();
    for ((env, app), objects) in apps {
        claims.set(&format!("{env}/{app}"), facts.namespace(env), objects);
    }
    // Apps that the head does not have any more give away what they have.
    for app in &snapshot.apps {
        claims.know(&format!("{}/{}", app.env, app.app));
    }
    Rules {
        // Checked when the file was read.
        ignores: Ignores::new(&snapshot.rules.ignores).unwrap_or_default(),
        take_from: snapshot.rules.take_from.clone(),
        claims: Some(claims),
        ..Rules::default()
    }
}

impl Live {
    /// Compares the head with a snapshot, without a cluster. `env` leaves out every other environment.
    ///
    /// The values of Secrets are told apart by their references or, with `key`, by their digests; where neither
    /// can be done they are taken for equal and counted in [`Live::not_compared`].
    #[must_use]
    pub fn of_snapshot(
        snapshot: &Snapshot,
        head: &[SetObject],
        facts: &Facts,
        env: Option<&str>,
        key: Option<&DigestKey>,
    ) -> Self {
        let mut looks = BTreeMap::new();
        let mut not_compared = 0;
        let wanted = |name: &str| env.is_none_or(|env| env == name);
        let (rules, everything) = (rules(snapshot, head, facts), everything(snapshot));
        let mut applied: BTreeMap<(String, ObjectKey), (String, &Value)> = BTreeMap::new();
        for app in snapshot.apps.iter().filter(|app| wanted(&app.env)) {
            for object in &app.objects {
                if let Some(key) = ObjectKey::of(object) {
                    applied.insert((app.env.clone(), key), (app.app.clone(), object));
                }
            }
        }
        let known: Vec<&str> = snapshot.apps.iter().map(|app| app.env.as_str()).collect();
        // An environment that the snapshot does not know runs somewhere else.
        for object in head
            .iter()
            .filter(|object| wanted(&object.env) && known.contains(&object.env.as_str()))
        {
            let owner = format!("{}/{}", object.env, object.app);
            let prepared = prepare(
                object.object.clone(),
                object.at.clone(),
                is_namespaced(&object.object, head, facts.kubernetes(&object.env)),
                facts.namespace(&object.env),
                &owner,
            );
            let Some(mut prepared) = prepared else {
                continue;
            };
            let identity = (object.env.clone(), prepared.key.clone());
            let now = applied.remove(&identity).map(|(_, now)| now.clone());
            let unknown = match &now {
                Some(now) => settle_secret(now, &mut prepared.object, key),
                None => 0,
            };
            not_compared += unknown;
            let live = now.as_ref().or(everything.get(&prepared.key).copied());
            let after = match (kept_from(&owner, &prepared, live, &rules), &now) {
                (Some(message), _) => After::Refused {
                    message,
                    immutable: Vec::new(),
                },
                // What is left to others is not sent.
                (None, Some(now)) => {
                    let ignored = rules.ignored(&prepared, now);
                    After::Would(ignored.payload(&prepared.object, now))
                }
                (None, None) => After::Would(prepared.object),
            };
            let look = Look {
                app: object.app.clone(),
                now,
                after,
                not_compared: unknown,
                at: object.at.clone(),
            };
            looks.insert(identity, look);
        }
        for (identity, (app, object)) in applied {
            let look = Look {
                app,
                now: Some(object.clone()),
                after: After::Gone(Verb::Delete, "no longer declared".to_owned()),
                not_compared: 0,
                at: None,
            };
            looks.insert(identity, look);
        }
        let held = hold(&mut looks, facts.breaker);
        Self {
            side: Side::named(snapshot.title()),
            source: LiveSource::Snapshot,
            looks,
            held,
            not_compared,
        }
    }
}

/// Why the deletions of an app wait. An app that declares nothing is more often a mistake than a wish.
pub(crate) fn held_reasons(
    deletes: &[&ObjectKey],
    total: usize,
    is_declared: bool,
    breaker: Breaker,
) -> Vec<String> {
    if deletes.is_empty() {
        return Vec::new();
    }
    let mut reasons = breaker.check(deletes, total);
    if reasons.is_empty() && !is_declared {
        reasons.push("nothing is declared any more".to_owned());
    }
    reasons
}

/// Lets the prune breaker hold deletions, as the reconciler would.
fn hold(looks: &mut BTreeMap<(String, ObjectKey), Look>, breaker: Breaker) -> Vec<Held> {
    let mut apps: BTreeMap<(String, String), (Vec<ObjectKey>, usize)> = BTreeMap::new();
    for ((env, key), look) in looks.iter() {
        let entry = apps.entry((env.clone(), look.app.clone())).or_default();
        entry.1 += usize::from(look.now.is_some());
        if matches!(look.after, After::Gone(Verb::Delete, _)) {
            entry.0.push(key.clone());
        }
    }
    let declared: BTreeSet<(String, String)> = looks
        .iter()
        .filter(|(_, look)| !matches!(look.after, After::Gone(..)))
        .map(|((env, _), look)| (env.clone(), look.app.clone()))
        .collect();
    let mut held = Vec::new();
    for ((env, app), (deletes, total)) in apps {
        let keys: Vec<&ObjectKey> = deletes.iter().collect();
        let reasons = held_reasons(
            &keys,
            total,
            declared.contains(&(env.clone(), app.clone())),
            breaker,
        );
        if deletes.is_empty() || reasons.is_empty() {
            continue;
        }
        for key in deletes {
            if let Some(look) = looks.get_mut(&(env.clone(), key)) {
                look.after = After::Gone(Verb::Held, "waits for an approval".to_owned());
            }
        }
        held.push(Held {
            env,
            app,
            reasons,
            hash: None,
        });
    }
    held
}
