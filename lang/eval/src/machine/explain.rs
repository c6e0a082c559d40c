//! From an object and a path to the lines that set the field.

use super::{Fresh, Machine};
use crate::provenance::{self, Copy, How, Layer, Source};
use crate::value::{RecId, Value};
use ordain_lang_syntax::Span;
use ordain_lang_types::ty::Origin;

/// Links of a chain that are followed; a longer one is cut.
const MAX_LINKS: usize = 64;

/// Where a path leads.
#[derive(Clone, Copy)]
enum Place {
    Field(RecId, u32),
    /// The provenance of an element or entry, by number.
    Prov(u32),
}

impl<'p> Machine<'p> {
    /// The value at a path and its sources, newest first; none when nothing is there.
    ///
    /// A step names a field or key, or an element of a list by position or by the value of one of
    /// its fields (`main` finds the container with that name).
    pub(crate) fn explain(&mut self, root: Value, path: &[&str]) -> Option<(Value, Vec<Source>)> {
        let mut value = root;
        let mut place = None;
        for step in path {
            (value, place) = self.explain_step(value, step)?;
        }
        let mut chain = Vec::new();
        match place? {
            Place::Field(rec, pos) => self.field_chain(rec, pos, How::Set, &mut chain),
            Place::Prov(at) => self.prov_chain(at, How::Set, &mut chain),
        }
        (!chain.is_empty()).then_some((value, chain))
    }

    fn explain_step(&mut self, value: Value, step: &str) -> Option<(Value, Option<Place>)> {
        self.live_step(value, step).or_else(|| {
            let of = match value {
                Value::Rec(rec) => Fresh::Rec(rec),
                Value::Map(map) => Fresh::Map(map),
                Value::List(list) => Fresh::List(list),
                _ => return None,
            };
            let graves = self.heap.graves.get(&of)?;
            let (_, at) = graves.iter().find(|(name, _)| **name == *step)?;
            Some((Value::Null, Some(Place::Prov(*at))))
        })
    }

    fn live_step(&mut self, value: Value, step: &str) -> Option<(Value, Option<Place>)> {
        match value {
            Value::Rec(rec) => {
                let record = *self.heap.rec(rec);
                let pos = self.position(record.def, step)?;
                self.heap.find(rec, pos)?;
                let value = self.field(rec, pos, record.span).ok()?;
                Some((value, Some(Place::Field(rec, pos))))
            }
            Value::Map(map) => {
                let at = self.map_find(map, step)?;
                let entry = self.heap.map(map)[at];
                Some((entry.value, Some(Place::Prov(entry.at))))
            }
            Value::List(list) => {
                let at = match step.parse::<usize>() {
                    Ok(at) => at,
                    Err(_) => {
                        let items = self.heap.list(list).to_vec();
                        items
                            .iter()
                            .position(|item| self.is_called(item.value, step))?
                    }
                };
                let item = *self.heap.list(list).get(at)?;
                Some((item.value, Some(Place::Prov(item.at))))
            }
            _ => None,
        }
    }

    /// Whether an element has a string field with this value.
    fn is_called(&self, value: Value, name: &str) -> bool {
        match value {
            Value::Str(text) => self.text(text) == name,
            Value::Rec(rec) => self.heap.cells(rec).iter().any(|cell| match cell.value {
                Value::Str(text) => self.text(text) == name,
                _ => false,
            }),
            _ => false,
        }
    }

    pub(super) fn field_chain(&self, rec: RecId, pos: u32, how: How, chain: &mut Vec<Source>) {
        let Some(at) = self.heap.find(rec, pos) else {
            return;
        };
        let cell = self.heap.cells[at];
        let start = chain.len();
        self.prov_chain(cell.at, how, chain);
        let mut state = self.heap.unforced(cell.value);
        while let Value::Thunk(index) = state {
            state = self.heap.thunks[index as usize].base;
        }
        // Below everything that was set stands the default of the type.
        let def = self.def(self.heap.rec(rec).def);
        let field = &def.fields[pos as usize];
        if let Some(body) = field.default {
            let layer = match def.origin {
                Origin::App => Layer::Value,
                _ => Layer::of(provenance::DEFAULT),
            };
            let span = self.program.hir.span(body.expr);
            // The defaults of Kubernetes' own types stand in no file.
            if self
                .program
                .modules
                .iter()
                .any(|module| module.file == span.file)
            {
                chain.push(Source {
                    span,
                    layer,
                    how: if chain.len() == start { how } else { How::Set },
                });
            }
        }
    }

    /// Where the value with this provenance was copied from, and who set it there last.
    pub(super) fn came_from(&self, at: u32) -> Option<Span> {
        let mut chain = Vec::new();
        self.prov_chain(at, How::Set, &mut chain);
        let copied = chain.iter().filter(|source| source.how == How::From);
        copied.map(|source| source.span).next()
    }

    fn prov_chain(&self, at: u32, how: How, chain: &mut Vec<Source>) {
        let (mut at, mut how) = (at, how);
        while at != 0 && chain.len() < MAX_LINKS {
            let prov = self.heap.provs[at as usize];
            let did = match (how, prov.whole) {
                _ if prov.is_deleted => How::Deleted,
                (How::From, _) => How::From,
                (_, true) => How::Set,
                (_, false) => How::Changed,
            };
            chain.push(Source {
                span: prov.span,
                layer: Layer::of(prov.layer),
                how: did,
            });
            match prov.from.get() {
                Some(Copy::Field(rec, pos)) => self.field_chain(rec, pos, How::From, chain),
                Some(Copy::Prov(from)) => self.prov_chain(from, How::From, chain),
                None => {}
            }
            how = How::Set;
            at = prov.before;
        }
    }
}
