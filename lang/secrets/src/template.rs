//! How a value is named without being known: what a built object carries in its place.

use serde_json::{Value, json};

/// Begins every text that stands for a secret.
pub const MARK: &str = "ordain-secret/v1:";

/// How deep `base64` and `json` may nest in one template.
const DEPTH_MAX: usize = 8;

/// A value in a secrets file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reference {
    /// The file, from the project's root.
    pub file: String,
    /// Keys and positions from the file's root; empty for an `.age` file.
    pub key: Vec<String>,
    /// Of the ciphertext: another one means that the secret changed.
    pub digest: String,
}

/// A piece of a secret text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// Text that is no secret.
    Text(String),
    /// A secret.
    Ref(Reference),
    /// The base64 of a secret text.
    Base64(Template),
    /// A secret text as a JSON string, with its quotes.
    Json(Template),
}

/// A text with secrets in it: `postgres://shop:…@db`, its pieces in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// A secret alone.
    #[must_use]
    pub fn of(reference: Reference) -> Self {
        Template {
            parts: vec![Part::Ref(reference)],
        }
    }

    /// Its pieces.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Appends text.
    pub fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(text);
        } else {
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    /// Appends another template.
    pub fn push(&mut self, other: &Template) {
        for part in &other.parts {
            match part {
                Part::Text(text) => self.push_text(text),
                part => self.parts.push(part.clone()),
            }
        }
    }

    /// Its base64.
    #[must_use]
    pub fn base64(self) -> Self {
        Template {
            parts: vec![Part::Base64(self)],
        }
    }

    /// Itself as a JSON string.
    #[must_use]
    pub fn json(self) -> Self {
        Template {
            parts: vec![Part::Json(self)],
        }
    }

    /// Every secret in it.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.gather(&mut found);
        found
    }

    fn gather<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        for part in &self.parts {
            match part {
                Part::Text(_) => {}
                Part::Ref(reference) => found.push(reference),
                Part::Base64(inner) | Part::Json(inner) => inner.gather(found),
            }
        }
    }

    /// The text that stands for it in an object: [`MARK`] and JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{MARK}{}", to_json(self))
    }

    /// Reads what [`Template::encode`] wrote; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text.strip_prefix(MARK)?).ok()?;
        from_json(&value, 0)
    }
}

fn to_json(template: &Template) -> Value {
    let part = |part: &Part| match part {
        Part::Text(text) => json!(text),
        Part::Ref(reference) => json!({
            "file": reference.file, "key": reference.key, "digest": reference.digest,
        }),
        Part::Base64(inner) => json!({ "base64": to_json(inner) }),
        Part::Json(inner) => json!({ "json": to_json(inner) }),
    };
    match template.parts.as_slice() {
        [one] => part(one),
        parts => parts.iter().map(part).collect(),
    }
}

fn from_json(value: &Value, depth: usize) -> Option<Template> {
    if depth > DEPTH_MAX {
        return None;
    }
    let parts = match value {
        Value::Array(parts) => parts
            .iter()
            .map(|p| part(p, depth))
            .collect::<Option<_>>()?,
        one => vec![part(one, depth)?],
    };
    Some(Template { parts })
}

fn part(value: &Value, depth: usize) -> Option<Part> {
    let map = match value {
        Value::String(text) => return Some(Part::Text(text.clone())),
        Value::Object(map) => map,
        _ => return None,
    };
    if let Some(inner) = map.get("base64") {
        return Some(Part::Base64(from_json(inner, depth + 1)?));
    }
    if let Some(inner) = map.get("json") {
        return Some(Part::Json(from_json(inner, depth + 1)?));
    }
    let text = |name: &str| Some(map.get(name)?.as_str()?.to_owned());
    let key = map.get("key")?.as_array()?;
    Some(Part::Ref(Reference {
        file: text("file")?,
        key: key
            .iter()
            .map(|part| part.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        digest: text("digest")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference {
            file: "secrets/shop.enc.yaml".into(),
            key: vec!["db".into(), "password".into()],
            digest: "0123".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut url = Template::default();
        url.push_text("postgres://shop:");
        url.push(&Template::of(reference()));
        url.push_text("@");
        url.push_text("db");
        for template in [
            Template::of(reference()),
            Template::default(),
            url.clone(),
            url.clone().base64(),
            url.clone().base64().json(),
        ] {
            assert_eq!(Template::parse(&template.encode()), Some(template));
        }
        assert_eq!(url.parts().len(), 3);
        assert_eq!(url.base64().references(), [&reference()]);
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "plain",
            MARK,
            "ordain-secret/v1:{}",
            "ordain-secret/v1:7",
        ] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
        let deep = format!("{MARK}{}7{}", "{\"base64\":".repeat(99), "}".repeat(99));
        assert_eq!(Template::parse(&deep), None);
    }
}
