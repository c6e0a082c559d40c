//! The grammar of names, label keys and label values. It does not know which field obeys which.
//!
//! Wording: k8s.io/apimachinery/pkg/util/validation. Each function returns what is wrong, in
//! upstream's words; an empty list means that the text is well formed.

/// 63 bytes, RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;
/// 253 bytes, what RFC 1035 leaves of a name in text form.
const SUBDOMAIN_BYTES_MAX: usize = 253;

const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const QUALIFIED_HINT: &str = "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS1035_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Returns what keeps a text from being a qualified name such as `example.com/tier`, the grammar
/// of label and annotation keys.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                let prefixed = dns1123_subdomain(prefix).into_iter();
                errors.extend(prefixed.map(|error| format!("prefix part {error}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a qualified name {QUALIFIED} {QUALIFIED_HINT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_BYTES_MAX {
        errors.push(format!("name part {}", too_long(LABEL_BYTES_MAX)));
    }
    if !is_qualified(name) {
        errors.push(format!("name part {QUALIFIED} {QUALIFIED_HINT}"));
    }
    errors
}

/// Returns what keeps a text from being the value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_BYTES_MAX {
        errors.push(too_long(LABEL_BYTES_MAX));
    }
    if !text.is_empty() && !is_qualified(text) {
        errors.push(LABEL_VALUE.to_owned());
    }
    errors
}

/// Returns what keeps a text from being a DNS label (RFC 1123), the grammar of namespaces.
pub fn dns1123_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_BYTES_MAX {
        errors.push(too_long(LABEL_BYTES_MAX));
    }
    if !is_dns_label(text) {
        let dots_only = text.split('.').all(is_dns_label);
        let error = if dots_only {
            "must not contain dots"
        } else {
            DNS1123_LABEL
        };
        errors.push(error.to_owned());
    }
    errors
}

/// Returns what keeps a text from being a DNS subdomain (RFC 1123), the grammar of most names.
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_BYTES_MAX {
        errors.push(too_long(SUBDOMAIN_BYTES_MAX));
    }
    if !text.split('.').all(is_dns_label) {
        errors.push(DNS1123_SUBDOMAIN.to_owned());
    }
    errors
}

/// Returns what keeps a text from being a DNS label (RFC 1035), the grammar of Service names.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_BYTES_MAX {
        errors.push(too_long(LABEL_BYTES_MAX));
    }
    if !is_dns_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        errors.push(DNS1035_LABEL.to_owned());
    }
    errors
}

/// Returns what keeps a text from being one segment of a URL, the grammar of RBAC names.
pub fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ["/", "%"]
            .into_iter()
            .filter(|illegal| text.contains(illegal))
            .map(|illegal| format!("may not contain '{illegal}'"))
            .collect(),
    }
}

/// Returns what keeps a text from being the name of a port (RFC 6335, lower case only).
pub fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push(too_long(15));
    }
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if text.is_empty() || !text.bytes().all(legal) {
        let error = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        errors.push(error.to_owned());
    }
    if !text.bytes().any(|c| c.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

fn too_long(characters_max: usize) -> String {
    format!("must be no more than {characters_max} characters")
}

fn is_qualified(text: &str) -> bool {
    bounded(
        text,
        |c| c.is_ascii_alphanumeric(),
        |c| matches!(c, b'-' | b'_' | b'.'),
    )
}

fn is_dns_label(text: &str) -> bool {
    bounded(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
        |c| c == b'-',
    )
}

/// Tells whether a text starts and ends with an `edge` byte and has only `edge` and `inner` ones.
fn bounded(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            edge(*first) && edge(*last) && bytes.iter().all(|c| edge(*c) || inner(*c))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_have_no_errors() {
        for name in ["a", "example.com/Tier", "app.kubernetes.io/name", "a_b.c-d"] {
            assert_eq!(qualified_name(name), Vec::<String>::new(), "{name}");
        }
        for value in ["", "1.2_3-x", "UP"] {
            assert_eq!(label_value(value), Vec::<String>::new(), "{value}");
        }
        assert!(dns1123_subdomain("a.b-c.d1").is_empty());
        assert!(dns1035_label("web-1").is_empty());
        assert!(port_name("http-2").is_empty());
        assert!(path_segment("system:node").is_empty());
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert!(dns1123_label("A")[0].starts_with("a lowercase RFC 1123 label must consist of"));
        assert_eq!(dns1035_label("1a").len(), 1);
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("").len(), 2);
        assert!(qualified_name("a/b/c")[0].ends_with("(e.g. 'example.com/MyName')"));
        assert_eq!(
            label_value(&"x".repeat(64)),
            ["must be no more than 63 characters"]
        );
        assert_eq!(path_segment("a/b"), ["may not contain '/'"]);
    }
}
