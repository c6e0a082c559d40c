//! What is found against several Kubernetes versions, brought together: each finding once, said of the environments that it
//! is for.
//!
//! What stands in an environment is for it and those that extend it; against the versions of others it is not judged. Nor is
//! anything judged against the version of an environment that is only there to be extended.

use ordain_lang_syntax::ast::ItemKind;
use ordain_lang_syntax::{Diagnostic, Span};
use ordain_schemas::KubeVersion;

use crate::Project;
use crate::check::Environment;

/// What was found for each version, one after the other. What is not found for all of them is said of
/// the environments that it is found for. `named` is the environment that somebody asked for.
pub(crate) fn of_versions(
    project: &Project,
    mut found: Vec<(KubeVersion, Vec<Diagnostic>)>,
    environments: &[Environment],
    named: Option<&str>,
) -> Vec<Diagnostic> {
    if found.len() < 2 {
        return found.into_iter().flat_map(|(_, own)| own).collect();
    }
    let is_built = |env: &Environment| !env.is_base || named == Some(&env.name);
    if environments.iter().any(is_built) {
        let built = || environments.iter().filter(|env| is_built(env));
        found.retain(|(version, _)| built().any(|env| env.kubernetes == *version));
    }
    let bodies = Bodies::of(project);
    let mut all = Vec::new();
    for (version, own) in &found {
        let is_for = |version: KubeVersion, one: &Diagnostic| {
            one.span()
                .and_then(|at| bodies.around(at))
                .is_none_or(|body| body.is_for(version, environments))
        };
        let is_everywhere = |one: &Diagnostic| {
            let mut others = found.iter().filter(|(other, _)| other != version);
            others.all(|(other, found)| !is_for(*other, one) || found.contains(one))
        };
        let names = || {
            let envs = environments.iter().filter(|env| env.kubernetes == *version);
            let names: Vec<&str> = envs.map(|env| &*env.name).collect();
            names.join(", ")
        };
        for one in own.iter().filter(|one| is_for(*version, one)) {
            let mut one = one.clone();
            if one.env.is_none() && !is_everywhere(&one) {
                one.env = Some(names());
            }
            all.push(one);
        }
    }
    all
}

/// What is written for one environment: itself, or a test in it.
struct Body<'a> {
    span: Span,
    env: &'a str,
    /// Whether those that extend it have it too.
    inherited: bool,
}

impl Body<'_> {
    /// Whether an environment of this version has it; also when there is no such environment, which is told.
    fn is_for(&self, version: KubeVersion, environments: &[Environment]) -> bool {
        let by_name = |name: &str| environments.iter().find(|env| env.name == name);
        if by_name(self.env).is_none() {
            return true;
        }
        let has_it = |env: &Environment| {
            let mut at = Some(env);
            // A chain longer than there are environments is a loop, which the checker reports.
            for _ in 0..=environments.len() {
                match at {
                    Some(env) if env.name == self.env => return true,
                    Some(env) if self.inherited => at = env.extends.as_deref().and_then(by_name),
                    _ => return false,
                }
            }
            true
        };
        let mut of_version = environments.iter().filter(|env| env.kubernetes == version);
        of_version.any(has_it)
    }
}

/// All that is written for one environment.
struct Bodies<'a>(Vec<Body<'a>>);

impl<'a> Bodies<'a> {
    fn of(project: &'a Project) -> Self {
        let items = project
            .modules
            .iter()
            .flat_map(|module| &module.parsed.file.items);
        let bodies = items.filter_map(|item| {
            let (env, inherited) = match &item.kind {
                ItemKind::Env(env) => (&env.name.name, true),
                ItemKind::Policy(policy) => (&policy.env.as_ref()?.name, true),
                ItemKind::Test(test) => (&test.env.as_ref()?.name, false),
                _ => return None,
            };
            Some(Body {
                span: item.span,
                env: env.as_str(),
                inherited,
            })
        });
        Bodies(bodies.collect())
    }

    fn around(&self, at: Span) -> Option<&Body<'a>> {
        self.0.iter().find(|body| {
            body.span.file == at.file && body.span.start <= at.start && at.end <= body.span.end
        })
    }
}
