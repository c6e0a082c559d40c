//! From objects to a graph: edges that they name, edges that people wrote, waves, and the order of kinds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    Arrow, Demand, External, Graph, Node, Phase, Why,
    cycles::{Link, Strength, break_cycles},
    explicit,
    references::{self, pod_spec, pod_template, service_account},
};
use crate::{ObjectKey, json, order};

type Objects<'a> = [(&'a ObjectKey, &'a Value)];

struct Builder<'a> {
    objects: &'a Objects<'a>,
    nodes: Vec<Node>,
    index: HashMap<ObjectKey, usize>,
    externals: BTreeMap<External, usize>,
    edges: Vec<(usize, Arrow)>,
    problems: Vec<(usize, String)>,
    /// Where each object stands: its phase, and its wave in that.
    waves: Vec<(Phase, i64)>,
}

pub(super) fn build(objects: &Objects<'_>) -> Graph {
    let mut builder = begin(objects);
    builder.kinds();
    builder.break_cycles();
    builder.finish()
}

/// The order in which objects are deleted. Custom objects go before their definitions, and both before anything else
/// that may serve them: their finalizers and conversion webhooks have to answer until then (kapp's default rules).
pub(super) fn for_deletion(objects: &Objects<'_>) -> Graph {
    let mut builder = begin(objects);
    builder.kinds();
    builder.definitions_before_servers();
    builder.break_cycles();
    reversed(&builder.finish())
}

fn begin<'a>(objects: &'a Objects<'a>) -> Builder<'a> {
    let nodes = objects
        .iter()
        .map(|(key, _)| Node::Object((*key).clone()))
        .collect();
    let index = objects
        .iter()
        .enumerate()
        .map(|(at, (key, _))| ((*key).clone(), at))
        .collect();
    let mut builder = Builder {
        objects,
        nodes,
        index,
        externals: BTreeMap::new(),
        edges: Vec::new(),
        problems: Vec::new(),
        waves: vec![(Phase::During, 0); objects.len()],
    };
    builder.namespaces_and_definitions();
    builder.references();
    builder.webhooks();
    builder.explicit();
    builder.break_cycles();
    builder.waves();
    builder
}

