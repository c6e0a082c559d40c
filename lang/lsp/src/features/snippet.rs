//! Values to begin with: what is written for a field or an element of a type, with places to fill in.

use ordain_lang_syntax::ast::{MemberKind, Record, SegmentKind};
use ordain_lang_types::ty::{IntRange, Literal, RecordId, Ty, TyKind};

use super::describe::is_secret;
use crate::view::View;

/// How deep required fields are written out.
const DEPTH: usize = 2;

/// The required fields that braces do not set, each with a first value.
pub(crate) fn missing(view: &View<'_>, record: RecordId, braces: &Record) -> Vec<(String, String)> {
    let set: Vec<&str> = set_names(braces);
    let def = view.program().types.record(record);
    let wanted = def.required.iter().map(|at| &def.fields[*at as usize]);
    let mut found: Vec<(String, String)> = wanted
        .filter(|field| !set.contains(&field.name.as_str()))
        .map(|field| (field.name.to_string(), value(view, field.ty, 0)))
        .collect();
    // The schema does not say so, but no object goes without a name.
    if def.gvk().is_some() && !set.contains(&"metadata") {
        found.retain(|(name, _)| name != "metadata");
        found.insert(0, ("metadata.name".to_owned(), "\"\"".to_owned()));
    }
    found
}

/// The names that braces set, by the first step of their paths.
pub(crate) fn set_names(braces: &Record) -> Vec<&'static str> {
    let name = |member: &ordain_lang_syntax::ast::Member| match &member.kind {
        MemberKind::Field(field) => match &field.path.first()?.kind {
            SegmentKind::Name(name) => Some(name.as_str()),
            _ => None,
        },
        _ => None,
    };
    braces.members.iter().filter_map(name).collect()
}

/// A value of a type to begin with, as valid as can be.
pub(crate) fn value(view: &View<'_>, ty: Ty, depth: usize) -> String {
    let types = &view.program().types;
    match types.kind(ty) {
        TyKind::Bool => "false".to_owned(),
        TyKind::Int(range) => smallest(*range).to_string(),
        TyKind::Float(_) => "0.0".to_owned(),
        TyKind::Quantity => "128Mi".to_owned(),
        TyKind::Duration => "30s".to_owned(),
        TyKind::Literal(literal) => match literal {
            Literal::Bool(value) => value.to_string(),
            Literal::Int(value) => value.to_string(),
            Literal::Str(value) => format!("{:?}", value.as_str()),
        },
        TyKind::Enum(members) => members.first().map_or_else(
            || "\"\"".to_owned(),
            |first| format!("{:?}", first.as_str()),
        ),
        TyKind::IntOrString => "80".to_owned(),
        TyKind::Optional(inner) => value(view, *inner, depth),
        TyKind::Secret(_) if is_secret(view, ty) => "\"\"".to_owned(),
        TyKind::List(list) => match types.kind(list.item) {
            TyKind::Record(_) if depth < DEPTH => {
                format!("[{}]", value(view, list.item, depth + 1))
            }
            _ => "[]".to_owned(),
        },
        TyKind::Map(..) | TyKind::Any | TyKind::Object => "{}".to_owned(),
        TyKind::Record(record) => {
            let def = types.record(*record);
            if depth >= DEPTH || def.required.is_empty() {
                return "{}".to_owned();
            }
            let fields = def.required.iter().map(|at| {
                let field = &def.fields[*at as usize];
                format!("{} = {}", field.name, value(view, field.ty, depth + 1))
            });
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        TyKind::Union(members) => members
            .first()
            .map_or_else(String::new, |first| value(view, *first, depth)),
        TyKind::Null => "null".to_owned(),
        _ => "\"\"".to_owned(),
    }
}

fn smallest(range: IntRange) -> i64 {
    0.clamp(range.min, range.max)
}

/// What follows a field's name when it is chosen, with places to fill in (`$0`); `amends` inside `base { … }`.
pub(crate) fn after_name(view: &View<'_>, ty: Ty, amends: bool) -> String {
    let types = &view.program().types;
    let plain = types.without_optional(ty);
    match types.kind(plain) {
        TyKind::Record(_) | TyKind::Map(..) if amends => " { $0 }".to_owned(),
        TyKind::Record(_) | TyKind::Map(..) => " = { $0 }".to_owned(),
        TyKind::List(list) => match types.kind(list.item) {
            TyKind::Record(_) if amends => " += [{ $0 }]".to_owned(),
            TyKind::Record(_) => " = [{ $0 }]".to_owned(),
            _ if amends => " += [$0]".to_owned(),
            _ => " = [$0]".to_owned(),
        },
        TyKind::String(_) | TyKind::Enum(_) | TyKind::Time | TyKind::MicroTime => {
            " = \"$0\"".to_owned()
        }
        TyKind::Bool => " = ${0:true}".to_owned(),
        _ => " = $0".to_owned(),
    }
}

/// Required fields as lines with places to fill in; none when there are none.
pub(crate) fn required_fields(
    view: &View<'_>,
    record: RecordId,
    set: &[&str],
    indent: &str,
) -> Option<String> {
    let def = view.program().types.record(record);
    let mut next = 0;
    let mut lines = Vec::new();
    let mut place = |text: &str| {
        next += 1;
        text.replace("$0", &format!("${next}"))
            .replace("${0", &format!("${{{next}"))
    };
    let is_object = def.gvk().is_some() && !set.contains(&"metadata");
    if is_object {
        lines.push(format!("metadata.name = {}", place("\"$0\"")));
    }
    for at in &def.required {
        let field = &def.fields[*at as usize];
        let name = field.name.as_str();
        if set.contains(&name) || (is_object && name == "metadata") {
            continue;
        }
        lines.push(format!(
            "{name}{}",
            place(&after_name(view, field.ty, false))
        ));
    }
    if def.gvk().is_some()
        && let Some(spec) = def.field("spec".into())
        && !set.contains(&"spec")
        && !def.required.contains(&spec)
    {
        let ty = def.fields[spec as usize].ty;
        lines.push(format!("spec{}", place(&after_name(view, ty, false))));
    }
    (!lines.is_empty()).then(|| lines.join(&format!("\n{indent}")))
}
