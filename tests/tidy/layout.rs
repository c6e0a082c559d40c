//! The order of functions in the program: `cli/layout.ld` names nothing that is gone.

use super::none;
use regex::Regex;
use std::fs;

/// A crate or a module that was renamed would fall out of the order without a word.
#[test]
fn the_layout_names_what_there_is() {
    let root = ordain_tests::root();
    let text = fs::read_to_string(root.join("cli/layout.ld")).expect("a text");
    let rust = super::sources(&["Cargo.toml"]);
    let folder = |name: &str| {
        let line = format!("name = \"{}\"", name.replace('_', "-"));
        let manifest = rust
            .iter()
            .find(|s| s.text.lines().any(|own| own == line))?;
        Some(root.join(manifest.path.trim_end_matches("Cargo.toml")))
    };
    let mut findings = Vec::new();

    let library = Regex::new(r"\*lib(ordain_[a-z_]+)-").expect("a pattern");
    // Legacy names are lengths and words: `_ZN` 19 `ordain_lang_project` 4 `crds`.
    let module = Regex::new(r"_ZN\d+(ordain[a-z_]*)((?:\d+[a-z_]+)*)\*").expect("a pattern");
    let word = Regex::new(r"\d+([a-z_]+)").expect("a pattern");
    let mut checked = 0;
    for found in library.captures_iter(&text) {
        checked += 1;
        if folder(&found[1]).is_none() {
            findings.push(format!("no crate is called `{}`", &found[1]));
        }
    }
    for found in module.captures_iter(&text) {
        checked += 1;
        let Some(folder) = folder(&found[1]) else {
            findings.push(format!("no crate is called `{}`", &found[1]));
            continue;
        };
        let path: Vec<&str> = word
            .captures_iter(&found[2])
            .map(|word| word.get(1).expect("the pattern has one group").as_str())
            .collect();
        let path = folder.join("src").join(path.join("/"));
        if !path.is_dir() && !path.with_extension("rs").is_file() {
            findings.push(format!("`{}`: there is no {}", &found[0], path.display()));
        }
    }
    assert!(checked > 15, "the patterns of this test find nothing");
    none("cli/layout.ld names what is gone:", &findings);
}
