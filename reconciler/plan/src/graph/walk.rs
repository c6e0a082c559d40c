//! Goes through a graph while objects are applied: what may go next, what is stopped, and by what.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
};

use serde::Serialize;

use super::{Arrow, Demand, External, Graph, Node, Why};
use crate::ObjectKey;

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Something it waits for is not there yet.
    Waiting,
    /// Nothing stops it; it may be under way.
    Ready,
    Applied,
    Healthy,
    /// It was applied, and will not become healthy by itself.
    Degraded(String),
    Failed(String),
    /// Something it needs failed.
    Blocked,
}

impl State {
    fn meets(&self, demand: Demand) -> bool {
        match self {
            Self::Waiting | Self::Ready => false,
            Self::Failed(_) | Self::Blocked => demand == Demand::Tried,
            Self::Applied | Self::Degraded(_) => demand <= Demand::Applied,
            Self::Healthy => true,
        }
    }

    /// True when whoever demands this of it need not wait any longer.
    fn stops(&self, demand: Demand) -> bool {
        match self {
            Self::Failed(_) | Self::Blocked => demand > Demand::Tried,
            Self::Degraded(_) => demand == Demand::Healthy,
            _ => false,
        }
    }
}

/// What [`Graph::ready`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// May be applied now, in order.
    pub ready: Vec<ObjectKey>,
    /// Cannot be applied because something failed.
    pub blocked: Vec<Blocked>,
    /// Wait for something that is under way or not healthy yet.
    pub waiting: Vec<Blocked>,
}

/// An object that cannot go on, with the chain from it to the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// The object.
    pub key: ObjectKey,
    /// What it waits for, what that waits for, and so on. The last link is the cause.
    pub chain: Vec<Link>,
}

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What is waited for: an object, or something outside of the set, by name.
    pub on: String,
    /// What has to be true of it.
    pub demand: Demand,
    /// Why it is waited for.
    pub why: Why,
    /// How it stands.
    pub standing: Standing,
}

/// How something that is waited for stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It waits itself; the next link says for what.
    Waits,
    /// It is about to be applied.
    Underway,
    /// It was applied and is not healthy yet, in words where they are known.
    NotHealthy(String),
    /// It failed, in words.
    Failed(String),
    /// It is outside of the set and not ready.
    Elsewhere,
}

impl fmt::Display for Blocked {
    /// `waits for A (volume), which waits for B (its namespace), which failed: forbidden`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, link) in self.chain.iter().enumerate() {
            let which = if at == 0 { "" } else { ", which " };
            write!(out, "{which}waits for {} ({})", link.on, link.why)?;
            match &link.standing {
                Standing::Waits => {}
                Standing::Underway => out.write_str(", which is not applied yet")?,
                Standing::NotHealthy(words) if words.is_empty() => {
                    out.write_str(", which is not healthy yet")?
                }
                Standing::NotHealthy(words) => write!(out, ", which is not healthy yet: {words}")?,
                Standing::Failed(words) => write!(out, ", which failed: {words}")?,
                Standing::Elsewhere => out.write_str(", which is not ready")?,
            }
        }
        Ok(())
    }
}

/// The state of a pass over a graph. Each object is handed out once, when everything it waits for is there.
///
/// ```text
/// let graph = Graph::new(&desired);
/// let mut walk = Walk::new(&graph);
/// loop {
///     for key in walk.take() { start applying key }
///     match next result { Ok → walk.applied(&key) or walk.healthy(&key), Err → walk.failed(&key, reason) }
///     if walk.is_finished() { break }
/// }
/// for blocked in walk.blocked() { report "{key} {blocked}" }
/// ```
#[derive(Debug, Clone)]
pub struct Walk<'g> {
    graph: &'g Graph,
    states: Vec<State>,
    /// Arrows of each node whose demand is not met.
    unmet: Vec<usize>,
    /// Objects that are ready and not handed out, by place.
    queue: BTreeSet<(usize, usize)>,
    /// What is known of the health of objects that are not healthy.
    words: Vec<String>,
}

impl<'g> Walk<'g> {
    /// Begins a pass. Objects with problems begin as failed.
    #[must_use]
    pub fn new(graph: &'g Graph) -> Self {
        let mut walk = Self::begin(graph, false);
        for (at, problem) in &graph.problems {
            walk.set(*at, State::Failed(problem.clone()));
        }
        walk
    }

    /// Without regard for problems, and with everything outside of the set there.
    pub(super) fn unchecked(graph: &'g Graph) -> Self {
        Self::begin(graph, true)
    }

