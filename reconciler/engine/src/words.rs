//! Pieces of sentences that are told in several places.

/// The first ten digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A text of at most so many characters; what is left out is marked.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// Some names, and how many more there are.
pub(crate) fn some_of(names: &[impl AsRef<str>], named_max: usize) -> String {
    let named: Vec<&str> = names.iter().take(named_max).map(AsRef::as_ref).collect();
    let text = named.join(", ");
    match names.len() - named.len() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        assert_eq!(short("0123456789abcdef"), "0123456789");
        assert_eq!(short("HEAD"), "HEAD");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(some_of(&["a", "b"], 2), "a, b");
        assert_eq!(some_of(&["a", "b", "c"], 1), "a and 2 more");
        assert_eq!(some_of(&[""; 0], 1), "");
    }
}
