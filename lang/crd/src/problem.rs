//! What is wrong with a CRD file, with places in it: the caller makes a diagnostic of it.

/// A range of bytes in the text of a CRD file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Place {
    /// The empty place at an offset.
    pub(crate) fn at(offset: usize) -> Place {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Place {
            start: offset,
            end: offset,
        }
    }

    /// As a range, for slicing the text.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A mistake in a CRD file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The stable code; it has a page.
    pub code: &'static str,
    /// Whether it only warns.
    pub is_warning: bool,
    /// One sentence in small letters, without a full stop.
    pub message: String,
    /// The place of the mistake, then others that explain it, each with what is there.
    pub labels: Vec<(Place, String)>,
    /// What to do, when there is something particular.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn error(
        code: &'static str,
        message: impl Into<String>,
        place: Place,
        label: impl Into<String>,
    ) -> Problem {
        Problem {
            code,
            is_warning: false,
            message: message.into(),
            labels: vec![(place, label.into())],
            help: None,
        }
    }

    pub(crate) fn warning(
        code: &'static str,
        message: impl Into<String>,
        place: Place,
        label: impl Into<String>,
    ) -> Problem {
        Problem {
            is_warning: true,
            ..Problem::error(code, message, place, label)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn label(mut self, place: Place, text: impl Into<String>) -> Problem {
        self.labels.push((place, text.into()));
        self
    }
}
