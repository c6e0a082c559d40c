//! What a finished value is poured into: YAML text, JSON text or a `serde_json::Value`.
//!
//! The walker in [`super`] drives; a sink sees a well-formed stream of events and knows
//! nothing of types, laziness or secrets.

use serde_json::{Map, Number, Value as Json};

/// Receives one value as a stream of events, in document order.
///
/// `map` and `list` are told whether anything follows, because YAML writes an empty
/// container in flow style. Every `map`/`list` is closed by `end`.
pub trait Sink {
    /// A null.
    fn null(&mut self);
    /// A boolean.
    fn bool(&mut self, value: bool);
    /// An integer.
    fn int(&mut self, value: i64);
    /// A finite float; the caller never passes infinities or NaN.
    fn float(&mut self, value: f64);
    /// A string.
    fn str(&mut self, value: &str);
    /// Opens a map.
    fn map(&mut self, empty: bool);
    /// The key of the value that follows.
    fn key(&mut self, key: &str);
    /// Opens a list.
    fn list(&mut self, empty: bool);
    /// Closes the innermost map or list.
    fn end(&mut self);
}

/// Builds a `serde_json::Value`, keeping the order of keys.
#[derive(Debug, Default)]
pub struct JsonSink {
    open: Vec<Open>,
    done: Option<Json>,
}

#[derive(Debug)]
enum Open {
    Map(Map<String, Json>, Option<String>),
    List(Vec<Json>),
}

impl JsonSink {
    /// Creates an empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value that was poured in; null if nothing was.
    #[must_use]
    pub fn finish(self) -> Json {
        self.done.unwrap_or(Json::Null)
    }

    fn put(&mut self, value: Json) {
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, key)) => {
                map.insert(key.take().unwrap_or_default(), value);
            }
        }
    }
}

impl Sink for JsonSink {
    fn null(&mut self) {
        self.put(Json::Null);
    }
    fn bool(&mut self, value: bool) {
        self.put(Json::Bool(value));
    }
    fn int(&mut self, value: i64) {
        self.put(Json::from(value));
    }
    fn float(&mut self, value: f64) {
        self.put(Number::from_f64(value).map_or(Json::Null, Json::Number));
    }
    fn str(&mut self, value: &str) {
        self.put(Json::String(value.to_owned()));
    }
    fn map(&mut self, _empty: bool) {
        self.open.push(Open::Map(Map::new(), None));
    }
    fn key(&mut self, key: &str) {
        if let Some(Open::Map(_, slot)) = self.open.last_mut() {
            *slot = Some(key.to_owned());
        }
    }
    fn list(&mut self, _empty: bool) {
        self.open.push(Open::List(Vec::new()));
    }
    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Map(map, _)) => self.put(Json::Object(map)),
            Some(Open::List(list)) => self.put(Json::Array(list)),
            None => {}
        }
    }
}

/// Pours a `serde_json::Value` into any sink, so that callers which hold JSON print it
/// in the same form as values fresh from evaluation.
pub fn pour(value: &Json, sink: &mut dyn Sink) {
    match value {
        Json::Null => sink.null(),
        Json::Bool(b) => sink.bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => sink.int(i),
            (None, Some(f)) => sink.float(f),
            (None, None) => sink.null(),
        },
        Json::String(s) => sink.str(s),
        Json::Array(list) => {
            sink.list(list.is_empty());
            for item in list {
                pour(item, sink);
            }
            sink.end();
        }
        Json::Object(map) => {
            sink.map(map.is_empty());
            for (key, item) in map {
                sink.key(key);
                pour(item, sink);
            }
            sink.end();
        }
    }
}
