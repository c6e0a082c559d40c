//! Values: what the expected type suggests, and every name in scope, those that fit first.

use ordain_lang_syntax::ast::{Expr, ExprKind, ItemKind};
use ordain_lang_types::index::Def;
use ordain_lang_types::ty::{Literal, Origin, RecordId, Ty, TyKind};

use super::{At, Kind, MARK, Proposal, names, references, types};
use crate::features::describe::is_secret;
use crate::features::snippet;
use crate::nodes::Node;

/// Functions that are always there.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("min", "(a, b)", "The smaller of two values."),
    ("max", "(a, b)", "The larger of two values."),
    (
        "quantity",
        "(text) -> Quantity",
        "Reads a quantity from a text.",
    ),
    ("fail", "(message)", "Stops the build with a message."),
];

/// A name as a value.
pub(super) fn at_name(at: &At<'_, '_>, depth: usize, expr: &Expr) -> Vec<Proposal> {
    let wanted = at.view.index().wanted(expr.span);
    let mut found = Vec::new();
    let outer = depth.checked_sub(1).map(|outer| at.path[outer]);
    if let Some(Node::Arg(arg)) = outer
        && arg.name.is_none()
    {
        found.extend(arguments(at, depth));
    }
    if let Some(Node::Selector(selector, _)) = outer {
        found.extend(super::strings::selector(at, depth - 1, selector, true));
    }
    if let Some(wanted) = wanted {
        found.extend(of_type(at, wanted));
        found.extend(references::quoted(at));
    }
    found.extend(in_scope(at, wanted));
    found
}

/// Names of parameters that are not given yet.
fn arguments(at: &At<'_, '_>, depth: usize) -> Vec<Proposal> {
    let call = at.path[..depth].iter().rev().find_map(|node| match node {
        Node::Expr(Expr {
            kind: ExprKind::Call { callee, args },
            ..
        }) => Some((callee, args)),
        _ => None,
    });
    let Some((callee, args)) = call else {
        return Vec::new();
    };
    let end = callee.span.end.saturating_sub(1);
    let Some(Def::Fn(id)) = at
        .view
        .index()
        .use_at(at.view.file, end)
        .map(|found| found.def)
    else {
        return Vec::new();
    };
    let program = at.view.program();
    let Some(function) = program.fns.get(id.index()) else {
        return Vec::new();
    };
    let given: Vec<&str> = args
        .iter()
        .filter_map(|arg| Some(arg.name?.name.as_str()))
        .collect();
    let positional = args
        .iter()
        .take_while(|arg| arg.name.is_none() && !at.view.slice(arg.value.span).contains(MARK))
        .count();
    let open = function.params.iter().skip(positional);
    open.filter(|param| !given.contains(&param.name.as_str()))
        .map(|param| {
            let name = param.name.as_str();
            let label = format!("{name} =");
            let rank = if param.default.is_none() { 1 } else { 2 };
            let made = Proposal::new(label, Kind::Field, program.show(param.ty));
            made.snippet(format!("{name} = $0")).ranked(rank)
        })
        .collect()
}

