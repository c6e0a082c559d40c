//! Whether a schema is structural, as `apiextensions.k8s.io/v1` demands
//! (apiextensions-apiserver/pkg/apiserver/schema/validation.go, and validation.go of the types).

use crate::problem::Problem;
use crate::schema::{Additional, ListType, Schema, Type};
use crate::validate;

/// Checks a version's schema.
pub(crate) fn check(root: &Schema, problems: &mut Vec<Problem>) {
    if root.ty.is_some() && root.type_of() != Some(Type::Object) {
        let place = root.ty.as_ref().map_or(root.place, |ty| ty.place);
        problems.push(Problem::error(
            "E0854",
            "the schema of a kind has the type `object`",
            place,
            "this type",
        ));
    }
    schema(root, "the root", problems);
}

fn schema(schema: &Schema, name: &str, problems: &mut Vec<Problem>) {
    let ty = schema.type_of();
    if ty.is_none() && !schema.int_or_string && !schema.preserve_unknown {
        problems.push(
            Problem::error(
                "E0854",
                format!("the schema of {name} has no `type`"),
                schema.place,
                "this schema",
            )
            .help(
                "write `type: object` or the like, or `x-kubernetes-preserve-unknown-fields: true`",
            ),
        );
    }
    if schema.int_or_string
        && let Some(ty) = &schema.ty
    {
        problems.push(
            Problem::error(
                "E0854",
                "an int-or-string has no `type`",
                ty.place,
                "this type",
            )
            .help("remove it: `x-kubernetes-int-or-string: true` says it"),
        );
    }
    if schema.embedded && ty.is_some_and(|ty| ty != Type::Object) {
        problems.push(Problem::error(
            "E0854",
            "an embedded resource has the type `object`",
            schema.place,
            "this schema",
        ));
    }
    if !schema.properties.is_empty() && matches!(schema.additional, Some(Additional::Schema(_))) {
        problems.push(
            Problem::error(
                "E0854",
                format!("{name} has `properties` and `additionalProperties`"),
                schema.place,
                "this schema",
            )
            .help("a structural schema has one of them"),
        );
    }
    if ty == Some(Type::Array) && schema.items.is_none() {
        problems.push(
            Problem::error(
                "E0854",
                format!("the schema of {name} has no `items`"),
                schema.place,
                "this list",
            )
            .help("say what its elements are"),
        );
    }
    list_type(schema, name, problems);
    if let Some(default) = &schema.default {
        let mut value = default.value.clone();
        validate::apply_defaults(schema, &mut value);
        for violation in validate::values(schema, &value) {
            problems.push(
                Problem::error(
                    "E0854",
                    format!("the default of {name} breaks its own schema"),
                    default.place,
                    violation.message.clone(),
                )
                .label(violation.rule, "this rule"),
            );
        }
    }
    for property in &schema.properties {
        self::schema(&property.schema, &format!("`{}`", property.name), problems);
    }
    if let Some(Additional::Schema(value)) = &schema.additional {
        self::schema(value, &format!("the values of {name}"), problems);
    }
    if let Some(items) = &schema.items {
        self::schema(items, &format!("the elements of {name}"), problems);
    }
    let parts = schema
        .all_of
        .iter()
        .chain(&schema.any_of)
        .chain(&schema.one_of);
    for part in parts.chain(schema.not.as_deref()) {
        value_rules(part, schema.int_or_string, problems);
    }
}

fn list_type(schema: &Schema, name: &str, problems: &mut Vec<Problem>) {
    if schema.list_type != ListType::Atomic && schema.type_of() != Some(Type::Array) {
        problems.push(Problem::error(
            "E0854",
            format!("`x-kubernetes-list-type` is for lists, {name} is none"),
            schema.place,
            "this schema",
        ));
        return;
    }
    let (ListType::Map(keys), Some(items)) = (&schema.list_type, &schema.items) else {
        return;
    };
    let required = items.required_names();
    for key in keys {
        let Some(property) = items.property(key) else {
            problems.push(
                Problem::error(
                    "E0854",
                    format!("the elements of {name} have no field `{key}`"),
                    items.place,
                    "these elements",
                )
                .label(schema.place, "the list-map key is named here"),
            );
            continue;
        };
        if !required.contains(key.as_str()) && property.schema.default.is_none() {
            problems.push(
                Problem::error(
                    "E0854",
                    format!("the list-map key `{key}` may be absent"),
                    property.place,
                    "this field",
                )
                .help(format!("add `{key}` to `required`, or give it a default")),
            );
        }
        if matches!(property.schema.type_of(), Some(Type::Object | Type::Array)) {
            problems.push(Problem::error(
                "E0854",
                format!("the list-map key `{key}` is no scalar"),
                property.place,
                "this field",
            ));
        }
    }
}

/// The parts of `allOf` and its like constrain values; they declare nothing.
fn value_rules(part: &Schema, in_int_or_string: bool, problems: &mut Vec<Problem>) {
    let mut told = |what: &str| {
        problems.push(
            Problem::error(
                "E0854",
                format!("`{what}` is forbidden inside `allOf`, `anyOf`, `oneOf` and `not`"),
                part.place,
                "here",
            )
            .help("move it out: these constrain values that are declared outside"),
        );
    };
    // `anyOf: [{type: integer}, {type: string}]` is how int-or-string is written for older readers.
    if part.ty.is_some() && !in_int_or_string {
        told("type");
    }
    let more = [
        (part.default.is_some(), "default"),
        (part.nullable, "nullable"),
        (part.additional.is_some(), "additionalProperties"),
        (part.int_or_string, "x-kubernetes-int-or-string"),
        (part.embedded, "x-kubernetes-embedded-resource"),
    ];
    for (_, what) in more.into_iter().filter(|(is, _)| *is) {
        told(what);
    }
    let parts = part.all_of.iter().chain(&part.any_of).chain(&part.one_of);
    let parts = parts
        .chain(part.not.as_deref())
        .chain(part.items.as_deref());
    for inner in parts.chain(part.properties.iter().map(|p| &p.schema)) {
        value_rules(inner, in_int_or_string, problems);
    }
}
