//! The formatter: one way to write every `.ord` file.
//!
//! It decides indentation, spaces, blank lines and commas. Line breaks stay where the writer put them;
//! a line that is too wide is broken at its brackets, and lines are never joined. It works on the
//! lossless tree, keeps every comment, and is idempotent. It never changes what a program means, and
//! refuses one that it cannot read.

mod flat;
mod indent;
mod print;
mod space;
mod wrap;

use ordain_lang_syntax::{Diagnostic, FileId, parse};

/// Formats a source.
///
/// # Errors
/// When the source has syntax errors: those are returned, in the order of the source.
pub fn format(source: &str) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(FileId(0), source);
    if !parsed.diagnostics.is_empty() {
        return Err(parsed.diagnostics);
    }
    let tree = parsed.tree();
    let mut pieces = flat::flatten(&tree, source.as_bytes());
    wrap::wrap(&mut pieces);
    Ok(print::print(&pieces))
}
