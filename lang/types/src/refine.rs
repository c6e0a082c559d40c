//! Constants against rules: whether a known value keeps a type's refinements.
//!
//! The same checks serve the checker (constants) and the evaluator (values made at run time), so they never disagree.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;

use crate::format::check_format;
use crate::ty::StringRule;

/// Compiled patterns larger than this are refused (bytes), so that a pattern cannot eat the memory.
const PATTERN_LIMIT: usize = 1 << 20;

/// Which part of a rule a string broke.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StringFault {
    /// The pattern, as written.
    Pattern(Arc<str>),
    /// The format: its type's name, and why.
    Format(&'static str, String),
    /// The length: how many characters there are.
    Length(usize),
}

thread_local! {
    /// A program has few patterns and many strings; compiling one costs more than a thousand matches.
    static PATTERNS: RefCell<HashMap<Arc<str>, Option<Regex>>> = RefCell::default();
}

/// Compiles a pattern; as everywhere, `^` and `$` tie it to the ends of the string.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern)
        .size_limit(PATTERN_LIMIT)
        .build()
        .map_err(|error| {
            error
                .to_string()
                .lines()
                .last()
                .unwrap_or("unreadable")
                .replace("error: ", "")
        })
}

/// Whether `text` matches `pattern` somewhere. A pattern which cannot be compiled was reported and matches all.
#[must_use]
pub fn matches(pattern: &Arc<str>, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        let regex = match patterns.get(pattern) {
            Some(regex) => regex,
            None => {
                let regex = compile(pattern).ok();
                patterns.entry(Arc::clone(pattern)).or_insert(regex)
            }
        };
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    })
}

/// Checks a string against its rule.
///
/// # Errors
/// The first part of the rule which it breaks.
pub fn check_string(rule: &StringRule, text: &str) -> Result<(), StringFault> {
    if rule.min_len > 0 || rule.max_len.is_some() {
        let len = text.chars().count();
        if len < rule.min_len as usize || rule.max_len.is_some_and(|max| len > max as usize) {
            return Err(StringFault::Length(len));
        }
    }
    if let Some(format) = rule.format {
        check_format(format, text).map_err(|why| StringFault::Format(format.type_name(), why))?;
    }
    match &rule.pattern {
        Some(pattern) if !matches(pattern, text) => Err(StringFault::Pattern(Arc::clone(pattern))),
        _ => Ok(()),
    }
}
