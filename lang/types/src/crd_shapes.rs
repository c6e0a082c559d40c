//! Schemas of CustomResourceDefinitions as types: what a type can say of a structural schema.
//!
//! The rest (`oneOf`, `multipleOf`, CEL) is held against the finished object by `ordain_lang_crd`.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_crd::{Additional, ListType, Property, Schema, Type};
use ordain_lang_syntax::Name;

use crate::checker::Checker;
use crate::crd_types::At;
use crate::crds::CrdFile;
use crate::extra::Extra;
use crate::k8s::formatted;
use crate::relate::{Fit, Misfit};
use crate::ty::{
    FieldDef, FloatRange, Format, IntRange, LenRange, ListTy, Literal, Origin, RecordDef, RecordId,
    StringRule, Ty, TyKind,
};

/// What one version's types are made with.
pub(crate) struct Making {
    pub(crate) at: At,
    pub(crate) file: CrdFile,
    /// In front of names in messages: `certmanager.`
    pub(crate) prefix: String,
}

impl Checker<'_> {
    /// A property as a field of a record.
    pub(crate) fn crd_field(
        &mut self,
        making: &Making,
        property: &Property,
        is_required: bool,
        owner_name: &str,
        record: RecordId,
    ) -> FieldDef {
        let name = &*property.name;
        let schema = &property.schema;
        let base = self.crd_type(making, schema, &part_name(owner_name, name));
        let required = is_required && schema.default.is_none();
        let ty = match required && !schema.nullable {
            true => base,
            false => self.types.optional(base),
        };
        let field = Name::new(name);
        if let Some(default) = &schema.default
            && let serde_json::Value::String(text) = &default.value
        {
            self.k8s
                .key_defaults
                .insert((record, field), text.as_str().into());
        }
        FieldDef {
            name: field,
            ty,
            required,
            default: None,
            is_final: false,
            span: Some(making.file.span(property.place)),
            doc: schema.description.clone(),
        }
    }

    /// The type of a schema; `name` is that of the record, when it becomes one.
    fn crd_type(&mut self, making: &Making, schema: &Schema, name: &str) -> Ty {
        if schema.int_or_string {
            return match schema
                .pattern
                .as_ref()
                .is_some_and(|p| is_quantity(&p.value.text))
            {
                true => Ty::QUANTITY,
                false => Ty::INT_OR_STRING,
            };
        }
        match schema.type_of() {
            None => Ty::ANY,
            Some(Type::Boolean) => Ty::BOOL,
            Some(Type::String) => self.crd_string(schema),
            Some(Type::Integer) => self.crd_integer(schema),
            Some(Type::Number) => {
                let bound = |bound: &Option<ordain_lang_crd::At<(serde_json::Number, bool)>>| {
                    bound.as_ref().and_then(|b| b.value.0.as_f64())
                };
                let min = bound(&schema.minimum).unwrap_or(f64::NEG_INFINITY);
                let max = bound(&schema.maximum).unwrap_or(f64::INFINITY);
                self.types.intern(TyKind::Float(FloatRange::new(min, max)))
            }
            Some(Type::Array) => {
                let item = match &schema.items {
                    Some(items) => {
                        let ty = self.crd_type(making, items, name);
                        if items.nullable {
                            self.types.optional(ty)
                        } else {
                            ty
                        }
                    }
                    None => Ty::ANY,
                };
                let (keys, set) = match &schema.list_type {
                    ListType::Atomic => (Box::default(), false),
                    ListType::Set => (Box::default(), true),
                    ListType::Map(keys) => (keys.iter().map(|k| Name::new(k)).collect(), false),
                };
                let len = lengths(schema.min_items.as_ref(), schema.max_items.as_ref());
                self.types.intern(TyKind::List(ListTy {
                    item,
                    len,
                    keys,
                    set,
                }))
            }
            Some(Type::Object) => self.crd_object_type(making, schema, name),
        }
    }

    fn crd_string(&mut self, schema: &Schema) -> Ty {
        if let Some(allowed) = &schema.enum_values {
            let texts: Option<Box<[Name]>> = allowed
                .value
                .iter()
                .filter(|v| !v.is_null())
                .map(|v| v.as_str().map(Name::new))
                .collect();
            if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
                return self.types.intern(TyKind::Enum(texts));
            }
        }
        let pattern = schema.pattern.as_ref().map(|p| &p.value);
        if pattern.is_some_and(|p| is_quantity(&p.text)) {
            return Ty::QUANTITY;
        }
        let format = match schema.format.as_ref().map(|f| &*f.value) {
            Some("date-time" | "datetime") => return Ty::TIME,
            Some("ipv4" | "ipv6") => Some(Format::Ip),
            Some("cidr") => Some(Format::Cidr),
            Some("byte") => Some(Format::Base64),
            _ => None,
        };
        let fewest = schema.min_length.as_ref().map_or(0, |n| n.value);
        let most = schema.max_length.as_ref().map(|n| n.value);
        let rule = StringRule {
            // What this engine cannot read is left to Kubernetes' own.
            pattern: pattern
                .filter(|p| p.regex.is_some())
                .map(|p| Arc::clone(&p.text)),
            format,
            min_len: u32::try_from(fewest).unwrap_or(u32::MAX),
            max_len: most.and_then(|n| u32::try_from(n).ok()),
        };
        match (
            &rule.format,
            rule == StringRule {
                format: rule.format,
                ..StringRule::default()
            },
        ) {
            (Some(format), true) => formatted(&mut self.types, *format),
            _ => self.types.intern(TyKind::String(rule)),
        }
    }

    fn crd_integer(&mut self, schema: &Schema) -> Ty {
        if let Some(allowed) = &schema.enum_values {
            let numbers: Option<Vec<i64>> = allowed
                .value
                .iter()
                .map(serde_json::Value::as_i64)
                .collect();
            if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
                let members = numbers
                    .into_iter()
                    .map(|n| TyKind::Literal(Literal::Int(n)));
                let members: Vec<Ty> = members.map(|kind| self.types.intern(kind)).collect();
                return match members.as_slice() {
                    [one] => *one,
                    _ => self.types.intern(TyKind::Union(members.into())),
                };
            }
        }
        let mut range = match schema.format.as_ref().map(|f| &*f.value) {
            Some("int32") => IntRange {
                min: i32::MIN.into(),
                max: i32::MAX.into(),
            },
            _ => IntRange::ALL,
        };
        if let Some(least) = &schema.minimum {
            let (bound, exclusive) = &least.value;
            let bound = bound
                .as_i64()
                .or_else(|| bound.as_f64().map(|b| b.ceil() as i64));
            let bound = bound.unwrap_or(i64::MIN);
            range.min = range.min.max(bound.saturating_add(i64::from(*exclusive)));
        }
        if let Some(most) = &schema.maximum {
            let (bound, exclusive) = &most.value;
            let bound = bound
                .as_i64()
                .or_else(|| bound.as_f64().map(|b| b.floor() as i64));
            let bound = bound.unwrap_or(i64::MAX);
            range.max = range.max.min(bound.saturating_sub(i64::from(*exclusive)));
        }
        let ty = self.types.intern(TyKind::Int(range));
        match schema.multiple_of.as_ref().and_then(|n| n.value.as_i64()) {
            Some(of) if of > 0 => self.types.restricted(ty, Extra::Multiple(of)),
            _ => ty,
        }
    }

    fn crd_object_type(&mut self, making: &Making, schema: &Schema, name: &str) -> Ty {
        match &schema.additional {
            Some(Additional::Schema(value)) => {
                let inner = self.crd_type(making, value, name);
                let inner = if value.nullable {
                    self.types.optional(inner)
                } else {
                    inner
                };
                let map = self.types.intern(TyKind::Map(Ty::STRING, inner));
                let len = lengths(
                    schema.min_properties.as_ref(),
                    schema.max_properties.as_ref(),
                );
                return match len == LenRange::ALL {
                    true => map,
                    false => self.types.restricted(map, Extra::Entries(len)),
                };
            }
            Some(Additional::Any) if schema.properties.is_empty() => {
                return self.types.intern(TyKind::Map(Ty::STRING, Ty::ANY));
            }
            _ => {}
        }
        let open = schema.preserve_unknown || schema.additional.is_some();
        if open && schema.properties.is_empty() {
            return Ty::ANY;
        }
        let record = self.types.add_record(RecordDef {
            name: format!("{}{name}", making.prefix).into(),
            origin: Origin::Kubernetes(None),
            span: Some(making.file.span(schema.place)),
            fields: Vec::new(),
            by_name: HashMap::default(),
            required: Vec::new(),
            asserts: Vec::new(),
            open,
            doc: schema.description.clone(),
        });
        let ty = self.types.intern(TyKind::Record(record));
        self.crds
            .parts
            .entry((making.at, name.to_owned()))
            .or_insert(ty);
        let mut fields = Vec::with_capacity(schema.properties.len() + 3);
        if schema.embedded {
            for (name, ty) in [
                ("apiVersion", Ty::STRING),
                ("kind", Ty::STRING),
                ("metadata", Ty::ANY),
            ] {
                if schema.property(name).is_none() {
                    fields.push(open_field(Name::new(name), ty));
                }
            }
        }
        let required = schema.required_names();
        for property in &schema.properties {
            let is_required = required.contains(&*property.name);
            let field = self.crd_field(making, property, is_required, name, record);
            fields.push(field);
        }
        self.set_fields(record, fields);
        ty
    }

    /// How a part of Kubernetes' own kinds fits where a CRD wants its copy of it (a pod template, a label selector), and
    /// the other way round: definitions carry such parts written out. The fields which both have must fit; what only one
    /// has is told when it is set.
    pub(crate) fn parts_fit(&self, from: RecordId, to: RecordId) -> Fit {
        let (a, b) = (self.types.record(from), self.types.record(to));
        let is_part = |def: &RecordDef| def.origin == Origin::Kubernetes(None);
        let (own, custom) = match (a.span, b.span) {
            (None, Some(_)) => (a, b),
            (Some(_), None) => (b, a),
            _ => return Fit::No(Misfit::Type),
        };
        let shared = custom.fields.iter().filter(|f| own.field(f.name).is_some());
        if !is_part(a) || !is_part(b) || shared.count() * 2 <= custom.fields.len() {
            return Fit::No(Misfit::Type);
        }
        if !b
            .required
            .iter()
            .all(|at| a.field(b.fields[*at as usize].name).is_some())
        {
            return Fit::No(Misfit::Type);
        }
        // One of the two is of a CRD, whose types are as finite as its text, so this ends.
        let fits = a.fields.iter().filter_map(|field| {
            let wanted = b.fields[b.field(field.name)? as usize].ty;
            let (from, to) = (
                self.types.without_optional(field.ty),
                self.types.without_optional(wanted),
            );
            Some(self.fit(from, to))
        });
        fits.max().unwrap_or(Fit::Convert).max(Fit::Convert)
    }

    /// The position of a field; records that keep unknown fields get one for every name that is written.
    pub(crate) fn field_or_new(&mut self, id: RecordId, name: Name) -> Option<u32> {
        let def = self.types.record_mut(id);
        if let Some(at) = def.field(name) {
            return Some(at);
        }
        if !def.open {
            return None;
        }
        let at = u32::try_from(def.fields.len()).ok()?;
        def.by_name.insert(name, at);
        def.fields.push(open_field(name, Ty::ANY));
        Some(at)
    }
}

