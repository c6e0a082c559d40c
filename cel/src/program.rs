//! A compiled expression.

use std::sync::Arc;

use crate::ast::Expr;
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

    /// Evaluates with values for the variables. Every step takes from the budget, long strings and lists more; what is
    /// left of it stays there.
    ///
    /// # Errors
    /// [`EvalError::Budget`] when the budget is used up; [`EvalError::Failed`] when an operation has no result.
    pub fn eval(&self, values: &[(&str, Value)], budget: &mut u64) -> Result<Value, EvalError> {
        let locals = self.variables.iter().map(|(name, _)| {
            let given = values.iter().find(|(n, _)| **n == **name);
            given.map_or(Value::Null, |(_, value)| value.clone())
        });
        let mut machine = Machine {
            locals: locals.collect(),
            budget,
        };
        machine.eval(&self.root)
    }
}
