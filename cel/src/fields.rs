//! Which fields an expression reads, held against what is declared: the part of a type check that finds typos.
//!
//! Only chains of fields, elements and the variables of macros are followed. What comes out of a function or operator is
//! not known, and nothing is told of it.

use crate::ast::{Expr, Kind, Loop};
use crate::program::Program;

/// What is declared of a value: implemented by whoever knows the schema.
pub trait Declared: Copy {
    /// The field of an object, or the value of a map under this key. The name is escaped as identifiers are.
    fn field(self, name: &str) -> Lookup<Self>;
    /// The elements of a list, or the values of a map.
    fn element(self) -> Option<Self>;
    /// The names of its fields, for suggestions.
    fn names(self) -> Vec<String>;
    /// Whether it is a map or an object: macros with one variable give its keys.
    fn is_map(self) -> bool;
}

/// What is known of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup<T> {
    /// It is declared.
    Known(T),
    /// It may be there or not.
    Open,
    /// It is not declared.
    Missing,
}

impl Program {
    /// The names of fields that are read but not declared, given what is declared of each variable; with each the names
    /// that are declared there.
    #[must_use]
    pub fn undeclared<T: Declared>(&self, variables: &[(&str, T)]) -> Vec<(String, Vec<String>)> {
        let scope = self.variables.iter().map(|(name, _)| {
            let known = variables.iter().find(|(n, _)| **n == **name);
            known.map(|(_, declared)| *declared)
        });
        let mut walk = Walk {
            scope: scope.collect(),
            missing: Vec::new(),
        };
        walk.expr(&self.root);
        walk.missing
    }
}

struct Walk<T> {
    /// What is declared of the variables in scope, outermost first.
    scope: Vec<Option<T>>,
    missing: Vec<(String, Vec<String>)>,
}

impl<T: Declared> Walk<T> {
    fn expr(&mut self, expr: &Expr) -> Option<T> {
        match &expr.kind {
            Kind::Literal(_) => None,
            Kind::Variable(at) => self.scope.get(*at).copied().flatten(),
            Kind::Select { base, name, .. } => {
                let base = self.expr(base);
                self.field(base, name)
            }
            Kind::Has { base, name } => {
                let base = self.expr(base);
                self.field(base, name);
                None
            }
            Kind::Index { base, index, .. } => {
                let base = self.expr(base);
                self.expr(index);
                base?.element()
            }
            Kind::Call { args, .. } => self.all(args),
            Kind::And(parts) | Kind::Or(parts) => self.all(parts),
            Kind::List(items) => {
                for (item, _) in items {
                    self.expr(item);
                }
                None
            }
            Kind::Map(entries) => {
                for (key, value, _) in entries {
                    self.expr(key);
                    self.expr(value);
                }
                None
            }
            Kind::Not(inner) | Kind::Negate(inner) => {
                self.expr(inner);
                None
            }
            Kind::If(condition, then, otherwise) => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
                None
            }
            Kind::Binary(_, left, right) => {
                self.expr(left);
                self.expr(right);
                None
            }
            Kind::Bind(value, body) => {
                let value = self.expr(value);
                self.within([value], body)
            }
            Kind::OptMap { value, body, .. } => {
                let value = self.expr(value);
                self.within([value], body);
                None
            }
            Kind::Loop(each) => {
                self.each(each);
                None
            }
        }
    }

    fn all(&mut self, parts: &[Expr]) -> Option<T> {
        for part in parts {
            self.expr(part);
        }
        None
    }

    fn within<const N: usize>(&mut self, more: [Option<T>; N], body: &Expr) -> Option<T> {
        let before = self.scope.len();
        self.scope.extend(more);
        let made = self.expr(body);
        self.scope.truncate(before);
        made
    }

    fn each(&mut self, each: &Loop) {
        let range = self.expr(&each.range);
        let element = range.and_then(Declared::element);
        let keys_only = range.is_some_and(Declared::is_map) && !each.two;
        let element = element.filter(|_| !keys_only);
        for part in [&each.condition, &each.body].into_iter().flatten() {
            match each.two {
                true => self.within([None, element], part),
                false => self.within([element], part),
            };
        }
    }

    fn field(&mut self, base: Option<T>, name: &str) -> Option<T> {
        let base = base?;
        match base.field(name) {
            Lookup::Known(declared) => Some(declared),
            Lookup::Open => None,
            Lookup::Missing => {
                self.missing.push((name.to_owned(), base.names()));
                None
            }
        }
    }
}
