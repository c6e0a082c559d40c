//! What the rules know of an object. It knows no rule.

use ordain_lang_syntax::{Name, Span};

use crate::selector::Selector;

/// Where a value was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The line that decides the value.
    pub span: Span,
    /// The line of the object's own field, when the value came there from elsewhere.
    pub through: Option<Span>,
}

/// Which object it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// `apps/v1`, `v1`.
    pub api_version: Name,
    /// The kind.
    pub kind: Name,
    /// The namespace; none for objects of the whole cluster.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

impl Identity {
    /// Returns the API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.api_version
            .as_str()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Returns `Deployment shop/web`, as diagnostics name it.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.namespace {
            // A message has no name.
            _ if self.name.is_empty() => self.kind.to_string(),
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// What the rules know of an object.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Which object it is.
    pub identity: Identity,
    /// The element of the app's `objects` which it is.
    pub at: Span,
    /// The namespace in which it is when it names none.
    pub(crate) fallback: Option<Box<str>>,
    pub(crate) refs: Vec<Ref>,
    pub(crate) selects: Option<Selects>,
    pub(crate) pods: Option<Box<Pods>>,
    /// The keys of a ConfigMap or Secret, when they are known.
    pub(crate) keys: Option<Vec<Box<str>>>,
    pub(crate) ports: Vec<Port>,
    /// That it says itself how many pods it has, and where.
    pub(crate) replicas: Option<Replicas>,
    /// What a controller makes of it: kind and name.
    pub(crate) makes: Vec<(&'static str, Box<str>)>,
}

impl Facts {
    /// The namespace in which it looks for others.
    pub(crate) fn home(&self) -> &str {
        let own = self.identity.namespace.as_deref();
        own.or(self.fallback.as_deref()).unwrap_or_default()
    }

    /// Returns the namespaces that what the rules say of it depends on: its own, and those that it refers into. Beside
    /// their objects it depends on those of the whole cluster, and on nothing else.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let elsewhere = self.refs.iter().filter_map(|one| one.elsewhere.as_deref());
        std::iter::once(self.home()).chain(elsewhere)
    }

    /// Returns whether it is of a kind that rules refer to and that lives in no namespace.
    #[must_use]
    pub fn is_of_cluster(&self) -> bool {
        matches!(
            (self.identity.group(), self.identity.kind.as_str()),
            (
                "rbac.authorization.k8s.io",
                "ClusterRole" | "ClusterRoleBinding"
            ) | ("storage.k8s.io", "StorageClass")
                | ("scheduling.k8s.io", "PriorityClass")
                | ("node.k8s.io", "RuntimeClass")
                | ("networking.k8s.io", "IngressClass")
                | ("", "Namespace" | "PersistentVolume" | "Node")
        )
    }

    /// Returns whether another object is the same to every rule. Places do not count.
    #[must_use]
    pub fn is_like(&self, other: &Facts) -> bool {
        let refs = |one: &Ref, two: &Ref| {
            let needs = |one: &Ref| one.needs.as_ref().map(|needs| needs.0.clone());
            (one.to, &one.elsewhere, &one.name, one.field)
                == (two.to, &two.elsewhere, &two.name, two.field)
                && needs(one) == needs(two)
        };
        let selects = |one: &Selects| (one.by, one.selector.clone());
        let pods = |one: &Pods, two: &Pods| one.labels == two.labels && one.ports == two.ports;
        let ports = |one: &Port, two: &Port| {
            let target = |port: &Port| port.target.as_ref().map(|target| target.0.clone());
            one.name == two.name && one.number == two.number && target(one) == target(two)
        };
        self.identity == other.identity
            && self.fallback == other.fallback
            && are_like(&self.refs, &other.refs, refs)
            && self.selects.as_ref().map(selects) == other.selects.as_ref().map(selects)
            && match (&self.pods, &other.pods) {
                (Some(one), Some(two)) => pods(one, two),
                (one, two) => one.is_none() && two.is_none(),
            }
            && self.keys == other.keys
            && self.replicas.is_some() == other.replicas.is_some()
            && are_like(&self.ports, &other.ports, ports)
            && self.makes == other.makes
    }

    /// Gives every place that it remembers to `each`, to move it.
    pub fn each_place(&mut self, mut each: impl FnMut(&mut Span)) {
        each(&mut self.at);
        let needs = self.refs.iter_mut().flat_map(|one| {
            let needs = one.needs.as_mut().and_then(|needs| needs.1.as_mut());
            needs.into_iter().chain(one.place.as_mut())
        });
        let selects = self.selects.as_mut().and_then(|one| one.place.as_mut());
        let ports = self.ports.iter_mut();
        let ports = ports.filter_map(|port| port.target.as_mut()?.1.as_mut());
        let replicas = self.replicas.as_mut().and_then(|one| one.place.as_mut());
        for place in needs.chain(selects).chain(ports).chain(replicas) {
            each(&mut place.span);
            place.through.iter_mut().for_each(&mut each);
        }
    }
}

fn are_like<T>(one: &[T], two: &[T], is_like: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(one, two)| is_like(one, two))
}

/// A kind that objects refer to, and the rule that they do so rightly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct To {
    pub(crate) code: &'static str,
    pub(crate) group: Name,
    pub(crate) kind: Name,
    pub(crate) is_namespaced: bool,
}

/// A reference to another object.
#[derive(Clone, Debug)]
pub(crate) struct Ref {
    pub(crate) to: To,
    /// The namespace it leads into, when that is not the object's own.
    pub(crate) elsewhere: Option<Box<str>>,
    pub(crate) name: Box<str>,
    /// What the object must have, and where that is said.
    pub(crate) needs: Option<Box<(Need, Option<Place>)>>,
    pub(crate) place: Option<Place>,
    /// The field that refers, for messages.
    pub(crate) field: &'static str,
}

/// What the object that is referred to must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// A key of a ConfigMap or Secret.
    Key(Box<str>),
    /// A port of a Service, by number.
    Port(i64),
    /// A port of a Service, by name.
    PortName(Box<str>),
}

/// A number of pods that an object says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) place: Option<Place>,
}

/// Pods that an object selects.
#[derive(Clone, Debug)]
pub(crate) struct Selects {
    pub(crate) by: SelectedBy,
    pub(crate) selector: Selector,
    pub(crate) place: Option<Place>,
}

/// What kind of selector it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SelectedBy {
    /// A Service's or PodDisruptionBudget's: it must select something.
    User,
    /// A NetworkPolicy's: it should.
    Policy,
    /// A workload's, for the pods that it makes itself.
    Owner,
}

/// A label: key and value.
pub(crate) type Label = (Box<str>, Box<str>);

/// The pods that an object makes.
#[derive(Clone, Debug)]
pub(crate) struct Pods {
    pub(crate) labels: Vec<Label>,
    /// The named ports of its containers.
    pub(crate) ports: Vec<Box<str>>,
}

/// A port of a Service.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: Option<Box<str>>,
    pub(crate) number: i64,
    /// `targetPort`, when it is a name, and where that is set.
    pub(crate) target: Option<(Box<str>, Option<Place>)>,
}
