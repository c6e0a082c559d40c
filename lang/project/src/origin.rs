//! Where a field's value comes from: the chain of lines and layers behind it.

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, Sources, Span};
use ordain_lang_types::Program;
use serde::Serialize;

use crate::build::{BuildOptions, DEFAULT_ENV, run_loosely};
use crate::check::find;
use crate::load::Project;
use crate::shared::Outcome;

pub use ordain_lang_eval::How;

/// Where the value of a field comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The app.
    pub app: String,
    /// The environment; `default` when the project declares none.
    pub env: String,
    /// The object, as `Deployment shop/web`.
    pub object: String,
    /// `file:line` of the element of the app's `objects` which the object is.
    pub made: String,
    /// Other places that declare the object as well and give way, as `b at b.ord:3`, with the app's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// The value, as messages show it; `null` for what was deleted.
    pub value: String,
    /// What set or changed it, the winner first.
    #[serde(rename = "chain")]
    pub origins: Vec<Origin>,
}

/// A line that set or changed a field.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// The place.
    #[serde(skip)]
    pub span: Span,
    /// `file:line`.
    pub at: String,
    /// `default`, `value`, or the environment as `env prod`.
    pub layer: String,
    /// What it did.
    #[serde(serialize_with = "as_word")]
    pub how: How,
}

fn as_word<S: serde::Serializer>(how: &How, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match how {
        How::Set => "set",
        How::Changed => "changed",
        How::From => "from",
        How::Deleted => "deleted",
    })
}

impl Explained {
    /// Returns the line that decides the value: where it was set, or what was copied there in the end.
    #[must_use]
    pub fn deciding(&self) -> Option<&Origin> {
        deciding(&self.origins)
    }
}

fn deciding(chain: &[Origin]) -> Option<&Origin> {
    let copies = chain.iter().skip(1).take_while(|one| one.how == How::From);
    copies.last().or(chain.first())
}

/// Says which lines set a field of an object. Rules over the whole set may be broken meanwhile.
///
/// `object` is `kind/name` in any case, such as `deployment/web`; `path` is dotted, with keys of list
/// elements in brackets or as steps: `spec.template.spec.containers["main"].image`. Returns nothing
/// when no app has such an object or field.
///
/// # Errors
/// With what building finds, when there is an error among it.
pub fn explain(
    project: &Project,
    env: Option<&str>,
    object: &str,
    path: &str,
) -> Result<Vec<Explained>, Vec<Diagnostic>> {
    if let Some(name) = env
        && let Err(diagnostic) = find(&project.environments(), name)
    {
        return Err(vec![*diagnostic]);
    }
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    let steps = steps(path);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    let found = looked(project, &options, |app, look| {
        let at = app.objects.iter().position(|one| {
            one.kind.eq_ignore_ascii_case(kind) && (name.is_empty() || one.name == name)
        });
        let explained = at.and_then(|at| {
            let wanted = app.objects[at].clone();
            let (value, chain) = app.explain(&wanted, &steps)?;
            let explained = Explained {
                app: app.name.to_owned(),
                env: look.env.to_owned(),
                object: wanted.title(),
                made: look.sources.place(wanted.at),
                copies: Vec::new(),
                value,
                origins: look.origins(&chain),
            };
            Some((at, explained))
        });
        One {
            explained,
            gives_way: false,
        }
    })?;
    let (copies, mut found): (Vec<One>, Vec<One>) =
        found.into_iter().partition(|one| one.gives_way);
    for (_, copy) in copies.into_iter().filter_map(|one| one.explained) {
        let of_same = |one: &Explained| (&one.env, &one.object) == (&copy.env, &copy.object);
        let mut all = found.iter_mut().filter_map(|one| one.explained.as_mut());
        if let Some((_, stays)) = all.find(|(_, one)| of_same(one)) {
            stays.copies.push(format!("{} at {}", copy.app, copy.made));
        }
    }
    let explained = found.into_iter().filter_map(|one| one.explained);
    Ok(explained.map(|(_, explained)| explained).collect())
}

/// What is told of an app's object, with its position.
struct One {
    explained: Option<(usize, Explained)>,
    /// Whether the app leaves it to another one.
    gives_way: bool,
}

impl Outcome for One {
    fn leave_out(&mut self, objects: &[usize]) {
        let at = self.explained.as_ref().map(|(at, _)| at);
        self.gives_way = at.is_some_and(|at| objects.binary_search(at).is_ok());
    }
}

