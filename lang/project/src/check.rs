//! Checking a loaded project, once for every Kubernetes version that its environments name.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordain_lang_syntax::ast::{ExprKind, FieldOp, File, ItemKind, MemberKind, SegmentKind};
use ordain_lang_syntax::{Diagnostic, FileId, Parsed, Span};
use ordain_lang_types::{Checked, Index, Input, ModuleInput, Program};
use ordain_schemas::KubeVersion;

use crate::versions::of_versions;

use crate::load::{Module, Project, module_path};
use crate::manifest::unknown_version;

/// An environment as the sources declare it, settings inherited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// The environment it extends.
    pub extends: Option<String>,
    /// The cluster it is for.
    pub cluster: Option<String>,
    /// Where namespaced objects without a namespace go.
    pub namespace: Option<String>,
    /// The version its types are taken from.
    pub kubernetes: KubeVersion,
    /// Whether others extend it and it names no cluster: then it is built only on demand.
    pub is_base: bool,
    /// Where its name stands.
    pub span: Span,
    version_span: Option<(String, Span)>,
}

impl Project {
    /// Returns the environments in the order of the sources.
    pub fn environments(&self) -> Vec<Environment> {
        let mut declared: Vec<Environment> = Vec::new();
        for module in &self.modules {
            for item in &module.parsed.file.items {
                let ItemKind::Env(env) = &item.kind else {
                    continue;
                };
                let setting = |wanted: &str| {
                    env.body.members.iter().rev().find_map(|member| {
                        let MemberKind::Field(field) = &member.kind else {
                            return None;
                        };
                        let ([segment], FieldOp::Set(value)) = (&*field.path, &field.op) else {
                            return None;
                        };
                        match (&segment.kind, &value.kind) {
                            (SegmentKind::Name(name), ExprKind::Str(text)) if *name == wanted => {
                                Some((text.to_string(), value.span))
                            }
                            _ => None,
                        }
                    })
                };
                let text = |wanted: &str| setting(wanted).map(|(text, _)| text);
                declared.push(Environment {
                    name: env.name.name.to_string(),
                    extends: env.extends.map(|name| name.name.to_string()),
                    cluster: text("cluster"),
                    namespace: text("namespace"),
                    kubernetes: self.manifest.kubernetes,
                    is_base: false,
                    span: env.name.span,
                    version_span: setting("kubernetes"),
                });
            }
        }
        let by_name: BTreeMap<String, Environment> = declared
            .iter()
            .rev()
            .map(|env| (env.name.clone(), env.clone()))
            .collect();
        for env in &mut declared {
            let mut above = env.extends.as_ref().and_then(|name| by_name.get(name));
            // A chain longer than there are environments is a loop, which the checker reports.
            for _ in 0..by_name.len() {
                let Some(base) = above else { break };
                env.cluster = env.cluster.take().or_else(|| base.cluster.clone());
                env.namespace = env.namespace.take().or_else(|| base.namespace.clone());
                env.version_span = env
                    .version_span
                    .take()
                    .or_else(|| base.version_span.clone());
                above = base.extends.as_ref().and_then(|name| by_name.get(name));
            }
            let version = env
                .version_span
                .as_ref()
                .and_then(|(text, _)| text.parse().ok());
            env.kubernetes = version.unwrap_or(self.manifest.kubernetes);
            env.is_base = env.cluster.is_none()
                && by_name
                    .values()
                    .any(|other| other.extends.as_ref() == Some(&env.name));
        }
        declared
    }

    /// Checks the project against one Kubernetes version.
    pub(crate) fn checked(&self, kubernetes: KubeVersion) -> (Arc<Program>, Vec<Diagnostic>) {
        let modules = self.modules.iter().map(|m| (&*m.path, &m.parsed.file));
        let checked = self.check_modules(kubernetes, modules);
        (checked.program, self.without_noise(checked.diagnostics))
    }

