//! Where a name, an element's key, or a file is defined.

use ordain_lang_syntax::ast::{ExprKind, ItemKind, MemberKind, SegmentKind, UseTarget};
use ordain_lang_syntax::{FileId, Span};
use ordain_lang_types::index::Def;
use ordain_lang_types::program::AppId;
use ordain_lang_types::ty::{Ty, TyKind};

use super::values;
use crate::nodes::{Node, path_at};
use crate::view::View;

/// Where something leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A place in a source.
    Place(Span),
    /// A file of the project as a whole.
    File(FileId),
}

/// What stands at a place, and where it is defined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Definition {
    /// The name or string that was asked about.
    pub(crate) origin: Span,
    /// Where it leads.
    pub(crate) targets: Vec<Target>,
}

/// Finds the definition of what stands at a place.
pub(crate) fn definition(view: &View<'_>, offset: u32) -> Option<Definition> {
    if let Some(found) = crd_file(view, offset) {
        return Some(found);
    }
    if let Some(found) = view.use_at(offset) {
        let place = view.program().place(found.def);
        return place.map(|place| Definition {
            origin: found.span,
            targets: vec![Target::Place(place)],
        });
    }
    element(view, offset)
}

/// Finds the type of what stands at a place.
pub(crate) fn type_definition(view: &View<'_>, offset: u32) -> Option<Definition> {
    let found = view.use_at(offset)?;
    let mut targets = Vec::new();
    declarations(view, found.ty, &mut targets);
    (!targets.is_empty()).then_some(Definition {
        origin: found.span,
        targets,
    })
}

fn declarations(view: &View<'_>, ty: Ty, targets: &mut Vec<Target>) {
    let types = &view.program().types;
    match types.kind(ty) {
        TyKind::Record(id) => {
            targets.extend(types.record(*id).span.map(Target::Place));
        }
        TyKind::Optional(inner) | TyKind::Secret(inner) | TyKind::Map(_, inner) => {
            declarations(view, *inner, targets);
        }
        TyKind::List(list) => declarations(view, list.item, targets),
        TyKind::Union(members) => members.iter().for_each(|m| declarations(view, *m, targets)),
        _ => {}
    }
}

/// The file of `use crd "file"`.
fn crd_file(view: &View<'_>, offset: u32) -> Option<Definition> {
    view.tree()?.items.iter().find_map(|item| match &item.kind {
        ItemKind::Use(used) => match &used.target {
            UseTarget::Crd { path, span } if span.start <= offset && offset <= span.end => {
                let crds = &view.project.crds;
                let file = crds.files().get(crds.used(view.file, path)?)?;
                Some(Definition {
                    origin: *span,
                    targets: vec![Target::File(file.file)],
                })
            }
            _ => None,
        },
        _ => None,
    })
}

/// The element that brackets choose: where it was made, as evaluating the app tells.
fn element(view: &View<'_>, offset: u32) -> Option<Definition> {
    let path = path_at(view.tree()?, offset);
    let at = path
        .iter()
        .rposition(|node| matches!(node, Node::Selector(..)))?;
    let Node::Selector(_, origin) = path[at] else {
        return None;
    };
    let (app, steps) = path_of_selector(view, &path, at)?;
    let env = enclosing_env(view, &path);
    let found = values::values(view, env, app, &[steps]).pop()??;
    // The last source is the one that everything after it changed.
    let source = found.sources.last()?;
    Some(Definition {
        origin,
        targets: vec![Target::Place(source.span)],
    })
}

fn path_of_selector(
    view: &View<'_>,
    path: &[Node<'_>],
    at: usize,
) -> Option<(AppId, Vec<ordain_lang_eval::PathStep>)> {
    // In an expression: `shop.objects[…]`.
    if let Some(Node::Expr(expr)) = at.checked_sub(1).map(|outer| path[outer])
        && matches!(expr.kind, ExprKind::Index { .. })
    {
        return values::expr_steps(view, expr);
    }
    // In a path, perhaps inside the braces of other paths.
    let mut steps = Vec::new();
    for (depth, node) in path.iter().enumerate().take(at) {
        let Node::Member(member) = node else { continue };
        let MemberKind::Field(field) = &member.kind else {
            continue;
        };
        let chosen = path[depth + 1..at].iter().find_map(|inner| match inner {
            Node::Segment(segment) => Some(segment.span),
            _ => None,
        });
        // Segments of an inner member are that member's business.
        let is_here = |span: Span| field.path.iter().any(|segment| segment.span == span);
        let count = match chosen.filter(|span| is_here(*span)) {
            Some(span) => field.path.iter().position(|s| s.span == span)? + 1,
            None => field.path.len(),
        };
        steps.extend(&field.path[..count]);
    }
    let (first, rest) = steps.split_first()?;
    let SegmentKind::Name(name) = &first.kind else {
        return None;
    };
    let app = view.program().app(name.as_str())?;
    let rest: Option<Vec<_>> = rest
        .iter()
        .map(|segment| values::steps(view, std::slice::from_ref(*segment))?.pop())
        .collect();
    Some((app, rest?))
}

/// The environment that a place stands in.
pub(crate) fn enclosing_env(
    view: &View<'_>,
    path: &[Node<'_>],
) -> Option<ordain_lang_types::program::EnvId> {
    let Some(Node::Item(item)) = path.first() else {
        return None;
    };
    match &item.kind {
        ItemKind::Env(env) => view.program().env(env.name.name.as_str()),
        ItemKind::Test(test) => view.program().env(test.env?.name.as_str()),
        _ => None,
    }
}

/// Whether a definition may be named otherwise, with the reason when not.
pub(crate) fn renamable(view: &View<'_>, def: Def) -> Result<Span, String> {
    match def {
        Def::Kubernetes(_) => return Err("Kubernetes' own types cannot be renamed".to_owned()),
        Def::Builtin(name, _) => return Err(format!("`{name}` is built in")),
        // Only where a `use` could not be understood; see `moves`.
        Def::Module(_) => return Err("this module is used by no name".to_owned()),
        Def::Field(record, at) => {
            let def = view.program().types.record(record);
            let field = def.fields.get(at as usize);
            if field.is_some_and(|field| field.span.is_none()) {
                return Err(format!("the fields of `{}` are given", def.name));
            }
            if def.gvk().is_none()
                && field.is_some_and(|field| field.name == "objects")
                && def.origin == ordain_lang_types::ty::Origin::App
            {
                return Err("`objects` is what an app emits".to_owned());
            }
        }
        _ => {}
    }
    let place = view.program().place(def);
    let place = place.ok_or_else(|| "this is defined in no file".to_owned())?;
    if !view.is_own(place.file) {
        return Err("this is defined in no source of the project".to_owned());
    }
    if view.project.is_single && place.file != view.file {
        return Err("these files are in no project: others may use this".to_owned());
    }
    Ok(place)
}
