//! What has to be there before what: the order of a set of objects, from what they say about each other.
//!
//! Real references become edges (a mount, a role, a namespace), annotations become edges (`ordain.dev/after`, waves),
//! and the order of kinds decides between objects that do not know each other. So one bad object stops only what
//! depends on it. Whether something was applied or is healthy is told to a [`Walk`]; nothing here looks.

mod build;
mod cycles;
mod explicit;
mod phase;
mod references;
mod walk;

use std::{collections::HashMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::{Desired, ObjectKey};

pub use explicit::{AFTER_ANNOTATION, WAVE_ANNOTATION};
pub(crate) use phase::is_another_run;
pub use phase::{PHASE_ANNOTATION, Phase, RUN_ANNOTATION, run_of, set_run, stamp};
pub use walk::{Blocked, Link, Ready, Standing, Walk};

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Order alone: that it was tried. Its failure stops nobody.
    Tried,
    /// That it was applied.
    Applied,
    /// That it was applied and is healthy: a definition is established, a namespace active, a rollout complete.
    Healthy,
}

/// Why one object waits for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It lives in this namespace.
    Namespace,
    /// Its kind is defined by it.
    Definition,
    /// It refers to it, in words: `volume`, `service account`, `role`.
    Reference(&'static str),
    /// An annotation says so; this one.
    Annotation(&'static str),
    /// It belongs to a later wave than this one.
    Wave(i64),
    /// This phase comes before its own.
    Phase(Phase),
    /// It is better tried later, in words: `policies come before workloads`.
    Order(&'static str),
}

impl Why {
    /// True when the dependency is of no use, or cannot exist, without what it waits for; so the one it waits
    /// for is not deleted under it.
    #[must_use]
    pub fn needs(&self) -> bool {
        match self {
            Self::Namespace | Self::Definition | Self::Annotation(_) => true,
            Self::Reference(what) => references::NEEDED.contains(what),
            Self::Wave(_) | Self::Phase(_) | Self::Order(_) => false,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace => out.write_str("its namespace"),
            Self::Definition => out.write_str("defines its kind"),
            Self::Reference(what) => out.write_str(what),
            Self::Annotation(name) => write!(out, "`{name}`"),
            Self::Wave(wave) => write!(out, "wave {wave}"),
            Self::Phase(phase) => write!(out, "phase {phase}"),
            Self::Order(words) => out.write_str(words),
        }
    }
}

/// Something outside of the set which an object waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum External {
    /// Another app of the same environment.
    App(String),
    /// An object that this set does not declare.
    Object {
        /// The API group, when the annotation names one.
        group: Option<String>,
        /// The kind.
        kind: String,
        /// The namespace; the dependent's own one when the annotation names none.
        namespace: Option<String>,
        /// The name.
        name: String,
    },
}

impl fmt::Display for External {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(name) => write!(out, "app {name}"),
            Self::Object {
                group,
                kind,
                namespace,
                name,
            } => {
                let (group, namespace) = (group.clone().unwrap_or_default(), namespace.clone());
                let key = ObjectKey {
                    group,
                    kind: kind.clone(),
                    namespace,
                    name: name.clone(),
                };
                key.fmt(out)
            }
        }
    }
}

/// One edge, for people and for tests. Waves and orders of kinds are told as the pairs they stand for only by a
/// [`Walk`]'s chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge<'a> {
    /// What waits.
    pub from: &'a ObjectKey,
    /// What it waits for.
    pub on: &'a ObjectKey,
    /// What has to be true of it.
    pub demand: Demand,
    /// Why.
    pub why: &'a Why,
}

/// A thing in the graph. Objects come first, in the order in which they were given.
#[derive(Debug, Clone)]
enum Node {
    Object(ObjectKey),
    External(External),
    /// Stands for all of its dependencies at once, so that n objects before m ones are n + m edges.
    Gate,
}

/// An edge seen from its dependent.
#[derive(Debug, Clone)]
struct Arrow {
    on: usize,
    demand: Demand,
    why: Why,
}

