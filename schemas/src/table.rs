//! The table of one Kubernetes version: names to kinds and types. It reads nothing but the facts
//! that are compiled in.

use crate::{
    kind::Kind,
    ty::{Field, Shape, Type, TypeId},
    version::KubeVersion,
};

/// All kinds and types of one Kubernetes version.
#[derive(Debug)]
pub struct Table {
    version: KubeVersion,
}

/// Returns the table of a version. The first call indexes it (well under a millisecond); a type's
/// fields are decoded when they are first asked for.
pub fn table(version: KubeVersion) -> &'static Table {
    let _ = version;
    unreachable!("filled in by the next commit")
}

impl Table {
    /// Returns the version that the table describes.
    pub fn version(&self) -> KubeVersion {
        self.version
    }

    /// Returns all kinds, sorted by group, version and kind. See [`Kind::served`] and
    /// [`Kind::is_resource`] for those that an API server lists.
    pub fn kinds(&self) -> &[Kind] {
        &[]
    }

    /// Returns the kind with these names; `group` is empty for the core group.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Kind> {
        let _ = (group, version, kind);
        None
    }

    /// Returns the kind that an object's `apiVersion` and `kind` name.
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.kind(group, version, kind)
    }

    /// Returns the kind that this resource serves.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        let _ = (group, version, plural);
        None
    }

    /// Returns the type with this place.
    pub fn ty(&self, id: TypeId) -> &Type {
        let _ = id;
        unreachable!("filled in by the next commit")
    }

    /// Returns the places of all types, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = TypeId> + '_ {
        (0..0).map(TypeId)
    }

    /// Returns the type with this OpenAPI name, such as `io.k8s.api.core.v1.PodSpec`.
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        let _ = name;
        None
    }

    /// Returns the field that a path of JSON names leads to from a type, passing through lists and
    /// maps: `["spec", "template", "spec", "containers", "image"]`.
    pub fn field_at<'t>(&'t self, ty: TypeId, path: &[&str]) -> Option<&'t Field> {
        let (last, front) = path.split_last()?;
        let mut ty = ty;
        for name in front {
            ty = self.ty(ty).field(name)?.shape.struct_id()?;
        }
        self.ty(ty).field(last)
    }

    /// Returns the shape as people write it: `list of core/v1 Container`.
    pub fn show(&self, shape: &Shape) -> String {
        match shape {
            Shape::String => "string".into(),
            Shape::Bool => "boolean".into(),
            Shape::Int32 | Shape::Int64 => "integer".into(),
            Shape::Double => "number".into(),
            Shape::Bytes => "base64 bytes".into(),
            Shape::Quantity => "quantity".into(),
            Shape::IntOrString => "integer or string".into(),
            Shape::Time | Shape::MicroTime => "time".into(),
            Shape::Duration => "duration".into(),
            Shape::RawExtension | Shape::FieldsV1 => "any object".into(),
            Shape::Json => "any value".into(),
            Shape::Struct(id) => self.ty(*id).short_name().into(),
            Shape::List(element) => format!("list of {}", self.show(element)),
            Shape::Map(element) => format!("map of {}", self.show(element)),
        }
    }
}