    /// Checks some modules of the project, or parts of them.
    pub(crate) fn check_modules<'a>(
        &'a self,
        kubernetes: KubeVersion,
        modules: impl Iterator<Item = (&'a str, &'a File)>,
    ) -> Checked {
        ordain_lang_types::check(&self.input(kubernetes, modules))
    }

    /// Returns the checked program with what every name in it stands for, for tools that show
    /// sources. Mistakes are left to [`check`].
    pub fn recorded(&self, kubernetes: KubeVersion) -> (Arc<Program>, Index) {
        let modules = self.modules.iter().map(|m| (&*m.path, &m.parsed.file));
        let (checked, index) = ordain_lang_types::check_recording(&self.input(kubernetes, modules));
        (checked.program, index)
    }

    /// Returns what the checker takes: some modules by path and tree, and what the project knows beside
    /// them. For tools that check a part of a project, or a file as it might be.
    pub fn input<'a>(
        &self,
        kubernetes: KubeVersion,
        modules: impl Iterator<Item = (&'a str, &'a File)>,
    ) -> Input<'a> {
        Input {
            modules: modules
                .map(|(path, file)| ModuleInput { path, file })
                .collect(),
            kubernetes,
            secrets: self.secrets.clone(),
            texts: self.texts.clone(),
            crds: self.crds.clone(),
        }
    }

    /// What cannot be trusted after a bracket or string without an end.
    fn torn(&self, code: &str, at: Span) -> Span {
        let rest = Span {
            start: 0,
            end: u32::MAX,
            ..at
        };
        if !matches!(code, "E0003" | "E0005") {
            return rest;
        }
        let Some(module) = self.modules.iter().find(|module| module.file == at.file) else {
            return rest;
        };
        let items = &module.parsed.file.items;
        let holds = |item: &&ordain_lang_syntax::ast::Item| {
            item.span.start <= at.start && at.start < item.span.end
        };
        let Some(item) = items.iter().find(holds) else {
            return rest;
        };
        // Only a next item says that this one ends: the last one may have swallowed others.
        match items.iter().find(|next| next.span.start >= item.span.end) {
            Some(_) => item.span,
            None => Span {
                end: u32::MAX,
                ..item.span
            },
        }
    }

    /// Leaves out what only follows from mistakes in the syntax.
    pub(crate) fn without_noise(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        // Where brackets or strings have no end, the rest is not what it seems: to the end of the item when the next one
        // begins at the margin as if nothing had happened, else to the end of the file.
        let torn: Vec<Span> = self
            .diagnostics
            .iter()
            .filter(|found| matches!(found.code, "E0003" | "E0004" | "E0005" | "E0009"))
            .filter_map(|found| Some(self.torn(found.code, found.span()?)))
            .collect();
        let is_lost = |module: &Module, item: &ordain_lang_syntax::ast::Item| {
            let at = item.span;
            matches!(item.kind, ItemKind::Error)
                || torn
                    .iter()
                    .any(|t| t.file == module.file && t.start < at.start && at.start < t.end)
        };
        let may_miss_names = self.modules.iter().any(|module| {
            let items = &module.parsed.file.items;
            items.iter().any(|item| is_lost(module, item))
        }) || torn.iter().any(|t| t.end == u32::MAX);
        // What a dependency does not use is not the user's business.
        let foreign: Vec<ordain_lang_syntax::FileId> = (self.modules.iter())
            .filter(|module| {
                !module.is_own && crate::deps::vendored(self.sources.path(module.file))
            })
            .map(|module| module.file)
            .collect();
        let is_foreign = |found: &Diagnostic| {
            !found.is_error()
                && found
                    .span()
                    .is_some_and(|span| foreign.contains(&span.file))
        };
        let is_missing = |found: &Diagnostic| {
            let module = found.message.strip_prefix("there is no module `");
            let first = module.and_then(|m| m.split(['.', '`']).next());
            found.code == "E0104"
                && first.is_some_and(|first| self.missing.iter().any(|name| name == first))
        };
        // What could not be read may use what nothing else does.
        let is_unread = self.diagnostics.iter().any(|d| d.code.starts_with("E00"));
        let is_unused = |found: &Diagnostic| is_unread && matches!(found.code, "W0101" | "W0102");
        diagnostics.retain(|found| !is_foreign(found) && !is_missing(found) && !is_unused(found));
        diagnostics.retain(|found| {
            let is_torn = |span: Span| {
                torn.iter()
                    .any(|t| t.file == span.file && t.start <= span.start && span.start < t.end)
            };
            // What a dependency leaves unused is its own business.
            let is_foreign = |span: Span| {
                let module = self.modules.iter().find(|module| module.file == span.file);
                module.is_some_and(|module| !module.is_own)
            };
            if !found.is_error() && found.span().is_some_and(is_foreign) {
                return false;
            }
            // What a single file leaves alone of the files beside it may be for others.
            let main = self.modules.first().map(|module| module.file);
            let is_beside =
                |span: Span| self.is_single && main.is_some_and(|main| main != span.file);
            if found.code == "W0102" && found.span().is_some_and(is_beside) {
                return false;
            }
            let is_noise = may_miss_names && matches!(found.code, "E0101" | "E0102");
            !is_noise && !found.span().is_some_and(is_torn)
        });
        diagnostics
    }

    /// Returns the mistakes that the modules would have before evaluation if some files (by path) had other texts, and
    /// some other paths. Nothing changes; the mistakes of `ordain.toml` and of what was not read are left out.
    pub fn errors_with(
        &self,
        texts: &BTreeMap<String, String>,
        moved: &BTreeMap<String, String>,
    ) -> Vec<Diagnostic> {
        let paths: Vec<String> = self
            .modules
            .iter()
            .map(|module| match moved.get(self.sources.path(module.file)) {
                Some(path) => module_path(path),
                None => module.path.clone(),
            })
            .collect();
        let mut errors = Vec::new();
        let mut parsed: BTreeMap<FileId, Parsed> = BTreeMap::new();
        for module in &self.modules {
            let text = texts.get(self.sources.path(module.file));
            let new = text.map(|text| ordain_lang_syntax::parse(module.file, text));
            let found = new.as_ref().unwrap_or(&module.parsed);
            errors.extend(found.diagnostics.iter().cloned());
            parsed.extend(new.map(|new| (module.file, new)));
        }
        for version in versions(self, &self.environments()) {
            let files = self.modules.iter().zip(&paths).map(|(module, path)| {
                let file = parsed.get(&module.file).unwrap_or(&module.parsed);
                (&**path, &file.file)
            });
            errors.extend(self.check_modules(version, files).diagnostics);
        }
        errors.retain(Diagnostic::is_error);
        errors
    }

    /// What was found while loading, and versions that are not known.
    pub(crate) fn loading_diagnostics(&self, environments: &[Environment]) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.clone();
        let mut told: Vec<Span> = Vec::new();
        for env in environments {
            if let Some((version, span)) = &env.version_span
                && version.parse::<KubeVersion>().is_err()
                && !told.contains(span)
            {
                told.push(*span);
                diagnostics.push(unknown_version(version, *span));
            }
        }
        diagnostics
    }
}

