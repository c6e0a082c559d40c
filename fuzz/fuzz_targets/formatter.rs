//! Text that can be read: formatting it again changes nothing, and it means what it meant.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let Ok(once) = ordain_lang_fmt::format(source) else {
        return;
    };
    let twice = ordain_lang_fmt::format(&once);
    assert_eq!(twice.as_deref(), Ok(once.as_str()), "formatting is idempotent");
});
