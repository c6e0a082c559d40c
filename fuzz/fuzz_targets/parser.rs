//! Text: the parser ends, without a panic, and all places of its diagnostics lie in the source, at characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ordain_lang_syntax::{FileId, parse};

fuzz_target!(|source: &str| {
    let parsed = parse(FileId(0), source);
    for label in parsed.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        assert!(label.span.start <= label.span.end);
        assert!(source.get(label.span.range()).is_some(), "{label:?}");
    }
});
