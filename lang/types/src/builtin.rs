//! The built-in functions, methods and properties of scalar types, by number.
//!
//! Lists what there is and its types in words; the evaluator knows how each is computed.

/// A built-in. The receiver of a method is its first argument; when the receiver is absent, so is the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Builtin {
    /// `x.len()`: characters of a String, elements of a List, entries of a Map.
    Len,
    /// `x.is_empty()` of the same three.
    IsEmpty,
    /// `s.upper()`.
    Upper,
    /// `s.lower()`.
    Lower,
    /// `s.trim()`.
    Trim,
    /// `s.split(separator) -> List<String>`.
    Split,
    /// `s.lines() -> List<String>`.
    Lines,
    /// `s.replace(from, to)`: every occurrence.
    Replace,
    /// `s.starts_with(prefix)`.
    StartsWith,
    /// `s.ends_with(suffix)`.
    EndsWith,
    /// `x.contains(y)`: part of a String, element of a List.
    Contains,
    /// `s.matches(/regex/)`: somewhere, unless it says `^` and `$`. The pattern is the second argument, a string.
    Matches,
    /// `s.pad_left(width, fill)`: also of an Int.
    PadLeft,
    /// `s.pad_right(width, fill)`.
    PadRight,
    /// `s.slice(from, to)`: characters, clamped.
    SliceStr,
    /// `s.to_int() -> Int?`: absent when it is none.
    ToInt,
    /// `s.base64() -> String`.
    Base64,
    /// `s.sha256() -> String`: lower-case hexadecimal.
    Sha256,
    /// `x.to_string()` of any scalar.
    ToString,
    /// `x.to_json() -> String`: compact JSON of any value.
    ToJson,
    /// `x.to_yaml() -> String`.
    ToYaml,
    /// `list.join(separator)` of scalars.
    Join,
    /// `list.map(f)`.
    Map,
    /// `list.filter(f)`; of a Map: `f(key, value)`.
    Filter,
    /// `list.flat_map(f)`.
    FlatMap,
    /// `list.any(f)`.
    Any,
    /// `list.all(f)`.
    All,
    /// `list.find(f) -> T?`.
    Find,
    /// `list.first() -> T?`.
    First,
    /// `list.last() -> T?`.
    Last,
    /// `list.reverse()`.
    Reverse,
    /// `list.sort()` of numbers or strings.
    Sort,
    /// `list.sort_by(f)`: by a number or a string.
    SortBy,
    /// `list.unique()`: the first of equal elements.
    Unique,
    /// `list.flatten()` of a list of lists.
    Flatten,
    /// `list.sum()` of Ints, Floats or Quantities.
    Sum,
    /// `list.min() -> T?`.
    MinOf,
    /// `list.max() -> T?`.
    MaxOf,
    /// `list.to_map(f)`: `f(element)` is the key.
    ToMap,
    /// `map.keys() -> List<K>`, in order.
    Keys,
    /// `map.values() -> List<V>`, in order.
    Values,
    /// `map.get(key) -> V?`.
    Get,
    /// `map.has(key)`.
    Has,
    /// `map.map_values(f)`: `f(key, value)`.
    MapValues,
    /// `map.without(key)`.
    Without,
    /// `n.abs()`.
    Abs,
    /// `min(a, b)` of numbers or quantities.
    Min,
    /// `max(a, b)`.
    Max,
    /// `n.to_float()`.
    ToFloat,
    /// `x.round() -> Int`.
    Round,
    /// `x.floor() -> Int`.
    Floor,
    /// `x.ceil() -> Int`.
    Ceil,
    /// `d.seconds() -> Int`, rounded down.
    Seconds,
    /// `d.milliseconds() -> Int`, rounded down.
    Milliseconds,
    /// `q.value() -> Int`, rounded up as Kubernetes does.
    QuantityValue,
    /// `quantity("256Mi")`, and `q.to_string()` is its inverse.
    ParseQuantity,
    /// `image.registry -> String?`.
    ImageRegistry,
    /// `image.repository -> String`, without the registry.
    ImageRepository,
    /// `image.tag -> String?`; `latest` when there is neither a tag nor a digest.
    ImageTag,
    /// `image.digest -> String?`.
    ImageDigest,
    /// `fail("message")`: refuses the build (E0240).
    Fail,
}
