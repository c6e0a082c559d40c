//! The content hash of a vendored dependency.
//!
//! SHA-256 over one line per file, sorted by path in byte order: the SHA-256 of its content in hexadecimal, two spaces, its path
//! from the dependency's folder, a line feed. So `sha256sum` over the sorted files, piped into `sha256sum`, says the same.

use sha2::{Digest, Sha256};

/// Whether a file of a dependency is vendored: sources, CRDs, the manifest, and what must stay with them.
///
/// Hidden files and its own `vendor/` are left out; what it depends on is a dependency of the project itself.
#[must_use]
pub fn is_vendored(path: &str) -> bool {
    if path.contains(['\\', ':', '\0']) {
        return false;
    }
    let mut parts = path.split('/').peekable();
    if parts.peek() == Some(&super::VENDOR)
        || parts.any(|part| part.is_empty() || part.starts_with('.'))
    {
        return false;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let upper = name.to_ascii_uppercase();
    [".ord", ".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
        || path == crate::MANIFEST
        || ["LICENSE", "LICENCE", "NOTICE", "COPYING", "README"]
            .iter()
            .any(|word| upper.starts_with(word))
}

/// The hash of files, by path and content, in any order: `sha256:…`.
#[must_use]
pub fn tree_hash<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut lines: Vec<(&str, String)> = files
        .into_iter()
        .map(|(path, content)| (path, format!("{}  {path}\n", hex(&Sha256::digest(content)))))
        .collect();
    lines.sort();
    let mut all = Sha256::new();
    for (_, line) in &lines {
        all.update(line.as_bytes());
    }
    format!("sha256:{}", hex(&all.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_path_or_a_content_shows() {
        let base = tree_hash([("a.ord", &b"x"[..]), ("b/c.ord", b"")]);
        assert_eq!(
            base,
            tree_hash([("b/c.ord", &b""[..]), ("a.ord", b"x")]),
            "the order does not"
        );
        for other in [
            tree_hash([("a.ord", &b"y"[..]), ("b/c.ord", b"")]),
            tree_hash([("a.ord", &b"x"[..]), ("b/d.ord", b"")]),
            tree_hash([("a.ord", &b"x"[..])]),
            tree_hash([]),
        ] {
            assert_ne!(base, other);
        }
        // printf x | sha256sum and so on, by hand.
        assert_eq!(
            tree_hash([]),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn sources_are_vendored_and_hidden_files_are_not() {
        for path in [
            "a.ord",
            "b/c.ord",
            "ordain.toml",
            "crds/a.yaml",
            "LICENSE",
            "readme.md",
        ] {
            assert!(is_vendored(path), "{path}");
        }
        for path in [
            ".git/a.ord",
            "a/.b/c.ord",
            "vendor/x/a.ord",
            "logo.png",
            "sub/ordain.toml",
            "a//b.ord",
            ".a.ord",
        ] {
            assert!(!is_vendored(path), "{path}");
        }
    }
}
