//! From references to values, just before an object is applied. What comes out goes to the API server and nowhere else.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::document::{Document, Format};
use crate::error::{DocumentError, OpenError};
use crate::keys::Identity;
use crate::open::Opened;
use crate::template::{MARK, Part, Reference, Template};

/// What stands for a value in a message that the API server wrote.
const HIDDEN: &str = "(secret)";

/// An object whose secrets cannot be filled in. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// The file is not among those of the commit.
    #[error("there is no secrets file `{file}`")]
    NoFile {
        /// The file.
        file: String,
    },
    /// The file cannot be opened.
    #[error("cannot decrypt `{file}`: {source}")]
    Open {
        /// The file.
        file: String,
        /// Why.
        source: OpenError,
    },
    /// The value is another one than was compiled.
    #[error("`{key}` of `{file}` is not the value that was compiled")]
    Changed {
        /// The file.
        file: String,
        /// The key, with dots.
        key: String,
    },
    /// A value is no text.
    #[error("`{key}` of `{file}` is no text")]
    NotText {
        /// The file.
        file: String,
        /// The key, with dots.
        key: String,
    },
    /// A reference stands where no secret may be.
    #[error("a secret stands at `{path}`; only `data` and `stringData` of a Secret may hold one")]
    Elsewhere {
        /// The field.
        path: String,
    },
    /// A text that begins as a reference is none.
    #[error("the secret at `{path}` cannot be read")]
    Malformed {
        /// The field.
        path: String,
    },
}

/// An object with its secrets, and the secrets themselves, so that they can be kept out of messages.
pub struct Revealed {
    /// The object as it is sent.
    pub object: Value,
    /// Every text that was filled in, in the clear.
    pub values: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Revealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Revealed({} values)", self.values.len())
    }
}

/// Fills secrets in. Every file is opened once.
pub struct Revealer<'a> {
    identities: &'a [Identity],
    read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    files: HashMap<String, Result<File, RevealError>>,
}

struct File {
    opened: Opened,
    digests: HashMap<Vec<String>, String>,
}

/// Whether a text stands for a secret.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Every secret that an object names, in its order.
#[must_use]
pub fn references(object: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    walk(object, &mut String::new(), &mut |_, text| {
        if let Some(template) = Template::parse(text) {
            found.extend(template.references().into_iter().cloned());
        }
    });
    found
}

/// Replaces values in somebody else's message, as they are, in base64 and as JSON would escape them.
#[must_use]
pub fn scrub(message: &str, values: &[Zeroizing<String>]) -> String {
    let mut text = message.to_owned();
    // Long ones first: a short one may be part of a long one.
    let mut values: Vec<&str> = values
        .iter()
        .map(|v| v.as_str())
        .filter(|v| !v.is_empty())
        .collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in values {
        let quoted = Value::from(value).to_string();
        let escaped = quoted.trim_matches('"');
        for form in [value, escaped, STANDARD.encode(value).as_str()] {
            text = text.replace(form, HIDDEN);
        }
    }
    text
}

impl<'a> Revealer<'a> {
    /// Takes the keys and the files; `read` gives a secrets file's bytes by its path from the project's root.
    pub fn new(identities: &'a [Identity], read: &'a dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        Revealer {
            identities,
            read,
            files: HashMap::new(),
        }
    }

    /// An object with its secrets; `None` when it names none.
    ///
    /// # Errors
    /// When a secret cannot be had, or stands where it would not stay one.
    pub fn object(&mut self, object: &Value) -> Result<Option<Revealed>, RevealError> {
        let mut places = Vec::new();
        walk(object, &mut String::new(), &mut |path, text| {
            if is_reference(text) {
                places.push(path.to_owned());
            }
        });
        if places.is_empty() {
            return Ok(None);
        }
        let is_secret = object["kind"] == "Secret" && object["apiVersion"] == "v1";
        let lawful = |path: &String| path.starts_with("data.") || path.starts_with("stringData.");
        if let Some(path) = places.iter().find(|path| !is_secret || !lawful(path)) {
            return Err(RevealError::Elsewhere { path: path.clone() });
        }
        let mut object = object.clone();
        let mut values = Vec::new();
        let data = self.map(&mut object, "data", &mut values)?;
        let texts = self.map(&mut object, "stringData", &mut values)?;
        let root = object.as_object_mut().expect("it has a kind");
        let mut all = data.unwrap_or_default();
        // The server does the same, but would then own the fields of both.
        for (key, text) in texts.unwrap_or_default() {
            if let Value::String(text) = text {
                all.insert(key, STANDARD.encode(text).into());
            }
        }
        root.insert("data".into(), Value::Object(all));
        Ok(Some(Revealed { object, values }))
    }

