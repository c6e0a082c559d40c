//! `[dependencies]` of `ordain.toml`: what is asked for.

use std::cmp::Ordering;
use std::fmt;

use ordain_lang_syntax::{Diagnostic, FileId, Span};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::manifest::is_project_name;
use crate::near::nearest;

/// Names that mean something else.
const TAKEN: [&str; 2] = ["std", "k8s"];

/// What a dependency may say.
const KEYS: [&str; 4] = ["git", "tag", "commit", "path"];

/// Which state of a repository is meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Version {
    /// A tag; one like `v1.2.3` can be compared with others.
    Tag(String),
    /// A commit by its whole name.
    Commit(String),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Tag(tag) => write!(f, "tag {tag}"),
            Version::Commit(commit) => write!(f, "commit {}", commit.get(..10).unwrap_or(commit)),
        }
    }
}

impl Version {
    /// `(1, 2, 3)` of the tag `v1.2.3` or `1.2.3`; none for others.
    fn numbers(&self) -> Option<[u64; 3]> {
        let Version::Tag(tag) = self else { return None };
        let text = tag.strip_prefix('v').unwrap_or(tag);
        let mut parts = text.split('.').map(|part| {
            let is_plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            is_plain.then(|| part.parse::<u64>().ok()).flatten()
        });
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(numbers)
    }

    /// How two versions relate that can stand for one another: the larger one has all that the smaller one has (semver.org:
    /// the same first number, and before 1.0 also the same second). None when they cannot.
    #[must_use]
    pub fn compare(&self, other: &Version) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        let (a, b) = (self.numbers()?, other.numbers()?);
        let is_kin = a[0] == b[0] && (a[0] > 0 || a[1] == b[1]);
        is_kin.then(|| a.cmp(&b))
    }
}

/// A dependency as a project asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dependency {
    /// The name that `use` knows it by.
    pub name: String,
    /// The repository: a URL or a path.
    pub git: String,
    /// Which state of it.
    pub version: Version,
    /// The folder in the repository that holds the project; empty for its root.
    pub path: String,
    /// Where it is asked for.
    pub span: Span,
}

/// Reads the dependencies of another project's `ordain.toml`; what is wrong there is left out.
#[must_use]
pub fn dependencies(manifest: &str) -> Vec<Dependency> {
    let Ok(table) = DeTable::parse(manifest) else {
        return Vec::new();
    };
    let Some(value) = table.get_ref().get("dependencies") else {
        return Vec::new();
    };
    read(value, &|_| Span::new(FileId(0), 0, 0), &mut Vec::new())
}

/// Reads `[dependencies]`; what is wrong is reported and left out.
pub(crate) fn read(
    value: &Spanned<DeValue<'_>>,
    span: &dyn Fn(std::ops::Range<usize>) -> Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Dependency> {
    let mut wrong = |message: String, at: std::ops::Range<usize>, help: String| {
        diagnostics.push(
            Diagnostic::error("E0814", message)
                .label(span(at), "here")
                .help(help),
        );
    };
    const FORM: &str = "write `name = { git = \"URL\", tag = \"v1.0.0\" }`";
    let Some(table) = value.get_ref().as_table() else {
        wrong(
            "`dependencies` is a table".into(),
            value.span(),
            FORM.into(),
        );
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in table {
        let (key, name) = (name.span(), name.get_ref().to_string());
        if !is_project_name(&name) || TAKEN.contains(&&*name) {
            let help =
                "use small letters, digits and `-`, beginning with a letter; not `std` or `k8s`";
            wrong(
                format!("`{name}` cannot be a dependency's name"),
                key,
                help.into(),
            );
            continue;
        }
        let Some(fields) = value.get_ref().as_table() else {
            wrong(
                format!("`{name}` does not say where it is"),
                value.span(),
                FORM.into(),
            );
            continue;
        };
        let mut is_good = true;
        for (field, said) in fields {
            let known = field.get_ref().as_ref();
            if !KEYS.contains(&known) {
                let help = match nearest(known, KEYS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "known are `git`, `tag`, `commit` and `path`".into(),
                };
                wrong(format!("a dependency has no `{known}`"), field.span(), help);
                is_good = false;
            } else if said.get_ref().as_str().is_none_or(str::is_empty) {
                wrong(format!("`{known}` is a text"), said.span(), FORM.into());
                is_good = false;
            }
        }
        let text = |field: &str| Some(fields.get(field)?.get_ref().as_str()?.to_owned());
        let path = text("path").unwrap_or_default();
        if path.split('/').any(|part| part == "..") || path.starts_with('/') || path.contains('\\')
        {
            let help = "write the folder's path in the repository, with `/`";
            wrong(
                format!("`{path}` leads out of the repository"),
                value.span(),
                help.into(),
            );
            is_good = false;
        }
        let version = match (text("tag"), text("commit")) {
            (Some(tag), None) if is_tag(&tag) => Version::Tag(tag),
            (None, Some(commit)) if is_commit(&commit) => Version::Commit(commit),
            _ if !is_good => continue,
            (None, Some(_)) => {
                let help = "write all 40 digits, as `git rev-parse` prints them";
                wrong(
                    format!("the commit of `{name}` is not whole"),
                    value.span(),
                    help.into(),
                );
                continue;
            }
            (Some(_), None) => {
                wrong(
                    format!("the tag of `{name}` is no name"),
                    value.span(),
                    FORM.into(),
                );
                continue;
            }
            _ => {
                let message = format!("`{name}` needs either a `tag` or a `commit`");
                wrong(message, value.span(), FORM.into());
                continue;
            }
        };
        match text("git") {
            Some(git) if is_good && !git.starts_with('-') => found.push(Dependency {
                name,
                git,
                version,
                path: path.trim_matches('/').to_owned(),
                span: span(key),
            }),
            _ if !is_good => {}
            _ => wrong(
                format!("`{name}` does not say where it is"),
                value.span(),
                FORM.into(),
            ),
        }
    }
    found
}

/// A name that git takes for a tag and for nothing else (`git-check-ref-format`, the parts that matter here).
fn is_tag(tag: &str) -> bool {
    !tag.starts_with(['-', '/', '.'])
        && !tag.contains("..")
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-+/".contains(&b))
}

pub(super) fn is_commit(commit: &str) -> bool {
    commit.len() == 40
        && commit
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_kind_are_compared() {
        let check = |a: &str, b: &str, wanted: Option<Ordering>| {
            let tag = |text: &str| Version::Tag(text.into());
            assert_eq!(tag(a).compare(&tag(b)), wanted, "{a} {b}");
        };
        check("v1.2.3", "v1.10.0", Some(Ordering::Less));
        check("1.2.3", "v1.2.3", Some(Ordering::Equal));
        check("v2.0.0", "v1.9.9", None);
        check("v0.1.2", "v0.1.1", Some(Ordering::Greater));
        check("v0.1.2", "v0.2.0", None);
        check("stable", "stable", Some(Ordering::Equal));
        check("stable", "v1.0.0", None);
        check("v1.0", "v1.0.0", None);
        check("v1.0.0-rc1", "v1.0.0", None);
    }
}
