//! Reads the committed fact files. It knows their format (see the head of `facts/v1.36.tsv`) and
//! not what the facts are used for.

use crate::{
    kind::Subresource,
    ty::{Field, ListType, MapType, PatchStrategy, Shape, Type, TypeId},
};

/// A type whose fields are not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawType {
    /// The OpenAPI name.
    pub(crate) name: &'static str,
    /// The attributes behind the name.
    attributes: &'static str,
    /// The lines of the fields.
    fields: &'static str,
}

/// One step of a fact file: a type is there, or it is not there any more.
pub(crate) enum Entry {
    /// The type is added, or replaces the one with its name.
    Type(RawType),
    /// The type of the base version is not there.
    Removed(&'static str),
}

impl Entry {
    /// Returns the name of the type that it is about.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Entry::Type(ty) => ty.name,
            Entry::Removed(name) => name,
        }
    }
}

/// Splits a fact file into its types without looking into their fields.
pub(crate) fn entries(text: &'static str) -> impl Iterator<Item = Entry> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            if line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('-') {
                return Some(Entry::Removed(name));
            }
            let (name, attributes) = line.split_once('\t').unwrap_or((line, ""));
            let end = fields_end(rest);
            let (fields, after) = rest.split_at(end);
            rest = after;
            return Some(Entry::Type(RawType {
                name,
                attributes,
                fields,
            }));
        }
    })
}

/// Returns where the indented lines at the start of a text end.
fn fields_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'\t') {
        at = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    }
    at
}

