//! The evaluator: a tree and the values of its variables to a value, one step of the budget per node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Expr, Kind, Loop, Makes};
use crate::error::EvalError;
use crate::functions;
use crate::operators;
use crate::value::{Key, Value};

pub(crate) type Result<T = Value> = std::result::Result<T, EvalError>;

pub(crate) struct Machine<'b> {
    /// The variables in scope, outermost first.
    pub(crate) locals: Vec<Value>,
    pub(crate) budget: &'b mut u64,
}

impl Machine<'_> {
    /// Takes work from the budget.
    pub(crate) fn charge(&mut self, work: u64) -> Result<()> {
        match self.budget.checked_sub(work) {
            Some(left) => {
                *self.budget = left;
                Ok(())
            }
            None => {
                *self.budget = 0;
                Err(EvalError::Budget)
            }
        }
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Result {
        self.charge(1)?;
        match &expr.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Variable(at) => Ok(self.locals[*at].clone()),
            Kind::Select {
                base,
                name,
                optional,
            } => {
                let base = self.eval(base)?;
                select(&base, &Key::String(Arc::clone(name)), *optional)
            }
            Kind::Has { base, name } => match self.eval(base)? {
                Value::Map(map) => Ok(Value::Bool(
                    map.contains_key(&Key::String(Arc::clone(name))),
                )),
                Value::Optional(inner) => {
                    let found = match inner.as_deref() {
                        Some(Value::Map(map)) => map.contains_key(&Key::String(Arc::clone(name))),
                        _ => false,
                    };
                    Ok(Value::Bool(found))
                }
                other => Err(EvalError::new(format!(
                    "{} has no fields",
                    other.type_name()
                ))),
            },
            Kind::Index {
                base,
                index,
                optional,
            } => {
                let base = self.eval(base)?;
                let index = self.eval(index)?;
                at(&base, &index, *optional)
            }
            Kind::Call {
                function,
                args,
                regex,
                ..
            } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(self.eval(arg)?);
                }
                functions::call(self, function, values, regex.as_ref())
            }
            Kind::List(items) => {
                let mut made = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    let value = self.eval(item)?;
                    match (optional, value) {
                        (false, value) => made.push(value),
                        (true, Value::Optional(None)) => {}
                        (true, Value::Optional(Some(value))) => made.push((*value).clone()),
                        (true, _) => return Err(EvalError::new("`?` is for optional values")),
                    }
                }
                Ok(Value::list(made))
            }
            Kind::Map(entries) => {
                let mut made = BTreeMap::new();
                for (key, value, optional) in entries {
                    let key = self.eval(key)?;
                    let key = Key::of(&key)
                        .ok_or_else(|| EvalError::new(format!("{} is no key", key.type_name())))?;
                    let value = match (optional, self.eval(value)?) {
                        (false, value) => value,
                        (true, Value::Optional(None)) => continue,
                        (true, Value::Optional(Some(value))) => (*value).clone(),
                        (true, _) => return Err(EvalError::new("`?` is for optional values")),
                    };
                    if made.insert(key, value).is_some() {
                        return Err(EvalError::new("a key is there twice"));
                    }
                }
                Ok(Value::Map(Arc::new(made)))
            }
            Kind::Not(inner) => match self.eval(inner)? {
                Value::Bool(b) => Ok(Value::Bool(!b)),
                other => Err(no_bool(&other)),
            },
            Kind::Negate(inner) => match self.eval(inner)? {
                Value::Int(n) => n
                    .checked_neg()
                    .map(Value::Int)
                    .ok_or_else(operators::overflow),
                Value::Double(d) => Ok(Value::Double(-d)),
                Value::Duration(d) => d
                    .checked_neg()
                    .map(Value::Duration)
                    .ok_or_else(operators::overflow),
                other => Err(EvalError::new(format!(
                    "{} cannot be negated",
                    other.type_name()
                ))),
            },
            Kind::And(parts) => self.logic(parts, false),
            Kind::Or(parts) => self.logic(parts, true),
            Kind::If(condition, then, otherwise) => match self.eval(condition)? {
                Value::Bool(true) => self.eval(then),
                Value::Bool(false) => self.eval(otherwise),
                other => Err(no_bool(&other)),
            },
            Kind::Binary(op, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.charge(left.weight().min(right.weight()))?;
                operators::binary(self, *op, left, right)
            }
            Kind::Loop(each) => self.each(each),
            Kind::Bind(value, body) => {
                let value = self.eval(value)?;
                self.with([value], |machine| machine.eval(body))
            }
            Kind::OptMap { value, body, flat } => match self.eval(value)? {
                Value::Optional(None) => Ok(Value::Optional(None)),
                Value::Optional(Some(inner)) => {
                    let made = self.with([(*inner).clone()], |machine| machine.eval(body))?;
                    match (flat, made) {
                        (false, made) => Ok(Value::some(made)),
                        (true, made @ Value::Optional(_)) => Ok(made),
                        (true, _) => Err(EvalError::new("`optFlatMap` makes an optional value")),
                    }
                }
                other => Err(EvalError::new(format!(
                    "{} is not optional",
                    other.type_name()
                ))),
            },
        }
    }

    /// `&&` and `||`: a part that decides wins over one that fails, wherever it stands.
    fn logic(&mut self, parts: &[Expr], decides: bool) -> Result {
        let mut failed = None;
        for part in parts {
            match self.eval(part) {
                Ok(Value::Bool(b)) if b == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(other) => {
                    failed.get_or_insert(no_bool(&other));
                }
                Err(EvalError::Budget) => return Err(EvalError::Budget),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Value::Bool(!decides)), Err)
    }

    /// Evaluates with more variables.
    fn with<const N: usize, T>(
        &mut self,
        more: [Value; N],
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.locals.len();
        self.locals.extend(more);
        let made = body(self);
        self.locals.truncate(before);
        made
    }

    fn each(&mut self, each: &Loop) -> Result {
        let range = self.eval(&each.range)?;
        let elements: Vec<(Key, Value, Value)> = match &range {
            Value::List(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(at, item)| {
                        let at = i64::try_from(at).unwrap_or(i64::MAX);
                        (Key::Int(at), Value::Int(at), item.clone())
                    })
                    .collect()
            }
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), key.value(), value.clone()))
                .collect(),
            other => {
                return Err(EvalError::new(format!(
                    "{} has no elements",
                    other.type_name()
                )));
            }
        };
        self.charge(elements.len() as u64)?;
        let is_map = matches!(range, Value::Map(_));
        let mut made = Gathered::default();
        for (key, name, value) in elements {
            // With one variable it is the element of a list, and the key of a map.
            let element = if is_map && !each.two {
                name.clone()
            } else {
                value
            };
            let before = self.locals.len();
            if each.two {
                self.locals.push(name);
            }
            self.locals.push(element.clone());
            let done = self.one(each, key, element, &mut made);
            self.locals.truncate(before);
            match done {
                Ok(true) => break,
                Ok(false) => {}
                Err(EvalError::Failed(why)) if matches!(each.makes, Makes::All | Makes::Exists) => {
                    made.failed.get_or_insert(why);
                }
                Err(error) => return Err(error),
            }
        }
        match each.makes {
            Makes::All | Makes::Exists => {
                let default = each.makes == Makes::All;
                match (made.decided, made.failed) {
                    (true, _) => Ok(Value::Bool(!default)),
                    (false, Some(why)) => Err(EvalError::Failed(why)),
                    (false, None) => Ok(Value::Bool(default)),
                }
            }
            Makes::ExistsOne => Ok(Value::Bool(made.count == 1)),
            Makes::Kept if is_map && each.two => Ok(Value::Map(Arc::new(made.map))),
            Makes::Kept | Makes::List => Ok(Value::list(made.list)),
            Makes::Map => Ok(Value::Map(Arc::new(made.map))),
            Makes::Sorted => {
                self.charge(made.keyed.len() as u64 * 4)?;
                if made
                    .keyed
                    .windows(2)
                    .any(|pair| pair[0].0.order(&pair[1].0).is_none())
                {
                    return Err(EvalError::new("the keys have no order"));
                }
                made.keyed
                    .sort_by(|a, b| a.0.order(&b.0).unwrap_or(std::cmp::Ordering::Equal));
                Ok(Value::list(made.keyed.into_iter().map(|(_, value)| value)))
            }
        }
    }

    /// One round of a comprehension; true when it is decided.
    fn one(&mut self, each: &Loop, key: Key, element: Value, made: &mut Gathered) -> Result<bool> {
        let holds = match &each.condition {
            None => true,
            Some(condition) => match self.eval(condition)? {
                Value::Bool(b) => b,
                other => return Err(no_bool(&other)),
            },
        };
        match each.makes {
            Makes::All | Makes::Exists => {
                let decided = holds != (each.makes == Makes::All);
                made.decided |= decided;
                return Ok(decided);
            }
            Makes::ExistsOne => made.count += usize::from(holds),
            Makes::Kept if holds => made.list.push(element),
            Makes::List | Makes::Map | Makes::Sorted if holds => {
                let Some(body) = &each.body else {
                    return Ok(false);
                };
                let value = self.eval(body)?;
                match each.makes {
                    Makes::Map => {
                        made.map.insert(key, value);
                    }
                    Makes::Sorted => made.keyed.push((value, element)),
                    _ => made.list.push(value),
                }
            }
            _ => {}
        }
        Ok(false)
    }
}

