//! The pages of the syntax's diagnostics: their first program raises the code, the others parse.

use std::path::Path;

use ordain_lang_syntax::{FileId, parse};

#[test]
fn the_programs_of_the_pages_do_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/diagnostics");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it is readable").path();
        let code = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !code.starts_with("E00") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the page is readable");
        assert!(text.starts_with(&format!("# {code}: ")), "{code}");
        for (nth, part) in text.split("```").enumerate() {
            if nth % 2 == 0 {
                continue;
            }
            let (kind, program) = part.split_once('\n').expect("a fence ends with its line");
            let codes: Vec<&str> = parse(FileId(0), program)
                .diagnostics
                .iter()
                .map(|found| found.code)
                .collect();
            match kind {
                "ord fails" => {
                    assert!(
                        !codes.is_empty() && codes.iter().all(|found| *found == code),
                        "{code}: {codes:?}"
                    );
                    seen += 1;
                }
                _ => assert!(codes.is_empty(), "{code}: {codes:?}\n{program}"),
            }
        }
    }
    assert_eq!(seen, 15);
}
