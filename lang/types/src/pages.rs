//! The rule pages: one per code, with a failing and a fixed program.
//!
//! The pages are data; the test `pages` runs them.

macro_rules! pages {
    ($($code:ident)*) => {
        /// Every code with its page, in order.
        const PAGES: &[(&str, &str)] = &[$((
            stringify!($code),
            include_str!(concat!("../diagnostics/", stringify!($code), ".md")),
        )),*];
    };
}

pages! {}

/// The page of a code, as Markdown.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    PAGES
        .iter()
        .find(|(c, _)| *c == code)
        .map(|(_, page)| *page)
}

/// All codes, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
