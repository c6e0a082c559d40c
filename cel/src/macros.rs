//! Macros: `has`, the comprehensions, `cel.bind`, and those of optional values.

use std::sync::Arc;

use crate::ast::{Expr, Kind, Loop, Makes};
use crate::error::CompileError;
use crate::parser::{Parsed, Parser};

impl Parser {
    /// `has(a.b)`, after the bracket.
    pub(crate) fn has(&mut self, offset: usize) -> Parsed {
        let inner = self.expr()?;
        self.close()?;
        let below = inner.depth;
        match inner.kind {
            Kind::Select {
                base,
                name,
                optional: false,
            } => self.node(Kind::Has { base, name }, below, inner.at as usize),
            _ => Err(CompileError::new(
                offset,
                "`has` asks for a field: `has(self.field)`",
            )),
        }
    }

    /// `cel.bind(x, value, body)`, after the bracket.
    pub(crate) fn bind(&mut self, offset: usize) -> Parsed {
        let name = self.bound_name()?;
        let value = self.expr()?;
        if !self.comma() {
            return Err(CompileError::new(
                self.offset(),
                "`cel.bind` takes a name, a value and a body",
            ));
        }
        let body = self.scoped(&[name])?;
        self.close()?;
        let below = value.depth.max(body.depth);
        self.node(Kind::Bind(value.into(), body.into()), below, offset)
    }

    /// An expression in which more variables are known.
    fn scoped(&mut self, names: &[Arc<str>]) -> Parsed {
        self.scope.extend(names.iter().cloned());
        let made = self.expr();
        self.scope.truncate(self.scope.len() - names.len());
        made
    }

    /// A call with a receiver, after the bracket: a macro, or a function.
    pub(crate) fn method(&mut self, base: Expr, name: &str, offset: usize) -> Parsed {
        let makes = match name {
            "all" => Makes::All,
            "exists" => Makes::Exists,
            "exists_one" | "existsOne" => Makes::ExistsOne,
            "filter" => Makes::Kept,
            "map" | "transformList" => Makes::List,
            "transformMap" => Makes::Map,
            "sortBy" => Makes::Sorted,
            "optMap" | "optFlatMap" => return self.opt_map(base, name == "optFlatMap", offset),
            _ => {
                let mut args = vec![base];
                args.extend(self.args()?);
                return self.call(name, args, true, offset);
            }
        };
        let mut names = vec![self.bound_name()?];
        let may_have_two = !matches!(name, "filter" | "map" | "sortBy");
        if may_have_two && self.is_name_and_comma() {
            names.push(self.bound_name()?);
        }
        let first = self.scoped(&names)?;
        let second = match matches!(makes, Makes::List | Makes::Map) && self.comma() {
            true => Some(self.scoped(&names)?),
            false => None,
        };
        self.close()?;
        let (condition, body) = match (makes, second) {
            (Makes::List | Makes::Map, Some(body)) => (Some(first), Some(body)),
            (Makes::List | Makes::Map | Makes::Sorted, None) => (None, Some(first)),
            _ => (Some(first), None),
        };
        if names.len() < 2 && matches!(name, "transformList" | "transformMap") {
            return Err(CompileError::new(
                offset,
                format!("`{name}` takes two variables"),
            ));
        }
        let below = [Some(&base), condition.as_ref(), body.as_ref()];
        let below = below
            .into_iter()
            .flatten()
            .map(|e| e.depth)
            .max()
            .unwrap_or(0);
        let two = names.len() == 2;
        self.node(
            Kind::Loop(Box::new(Loop {
                range: base,
                makes,
                two,
                condition,
                body,
            })),
            below,
            offset,
        )
    }

    fn opt_map(&mut self, value: Expr, flat: bool, offset: usize) -> Parsed {
        let name = self.bound_name()?;
        let body = self.scoped(&[name])?;
        self.close()?;
        let below = value.depth.max(body.depth);
        self.node(
            Kind::OptMap {
                value: value.into(),
                body: body.into(),
                flat,
            },
            below,
            offset,
        )
    }
}