impl RawType {
    /// Returns the group, version and kind of the objects of this type, if it names one.
    pub(crate) fn gvk(&self) -> Option<(&'static str, &'static str, &'static str)> {
        self.attributes.split('\t').find_map(|attribute| {
            let mut parts = attribute.strip_prefix("gvk=")?.split('/');
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
    }

    /// Decodes the type; `resolve` returns the place of a type by its full name.
    pub(crate) fn decode(&self, id: TypeId, resolve: &dyn Fn(&str) -> Option<TypeId>) -> Type {
        let mut special = None;
        let mut map_type = MapType::Granular;
        for attribute in self.attributes.split('\t') {
            if attribute == "m=atomic" {
                map_type = MapType::Atomic;
            } else if !attribute.is_empty() && !attribute.contains('=') {
                special = scalar(attribute);
            }
        }
        let fields = self
            .fields
            .lines()
            .map(|line| field(line, resolve))
            .collect();
        Type {
            id,
            name: self.name,
            fields,
            special,
            map_type,
            gvks: self.gvk().into_iter().collect(),
        }
    }
}

/// Decodes the line of a field.
fn field(line: &'static str, resolve: &dyn Fn(&str) -> Option<TypeId>) -> Field {
    let mut columns = line.split('\t').skip(1);
    let mut field = Field {
        name: columns.next().expect("a field line has a name"),
        shape: shape(columns.next().expect("a field line has a type"), resolve),
        required: false,
        pointer: false,
        default: None,
        enum_values: Vec::new(),
        list_type: None,
        map_type: MapType::Granular,
        patch: PatchStrategy::default(),
        protobuf: Vec::new(),
    };
    for column in columns {
        match column.split_once('=') {
            Some(("e", values)) => field.enum_values = values.split('|').collect(),
            Some(("d", json)) => field.default = Some(json),
            Some(("l", list_type)) => field.list_type = Some(self::list_type(list_type)),
            Some(("m", "atomic")) => field.map_type = MapType::Atomic,
            Some(("p", strategy)) => field.patch = patch(strategy),
            None if column == "!" => field.required = true,
            None if column == "*" => field.pointer = true,
            None if column.starts_with('#') => {
                field.protobuf = column[1..]
                    .split('.')
                    .filter_map(|n| n.parse().ok())
                    .collect();
            }
            _ => unreachable!("the facts are tested to hold no other attribute: {line}"),
        }
    }
    field
}

fn list_type(text: &'static str) -> ListType {
    match text.strip_prefix("map:") {
        Some(keys) => ListType::Map(keys.split(',').collect()),
        None if text == "set" => ListType::Set,
        None => ListType::Atomic,
    }
}

fn patch(text: &'static str) -> PatchStrategy {
    let (strategies, merge_key) = match text.split_once(':') {
        Some((strategies, key)) => (strategies, Some(key)),
        None => (text, None),
    };
    let has = |name| strategies.split(',').any(|strategy| strategy == name);
    PatchStrategy {
        merge: has("merge"),
        retain_keys: has("retainKeys"),
        replace: has("replace"),
        merge_key,
    }
}

fn shape(text: &str, resolve: &dyn Fn(&str) -> Option<TypeId>) -> Shape {
    if let Some(element) = text.strip_prefix("[]") {
        return Shape::List(Box::new(shape(element, resolve)));
    }
    if let Some(element) = text.strip_prefix("{}") {
        return Shape::Map(Box::new(shape(element, resolve)));
    }
    scalar(text).unwrap_or_else(|| {
        let id = if text.starts_with("io.k8s.") {
            resolve(text)
        } else {
            resolve(&format!("io.k8s.api.{text}"))
        };
        Shape::Struct(id.expect("the facts are tested to name only types that they hold"))
    })
}

fn scalar(text: &str) -> Option<Shape> {
    Some(match text {
        "string" => Shape::String,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "bytes" => Shape::Bytes,
        "Quantity" => Shape::Quantity,
        "IntOrString" => Shape::IntOrString,
        "Time" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        "Duration" => Shape::Duration,
        "RawExtension" => Shape::RawExtension,
        "FieldsV1" => Shape::FieldsV1,
        "Json" => Shape::Json,
        _ => return None,
    })
}

/// What `resources.tsv` says about one kind of a group.
#[derive(Clone, Debug)]
pub(crate) struct ResourceRow {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<&'static str>,
    pub(crate) categories: Vec<&'static str>,
    pub(crate) verbs: Vec<&'static str>,
    subresources: &'static str,
    pub(crate) selectable_fields: Vec<&'static str>,
}

/// The verbs of an ordinary resource, sorted.
const ALL_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Reads `resources.tsv`.
pub(crate) fn resource_rows(text: &'static str) -> impl Iterator<Item = ResourceRow> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line
                .split('\t')
                .map(|column| if column == "-" { "" } else { column });
            let mut next = || columns.next().unwrap_or_default();
            let list = |text: &'static str, by: char| -> Vec<&'static str> {
                text.split(by).filter(|part| !part.is_empty()).collect()
            };
            ResourceRow {
                group: next(),
                kind: next(),
                plural: next(),
                singular: next(),
                namespaced: next() == "N",
                short_names: list(next(), ','),
                categories: list(next(), ','),
                verbs: match next() {
                    "*" => ALL_VERBS.to_vec(),
                    verbs => list(verbs, ','),
                },
                subresources: next(),
                selectable_fields: list(next(), ' '),
            }
        })
}

impl ResourceRow {
    /// Returns the subresources as this version of the group serves them.
    pub(crate) fn subresources(&self, version: &'static str) -> Vec<Subresource> {
        let one = |text: &'static str| {
            let (front, body) = match text.split_once('=') {
                Some((front, body)) => (front, body),
                None => (text, self.kind),
            };
            let (name, verbs) = match front.split_once(':') {
                Some((name, verbs)) => (name, verbs.split(',').collect()),
                None => (front, vec!["get", "patch", "update"]),
            };
            let mut parts = body.rsplit('/');
            let kind = parts.next().unwrap_or(body);
            let body_version = parts.next().unwrap_or(version);
            let group = parts.next().unwrap_or(self.group);
            Subresource {
                name,
                group,
                version: body_version,
                kind,
                verbs,
            }
        };
        self.subresources
            .split(' ')
            .filter(|text| !text.is_empty())
            .map(one)
            .collect()
    }
}
