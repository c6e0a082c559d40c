//! What upstream's documentation says about types and fields, by OpenAPI name.
//!
//! The prose is not committed: the build script takes it from k8s-openapi, whose schemas carry it.
//! It is a crate of its own because only `kubectl explain` and hovers want it, and every other
//! user of the table would wait for that build. It does not know the table.

use std::{collections::HashMap, sync::OnceLock};

/// One line per type (`name`, description), then one indented line per field; sorted. It stays
/// uncompressed: untouched pages of the binary cost no memory, an unpacked copy would.
const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/docs.tsv"));

/// The version of Kubernetes that the documentation was written for.
pub const VERSION: &str = "1.36";

/// Returns the description of a type, such as `io.k8s.api.core.v1.PodSpec`.
pub fn ty(name: &str) -> Option<String> {
    let block = index().get(name)?;
    let (line, _) = block.split_once('\n')?;
    line.split_once('\t')
        .map(|(_, text)| unescape(text))
        .filter(|text| !text.is_empty())
}

/// Returns the description of a field of a type, by the field's JSON name.
pub fn field(ty: &str, field: &str) -> Option<String> {
    let block = index().get(ty)?;
    let mut lines = block.lines().skip(1);
    lines.find_map(|line| {
        let (name, text) = line.strip_prefix('\t')?.split_once('\t')?;
        (name == field).then(|| unescape(text))
    })
}

/// Returns each type's lines by its name.
fn index() -> &'static HashMap<&'static str, &'static str> {
    static INDEX: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = HashMap::new();
        let mut rest = TEXT;
        while !rest.is_empty() {
            // A block ends before the next line without indent.
            let end = rest
                .match_indices('\n')
                .map(|(at, _)| at + 1)
                .find(|at| !rest[*at..].starts_with('\t'))
                .unwrap_or(rest.len());
            let (block, after) = rest.split_at(end);
            let name = block.split(['\t', '\n']).next().unwrap_or_default();
            index.insert(name, block);
            rest = after;
        }
        index
    })
}

/// Restores the line breaks that the build script escaped.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_have_their_prose() {
        assert!(ty("io.k8s.api.core.v1.Service").is_some_and(|text| text.contains("service")));
        let port = field("io.k8s.api.core.v1.ServicePort", "targetPort");
        assert!(port.is_some_and(|text| text.starts_with("Number or name of the port")));
        assert!(field("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "labels").is_some());
        assert_eq!(field("io.k8s.api.core.v1.ServicePort", "nothing"), None);
        assert_eq!(ty("io.k8s.api.core.v1.Nothing"), None);
    }
}
