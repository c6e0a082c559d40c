//! Text as CustomResourceDefinitions: reading them ends, without a panic, and so does checking an object against them,
//! CEL rules included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|source: &str| {
    let (definitions, _) = ordain_lang_crd::parse(source);
    for definition in &definitions {
        for version in &definition.versions {
            let object = json!({
                "apiVersion": definition.api_version(version),
                "kind": "Any",
                "metadata": { "name": "a", "labels": { "a": "b" } },
                "spec": { "a": 1, "b": ["x", { "c": null }], "name": "" },
            });
            let _ = ordain_lang_crd::check_object(version, &object);
        }
    }
});
