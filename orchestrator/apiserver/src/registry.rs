//! Which resources there are, and where each keeps its objects.
//!
//! Built-in resources come from the type table; custom ones are added while the server runs.
//! A kind that is served in several versions is stored once, in [`Resource::storage_version`].

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use ordain_schemas::{Kind, Table, TypeId};

use crate::{
    kinds::{self, Strategy},
    status::Subject,
};

/// A subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sub {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// One resource in one version.
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) subresources: Vec<Sub>,
    pub(crate) selectable: Vec<String>,
    /// The `apiVersion` of stored objects.
    pub(crate) storage_version: String,
    /// What every key of a stored object starts with, up to and with the last slash.
    pub(crate) prefix: String,
    /// The type of an object; `None` for a resource whose schema is not in the table.
    pub(crate) ty: Option<TypeId>,
    pub(crate) strategy: &'static dyn Strategy,
    /// The schema and columns of a custom resource.
    pub(crate) custom: Option<crate::custom::Custom>,
}

impl Resource {
    /// Returns `apps/v1`, or `v1` for the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Tells whether stored objects have another version than this one.
    pub(crate) fn converts(&self) -> bool {
        self.storage_version != self.api_version()
    }

    pub(crate) fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    pub(crate) fn key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced {
            format!("{}{namespace}/{name}", self.prefix)
        } else {
            format!("{}{name}", self.prefix)
        }
    }

    /// Returns what the keys of a namespace start with; of all namespaces when it is empty.
    pub(crate) fn prefix_in(&self, namespace: &str) -> String {
        if self.namespaced && !namespace.is_empty() {
            format!("{}{namespace}/", self.prefix)
        } else {
            self.prefix.clone()
        }
    }

    pub(crate) fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject {
            group: &self.group,
            plural: &self.plural,
            name,
        }
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<&Sub> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// Returns `apps/v1`, or `v1` for the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// All resources of a moment.
#[derive(Default)]
pub(crate) struct Resources {
    /// In the order of discovery.
    pub(crate) all: Vec<Arc<Resource>>,
    by_name: HashMap<String, usize>,
    /// Changes whenever a resource comes or goes.
    pub(crate) generation: u64,
}

impl Resources {
    fn new(all: Vec<Arc<Resource>>, generation: u64) -> Resources {
        let name = |r: &Resource| format!("{}/{}/{}", r.group, r.version, r.plural);
        let by_name = all
            .iter()
            .enumerate()
            .map(|(at, r)| (name(r), at))
            .collect();
        Resources {
            all,
            by_name,
            generation,
        }
    }

    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        Some(&self.all[*self.by_name.get(&format!("{group}/{version}/{plural}"))?])
    }

    /// Returns the resource that stores objects of a kind.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.all
            .iter()
            .find(|r| r.kind == kind && r.api_version() == api_version)
    }

    /// Returns the resource in the version that is stored.
    pub(crate) fn stored(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.all
            .iter()
            .find(|r| r.is(group, plural) && !r.converts())
    }
}

/// The resources, which custom ones join while the server runs.
pub(crate) struct Registry {
    builtin: Vec<Arc<Resource>>,
    current: RwLock<Arc<Resources>>,
}

impl Registry {
    pub(crate) fn new(table: &'static Table) -> Registry {
        let builtin = builtin(table);
        let current = RwLock::new(Arc::new(Resources::new(builtin.clone(), 0)));
        Registry { builtin, current }
    }

    pub(crate) fn now(&self) -> Arc<Resources> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the custom resources.
    pub(crate) fn set_custom(&self, custom: Vec<Arc<Resource>>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation + 1;
        let all = self.builtin.iter().cloned().chain(custom).collect();
        *current = Arc::new(Resources::new(all, generation));
    }
}

/// Kinds that are stored in another version than their first: the later HPA says more.
fn storage_version(group: &str, kind: &str, versions: &[&str]) -> String {
    match (group, kind) {
        ("events.k8s.io", "Event") => "v1".to_owned(),
        ("autoscaling", "HorizontalPodAutoscaler") if versions.contains(&"v2") => {
            "autoscaling/v2".to_owned()
        }
        _ => api_version(group, versions.first().copied().unwrap_or("v1")),
    }
}

