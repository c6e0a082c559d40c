//! The Common Expression Language as Kubernetes uses it: parsed once, evaluated many times, within a budget.
//!
//! The language is that of <https://github.com/google/cel-spec> without messages; the
//! functions are those Kubernetes adds (k8s.io/apiserver/pkg/cel/library). Any text and any value is safe to give:
//! nesting and work are limited, nothing panics, nothing outside is touched. Knows neither CustomResourceDefinitions
//! nor the configuration language.
//!
//! ```
//! use ordain_cel::{Program, Value};
//!
//! let program = Program::compile("self.min <= self.max", &["self"]).expect("it is right");
//! let value = Value::from_json(&serde_json::json!({ "min": 1, "max": 3 }));
//! let mut budget = 1_000;
//! assert_eq!(program.eval(&[("self", value)], &mut budget), Ok(Value::Bool(true)));
//! ```

mod ast;
mod check;
mod error;
mod eval;
mod functions;
mod lexer;
mod macros;
mod names;
mod operators;
mod parser;
mod program;
mod value;

pub use check::{Declared, Type, TypeError};
pub use error::{CompileError, EvalError, excerpt};
pub use functions::network::Url;
pub use functions::text::base64;
pub use functions::time::{Date, duration, timestamp};
pub use names::escape;
pub use program::{MAX_DEPTH, MAX_NESTED, MAX_TEXT, Program};
pub use value::{Key, Value};
