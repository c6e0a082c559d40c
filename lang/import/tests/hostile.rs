//! Whatever the text is, an import ends, and does not fail.

use ordain_lang_import::import_text;
use proptest::prelude::*;

const SEED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {x: y}}\ndata:\n  a: |\n    b\n    c\n  <<: *l\n---\n- 1\n- {a: [b, c]}\n# end\n";

#[test]
fn aliases_that_double_are_refused() {
    let mut text = String::from("a0: &a0 [x, x]\n");
    for nth in 1..40 {
        let before = nth - 1;
        text.push_str(&format!("a{nth}: &a{nth} [*a{before}, *a{before}]\n"));
    }
    let imported = import_text(&text);
    assert!(imported.diagnostics.iter().any(|d| d.code == "E0954"));
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "a:\n ".repeat(5_000),
    ] {
        let imported = import_text(&text);
        assert!(!imported.diagnostics.is_empty());
    }
    // What YAML may nest, but a program may not, is told as well.
    let deep = format!(
        "apiVersion: a/v1\nkind: A\nmetadata: {{name: a}}\nspec: {}1{}\n",
        "[".repeat(150),
        "]".repeat(150)
    );
    let imported = import_text(&deep);
    assert!(!imported.summary.is_proven);
    assert!(!imported.diagnostics.is_empty());
}

/// A kind with a blank in it is told of like any other that the version does not have.
#[test]
fn kinds_with_blanks_are_imported() {
    for (kind, name) in [
        ("C onfigMap", "a"),
        ("A b c", "d e/f"),
        ("Config/Map x", "x"),
    ] {
        let imported = import_text(&format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        ));
        assert!(
            imported.summary.is_proven,
            "{kind}: {:?}",
            imported.diagnostics
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_imported(text in "[ -~\\n\t]{0,200}") {
        import_text(&text);
    }

    #[test]
    fn damaged_documents_are_imported(at in 0..SEED.len(), length in 0_usize..20, with in "[\\-:{}\\[\\]&*!|>'\"%@`#, \\n\tа]{0,6}") {
        let end = (at + length).min(SEED.len());
        let text = format!("{}{with}{}", &SEED[..at], &SEED[end..]);
        let imported = import_text(&text);
        for file in &imported.files {
            prop_assert!(imported.summary.objects == 0 || imported.summary.is_proven, "{}\n{}", text, file.text);
        }
    }

    /// Every string comes back from an object of any kind.
    #[test]
    fn any_string_comes_back(text in any::<String>(), key in any::<String>()) {
        let object = serde_json::json!({ "apiVersion": "a/v1", "kind": "A", "metadata": { "name": "a" }, "x": { key: [text] } });
        let imported = import_text(&object.to_string());
        prop_assert!(imported.summary.is_proven, "{:?}", imported.diagnostics);
    }
}
