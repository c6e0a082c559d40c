//! Each diagnostic code has its page and each page its code, so that `ordain explain` always has an answer.

use super::{none, sources};
use regex::Regex;
use std::collections::BTreeSet;

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let code = Regex::new(r#""([EW]0\d{3})""#).expect("a valid pattern");
    let mut used = BTreeSet::new();
    for source in sources(&[".rs"]) {
        let of_the_language = source.path.starts_with("lang/") && source.path.contains("/src/");
        if of_the_language && !source.path.contains("/tests") {
            used.extend(code.captures_iter(&source.text).map(|c| c[1].to_owned()));
        }
    }
    let pages: BTreeSet<String> = sources(&[".md"])
        .iter()
        .filter_map(|s| {
            s.path
                .strip_prefix("lang/types/diagnostics/")?
                .strip_suffix(".md")
                .map(str::to_owned)
        })
        .collect();
    let mut found: Vec<String> = used
        .difference(&pages)
        .map(|c| format!("{c} has no page"))
        .collect();
    found.extend(
        pages
            .difference(&used)
            .map(|c| format!("no code raises {c}")),
    );
    none(
        "lang/types/diagnostics/CODE.md and the codes in lang/ are pairs:",
        &found,
    );
}
