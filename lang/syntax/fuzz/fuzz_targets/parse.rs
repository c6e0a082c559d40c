//! Any bytes: the parser does not panic, keeps every byte, and its places lie in the source.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ordain_lang_syntax::{FileId, parse};

fuzz_target!(|source: &[u8]| {
    let parsed = parse(FileId(0), source);
    let mut text = Vec::new();
    parsed.tree().root().write_text(source, &mut text);
    assert_eq!(text, source);
    for label in parsed.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        assert!(label.span.start <= label.span.end && label.span.end as usize <= source.len());
    }
});
