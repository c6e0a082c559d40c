//! Deep programs end in a diagnostic, never in an overflowing stack.

mod common;

use common::Program;

/// Fields that each need the one before.
fn chain(length: usize) -> Program {
    let fields: Vec<String> = (1..=length)
        .map(|n| format!("f{n}: Int = f{} + 1", n - 1))
        .collect();
    let source = format!(
        "type T {{ f0: Int = 0, {} }}\nexport value = k8s.ConfigMap {{ metadata.name = \"a\", data.n = \"{{T {{}}.f{length}}}\" }}\n",
        fields.join(", ")
    )
    .replace("{T {}", "{made")
    .replace("export value", "let made = T {}\nexport value");
    Program::new(&[("deep.ord", &source)])
}

/// An amendment on an amendment on an amendment.
fn layers(count: usize) -> Program {
    let mut source = String::from("type T { n: Int = 0, m: Int = n }\nlet t0 = T {}\n");
    for n in 1..=count {
        source.push_str(&format!("let t{n} = t{} {{ n = {n} }}\n", n - 1));
    }
    source.push_str(&format!(
        "export value = k8s.ConfigMap {{ metadata.name = \"a\", data.n = \"{{t{count}.m}}\" }}\n"
    ));
    Program::new(&[("deep.ord", &source)])
}

#[test]
fn a_chain_within_the_limit_is_followed() {
    for program in [chain(400), layers(400)] {
        assert_eq!(program.checked(), "");
        let (objects, diagnostics) = program.build(None);
        assert_eq!(diagnostics, "");
        assert!(
            objects.contains("n: \"400\"") || objects.contains("\"n\": \"400\""),
            "{objects}"
        );
    }
}

#[test]
fn a_chain_beyond_the_limit_is_told() {
    for program in [chain(4000), layers(4000)] {
        let (objects, diagnostics) = program.build(None);
        assert_eq!(objects, "");
        assert!(diagnostics.starts_with("E0502:"), "{diagnostics}");
        assert_eq!(diagnostics.matches("E0502").count(), 1, "{diagnostics}");
    }
}
