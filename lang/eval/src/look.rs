//! Looking into the values of an evaluated app without writing them: for rules over all objects.
//!
//! Everything was evaluated before, so looking changes nothing and cannot fail.

use ordain_lang_syntax::Span;

use crate::machine::Machine;
use crate::provenance::Copy;
use crate::session::App;
use crate::value::{RecId, Value};

/// A value inside an object. Means something only to the [`App`] it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    value: Value,
    at: At,
}

/// What knows where a value was set.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Nothing: the object itself.
    Root,
    /// A field of a record.
    Field(RecId, u32),
    /// An element or entry, by the number of its provenance.
    Prov(u32),
}

/// Where a value was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The line that decides the value.
    pub span: Span,
    /// The line of the object's own field, when the value was copied there from elsewhere.
    pub through: Option<Span>,
}

impl App<'_, '_> {
    /// The whole of the object at a position of [`objects`](App::objects).
    #[must_use]
    pub fn root(&self, object: usize) -> Option<Node> {
        Some(Node {
            value: self.value_of(object)?,
            at: At::Root,
        })
    }

    /// A field or an entry by its name; none when it is not there or null.
    #[must_use]
    pub fn get(&self, node: Node, key: &str) -> Option<Node> {
        let machine = self.machine();
        let found = match node.value {
            Value::Rec(rec) => {
                let def = machine.def(machine.heap.rec(rec).def);
                let cell = machine
                    .heap
                    .cells(rec)
                    .iter()
                    .find(|cell| def.fields[cell.pos as usize].name == *key)?;
                Node {
                    value: machine.ready(cell.value),
                    at: At::Field(rec, cell.pos),
                }
            }
            Value::Map(map) => {
                let entries = machine.heap.map(map);
                let entry = entries
                    .iter()
                    .find(|entry| machine.text(entry.key) == key)?;
                Node {
                    value: machine.ready(entry.value),
                    at: At::Prov(entry.at),
                }
            }
            _ => return None,
        };
        (!matches!(found.value, Value::Null)).then_some(found)
    }

    /// The elements of a list; none of anything else.
    pub fn items(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        let machine = self.machine();
        let items = match node.value {
            Value::List(list) => machine.heap.list(list),
            _ => &[],
        };
        items.iter().map(|item| Node {
            value: machine.ready(item.value),
            at: At::Prov(item.at),
        })
    }

    /// The entries of a map; none of anything else, not even of a record.
    pub fn entries(&self, node: Node) -> impl Iterator<Item = (&str, Node)> + '_ {
        let machine = self.machine();
        let entries = match node.value {
            Value::Map(map) => machine.heap.map(map),
            _ => &[],
        };
        entries.iter().map(|entry| {
            let at = At::Prov(entry.at);
            let value = machine.ready(entry.value);
            (machine.text(entry.key), Node { value, at })
        })
    }

    /// The text of a string. Secrets have none.
    #[must_use]
    pub fn text(&self, node: Node) -> Option<&str> {
        match node.value {
            Value::Str(text) => Some(self.machine().text(text)),
            _ => None,
        }
    }

    /// The number, of an integer.
    #[must_use]
    pub fn int(&self, node: Node) -> Option<i64> {
        match node.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `true`.
    #[must_use]
    pub fn is_true(&self, node: Node) -> bool {
        matches!(node.value, Value::Bool(true))
    }

    /// Where the value was set; nothing for whole objects.
    #[must_use]
    pub fn origin(&self, node: Node) -> Option<Origin> {
        let machine = self.machine();
        let (at, field) = match node.at {
            At::Root => return None,
            At::Prov(at) => (at, None),
            At::Field(rec, pos) => (machine.cell_prov(rec, pos), Some((rec, pos))),
        };
        machine.origin(at, field)
    }
}

/// Copies of copies that are followed.
const MAX_COPIES: usize = 16;

impl Machine<'_> {
    /// A settled state as a value.
    fn ready(&self, state: Value) -> Value {
        match state {
            Value::Forced(index) => self.heap.forced[index as usize].1,
            other => other,
        }
    }

    /// The number of the provenance of a field; 0 when it has its default.
    fn cell_prov(&self, rec: RecId, pos: u32) -> u32 {
        self.heap
            .find(rec, pos)
            .map_or(0, |cell| self.heap.cells[cell].at)
    }

    /// Where the default of a field stands.
    fn default_span(&self, rec: RecId, pos: u32) -> Option<Span> {
        let def = self.def(self.heap.rec(rec).def);
        let body = def.fields[pos as usize].default?;
        Some(self.program.hir.span(body.expr))
    }

    fn origin(&self, at: u32, field: Option<(RecId, u32)>) -> Option<Origin> {
        let (mut at, mut field) = (at, field);
        let mut first = None;
        let mut last = None;
        for _ in 0..MAX_COPIES {
            let (span, from) = match at {
                0 => (
                    field.and_then(|(rec, pos)| self.default_span(rec, pos)),
                    None,
                ),
                at => {
                    let prov = self.heap.provs[at as usize];
                    (Some(prov.span), prov.from.get().filter(|_| prov.whole))
                }
            };
            last = span.or(last);
            first = first.or(span);
            match from {
                None => break,
                Some(Copy::Field(rec, pos)) => {
                    at = self.cell_prov(rec, pos);
                    field = Some((rec, pos));
                }
                Some(Copy::Prov(from)) => {
                    at = from;
                    field = None;
                }
            }
        }
        let span = last?;
        Some(Origin {
            span,
            through: first.filter(|first| *first != span),
        })
    }
}