#[derive(Default)]
struct Gathered {
    decided: bool,
    failed: Option<String>,
    count: usize,
    list: Vec<Value>,
    map: BTreeMap<Key, Value>,
    keyed: Vec<(Value, Value)>,
}

pub(crate) fn no_bool(value: &Value) -> EvalError {
    EvalError::new(format!("expected bool, found {}", value.type_name()))
}

/// The value under a key.
fn select(base: &Value, key: &Key, optional: bool) -> Result {
    let (base, is_optional) = match base {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, true),
        base => (base, optional),
    };
    let Value::Map(map) = base else {
        return Err(EvalError::new(format!(
            "{} has no fields",
            base.type_name()
        )));
    };
    match (map.get(key), is_optional) {
        (Some(value), false) => Ok(value.clone()),
        (Some(value), true) => Ok(Value::some(value.clone())),
        (None, true) => Ok(Value::Optional(None)),
        (None, false) => Err(EvalError::new(format!("no such key: {}", shown(key)))),
    }
}

fn shown(key: &Key) -> String {
    match key {
        Key::String(text) => text.to_string(),
        other => format!("{:?}", other.value()),
    }
}

/// `base[index]`
fn at(base: &Value, index: &Value, optional: bool) -> Result {
    let (inner, is_optional) = match base {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, true),
        base => (base, optional),
    };
    let Value::List(items) = inner else {
        let key = Key::of(index)
            .ok_or_else(|| EvalError::new(format!("{} is no key", index.type_name())))?;
        return select(base, &key, optional);
    };
    let position = match index {
        Value::Int(n) => usize::try_from(*n).ok(),
        Value::Uint(n) => usize::try_from(*n).ok(),
        Value::Double(d) if d.fract() == 0.0 && *d >= 0.0 => Some(*d as usize),
        other => {
            return Err(EvalError::new(format!(
                "a list has no element {}",
                other.type_name()
            )));
        }
    };
    match (position.and_then(|at| items.get(at)), is_optional) {
        (Some(value), false) => Ok(value.clone()),
        (Some(value), true) => Ok(Value::some(value.clone())),
        (None, true) => Ok(Value::Optional(None)),
        (None, false) => Err(EvalError::new(format!("index out of bounds: {index:?}"))),
    }
}
