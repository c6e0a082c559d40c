//! Fields: of the braces that are written, of a path, of a value behind a dot.

use ordain_lang_syntax::Span;
use ordain_lang_syntax::ast::{
    Expr, ExprKind, FieldOp, ItemKind, MemberKind, Record, Segment, SegmentKind, Selector,
};
use ordain_lang_types::index::{Def, methods};
use ordain_lang_types::program::ItemRef;
use ordain_lang_types::ty::{FieldDef, Format, Origin, RecordId, Ty, TyKind};

use super::{At, Kind, Proposal, names, types};
use crate::features::describe::{default_text, describe, field_doc};
use crate::features::snippet;
use crate::nodes::Node;

/// Labels that tools know (kubernetes.io/docs/concepts/overview/working-with-objects/common-labels).
const LABELS: &[&str] = &[
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
];
/// Fields of ObjectMeta that the API server sets (k8s.io/apimachinery meta/v1 types.go).
const MANAGED: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Resources that every node has (k8s.io/api/core/v1 ResourceName).
const RESOURCES: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// The name of a member, or a later step of its path.
pub(super) fn at_segment(at: &At<'_, '_>, depth: usize, mark: Span) -> Vec<Proposal> {
    let member = at.path[..depth].iter().rev().find_map(|node| match node {
        Node::Member(member) => Some(*member),
        _ => None,
    });
    let braces = at.path[..depth].iter().rev().find_map(|node| match node {
        Node::Record(record) => Some(*record),
        _ => None,
    });
    let (Some(member), Some(braces)) = (member, braces) else {
        return Vec::new();
    };
    let path: &[Segment] = match &member.kind {
        MemberKind::Field(field) => &field.path,
        MemberKind::Delete(path) => path,
        _ => return Vec::new(),
    };
    let Some(position) = path.iter().position(|segment| segment.span == mark) else {
        return Vec::new();
    };
    let changes = names_apps(at, braces);
    let only_name = matches!(member.kind, MemberKind::Delete(_)) || has_more(at);
    if position == 0 && changes {
        return names::changes(at, only_name);
    }
    if position == 0 && is_app_body(at, braces) {
        let mut found = vec![
            Proposal::new("objects", Kind::Field, "List<k8s.Object>")
                .snippet("objects = [\n  $0\n]")
                .documented(Some("What the app emits.".to_owned()))
                .ranked(1),
        ];
        found.retain(|_| !snippet::set_names(braces).contains(&"objects"));
        return found;
    }
    let ty = match position {
        0 => at.view.index().braces(braces.span),
        _ => type_of_path(at, braces, &path[..position], changes),
    };
    let Some(ty) = ty else {
        return Vec::new();
    };
    let amends = changes || is_amended(at, depth);
    let set = match position {
        0 => snippet::set_names(braces),
        _ => Vec::new(),
    };
    let mut found = fields(at, ty, &set, amends, only_name);
    if position == 0 && !only_name {
        found.extend(whole_braces(at, ty, &set, amends));
        let words: &[&str] = match amends {
            true => &["if", "for", "let", "delete"],
            false => &["if", "for", "let"],
        };
        found.extend(names::keywords(words));
    }
    found
}

/// Whether a value is there already, so that only the name is wanted.
fn has_more(at: &At<'_, '_>) -> bool {
    let follows = &at.typed.follows;
    ["=", ":", "+=", "{", ".", "["]
        .iter()
        .any(|mark| follows.starts_with(mark))
        && !follows.starts_with("==")
}

/// Whether braces are those of an environment or of `must fail`, where apps are named.
fn names_apps(at: &At<'_, '_>, braces: &Record) -> bool {
    at.path.iter().any(|node| match node {
        Node::Item(item) => {
            matches!(&item.kind, ItemKind::Env(env) if env.body.span == braces.span)
        }
        Node::Stmt(stmt) => match &stmt.kind {
            ordain_lang_syntax::ast::StmtKind::MustFail { body, .. } => body.span == braces.span,
            _ => false,
        },
        _ => false,
    })
}

fn is_app_body(at: &At<'_, '_>, braces: &Record) -> bool {
    match at.path.first() {
        Some(Node::Item(item)) => {
            matches!(&item.kind, ItemKind::App(app) if app.body.span == braces.span)
        }
        _ => false,
    }
}

/// Whether the innermost braces change a value instead of making one.
fn is_amended(at: &At<'_, '_>, depth: usize) -> bool {
    let outer = &at.path[..depth];
    let Some(record) = outer
        .iter()
        .rposition(|node| matches!(node, Node::Record(_)))
    else {
        return false;
    };
    match record.checked_sub(1).map(|before| outer[before]) {
        Some(Node::Expr(expr)) => match &expr.kind {
            ExprKind::Amend { base, .. } => at.view.index().expr(base.span).is_some(),
            _ => false,
        },
        // `path { … }` amends in a change; in a new value it makes what is not there.
        Some(Node::Member(member)) => match &member.kind {
            MemberKind::Field(field) => {
                matches!(field.op, FieldOp::Amend(_))
                    && matches!(at.path.first(), Some(Node::Item(item)) if matches!(item.kind, ItemKind::Env(_) | ItemKind::Test(_)))
            }
            _ => false,
        },
        _ => false,
    }
}

