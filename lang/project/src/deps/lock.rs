//! `ordain.lock`: which commit and which content each dependency is, also those of dependencies.
//!
//! TOML, one block per dependency, sorted by name, so that two branches that add different ones merge. A machine writes it; it is
//! committed beside `ordain.toml`.

use std::fmt::Write as _;

use serde::Deserialize;

use super::want::{Version, is_commit};
use crate::manifest::is_project_name;

/// The name of the file.
pub const LOCK: &str = "ordain.lock";

/// The form of the file; a later one may mean something else.
const VERSION: u32 = 1;

/// The content of `ordain.lock`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Sorted by name.
    pub entries: Vec<Locked>,
}

/// A dependency as it is pinned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locked {
    /// Its name, and that of its folder in `vendor/`.
    pub name: String,
    /// The repository.
    pub git: String,
    /// What was chosen.
    pub version: Version,
    /// The folder in the repository.
    pub path: String,
    /// The commit.
    pub commit: String,
    /// The content, as [`tree_hash`](super::tree_hash) says it.
    pub hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    #[serde(default)]
    dependency: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    git: String,
    tag: Option<String>,
    #[serde(default)]
    path: String,
    commit: String,
    hash: String,
}

impl Lock {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Why it is none, in a few words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: Raw = toml::from_str(text).map_err(|error| error.message().replace('\n', ", "))?;
        if raw.version != VERSION {
            return Err(format!("its version is {}, not {VERSION}", raw.version));
        }
        let mut entries: Vec<Locked> = Vec::new();
        for entry in raw.dependency {
            if !is_project_name(&entry.name) || !is_commit(&entry.commit) {
                return Err("an entry has a broken name or commit".to_owned());
            }
            if entries.iter().any(|known| known.name == entry.name) {
                return Err(format!("`{}` is there twice", entry.name));
            }
            entries.push(Locked {
                version: match entry.tag {
                    Some(tag) => Version::Tag(tag),
                    None => Version::Commit(entry.commit.clone()),
                },
                name: entry.name,
                git: entry.git,
                path: entry.path,
                commit: entry.commit,
                hash: entry.hash,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Lock { entries })
    }

    /// An entry by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Locked> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Writes the file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("# Written by `ordain vendor`; commit it.\nversion = {VERSION}\n");
        let mut entries: Vec<&Locked> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let _ = write!(
                out,
                "\n[[dependency]]\nname = {}\ngit = {}\n",
                quoted(&entry.name),
                quoted(&entry.git)
            );
            if let Version::Tag(tag) = &entry.version {
                let _ = writeln!(out, "tag = {}", quoted(tag));
            }
            if !entry.path.is_empty() {
                let _ = writeln!(out, "path = {}", quoted(&entry.path));
            }
            let _ = write!(
                out,
                "commit = {}\nhash = {}\n",
                quoted(&entry.commit),
                quoted(&entry.hash)
            );
        }
        out
    }
}

/// A TOML basic string; JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let entry = |name: &str, version| Locked {
            name: name.into(),
            git: "https://host/\"lib\".git".into(),
            version,
            path: "sub/folder".into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            hash: "sha256:00".into(),
        };
        let lock = Lock {
            entries: vec![
                entry("a", Version::Tag("v1.0.0".into())),
                entry(
                    "b",
                    Version::Commit("0123456789abcdef0123456789abcdef01234567".into()),
                ),
            ],
        };
        assert_eq!(Lock::parse(&lock.to_text()).as_ref(), Ok(&lock));
        assert_eq!(Lock::parse(&Lock::default().to_text()), Ok(Lock::default()));
        for bad in [
            "",
            "version = 2",
            "version = 1\n[[dependency]]\nname = \"../x\"",
            "version = 1\nx = 1",
        ] {
            assert!(Lock::parse(bad).is_err(), "{bad}");
        }
        let twice = format!(
            "{}{}",
            lock.to_text(),
            lock.to_text().split_once("1\n").expect("entries").1
        );
        assert!(Lock::parse(&twice).expect_err("twice").contains("twice"));
    }
}
