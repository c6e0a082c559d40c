//! Constants against rules: whether a known value keeps a type's refinements.
//!
//! The same checks serve the checker (constants) and the evaluator (values made at run time), so they never disagree.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;

use crate::format::check_format;
use crate::ty::StringRule;

/// Compiled patterns larger than this are refused (bytes), so that a pattern cannot eat the memory.
const PATTERN_LIMIT: usize = 1 << 20;

/// With so many compiled patterns, they are forgotten and begun anew.
const MAX_KEPT: usize = 1000;

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

/// Patterns by their text; none for those that cannot be compiled.
type Patterns = HashMap<Arc<str>, Option<Regex>>;

/// A program has few patterns and many strings; compiling one costs more than a thousand matches, and a few hundred
/// kilobytes.
static PATTERNS: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);

thread_local! {
    /// Those that this thread used, so that no string waits for a lock.
    static OWN: RefCell<Patterns> = RefCell::default();
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

/// Says whether a pattern can be compiled.
///
/// # Errors
/// As [`compile`].
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    match shared(&Arc::from(pattern)) {
        Some(_) => Ok(()),
        // The reasons of broken ones are not kept.
        None => compile(pattern).map(drop),
    }
}

/// The compiled pattern that all threads have in common; none where it cannot be compiled.
fn shared(pattern: &Arc<str>) -> Option<Regex> {
    let mut all = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_KEPT {
        // An editor that is open for weeks has seen every half of every pattern.
        all.clear();
    }
    let known = all.entry(Arc::clone(pattern));
    known.or_insert_with(|| compile(pattern).ok()).clone()
}

/// Whether `text` matches `pattern` somewhere. A pattern which cannot be compiled was reported and matches all.
#[must_use]
pub fn matches(pattern: &Arc<str>, text: &str) -> bool {
    OWN.with_borrow_mut(|patterns| {
        let regex = match patterns.get(pattern) {
            Some(regex) => regex,
            None => {
                let regex = shared(pattern);
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
