//! A finished object against its schema, as the API server does it: nulls pruned, defaults set, every rule held.
//!
//! The order is the API server's: what breaks a value rule is not given to CEL
//! (apiextensions-apiserver/pkg/registry/customresource/strategy.go).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};

use crate::cel;
use crate::crd::Version;
use crate::formats;
use crate::problem::Place;
use crate::schema::{Additional, ListType, Schema, Type};

/// A step of a path into an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A field, or a key of a map.
    Field(Arc<str>),
    /// An element of a list.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => f.write_str(name),
            Step::Index(at) => write!(f, "{at}"),
        }
    }
}

/// A rule of the schema that an object breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The stable code; it has a page.
    pub code: &'static str,
    /// Where in the object.
    pub path: Vec<Step>,
    /// What is wrong there, without the path: `must be at least 1, found 0`.
    pub message: String,
    /// The rule, in the CRD file.
    pub rule: Place,
    /// What stands at the rule.
    pub label: String,
    /// More facts.
    pub notes: Vec<String>,
}

impl Violation {
    /// The path as people write it: `spec.issuers[0].name`.
    #[must_use]
    pub fn field(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Index(at) => out.push_str(&format!("[{at}]")),
                Step::Field(name) if name.contains(['.', '/']) => {
                    out.push_str(&format!("[\"{name}\"]"))
                }
                Step::Field(name) if out.is_empty() => out.push_str(name),
                Step::Field(name) => out.push_str(&format!(".{name}")),
            }
        }
        out
    }
}

/// Everything in an object that the API server would refuse, as far as it can be known before there is a cluster:
/// the rules of values, then, when they hold, the CEL rules. Rules which compare with an earlier object say nothing.
#[must_use]
pub fn check_object(version: &Version, object: &Json) -> Vec<Violation> {
    let mut object = object.clone();
    apply_defaults(&version.schema, &mut object);
    let mut check = Check::default();
    check.value(&version.schema, &object, Place::default(), true);
    if check.found.is_empty() && version.has_rules {
        return cel::rules(&version.schema, &object);
    }
    check.found
}

/// What is wrong with a value, CEL rules left out.
pub(crate) fn values(schema: &Schema, value: &Json) -> Vec<Violation> {
    let mut check = Check::default();
    check.value(schema, value, schema.place, false);
    check.found
}

/// How many values defaults may add to an object, so that a default in each element of a list cannot fill the memory.
const MAX_DEFAULTED: usize = 1_000_000;

/// Drops nulls where none may be, and sets defaults
/// (apiextensions-apiserver/pkg/apiserver/schema/defaulting/algorithm.go).
pub(crate) fn apply_defaults(schema: &Schema, value: &mut Json) {
    Defaults {
        room: MAX_DEFAULTED,
    }
    .apply(schema, value);
}

struct Defaults {
    room: usize,
}

impl Defaults {
    /// A copy of a default, while there is room.
    fn copy(&mut self, default: &Json) -> Option<Json> {
        self.room = self.room.checked_sub(size(default))?;
        Some(default.clone())
    }

    fn apply(&mut self, schema: &Schema, value: &mut Json) {
        match value {
            Json::Object(fields) => {
                for property in &schema.properties {
                    if let Some(Json::Null) = fields.get(&*property.name)
                        && !property.schema.nullable
                    {
                        fields.shift_remove(&*property.name);
                    }
                    if let Some(default) = &property.schema.default
                        && !fields.contains_key(&*property.name)
                        && let Some(made) = self.copy(&default.value)
                    {
                        fields.insert(property.name.to_string(), made);
                    }
                    if let Some(field) = fields.get_mut(&*property.name) {
                        self.apply(&property.schema, field);
                    }
                }
                if let Some(Additional::Schema(inner)) = &schema.additional {
                    fields
                        .values_mut()
                        .for_each(|field| self.part(inner, field));
                }
            }
            Json::Array(items) => {
                if let Some(inner) = &schema.items {
                    items.iter_mut().for_each(|item| self.part(inner, item));
                }
            }
            _ => {}
        }
    }

