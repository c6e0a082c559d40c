//! Who needs whom: functions, constants and record defaults, and the cycles among them.
//!
//! The language is total: a cycle is a mistake, told once with its way. Knows numbers and places only.

use std::collections::HashMap;

use ordain_lang_syntax::Span;

use crate::program::{FnId, LetId};
use crate::ty::RecordId;

/// Something which is evaluated on behalf of others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Node {
    Fn(FnId),
    Let(LetId),
    Record(RecordId),
    /// An app, a test …: nothing needs it.
    Root,
}

/// The dependencies, with the place of each.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    edges: HashMap<Node, Vec<(Node, Span)>>,
    order: Vec<Node>,
}

impl Graph {
    pub(crate) fn edge(&mut self, from: Node, to: Node, at: Span) {
        if from == Node::Root {
            return;
        }
        let edges = self.edges.entry(from).or_insert_with(|| {
            self.order.push(from);
            Vec::new()
        });
        if !edges.iter().any(|(node, _)| *node == to) {
            edges.push((to, at));
        }
    }

    /// Every cycle once: its nodes in order, each with the place where it needs the next.
    pub(crate) fn cycles(&self) -> Vec<Vec<(Node, Span)>> {
        let mut done: HashMap<Node, bool> = HashMap::new();
        let mut found = Vec::new();
        for &start in &self.order {
            self.visit(start, &mut done, &mut found);
        }
        found
    }

    /// Depth-first without recursion, so that a long chain cannot overflow the stack.
    fn visit(
        &self,
        start: Node,
        done: &mut HashMap<Node, bool>,
        found: &mut Vec<Vec<(Node, Span)>>,
    ) {
        if done.contains_key(&start) {
            return;
        }
        let none = Vec::new();
        let mut path: Vec<(Node, usize)> = vec![(start, 0)];
        done.insert(start, false);
        while let Some((node, at)) = path.last_mut() {
            let edges = self.edges.get(node).unwrap_or(&none);
            let Some((next, _)) = edges.get(*at) else {
                done.insert(*node, true);
                path.pop();
                continue;
            };
            *at += 1;
            match done.get(next) {
                Some(true) => {}
                Some(false) => {
                    let from = path.iter().position(|(n, _)| n == next).unwrap_or(0);
                    let step = |(n, at): &(Node, usize)| (*n, self.edges[n][at - 1].1);
                    found.push(path[from..].iter().map(step).collect());
                }
                None => {
                    done.insert(*next, false);
                    path.push((*next, 0));
                }
            }
        }
    }
}
