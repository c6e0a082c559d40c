//! `ordain.toml`: what a project says of itself.

use ordain_lang_syntax::{Diagnostic, FileId, Span};
use ordain_schemas::KubeVersion;

use crate::deps::{Dependency, want};
use crate::near::nearest;
use crate::rollout::{self, Rollout};

/// The content of `ordain.toml`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The project's name.
    pub name: String,
    /// The Kubernetes version of environments that name none.
    pub kubernetes: KubeVersion,
    /// Patterns of CRD files whose kinds every file of the project may write out, and where each stands.
    pub crds: Vec<(String, Span)>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// How its apps are rolled out.
    pub rollout: Rollout,
}

impl Default for Manifest {
    fn default() -> Self {
        Manifest {
            name: String::new(),
            kubernetes: KubeVersion::DEFAULT,
            crds: Vec::new(),
            dependencies: Vec::new(),
            rollout: Rollout::default(),
        }
    }
}

/// What may stand in `ordain.toml`.
const KEYS: [&str; 5] = ["name", "kubernetes", "crds", "dependencies", "rollout"];

/// Reads a manifest; what is wrong is reported and takes its default.
pub(crate) fn read(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Manifest {
    let span = |range: std::ops::Range<usize>| {
        let end = range.end.min(text.len());
        Span::new(file, range.start.min(end) as u32, end as u32)
    };
    let table: toml::de::DeTable<'_> = match toml::de::DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let place = error.span().map_or(Span::new(file, 0, 0), span);
            diagnostics.push(
                Diagnostic::error("E0901", format!("`{}` is not valid TOML", crate::MANIFEST))
                    .label(place, error.message().trim().replace('\n', ", ")),
            );
            return Manifest::default();
        }
    };
    let mut manifest = Manifest::default();
    let mut has_name = false;
    for (key, value) in &table {
        let string = value.get_ref().as_str();
        match (key.get_ref().as_ref(), string) {
            ("name", Some(name)) => {
                has_name = true;
                if is_project_name(name) {
                    manifest.name = name.to_owned();
                } else {
                    diagnostics.push(
                        Diagnostic::error("E0901", format!("`{name}` cannot be a project's name"))
                            .label(span(value.span()), "this name")
                            .help("use small letters, digits and `-`, beginning with a letter, up to 63"),
                    );
                }
            }
            ("kubernetes", Some(version)) => match version.parse() {
                Ok(version) => manifest.kubernetes = version,
                Err(_) => diagnostics.push(unknown_version(version, span(value.span()))),
            },
            ("dependencies", _) => {
                manifest.dependencies = want::read(value, &span, diagnostics);
            }
            ("rollout", _) => manifest.rollout = rollout::read(value, &span, diagnostics),
            ("crds", _) => match value.get_ref().as_array() {
                Some(items) => {
                    for item in items {
                        match item.get_ref().as_str() {
                            Some(pattern) => {
                                manifest.crds.push((pattern.into(), span(item.span())))
                            }
                            None => diagnostics.push(crds_are_paths(span(item.span()))),
                        }
                    }
                }
                None => diagnostics.push(crds_are_paths(span(value.span()))),
            },
            (known, None) if KEYS.contains(&known) => {
                has_name |= known == "name";
                diagnostics.push(
                    Diagnostic::error("E0901", format!("`{known}` must be a string"))
                        .label(span(value.span()), "this value")
                        .help(format!("write `{known} = \"…\"`")),
                );
            }
            (unknown, _) => {
                let mut diagnostic =
                    Diagnostic::error("E0901", format!("there is no setting `{unknown}`"))
                        .label(span(key.span()), "this key");
                diagnostic.help = Some(match nearest(unknown, KEYS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "known are {}",
                        KEYS.map(|key| format!("`{key}`")).join(", ")
                    ),
                });
                diagnostics.push(diagnostic);
            }
        }
    }
    if !has_name {
        diagnostics.push(
            Diagnostic::error("E0901", format!("`{}` has no name", crate::MANIFEST))
                .label(Span::new(file, 0, 0), "")
                .help("write `name = \"my-project\"`"),
        );
    }
    manifest
}

fn crds_are_paths(span: Span) -> Diagnostic {
    Diagnostic::error("E0901", "`crds` is a list of paths")
        .label(span, "this value")
        .help("write `crds = [\"crds/*.yaml\"]`")
}

/// The diagnostic for a version that the type table does not carry.
pub(crate) fn unknown_version(version: &str, span: Span) -> Diagnostic {
    let known: Vec<String> = KubeVersion::ALL.iter().map(ToString::to_string).collect();
    Diagnostic::error("E0904", format!("Kubernetes {version} is not known"))
        .label(span, "this version")
        .help(format!("known are {}", known.join(", ")))
}

/// Whether a text is a DNS label, as names of projects are.
pub(crate) fn is_project_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}