impl Builder<'_> {
    fn edge(&mut self, from: usize, on: usize, demand: Demand, why: Why) {
        self.edges.push((from, Arrow { on, demand, why }));
    }

    fn gate(&mut self) -> usize {
        self.nodes.push(Node::Gate);
        self.nodes.len() - 1
    }

    /// What the server insists on: without these an object cannot even be sent.
    fn namespaces_and_definitions(&mut self) {
        let mut definitions = HashMap::new();
        for (at, (key, object)) in self.objects.iter().enumerate() {
            if key.is("apiextensions.k8s.io", "CustomResourceDefinition") {
                let kind = (
                    json::text(object, "/spec/group"),
                    json::text(object, "/spec/names/kind"),
                );
                definitions.insert(kind, at);
            }
        }
        for (from, (key, _)) in self.objects.iter().enumerate() {
            if let Some(name) = &key.namespace {
                let namespace = ObjectKey {
                    group: String::new(),
                    kind: "Namespace".to_owned(),
                    namespace: None,
                    name: name.clone(),
                };
                if let Some(&on) = self.index.get(&namespace) {
                    self.edge(from, on, Demand::Healthy, Why::Namespace);
                }
            }
            if let Some(&on) = definitions.get(&(key.group.as_str(), key.kind.as_str())) {
                self.edge(from, on, Demand::Healthy, Why::Definition);
            }
        }
    }

    fn references(&mut self) {
        for (from, (key, object)) in self.objects.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for reference in references::references(key, object) {
                let Some(on) = self.find(&reference.target) else {
                    continue;
                };
                // A container and its volume may name the same ConfigMap; the stronger demand stays.
                if on != from && seen.insert((on, reference.demand)) {
                    self.edge(from, on, reference.demand, Why::Reference(reference.what));
                }
            }
        }
    }

    /// References do not always say whether their target lives in a namespace.
    fn find(&self, target: &ObjectKey) -> Option<usize> {
        let wide = || ObjectKey {
            namespace: None,
            ..target.clone()
        };
        let found = self.index.get(target);
        found.or_else(|| self.index.get(&wide())).copied()
    }

    /// Admission and aggregated APIs are switched on when who serves them is there; before, they would stop everything
    /// else, those who serve them included.
    fn webhooks(&mut self) {
        let asks = |why: &Why| matches!(why, Why::Reference("webhook" | "API service"));
        let served: Vec<_> = self
            .edges
            .iter()
            .filter(|(_, arrow)| asks(&arrow.why))
            .cloned()
            .collect();
        let mut backends: HashMap<usize, Vec<usize>> = HashMap::new();
        for (
            from,
            Arrow {
                on: service, why, ..
            },
        ) in served
        {
            let backends = backends
                .entry(service)
                .or_insert_with(|| self.behind(service))
                .clone();
            // A webhook without its pods refuses requests; an API without them is only not there yet.
            let demand = match why {
                Why::Reference("webhook") => Demand::Healthy,
                _ => Demand::Applied,
            };
            for on in backends {
                self.edge(from, on, demand, why.clone());
            }
        }
    }

    /// The workloads that a Service's selector takes pods from.
    fn behind(&self, service: usize) -> Vec<usize> {
        let (key, object) = self.objects[service];
        let Some(selector) = json::map(object, "/spec/selector").filter(|map| !map.is_empty())
        else {
            return Vec::new();
        };
        let selected = |(_, (other, workload)): &(usize, &(&ObjectKey, &Value))| {
            other.namespace == key.namespace
                && pod_template(workload).is_some_and(|template| {
                    let labels = json::map(template, "/metadata/labels");
                    selector.iter().all(|(name, value)| {
                        labels.and_then(|labels| labels.get(name)) == Some(value)
                    })
                })
        };
        self.objects
            .iter()
            .enumerate()
            .filter(selected)
            .map(|(at, _)| at)
            .collect()
    }

    fn explicit(&mut self) {
        for (from, (key, object)) in self.objects.iter().enumerate() {
            let (after, problems) = explicit::after(key, object);
            self.problems
                .extend(problems.into_iter().map(|problem| (from, problem)));
            for explicit::After { on, annotation } in after {
                for on in self.members(&on) {
                    self.edge(from, on, Demand::Healthy, Why::Annotation(annotation));
                }
            }
        }
    }

    /// The objects that an annotation names, or the node that stands for what is outside of the set.
    fn members(&mut self, on: &External) -> Vec<usize> {
        if let External::Object {
            group,
            kind,
            namespace,
            name,
        } = on
        {
            let found: Vec<_> = (self.objects.iter().enumerate())
                .filter(|(_, (key, _))| {
                    key.kind == *kind
                        && key.name == *name
                        && group.as_ref().is_none_or(|group| *group == key.group)
                        && (key.namespace.is_none() || key.namespace == *namespace)
                })
                .map(|(at, _)| at)
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        let nodes = &mut self.nodes;
        let at = *self.externals.entry(on.clone()).or_insert_with(|| {
            nodes.push(Node::External(on.clone()));
            nodes.len() - 1
        });
        vec![at]
    }

    fn break_cycles(&mut self) {
        let rank = |at: usize| match &self.nodes[at] {
            Node::Object(key) => order::rank(key),
            _ => 0,
        };
        let links: Vec<_> = (self.edges.iter())
            .map(|(from, arrow)| Link {
                from: *from,
                on: arrow.on,
                strength: match &arrow.why {
                    _ if arrow.demand == Demand::Tried => Strength::Order,
                    Why::Namespace | Why::Definition => Strength::Hard,
                    Why::Annotation(_) | Why::Wave(_) | Why::Phase(_) => Strength::Explicit,
                    Why::Reference(_) => Strength::Inferred,
                    Why::Order(_) => Strength::Order,
                },
                // An edge against the order of kinds gives way to one along it.
                against: usize::from(rank(arrow.on) > rank(*from)),
            })
            .collect();
        let broken = break_cycles(self.nodes.len(), &links);
        for cycle in &broken.cycles {
            let names: Vec<_> = cycle
                .iter()
                .chain(cycle.first())
                .map(|at| self.name(*at))
                .collect();
            let words = format!("waits for itself: {}", names.join(" waits for "));
            let objects = cycle.iter().filter(|at| **at < self.objects.len());
            self.problems.extend(objects.map(|at| (*at, words.clone())));
        }
        let dropped: BTreeSet<_> = broken.dropped.into_iter().collect();
        let mut at = 0..;
        self.edges
            .retain(|_| at.next().is_none_or(|at| !dropped.contains(&at)));
    }

    fn name(&self, at: usize) -> String {
        match &self.nodes[at] {
            Node::Object(key) => key.to_string(),
            Node::External(external) => external.to_string(),
            Node::Gate => "an earlier wave".to_owned(),
        }
    }

    /// Waves as gates between them. What an object of an early wave waits for belongs to that wave too (Argo CD
    /// moves Namespaces and definitions in front of their first user in the same way), so waves make no cycles.
    fn waves(&mut self) {
        let mut used = false;
        for (at, (_, object)) in self.objects.iter().enumerate() {
            match explicit::place(object) {
                Ok(place) => {
                    used |= place.is_some();
                    self.waves[at] = place.unwrap_or_default();
                }
                Err(problem) => self.problems.push((at, problem)),
            }
        }
        if !used {
            return;
        }
        self.pull_forward();
        let mut members: BTreeMap<(Phase, i64), Vec<usize>> = BTreeMap::new();
        for (at, wave) in self.waves.iter().enumerate() {
            members.entry(*wave).or_default().push(at);
        }
        let why = |(phase, wave)| match phase {
            Phase::During => Why::Wave(wave),
            phase => Why::Phase(phase),
        };
        let mut before: Option<(usize, (Phase, i64))> = None;
        for (wave, members) in members {
            if let Some((gate, earlier)) = before {
                for at in &members {
                    self.edge(*at, gate, Demand::Applied, why(earlier));
                }
            }
            let gate = self.gate();
            for at in members {
                self.edge(gate, at, Demand::Healthy, why(wave));
            }
            if let Some((earlier_gate, earlier)) = before {
                self.edge(gate, earlier_gate, Demand::Applied, why(earlier));
            }
            before = Some((gate, wave));
        }
    }

    /// Gives every dependency the earliest wave of those who wait for it.
    fn pull_forward(&mut self) {
        let mut next = vec![Vec::new(); self.nodes.len()];
        for (from, arrow) in &self.edges {
            next[*from].push(arrow.on);
        }
        let mut queue: Vec<usize> = (0..self.waves.len()).collect();
        queue.sort_by_key(|at| std::cmp::Reverse(self.waves[*at]));
        // From the earliest on, each object is settled by the first that reaches it.
        let mut settled = vec![false; self.nodes.len()];
        while let Some(start) = queue.pop() {
            let wave = self.waves[start];
            let mut stack = vec![start];
            while let Some(at) = stack.pop() {
                if std::mem::replace(&mut settled[at], true) {
                    continue;
                }
                if at < self.waves.len() {
                    self.waves[at] = self.waves[at].min(wave);
                }
                stack.extend(&next[at]);
            }
        }
    }

    /// The order of kinds where it matters without a reference, always within one wave: what governs pods before the
    /// pods, permissions before who needs them, admission after everything that it could stop.
    fn kinds(&mut self) {
        let mut policies: BTreeMap<(&str, (Phase, i64)), Vec<usize>> = BTreeMap::new();
        let mut bindings: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let mut hooks: BTreeMap<(Phase, i64), Vec<usize>> = BTreeMap::new();
        for (at, (key, object)) in self.objects.iter().enumerate() {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            match (key.group.as_str(), key.kind.as_str()) {
                ("", "ResourceQuota" | "LimitRange") | ("networking.k8s.io", "NetworkPolicy") => {
                    policies
                        .entry((namespace, self.waves[at]))
                        .or_default()
                        .push(at);
                }
                ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
                    for subject in json::items(object, "/subjects") {
                        let near = json::text(subject, "/namespace");
                        let near = if near.is_empty() { namespace } else { near };
                        let account = (near.to_owned(), json::text(subject, "/name").to_owned());
                        bindings.entry(account).or_default().push(at);
                    }
                }
                ("admissionregistration.k8s.io", _) => {
                    hooks.entry(self.waves[at]).or_default().push(at)
                }
                _ => {}
            }
        }
        self.policies_first(&policies);
        self.permissions_first(&bindings);
        self.admission_last(&hooks);
    }

    fn policies_first(&mut self, policies: &BTreeMap<(&str, (Phase, i64)), Vec<usize>>) {
        const WHY: Why = Why::Order("policies come before pods");
        let mut gates = BTreeMap::new();
        for (place, policies) in policies {
            let gate = self.gate();
            for &at in policies {
                self.edge(gate, at, Demand::Tried, WHY);
            }
            gates.insert(*place, gate);
        }
        if gates.is_empty() {
            return;
        }
        for (from, (key, object)) in self.objects.iter().enumerate() {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            let gate = gates.get(&(namespace, self.waves[from]));
            if let Some(&gate) = gate.filter(|_| pod_spec(object).is_some()) {
                self.edge(from, gate, Demand::Tried, WHY);
            }
        }
    }

    fn permissions_first(&mut self, bindings: &BTreeMap<(String, String), Vec<usize>>) {
        if bindings.is_empty() {
            return;
        }
        for (from, (key, object)) in self.objects.iter().enumerate() {
            let Some(spec) = pod_spec(object) else {
                continue;
            };
            let namespace = key.namespace.clone().unwrap_or_default();
            let account = (namespace, service_account(spec).to_owned());
            for &on in bindings.get(&account).into_iter().flatten() {
                if self.waves[on] <= self.waves[from] {
                    let why = Why::Order("permissions come before pods");
                    self.edge(from, on, Demand::Tried, why);
                }
            }
        }
    }

    fn admission_last(&mut self, hooks: &BTreeMap<(Phase, i64), Vec<usize>>) {
        const WHY: Why = Why::Order("admission is switched on last");
        for (wave, hooks) in hooks {
            let gate = self.gate();
            for (at, (key, _)) in self.objects.iter().enumerate() {
                if self.waves[at] == *wave && key.group != "admissionregistration.k8s.io" {
                    self.edge(gate, at, Demand::Tried, WHY);
                }
            }
            for &at in hooks {
                self.edge(at, gate, Demand::Tried, WHY);
            }
        }
    }

    /// For deletions alone, so told as it is applied: definitions after what serves them.
    fn definitions_before_servers(&mut self) {
        const WHY: Why = Why::Order("definitions are deleted before what serves them");
        let is_definition =
            |key: &ObjectKey| key.is("apiextensions.k8s.io", "CustomResourceDefinition");
        if !self.objects.iter().any(|(key, _)| is_definition(key)) {
            return;
        }
        let defined: BTreeSet<_> = self
            .edges
            .iter()
            .filter(|(_, arrow)| arrow.why == Why::Definition)
            .map(|(from, _)| *from)
            .collect();
        let gate = self.gate();
        for (at, (key, _)) in self.objects.iter().enumerate() {
            if is_definition(key) {
                self.edge(at, gate, Demand::Tried, WHY);
            } else if !defined.contains(&at) && !key.is("", "Namespace") {
                self.edge(gate, at, Demand::Tried, WHY);
            }
        }
    }

    fn finish(self) -> Graph {
        let mut sorted: Vec<usize> = (0..self.objects.len()).collect();
        sorted.sort_by_key(|at| (order::rank(self.objects[*at].0), self.objects[*at].0));
        graph(self.nodes, self.index, self.edges, &sorted, self.problems)
    }
}

