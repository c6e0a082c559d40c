//! From an object to its facts: one reading for each kind that says something about others.

use ordain_lang_syntax::{Name, Span};

use crate::facts::{
    Facts, Identity, Need, Place, Pods, Port, Ref, Replicas, SelectedBy, Selects, To,
};
use crate::pods;
use crate::selector::{Selector, labels};
use crate::tree::Tree;

/// Reads from an object what the rules need. `home` is where objects without a namespace go.
pub fn gather<T: Tree>(tree: &T, root: T::Node, identity: Identity, at: Span, home: &str) -> Facts {
    let fallback = identity.namespace.is_none().then(|| home.into());
    let facts = Facts {
        identity,
        at,
        fallback,
        refs: Vec::new(),
        selects: None,
        pods: None,
        keys: None,
        ports: Vec::new(),
        replicas: None,
        makes: Vec::new(),
    };
    let mut reading = Reading { tree, facts };
    let identity = &reading.facts.identity;
    let (group, kind) = (identity.group(), identity.kind.as_str());
    reading.read(group, kind, root);
    // Most objects refer to little; a thousand apps should not pay for what might have come.
    reading.facts.refs.shrink_to_fit();
    reading.facts.ports.shrink_to_fit();
    reading.facts
}

/// An object that is being read.
pub(crate) struct Reading<'t, T: Tree> {
    pub(crate) tree: &'t T,
    pub(crate) facts: Facts,
}

/// A kind before its names are looked up.
pub(crate) struct Kind {
    code: &'static str,
    group: &'static str,
    kind: &'static str,
    is_namespaced: bool,
}

impl Kind {
    fn to(&self) -> To {
        To {
            code: self.code,
            group: Name::new(self.group),
            kind: Name::new(self.kind),
            is_namespaced: self.is_namespaced,
        }
    }
}

const fn to(code: &'static str, group: &'static str, kind: &'static str) -> Kind {
    Kind {
        code,
        group,
        kind,
        is_namespaced: true,
    }
}

