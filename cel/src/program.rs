//! A compiled expression.

use std::sync::Arc;

use crate::ast::{Expr, Kind};
use crate::error::{CompileError, EvalError};
use crate::eval::Machine;
use crate::parser;
use crate::value::Value;

/// The longest expression that is read, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// How deep brackets and conditions may be nested: several times what people write, and little enough for any stack.
pub const MAX_NESTED: usize = 50;
/// How deep an expression's tree may be, chains of operators included.
pub const MAX_DEPTH: usize = 150;

/// A compiled expression: made once, evaluated as often as needed, on any thread.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) root: Expr,
    /// The variables it may use, and whether it does.
    pub(crate) variables: Vec<(Arc<str>, bool)>,
}

impl Program {
    /// Compiles a text that may use the variables.
    ///
    /// # Errors
    /// When it is no expression, or uses a name or function that is not there.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Program, CompileError> {
        parser::parse(text, variables)
    }

    /// Whether the expression uses a variable.
    #[must_use]
    pub fn uses(&self, variable: &str) -> bool {
        self.variables
            .iter()
            .any(|(name, used)| *used && **name == *variable)
    }

    /// The fields that the expression reads of the variables, as they are written, with their values: what explains a
    /// rule that does not hold. Those without a value, and lists and objects, are left out.
    #[must_use]
    pub fn readings(&self, values: &[(&str, Value)], budget: &mut u64) -> Vec<(String, Value)> {
        /// More would not explain anything.
        const MOST: usize = 6;
        let mut chains = Vec::new();
        chains_of(&self.root, &mut chains);
        let mut readings: Vec<(String, Value)> = Vec::new();
        for chain in chains {
            let Some((root, names)) = written(chain) else {
                continue;
            };
            let Some((root, _)) = self.variables.get(root) else {
                continue;
            };
            let text = format!("{root}{names}");
            if readings.len() >= MOST || readings.iter().any(|(known, _)| *known == text) {
                continue;
            }
            match self.eval_part(chain, values, budget) {
                Ok(Value::List(_) | Value::Map(_) | Value::Optional(_) | Value::Null) | Err(_) => {}
                Ok(value) => readings.push((text, value)),
            }
        }
        readings
    }

    /// Evaluates with values for the variables. Every step takes from the budget, long strings and lists more; what is
    /// left of it stays there.
    ///
    /// # Errors
    /// [`EvalError::Budget`] when the budget is used up; [`EvalError::Failed`] when an operation has no result.
    pub fn eval(&self, values: &[(&str, Value)], budget: &mut u64) -> Result<Value, EvalError> {
        self.eval_part(&self.root, values, budget)
    }

    fn eval_part(
        &self,
        part: &Expr,
        values: &[(&str, Value)],
        budget: &mut u64,
    ) -> Result<Value, EvalError> {
        let locals = self.variables.iter().map(|(name, _)| {
            let given = values.iter().find(|(n, _)| **n == **name);
            given.map_or(Value::Null, |(_, value)| value.clone())
        });
        let mut machine = Machine {
            locals: locals.collect(),
            budget,
        };
        machine.eval(part)
    }
}

/// The longest chains of fields in an expression, in the order of the text.
fn chains_of<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    if written(expr).is_some() {
        out.push(expr);
        return;
    }
    match &expr.kind {
        Kind::Literal(_) | Kind::Variable(_) => {}
        // Whether a field is there is told by its value, or by its absence.
        Kind::Has { .. } => {}
        Kind::Select { base, .. } | Kind::Not(base) | Kind::Negate(base) => chains_of(base, out),
        Kind::Index { base, index, .. } => {
            [base, index].into_iter().for_each(|e| chains_of(e, out))
        }
        Kind::Call { args, .. } => args.iter().for_each(|e| chains_of(e, out)),
        Kind::List(items) => items.iter().for_each(|(e, _)| chains_of(e, out)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value, _)| {
            chains_of(key, out);
            chains_of(value, out);
        }),
        Kind::And(parts) | Kind::Or(parts) => parts.iter().for_each(|e| chains_of(e, out)),
        Kind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| chains_of(e, out)),
        Kind::Binary(_, a, b) | Kind::Bind(a, b) => {
            [a, b].into_iter().for_each(|e| chains_of(e, out))
        }
        Kind::OptMap { value, body, .. } => {
            [value, body].into_iter().for_each(|e| chains_of(e, out))
        }
        Kind::Loop(each) => {
            chains_of(&each.range, out);
            let parts = [&each.condition, &each.body];
            parts.into_iter().flatten().for_each(|e| chains_of(e, out));
        }
    }
}

/// A chain of fields: its variable, by position, and the rest as it is written.
fn written(expr: &Expr) -> Option<(usize, String)> {
    match &expr.kind {
        Kind::Select { base, name, .. } => {
            let (root, mut names) = match &base.kind {
                Kind::Variable(at) => (*at, String::new()),
                _ => written(base)?,
            };
            names.push('.');
            names.push_str(name);
            Some((root, names))
        }
        _ => None,
    }
}
