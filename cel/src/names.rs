//! How field names that are no identifiers are written in expressions.

/// Words of the language, which cannot name a field as they stand.
const RESERVED: [&str; 22] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "__reserved__",
];

/// The identifier that stands for a field: `a-b` is `a__dash__b`
/// (k8s.io/apiserver/pkg/cel/escaping.go).
#[must_use]
pub fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['_', '.', '-', '/']) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 8);
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("__") {
            out.push_str("__underscores__");
            rest = after;
            continue;
        }
        match c {
            '.' => out.push_str("__dot__"),
            '-' => out.push_str("__dash__"),
            '/' => out.push_str("__slash__"),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Whether a word cannot be an identifier.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        for (name, wanted) in [
            ("plain", "plain"),
            ("snake_case", "snake_case"),
            ("a__b", "a__underscores__b"),
            ("x-y.z/w", "x__dash__y__dot__z__slash__w"),
            ("namespace", "__namespace__"),
        ] {
            assert_eq!(escape(name), wanted);
        }
    }
}
