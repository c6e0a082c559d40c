//! Which environment of a project a command means.

use crate::usage::{did_you_mean, list, usage};
use miette::Result;
use ordain_lang_project::Project;

/// Returns the environment to work in: the named one, the only one, or none in a project that declares none.
///
/// # Errors
/// A usage error when there is no such environment, or when there are several and none is named; `otherwise` is then said
/// beside `--env`.
pub(crate) fn choose(
    project: &Project,
    named: Option<&str>,
    otherwise: &str,
) -> Result<Option<String>> {
    if named.is_some() {
        known(project, named)?;
        return Ok(named.map(str::to_owned));
    }
    let environments = project.environments();
    let names: Vec<&str> = environments
        .iter()
        .filter(|e| !e.is_base)
        .map(|e| e.name.as_str())
        .collect();
    match names[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.to_owned())),
        [first, ..] => Err(usage(
            format!("the project has several environments: {}", list(&names)),
            format!("choose one with `--env {first}`{otherwise}"),
        )),
    }
}

/// Checks that a named environment is there.
///
/// # Errors
/// A usage error when it is not. A project with syntax errors may have lost it, and then says so itself.
pub(crate) fn known(project: &Project, named: Option<&str>) -> Result<()> {
    let Some(name) = named else { return Ok(()) };
    let environments = project.environments();
    if project.has_syntax_errors() || environments.iter().any(|e| e.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = environments.iter().map(|e| e.name.as_str()).collect();
    Err(usage(
        format!("there is no environment `{name}`"),
        did_you_mean(name, &names, "environments"),
    ))
}
