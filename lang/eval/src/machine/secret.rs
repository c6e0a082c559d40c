//! Secrets: texts that are put together although nobody knows what they say.

use ordain_lang_secrets::Template;
use ordain_lang_syntax::Span;
use ordain_lang_types::TyKind;
use ordain_lang_types::builtin::Builtin;
use ordain_lang_types::hir::{ExprId, Part};

use super::Machine;
use super::pour::{NUMBERED, Pour, Secrets};
use crate::emit::JsonText;
use crate::value::{Res, Value};

impl<'p> Machine<'p> {
    /// A value of a secrets file.
    pub(super) fn secret(&mut self, reference: &str) -> Value {
        // What the checker wrote is read; a text that is none stands for nothing.
        self.heap
            .add_secret(Template::parse(reference).unwrap_or_default())
    }

    /// Whether an expression gives a secret.
    pub(super) fn is_secret(&self, expr: ExprId) -> bool {
        let types = &self.program.types;
        let ty = types.without_optional(self.program.hir.ty(expr));
        matches!(types.kind(ty), TyKind::Secret(_))
    }

    /// A string with secrets in it.
    pub(super) fn interpolate_secret(
        &mut self,
        parts: &'p [Part],
        values: &[Value],
        span: Span,
    ) -> Res {
        let mut values = values.iter();
        let mut made = Template::default();
        for part in parts {
            match part {
                Part::Text(text) => made.push_text(text),
                Part::Expr(_) => match values.next().copied().unwrap_or(Value::Null) {
                    Value::Secret(index) => made.push(&self.heap.secrets[index as usize]),
                    value => made.push_text(&self.plain_text(value)),
                },
            }
            self.room(0, made.parts().len(), span)?;
        }
        Ok(self.heap.add_secret(made))
    }

    /// `base64`, `to_string` of a secret.
    pub(super) fn of_secret(&mut self, builtin: Builtin, index: u32) -> Value {
        let secret = self.heap.secrets[index as usize].clone();
        self.heap.add_secret(match builtin {
            Builtin::Base64 => secret.base64(),
            _ => secret,
        })
    }

    /// `to_json` of something that holds secrets.
    pub(super) fn secret_json(&mut self, value: Value) -> Res {
        let mut text = JsonText::new(false);
        let how = Pour {
            secrets: Secrets::Numbered,
            nulls: true,
            ..Pour::default()
        };
        self.pour(value, &mut text, how)?;
        let text = text.finish();
        let mut made = Template::default();
        let mut rest = text.as_str();
        // Each number stands in quotes, which belong to the secret's own JSON.
        let open = format!("\"{}", NUMBERED.0);
        let close = format!("{}\"", NUMBERED.1);
        while let Some((before, after)) = rest.split_once(&open) {
            let known = after.split_once(&close).and_then(|(number, after)| {
                let at: usize = number.parse().ok()?;
                Some((self.heap.secrets.get(at)?, after))
            });
            match known {
                Some((secret, after)) => {
                    made.push_text(before);
                    made.push(&secret.clone().json());
                    rest = after;
                }
                None => {
                    made.push_text(before);
                    made.push_text(&open);
                    rest = after;
                }
            }
        }
        made.push_text(rest);
        Ok(self.heap.add_secret(made))
    }
}
