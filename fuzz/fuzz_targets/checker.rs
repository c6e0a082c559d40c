//! Text as a project of one file: checking it ends, without a panic; when it is right, so does building and testing it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ordain_lang_project::{BuildOptions, Format, Project, build_text, check};

fuzz_target!(|source: &str| {
    let project = Project::single("main.ord", source);
    let diagnostics = check(&project);
    if diagnostics.iter().all(|diagnostic| !diagnostic.is_error()) {
        let built = build_text(&project, &BuildOptions::default(), Format::Yaml);
        let _ = built.joined(Format::Yaml);
    }
});
