//! What goes wrong: when an expression is read, and when it is evaluated.

use std::fmt;

/// Why a text is no expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompileError {
    /// What is wrong, in small letters.
    pub message: String,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

impl CompileError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> CompileError {
        CompileError {
            message: message.into(),
            offset,
        }
    }

    /// A few characters of the text from the place of the mistake on.
    #[must_use]
    pub fn excerpt<'t>(&self, text: &'t str) -> &'t str {
        excerpt(text, self.offset)
    }
}

/// A few characters of an expression from a place on.
#[must_use]
pub fn excerpt(text: &str, offset: usize) -> &str {
    /// Enough to find the place.
    const LENGTH: usize = 24;
    let rest = text.get(offset..).unwrap_or("");
    let rest = rest.lines().next().unwrap_or("");
    let end = rest
        .char_indices()
        .nth(LENGTH)
        .map_or(rest.len(), |(at, _)| at);
    match rest[..end].trim() {
        "" => "the end of the line",
        found => found,
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CompileError {}

/// Why an expression has no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvalError {
    /// The budget is used up.
    Budget,
    /// An operation has no result: a key is missing, a number is too large.
    Failed(String),
}

impl EvalError {
    pub(crate) fn new(message: impl Into<String>) -> EvalError {
        EvalError::Failed(message.into())
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Budget => f.write_str("the budget is used up"),
            EvalError::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for EvalError {}
