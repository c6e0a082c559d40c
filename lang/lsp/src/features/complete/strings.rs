//! The content of a string: one of some, a reference, a key in brackets, a setting.

use ordain_lang_eval::PathStep;
use ordain_lang_syntax::ast::{
    ExprKind, ItemKind, MemberKind, SegmentKind, Selector, StmtKind, UseTarget,
};
use ordain_lang_types::ty::{Ty, TyKind};
use ordain_schemas::KubeVersion;

use super::{At, Kind, Proposal, paths, references};
use crate::features::definition::enclosing_env;
use crate::features::values;
use crate::nodes::Node;

/// What the string at the cursor may say; the labels go between the quotes.
pub(super) fn content(at: &At<'_, '_>) -> Vec<Proposal> {
    if let Some(Node::Item(item)) = at.path.first()
        && let ItemKind::Use(used) = &item.kind
    {
        return match &used.target {
            UseTarget::Crd { .. } => paths::crds(at),
            UseTarget::Text { .. } => paths::texts(at),
            UseTarget::Module(_) | UseTarget::Secrets { .. } => Vec::new(),
        };
    }
    for (depth, node) in at.path.iter().enumerate().rev() {
        match node {
            Node::Selector(chosen, _) => return selector(at, depth, chosen, false),
            Node::Stmt(stmt) => {
                if let StmtKind::MustFail {
                    code: Some((_, span)),
                    ..
                } = &stmt.kind
                    && span.start <= at.typed.offset
                    && at.typed.offset <= span.end
                {
                    let one = |code: &str| Proposal::new(code, Kind::EnumMember, title(code));
                    return ordain_lang_types::codes().map(one).collect();
                }
            }
            Node::Segment(segment) => {
                if let SegmentKind::Name(_) = segment.kind {
                    return Vec::new();
                }
            }
            _ => {}
        }
    }
    let setting = settings(at);
    if !setting.is_empty() {
        return setting;
    }
    let mut found = references::content(at);
    let expr = at.path.iter().rev().find_map(|node| match node {
        Node::Expr(expr) if matches!(expr.kind, ExprKind::Str(_)) => Some(*expr),
        _ => None,
    });
    if let Some(wanted) = expr.and_then(|expr| at.view.index().wanted(expr.span)) {
        found.extend(members(at, wanted));
    }
    if found.is_empty() {
        found.extend(compared(at));
    }
    found
}

/// The first line of a code's page.
fn title(code: &str) -> String {
    let page = ordain_lang_types::page(code).unwrap_or("");
    let first = page.lines().next().unwrap_or("").trim_start_matches('#');
    first
        .trim()
        .trim_start_matches(code)
        .trim_matches([' ', ':'])
        .to_owned()
}

/// The members of an enum, without their quotes.
fn members(at: &At<'_, '_>, ty: Ty) -> Vec<Proposal> {
    match at.view.program().types.kind(ty) {
        TyKind::Enum(members) => members
            .iter()
            .map(|member| Proposal::new(member.as_str(), Kind::EnumMember, "").ranked(0))
            .collect(),
        TyKind::Optional(inner) => members(at, *inner),
        TyKind::Union(options) => options.iter().flat_map(|ty| members(at, *ty)).collect(),
        _ => Vec::new(),
    }
}

/// What the other side of a comparison can be: `tier == "…"`.
fn compared(at: &At<'_, '_>) -> Vec<Proposal> {
    let other = at.path.iter().rev().find_map(|node| match node {
        Node::Expr(expr) => match &expr.kind {
            ExprKind::Binary { left, right, .. } => {
                let is_right = right.span.start <= at.typed.offset;
                Some(if is_right { left } else { right })
            }
            ExprKind::Match { value, .. } => Some(value),
            _ => None,
        },
        _ => None,
    });
    let ty = other.and_then(|other| at.view.index().expr(other.span));
    ty.map(|ty| members(at, ty)).unwrap_or_default()
}