/// A field that nothing requires.
fn open_field(name: Name, ty: Ty) -> FieldDef {
    FieldDef {
        name,
        ty,
        required: false,
        default: None,
        is_final: false,
        span: None,
        doc: None,
    }
}

/// How a part of a kind is called: `spec` of `Certificate` is `CertificateSpec`.
fn part_name(owner: &str, field: &str) -> String {
    let mut out = owner.to_owned();
    let mut upper = true;
    for c in field.chars() {
        if !c.is_alphanumeric() {
            upper = true;
        } else if upper {
            out.extend(c.to_uppercase());
            upper = false;
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a pattern is the one that stands for quantities (controller-tools/pkg/crd/known_types.go).
fn is_quantity(pattern: &str) -> bool {
    pattern.starts_with(r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE]")
}

fn lengths(
    min: Option<&ordain_lang_crd::At<u64>>,
    max: Option<&ordain_lang_crd::At<u64>>,
) -> LenRange {
    LenRange {
        min: min.map_or(0, |n| u32::try_from(n.value).unwrap_or(u32::MAX)),
        max: max.map_or(u32::MAX, |n| u32::try_from(n.value).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::part_name;

    #[test]
    fn parts_are_named_by_their_path() {
        assert_eq!(part_name("Certificate", "spec"), "CertificateSpec");
        assert_eq!(part_name("A", "issuerRef"), "AIssuerRef");
        assert_eq!(part_name("A", "x-y"), "AXY");
    }
}
