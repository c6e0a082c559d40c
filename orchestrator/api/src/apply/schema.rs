//! What server-side apply must know of a value: is it a leaf, a map, or a list, and what tells the
//! elements of a list apart. It reads the type table, a CRD's schema, or guesses from the value.

use ordain_schemas::{Field, ListType, MapType, Shape, Table, Type, TypeId};
use serde_json::{Map, Value};

use super::set::PathElement;
use crate::quantity::Quantity;

/// Where the facts about a value come from. A cheap handle: walks make one per value.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'s>(Source<'s>);

#[derive(Clone, Copy, Debug)]
enum Source<'s> {
    /// A struct of the type table.
    Struct {
        table: &'s Table,
        ty: &'s Type,
        map: MapType,
        /// Whether the field is a pointer in Go.
        pointer: bool,
    },
    /// Another shape of the type table.
    Shape {
        table: &'s Table,
        shape: &'s Shape,
        list: Option<&'s ListType>,
        map: MapType,
        /// Whether Go writes the field even when it is empty.
        required: bool,
    },
    /// The object of a CRD: metadata from the table, the rest from the schema.
    Custom { table: &'s Table, schema: &'s Value },
    /// A part of a CRD's structural schema.
    Structural { table: &'s Table, schema: &'s Value },
    /// Nothing is known: maps are granular, lists atomic.
    Deduced,
}

/// What kind of thing a value is for merging.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Atom<'s> {
    /// One value with one owner.
    Leaf,
    /// A map whose entries have their own owners.
    Map,
    /// A list whose elements are told apart by their value.
    Set,
    /// A list whose elements are told apart by fields.
    Keyed(Keys<'s>),
}

/// The fields that tell the elements of a list apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Keys<'s> {
    /// From the type table.
    Table(&'s [&'static str]),
    /// From a CRD's schema.
    Json(&'s [Value]),
}

impl<'s> Keys<'s> {
    /// Returns the names of the fields.
    pub(crate) fn names(self) -> Vec<&'s str> {
        match self {
            Keys::Table(names) => names.to_vec(),
            Keys::Json(names) => names.iter().filter_map(Value::as_str).collect(),
        }
    }
}

impl<'s> Schema<'s> {
    /// Returns the schema of a built-in type.
    pub fn of_type(table: &'s Table, ty: TypeId) -> Schema<'s> {
        let ty = table.ty(ty);
        Schema(Source::Struct {
            table,
            ty,
            map: MapType::Granular,
            pointer: true,
        })
    }

    /// Returns the schema of a custom resource from the `openAPIV3Schema` of its version.
    pub fn of_custom_resource(table: &'s Table, schema: &'s Value) -> Schema<'s> {
        Schema(Source::Custom { table, schema })
    }

