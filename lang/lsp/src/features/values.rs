//! The lines of apps and environments that set fields, and the value that each field has in every environment.

use ordain_lang_eval::{Effective, Layer, PathStep, Source, effective};
use ordain_lang_syntax::Span;
use ordain_lang_syntax::ast::{
    Expr, ExprKind, FieldOp, ItemKind, Member, MemberKind, Segment, SegmentKind, Selector,
};
use ordain_lang_types::program::{AppId, EnvId};
use ordain_lang_types::ty::Ty;

use super::describe::is_secret;
use crate::view::View;

/// How many environments are evaluated for an answer.
const ENVS_MAX: usize = 8;
/// How many lines of a file are evaluated for an answer.
const LINES_MAX: usize = 500;

/// A line that sets a field of an app.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// The app.
    pub(crate) app: AppId,
    /// From the app to the field.
    pub(crate) path: Vec<PathStep>,
    /// The environment that the line stands in; none in the app itself.
    pub(crate) env: Option<EnvId>,
    /// The path as written.
    pub(crate) name: Span,
    /// All of it.
    pub(crate) span: Span,
    /// The value.
    pub(crate) value: &'a Expr,
}

/// Returns the lines of the asked file that set fields.
pub(crate) fn lines<'v>(view: &View<'v>) -> Vec<Line<'v>> {
    let mut found = Vec::new();
    let Some(tree) = view.tree() else {
        return found;
    };
    let program = view.program();
    for item in &tree.items {
        match &item.kind {
            ItemKind::App(app) => {
                let Some(id) = program.app(app.name.name.as_str()) else {
                    continue;
                };
                // A name that is taken twice belongs to the first.
                if program.apps[id.index()].span != app.name.span {
                    continue;
                }
                members(&app.body.members, id, None, &[], &mut found);
            }
            ItemKind::Env(env) => {
                let Some(id) = program.env(env.name.name.as_str()) else {
                    continue;
                };
                for member in &env.body.members {
                    let MemberKind::Field(field) = &member.kind else {
                        continue;
                    };
                    let Some((first, rest)) = field.path.split_first() else {
                        continue;
                    };
                    let SegmentKind::Name(name) = &first.kind else {
                        continue;
                    };
                    let Some(app) = program.app(name.as_str()) else {
                        continue;
                    };
                    let Some(path) = steps(view, rest) else {
                        continue;
                    };
                    let name = path_span(&field.path);
                    match &field.op {
                        FieldOp::Amend(record) => {
                            members_in(view, &record.members, app, Some(id), &path, &mut found);
                        }
                        FieldOp::Set(value) | FieldOp::Append(value) if !rest.is_empty() => {
                            let span = member.span;
                            one(view, value, app, Some(id), path, (name, span), &mut found);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    fn members<'v>(
        body: &'v [Member],
        app: AppId,
        env: Option<EnvId>,
        path: &[PathStep],
        found: &mut Vec<Line<'v>>,
    ) {
        for member in body {
            let MemberKind::Field(field) = &member.kind else {
                continue;
            };
            let [only] = &*field.path else { continue };
            let SegmentKind::Name(name) = &only.kind else {
                continue;
            };
            // The objects follow from the other fields.
            if *name == "objects" {
                continue;
            }
            let FieldOp::Set(value) = &field.op else {
                continue;
            };
            let mut path = path.to_vec();
            path.push(PathStep::Name(name.to_string()));
            match &value.kind {
                ExprKind::Record(record) => members(&record.members, app, env, &path, found),
                _ => found.push(Line {
                    app,
                    path,
                    env,
                    name: only.span,
                    span: member.span,
                    value,
                }),
            }
        }
    }
    found.truncate(LINES_MAX);
    found.retain(|line| {
        let last = line.name.end.saturating_sub(1);
        let ty = view
            .index()
            .use_at(view.file, last)
            .map_or(Ty::ERROR, |u| u.ty);
        !is_secret(view, ty)
    });
    found
}

fn path_span(path: &[Segment]) -> Span {
    match (path.first(), path.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        _ => Span::new(ordain_lang_syntax::FileId(u32::MAX), 0, 0),
    }
}

fn members_in<'v>(
    view: &View<'v>,
    body: &'v [Member],
    app: AppId,
    env: Option<EnvId>,
    path: &[PathStep],
    found: &mut Vec<Line<'v>>,
) {
    for member in body {
        match &member.kind {
            MemberKind::Field(field) => {
                let Some(mut inner) = steps(view, &field.path) else {
                    continue;
                };
                let mut path = path.to_vec();
                path.append(&mut inner);
                let name = path_span(&field.path);
                match &field.op {
                    FieldOp::Amend(record) => {
                        members_in(view, &record.members, app, env, &path, found);
                    }
                    FieldOp::Set(value) | FieldOp::Append(value) => {
                        one(view, value, app, env, path, (name, member.span), found);
                    }
                    FieldOp::Declare => {}
                }
            }
            MemberKind::If {
                then, otherwise, ..
            } => {
                members_in(view, then, app, env, path, found);
                members_in(view, otherwise, app, env, path, found);
            }
            _ => {}
        }
    }
}

fn one<'v>(
    view: &View<'v>,
    value: &'v Expr,
    app: AppId,
    env: Option<EnvId>,
    path: Vec<PathStep>,
    (name, span): (Span, Span),
    found: &mut Vec<Line<'v>>,
) {
    match &value.kind {
        ExprKind::Record(record) => members_in(view, &record.members, app, env, &path, found),
        _ => found.push(Line {
            app,
            path,
            env,
            name,
            span,
            value,
        }),
    }
}

/// A path of the source as steps; none where a key is computed.
pub(crate) fn steps(view: &View<'_>, path: &[Segment]) -> Option<Vec<PathStep>> {
    path.iter().map(|segment| step(view, segment)).collect()
}

fn step(view: &View<'_>, segment: &Segment) -> Option<PathStep> {
    match &segment.kind {
        SegmentKind::Name(name) => Some(PathStep::Name(name.to_string())),
        SegmentKind::Computed(_) => None,
        SegmentKind::Select(selector) => selected(view, selector),
    }
}

/// What brackets choose, when it is constant.
pub(crate) fn selected(view: &View<'_>, selector: &Selector) -> Option<PathStep> {
    match selector {
        Selector::Key(key) => constant(key).map(PathStep::Name),
        Selector::Keys(keys) => constant(keys.first()?).map(PathStep::Name),
        Selector::Object { kind, name } => Some(PathStep::Object {
            kind: view.slice(kind.span).rsplit('.').next()?.to_owned(),
            name: constant(name)?,
        }),
    }
}

fn constant(key: &Expr) -> Option<String> {
    match &key.kind {
        ExprKind::Str(text) => Some(text.to_string()),
        ExprKind::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An expression such as `shop.objects[k8s.Deployment "shop"].spec` as a path into an app.
pub(crate) fn expr_steps(view: &View<'_>, expr: &Expr) -> Option<(AppId, Vec<PathStep>)> {
    match &expr.kind {
        ExprKind::Name(name) => Some((view.program().app(name.as_str())?, Vec::new())),
        ExprKind::Field { base, name, .. } => {
            let (app, mut path) = expr_steps(view, base)?;
            path.push(PathStep::Name(name.name.to_string()));
            Some((app, path))
        }
        ExprKind::Index { base, selector } => {
            let (app, mut path) = expr_steps(view, base)?;
            path.push(selected(view, selector)?);
            Some((app, path))
        }
        _ => None,
    }
}

/// The environments that are built, by number and name.
pub(crate) fn environments(view: &View<'_>) -> Vec<(EnvId, String)> {
    let built = view.project.environments();
    built
        .iter()
        .filter(|env| !env.is_base)
        .filter_map(|env| Some((view.program().env(&env.name)?, env.name.clone())))
        .take(ENVS_MAX)
        .collect()
}

/// The values of fields in one environment; none at all when the program cannot be evaluated.
pub(crate) fn values(
    view: &View<'_>,
    env: Option<EnvId>,
    app: AppId,
    paths: &[Vec<PathStep>],
) -> Vec<Option<Effective>> {
    if !view.analysis.is_sound {
        return vec![None; paths.len()];
    }
    effective(view.program(), env, app, paths)
}

/// The keys of the list or map at a path: what brackets behind it may say.
pub(crate) fn keys(
    view: &View<'_>,
    env: Option<EnvId>,
    app: AppId,
    path: Vec<PathStep>,
) -> Vec<String> {
    // While something is being written the program has a mistake there. What it is written into evaluates all the
    // same, if need be without the environment that it is written in.
    let program = view.program();
    let keys = |env: Option<EnvId>| {
        let found = effective(program, env, app, std::slice::from_ref(&path));
        found.into_iter().flatten().next().map(|found| found.keys)
    };
    let below = env
        .and_then(|env| program.envs.get(env.index()))
        .and_then(|env| env.chain.iter().rev().nth(1).copied());
    keys(env).or_else(|| keys(below)).unwrap_or_default()
}

/// The layer of a source in a word: `default`, `app`, `env prod`.
pub(crate) fn layer(view: &View<'_>, source: &Source) -> String {
    match source.layer {
        Layer::Default => "default".to_owned(),
        Layer::Value => "app".to_owned(),
        Layer::Env(at) => match view.program().envs.get(at) {
            Some(env) => format!("env {}", env.name),
            None => "env".to_owned(),
        },
    }
}
