//! Types and fields of the Kubernetes API. It does not know which values an object holds.

/// The place of a type in its table. It means nothing in a table of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(crate) u32);

/// A named type: a struct with fields, or one whose JSON form is special.
#[derive(Clone, Debug)]
pub struct Type {
    /// The place in the table.
    pub id: TypeId,
    /// The OpenAPI name, such as `io.k8s.api.core.v1.PodSpec`.
    pub name: &'static str,
    /// The fields, sorted by their JSON name. Empty for a type without fields and for special types.
    pub fields: Vec<Field>,
    /// What the type is written as when it is not a struct: `Quantity` is [`Shape::Quantity`].
    /// `None` means a struct.
    pub special: Option<Shape>,
    /// How server-side apply merges the type; `Atomic` for references and selectors.
    pub map_type: MapType,
    /// The group, version and kind combinations whose objects have this type.
    pub gvks: Vec<(&'static str, &'static str, &'static str)>,
}

impl Type {
    /// Returns the last part of the name: `PodSpec`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// Returns the field with this JSON name. Logarithmic in the number of fields.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .binary_search_by(|field| field.name.cmp(name))
            .ok()
            .map(|at| &self.fields[at])
    }

    /// Tells whether the type is a struct, so that its `fields` say what may be written.
    pub fn is_struct(&self) -> bool {
        self.special.is_none()
    }
}

/// One field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// The JSON name.
    pub name: &'static str,
    /// What may be written here.
    pub shape: Shape,
    /// Whether an object without it is rejected.
    pub required: bool,
    /// Whether Go's type is a pointer, for scalars and structs: only then does a zero value, or an
    /// empty struct, differ from absence. A struct that is no pointer exists whenever its parent does.
    pub pointer: bool,
    /// The value that the API server fills in when the field is absent, as JSON text.
    pub default: Option<&'static str>,
    /// The allowed strings, empty when any string is allowed (or unknown to the table). For a list
    /// or map of strings they are the allowed elements.
    pub enum_values: Vec<&'static str>,
    /// How server-side apply merges the list; `None` for other shapes and for lists that do not
    /// say, which are atomic.
    pub list_type: Option<ListType>,
    /// How server-side apply merges the struct or map in this field.
    pub map_type: MapType,
    /// How a strategic merge patch treats the field.
    pub patch: PatchStrategy,
    /// The protobuf field numbers that lead here: one, or two when the field is inlined from a
    /// nested message (`Probe.exec` is number 1 of the message in number 1). Empty when unknown.
    pub protobuf: Vec<u32>,
}

/// What a value looks like in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    String,
    /// `true` or `false`.
    Bool,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A floating point number.
    Double,
    /// Bytes, written as a base64 string.
    Bytes,
    /// A quantity such as `500m` or `1Gi`; a number is accepted too.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// An RFC 3339 time with seconds.
    Time,
    /// An RFC 3339 time with microseconds.
    MicroTime,
    /// A duration in Go's notation, such as `1h30m`.
    Duration,
    /// Any object, kept as it is (`RawExtension`).
    RawExtension,
    /// The field set of `managedFields`, any object.
    FieldsV1,
    /// Any JSON value (`JSON`, and the schema-or-boolean types of CustomResourceDefinitions).
    Json,
    /// A struct of the table.
    Struct(TypeId),
    /// A list of values of one shape.
    List(Box<Shape>),
    /// A map with string keys and values of one shape.
    Map(Box<Shape>),
}

impl Shape {
    /// Returns the shape of the elements of a list or of the values of a map.
    pub fn element(&self) -> Option<&Shape> {
        match self {
            Shape::List(element) | Shape::Map(element) => Some(element),
            _ => None,
        }
    }

    /// Returns the struct that the value, its elements or its values are made of.
    pub fn struct_id(&self) -> Option<TypeId> {
        match self {
            Shape::Struct(id) => Some(*id),
            Shape::List(element) | Shape::Map(element) => element.struct_id(),
            _ => None,
        }
    }
}

/// How server-side apply merges a list (`x-kubernetes-list-type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value with one owner.
    Atomic,
    /// Each scalar element has its own owners.
    Set,
    /// Elements are structs, told apart by these fields.
    Map(Vec<&'static str>),
}

/// How server-side apply merges a struct or map (`x-kubernetes-map-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapType {
    /// Each field or entry has its own owners.
    #[default]
    Granular,
    /// The whole is one value with one owner.
    Atomic,
}

/// How a strategic merge patch treats a field (`x-kubernetes-patch-strategy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Whether the elements of a list are merged, not replaced.
    pub merge: bool,
    /// Whether the patch says which keys to retain (`retainKeys`).
    pub retain_keys: bool,
    /// Whether the value is always replaced, even where it is a struct.
    pub replace: bool,
    /// The field that tells the elements of a merged list apart; `None` for scalars.
    pub merge_key: Option<&'static str>,
}
