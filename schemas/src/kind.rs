//! Kinds and the resources that serve them. It does not know how a resource is stored.

use crate::ty::TypeId;

/// A kind of object, with the facts that discovery shows about its resource.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version within the group: `v1`.
    pub version: &'static str,
    /// The kind: `Deployment`.
    pub kind: &'static str,
    /// The resource in URLs: `deployments`. Empty for a kind that is only the body of a
    /// subresource (`Scale`, `Eviction`, `TokenRequest`).
    pub plural: &'static str,
    /// The name for one object: `deployment`.
    pub singular: &'static str,
    /// The abbreviations of kubectl: `deploy`.
    pub short_names: Vec<&'static str>,
    /// The groups of resources that kubectl knows by one word: `all`.
    pub categories: Vec<&'static str>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The verbs of the resource, sorted, as discovery lists them.
    pub verbs: Vec<&'static str>,
    /// The subresources, sorted by name.
    pub subresources: Vec<Subresource>,
    /// The field selectors beyond `metadata.name` and `metadata.namespace`: `spec.nodeName`.
    pub selectable_fields: Vec<&'static str>,
    /// Whether an API server enables the resource without being told to. Alpha and most beta
    /// versions are known to the table but not served.
    pub served: bool,
    /// The type of one object.
    pub ty: TypeId,
    /// The type of a list of objects, where there is one.
    pub list_ty: Option<TypeId>,
}

impl Kind {
    /// Returns the `apiVersion` of objects of this kind: `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns the subresource with this name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources
            .iter()
            .find(|subresource| subresource.name == name)
    }

    /// Tells whether the kind is stored as objects under its own URL.
    pub fn is_resource(&self) -> bool {
        !self.plural.is_empty()
    }
}

/// A subresource such as `deployments/scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The last part of the URL: `scale`.
    pub name: &'static str,
    /// The group of the body's kind; the parent's own kind for `status`.
    pub group: &'static str,
    /// The version of the body's kind.
    pub version: &'static str,
    /// The kind of the body: `Scale`.
    pub kind: &'static str,
    /// The verbs, sorted.
    pub verbs: Vec<&'static str>,
}
