//! Finished objects under the rules of their kinds: the evaluator's values as a [`View`].
//!
//! The rules themselves are in `ordain_lang_types::kube`, which judges constants with the same code.

use std::borrow::Cow;
use std::cell::RefCell;

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::kube::{Count, OWN_PODS, Part, Rules, Slot, View};
use ordain_lang_types::program::ExemptRule;

use super::Machine;
use crate::session::Object;
use crate::value::{RecId, Reported, Res, Value};

/// A value, and where it was set.
#[derive(Clone, Copy)]
pub(super) struct Node {
    value: Value,
    span: Span,
    /// Its provenance, by number; 0 is none.
    at: u32,
}

/// The machine's values, and the provenance of those whose places a rule asked for.
struct Values<'m, 'p>(&'m Machine<'p>, RefCell<Vec<(Span, u32)>>);

impl Machine<'_> {
    /// Judges the records that the last object was made of. `app` is where the name of its app stands.
    pub(crate) fn judge(&mut self, object: &Object, app: Span) -> Res<()> {
        let judged = std::mem::take(&mut self.judged);
        let mut result = Ok(());
        for &(rec, rules) in &judged {
            let node = Node {
                value: Value::Rec(rec),
                span: self.heap.rec(rec).span,
                at: 0,
            };
            let values = Values(self, RefCell::default());
            let found = rules.judge(&values, node);
            if found.is_empty() {
                continue;
            }
            let places = values.1.into_inner();
            for diagnostic in found {
                let is_it = |rule: &ExemptRule| matches!(rule, ExemptRule::Code(code) if *code == diagnostic.code);
                if diagnostic.code == OWN_PODS && self.is_exempt(is_it, Some((object, app))) {
                    continue;
                }
                let diagnostic = self.with_origins(diagnostic, &places);
                self.report(diagnostic);
                result = Err(Reported);
            }
        }
        self.judged = judged;
        self.judged.clear();
        result
    }

    /// Adds where the values at a diagnostic's places come from: what an environment says stands rarely in the object.
    fn with_origins(&self, mut diagnostic: Diagnostic, places: &[(Span, u32)]) -> Diagnostic {
        let labels: Vec<Span> = diagnostic.labels.iter().map(|label| label.span).collect();
        let mut told = labels.clone();
        for label in labels {
            let Some((_, at)) = places.iter().find(|(span, at)| *span == label && *at != 0) else {
                continue;
            };
            let Some(origin) = self.came_from(*at).filter(|span| !told.contains(span)) else {
                continue;
            };
            told.push(origin);
            diagnostic = diagnostic.label(origin, "comes from here");
        }
        diagnostic
    }

    /// Notes a record of the object at hand, when its kind has rules.
    pub(super) fn note_ruled(&mut self, rec: RecId) {
        if let Some(rules) = self.info(self.heap.rec(rec).def).kube {
            self.judged.push((rec, rules));
        }
    }

    pub(super) fn kube_rules(&self, id: ordain_lang_types::ty::RecordId) -> Option<Rules> {
        Rules::of(self.def(id))
    }
}

impl Values<'_, '_> {
    /// A value as it is once evaluated; nothing that was not.
    fn settled(&self, value: Value) -> Slot<Value> {
        match value {
            Value::Null => Slot::Absent,
            Value::Forced(index) => match self.0.heap.forced[index as usize].1 {
                Value::Null => Slot::Absent,
                Value::Failed => Slot::Unknown,
                value => Slot::Is(value),
            },
            Value::Default | Value::Thunk(_) | Value::Running(_) | Value::Failed => Slot::Unknown,
            value => Slot::Is(value),
        }
    }

    /// Where something was set, or else what it is part of.
    fn place(&self, at: u32, around: Span) -> Span {
        match at {
            0 => around,
            at => self.0.heap.provs[at as usize].span,
        }
    }

    fn node(&self, value: Value, at: u32, around: Span) -> Slot<Node> {
        match self.settled(value) {
            Slot::Is(value) => Slot::Is(Node {
                value,
                span: self.place(at, around),
                at,
            }),
            Slot::Absent => Slot::Absent,
            Slot::Unknown => Slot::Unknown,
        }
    }
}

impl View for Values<'_, '_> {
    type Node = Node;

    fn get(&self, of: Node, name: &str) -> Slot<Node> {
        let heap = &self.0.heap;
        match of.value {
            Value::Rec(rec) => {
                let def = self.0.def(heap.rec(rec).def);
                let found = heap
                    .cells(rec)
                    .iter()
                    .find(|cell| def.fields[cell.pos as usize].name == name);
                match found {
                    Some(cell) => self.node(cell.value, cell.at, of.span),
                    None => Slot::Absent,
                }
            }
            Value::Map(map) => {
                let found = heap.map(map).iter().find(|e| self.0.text(e.key) == name);
                match found {
                    Some(entry) => self.node(entry.value, entry.at, of.span),
                    None => Slot::Absent,
                }
            }
            _ => Slot::Unknown,
        }
    }

    fn count(&self, of: Node) -> Count {
        let heap = &self.0.heap;
        let len = match of.value {
            Value::Rec(rec) => heap.cells(rec).len(),
            Value::Map(map) => heap.map(map).len(),
            Value::List(list) => heap.list(list).len(),
            _ => return Count { len: 0, all: false },
        };
        Count { len, all: true }
    }

    fn part(&self, of: Node, at: usize) -> Option<Part<'_, Node>> {
        let heap = &self.0.heap;
        let (key, prov, value) = match of.value {
            Value::Rec(rec) => {
                let cell = heap.cells(rec).get(at)?;
                let field = &self.0.def(heap.rec(rec).def).fields[cell.pos as usize];
                (field.name.as_str(), cell.at, cell.value)
            }
            Value::Map(map) => {
                let entry = heap.map(map).get(at)?;
                (self.0.text(entry.key), entry.at, entry.value)
            }
            Value::List(list) => {
                let item = heap.list(list).get(at)?;
                ("", item.at, item.value)
            }
            _ => return None,
        };
        let node = self.node(value, prov, of.span).known()?;
        Some(Part {
            key: Cow::Borrowed(key),
            key_span: node.span,
            node,
        })
    }

    fn text(&self, of: Node) -> Option<Cow<'_, str>> {
        match of.value {
            Value::Str(text) | Value::Quantity(text) => Some(Cow::Borrowed(self.0.text(text))),
            _ => None,
        }
    }

    fn int(&self, of: Node) -> Option<i64> {
        match of.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    fn flag(&self, of: Node) -> Option<bool> {
        match of.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn span(&self, of: Node) -> Span {
        self.1.borrow_mut().push((of.span, of.at));
        of.span
    }

    fn is_in_object(&self) -> bool {
        true
    }

    fn is_finished(&self) -> bool {
        true
    }
}
