//! What was typed cannot be meant: such failures end with exit code 2, and are told apart from those of the world.

use miette::{Diagnostic, Report};
use std::fmt::Display;

/// A failure whose remedy is another command line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Usage {
    message: String,
    help: Option<String>,
}

impl Diagnostic for Usage {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }
}

/// Makes the report of a command line that cannot be meant, with what to type instead.
pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Report {
    let help = help.into();
    Report::new(Usage {
        message: message.into(),
        help: Some(help).filter(|h| !h.is_empty()),
    })
}

/// Returns whether a failure is one of the command line.
pub(crate) fn is_usage(report: &Report) -> bool {
    report.downcast_ref::<Usage>().is_some()
        || report
            .downcast_ref::<crate::disk::DiskError>()
            .is_some_and(crate::disk::DiskError::is_usage)
}

/// Returns `a`, `a and b`, or `a, b and c`.
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// Returns the help that names what is nearest to a word, or else all there is.
pub(crate) fn did_you_mean(word: &str, known: &[&str], what: &str) -> String {
    match ordain_lang_project::nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None if known.len() > LISTED_MAX => {
            format!("{what} are {}, …", known[..LISTED_MAX].join(", "))
        }
        None => format!("{what} are {}", list(known)),
    }
}

/// Names that a help lists; more would hide its sentence.
const LISTED_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_command_line_are_usage() {
        assert!(is_usage(&usage("no such thing", "")));
        assert!(!is_usage(&miette::miette!("the disk is full")));
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(
            did_you_mean("prdo", &["dev", "prod"], "environments"),
            "did you mean `prod`?"
        );
        assert_eq!(
            did_you_mean("x", &["dev", "prod"], "environments"),
            "environments are dev and prod"
        );
    }
}