/// Values that a type suggests.
pub(super) fn of_type(at: &At<'_, '_>, ty: Ty) -> Vec<Proposal> {
    let program = at.view.program();
    let types = &program.types;
    let mut found = Vec::new();
    match types.kind(ty) {
        TyKind::Optional(inner) => {
            found.extend(of_type(at, *inner));
            found.push(Proposal::new("null", Kind::Value, "absent").ranked(3));
        }
        TyKind::Bool => {
            found
                .extend(["true", "false"].map(|v| Proposal::new(v, Kind::Value, "Bool").ranked(1)));
        }
        TyKind::Enum(members) => {
            found.extend(members.iter().map(|member| {
                let text = format!("{:?}", member.as_str());
                Proposal::new(text, Kind::EnumMember, "").ranked(0)
            }));
        }
        TyKind::Literal(literal) => {
            let text = match literal {
                Literal::Bool(value) => value.to_string(),
                Literal::Int(value) => value.to_string(),
                Literal::Str(value) => format!("{:?}", value.as_str()),
            };
            found.push(Proposal::new(text, Kind::EnumMember, "").ranked(0));
        }
        TyKind::Union(members) => {
            for member in members {
                found.extend(of_type(at, *member));
            }
        }
        TyKind::Quantity => found.extend(units(
            at,
            &["Mi", "Gi", "m", "Ki", "Ti", "M", "G"],
            &["100m", "500m", "64Mi", "128Mi", "256Mi", "1Gi"],
            "Quantity",
        )),
        TyKind::Duration => found.extend(units(
            at,
            &["s", "m", "h", "ms", "d"],
            &["10s", "30s", "5m", "1h"],
            "Duration",
        )),
        TyKind::Record(record) => found.push(record_literal(at, *record)),
        TyKind::List(list) => {
            let text = match types.kind(list.item) {
                TyKind::Record(_) => "[{ $0 }]",
                _ => "[$0]",
            };
            let made = Proposal::new("[ … ]", Kind::Snippet, program.show(ty)).snippet(text);
            found.push(made.ranked(2));
        }
        TyKind::Map(..) => {
            let made = Proposal::new("{ … }", Kind::Snippet, program.show(ty)).snippet("{ $0 }");
            found.push(made.ranked(2));
        }
        TyKind::Object => {
            found.extend(types::kubernetes(at, true).into_iter().map(|mut made| {
                made.insert.insert_str(0, "k8s.");
                made.label.insert_str(0, "k8s.");
                made.rank += 2;
                made
            }));
            found.extend(types::imported_kinds(at));
        }
        TyKind::Int(range) if range.max <= SMALL_RANGE && range.min >= 0 => {
            let made = Proposal::new(range.min.to_string(), Kind::Value, program.show(ty));
            found.push(made.ranked(2));
        }
        _ => {}
    }
    found
}

/// A range whose smallest number is worth proposing.
const SMALL_RANGE: i64 = 65_535;

/// Numbers with units: with the digits that are there, or some that are common.
fn units(at: &At<'_, '_>, units: &[&str], common: &[&str], what: &str) -> Vec<Proposal> {
    let digits: String = at
        .typed
        .prefix
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let texts: Vec<String> = match digits.is_empty() {
        true => common.iter().map(|text| (*text).to_owned()).collect(),
        false => units.iter().map(|unit| format!("{digits}{unit}")).collect(),
    };
    let one = |(at, text): (usize, String)| {
        Proposal::new(text, Kind::Unit, what).ranked(u8::try_from(at.min(2)).unwrap_or(2))
    };
    texts.into_iter().enumerate().map(one).collect()
}

fn record_literal(at: &At<'_, '_>, record: RecordId) -> Proposal {
    let def = at.view.program().types.record(record);
    let body = snippet::required_fields(at.view, record, &[], "  ");
    let text = match body {
        Some(fields) => format!("{{\n  {fields}\n}}"),
        None => "{ $0 }".to_owned(),
    };
    Proposal::new("{ … }", Kind::Snippet, &*def.name)
        .snippet(text)
        .ranked(1)
}

