//! Evaluation of checked programs: late binding, amendments, provenance, and the objects as text.
//!
//! [`evaluate`] takes a program and an environment, evaluates every app by itself, and hands each
//! to the caller's function as an [`App`], whose objects can be written as YAML, JSON or a
//! `serde_json::Value`, and asked which lines set a field:
//!
//! ```no_run
//! # fn f(program: &ordain_lang_types::Program) {
//! use ordain_lang_eval::{Options, YamlText, evaluate};
//!
//! let options = Options { env: program.env("prod"), threads: 2 };
//! let built = evaluate(program, options, |app| {
//!     let mut text = YamlText::new();
//!     for object in app.objects.clone() {
//!         text.document();
//!         app.write(&object, &mut text);
//!     }
//!     text.finish()
//! });
//! # let _ = built;
//! # }
//! ```
//!
//! This crate opens no file and knows no syntax tree; it reads what the checker resolved.

mod effective;
mod emit;
mod heap;
mod identity;
mod limits;
mod look;
mod machine;
pub mod num;
mod provenance;
mod session;
mod settle;
mod suites;
mod value;

pub use effective::{Effective, PathStep, effective};
pub use emit::{JsonSink, JsonText, Sink, YamlText, pour};
pub use identity::duplicates;
pub use look::{Node, Origin};
pub use provenance::{How, Layer, Source};
pub use session::{
    App, Evaluated, More, Object, Options, Piece, evaluate, evaluate_pieces, gather, is_one_piece,
};
pub use suites::{Part, Rules, Tested, run_test, run_tests};