/// The order of a set of objects. Without cycles by construction.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    index: HashMap<ObjectKey, usize>,
    arrows: Vec<Vec<Arrow>>,
    /// From a dependency to who waits for it and what it demands.
    waiting: Vec<Vec<(usize, Demand)>>,
    /// Where each node stands between nodes that do not wait for each other: kinds, then names.
    place: Vec<usize>,
    problems: Vec<(usize, String)>,
}

impl Graph {
    /// The order of what a commit declares. `desired` names no object twice.
    #[must_use]
    pub fn new(desired: &[Desired]) -> Self {
        Self::of(
            desired
                .iter()
                .map(|desired| (&desired.key, &desired.object)),
        )
    }

    /// The order of any objects, such as live ones that are about to be deleted.
    #[must_use]
    pub fn of<'a>(objects: impl IntoIterator<Item = (&'a ObjectKey, &'a Value)>) -> Self {
        build::build(&objects.into_iter().collect::<Vec<_>>())
    }

    /// The order in which objects are deleted: dependents first, each gone before what it stands on.
    ///
    /// In a [`Walk`] over it `applied` means that the delete was accepted and `healthy` that the object is gone.
    #[must_use]
    pub fn for_deletion<'a>(objects: impl IntoIterator<Item = (&'a ObjectKey, &'a Value)>) -> Self {
        build::for_deletion(&objects.into_iter().collect::<Vec<_>>())
    }

    /// Every object in an order that respects every edge, and the order of kinds where there is none.
    #[must_use]
    pub fn order(&self) -> Vec<&ObjectKey> {
        let mut walk = Walk::unchecked(self);
        let mut order = Vec::new();
        loop {
            let Some(next) = walk.pop() else { return order };
            order.push(self.key(next));
            walk.settle(next);
        }
    }

    /// The edges between two objects.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        let nodes = self.nodes.iter().zip(&self.arrows);
        nodes.flat_map(move |(node, arrows)| {
            arrows
                .iter()
                .filter_map(move |arrow| match (node, &self.nodes[arrow.on]) {
                    (Node::Object(from), Node::Object(on)) => Some(Edge {
                        from,
                        on,
                        demand: arrow.demand,
                        why: &arrow.why,
                    }),
                    _ => None,
                })
        })
    }

    /// What objects wait for outside of the set. Until a [`Walk`] is told about one, its dependents wait.
    pub fn externals(&self) -> impl Iterator<Item = &External> {
        self.nodes.iter().filter_map(|node| match node {
            Node::External(external) => Some(external),
            _ => None,
        })
    }

    /// What is wrong with annotations about order: cycles, by name, and texts that mean nothing. A [`Walk`]
    /// begins with these objects failed.
    pub fn problems(&self) -> impl Iterator<Item = (&ObjectKey, &str)> {
        let problems = self.problems.iter();
        problems.map(|(at, problem)| (self.key(*at), problem.as_str()))
    }

    /// Says what can be applied now, and what cannot and why; for callers without a [`Walk`] at hand.
    ///
    /// `done` says what is true of an object, `failed` why one did not work.
    #[must_use]
    pub fn ready(
        &self,
        done: &HashMap<ObjectKey, Demand>,
        failed: &HashMap<ObjectKey, String>,
    ) -> Ready {
        let mut walk = Walk::new(self);
        for (key, demand) in done {
            match demand {
                Demand::Healthy => walk.healthy(key),
                Demand::Applied => walk.applied(key),
                Demand::Tried => {}
            }
        }
        for (key, reason) in failed {
            walk.failed(key, reason);
        }
        let mut ready = walk.take();
        ready.retain(|key| !done.contains_key(key) && !failed.contains_key(key));
        Ready {
            ready,
            blocked: walk.blocked(),
            waiting: walk.waiting(),
        }
    }

    fn key(&self, at: usize) -> &ObjectKey {
        match &self.nodes[at] {
            Node::Object(key) => key,
            _ => unreachable!("only objects are asked for their keys"),
        }
    }

    fn is_object(&self, at: usize) -> bool {
        matches!(self.nodes[at], Node::Object(_))
    }
}