/// Checks a project and returns everything that is wrong with it, in the order of the sources.
/// Nothing is evaluated.
pub fn check(project: &Project) -> Vec<Diagnostic> {
    check_with(project, |version| project.checked(version).1)
}

/// Checks a project, with what `checked` finds for each Kubernetes version.
pub(crate) fn check_with(
    project: &Project,
    mut checked: impl FnMut(KubeVersion) -> Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let environments = project.environments();
    let mut diagnostics = project.loading_diagnostics(&environments);
    let found = versions(project, &environments)
        .into_iter()
        .map(|version| (version, checked(version)))
        .collect();
    for diagnostic in of_versions(project, found, &environments, None) {
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    sort(&mut diagnostics);
    diagnostics
}

/// The Kubernetes versions that a project is checked against, the oldest first.
pub(crate) fn versions(project: &Project, environments: &[Environment]) -> Vec<KubeVersion> {
    let mut versions: Vec<KubeVersion> = environments.iter().map(|env| env.kubernetes).collect();
    if versions.is_empty() {
        versions.push(project.manifest.kubernetes);
    }
    versions.sort();
    versions.dedup();
    versions
}

/// Puts diagnostics in the order of the sources; those without a place come first.
pub(crate) fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|diagnostic| diagnostic.span().map(|span| (span.file, span.start)));
}

/// Finds an environment by name.
pub(crate) fn find<'a>(
    environments: &'a [Environment],
    name: &str,
) -> Result<&'a Environment, Box<Diagnostic>> {
    environments
        .iter()
        .find(|env| env.name == name)
        .ok_or_else(|| {
            let names = || environments.iter().map(|env| env.name.as_str());
            let diagnostic =
                Diagnostic::error("E0903", format!("there is no environment `{name}`"));
            Box::new(match crate::near::nearest(name, names()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None if environments.is_empty() => {
                    diagnostic.help("the project declares none; leave the choice out")
                }
                None => diagnostic.help(format!(
                    "there are {}",
                    names().collect::<Vec<_>>().join(", ")
                )),
            })
        })
}
