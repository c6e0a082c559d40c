//! The parts of modules that speak of apps of other files: changes in environments, tests, policies.
//!
//! One of them can be checked without its like, with the apps that it names. Which those are is read off its words, so
//! that every answer errs on the side of "names it". Knows no types.

use std::collections::HashMap;
use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use ordain_lang_syntax::{Sources, Span};

use super::moved::Patch;
use super::outline::{Outline, words};

/// A change that an environment makes to an app.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) module: usize,
    /// Position of the environment among the module's items.
    pub(super) item: usize,
    /// Position among its members.
    pub(super) member: usize,
    pub(super) target: usize,
    /// The apps whose names are in its text, the target among them.
    pub(super) mentions: Vec<usize>,
    pub(super) span: Span,
}

/// A test or a policy.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) module: usize,
    pub(super) item: usize,
    pub(super) mentions: Vec<usize>,
    pub(super) span: Span,
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Parts {
    pub(super) ops: Vec<Op>,
    /// What else an environment (by module and item) has: positions among its members.
    pub(super) frames: HashMap<(usize, usize), Vec<usize>>,
    /// The changes that mention an app.
    pub(super) ops_with: Vec<Vec<usize>>,
    /// The changes of an app.
    pub(super) ops_on: Vec<Vec<usize>>,
    pub(super) suites: Vec<Suite>,
}

impl Parts {
    /// Reads them off the outlines of these modules. `apps` are numbered by name, of which there may
    /// be fewer. What is as it was `before` these edits is not read again.
    pub(super) fn of(
        outlines: &[Arc<Outline>],
        modules: &[usize],
        (apps, count): (&HashMap<&'static str, usize>, usize),
        (before, patches): (&Parts, &[Patch]),
        sources: &Sources,
    ) -> Parts {
        let mut parts = Parts {
            ops_with: vec![Vec::new(); count],
            ops_on: vec![Vec::new(); count],
            ..Parts::default()
        };
        let mentions = |span: Span| -> Vec<usize> {
            let mut found: Vec<usize> = words(sources.slice(span))
                .filter_map(|word| apps.get(word).copied())
                .collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        let mut known = Unchanged {
            ops: before.ops.iter().peekable(),
            patches,
        };
        for &module in modules {
            let outline = &outlines[module];
            for env in &outline.envs {
                let mut frame: Vec<usize> = env.others.clone();
                for op in &env.ops {
                    let Some(&target) = apps.get(op.target.as_str()) else {
                        frame.push(op.member);
                        continue;
                    };
                    let mentions = known.next(op.span).unwrap_or_else(|| {
                        let mut mentions = mentions(op.span);
                        if !mentions.contains(&target) {
                            mentions.push(target);
                        }
                        mentions
                    });
                    parts.ops.push(Op {
                        module,
                        item: env.item,
                        member: op.member,
                        target,
                        mentions,
                        span: op.span,
                    });
                }
                parts.frames.insert((module, env.item), frame);
            }
            for suite in &outline.suites {
                parts.suites.push(Suite {
                    module,
                    item: suite.item,
                    mentions: mentions(suite.span),
                    span: suite.span,
                });
            }
        }
        for (at, op) in parts.ops.iter().enumerate() {
            parts.ops_on[op.target].push(at);
            for app in &op.mentions {
                parts.ops_with[*app].push(at);
            }
        }
        parts
    }
}

/// Changes as they were before an edit, in the order of the modules and texts.
struct Unchanged<'b> {
    ops: Peekable<Iter<'b, Op>>,
    patches: &'b [Patch],
}

impl Unchanged<'_> {
    /// The apps that the change at a place mentions, when it is one of those. Asked in the same order.
    fn next(&mut self, at: Span) -> Option<Vec<usize>> {
        loop {
            let op = self.ops.peek()?;
            let patch = self
                .patches
                .iter()
                .find(|patch| patch.moved.file == op.span.file);
            let place = match patch {
                Some(patch) if patch.is_gone(op.span) => None,
                Some(patch) => patch.moved.place(op.span),
                None => Some(op.span),
            };
            match place {
                // A file further on, or a change further down.
                Some(place) if place.file != at.file || place.start > at.start => return None,
                Some(place) if place == at => {
                    return self.ops.next().map(|op| op.mentions.clone());
                }
                _ => self.ops.next(),
            };
        }
    }
}
