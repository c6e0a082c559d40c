//! Text as YAML to import: it ends, without a panic. That what it writes builds back is proven by the import itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let _ = ordain_lang_import::import_text(source);
});