/// The type at the end of the steps before the cursor.
fn type_of_path(at: &At<'_, '_>, braces: &Record, path: &[Segment], changes: bool) -> Option<Ty> {
    let program = at.view.program();
    let types = &program.types;
    let (first, rest) = path.split_first()?;
    let SegmentKind::Name(name) = &first.kind else {
        return None;
    };
    let mut ty = if changes {
        let app = program.app(name.as_str())?;
        at.view
            .index()
            .uses()
            .iter()
            .find(|found| found.def == Def::App(app))?
            .ty
    } else {
        inner(at, at.view.index().braces(braces.span)?, name.as_str())?
    };
    for segment in rest {
        let plain = types.without_optional(ty);
        ty = match &segment.kind {
            SegmentKind::Name(name) => inner(at, plain, name.as_str())?,
            SegmentKind::Computed(_) => match types.kind(plain) {
                TyKind::Map(_, value) => *value,
                _ => return None,
            },
            SegmentKind::Select(selector) => element(at, plain, selector)?,
        };
    }
    Some(ty)
}

/// The type of a field or entry.
fn inner(at: &At<'_, '_>, ty: Ty, name: &str) -> Option<Ty> {
    let types = &at.view.program().types;
    match types.kind(types.without_optional(ty)) {
        TyKind::Record(record) => {
            let def = types.record(*record);
            Some(def.fields[def.field(name.into())? as usize].ty)
        }
        TyKind::Map(_, value) => Some(*value),
        TyKind::Union(members) => members.iter().find_map(|member| inner(at, *member, name)),
        _ => None,
    }
}

/// The type of the element that brackets choose.
pub(super) fn element(at: &At<'_, '_>, ty: Ty, selector: &Selector) -> Option<Ty> {
    let types = &at.view.program().types;
    if let Selector::Object { kind, .. } = selector {
        let end = kind.span.end.saturating_sub(1);
        let found = at.view.index().use_at(at.view.file, end)?;
        return match found.def {
            Def::Kubernetes(ty) => Some(ty),
            Def::Type(_) => Some(found.ty),
            _ => None,
        };
    }
    match types.kind(types.without_optional(ty)) {
        TyKind::List(list) => Some(list.item),
        TyKind::Map(_, value) => Some(*value),
        _ => None,
    }
}

/// The fields of a type that are not set yet.
fn fields(at: &At<'_, '_>, ty: Ty, set: &[&str], amends: bool, only_name: bool) -> Vec<Proposal> {
    let types = &at.view.program().types;
    match types.kind(types.without_optional(ty)) {
        TyKind::Record(record) => {
            let def = types.record(*record);
            let is_object = def.gvk().is_some();
            let open = def
                .fields
                .iter()
                .filter(|f| !set.contains(&f.name.as_str()));
            open.map(|field| one(at, *record, field, (amends, only_name, is_object)))
                .collect()
        }
        TyKind::Map(key, value) => keys(at, *key, *value, set, only_name),
        TyKind::Union(members) => members
            .iter()
            .flat_map(|member| fields(at, *member, set, amends, only_name))
            .collect(),
        TyKind::Object => ["apiVersion", "kind", "metadata"]
            .iter()
            .filter(|name| !set.contains(name))
            .map(|name| {
                Proposal::new(*name, Kind::Field, "k8s.Object").snippet(format!("{name} = $0"))
            })
            .collect(),
        TyKind::Secret(inner) => fields(at, *inner, set, amends, only_name),
        _ => Vec::new(),
    }
}

fn one(
    at: &At<'_, '_>,
    record: RecordId,
    field: &FieldDef,
    (amends, only_name, is_object): (bool, bool, bool),
) -> Proposal {
    let view = at.view;
    let shown = match field.ty == Ty::ERROR {
        true => String::new(),
        false => view.program().show(field.ty),
    };
    let detail = match default_text(view, field) {
        Some(default) => format!("{shown} = {default}"),
        None => shown,
    };
    // What the cluster fills in, and what follows from the kind, comes last.
    let is_given = (is_object && matches!(field.name.as_str(), "status" | "apiVersion" | "kind"))
        || (MANAGED.contains(&field.name.as_str())
            && &*view.program().types.record(record).name == "k8s.ObjectMeta");
    let rank = match (field.required, is_given) {
        (_, true) => 8,
        (true, _) => 1,
        (false, _) => 3,
    };
    let doc = field_doc(view, record, field);
    let is_deprecated = doc.as_ref().is_some_and(|doc| {
        doc.to_ascii_lowercase().starts_with("deprecated") || doc.contains("DEPRECATED")
    });
    let name = field.name.as_str();
    let quoted = if is_word(name) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    let mut proposal = Proposal::new(name, Kind::Field, detail)
        .documented(doc)
        .ranked(if is_deprecated { 7 } else { rank });
    proposal.is_deprecated = is_deprecated;
    match only_name {
        true => proposal.inserting(quoted),
        false => {
            let after = snippet::after_name(view, field.ty, amends);
            proposal.snippet(format!("{quoted}{after}"))
        }
    }
}

