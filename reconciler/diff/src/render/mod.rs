//! A [`Diff`](crate::Diff) as text, Markdown and SARIF; its JSON is the value itself.

mod escape;
mod markdown;
mod sarif;
mod text;
mod value;

pub use markdown::{MarkdownOptions, markdown};
pub use sarif::sarif;
pub use text::{TextOptions, text};
