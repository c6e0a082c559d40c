//! Trying a change on a project before it is proposed.

use std::collections::BTreeMap;

use crate::features::Edit;
use crate::features::moves::{Move, moved};
use crate::workspace::Open;

/// Returns the first mistake that a project has with some edits and files at other places, and had not before.
pub(crate) fn first_new_error(open: &mut Open, edits: &[Edit], moves: &[Move]) -> Option<String> {
    let changed = changed(open, edits);
    let project = open.session.project();
    let paths: BTreeMap<String, String> = project
        .modules
        .iter()
        .filter(|module| module.is_own)
        .filter_map(|module| {
            let path = project.sources.path(module.file);
            Some((path.to_owned(), moved(moves, path)?))
        })
        .collect();
    let before = project.errors_with(&BTreeMap::new(), &BTreeMap::new());
    let after = project.errors_with(&changed, &paths);
    if after.len() <= before.len() {
        return None;
    }
    let is_new = |one: &&ordain_lang_syntax::Diagnostic| {
        let mut before = before.iter();
        !before.any(|old| (old.code, &old.message) == (one.code, &one.message))
    };
    let first = after.iter().find(is_new).or(after.first())?;
    Some(first.message.clone())
}

/// The texts of the edited files, by path.
fn changed(open: &mut Open, edits: &[Edit]) -> BTreeMap<String, String> {
    let sources = &open.session.project().sources;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    // From the end, so that places before stay what they are.
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.file, edit.span.start)));
    for edit in edits {
        let path = sources.path(edit.span.file);
        let text = texts
            .entry(path.to_owned())
            .or_insert_with(|| sources.text(edit.span.file).to_owned());
        if text.get(edit.span.range()).is_some() {
            text.replace_range(edit.span.range(), &edit.text);
        }
    }
    texts
}
