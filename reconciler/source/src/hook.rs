//! What git tells a hook: reference updates on standard input, a quarantine in the environment.

use std::path::PathBuf;

use crate::{CommitId, Error};

/// Which hook is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStage {
    /// Before any reference moves; a refusal stops the whole push.
    PreReceive,
    /// After the references moved; nothing can be refused any more.
    PostReceive,
}

impl HookStage {
    /// The file name under `hooks/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::PostReceive => "post-receive",
        }
    }

    /// The stage of a hook's file name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::PreReceive, Self::PostReceive]
            .into_iter()
            .find(|stage| stage.name() == name)
    }
}

/// One reference which a push moves. `None` stands for git's all-zero id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Where it was; `None` when the push creates it.
    pub old: Option<CommitId>,
    /// Where it goes; `None` when the push deletes it.
    pub new: Option<CommitId>,
    /// The full name, `refs/heads/main`.
    pub reference: String,
}

impl RefUpdate {
    /// The branch's short name, or `None` for tags and other references.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }
}

/// Where git keeps the objects of a push until `pre-receive` agreed (githooks, "quarantine").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine(pub PathBuf);

/// Reads the standard input of `pre-receive` and `post-receive` (githooks(5)).
///
/// # Errors
/// On a line which is not `<old> <new> <reference>`.
pub fn parse_updates(input: &str) -> Result<Vec<RefUpdate>, Error> {
    let id = |text: &str| {
        let zero = !text.is_empty() && text.bytes().all(|byte| byte == b'0');
        if zero {
            Some(None)
        } else {
            text.parse::<CommitId>().ok().map(Some)
        }
    };
    let parse = |line: &str| {
        let (old, rest) = line.split_once(' ')?;
        let (new, reference) = rest.split_once(' ')?;
        Some(RefUpdate {
            old: id(old)?,
            new: id(new)?,
            reference: reference.trim().to_owned(),
        })
    };
    input
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            parse(line).ok_or_else(|| Error::HookLine {
                line: line.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_ids_stand_for_created_and_deleted_references() {
        let one = "1".repeat(40);
        let zero = "0".repeat(40);
        let updates = parse_updates(&format!(
            "{zero} {one} refs/heads/main\n{one} {zero} refs/tags/v1\n"
        ))
        .expect("two well-formed lines");
        assert_eq!(updates[0].old, None);
        assert_eq!(updates[0].branch(), Some("main"));
        assert_eq!(updates[1].new, None);
        assert_eq!(updates[1].branch(), None);
    }

    #[test]
    fn a_broken_line_is_an_error_not_a_panic() {
        for line in ["", "x", "x y z", "1 2"] {
            let result = parse_updates(line);
            assert_eq!(result.is_ok(), line.is_empty(), "{line:?}");
        }
    }
}