    fn begin(graph: &'g Graph, elsewhere: bool) -> Self {
        let count = graph.nodes.len();
        let mut walk = Self {
            graph,
            states: vec![State::Waiting; count],
            unmet: graph.arrows.iter().map(Vec::len).collect(),
            queue: BTreeSet::new(),
            words: vec![String::new(); count],
        };
        let free: Vec<_> = (0..count).filter(|at| walk.unmet[*at] == 0).collect();
        for at in free {
            if matches!(graph.nodes[at], Node::External(_)) && !elsewhere {
                walk.states[at] = State::Ready;
            } else if walk.states[at] == State::Waiting {
                walk.free(at);
            }
        }
        walk
    }

    /// The objects that may be applied now and were not handed out before, in order.
    pub fn take(&mut self) -> Vec<ObjectKey> {
        let mut taken = Vec::with_capacity(self.queue.len());
        while let Some(at) = self.pop() {
            taken.push(self.graph.key(at).clone());
        }
        taken
    }

    /// The first of [`Walk::take`] alone, for whoever has room for one.
    pub fn take_one(&mut self) -> Option<ObjectKey> {
        let at = self.pop()?;
        Some(self.graph.key(at).clone())
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        self.queue.pop_first().map(|(_, at)| at)
    }

    pub(super) fn settle(&mut self, at: usize) {
        self.set(at, State::Healthy);
    }

    /// Tells that an object was applied, or was as declared, and may become healthy.
    pub fn applied(&mut self, key: &ObjectKey) {
        self.tell(key, State::Applied);
    }

    /// Tells that an object was applied and is healthy.
    pub fn healthy(&mut self, key: &ObjectKey) {
        self.tell(key, State::Healthy);
    }

    /// Tells why an applied object is not healthy, for the chains.
    pub fn unhealthy(&mut self, key: &ObjectKey, words: &str) {
        if let Some(&at) = self.graph.index.get(key) {
            words.clone_into(&mut self.words[at]);
            self.tell(key, State::Applied);
        }
    }

    /// Tells that an applied object will not become healthy by itself. Who waits for its health is blocked, until
    /// [`Walk::healthy`]; who only needs it to be there goes on.
    pub fn degraded(&mut self, key: &ObjectKey, words: &str) {
        self.tell(key, State::Degraded(words.to_owned()));
    }

    /// Tells that an object could not be applied. What needs it is blocked, until [`Walk::applied`].
    pub fn failed(&mut self, key: &ObjectKey, reason: &str) {
        self.tell(key, State::Failed(reason.to_owned()));
    }

    /// Tells that something outside of the set is there and healthy.
    pub fn external(&mut self, external: &External) {
        let same = |node: &Node| matches!(node, Node::External(found) if found == external);
        if let Some(at) = self.graph.nodes.iter().position(same) {
            self.set(at, State::Healthy);
        }
    }