/// Every name that may stand here.
fn in_scope(at: &At<'_, '_>, wanted: Option<Ty>) -> Vec<Proposal> {
    let view = at.view;
    let program = view.program();
    let fits = |ty: Ty| {
        let Some(wanted) = wanted else { return false };
        let plain = |ty: Ty| program.types.without_optional(ty);
        ty != Ty::ERROR && (plain(ty) == plain(wanted) || program.show(ty) == program.show(wanted))
    };
    let rank = |ty: Ty, otherwise: u8| if fits(ty) { 1 } else { otherwise };
    let mut found = Vec::new();
    for local in names::locals(at).into_iter().rev() {
        let ty = view
            .index()
            .use_at(view.file, local.span.start)
            .map_or(Ty::ERROR, |u| u.ty);
        let shown = if ty == Ty::ERROR {
            String::new()
        } else {
            program.show(ty)
        };
        let made = Proposal::new(local.name.as_str(), Kind::Variable, shown);
        found.push(made.ranked(rank(ty, 3)));
    }
    if let Some(record) = own_record(at) {
        for field in &program.types.record(record).fields {
            let name = field.name.as_str();
            if name == "objects" || name.contains(MARK) || is_secret(view, field.ty) {
                continue;
            }
            let made = Proposal::new(name, Kind::Field, program.show(field.ty));
            let doc = field.doc.as_deref().map(str::to_owned);
            found.push(made.documented(doc).ranked(rank(field.ty, 3)));
        }
    }
    let module = program
        .modules
        .iter()
        .find(|module| module.file == view.file);
    for (name, item) in module.iter().flat_map(|module| &module.items) {
        if name.contains(MARK) {
            continue;
        }
        if let Some(mut made) = names::item_proposal(at, name.as_str(), *item, name.as_str()) {
            if let Some(item) = names::item_def(at, *item) {
                made.rank = rank(item.ty, 4);
            }
            found.push(made);
        }
    }
    for mut ty in types::own(at) {
        ty.insert = format!("{} {{ $0 }}", ty.label);
        ty.is_snippet = true;
        found.push(ty.ranked(5));
    }
    if let Some(tree) = view.tree() {
        for item in &tree.items {
            let ItemKind::Use(used) = &item.kind else {
                continue;
            };
            let called = match &used.target {
                ordain_lang_syntax::ast::UseTarget::Module(path) => {
                    used.alias.or(path.parts.last().copied())
                }
                ordain_lang_syntax::ast::UseTarget::Crd { .. }
                | ordain_lang_syntax::ast::UseTarget::Text { .. }
                | ordain_lang_syntax::ast::UseTarget::Secrets { .. } => used.alias,
            };
            if let Some(called) = called.filter(|called| !called.name.is_empty()) {
                found.push(Proposal::new(called.name.as_str(), Kind::Module, "module").ranked(5));
            }
        }
    }
    found.push(
        Proposal::new("k8s", Kind::Module, "Kubernetes")
            .inserting("k8s.")
            .ranked(5),
    );
    if let Some(Node::Item(item)) = at.path.first()
        && matches!(
            item.kind,
            ItemKind::Test(_) | ItemKind::Policy(_) | ItemKind::Env(_)
        )
    {
        let objects = Proposal::new("objects", Kind::Variable, "List<k8s.Object>");
        let doc = "All objects of the environment.".to_owned();
        found.push(objects.documented(Some(doc)).ranked(3));
        for made in names::changes(at, true) {
            if made.kind == Kind::App {
                found.push(made.ranked(3));
            }
        }
    }
    for (name, params, doc) in FUNCTIONS {
        let made = Proposal::new(*name, Kind::Function, *params);
        let made = made.snippet(format!("{name}($0)"));
        found.push(made.documented(Some((*doc).to_owned())).ranked(6));
    }
    found.extend(names::keywords(&["if", "match", "let", "not"]));
    found.extend(names::elsewhere(at));
    found
}

/// The record whose fields are in scope: that of a type's default, or of an app.
fn own_record(at: &At<'_, '_>) -> Option<RecordId> {
    let Some(Node::Item(item)) = at.path.first() else {
        return None;
    };
    let program = at.view.program();
    match &item.kind {
        ItemKind::App(app) => {
            let id = program.app(app.name.name.as_str())?;
            Some(program.apps[id.index()].record)
        }
        ItemKind::Type(decl) => {
            let found = at.view.index().use_at(at.view.file, decl.name.span.start)?;
            let record = program.types.as_record(found.ty)?;
            (program.types.record(record).origin == Origin::Declared).then_some(record)
        }
        _ => None,
    }
}

/// Patterns of a match: what the value can be.
pub(super) fn patterns(at: &At<'_, '_>) -> Vec<Proposal> {
    let value = at.path.iter().rev().find_map(|node| match node {
        Node::Expr(Expr {
            kind: ExprKind::Match { value, .. },
            ..
        }) => Some(value),
        _ => None,
    });
    let mut found = vec![Proposal::new("_", Kind::Keyword, "everything else").ranked(6)];
    let Some(ty) = value.and_then(|value| at.view.index().expr(value.span)) else {
        return found;
    };
    let types = &at.view.program().types;
    found.extend(
        of_type(at, ty)
            .into_iter()
            .filter(|made| matches!(made.kind, Kind::EnumMember | Kind::Value)),
    );
    if let TyKind::Union(members) = types.kind(types.without_optional(ty)) {
        for member in members {
            if let Some(record) = types.as_record(*member) {
                let name = &*types.record(record).name;
                found.push(Proposal::new(name, Kind::Type, "").ranked(1));
            }
        }
    }
    found
}
