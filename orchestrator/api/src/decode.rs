//! Bytes of a request to a JSON value: JSON or YAML, with repeated keys noticed. It does not know
//! what type the value should have (see `conform`).

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::status::Status;

/// How many repeated keys are reported; more are only counted as one of them.
const DUPLICATES_MAX: usize = 100;
/// How many levels a body may nest. Both parsers refuse 128; a CustomResourceDefinition of the
/// usual kind needs under 60.
const DEPTH_MAX: usize = 120;

/// A parsed body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The value; of a repeated key the last value counts, as upstream has it.
    pub value: Value,
    /// The paths of repeated keys: `spec.replicas`.
    pub duplicates: Vec<String>,
}

/// The body is not JSON, or not YAML.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The JSON is malformed or nested too deeply.
    #[error("couldn't parse the body as JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The YAML is malformed, nested too deeply, or expands without end.
    #[error("couldn't parse the body as YAML: {0}")]
    Yaml(#[source] serde_yaml::Error),
}

impl From<DecodeError> for Status {
    fn from(error: DecodeError) -> Status {
        Status::bad_request(error.to_string())
    }
}

/// Parses JSON.
///
/// # Errors
/// When the text is malformed, nested too deeply, or followed by something else.
pub fn from_json(body: &[u8]) -> Result<Decoded, DecodeError> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Node(&state)
        .deserialize(&mut deserializer)
        .map_err(DecodeError::Json)?;
    deserializer.end().map_err(DecodeError::Json)?;
    Ok(Decoded {
        value,
        duplicates: state.duplicates.into_inner(),
    })
}

/// Parses one YAML document; JSON is YAML too. Keys that are numbers or booleans become strings.
///
/// # Errors
/// When the text is malformed, nested too deeply, or has more than one document.
pub fn from_yaml(body: &[u8]) -> Result<Decoded, DecodeError> {
    let state = State::default();
    let deserializer = serde_yaml::Deserializer::from_slice(body);
    let value = Node(&state)
        .deserialize(deserializer)
        .map_err(DecodeError::Yaml)?;
    Ok(Decoded {
        value,
        duplicates: state.duplicates.into_inner(),
    })
}

/// Where the parser is, and what it noticed.
#[derive(Default)]
struct State {
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<String>>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl State {
    fn duplicate(&self, key: &str) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() >= DUPLICATES_MAX {
            return;
        }
        let mut path = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Key(key) => push_key(&mut path, key),
                Step::Index(index) => path += &format!("[{index}]"),
            }
        }
        push_key(&mut path, key);
        duplicates.push(path);
    }

    fn within<T, E: serde::de::Error>(
        &self,
        step: Step,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.path.borrow().len() >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.path.borrow_mut().push(step);
        let result = read();
        self.path.borrow_mut().pop();
        result
    }
}

/// Appends a key to a path such as `spec.containers[0]`.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

#[derive(Clone, Copy)]
struct Node<'s>(&'s State);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let step = Step::Index(list.len());
            match self.0.within(step, || access.next_element_seed(self))? {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key_seed(Node(self.0))? {
            let key = match key {
                Value::String(key) => key,
                Value::Bool(_) | Value::Number(_) | Value::Null => key.to_string(),
                _ => return Err(A::Error::custom("a key must be a scalar")),
            };
            if map.contains_key(&key) {
                self.0.duplicate(&key);
            }
            let value = self
                .0
                .within(Step::Key(key.clone()), || access.next_value_seed(self))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_keys_are_noticed_with_their_path() {
        let body = br#"{"a":1,"spec":{"list":[{"x":1},{"x":1,"x":2}]},"a":3}"#;
        let decoded = from_json(body).expect("well formed");
        assert_eq!(
            decoded.value,
            json!({"a": 3, "spec": {"list": [{"x": 1}, {"x": 2}]}})
        );
        assert_eq!(decoded.duplicates, ["spec.list[1].x", "a"]);
    }

    #[test]
    fn yaml_becomes_json() {
        let decoded = from_yaml(b"a: [1, 2.5, yes, ~]\n1: x\ntrue: y\n").expect("well formed");
        assert_eq!(
            decoded.value,
            json!({"a": [1, 2.5, "yes", null], "1": "x", "true": "y"})
        );
    }

    #[test]
    fn hostile_bodies_are_refused() {
        let deep = "[".repeat(100_000);
        for body in [
            deep.as_str(),
            "{\"a\":1e999}",
            "{} {}",
            "",
            "{\"a\":}",
            "nul",
        ] {
            assert!(
                from_json(body.as_bytes()).is_err(),
                "{}",
                &body[..body.len().min(20)]
            );
        }
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                    e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                    g: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        assert!(from_yaml(bomb.as_bytes()).is_err());
        assert!(from_yaml(b"a: 1\n---\nb: 2\n").is_err());
        assert!(from_yaml("[".repeat(10_000).as_bytes()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_json(&bytes);
            let _ = from_yaml(&bytes);
        }
    }
}
