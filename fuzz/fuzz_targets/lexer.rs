//! Any bytes: every byte belongs to exactly one token, and the tree gives the bytes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ordain_lang_syntax::{FileId, parse};

fuzz_target!(|source: &[u8]| {
    let parsed = parse(FileId(0), source);
    let mut text = Vec::new();
    parsed.tree().root().write_text(source, &mut text);
    assert_eq!(text, source);
});
