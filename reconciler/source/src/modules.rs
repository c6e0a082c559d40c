//! Submodules: which there are, where they come from, and their commits fetched beside the mirror.
//!
//! `.gitmodules` is written by whoever can push, so nothing of it is trusted: an address may only name a
//! repository as remote as the one that names it, and no program is run for it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Access, CommitId, Error, Remote, Repository, Revision, remote::Transport,
    revision::fetch_revision_as,
};

/// Submodules within submodules; more is a loop or a mistake.
pub(crate) const DEPTH_MAX: usize = 4;

/// Submodules in one commit, with those of its submodules: each is a fetch.
pub(crate) const COUNT_MAX: usize = 64;

/// Where submodules are kept, and how they are fetched.
#[derive(Debug)]
pub(crate) struct Modules {
    folder: PathBuf,
    /// Where the repository itself comes from: relative addresses start there.
    url: String,
    access: Access,
}

impl Modules {
    /// Those of the copy of a remote at `path`.
    pub(crate) fn beside(path: &Path, remote: &Remote) -> Self {
        Self {
            folder: path.with_extension("modules"),
            url: remote.url.clone(),
            access: remote.access.clone(),
        }
    }

    /// The commit of a submodule, with a repository that has it and brings in its own submodules.
    pub(crate) fn fetch(&self, address: &str, commit: &CommitId) -> Result<Repository, Error> {
        let url = resolve(&self.url, address)?;
        let folder = self.folder.join(folder_name(&url));
        if let Ok(known) = Repository::open(&folder)
            && known.commit(commit).is_ok()
        {
            return Ok(self.nested(known, url));
        }
        let revision = Revision::Commit(commit.as_str());
        let (repository, _) = fetch_revision_as(&folder, &url, revision, &self.access)?;
        Ok(self.nested(repository, url))
    }

    fn nested(&self, repository: Repository, url: String) -> Repository {
        repository.with_modules(Self {
            folder: self.folder.clone(),
            url,
            access: self.access.clone(),
        })
    }
}

/// The addresses in a `.gitmodules` by the folder of their submodule (gitmodules(5)).
pub(crate) fn addresses(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut path, mut url) = (None, None);
    // An empty section at the end lets the last one be taken as well.
    for line in text.lines().chain(["[end]"]) {
        let line = line.trim();
        if line.starts_with('[') {
            if let (Some(path), Some(url)) = (path.take(), url.take()) {
                found.insert(path, url);
            }
            (path, url) = (None, None);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => path = Some(value),
            "url" => url = Some(value),
            _ => {}
        }
    }
    found
}

/// The address of a submodule, seen from the repository that names it.
fn resolve(parent: &str, address: &str) -> Result<String, Error> {
    let refuse = |reason: String| Err(Error::ModuleAddress { reason });
    if address.is_empty() || address.starts_with('-') || address.contains("::") {
        return refuse(format!("`{address}` is no address of a repository"));
    }
    let url = if address.starts_with("./") || address.starts_with("../") {
        match join(parent, address) {
            Some(url) => url,
            None => return refuse(format!("`{address}` leads out of `{parent}`")),
        }
    } else {
        address.to_owned()
    };
    let local = |url: &str| Transport::of(url) == Transport::Library;
    if local(&url) && !local(parent) {
        return refuse(format!(
            "`{address}` is on this machine, and `{parent}` is not"
        ));
    }
    Ok(url)
}

/// A relative address as git joins it: each `../` takes one part off the parent's.
fn join(parent: &str, address: &str) -> Option<String> {
    let mut base = parent.trim_end_matches('/').to_owned();
    let mut rest = address;
    // Only git's short form of ssh has a path right after a colon.
    let separators: &[char] = if base.contains("://") {
        &['/']
    } else {
        &['/', ':']
    };
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            let at = base.rfind(separators)?;
            // What is left of `scheme://host` is no repository.
            if base[..at].ends_with('/') || at == 0 {
                return None;
            }
            base.truncate(if base.as_bytes()[at] == b':' {
                at + 1
            } else {
                at
            });
            rest = after;
        } else {
            break;
        }
    }
    let between = if base.ends_with(':') { "" } else { "/" };
    Some(format!("{base}{between}{rest}"))
}

/// A name for the copy of an address: readable, and another one for each address.
fn folder_name(url: &str) -> String {
    let digest = git2::Oid::hash_object(git2::ObjectType::Blob, url.as_bytes())
        .map(|oid| oid.to_string())
        .unwrap_or_default();
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next();
    let readable: String = last
        .unwrap_or_default()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(40)
        .collect();
    format!("{readable}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_like_git_does() {
        let text = "[submodule \"a\"]\n\tpath = lib/a\n\turl = ../a.git\n[submodule \"b\"]\n url=https://x/b\n path = b\n[other]\n url = c\n";
        let wanted = [("b", "https://x/b"), ("lib/a", "../a.git")];
        let found = addresses(text);
        assert!(
            found
                .iter()
                .map(|(a, b)| (a.as_str(), b.as_str()))
                .eq(wanted)
        );
    }

    #[test]
    fn relative_addresses_start_at_the_parent() {
        let check = |parent: &str, address: &str, wanted: Option<&str>| {
            assert_eq!(
                resolve(parent, address).ok().as_deref(),
                wanted,
                "{parent} {address}"
            );
        };
        check(
            "https://h/org/shop.git",
            "../lib.git",
            Some("https://h/org/lib.git"),
        );
        check(
            "https://h/org/shop.git",
            "../../o/lib",
            Some("https://h/o/lib"),
        );
        check("https://h/org/shop.git", "../../../lib", None);
        check(
            "git@h:org/shop.git",
            "../lib.git",
            Some("git@h:org/lib.git"),
        );
        check("git@h:shop.git", "../lib.git", Some("git@h:lib.git"));
        check("/srv/shop.git", "../lib.git", Some("/srv/lib.git"));
        check("/srv/shop.git", "/etc", Some("/etc"));
        check("https://h/shop.git", "/etc", None);
        check("https://h/shop.git", "file:///etc", None);
        check("https://h/shop.git", "ext::sh -c id", None);
        check("https://h/shop.git", "--upload-pack=id", None);
    }
}