fn graph(
    nodes: Vec<Node>,
    index: HashMap<ObjectKey, usize>,
    edges: Vec<(usize, Arrow)>,
    sorted: &[usize],
    problems: Vec<(usize, String)>,
) -> Graph {
    let mut arrows = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![Vec::new(); nodes.len()];
    for (from, arrow) in edges {
        waiting[arrow.on].push((from, arrow.demand));
        arrows[from].push(arrow);
    }
    let mut place = vec![0; nodes.len()];
    for (position, at) in sorted.iter().enumerate() {
        place[*at] = position;
    }
    Graph {
        nodes,
        index,
        arrows,
        waiting,
        place,
        problems,
    }
}

/// The same edges the other way round. What was only a matter of order is turned too; everything else demands that
/// the dependent is gone. Nothing outside of the set holds a deletion back, and nothing is wrong with it.
pub(super) fn reversed(forward: &Graph) -> Graph {
    let mut edges = Vec::new();
    for (from, arrows) in forward.arrows.iter().enumerate() {
        for arrow in arrows {
            if matches!(forward.nodes[arrow.on], Node::External(_)) {
                continue;
            }
            let gates = !forward.is_object(from) || !forward.is_object(arrow.on);
            let demand = match arrow.demand {
                Demand::Tried => Demand::Tried,
                _ if gates && !forward.is_object(arrow.on) => Demand::Healthy,
                _ if gates => Demand::Applied,
                _ => Demand::Healthy,
            };
            edges.push((
                arrow.on,
                Arrow {
                    on: from,
                    demand,
                    why: arrow.why.clone(),
                },
            ));
        }
    }
    let key = |at: usize| {
        (
            std::cmp::Reverse(order::rank(forward.key(at))),
            forward.key(at),
        )
    };
    let mut sorted: Vec<usize> = (0..forward.nodes.len())
        .filter(|at| forward.is_object(*at))
        .collect();
    sorted.sort_by(|a, b| key(*a).cmp(&key(*b)));
    graph(
        forward.nodes.clone(),
        forward.index.clone(),
        edges,
        &sorted,
        Vec::new(),
    )
}
