//! Everywhere a name is used, and renaming it there.

use ordain_lang_syntax::Span;
use ordain_lang_types::index::Use;

use super::Edit;
use super::definition::renamable;
use crate::view::{Key, View};

/// Returns every place where what stands at a place is named, in order. Asked of a view of the whole project it
/// finds all files and environments; the standard library is left out unless the name is defined there.
pub(crate) fn references(view: &View<'_>, offset: u32, with_definition: bool) -> Option<Vec<Use>> {
    let found = view.use_at(offset)?;
    let key = view.key(found.def);
    if key == Key::Named(String::new()) {
        return None;
    }
    let uses = view.index().uses().iter();
    let same = uses.filter(|other| view.key(other.def) == key);
    let wanted = same.filter(|other| with_definition || !other.is_definition);
    Some(wanted.copied().collect())
}

/// The same in the asked file alone, for highlighting.
pub(crate) fn highlights(view: &View<'_>, offset: u32) -> Vec<Use> {
    let Some(found) = view.use_at(offset) else {
        return Vec::new();
    };
    let key = view.key(found.def);
    let uses = view.index().uses_in(view.file).iter();
    uses.filter(|other| view.key(other.def) == key)
        .copied()
        .collect()
}

/// Why a name cannot be changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum RenameError {
    /// There is no name at the place.
    #[error("there is no name here")]
    NoName,
    /// The name is not the project's to change.
    #[error("{0}")]
    Given(String),
    /// The new name is none.
    #[error("`{0}` is no name: use letters, digits and `_`, beginning with a letter")]
    Invalid(String),
    /// Types begin with a capital letter, everything else does not.
    #[error("{0}")]
    Case(&'static str),
    /// The project would have mistakes that it has not now.
    #[error("this would break the project: {0}")]
    Breaks(String),
}

/// Returns the name at a place that can be changed, and what it says.
///
/// # Errors
/// When there is none, or it is not the project's to change.
pub(crate) fn prepare(view: &View<'_>, offset: u32) -> Result<(Span, String), RenameError> {
    if let Some(module) = super::moves::named(view, offset) {
        return module.map(|named| (named.span, named.name));
    }
    let found = view.use_at(offset).ok_or(RenameError::NoName)?;
    renamable(view, found.def).map_err(RenameError::Given)?;
    let text = view.slice(found.span);
    Ok((inner(found.span, text), text.trim_matches('"').to_owned()))
}

/// The name inside its quotes.
fn inner(span: Span, text: &str) -> Span {
    let is_quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    match is_quoted {
        true => Span {
            start: span.start + 1,
            end: span.end - 1,
            ..span
        },
        false => span,
    }
}

/// Returns the edits that change a name everywhere. Asked of a view of the whole project.
///
/// # Errors
/// When the name is not the project's to change, or the new one is none.
pub(crate) fn rename(view: &View<'_>, offset: u32, new: &str) -> Result<Vec<Edit>, RenameError> {
    let (place, old) = prepare(view, offset)?;
    if !is_name(new) {
        return Err(RenameError::Invalid(new.to_owned()));
    }
    let is_type = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let found = view.use_at(offset).ok_or(RenameError::NoName)?;
    let names_type = matches!(found.def, ordain_lang_types::index::Def::Type(_));
    if names_type && !is_type(new) {
        return Err(RenameError::Case(
            "the name of a type begins with a capital letter",
        ));
    }
    if !names_type && is_type(new) && !is_type(&old) {
        return Err(RenameError::Case(
            "only the names of types begin with a capital letter",
        ));
    }
    let _ = place;
    let uses = references(view, offset, true).ok_or(RenameError::NoName)?;
    let edits = uses.into_iter().filter_map(|found| {
        let text = view.slice(found.span);
        let inside = inner(found.span, text);
        // What is written otherwise (`as` another name) keeps its name.
        (view.slice(inside) == old).then(|| Edit::new(inside, new))
    });
    Ok(edits.collect())
}

/// Whether a text is one name.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next();
    first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 128
}