    /// An element, or the value of a map: what is null takes the default.
    fn part(&mut self, schema: &Schema, value: &mut Json) {
        if let (Json::Null, false, Some(default)) = (&*value, schema.nullable, &schema.default)
            && let Some(made) = self.copy(&default.value)
        {
            *value = made;
        }
        self.apply(schema, value);
    }
}

fn size(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Json::Object(fields) => 1 + fields.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

#[derive(Default)]
struct Check {
    path: Vec<Step>,
    found: Vec<Violation>,
}

impl Check {
    fn tell(&mut self, rule: Place, label: &str, message: impl Into<String>) {
        self.found.push(Violation {
            code: "E0860",
            path: self.path.clone(),
            message: message.into(),
            rule,
            label: label.to_owned(),
            notes: Vec::new(),
        });
    }

    /// Checks a value. `declared` is where the field is named; `is_object` marks what carries `apiVersion`, `kind` and
    /// `metadata` of its own.
    fn value(&mut self, schema: &Schema, value: &Json, declared: Place, is_object: bool) {
        if value.is_null() {
            if !schema.nullable && (schema.ty.is_some() || schema.int_or_string) {
                self.tell(declared, "it is not nullable", "must not be null");
            }
            return;
        }
        if !self.has_type(schema, value) {
            return;
        }
        if let Some(allowed) = &schema.enum_values
            && !allowed.value.iter().any(|one| same(one, value))
        {
            let shown: Vec<String> = allowed.value.iter().map(Json::to_string).collect();
            self.tell(
                allowed.place,
                "one of these",
                format!("must be one of {}, found {}", shown.join(", "), show(value)),
            );
        }
        match value {
            Json::String(text) => self.string(schema, text),
            Json::Number(number) => self.number(schema, number),
            Json::Array(items) => self.list(schema, items),
            Json::Object(fields) => self.object(schema, fields, is_object || schema.embedded),
            _ => {}
        }
        self.junctors(schema, value);
    }

    fn has_type(&mut self, schema: &Schema, value: &Json) -> bool {
        if schema.int_or_string {
            let good = value.is_string() || is_integer(value);
            if !good {
                self.tell(
                    schema.place,
                    "an int-or-string",
                    format!("expected an integer or a string, found {}", show(value)),
                );
            }
            return good;
        }
        let Some(ty) = &schema.ty else { return true };
        let good = match ty.value {
            Type::Object => value.is_object(),
            Type::Array => value.is_array(),
            Type::String => value.is_string(),
            Type::Boolean => value.is_boolean(),
            Type::Number => value.is_number(),
            Type::Integer => is_integer(value),
        };
        if !good {
            let message = format!("expected {}, found {}", ty.value.name(), show(value));
            self.tell(ty.place, "this type", message);
        }
        good
    }

    fn string(&mut self, schema: &Schema, text: &str) {
        if let Some(pattern) = &schema.pattern
            && pattern
                .value
                .regex
                .as_ref()
                .is_some_and(|regex| !regex.is_match(text))
        {
            self.tell(
                pattern.place,
                "this pattern",
                format!("must match /{}/, found {text:?}", pattern.value.text),
            );
        }
        if let Some(format) = &schema.format
            && let Some(why) = formats::fault(&format.value, text)
        {
            self.tell(format.place, "this format", format!("{text:?} {why}"));
        }
        let length = text.chars().count() as u64;
        let unit = |n: u64| if n == 1 { "character" } else { "characters" };
        if let Some(least) = schema.min_length.as_ref().filter(|l| length < l.value) {
            let n = least.value;
            self.tell(
                least.place,
                "this rule",
                format!("must have at least {n} {}, found {length}", unit(n)),
            );
        }
        if let Some(most) = schema.max_length.as_ref().filter(|l| length > l.value) {
            let n = most.value;
            self.tell(
                most.place,
                "this rule",
                format!("must have at most {n} {}, found {length}", unit(n)),
            );
        }
    }

    fn number(&mut self, schema: &Schema, number: &Number) {
        if let Some(least) = &schema.minimum {
            let (bound, exclusive) = &least.value;
            let order = compare(number, bound);
            if order.is_lt() || *exclusive && order.is_eq() {
                let what = if *exclusive { "more than" } else { "at least" };
                self.tell(
                    least.place,
                    "this rule",
                    format!("must be {what} {bound}, found {number}"),
                );
            }
        }
        if let Some(most) = &schema.maximum {
            let (bound, exclusive) = &most.value;
            let order = compare(number, bound);
            if order.is_gt() || *exclusive && order.is_eq() {
                let what = if *exclusive { "less than" } else { "at most" };
                self.tell(
                    most.place,
                    "this rule",
                    format!("must be {what} {bound}, found {number}"),
                );
            }
        }
        if let Some(factor) = &schema.multiple_of {
            let is_multiple = match (number.as_i64(), factor.value.as_i64()) {
                (Some(n), Some(factor)) if factor != 0 => n.checked_rem(factor) == Some(0),
                _ => {
                    let ratio = float(number) / float(&factor.value);
                    (ratio - ratio.round()).abs() < 1e-9
                }
            };
            if !is_multiple {
                self.tell(
                    factor.place,
                    "this rule",
                    format!("must be a multiple of {}, found {number}", factor.value),
                );
            }
        }
    }

    fn list(&mut self, schema: &Schema, items: &[Json]) {
        let length = items.len() as u64;
        let unit = |n: u64| if n == 1 { "element" } else { "elements" };
        if let Some(least) = schema.min_items.as_ref().filter(|l| length < l.value) {
            let n = least.value;
            self.tell(
                least.place,
                "this rule",
                format!("must have at least {n} {}, found {length}", unit(n)),
            );
        }
        if let Some(most) = schema.max_items.as_ref().filter(|l| length > l.value) {
            let n = most.value;
            self.tell(
                most.place,
                "this rule",
                format!("must have at most {n} {}, found {length}", unit(n)),
            );
        }
        if let Some(inner) = &schema.items {
            for (at, item) in items.iter().enumerate() {
                self.path.push(Step::Index(at));
                self.value(inner, item, inner.place, false);
                self.path.pop();
            }
        }
        let mut seen: HashSet<String> = HashSet::new();
        for (at, item) in items.iter().enumerate() {
            let identity = match &schema.list_type {
                ListType::Atomic => return,
                ListType::Set => item.to_string(),
                ListType::Map(keys) => {
                    let parts: Vec<String> = keys
                        .iter()
                        .map(|k| item.get(k).unwrap_or(&Json::Null).to_string())
                        .collect();
                    parts.join(",")
                }
            };
            if !seen.insert(identity.clone()) {
                self.path.push(Step::Index(at));
                let what = match &schema.list_type {
                    ListType::Map(keys) => format!(
                        "has the same {} as another element: {identity}",
                        keys.join(", ")
                    ),
                    _ => format!("is there twice: {}", show(item)),
                };
                self.tell(schema.place, "each element is different", what);
                self.path.pop();
            }
        }
    }

    fn object(&mut self, schema: &Schema, fields: &Map<String, Json>, is_object: bool) {
        let count = fields.len() as u64;
        let unit = |n: u64| if n == 1 { "field" } else { "fields" };
        if let Some(least) = schema.min_properties.as_ref().filter(|l| count < l.value) {
            let n = least.value;
            self.tell(
                least.place,
                "this rule",
                format!("must have at least {n} {}, found {count}", unit(n)),
            );
        }
        if let Some(most) = schema.max_properties.as_ref().filter(|l| count > l.value) {
            let n = most.value;
            self.tell(
                most.place,
                "this rule",
                format!("must have at most {n} {}, found {count}", unit(n)),
            );
        }
        for required in &schema.required {
            // What the cluster says of an object is not for who writes it.
            let is_status = is_object && *required.value == *"status";
            if !is_status && !fields.contains_key(&*required.value) {
                self.tell(
                    required.place,
                    "required here",
                    format!("needs `{}`", required.value),
                );
            }
        }
        if schema.embedded {
            for name in ["apiVersion", "kind"] {
                if !matches!(fields.get(name), Some(Json::String(text)) if !text.is_empty()) {
                    self.tell(
                        schema.place,
                        "an embedded resource",
                        format!("needs `{name}`"),
                    );
                }
            }
        }
        for (name, value) in fields {
            let step = Step::Field(name.as_str().into());
            let property = schema.property(name);
            self.path.push(step);
            if is_object && name == "metadata" {
                // The API server has rules of its own for it; a schema may only add to those of the names.
                for property in property.iter().flat_map(|p| &p.schema.properties) {
                    if let Some(value) = value.get(&*property.name) {
                        self.path.push(Step::Field(Arc::clone(&property.name)));
                        self.value(&property.schema, value, property.place, false);
                        self.path.pop();
                    }
                }
            } else if let Some(property) = property {
                self.value(&property.schema, value, property.place, false);
            } else if let Some(additional) = &schema.additional {
                if let Additional::Schema(inner) = additional {
                    self.value(inner, value, inner.place, false);
                }
            } else if schema.type_of() == Some(Type::Object)
                && !schema.preserve_unknown
                && !(is_object && matches!(name.as_str(), "apiVersion" | "kind"))
            {
                self.tell(
                    schema.place,
                    "its fields are declared here",
                    "is no field: the API server would drop it",
                );
            }
            self.path.pop();
        }
    }

    fn junctors(&mut self, schema: &Schema, value: &Json) {
        for part in &schema.all_of {
            self.value(part, value, part.place, false);
        }
        if !schema.any_of.is_empty() {
            let faults = self.faults(&schema.any_of, value);
            if faults.iter().all(|f| !f.is_empty()) {
                self.no_part("anyOf", &schema.any_of, faults);
            }
        }
        if !schema.one_of.is_empty() {
            let faults = self.faults(&schema.one_of, value);
            let good: Vec<usize> = (0..faults.len())
                .filter(|at| faults[*at].is_empty())
                .collect();
            match good.as_slice() {
                [_] => {}
                [] => self.no_part("oneOf", &schema.one_of, faults),
                [first, ..] => {
                    let place = schema.one_of[*first].place;
                    self.tell(
                        place,
                        "the first of them",
                        format!(
                            "must match exactly one alternative of `oneOf`, matches {}",
                            good.len()
                        ),
                    );
                }
            }
        }
        if let Some(part) = &schema.not
            && self.faults(std::slice::from_ref(part), value)[0].is_empty()
        {
            self.tell(part.place, "must not match this", "is what `not` excludes");
        }
    }

    fn faults(&self, parts: &[Schema], value: &Json) -> Vec<Vec<Violation>> {
        parts.iter().map(|part| values(part, value)).collect()
    }

    /// Tells that no alternative matches, and what is wrong with each.
    fn no_part(&mut self, what: &str, parts: &[Schema], faults: Vec<Vec<Violation>>) {
        /// Alternatives beyond these are not listed.
        const LISTED: usize = 4;
        let place = parts.first().map_or(Place::default(), |p| p.place);
        self.tell(
            place,
            "these alternatives",
            format!("must match an alternative of `{what}`, matches none"),
        );
        if let Some(told) = self.found.last_mut() {
            for (at, fault) in faults.iter().enumerate().take(LISTED) {
                if let Some(fault) = fault.first() {
                    let field = fault.field();
                    let field = if field.is_empty() {
                        "it".to_owned()
                    } else {
                        format!("`{field}`")
                    };
                    told.notes
                        .push(format!("alternative {}: {field} {}", at + 1, fault.message));
                }
            }
        }
    }
}

/// Whether a number is whole, however it is written.
fn is_integer(value: &Json) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

fn compare(a: &Number, b: &Number) -> std::cmp::Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => float(a).total_cmp(&float(b)),
    }
}

fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => compare(a, b).is_eq(),
        _ => a == b,
    }
}

/// A value in a message: short, whatever it is.
pub(crate) fn show(value: &Json) -> String {
    match value {
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "an object".into(),
        Json::Null => "null".into(),
        other => other.to_string(),
    }
}