pub(super) fn is_word(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Keys of a map that make sense.
fn keys(at: &At<'_, '_>, key: Ty, value: Ty, set: &[&str], only_name: bool) -> Vec<Proposal> {
    let types = &at.view.program().types;
    let known: Vec<String> = match types.kind(key) {
        TyKind::Enum(members) => members.iter().map(ToString::to_string).collect(),
        TyKind::String(rule) if rule.format == Some(Format::LabelKey) => {
            LABELS.iter().map(|label| (*label).to_owned()).collect()
        }
        _ if value == Ty::QUANTITY => RESOURCES.iter().map(|name| (*name).to_owned()).collect(),
        _ => Vec::new(),
    };
    let open = known
        .into_iter()
        .filter(|name| !set.contains(&name.as_str()));
    open.map(|name| {
        let quoted = if is_word(&name) {
            name.clone()
        } else {
            format!("{name:?}")
        };
        let insert = match only_name {
            true => quoted,
            false => format!("{quoted}{}", snippet::after_name(at.view, value, false)),
        };
        Proposal::new(name, Kind::Field, at.view.program().show(value))
            .snippet(insert)
            .ranked(2)
    })
    .collect()
}

/// All required fields at once.
fn whole_braces(at: &At<'_, '_>, ty: Ty, set: &[&str], amends: bool) -> Option<Proposal> {
    let program = at.view.program();
    let record = program.types.as_record(ty)?;
    let def = program.types.record(record);
    if amends || def.origin == Origin::App {
        return None;
    }
    let open = def.required.iter().filter(|field| {
        let name = def.fields[**field as usize].name;
        !set.contains(&name.as_str())
    });
    if open.count() + usize::from(def.gvk().is_some()) < 2 {
        return None;
    }
    let fields = snippet::required_fields(at.view, record, set, "")?;
    let label = format!("required fields of {}", def.name);
    Some(
        Proposal::new(label, Kind::Snippet, "all at once")
            .snippet(fields)
            .ranked(0),
    )
}

/// Behind a dot.
pub(super) fn of_value(at: &At<'_, '_>, base: &Expr) -> Vec<Proposal> {
    if let ExprKind::Name(name) = &base.kind {
        if *name == "k8s"
            && at
                .view
                .index()
                .use_at(at.view.file, base.span.start)
                .is_none()
        {
            return types::kubernetes(at, true);
        }
        let kinds = types::of_crd(at, name.as_str(), true);
        if !kinds.is_empty() {
            return kinds;
        }
        if let Some(module) = names::imported(at, name.as_str())
            && at.view.index().expr(base.span).is_none()
        {
            return of_module(at, module);
        }
    }
    let Some(ty) = at.view.index().expr(base.span) else {
        return Vec::new();
    };
    let program = at.view.program();
    let types = &program.types;
    let mut found = Vec::new();
    match types.kind(types.without_optional(ty)) {
        TyKind::Record(record) => {
            let def = types.record(*record);
            found.extend(def.fields.iter().map(|field| {
                Proposal::new(field.name.as_str(), Kind::Field, program.show(field.ty))
                    .documented(field_doc(at.view, *record, field))
                    .ranked(2)
            }));
        }
        TyKind::Object => {
            for name in ["apiVersion", "kind", "metadata", "spec", "data"] {
                found.push(Proposal::new(name, Kind::Field, "k8s.Object").ranked(2));
            }
        }
        TyKind::String(rule) if rule.format == Some(Format::Image) => {
            for (name, ty) in [
                ("registry", "String?"),
                ("repository", "String"),
                ("tag", "String?"),
                ("digest", "String?"),
            ] {
                found.push(Proposal::new(name, Kind::Field, ty).ranked(2));
            }
        }
        _ => {}
    }
    for (name, params) in methods(types, ty) {
        let call = match params.is_empty() {
            true => format!("{name}()"),
            false => format!("{name}($0)"),
        };
        let detail = format!("({})", params.join(", "));
        found.push(
            Proposal::new(name, Kind::Method, detail)
                .snippet(call)
                .ranked(4),
        );
    }
    if let TyKind::List(list) = types.kind(types.without_optional(ty))
        && list.item == Ty::OBJECT
    {
        let of = Proposal::new("of", Kind::Method, "(kind)").snippet("of(k8s.$0)");
        found.push(
            of.documented(Some("The objects of a kind.".to_owned()))
                .ranked(2),
        );
    }
    found
}

/// The items of a module.
fn of_module(at: &At<'_, '_>, module: usize) -> Vec<Proposal> {
    let program = at.view.program();
    let Some(module) = program.modules.get(module) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, item) in &module.items {
        found.extend(names::item_proposal(
            at,
            name.as_str(),
            *item,
            name.as_str(),
        ));
        if let ItemRef::Type(_) = item {
            let described = names::item_def(at, *item).and_then(|found| describe(at.view, &found));
            let doc = described.and_then(|d| d.doc);
            let made = Proposal::new(name.as_str(), Kind::Type, "type");
            found.push(made.documented(doc).ranked(3));
        }
    }
    found
}
