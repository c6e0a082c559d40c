//! Built-in methods of strings, and the parts of an image reference.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ordain_lang_syntax::Span;
use ordain_lang_types::builtin::Builtin;
use ordain_lang_types::format::Image;
use ordain_lang_types::refine;
use sha2::{Digest, Sha256};

use super::Machine;
use crate::heap::Item;
use crate::value::{Reported, Res, Text, Value};

impl<'p> Machine<'p> {
    pub(super) fn of_string(&mut self, builtin: Builtin, values: &[Value], span: Span) -> Res {
        let Some(Value::Str(own)) = values.first().copied() else {
            return Err(Reported);
        };
        let arg = |at: usize| values.get(at).copied().unwrap_or(Value::Null);
        self.reads_text(own)?;
        let text = self.text(own).to_owned();
        let second = self.str_of(arg(1)).unwrap_or_default();
        let made = match builtin {
            Builtin::Len => return Ok(Value::Int(text.chars().count() as i64)),
            Builtin::IsEmpty => return Ok(Value::Bool(text.is_empty())),
            Builtin::StartsWith => return Ok(Value::Bool(text.starts_with(&second))),
            Builtin::EndsWith => return Ok(Value::Bool(text.ends_with(&second))),
            Builtin::Contains => return Ok(Value::Bool(text.contains(&second))),
            Builtin::Matches => {
                let pattern = second.into();
                return Ok(Value::Bool(refine::matches(&pattern, &text)));
            }
            Builtin::ToInt => {
                return Ok(text.parse().map_or(Value::Null, Value::Int));
            }
            Builtin::ParseQuantity => {
                let ty = ordain_lang_types::Ty::QUANTITY;
                return self.convert(Value::Str(own), ty, span, None);
            }
            Builtin::Split if second.is_empty() => {
                self.room(text.chars().count(), 0, span)?;
                let parts: Vec<String> = text.chars().map(String::from).collect();
                return Ok(self.texts(parts.iter().map(String::as_str)));
            }
            Builtin::Split => {
                self.room(text.matches(&second).count() + 1, text.len(), span)?;
                return Ok(self.texts(text.split(&second)));
            }
            Builtin::Lines => {
                self.room(text.lines().count(), text.len(), span)?;
                return Ok(self.texts(text.lines()));
            }
            Builtin::ToString => return Ok(Value::Str(own)),
            Builtin::Upper => text.to_uppercase(),
            Builtin::Lower => text.to_lowercase(),
            Builtin::Trim => text.trim().to_owned(),
            Builtin::Replace => {
                let with = self.str_of(arg(2)).unwrap_or_default();
                if second.is_empty() {
                    text
                } else {
                    let found = text.matches(&second).count();
                    self.room(0, found.saturating_mul(with.len()), span)?;
                    text.replace(&second, &with)
                }
            }
            Builtin::PadLeft | Builtin::PadRight => {
                let width = match arg(1) {
                    Value::Int(n) => usize::try_from(n).unwrap_or(0),
                    _ => 0,
                };
                let fill = self.str_of(arg(2)).unwrap_or_else(|| " ".to_owned());
                let missing = width.saturating_sub(text.chars().count());
                let widest = fill.chars().map(char::len_utf8).max().unwrap_or(0);
                self.room(0, missing.saturating_mul(widest), span)?;
                let pad: String = fill.chars().cycle().take(missing).collect();
                if builtin == Builtin::PadLeft {
                    pad + &text
                } else {
                    text + &pad
                }
            }
            Builtin::SliceStr => {
                let len = text.chars().count();
                let clamp = |value: Value, otherwise: usize| match value {
                    Value::Int(n) if n < 0 => len.saturating_sub(n.unsigned_abs() as usize),
                    Value::Int(n) => (n as usize).min(len),
                    _ => otherwise,
                };
                let (from, to) = (clamp(arg(1), 0), clamp(arg(2), len));
                text.chars()
                    .skip(from)
                    .take(to.saturating_sub(from))
                    .collect()
            }
            Builtin::Base64 => STANDARD.encode(&text),
            Builtin::Sha256 => Sha256::digest(text.as_bytes())
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            Builtin::ImageRegistry
            | Builtin::ImageRepository
            | Builtin::ImageTag
            | Builtin::ImageDigest => match image_part(builtin, &text) {
                Some(part) => part,
                None => return Ok(Value::Null),
            },
            _ => return Err(Reported),
        };
        Ok(Value::Str(self.heap.add_text(&made)))
    }

    fn texts<'t>(&mut self, parts: impl Iterator<Item = &'t str>) -> Value {
        let items: Vec<Item> = parts
            .map(|part| {
                let text: Text = self.heap.add_text(part);
                Item {
                    at: 0,
                    value: Value::Str(text),
                }
            })
            .collect();
        Value::List(self.heap.add_list(items))
    }
}

fn image_part(builtin: Builtin, text: &str) -> Option<String> {
    let image = Image::parse(text).ok()?;
    let part = match builtin {
        Builtin::ImageRegistry => image.registry,
        Builtin::ImageRepository => Some(image.repository),
        Builtin::ImageTag => image
            .tag
            .or_else(|| image.digest.is_none().then_some("latest")),
        _ => image.digest,
    };
    part.map(str::to_owned)
}
