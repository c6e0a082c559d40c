//! One plain record for everything that the language has to say about a source.
//!
//! How it is shown (terminal, JSON, SARIF) is the caller's business.

use serde::Serialize;

use crate::Span;

/// How bad it is. Only errors stop a build.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is emitted.
    Error,
    /// Worth a change; the build goes on.
    Warning,
    /// A hint.
    Advice,
}

/// A labelled place. The first label of a diagnostic is the place of the mistake itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there; may be empty for the main place.
    pub text: String,
}

/// One mistake, with every place and sentence that helps to mend it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// Stable code, such as `E0203`; `ordain explain CODE` shows its page.
    pub code: &'static str,
    /// Error, warning or advice.
    pub severity: Severity,
    /// One sentence in small letters, without a full stop.
    pub message: String,
    /// Places: the mistake first, then the rule it broke, also in other files.
    pub labels: Vec<Label>,
    /// What to do, when there is something particular.
    pub help: Option<String>,
    /// More facts.
    pub notes: Vec<String>,
    /// The Kubernetes object that is affected, as `Deployment shop/web`.
    pub object: Option<String>,
    /// The environment in which it happens, when it does not happen in all.
    pub env: Option<String>,
}

impl Diagnostic {
    /// Makes an error with a code and a message; places are added with [`label`](Self::label).
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
            object: None,
            env: None,
        }
    }

    /// Makes a warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// Adds a place. The first one added is the main place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Names the affected Kubernetes object.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Names the environment.
    #[must_use]
    pub fn env(mut self, env: impl Into<String>) -> Self {
        self.env = Some(env.into());
        self
    }

    /// Returns the main place, if there is any.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// Returns whether this stops a build.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
