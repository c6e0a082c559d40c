//! The law of sessions: what an open project says, after whatever edits, is what a run from scratch says.

use ordain_lang_project::{BuildOptions, Format, Project, Session, build, build_text, check};
use ordain_lang_syntax::Diagnostic;

/// Findings as texts, of which a difference is easily seen.
pub(crate) fn shown(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|one| format!("{one:?}")).collect()
}

/// Findings are the same, and what is told early is among them.
pub(crate) fn looks_the_same(session: &mut Session, project: &Project) {
    let early = session.glance();
    let found = session.check();
    for one in early.iter().flatten() {
        // What helps may stand in a module that is not looked at first.
        let is_it = |other: &Diagnostic| {
            (other.code, &other.message, &other.labels) == (one.code, &one.message, &one.labels)
        };
        assert!(found.iter().any(is_it), "{one:?}\n{found:#?}");
    }
    assert_eq!(shown(&found), shown(&check(project)));
}

/// Objects are the same, and what is found on the way to them.
pub(crate) fn builds_the_same(session: &mut Session, project: &Project) {
    let all = BuildOptions::default();
    let (new, old) = (session.build(&all), build(project, &all));
    assert_eq!(shown(&new.diagnostics), shown(&old.diagnostics));
    assert!(new.apps.iter().map(|app| &**app).eq(old.apps.iter()));
}

/// Texts are the same.
pub(crate) fn writes_the_same(session: &mut Session, project: &Project) {
    let all = BuildOptions::default();
    let new = session.build_text(&all, Format::Yaml);
    let old = build_text(project, &all, Format::Yaml);
    assert_eq!(shown(&new.diagnostics), shown(&old.diagnostics));
    assert!(new.apps.iter().map(|app| &**app).eq(old.apps.iter()));
}