    fn map(
        &mut self,
        object: &mut Value,
        field: &str,
        values: &mut Vec<Zeroizing<String>>,
    ) -> Result<Option<Map<String, Value>>, RevealError> {
        let Some(Value::Object(mut map)) =
            object.as_object_mut().and_then(|o| o.shift_remove(field))
        else {
            return Ok(None);
        };
        for (key, value) in &mut map {
            let Value::String(text) = &*value else {
                continue;
            };
            if !is_reference(text) {
                continue;
            }
            let template = Template::parse(text).ok_or_else(|| RevealError::Malformed {
                path: format!("{field}.{key}"),
            })?;
            let plain = self.text(&template, values)?;
            *value = Value::String(plain.to_string());
            if field == "data"
                && let Some(inner) = STANDARD.decode(plain.as_bytes()).ok()
                && let Ok(inner) = String::from_utf8(inner)
            {
                values.push(Zeroizing::new(inner));
            }
            values.push(plain);
        }
        Ok(Some(map))
    }

    /// The text of a template.
    ///
    /// # Errors
    /// When one of its secrets cannot be had.
    pub fn text(
        &mut self,
        template: &Template,
        values: &mut Vec<Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, RevealError> {
        let mut out = Zeroizing::new(String::new());
        for part in template.parts() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Ref(reference) => {
                    let value = self.value(reference)?;
                    out.push_str(&value);
                    values.push(value);
                }
                Part::Base64(inner) => {
                    let inner = self.text(inner, values)?;
                    out.push_str(&Zeroizing::new(STANDARD.encode(inner.as_bytes())));
                }
                Part::Json(inner) => {
                    let inner = self.text(inner, values)?;
                    out.push_str(&Zeroizing::new(Value::from(inner.as_str()).to_string()));
                }
            }
        }
        Ok(out)
    }

    fn value(&mut self, reference: &Reference) -> Result<Zeroizing<String>, RevealError> {
        let file = || reference.file.clone();
        let key = || match reference.key.is_empty() {
            true => "its content".to_owned(),
            false => reference.key.join("."),
        };
        if !self.files.contains_key(&reference.file) {
            let opened = self.file(&reference.file);
            self.files.insert(reference.file.clone(), opened);
        }
        let opened = self.files[&reference.file].as_ref().map_err(Clone::clone)?;
        let plain = opened
            .opened
            .get(&reference.key)
            .map_err(|source| RevealError::Open {
                file: file(),
                source,
            })?;
        if opened.digests.get(&reference.key) != Some(&reference.digest) {
            return Err(RevealError::Changed {
                file: file(),
                key: key(),
            });
        }
        plain.to_text().ok_or_else(|| RevealError::NotText {
            file: file(),
            key: key(),
        })
    }

    fn file(&self, path: &str) -> Result<File, RevealError> {
        let open = |source| RevealError::Open {
            file: path.to_owned(),
            source,
        };
        let bytes = (self.read)(path).ok_or_else(|| RevealError::NoFile {
            file: path.to_owned(),
        })?;
        let document = Format::of(path)
            .and_then(|format| Document::parse(format, &bytes))
            .map_err(|error: DocumentError| open(error.into()))?;
        let opened = document.open(self.identities).map_err(open)?;
        let digests = document
            .entries()
            .into_iter()
            .map(|entry| (entry.path, entry.leaf.digest))
            .collect();
        Ok(File { opened, digests })
    }
}

/// Calls with every text of a value and the path to it.
fn walk(value: &Value, path: &mut String, call: &mut dyn FnMut(&str, &str)) {
    let length = path.len();
    match value {
        Value::String(text) => call(path, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push_str(&format!("[{at}]"));
                walk(item, path, call);
                path.truncate(length);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                walk(item, path, call);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
