//! One version of each dependency: the highest that is asked for, as long as all can live with it.

use std::collections::BTreeMap;

use super::want::{Dependency, Version};

/// A wish and whose it is.
#[derive(Clone, Debug)]
pub struct Request {
    /// The project's own name for itself, or the dependency that asks.
    pub by: String,
    /// What is asked for.
    pub wanted: Dependency,
}

/// Two wishes that nothing fulfils both.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "`{}` wants {} of `{}` ({}), `{}` wants {} ({})",
    first.by, first.wanted.version, first.wanted.name, first.wanted.git, second.by, second.wanted.version, second.wanted.git
)]
pub struct Conflict {
    /// The one that came first.
    pub first: Box<Request>,
    /// The other one.
    pub second: Box<Request>,
}

/// Chooses one version for each name: among tags like `v1.2.3` with the same first number the highest, otherwise all must ask for
/// the same.
///
/// # Errors
/// The first two wishes that exclude each other: other repositories, other folders, other versions.
pub fn choose(requests: &[Request]) -> Result<BTreeMap<String, Dependency>, Conflict> {
    let mut chosen: BTreeMap<String, &Request> = BTreeMap::new();
    for request in requests {
        let name = &request.wanted.name;
        let Some(first) = chosen.get(name) else {
            chosen.insert(name.clone(), request);
            continue;
        };
        let is_one =
            first.wanted.git == request.wanted.git && first.wanted.path == request.wanted.path;
        match first.wanted.version.compare(&request.wanted.version) {
            Some(order) if is_one => {
                if order.is_lt() {
                    chosen.insert(name.clone(), request);
                }
            }
            _ => {
                return Err(Conflict {
                    first: Box::new((*first).clone()),
                    second: Box::new(request.clone()),
                });
            }
        }
    }
    let chosen = chosen
        .into_iter()
        .map(|(name, request)| (name, request.wanted.clone()));
    Ok(chosen.collect())
}

/// Whether what is pinned fulfils a wish: the same, or a later version of the same kind.
pub(super) fn fulfils(pinned: &Version, wanted: &Version) -> bool {
    wanted
        .compare(pinned)
        .is_some_and(std::cmp::Ordering::is_le)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordain_lang_syntax::{FileId, Span};

    fn request(by: &str, name: &str, git: &str, tag: &str) -> Request {
        Request {
            by: by.into(),
            wanted: Dependency {
                name: name.into(),
                git: git.into(),
                version: Version::Tag(tag.into()),
                path: String::new(),
                span: Span::new(FileId(0), 0, 0),
            },
        }
    }

    #[test]
    fn the_highest_of_one_kind_is_chosen_and_others_exclude_each_other() {
        let check = |requests: &[Request]| match choose(requests) {
            Ok(chosen) => chosen
                .values()
                .map(|d| format!("{} {}", d.name, d.version))
                .collect::<Vec<_>>()
                .join(", "),
            Err(conflict) => conflict.to_string(),
        };
        let a = request("shop", "util", "u", "v1.0.0");
        assert_eq!(
            check(&[a.clone(), request("lib", "util", "u", "v1.2.0")]),
            "util tag v1.2.0"
        );
        assert_eq!(
            check(&[request("lib", "util", "u", "v1.2.0"), a.clone()]),
            "util tag v1.2.0"
        );
        assert_eq!(
            check(&[a.clone(), request("lib", "util", "u", "v2.0.0")]),
            "`shop` wants tag v1.0.0 of `util` (u), `lib` wants tag v2.0.0 (u)"
        );
        assert_eq!(
            check(&[a.clone(), request("lib", "util", "other", "v1.0.0")]),
            "`shop` wants tag v1.0.0 of `util` (u), `lib` wants tag v1.0.0 (other)"
        );
        assert_eq!(
            check(&[a, request("lib", "b", "x", "main")]),
            "b tag main, util tag v1.0.0"
        );
        assert_eq!(check(&[]), "");
    }
}