/// Settings of environments.
fn settings(at: &At<'_, '_>) -> Vec<Proposal> {
    let [Node::Item(item), Node::Record(_), Node::Member(member), ..] = at.path else {
        return Vec::new();
    };
    let (ItemKind::Env(_), MemberKind::Field(field)) = (&item.kind, &member.kind) else {
        return Vec::new();
    };
    let [only] = &*field.path else {
        return Vec::new();
    };
    let SegmentKind::Name(name) = &only.kind else {
        return Vec::new();
    };
    let environments = at.view.project.environments();
    let mut known: Vec<String> = match name.as_str() {
        "kubernetes" => KubeVersion::ALL
            .iter()
            .rev()
            .map(ToString::to_string)
            .collect(),
        "cluster" => environments
            .into_iter()
            .filter_map(|env| env.cluster)
            .chain(["local".to_owned()])
            .collect(),
        "namespace" => environments
            .into_iter()
            .filter_map(|env| env.namespace)
            .collect(),
        _ => return Vec::new(),
    };
    let mut seen = std::collections::HashSet::new();
    known.retain(|text| !text.is_empty() && seen.insert(text.clone()));
    let one = |text: String| Proposal::new(text, Kind::Value, name.as_str()).ranked(1);
    known.into_iter().map(one).collect()
}

/// A key in brackets: elements of the list, entries of the map, objects of the app.
pub(super) fn selector(
    at: &At<'_, '_>,
    depth: usize,
    chosen: &Selector,
    with_quotes: bool,
) -> Vec<Proposal> {
    if let Selector::Object { kind, name } = chosen
        && name.span.start <= at.typed.offset
    {
        let kind = at.view.slice(kind.span).rsplit('.').next().unwrap_or("");
        return references::objects(at, Some(kind));
    }
    let Some((app, path)) = path_before(at, depth) else {
        return Vec::new();
    };
    let env = enclosing_env(at.view, at.path);
    let known = values::keys(at.view, env, app, path);
    let one = |key: String| {
        let label = if with_quotes { format!("{key:?}") } else { key };
        Proposal::new(label, Kind::Reference, "element").ranked(0)
    };
    let mut found: Vec<Proposal> = known.into_iter().map(one).collect();
    if with_quotes && found.is_empty() {
        let objects = at.known.of_kind(None).map(|object| {
            let label = format!("k8s.{} {:?}", object.kind, object.name);
            Proposal::new(label, Kind::Reference, format!("of {}", object.app)).ranked(0)
        });
        found.extend(objects);
    }
    found
}

/// The path from an app to the list that the brackets at a depth choose from.
fn path_before(
    at: &At<'_, '_>,
    depth: usize,
) -> Option<(ordain_lang_types::program::AppId, Vec<PathStep>)> {
    if let Some(Node::Expr(expr)) = depth.checked_sub(1).map(|outer| at.path[outer])
        && let ExprKind::Index { base, .. } = &expr.kind
    {
        return values::expr_steps(at.view, base);
    }
    let mut segments = Vec::new();
    for node in &at.path[..depth] {
        let Node::Member(member) = node else { continue };
        let (MemberKind::Field(_) | MemberKind::Delete(_)) = &member.kind else {
            continue;
        };
        let path = match &member.kind {
            MemberKind::Field(field) => &field.path[..],
            MemberKind::Delete(path) => &path[..],
            _ => &[],
        };
        segments.extend(
            path.iter()
                .filter(|segment| segment.span.end < at.typed.offset),
        );
    }
    let (first, rest) = segments.split_first()?;
    let SegmentKind::Name(name) = &first.kind else {
        return None;
    };
    let app = at.view.program().app(name.as_str())?;
    let steps: Option<Vec<PathStep>> = rest
        .iter()
        .map(|segment| values::steps(at.view, std::slice::from_ref(*segment))?.pop())
        .collect();
    Some((app, steps?))
}
