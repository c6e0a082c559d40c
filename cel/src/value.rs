//! Values, their equality and order, and how JSON becomes one.

use core::net::IpAddr;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::functions::network::Url;

/// A value. Cloning one is cheap.
#[derive(Clone)]
pub enum Value {
    /// `null`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `uint`
    Uint(u64),
    /// `double`
    Double(f64),
    /// `string`
    String(Arc<str>),
    /// `bytes`
    Bytes(Arc<[u8]>),
    /// `list`
    List(Arc<[Value]>),
    /// `map`, and every object
    Map(Arc<BTreeMap<Key, Value>>),
    /// A duration in nanoseconds.
    Duration(i64),
    /// An instant.
    Timestamp(Timestamp),
    /// A type, by name.
    Type(&'static str),
    /// An optional value.
    Optional(Option<Arc<Value>>),
    /// Kubernetes' quantity, in billionths.
    Quantity(i128),
    /// Kubernetes' IP address.
    Ip(IpAddr),
    /// Kubernetes' CIDR: an address and how many bits of it count.
    Cidr(IpAddr, u8),
    /// Kubernetes' URL.
    Url(Arc<Url>),
    /// A named string format of Kubernetes.
    Format(&'static str),
    /// A semantic version: major, minor, patch, and what follows `-`.
    Semver(Arc<(u64, u64, u64, String)>),
}

/// A key of a map. Equal numbers are equal keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Key {
    /// `bool`
    Bool(bool),
    /// `int`, and every `uint` that fits.
    Int(i64),
    /// A `uint` beyond the integers.
    Uint(u64),
    /// `string`
    String(Arc<str>),
}

impl Key {
    /// The key that a value is, when it can be one.
    pub(crate) fn of(value: &Value) -> Option<Key> {
        Some(match value {
            Value::Bool(b) => Key::Bool(*b),
            Value::Int(n) => Key::Int(*n),
            Value::Uint(n) => i64::try_from(*n).map_or(Key::Uint(*n), Key::Int),
            Value::Double(d) if d.fract() == 0.0 && d.abs() < 9e15 => Key::Int(*d as i64),
            Value::String(text) => Key::String(Arc::clone(text)),
            _ => return None,
        })
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Key::Bool(b) => Value::Bool(*b),
            Key::Int(n) => Value::Int(*n),
            Key::Uint(n) => Value::Uint(*n),
            Key::String(text) => Value::String(Arc::clone(text)),
        }
    }
}

impl Value {
    /// A string.
    pub fn string(text: impl AsRef<str>) -> Value {
        Value::String(text.as_ref().into())
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
        Value::Bytes(bytes.into().into())
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    /// A map with string keys.
    pub fn map(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Value {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Key::String(key), value));
        Value::Map(Arc::new(entries.collect()))
    }

    pub(crate) fn some(value: Value) -> Value {
        Value::Optional(Some(Arc::new(value)))
    }

    /// JSON as a value: numbers without a fraction are integers.
    #[must_use]
    pub fn from_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => match n.as_i64() {
                Some(n) => Value::Int(n),
                None => Value::Double(n.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Value::string(text),
            Json::Array(items) => Value::list(items.iter().map(Value::from_json)),
            Json::Object(fields) => Value::map(
                fields
                    .iter()
                    .map(|(k, v)| (Arc::from(k.as_str()), Value::from_json(v))),
            ),
        }
    }

    /// How `type()` and messages name what it is.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Type(_) => "type",
            Value::Optional(_) => "optional_type",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Ip(_) => "net.IP",
            Value::Cidr(..) => "net.CIDR",
            Value::Url(_) => "kubernetes.URL",
            Value::Format(_) => "kubernetes.NamedFormat",
            Value::Semver(_) => "kubernetes.Semver",
        }
    }

    /// How much work it is to look at all of it.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Value::String(text) => 1 + text.len() as u64 / 10,
            Value::Bytes(bytes) => 1 + bytes.len() as u64 / 10,
            Value::List(items) => items.len() as u64 + 1,
            Value::Map(entries) => entries.len() as u64 + 1,
            _ => 1,
        }
    }

    /// The order of two values, when they have one.
    pub(crate) fn order(&self, other: &Value) -> Option<Ordering> {
        Some(match (self, other) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => return a.partial_cmp(b),
            (Value::Int(a), Value::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Value::Uint(a), Value::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Value::Int(a), Value::Double(b)) => return (*a as f64).partial_cmp(b),
            (Value::Double(a), Value::Int(b)) => return a.partial_cmp(&(*b as f64)),
            (Value::Uint(a), Value::Double(b)) => return (*a as f64).partial_cmp(b),
            (Value::Double(a), Value::Uint(b)) => return a.partial_cmp(&(*b as f64)),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Quantity(a), Value::Quantity(b)) => a.cmp(b),
            (Value::Semver(a), Value::Semver(b)) => {
                let numbers = (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2));
                // A version with something behind `-` comes before the one without.
                numbers.then_with(|| match (a.3.is_empty(), b.3.is_empty()) {
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    _ => a.3.cmp(&b.3),
                })
            }
            _ => return None,
        })
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Type(a), Value::Type(b)) | (Value::Format(a), Value::Format(b)) => a == b,
            (Value::Optional(a), Value::Optional(b)) => a == b,
            (Value::Ip(a), Value::Ip(b)) => a == b,
            (Value::Cidr(a, x), Value::Cidr(b, y)) => a == b && x == y,
            (Value::Url(a), Value::Url(b)) => a == b,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Uint(n) => write!(f, "{n}u"),
            Value::Double(d) => write!(f, "{d:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write!(f, "b{:?}", String::from_utf8_lossy(bytes)),
            Value::List(items) => f.debug_list().entries(items.iter()).finish(),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.value(), value));
                f.debug_map().entries(entries).finish()
            }
            Value::Type(name) | Value::Format(name) => f.write_str(name),
            Value::Optional(None) => f.write_str("none"),
            Value::Optional(Some(value)) => write!(f, "some({value:?})"),
            Value::Duration(nanos) => f.write_str(&crate::functions::time::show(*nanos)),
            Value::Timestamp(at) => write!(f, "{at}"),
            Value::Quantity(nanos) => write!(f, "{}", *nanos as f64 / 1e9),
            Value::Ip(ip) => write!(f, "{ip}"),
            Value::Cidr(ip, bits) => write!(f, "{ip}/{bits}"),
            Value::Url(url) => f.write_str(&url.text),
            Value::Semver(v) if v.3.is_empty() => write!(f, "{}.{}.{}", v.0, v.1, v.2),
            Value::Semver(v) => write!(f, "{}.{}.{}-{}", v.0, v.1, v.2, v.3),
        }
    }
}
