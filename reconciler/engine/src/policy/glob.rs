//! Patterns of names and paths.

/// True when a text is what a pattern says: `?` is one character, `*` any number of them but no `/`, `**` any number
/// of any.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    // Whether the first characters of the text fit the first ones of the pattern, one pattern character at a time.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let star = pattern[at] == '*';
        let deep = star && pattern.get(at + 1) == Some(&'*');
        at += if deep { 2 } else { 1 };
        let mut next = vec![false; text.len() + 1];
        for end in 0..=text.len() {
            next[end] = if star {
                reached[end] || (end > 0 && next[end - 1] && (deep || text[end - 1] != '/'))
            } else {
                let wanted = pattern[at - 1];
                end > 0 && reached[end - 1] && (wanted == '?' || wanted == text[end - 1])
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        for (pattern, text, wanted) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("shop-*", "shop-web", true),
            ("*-web", "shop-web", true),
            ("s*p", "shop", true),
            ("?hop", "shop", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("apps/*/x.ord", "apps/a/x.ord", true),
            ("apps/*/x.ord", "apps/a/b/x.ord", false),
            ("apps/**", "apps/a/b/x.ord", true),
            ("**/x.ord", "apps/a/x.ord", true),
            (
                "https://git.example.com/a/**",
                "https://git.example.com/a/b.git",
                true,
            ),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
