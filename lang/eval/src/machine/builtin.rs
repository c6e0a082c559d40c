//! Built-in functions and methods of lists, maps and numbers; those of strings are in
//! [`super::strings`].

use std::cmp::Ordering;

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::builtin::Builtin;
use ordain_lang_types::hir::{BinOp, ExprId};

use super::{Cx, Machine};
use crate::heap::{Entry, Item, Local};
use crate::num::duration::Duration;
use crate::value::{ListId, MapId, Reported, Res, Value};

impl<'p> Machine<'p> {
    pub(super) fn builtin(
        &mut self,
        builtin: Builtin,
        args: &'p [ExprId],
        call: ExprId,
        cx: Cx,
    ) -> Res {
        let span = self.program.hir.span(call);
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.eval(*arg, cx)?);
        }
        let at = |index: usize| values.get(index).copied().unwrap_or(Value::Null);
        match (builtin, at(0)) {
            (Builtin::Fail, message) => {
                let message = self.plain_text(message);
                Err(self.report(Diagnostic::error("E0240", message).label(span, "refused here")))
            }
            (Builtin::Min, first) => Ok(self.extreme(first, at(1), Ordering::Less)),
            (Builtin::Max, first) => Ok(self.extreme(first, at(1), Ordering::Greater)),
            (Builtin::ToJson, value) if self.is_secret(call) => self.secret_json(value),
            (_, Value::Secret(index)) => Ok(self.of_secret(builtin, index)),
            (Builtin::ToJson | Builtin::ToYaml, value) => {
                let text = self.document(value, builtin == Builtin::ToYaml, span)?;
                self.room(0, text.len(), span)?;
                Ok(Value::Str(self.heap.add_text(&text)))
            }
            // A method of something absent is absent.
            (_, Value::Null) if !args.is_empty() => Ok(Value::Null),
            (_, Value::List(list)) => self.of_list(builtin, list, at(1), span, cx.layer),
            (_, Value::Map(map)) => self.of_map(builtin, map, at(1), cx.layer),
            (_, Value::Str(_)) => self.of_string(builtin, &values, span),
            (_, value) => self.of_number(builtin, value, &values, span),
        }
    }

    fn extreme(&self, a: Value, b: Value, wanted: Ordering) -> Value {
        if self.compare(b, a) == Some(wanted) {
            b
        } else {
            a
        }
    }

    fn of_number(&mut self, builtin: Builtin, value: Value, values: &[Value], span: Span) -> Res {
        let rounded = |f: f64| Value::Int(f as i64);
        Ok(match (builtin, value) {
            (Builtin::Abs, Value::Int(n)) => Value::Int(n.saturating_abs()),
            (Builtin::Abs, Value::Float(f)) => Value::Float(f.abs()),
            (Builtin::Abs, Value::Duration(d)) => Value::Duration(d.saturating_abs()),
            (Builtin::ToFloat, Value::Int(n)) => Value::Float(n as f64),
            (Builtin::Round, Value::Float(f)) => rounded(f.round()),
            (Builtin::Floor, Value::Float(f)) => rounded(f.floor()),
            (Builtin::Ceil, Value::Float(f)) => rounded(f.ceil()),
            (Builtin::Seconds, Value::Duration(nanos)) => {
                Value::Int(nanos.div_euclid(1_000_000_000))
            }
            (Builtin::Milliseconds, Value::Duration(nanos)) => {
                Value::Int(nanos.div_euclid(1_000_000))
            }
            (Builtin::QuantityValue, value) => {
                let whole = self
                    .amount(value)
                    .map(crate::num::quantity::Quantity::whole);
                Value::Int(whole.unwrap_or_default())
            }
            (Builtin::ToString, Value::Duration(nanos)) => {
                let text = Duration(nanos).to_string();
                Value::Str(self.heap.add_text(&text))
            }
            (Builtin::ToString, value) => {
                let text = self.plain_text(value);
                Value::Str(self.heap.add_text(&text))
            }
            (Builtin::PadLeft | Builtin::PadRight, value) => {
                let text = self.plain_text(value);
                let mut padded = values.to_vec();
                padded[0] = Value::Str(self.heap.add_text(&text));
                return self.of_string(builtin, &padded, span);
            }
            (_, value) => value,
        })
    }

    fn of_list(
        &mut self,
        builtin: Builtin,
        list: ListId,
        arg: Value,
        span: Span,
        layer: u32,
    ) -> Res {
        let items = self.heap.list(list);
        match builtin {
            Builtin::Len => return Ok(Value::Int(items.len() as i64)),
            Builtin::IsEmpty => return Ok(Value::Bool(items.is_empty())),
            Builtin::First => return Ok(items.first().map_or(Value::Null, |item| item.value)),
            Builtin::Last => return Ok(items.last().map_or(Value::Null, |item| item.value)),
            Builtin::Contains => return self.operate(BinOp::In, arg, Value::List(list), span),
            _ => {}
        }
        let items = items.to_vec();
        self.reads(items.len())?;
        let mut out = Vec::new();
        match builtin {
            Builtin::Join => {
                let separator = self.plain_text(arg);
                let mut joined = String::new();
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        joined.push_str(&separator);
                    }
                    self.write_plain(&mut joined, item.value);
                    self.room(0, joined.len(), span)?;
                }
                return Ok(Value::Str(self.heap.add_text(&joined)));
            }
            Builtin::Any | Builtin::All | Builtin::Find => {
                for item in items {
                    self.turn(span)?;
                    let holds = self.holds(arg, &[item.into()], layer)?;
                    match builtin {
                        Builtin::Find if holds => return Ok(item.value),
                        Builtin::Any if holds => return Ok(Value::Bool(true)),
                        Builtin::All if !holds => return Ok(Value::Bool(false)),
                        _ => {}
                    }
                }
                return Ok(match builtin {
                    Builtin::Find => Value::Null,
                    _ => Value::Bool(builtin == Builtin::All),
                });
            }
            Builtin::Sum => {
                let mut sum = Value::Int(0);
                for (at, item) in items.iter().enumerate() {
                    sum = if at == 0 {
                        item.value
                    } else {
                        self.operate(BinOp::Add, sum, item.value, span)?
                    };
                }
                return Ok(sum);
            }
            Builtin::MinOf | Builtin::MaxOf => {
                let wanted = if builtin == Builtin::MinOf {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                let best = items.iter().map(|item| item.value);
                return Ok(best
                    .reduce(|a, b| self.extreme(a, b, wanted))
                    .unwrap_or(Value::Null));
            }
            Builtin::ToMap => return self.keyed_by(&items, arg, span, layer),
            Builtin::Map => {
                for item in items {
                    self.turn(span)?;
                    let value = self.apply(arg, &[item.into()], layer)?;
                    out.push(Item { at: item.at, value });
                }
            }
            Builtin::Filter => {
                for item in items {
                    self.turn(span)?;
                    if self.holds(arg, &[item.into()], layer)? {
                        out.push(item);
                    }
                }
            }
            Builtin::FlatMap | Builtin::Flatten => {
                for item in items {
                    self.turn(span)?;
                    let value = match builtin {
                        Builtin::Flatten => item.value,
                        _ => self.apply(arg, &[item.into()], layer)?,
                    };
                    if let Value::List(inner) = value {
                        let inner = self.heap.list(inner);
                        out.extend_from_slice(inner);
                        self.room(out.len(), 0, span)?;
                    }
                }
            }
            Builtin::Reverse => out.extend(items.into_iter().rev()),
            Builtin::Sort => {
                out = items;
                out.sort_by(|a, b| self.compare(a.value, b.value).unwrap_or(Ordering::Equal));
            }
            Builtin::SortBy => {
                let mut keyed = Vec::with_capacity(items.len());
                for item in items {
                    keyed.push((self.apply(arg, &[item.into()], layer)?, item));
                }
                keyed.sort_by(|a, b| self.compare(a.0, b.0).unwrap_or(Ordering::Equal));
                out.extend(keyed.into_iter().map(|(_, item)| item));
            }
            Builtin::Unique => {
                for item in items {
                    self.turn(span)?;
                    let mut known = false;
                    for other in &out {
                        let other: &Item = other;
                        known = known || self.equal(other.value, item.value)?;
                    }
                    self.reads(out.len())?;
                    if !known {
                        out.push(item);
                    }
                }
            }
            _ => return Err(Reported),
        }
        Ok(Value::List(self.heap.add_list(out)))
    }

    fn holds(&mut self, function: Value, args: &[Local], layer: u32) -> Res<bool> {
        Ok(matches!(
            self.apply(function, args, layer)?,
            Value::Bool(true)
        ))
    }

    fn keyed_by(&mut self, items: &[Item], key: Value, span: Span, layer: u32) -> Res {
        let mut entries = Vec::with_capacity(items.len());
        let mut known = std::collections::HashSet::with_capacity(items.len());
        for item in items {
            self.turn(span)?;
            let key = self.apply(key, &[(*item).into()], layer)?;
            let name = self.plain_text(key);
            if !known.insert(name.clone()) {
                return Err(self.report(
                    Diagnostic::error("E0212", format!("the key `{name}` is given twice"))
                        .label(span, "two elements have this key"),
                ));
            }
            let key = match key {
                Value::Str(text) => text,
                _ => self.heap.add_text(&name),
            };
            entries.push(Entry {
                key,
                at: item.at,
                value: item.value,
            });
        }
        Ok(Value::Map(self.heap.add_map(entries)))
    }

    fn of_map(&mut self, builtin: Builtin, map: MapId, arg: Value, layer: u32) -> Res {
        let entries = self.heap.map(map);
        match builtin {
            Builtin::Len => return Ok(Value::Int(entries.len() as i64)),
            Builtin::IsEmpty => return Ok(Value::Bool(entries.is_empty())),
            Builtin::Get => {
                let key = self.plain_text(arg);
                return Ok(self.map_get(map, &key));
            }
            Builtin::Has | Builtin::Contains => {
                let key = self.plain_text(arg);
                return Ok(Value::Bool(self.map_find(map, &key).is_some()));
            }
            _ => {}
        }
        let entries = entries.to_vec();
        self.reads(entries.len())?;
        match builtin {
            Builtin::Keys | Builtin::Values => {
                let items: Vec<Item> = entries
                    .iter()
                    .map(|entry| match builtin {
                        Builtin::Keys => Item {
                            at: entry.at,
                            value: Value::Str(entry.key),
                        },
                        _ => Item {
                            at: entry.at,
                            value: entry.value,
                        },
                    })
                    .collect();
                return Ok(Value::List(self.heap.add_list(items)));
            }
            _ => {}
        }
        let mut out = Vec::with_capacity(entries.len());
        let without = self.plain_text(arg);
        for entry in entries {
            let key = Value::Str(entry.key);
            match builtin {
                Builtin::Filter => {
                    if self.holds(arg, &[key.into(), entry.into()], layer)? {
                        out.push(entry);
                    }
                }
                Builtin::MapValues => {
                    let value = self.apply(arg, &[key.into(), entry.into()], layer)?;
                    out.push(Entry { value, ..entry });
                }
                Builtin::Without => {
                    if self.text(entry.key) != without {
                        out.push(entry);
                    }
                }
                Builtin::Any | Builtin::All => {
                    let holds = self.holds(arg, &[key.into(), entry.into()], layer)?;
                    if holds == (builtin == Builtin::Any) {
                        return Ok(Value::Bool(holds));
                    }
                }
                _ => return Err(Reported),
            }
        }
        if matches!(builtin, Builtin::Any | Builtin::All) {
            return Ok(Value::Bool(builtin == Builtin::All));
        }
        Ok(Value::Map(self.heap.add_map(out)))
    }
}
