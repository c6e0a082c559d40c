//! Files as URIs and back: `file:` with percent signs, drive letters, and nothing else.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use lsp_types::Uri;

/// The scheme of documents that the server itself provides: the standard library, the pages of codes.
pub(crate) const VIRTUAL: &str = "ordain-std";

/// Returns the file that a URI names; none for other schemes (`untitled:`).
pub(crate) fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // A host (`file://server/share`) is no file of this machine; `localhost` is.
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    if !rest.starts_with('/') {
        return None;
    }
    let text = decode(rest)?;
    let bytes = text.as_bytes();
    let is_drive = bytes.len() >= 3 && bytes[1].is_ascii_alphabetic() && bytes[2] == b':';
    Some(PathBuf::from(if is_drive { &text[1..] } else { &text }))
}

/// Returns the URI of a file.
pub(crate) fn of(path: &Path) -> Uri {
    let text = path.to_string_lossy().replace('\\', "/");
    let slash = if text.starts_with('/') { "" } else { "/" };
    parse(&format!("file://{slash}{}", encode(&text)))
}

/// Returns a document that the server provides, such as `std/web.ord`.
pub(crate) fn provided(path: &str) -> Uri {
    parse(&format!("{VIRTUAL}:///{}", encode(path)))
}

fn parse(text: &str) -> Uri {
    Uri::from_str(text)
        .unwrap_or_else(|_| Uri::from_str("file:///").expect("a constant URI is valid"))
}

/// RFC 3986: unreserved characters, and `/`, stand for themselves.
fn encode(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let hex = text.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// Returns one spelling of a URI, so that `%3A` and `:` are one document.
pub(crate) fn same(uri: &Uri) -> String {
    match path(uri.as_str()) {
        Some(path) => of(&path).as_str().to_owned(),
        None => uri.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_way_there_and_back() {
        for text in ["/srv/a b/ß#1.ord", "/x/%20.ord", "/plain.ord"] {
            let uri = of(Path::new(text));
            assert_eq!(path(uri.as_str()), Some(PathBuf::from(text)), "{uri:?}");
        }
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(path("file://server/share/x"), None);
        assert_eq!(path("file:///c%3A/x.ord"), Some(PathBuf::from("c:/x.ord")));
        assert_eq!(path("file:///%zz"), None);
    }
}
