//! Structural schemas as plain data, with the place of each rule.
//!
//! One structure for schemas and for the parts of `allOf` and its like, as Kubernetes has it
//! (apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use regex::Regex;
use serde_json::{Number, Value as Json};

use crate::problem::Place;

/// A rule and where it is written.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The rule.
    pub value: T,
    /// Its place.
    pub place: Place,
}

/// `type` of a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// `object`
    Object,
    /// `array`
    Array,
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
}

impl Type {
    /// As schemas write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
        }
    }
}

/// `x-kubernetes-list-type`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ListType {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each once.
    Set,
    /// Objects told apart by these fields.
    Map(Vec<String>),
}

/// `additionalProperties`.
#[derive(Clone, Debug)]
pub enum Additional {
    /// `true`: any value.
    Any,
    /// Values of this schema.
    Schema(Box<Schema>),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name.
    pub name: Arc<str>,
    /// Where its name is written.
    pub place: Place,
    /// What its value must be.
    pub schema: Schema,
}

/// A regular expression which strings must match.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: Arc<str>,
    /// Compiled; none when only Kubernetes' own engine knows it.
    pub regex: Option<Regex>,
}

/// A rule of `x-kubernetes-validations`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The expression as written.
    pub text: Arc<str>,
    /// Where it is written.
    pub place: Place,
    /// Compiled; none when it cannot be, which was reported.
    pub program: Option<Arc<ordain_cel::Program>>,
    /// The message for objects that break it.
    pub message: Option<Arc<str>>,
    /// An expression that makes the message: as written, and compiled.
    pub message_expression: Option<(Arc<str>, Arc<ordain_cel::Program>)>,
    /// The machine-readable reason.
    pub reason: Option<Arc<str>>,
    /// The field, below the rule's own, that is to blame: `.spec.size`.
    pub field_path: Option<Arc<str>>,
    /// Whether `oldSelf` is an optional value, so that the rule also holds for new objects.
    pub optional_old_self: bool,
}

impl Rule {
    /// Whether the rule compares an object with what it was before, and says nothing of new ones.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        !self.optional_old_self
            && self
                .program
                .as_ref()
                .is_some_and(|program| program.uses("oldSelf"))
    }
}

/// A schema: what a value must be.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Where it begins.
    pub place: Place,
    /// What it describes, in words.
    pub description: Option<Arc<str>>,
    /// `type`
    pub ty: Option<At<Type>>,
    /// `nullable`
    pub nullable: bool,
    /// `default`
    pub default: Option<At<Json>>,
    /// `enum`
    pub enum_values: Option<At<Vec<Json>>>,
    /// `format`
    pub format: Option<At<Arc<str>>>,
    /// `pattern`
    pub pattern: Option<At<Pattern>>,
    /// `minimum`, and whether the bound itself is outside.
    pub minimum: Option<At<(Number, bool)>>,
    /// `maximum`, and whether the bound itself is outside.
    pub maximum: Option<At<(Number, bool)>>,
    /// `multipleOf`
    pub multiple_of: Option<At<Number>>,
    /// `minLength`
    pub min_length: Option<At<u64>>,
    /// `maxLength`
    pub max_length: Option<At<u64>>,
    /// `minItems`
    pub min_items: Option<At<u64>>,
    /// `maxItems`
    pub max_items: Option<At<u64>>,
    /// `minProperties`
    pub min_properties: Option<At<u64>>,
    /// `maxProperties`
    pub max_properties: Option<At<u64>>,
    /// `properties`, in the order of the file.
    pub properties: Vec<Property>,
    /// Positions in `properties` by name.
    pub(crate) by_name: HashMap<Arc<str>, usize>,
    /// `required`
    pub required: Vec<At<Arc<str>>>,
    /// `additionalProperties`
    pub additional: Option<Additional>,
    /// `items`
    pub items: Option<Box<Schema>>,
    /// `allOf`
    pub all_of: Vec<Schema>,
    /// `anyOf`
    pub any_of: Vec<Schema>,
    /// `oneOf`
    pub one_of: Vec<Schema>,
    /// `not`
    pub not: Option<Box<Schema>>,
    /// `x-kubernetes-int-or-string`
    pub int_or_string: bool,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`
    pub embedded: bool,
    /// `x-kubernetes-list-type` and `x-kubernetes-list-map-keys`
    pub list_type: ListType,
    /// Whether `x-kubernetes-map-type` is `atomic`.
    pub atomic_map: bool,
    /// `x-kubernetes-validations`
    pub rules: Vec<Rule>,
}

impl Schema {
    /// The field with a name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.get(*self.by_name.get(name)?)
    }

    /// The names of the fields that an object must have.
    #[must_use]
    pub fn required_names(&self) -> HashSet<&str> {
        self.required.iter().map(|r| &*r.value).collect()
    }

    /// The type.
    #[must_use]
    pub fn type_of(&self) -> Option<Type> {
        self.ty.as_ref().map(|ty| ty.value)
    }
}
