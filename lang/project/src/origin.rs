//! Where a field's value comes from: the chain of lines and layers behind it.

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, Span};

use crate::build::{BuildOptions, run};
use crate::check::find;
use crate::load::Project;

pub use ordain_lang_eval::How;

/// Where the value of a field comes from.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The app.
    pub app: String,
    /// The object, as `Deployment shop/web`.
    pub object: String,
    /// The value, as messages show it.
    pub value: String,
    /// What set or changed it, the winner first.
    pub origins: Vec<Origin>,
}

/// A line that set or changed a field.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The place.
    pub span: Span,
    /// `file:line`.
    pub at: String,
    /// `default`, `value`, or the environment as `env prod`.
    pub layer: String,
    /// Whether it set the value, changed a part of it, or is where it was copied from.
    pub how: How,
}

/// Says which lines set a field of an object.
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
    let (found, diagnostics) = run(project, &options, |_, app, sources, program| {
        let wanted = app
            .objects
            .iter()
            .find(|one| {
                one.kind.eq_ignore_ascii_case(kind) && (name.is_empty() || one.name == name)
            })
            .cloned()?;
        let (value, chain) = app.explain(&wanted, &steps)?;
        let origins = chain
            .iter()
            .map(|source| Origin {
                span: source.span,
                at: sources.place(source.span),
                layer: match source.layer {
                    eval::Layer::Default => "default".to_owned(),
                    eval::Layer::Value => "value".to_owned(),
                    eval::Layer::Env(at) => match program.envs.get(at) {
                        Some(env) => format!("env {}", env.name),
                        None => "env".to_owned(),
                    },
                },
                how: source.how,
            })
            .collect();
        Some(Explained {
            app: app.name.to_owned(),
            object: wanted.title(),
            value,
            origins,
        })
    });
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    Ok(found.into_iter().flatten().collect())
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
