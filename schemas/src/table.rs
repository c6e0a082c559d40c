//! The table of one Kubernetes version: names to kinds and types. It reads nothing but the facts
//! that are compiled in.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::OnceLock,
};

use crate::{
    kind::Kind,
    parse::{self, Entry, RawType, ResourceRow},
    ty::{Field, Shape, Type, TypeId},
    version::KubeVersion,
};

const BASE: &str = include_str!("../facts/v1.36.tsv");
const RESOURCES: &str = include_str!("../facts/resources.tsv");

/// About as many types as a version has.
const TYPES: usize = 800;

/// All kinds and types of one Kubernetes version.
pub struct Table {
    version: KubeVersion,
    kinds: Vec<Kind>,
    /// Sorted by name.
    types: Vec<(RawType, OnceLock<Type>)>,
}

/// Returns the table of a version. The first call indexes it (well under a millisecond); a type's
/// fields are decoded when they are first asked for.
pub fn table(version: KubeVersion) -> &'static Table {
    static TABLES: [OnceLock<Table>; KubeVersion::ALL.len()] =
        [const { OnceLock::new() }; KubeVersion::ALL.len()];
    TABLES[version as usize].get_or_init(|| Table::read(version))
}

/// Returns the facts in which a version differs from the base.
fn differences(version: KubeVersion) -> &'static str {
    match version {
        KubeVersion::V1_33 => include_str!("../facts/v1.33.tsv"),
        KubeVersion::V1_34 => include_str!("../facts/v1.34.tsv"),
        KubeVersion::V1_35 => include_str!("../facts/v1.35.tsv"),
        KubeVersion::V1_36 => "",
        KubeVersion::V1_37 => include_str!("../facts/v1.37.tsv"),
    }
}

impl Table {
    fn read(version: KubeVersion) -> Table {
        let mut raw: Vec<RawType> = Vec::with_capacity(TYPES);
        for entry in parse::entries(BASE).chain(parse::entries(differences(version))) {
            let name = entry.name();
            // The base comes in order.
            let place = match raw.last() {
                Some(last) if last.name >= name => raw.binary_search_by(|ty| ty.name.cmp(name)),
                _ => Err(raw.len()),
            };
            match (entry, place) {
                (Entry::Type(ty), Ok(at)) => raw[at] = ty,
                (Entry::Type(ty), Err(at)) => raw.insert(at, ty),
                (Entry::Removed(_), Ok(at)) => drop(raw.remove(at)),
                (Entry::Removed(_), Err(_)) => {}
            }
        }
        let types: Vec<_> = raw.into_iter().map(|ty| (ty, OnceLock::new())).collect();
        let kinds = kinds(&types);
        Table {
            version,
            kinds,
            types,
        }
    }

    /// Returns the version that the table describes.
    pub fn version(&self) -> KubeVersion {
        self.version
    }

    /// Returns all kinds, sorted by group, version and kind. See [`Kind::served`] and
    /// [`Kind::is_resource`] for those that an API server lists.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Returns the kind with these names; `group` is empty for the core group.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Kind> {
        let wanted = (group, version, kind);
        let at = self
            .kinds
            .binary_search_by(|k| (k.group, k.version, k.kind).cmp(&wanted))
            .ok()?;
        Some(&self.kinds[at])
    }

    /// Returns the kind that an object's `apiVersion` and `kind` name.
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.kind(group, version, kind)
    }

    /// Returns the kind that this resource serves.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        let start = self
            .kinds
            .partition_point(|k| (k.group, k.version) < (group, version));
        self.kinds[start..]
            .iter()
            .take_while(|k| (k.group, k.version) == (group, version))
            .find(|k| k.plural == plural && k.is_resource())
    }

    /// Returns the type with this place.
    pub fn ty(&self, id: TypeId) -> &Type {
        let (raw, decoded) = &self.types[id.0 as usize];
        decoded.get_or_init(|| raw.decode(id, &|name| self.type_named(name)))
    }

    /// Returns the places of all types, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = TypeId> + '_ {
        (0..).map(TypeId).take(self.types.len())
    }

    /// Returns the type with this OpenAPI name, such as `io.k8s.api.core.v1.PodSpec`.
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        let at = self
            .types
            .binary_search_by(|(ty, _)| ty.name.cmp(name))
            .ok()?;
        u32::try_from(at).ok().map(TypeId)
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

    /// Returns the OpenAPI name of a type without decoding its fields.
    pub fn type_name(&self, id: TypeId) -> &'static str {
        self.types[id.0 as usize].0.name
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

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {} types)", self.version, self.types.len())
    }
}

/// Joins the types that name a group, version and kind with what is known about their resources.
fn kinds(types: &[(RawType, OnceLock<Type>)]) -> Vec<Kind> {
    let rows: HashMap<_, ResourceRow> = parse::resource_rows(RESOURCES)
        .map(|row| ((row.group, row.kind), row))
        .collect();
    let named: BTreeMap<_, TypeId> = (0..)
        .map(TypeId)
        .zip(types)
        .filter_map(|(id, (ty, _))| Some((ty.gvk()?, id)))
        .collect();
    let mut kinds = Vec::with_capacity(named.len() / 2);
    for (&(group, version, kind), &ty) in &named {
        // A list has no row of its own, nor have Status and the documents of old discovery.
        let Some(row) = rows.get(&(group, kind)) else {
            continue;
        };
        let list_kind = format!("{kind}List");
        let list_ty = named.get(&(group, version, list_kind.as_str())).copied();
        let is_ga = !version.contains("alpha") && !version.contains("beta");
        kinds.push(Kind {
            group,
            version,
            kind,
            plural: row.plural,
            singular: row.singular,
            short_names: row.short_names.clone(),
            categories: row.categories.clone(),
            namespaced: row.namespaced,
            verbs: row.verbs.clone(),
            subresources: row.subresources(version),
            selectable_fields: row.selectable_fields.clone(),
            served: is_ga && !row.plural.is_empty(),
            ty,
            list_ty,
        });
    }
    kinds
}
