//! Growing a selection: from a word to what it is part of, step by step, up to the file.

use std::ops::Range;

use ordain_lang_syntax::{Child, Parsed};

/// Returns ranges around a place, the smallest first; each contains the one before it.
pub(crate) fn around(parsed: &Parsed, text: &str, offset: usize) -> Vec<Range<usize>> {
    let tree = parsed.tree();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    ranges.push(0..text.len());
    let mut node = tree.root();
    loop {
        ranges.push(trimmed(text, node.range()));
        let mut inner = None;
        for child in node.children() {
            match child {
                Child::Node(child) => {
                    let range = trimmed(text, child.range());
                    if range.start <= offset && offset <= range.end {
                        inner = Some(child);
                    }
                }
                Child::Token(token) => {
                    let range = token.start as usize..token.end as usize;
                    if !token.kind.is_trivia() && range.start <= offset && offset <= range.end {
                        ranges.push(range);
                    }
                }
            }
        }
        match inner {
            Some(child) => node = child,
            None => break,
        }
    }
    ranges.reverse();
    let mut kept: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        let grows = kept.last().is_none_or(|last| {
            range.start <= last.start && last.end <= range.end && range != *last
        });
        if grows && !range.is_empty() {
            kept.push(range);
        }
    }
    kept
}

/// A range without the white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let body = text.get(range.clone()).unwrap_or("");
    let start = range.start + (body.len() - body.trim_start().len());
    start..range.start + body.trim_end().len().max(start - range.start)
}