/// A field of an object, to look up the line that decides it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FieldRef {
    /// The environment.
    pub env: String,
    /// The kind of the object.
    pub kind: String,
    /// Its namespace, when it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The field, as [`explain`] takes it.
    pub path: String,
}

/// Looks up the lines that decide many fields, in one evaluation: for diffs. A field below one that was
/// set as a whole has that one's line. The result has as many elements as `fields`; what is not there
/// has no line.
///
/// # Errors
/// With what building finds, when there is an error among it.
pub fn deciding_lines(
    project: &Project,
    options: &BuildOptions,
    fields: &[FieldRef],
) -> Result<Vec<Option<Origin>>, Vec<Diagnostic>> {
    let found = looked(project, options, |app, look| {
        let mut found = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            let is_it = |one: &&eval::Object| {
                one.kind == field.kind
                    && one.name == field.name
                    && (field.namespace.is_none() || one.namespace == field.namespace)
            };
            let Some(place) = app.objects.iter().position(|one| is_it(&one)) else {
                continue;
            };
            let object = app.objects[place].clone();
            if look.env != field.env {
                continue;
            }
            let steps = steps(&field.path);
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            let line = (1..=steps.len()).rev().find_map(|end| {
                let (_, chain) = app.explain(&object, &steps[..end])?;
                deciding(&look.origins(&chain)).cloned()
            });
            found.extend(line.map(|line| (at, place, line)));
        }
        Lines(found)
    })?;
    let mut lines: Vec<Option<Origin>> = vec![None; fields.len()];
    for (at, _, line) in found.into_iter().flat_map(|found| found.0) {
        lines[at] = Some(line);
    }
    Ok(lines)
}

/// The lines that decide fields, each with the positions of the field and of its object.
struct Lines(Vec<(usize, usize, Origin)>);

impl Outcome for Lines {
    fn leave_out(&mut self, objects: &[usize]) {
        self.0
            .retain(|(_, object, _)| objects.binary_search(object).is_err());
    }
}

/// What is known while looking at an app.
struct Look<'a> {
    env: &'a str,
    sources: &'a Sources,
    program: &'a Program,
}

impl Look<'_> {
    fn origins(&self, chain: &[eval::Source]) -> Vec<Origin> {
        let origins = chain.iter().map(|source| Origin {
            span: source.span,
            at: self.sources.place(source.span),
            layer: match source.layer {
                eval::Layer::Default => "default".to_owned(),
                eval::Layer::Value => "value".to_owned(),
                eval::Layer::Env(at) => match self.program.envs.get(at) {
                    Some(env) => format!("env {}", env.name),
                    None => "env".to_owned(),
                },
            },
            how: source.how,
        });
        origins.collect()
    }
}

/// Evaluates the wanted apps and looks at each.
fn looked<R: Send + Outcome>(
    project: &Project,
    options: &BuildOptions,
    look: impl Fn(&mut eval::App<'_, '_>, &Look<'_>) -> R + Sync,
) -> Result<Vec<R>, Vec<Diagnostic>> {
    let (found, diagnostics) = run_loosely(project, options, |env, app, sources, program| {
        let env = env.map_or(DEFAULT_ENV, |env| &env.name);
        look(
            app,
            &Look {
                env,
                sources,
                program,
            },
        )
    });
    match diagnostics.iter().any(Diagnostic::is_error) {
        true => Err(diagnostics),
        false => Ok(found),
    }
}

/// Splits `a.b["c.d"].e[0]` at dots and brackets.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = match inner.strip_prefix('"') {
                Some(quoted) => quoted.split_once("\"]").unwrap_or((quoted, "")),
                None => inner.split_once(']').unwrap_or((inner, "")),
            };
            steps.push(key.to_owned());
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(rest[..end].to_owned());
            rest = &rest[end..];
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn paths_are_split_at_dots_and_brackets() {
        assert_eq!(steps("spec.replicas"), ["spec", "replicas"]);
        assert_eq!(
            steps(r#"spec.containers["main"].ports[0].name"#),
            ["spec", "containers", "main", "ports", "0", "name"]
        );
        assert_eq!(
            steps(r#"metadata.labels["app.kubernetes.io/name"]"#),
            ["metadata", "labels", "app.kubernetes.io/name"]
        );
    }
}