fn builtin(table: &'static Table) -> Vec<Arc<Resource>> {
    let served = || table.kinds().iter().filter(|k| k.served && k.is_resource());
    let mut all: Vec<Resource> = served()
        .map(|kind| {
            let same = served().filter(|k| k.group == kind.group && k.kind == kind.kind);
            let mut versions: Vec<&str> = same.map(|k| k.version).collect();
            versions.sort_by_key(|v| version_rank(v));
            resource(kind, storage_version(kind.group, kind.kind, &versions))
        })
        .collect();
    all.sort_by_key(|r| {
        (
            group_rank(&r.group),
            r.group.clone(),
            version_rank(&r.version),
            r.plural.clone(),
        )
    });
    all.into_iter().map(Arc::new).collect()
}

fn resource(kind: &'static Kind, storage_version: String) -> Resource {
    let owned = |list: &[&'static str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    // Both groups see the same stored events.
    let home = match (kind.group, kind.kind) {
        ("" | "events.k8s.io", "Event") | ("", _) => "core",
        (group, _) => group,
    };
    let subresources = kind.subresources.iter().map(|s| Sub {
        name: s.name.to_owned(),
        group: s.group.to_owned(),
        version: s.version.to_owned(),
        kind: s.kind.to_owned(),
        verbs: owned(&s.verbs),
    });
    Resource {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
        singular: kind.singular.to_owned(),
        short_names: owned(&kind.short_names),
        categories: owned(&kind.categories),
        namespaced: kind.namespaced,
        verbs: owned(&kind.verbs),
        subresources: subresources.collect(),
        selectable: owned(&kind.selectable_fields),
        storage_version,
        prefix: format!("/registry/{home}/{}/", kind.plural),
        ty: Some(kind.ty),
        strategy: kinds::strategy(kind),
        custom: None,
    }
}

/// The order of groups in discovery, which decides what a short name means: upstream's priorities
/// put the core group first, then `apps`, `events.k8s.io`, the other built-in groups, custom ones.
fn group_rank(group: &str) -> u8 {
    match group {
        "" => 0,
        "apiregistration.k8s.io" => 1,
        "apps" => 2,
        "events.k8s.io" => 3,
        "batch" | "autoscaling" | "policy" => 4,
        _ => 5,
    }
}

/// Orders versions as Kubernetes does: `v2`, `v1`, `v1beta1`, `v1alpha1`, then others.
pub(crate) fn version_rank(version: &str) -> (u8, i64, i64) {
    let parse = || -> Option<(u8, i64, i64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let major: i64 = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => (0, 0),
            tail if tail.starts_with("beta") => (1, tail[4..].parse().ok()?),
            tail if tail.starts_with("alpha") => (2, tail[5..].parse().ok()?),
            _ => return None,
        };
        Some((stage, -major, -minor))
    };
    parse().unwrap_or((3, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordain_schemas::{KubeVersion, table};

    #[test]
    fn versions_order_as_kubernetes_orders_them() {
        let mut versions = ["foo", "v1alpha1", "v1beta2", "v1", "v2", "v1beta10", "v10"];
        versions.sort_by_key(|v| version_rank(v));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "foo"]
        );
    }

    #[test]
    fn every_served_kind_has_one_home() {
        let registry = Registry::new(table(KubeVersion::DEFAULT));
        let now = registry.now();
        let pods = now.get("", "v1", "pods").expect("pods");
        assert_eq!(pods.key("a", "b"), "/registry/core/pods/a/b");
        let (core, events) = (
            now.get("", "v1", "events"),
            now.get("events.k8s.io", "v1", "events"),
        );
        let (core, events) = (core.expect("core events"), events.expect("events"));
        assert_eq!(core.prefix, events.prefix);
        assert!(events.converts() && !core.converts());
        let hpa = now
            .get("autoscaling", "v1", "horizontalpodautoscalers")
            .expect("HPA v1");
        assert_eq!(hpa.storage_version, "autoscaling/v2");
        for resource in &now.all {
            assert!(
                !resource.verbs.is_empty(),
                "{} has no verbs",
                resource.plural
            );
        }
    }
}
