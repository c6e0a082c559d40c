//! The pages of the codes that an import finds tell the truth.

mod support;

const CODES: [&str; 10] = [
    "E0950", "E0951", "E0953", "E0954", "E0955", "E0956", "W0951", "W0952", "W0953", "W0954",
];

#[test]
fn pages_tell_the_truth() {
    let mut examples = 0;
    for code in CODES {
        let page = ordain_lang_types::page(code).expect("every code has a page");
        for part in page.split("\n```yaml").skip(1) {
            let (head, rest) = part.split_once('\n').expect("a block has lines");
            let (text, _) = rest.split_once("\n```").expect("a block ends");
            let imported = support::one("page.yaml", &format!("{text}\n"));
            let told: Vec<&str> = imported.diagnostics.iter().map(|d| d.code).collect();
            let is_right = if head.trim() == "fails" {
                !told.is_empty() && told.iter().all(|other| *other == code)
            } else {
                told.is_empty()
            };
            let shown = support::shown(&imported.diagnostics, &imported.sources);
            assert!(is_right, "{code}: {shown}\n{text}");
            examples += 1;
        }
    }
    assert!(examples >= 14);
}
