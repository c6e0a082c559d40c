//! What only Linux can say about this machine.

/// Returns whether the effective user is root.
pub(super) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns the machine's name in the form of a Node name (RFC 1123: small letters, digits, `-` and `.`).
pub(super) fn node_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|n| n.into_string().ok())
        .unwrap_or_default();
    let name: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() {
        "node".to_owned()
    } else {
        name.to_owned()
    }
}
