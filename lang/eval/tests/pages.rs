//! The pages of the codes of evaluation: what fails there fails with the code, what is right builds.

mod common;

use common::{Program, environments};

/// Codes whose pages are run here; the checker and the parser run theirs.
const OURS: [&str; 19] = [
    "E0216", "E0230", "E0231", "E0232", "E0233", "E0240", "E0501", "E0502", "E0503", "E0504",
    "E0505", "E0510", "E0513", "E0514", "E0521", "E0522", "E0523", "W0511", "W0512",
];

fn found(source: &str) -> String {
    let program = Program::new(&[("page.ord", source)]);
    let mut text = program.checked();
    if text.is_empty() {
        for env in environments(&program) {
            text.push_str(&program.build(env).1);
        }
        text.push_str(&program.tests());
    }
    text
}

#[test]
fn pages_tell_the_truth() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/diagnostics");
    for code in OURS {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md")))
            .expect("a page for each code");
        assert!(
            page.starts_with(&format!("# {code}: ")),
            "{code} is headed by its code"
        );
        for block in page.split("```ord").skip(1) {
            let source = block.split("```").next().unwrap_or_default();
            if let Some(source) = source.strip_prefix(" fails\n") {
                let text = found(source);
                assert!(
                    text.trim_start_matches("warning ")
                        .starts_with(&format!("{code}:")),
                    "{code} fails otherwise:\n{text}"
                );
                assert_eq!(
                    text.matches("\nE0").count(),
                    0,
                    "{code} fails in one way:\n{text}"
                );
            } else {
                assert_eq!(found(source), "", "{code} shows the right way");
            }
        }
    }
}
