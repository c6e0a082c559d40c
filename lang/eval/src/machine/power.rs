//! The values of all parts of an assertion that does not hold, for a drawing below its text.
//!
//! What was not evaluated the first time (the right side of a false `and`) has no value here
//! either; constants that are written out are not repeated.

use ordain_lang_types::hir::{BinOp, ExprId, ExprKind};

use super::{Cx, Machine};
use crate::suites::Part;
use crate::value::Value;

/// Parts that are shown at most.
const SHOWN: usize = 24;

impl Machine<'_> {
    /// The values of the parts of an expression, in the order in which they are evaluated.
    pub(super) fn power(&mut self, expr: ExprId, cx: Cx) -> Vec<Part> {
        let mut parts = Vec::new();
        let before = self.diagnostics.len();
        self.part(expr, cx, false, &mut parts);
        // Everything was evaluated before, so nothing new can go wrong.
        self.diagnostics.truncate(before);
        parts
    }

    /// Adds the value of an expression and those of its parts. `is_base`: only a field of it is read.
    fn part(&mut self, id: ExprId, cx: Cx, is_base: bool, parts: &mut Vec<Part>) {
        if parts.len() >= SHOWN {
            return;
        }
        let program = self.program;
        let span = program.hir.span(id);
        let end = |id: &ExprId| program.hir.span(*id).end;
        let mut after = span.start;
        match program.hir.kind(id) {
            ExprKind::Check(inner, ..) | ExprKind::Convert(inner, ..) => {
                return self.part(*inner, cx, is_base, parts);
            }
            ExprKind::Binary(op, left, right) => {
                self.part(*left, cx, false, parts);
                let decides = match op {
                    BinOp::And => matches!(self.eval(*left, cx), Ok(Value::Bool(true))),
                    BinOp::Or => matches!(self.eval(*left, cx), Ok(Value::Bool(false))),
                    BinOp::Coalesce => matches!(self.eval(*left, cx), Ok(Value::Null)),
                    _ => true,
                };
                after = end(left);
                if decides {
                    self.part(*right, cx, false, parts);
                }
            }
            ExprKind::Not(inner) | ExprKind::Neg(inner) => self.part(*inner, cx, false, parts),
            ExprKind::Field(base, _) | ExprKind::DynField(base, _) => {
                self.part(*base, cx, true, parts);
                after = end(base);
            }
            ExprKind::MapGet(base, key) | ExprKind::Index(base, key) => {
                self.part(*base, cx, true, parts);
                self.part(*key, cx, false, parts);
                after = end(base);
            }
            ExprKind::Lookup(base, _) | ExprKind::Object(base, _) | ExprKind::OfKind(base, _) => {
                self.part(*base, cx, true, parts);
                after = end(base);
            }
            ExprKind::Builtin(_, args) => {
                for (at, arg) in args.iter().enumerate() {
                    // The receiver of a method stands before its name.
                    let is_receiver = at == 0 && program.hir.span(*arg).start == span.start;
                    self.part(*arg, cx, false, parts);
                    if is_receiver {
                        after = end(arg);
                    }
                }
            }
            ExprKind::Call(_, args) => {
                for arg in args.iter().flatten() {
                    self.part(*arg, cx, false, parts);
                }
            }
            ExprKind::CallValue(_, args) => {
                for arg in args {
                    self.part(*arg, cx, false, parts);
                }
            }
            ExprKind::Local(_)
            | ExprKind::SelfField(_)
            | ExprKind::Let(_)
            | ExprKind::If(..)
            | ExprKind::Match(..)
            | ExprKind::LetIn(..)
            | ExprKind::Interp(_)
            | ExprKind::Amend(..) => {}
            // Literals, functions, whole apps.
            _ => return,
        }
        let Ok(value) = self.eval(id, cx) else {
            return;
        };
        let is_large = matches!(value, Value::Rec(_) | Value::Map(_) | Value::List(_));
        let is_function = matches!(value, Value::Fn(_) | Value::Closure(_));
        if (is_base && is_large) || is_function {
            return;
        }
        parts.push(Part {
            span,
            after,
            value: self.show(value),
        });
    }
}
