//! Checks of strings and literals in the form the checker has them, until both share one copy.

/// Rules of strings.
pub(crate) mod refine {
    use ordain_lang_types::ty::StringRule;
    use std::sync::Arc;

    pub(crate) enum StringFault {
        Pattern(Arc<str>),
        Length(usize),
    }

    pub(crate) fn matches(pattern: &Arc<str>, text: &str) -> bool {
        regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
    }

    pub(crate) fn check_string(rule: &StringRule, text: &str) -> Result<(), StringFault> {
        let len = text.chars().count();
        if len < rule.min_len as usize || rule.max_len.is_some_and(|max| len > max as usize) {
            return Err(StringFault::Length(len));
        }
        match &rule.pattern {
            Some(pattern) if !matches(pattern, text) => {
                Err(StringFault::Pattern(Arc::clone(pattern)))
            }
            _ => Ok(()),
        }
    }
}

/// Texts of quantities and durations.
pub(crate) mod literal {
    use crate::num::{duration::Duration, quantity::Quantity};

    pub(crate) fn check_quantity(text: &str) -> Result<(), String> {
        Quantity::parse(text)
            .map(drop)
            .ok_or_else(|| "expected a number and a unit".to_owned())
    }

    pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
        let parsed = Duration::parse(text).map(|duration| duration.0);
        parsed.ok_or_else(|| "expected a number and a unit of time".to_owned())
    }
}

/// Image references.
pub(crate) mod format {
    pub(crate) struct Image<'a> {
        pub(crate) registry: Option<&'a str>,
        pub(crate) repository: &'a str,
        pub(crate) tag: Option<&'a str>,
        pub(crate) digest: Option<&'a str>,
    }

    impl<'a> Image<'a> {
        pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
            let (rest, digest) = text
                .split_once('@')
                .map_or((text, None), |(rest, digest)| (rest, Some(digest)));
            let (registry, rest) = match rest.split_once('/') {
                Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                    (Some(host), rest)
                }
                _ => (None, rest),
            };
            let (repository, tag) = rest
                .rsplit_once(':')
                .map_or((rest, None), |(name, tag)| (name, Some(tag)));
            Ok(Self {
                registry,
                repository,
                tag,
                digest,
            })
        }
    }
}