const fn class(group: &'static str, kind: &'static str) -> Kind {
    Kind {
        code: "W0602",
        group,
        kind,
        is_namespaced: false,
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) const CONFIG_MAP: Kind = to("E0602", "", "ConfigMap");
pub(crate) const SECRET: Kind = to("E0603", "", "Secret");
pub(crate) const SERVICE_ACCOUNT: Kind = to("E0604", "", "ServiceAccount");
pub(crate) const CLAIM: Kind = to("E0605", "", "PersistentVolumeClaim");
pub(crate) const SERVICE: Kind = to("E0607", "", "Service");
pub(crate) const STORAGE_CLASS: Kind = class("storage.k8s.io", "StorageClass");
pub(crate) const PRIORITY_CLASS: Kind = class("scheduling.k8s.io", "PriorityClass");
pub(crate) const RUNTIME_CLASS: Kind = class("node.k8s.io", "RuntimeClass");
const INGRESS_CLASS: Kind = class("networking.k8s.io", "IngressClass");

impl<T: Tree> Reading<'_, T> {
    fn read(&mut self, group: &str, kind: &str, root: T::Node) {
        match (group, kind) {
            ("", "Pod") => {
                let labels = self.labels(root);
                self.pods(root, labels);
            }
            ("", "PodTemplate") => self.template(root, &["template"]),
            ("", "ReplicationController") => {
                self.template(root, &["spec", "template"]);
                if let Some(node) = self.tree.find(root, &["spec", "selector"]) {
                    self.select_labels(SelectedBy::Owner, node);
                }
            }
            ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => self.workload(root),
            ("apps", "StatefulSet") => {
                self.workload(root);
                self.one(root, &["spec", "serviceName"], &SERVICE, "serviceName");
                for claim in self.list(root, &["spec", "volumeClaimTemplates"]) {
                    self.storage_class(claim);
                }
            }
            ("batch", "Job") => self.template(root, &["spec", "template"]),
            ("batch", "CronJob") => {
                self.template(root, &["spec", "jobTemplate", "spec", "template"]);
            }
            ("", "ConfigMap") => self.keys(root, ["data", "binaryData"]),
            ("", "Secret") => self.secret(root),
            ("", "ServiceAccount") => {
                for list in ["secrets", "imagePullSecrets"] {
                    for item in self.list(root, &[list]) {
                        self.one(item, &["name"], &SECRET, "imagePullSecrets");
                    }
                }
            }
            ("", "PersistentVolumeClaim") => self.storage_class(root),
            ("", "Service") => self.service(root),
            ("policy", "PodDisruptionBudget") => {
                if let Some(node) = self.tree.find(root, &["spec", "selector"]) {
                    self.select(SelectedBy::User, node);
                }
            }
            ("networking.k8s.io", "NetworkPolicy") => {
                if let Some(node) = self.tree.find(root, &["spec", "podSelector"]) {
                    self.select(SelectedBy::Policy, node);
                }
            }
            ("networking.k8s.io", "Ingress") => self.ingress(root),
            (RBAC, "RoleBinding" | "ClusterRoleBinding") => self.binding(root),
            ("autoscaling", "HorizontalPodAutoscaler") => self.scale_target(root),
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
            ) => {
                for hook in self.list(root, &["webhooks"]) {
                    self.called(hook, &["clientConfig", "service"]);
                }
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => self.called(
                root,
                &["spec", "conversion", "webhook", "clientConfig", "service"],
            ),
            ("apiregistration.k8s.io", "APIService") => self.called(root, &["spec", "service"]),
            ("gateway.networking.k8s.io", kind) if kind.ends_with("Route") => {
                for rule in self.list(root, &["spec", "rules"]) {
                    for backend in self.list(rule, &["backendRefs"]) {
                        self.backend_ref(backend);
                    }
                }
            }
            // What controllers that many clusters have make of these.
            ("cert-manager.io", "Certificate") => self.makes_secret(root, &["spec", "secretName"]),
            ("external-secrets.io", "ExternalSecret") => {
                self.makes_secret(root, &["spec", "target", "name"]);
            }
            ("bitnami.com", "SealedSecret") => {
                self.makes_secret(root, &["spec", "template", "metadata", "name"]);
            }
            _ => {}
        }
    }

    /// The elements of a list at a path.
    pub(crate) fn list(&self, node: T::Node, path: &[&str]) -> Vec<T::Node> {
        let found = self.tree.find(node, path);
        found.map_or_else(Vec::new, |list| self.tree.items(list).collect())
    }

    fn labels(&self, node: T::Node) -> Vec<crate::facts::Label> {
        let found = self.tree.find(node, &["metadata", "labels"]);
        found.map_or_else(Vec::new, |node| labels(self.tree, node))
    }

    /// Adds a reference to the object that the text at a path names.
    pub(crate) fn one(&mut self, node: T::Node, path: &[&str], target: &Kind, field: &'static str) {
        if let Some(name) = self.tree.find(node, path) {
            self.refer(name, target, None, field);
        }
    }

    /// Adds a reference to the object that a node names, with what it must have.
    pub(crate) fn refer(
        &mut self,
        name: T::Node,
        target: &Kind,
        needs: Option<(Need, Option<Place>)>,
        field: &'static str,
    ) {
        let Some(text) = self.tree.text(name).filter(|text| !text.is_empty()) else {
            return;
        };
        self.facts.refs.push(Ref {
            to: target.to(),
            elsewhere: None,
            name: text.into(),
            needs: needs.map(Box::new),
            place: self.tree.place(name),
            field,
        });
    }

    fn template(&mut self, root: T::Node, path: &[&str]) {
        if let Some(template) = self.tree.find(root, path) {
            let labels = self.labels(template);
            self.pods(template, labels);
        }
    }

    fn pods(&mut self, pod: T::Node, labels: Vec<crate::facts::Label>) {
        let ports = match self.tree.get(pod, "spec") {
            Some(spec) => pods::read(self, spec),
            None => Vec::new(),
        };
        self.facts.pods = Some(Box::new(Pods { labels, ports }));
    }

    fn workload(&mut self, root: T::Node) {
        self.template(root, &["spec", "template"]);
        if let Some(node) = self.tree.find(root, &["spec", "replicas"]) {
            let place = self.tree.place(node);
            self.facts.replicas = Some(Replicas { place });
        }
        if let Some(node) = self.tree.find(root, &["spec", "selector"]) {
            self.select(SelectedBy::Owner, node);
        }
    }

    fn select(&mut self, by: SelectedBy, node: T::Node) {
        self.facts.selects = Some(Selects {
            by,
            selector: Selector::read(self.tree, node),
            place: self.tree.place(node),
        });
    }

    fn select_labels(&mut self, by: SelectedBy, node: T::Node) {
        let selector = Selector {
            labels: labels(self.tree, node),
            terms: Vec::new(),
        };
        self.facts.selects = Some(Selects {
            by,
            selector,
            place: self.tree.place(node),
        });
    }

    fn keys(&mut self, root: T::Node, fields: [&str; 2]) {
        let tree = self.tree;
        let maps = fields.into_iter().filter_map(|field| tree.get(root, field));
        let keys = maps.flat_map(|map| tree.entries(map).map(|(key, _)| Box::from(key)));
        self.facts.keys = Some(keys.collect());
    }

    fn secret(&mut self, root: T::Node) {
        // The token controller fills it in.
        let is_token =
            self.tree.text_at(root, &["type"]) == Some("kubernetes.io/service-account-token");
        if !is_token {
            self.keys(root, ["data", "stringData"]);
        }
    }

    pub(crate) fn storage_class(&mut self, claim: T::Node) {
        self.one(
            claim,
            &["spec", "storageClassName"],
            &STORAGE_CLASS,
            "storageClassName",
        );
    }

    fn service(&mut self, root: T::Node) {
        let Some(spec) = self.tree.get(root, "spec") else {
            return;
        };
        for port in self.list(spec, &["ports"]) {
            let number = self.tree.get(port, "port").and_then(|n| self.tree.int(n));
            let target = self.tree.get(port, "targetPort").and_then(|node| {
                let name = self.tree.text(node)?;
                // A number in quotation marks is a number.
                let is_name = name.parse::<u16>().is_err();
                is_name.then(|| (name.into(), self.tree.place(node)))
            });
            self.facts.ports.push(Port {
                name: self.tree.text_at(port, &["name"]).map(Box::from),
                number: number.unwrap_or_default(),
                target,
            });
        }
        // Without a selector somebody else says where it leads to.
        if self.tree.text_at(spec, &["type"]) != Some("ExternalName")
            && let Some(node) = self.tree.get(spec, "selector")
            && self.tree.entries(node).next().is_some()
        {
            self.select_labels(SelectedBy::User, node);
        }
    }

    fn ingress(&mut self, root: T::Node) {
        let Some(spec) = self.tree.get(root, "spec") else {
            return;
        };
        self.one(
            spec,
            &["ingressClassName"],
            &INGRESS_CLASS,
            "ingressClassName",
        );
        if let Some(backend) = self.tree.find(spec, &["defaultBackend", "service"]) {
            self.backend(backend);
        }
        for rule in self.list(spec, &["rules"]) {
            for path in self.list(rule, &["http", "paths"]) {
                if let Some(backend) = self.tree.find(path, &["backend", "service"]) {
                    self.backend(backend);
                }
            }
        }
        // These ask cert-manager or kube-lego for the certificate's Secret.
        let is_issued = self
            .tree
            .find(root, &["metadata", "annotations"])
            .is_some_and(|annotations| {
                self.tree.entries(annotations).any(|(key, _)| {
                    key.starts_with("cert-manager.io/") || key == "kubernetes.io/tls-acme"
                })
            });
        if !is_issued {
            for tls in self.list(spec, &["tls"]) {
                self.one(tls, &["secretName"], &SECRET, "secretName");
            }
        }
    }

    /// An `IngressServiceBackend`.
    fn backend(&mut self, service: T::Node) {
        let Some(name) = self.tree.get(service, "name") else {
            return;
        };
        let port = self.tree.get(service, "port");
        let of = |key: &str| port.and_then(|port| self.tree.get(port, key));
        let (number, named) = (of("number"), of("name"));
        let (needs, place) = match (number, named) {
            (Some(node), _) => (self.tree.int(node).map(Need::Port), Some(node)),
            (None, Some(node)) => {
                let text = self.tree.text(node);
                (text.map(|text| Need::PortName(text.into())), Some(node))
            }
            (None, None) => (None, None),
        };
        let place = place.and_then(|node| self.tree.place(node));
        let needs = needs.map(|needs| (needs, place));
        self.refer(name, &SERVICE, needs, "backend.service");
    }

    /// A Gateway API `BackendRef`: a Service, when it names nothing else.
    fn backend_ref(&mut self, backend: T::Node) {
        let group = self.tree.text_at(backend, &["group"]).unwrap_or_default();
        let kind = self.tree.text_at(backend, &["kind"]).unwrap_or("Service");
        let Some(name) = self.tree.get(backend, "name") else {
            return;
        };
        if (group, kind) != ("", "Service") {
            return;
        }
        let port = self.tree.get(backend, "port");
        let number = port.and_then(|node| self.tree.int(node));
        let place = port.and_then(|node| self.tree.place(node));
        let before = self.facts.refs.len();
        let needs = number.map(|number| (Need::Port(number), place));
        self.refer(name, &SERVICE, needs, "backendRefs");
        self.elsewhere(before, backend, &["namespace"]);
    }

    /// A Service that the API server calls.
    fn called(&mut self, node: T::Node, path: &[&str]) {
        let Some(service) = self.tree.find(node, path) else {
            return;
        };
        let Some(name) = self.tree.get(service, "name") else {
            return;
        };
        let port = self.tree.get(service, "port");
        let number = port.and_then(|node| self.tree.int(node)).unwrap_or(443);
        let place = port.and_then(|node| self.tree.place(node));
        let before = self.facts.refs.len();
        let needs = Some((Need::Port(number), place));
        self.refer(name, &SERVICE, needs, "service");
        self.elsewhere(before, service, &["namespace"]);
    }

    /// Moves the references from a position on into the namespace that a path names.
    fn elsewhere(&mut self, from: usize, node: T::Node, path: &[&str]) {
        if let Some(namespace) = self.tree.text_at(node, path) {
            for one in &mut self.facts.refs[from..] {
                one.elsewhere = Some(namespace.into());
            }
        }
    }

    fn binding(&mut self, root: T::Node) {
        let kind = self.tree.text_at(root, &["roleRef", "kind"]);
        if let Some(name) = self.tree.find(root, &["roleRef", "name"]) {
            let target = match kind {
                Some("ClusterRole") => Kind {
                    code: "E0609",
                    group: RBAC,
                    kind: "ClusterRole",
                    is_namespaced: false,
                },
                _ => to("E0609", RBAC, "Role"),
            };
            self.refer(name, &target, None, "roleRef");
        }
        for subject in self.list(root, &["subjects"]) {
            if self.tree.text_at(subject, &["kind"]) != Some("ServiceAccount") {
                continue;
            }
            let before = self.facts.refs.len();
            self.one(subject, &["name"], &SERVICE_ACCOUNT, "subjects");
            self.elsewhere(before, subject, &["namespace"]);
        }
    }

    fn scale_target(&mut self, root: T::Node) {
        let Some(target) = self.tree.find(root, &["spec", "scaleTargetRef"]) else {
            return;
        };
        let kind = self.tree.text_at(target, &["kind"]).unwrap_or_default();
        let Some(name) = self.tree.get(target, "name") else {
            return;
        };
        let version = self.tree.text_at(target, &["apiVersion"]);
        // The autoscaler looks for a kind without a group in the group `apps`, as users mean it.
        let group = match version.unwrap_or("apps/v1").split_once('/') {
            Some((group, _)) => group,
            None => "",
        };
        self.facts.refs.push(Ref {
            to: To {
                code: "E0610",
                group: Name::new(group),
                kind: Name::new(kind),
                is_namespaced: true,
            },
            elsewhere: None,
            name: self.tree.text(name).unwrap_or_default().into(),
            needs: None,
            place: self.tree.place(name),
            field: "scaleTargetRef",
        });
    }

    fn makes_secret(&mut self, root: T::Node, path: &[&str]) {
        let name = match self.tree.text_at(root, path) {
            Some(name) => name.into(),
            None => self.facts.identity.name.clone(),
        };
        self.facts.makes.push(("Secret", name));
    }
}