    /// Returns the schema for objects about which nothing is known.
    pub fn deduced() -> Schema<'s> {
        Schema(Source::Deduced)
    }

    /// Returns the schema of a field of the type table.
    fn of_field(table: &'s Table, field: &'s Field) -> Schema<'s> {
        Schema(match &field.shape {
            Shape::Struct(id) => Source::Struct {
                table,
                ty: table.ty(*id),
                map: field.map_type,
                pointer: field.pointer,
            },
            shape => {
                let list = field.list_type.as_ref();
                Source::Shape {
                    table,
                    shape,
                    list,
                    map: field.map_type,
                    required: field.required,
                }
            }
        })
    }

    /// Returns the schema of an element of a list or map of the type table.
    fn of_element(table: &'s Table, shape: &'s Shape) -> Schema<'s> {
        match shape {
            Shape::Struct(id) => Schema::of_type(table, *id),
            shape => Schema(Source::Shape {
                table,
                shape,
                list: None,
                map: MapType::Granular,
                required: false,
            }),
        }
    }

    /// Tells what a value is.
    pub(crate) fn atom(&self, value: &Value) -> Atom<'s> {
        match self.0 {
            Source::Struct { ty, map, .. } => {
                let atomic = map == MapType::Atomic || ty.map_type == MapType::Atomic;
                if atomic || !ty.is_struct() {
                    Atom::Leaf
                } else {
                    Atom::Map
                }
            }
            Source::Shape {
                shape: Shape::Map(_),
                map: MapType::Granular,
                ..
            } => Atom::Map,
            Source::Shape {
                shape: Shape::List(_),
                list,
                ..
            } => match list {
                Some(ListType::Set) => Atom::Set,
                Some(ListType::Map(keys)) => Atom::Keyed(Keys::Table(keys)),
                Some(ListType::Atomic) | None => Atom::Leaf,
            },
            Source::Shape { .. } => Atom::Leaf,
            Source::Custom { .. } => Atom::Map,
            Source::Structural { schema, .. } => structural_atom(schema, value),
            Source::Deduced => {
                if value.is_object() {
                    Atom::Map
                } else {
                    Atom::Leaf
                }
            }
        }
    }

    /// Returns the schema of a field or map entry, and whether it is a field that the schema names.
    pub(crate) fn child(&self, key: &str) -> (Schema<'s>, bool) {
        let unknown = (Schema(Source::Deduced), false);
        match self.0 {
            Source::Struct { table, ty, .. } => match ty.field(key) {
                Some(field) => (Schema::of_field(table, field), true),
                None => unknown,
            },
            Source::Shape {
                table,
                shape: Shape::Map(element),
                ..
            } => (Schema::of_element(table, element), false),
            Source::Shape { .. } | Source::Deduced => unknown,
            Source::Custom { table, schema } => match (key, object_meta(table)) {
                ("metadata", Some(ty)) => (Schema::of_type(table, ty), true),
                ("apiVersion" | "kind", _) => (Schema(Source::Deduced), true),
                _ => structural_child(table, schema, key),
            },
            Source::Structural { table, schema } => structural_child(table, schema, key),
        }
    }

    /// Returns the schema of the elements of a list.
    pub(crate) fn element(&self) -> Schema<'s> {
        match self.0 {
            Source::Shape {
                table,
                shape: Shape::List(element),
                ..
            } => Schema::of_element(table, element),
            Source::Structural { table, schema } if schema["items"].is_object() => {
                Schema(Source::Structural {
                    table,
                    schema: &schema["items"],
                })
            }
            _ => Schema(Source::Deduced),
        }
    }

    /// Tells whether a map may have this key: a built-in struct has the fields of its type only.
    pub(crate) fn allows(&self, key: &str) -> bool {
        match self.0 {
            Source::Struct { ty, .. } => ty.field(key).is_some(),
            _ => true,
        }
    }

    /// Writes the quantities of a value in canonical form, so that `1000m` is no change of `1`.
    pub(crate) fn canonicalize(&self, value: &mut Value) {
        match (self.0, value) {
            (
                Source::Shape {
                    shape: Shape::Quantity,
                    ..
                },
                value,
            ) => {
                if let Ok(quantity) = Quantity::from_value(value) {
                    *value = quantity.to_string().into();
                }
            }
            (Source::Struct { .. } | Source::Shape { .. }, Value::Object(map)) => {
                for (key, value) in map {
                    self.child(key).0.canonicalize(value);
                }
            }
            (Source::Shape { .. }, Value::Array(list)) => {
                let element = self.element();
                list.iter_mut()
                    .for_each(|value| element.canonicalize(value));
            }
            _ => {}
        }
    }

    /// Returns what Go has where an object lacks this field: an empty struct for one that is no
    /// pointer, null for a list or map that is always written. The path of such a field is never
    /// added or removed, only what is below it.
    pub(crate) fn when_absent(&self) -> Option<Value> {
        match self.0 {
            Source::Struct { pointer: false, .. } => Some(Value::Object(Map::new())),
            Source::Shape {
                required: true,
                shape: Shape::List(_) | Shape::Map(_),
                ..
            } => Some(Value::Null),
            _ => None,
        }
    }

    /// Returns the path element of each element of a list, `None` where it has none.
    pub(crate) fn elements(&self, atom: Atom<'_>, list: &[Value]) -> Vec<Option<PathElement>> {
        let element = self.element();
        let keys = match atom {
            Atom::Set => return list.iter().map(|v| Some(PathElement::value(v))).collect(),
            Atom::Keyed(keys) => keys.names(),
            Atom::Leaf | Atom::Map => return vec![None; list.len()],
        };
        let path_element = |value: &Value| {
            let mut fields = Map::new();
            for key in &keys {
                let value = value.get(key).filter(|value| !value.is_null()).cloned();
                if let Some(value) = value.or_else(|| element.default(key)) {
                    fields.insert((*key).to_owned(), value);
                }
            }
            (!fields.is_empty()).then(|| PathElement::key(&fields))
        };
        list.iter().map(path_element).collect()
    }

    /// Returns the default of a field of a struct.
    fn default(&self, key: &str) -> Option<Value> {
        match self.0 {
            Source::Struct { ty, .. } => serde_json::from_str(ty.field(key)?.default?).ok(),
            Source::Structural { schema, .. } => schema["properties"][key].get("default").cloned(),
            _ => None,
        }
    }
}

fn object_meta(table: &Table) -> Option<TypeId> {
    table.type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
}

fn structural_child<'s>(table: &'s Table, schema: &'s Value, key: &str) -> (Schema<'s>, bool) {
    if schema["x-kubernetes-embedded-resource"] == true
        && key == "metadata"
        && let Some(ty) = object_meta(table)
    {
        return (Schema::of_type(table, ty), true);
    }
    if schema["properties"][key].is_object() {
        let schema = &schema["properties"][key];
        return (Schema(Source::Structural { table, schema }), true);
    }
    if schema["additionalProperties"].is_object() {
        let schema = &schema["additionalProperties"];
        return (Schema(Source::Structural { table, schema }), false);
    }
    (Schema(Source::Deduced), false)
}

fn structural_atom<'s>(schema: &'s Value, value: &Value) -> Atom<'s> {
    match schema["type"].as_str() {
        Some("array") => match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Atom::Set,
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array();
                Atom::Keyed(Keys::Json(keys.map_or(&[], Vec::as_slice)))
            }
            _ => Atom::Leaf,
        },
        Some("object") if schema["x-kubernetes-map-type"] == "atomic" => Atom::Leaf,
        Some("object") => Atom::Map,
        Some(_) => Atom::Leaf,
        None if value.is_object() => Atom::Map,
        None => Atom::Leaf,
    }
}