    /// True when every object was applied, failed, or is blocked: nothing more comes of waiting for writes or health.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let open = |state: &State| matches!(state, State::Waiting | State::Ready);
        !self.objects().any(|at| open(&self.states[at]))
    }

    /// True when nothing is ready or under way, though objects may wait for health or for something elsewhere.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.objects().any(|at| self.states[at] == State::Ready)
    }

    /// Objects that are stopped by a failure, in order.
    #[must_use]
    pub fn blocked(&self) -> Vec<Blocked> {
        self.chains(|state| *state == State::Blocked)
    }

    /// Objects that wait for something that may still come, in order.
    #[must_use]
    pub fn waiting(&self) -> Vec<Blocked> {
        self.chains(|state| *state == State::Waiting)
    }

    /// Why an object does not go on; `None` when nothing stops it.
    #[must_use]
    pub fn why(&self, key: &ObjectKey) -> Option<Blocked> {
        let at = *self.graph.index.get(key)?;
        matches!(self.states[at], State::Waiting | State::Blocked).then(|| self.chain(at))
    }

    fn objects(&self) -> impl Iterator<Item = usize> {
        (0..self.graph.nodes.len()).filter(|at| self.graph.is_object(*at))
    }

    fn tell(&mut self, key: &ObjectKey, state: State) {
        let Some(&at) = self.graph.index.get(key) else {
            return;
        };
        let better = |demand| self.states[at].stops(demand) && !state.stops(demand);
        if better(Demand::Applied) || better(Demand::Healthy) {
            self.start_over_with(at, state);
        } else {
            self.set(at, state);
        }
    }

    /// Something that had failed works now: what it blocked has to be free again.
    fn start_over_with(&mut self, at: usize, state: State) {
        let old = std::mem::take(&mut self.states);
        let out: Vec<_> = (0..old.len())
            .filter(|node| old[*node] == State::Ready)
            .filter(|node| !self.queue.contains(&(self.graph.place[*node], *node)))
            .collect();
        let words = std::mem::take(&mut self.words);
        *self = Self {
            words,
            ..Self::new(self.graph)
        };
        for (node, old) in old.into_iter().enumerate() {
            let told = !matches!(old, State::Waiting | State::Ready | State::Blocked);
            if node != at && told && !matches!(self.graph.nodes[node], Node::Gate) {
                self.set(node, old);
            }
        }
        self.set(at, state);
        for node in out {
            self.queue.remove(&(self.graph.place[node], node));
        }
    }

    fn free(&mut self, at: usize) {
        match self.graph.nodes[at] {
            Node::Object(_) => {
                self.states[at] = State::Ready;
                self.queue.insert((self.graph.place[at], at));
            }
            Node::Gate | Node::External(_) => self.set(at, State::Healthy),
        }
    }

    /// Changes a state, and everything that follows from it.
    fn set(&mut self, at: usize, state: State) {
        let mut changes = VecDeque::from([(at, state)]);
        while let Some((at, state)) = changes.pop_front() {
            let before = std::mem::replace(&mut self.states[at], state);
            if before == self.states[at] {
                continue;
            }
            if before == State::Ready {
                self.queue.remove(&(self.graph.place[at], at));
            }
            let graph = self.graph;
            for &(from, demand) in &graph.waiting[at] {
                let now = &self.states[at];
                if !before.meets(demand) && now.meets(demand) {
                    self.unmet[from] -= 1;
                } else if before.meets(demand) && !now.meets(demand) {
                    self.unmet[from] += 1;
                }
                if self.states[from] != State::Waiting {
                    continue;
                }
                if self.states[at].stops(demand) {
                    changes.push_back((from, State::Blocked));
                } else if self.unmet[from] == 0 {
                    match graph.nodes[from] {
                        Node::Object(_) => self.free(from),
                        Node::Gate | Node::External(_) => changes.push_back((from, State::Healthy)),
                    }
                }
            }
        }
    }

    fn chains(&self, wanted: impl Fn(&State) -> bool) -> Vec<Blocked> {
        let mut found: Vec<_> = self
            .objects()
            .filter(|at| wanted(&self.states[*at]))
            .collect();
        found.sort_by_key(|at| self.graph.place[*at]);
        found.into_iter().map(|at| self.chain(at)).collect()
    }

    fn chain(&self, start: usize) -> Blocked {
        let mut chain = Vec::new();
        let mut at = start;
        while let Some(arrow) = self.worst(at) {
            // A gate is no thing that anybody knows: what it waits for is.
            let mut on = arrow.on;
            let mut inner = arrow;
            while matches!(self.graph.nodes[on], Node::Gate) {
                let Some(next) = self.worst(on) else { break };
                (inner, on) = (next, next.on);
            }
            let standing = self.standing(on);
            let ends = standing != Standing::Waits;
            let why = if matches!(inner.why, Why::Wave(_) | Why::Phase(_)) {
                &inner.why
            } else {
                &arrow.why
            };
            chain.push(Link {
                on: self.name(on),
                demand: inner.demand,
                why: why.clone(),
                standing,
            });
            if ends {
                break;
            }
            at = on;
        }
        Blocked {
            key: self.graph.key(start).clone(),
            chain,
        }
    }

    /// What stops a node most: a failure before a delay, then by place.
    fn worst(&self, at: usize) -> Option<&Arrow> {
        let unmet = self.graph.arrows[at].iter();
        let unmet = unmet.filter(|arrow| !self.states[arrow.on].meets(arrow.demand));
        unmet.min_by_key(|arrow| {
            let stopped = self.states[arrow.on].stops(arrow.demand);
            (!stopped, self.graph.place[arrow.on])
        })
    }

    fn standing(&self, at: usize) -> Standing {
        match (&self.states[at], &self.graph.nodes[at]) {
            (_, Node::External(_)) => Standing::Elsewhere,
            (State::Waiting | State::Blocked, _) => Standing::Waits,
            (State::Ready, _) => Standing::Underway,
            (State::Applied | State::Healthy, _) => Standing::NotHealthy(self.words[at].clone()),
            (State::Failed(reason) | State::Degraded(reason), _) => {
                Standing::Failed(reason.clone())
            }
        }
    }

    fn name(&self, at: usize) -> String {
        match &self.graph.nodes[at] {
            Node::Object(key) => key.to_string(),
            Node::External(external) => external.to_string(),
            Node::Gate => "an earlier wave".to_owned(),
        }
    }
}
