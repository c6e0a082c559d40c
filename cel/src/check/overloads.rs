//! What functions and operators take and give: cel-go's standard definitions and its extensions for strings, lists, sets and
//! optional values, and what Kubernetes adds (k8s.io/apiserver/pkg/cel/library).
//!
//! A line is a name and its overloads; `string.(int) bool` is a method. `A`, `B` stand for any type.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::{Declared, Known, Type};

const TABLE: &str = "
!: (bool) bool
-x: (int) int; (double) double
+: (int, int) int; (uint, uint) uint; (double, double) double; (string, string) string; (bytes, bytes) bytes; \
(list<A>, list<A>) list<A>; (duration, duration) duration; (duration, timestamp) timestamp; (timestamp, duration) timestamp
-: (int, int) int; (uint, uint) uint; (double, double) double; (duration, duration) duration; \
(timestamp, duration) timestamp; (timestamp, timestamp) duration
*: (int, int) int; (uint, uint) uint; (double, double) double
/: (int, int) int; (uint, uint) uint; (double, double) double
%: (int, int) int; (uint, uint) uint
==: (A, A) bool
<: (bool, bool) bool; (int, int) bool; (int, uint) bool; (int, double) bool; (uint, uint) bool; (uint, int) bool; \
(uint, double) bool; (double, double) bool; (double, int) bool; (double, uint) bool; (string, string) bool; \
(bytes, bytes) bool; (timestamp, timestamp) bool; (duration, duration) bool
in: (A, list<A>) bool; (A, map<A, B>) bool
[]: (list<A>, int) A; (map<A, B>, A) B; (optional<list<A>>, int) optional<A>; (optional<map<A, B>>, A) optional<B>
[?]: (list<A>, int) optional<A>; (map<A, B>, A) optional<B>; (optional<list<A>>, int) optional<A>; \
(optional<map<A, B>>, A) optional<B>
?: (bool, A, A) A

size: (string) int; (bytes) int; (list<A>) int; (map<A, B>) int; string.() int; bytes.() int; list<A>.() int; map<A, B>.() int
type: (A) type
dyn: (A) dyn
int: (int) int; (uint) int; (double) int; (string) int; (timestamp) int; (duration) int
uint: (uint) uint; (int) uint; (double) uint; (string) uint
double: (double) double; (int) double; (uint) double; (string) double
string: (string) string; (bool) string; (int) string; (uint) string; (double) string; (bytes) string; (timestamp) string; \
(duration) string; (ip) string; (cidr) string
bytes: (bytes) bytes; (string) bytes
bool: (bool) bool; (string) bool
duration: (duration) duration; (string) duration; (int) duration
timestamp: (timestamp) timestamp; (string) timestamp; (int) timestamp
matches: (string, string) bool; string.(string) bool
contains: string.(string) bool
startsWith: string.(string) bool
endsWith: string.(string) bool
getFullYear: timestamp.() int; timestamp.(string) int
getMonth: timestamp.() int; timestamp.(string) int
getDate: timestamp.() int; timestamp.(string) int
getDayOfMonth: timestamp.() int; timestamp.(string) int
getDayOfWeek: timestamp.() int; timestamp.(string) int
getDayOfYear: timestamp.() int; timestamp.(string) int
getHours: timestamp.() int; timestamp.(string) int; duration.() int
getMinutes: timestamp.() int; timestamp.(string) int; duration.() int
getSeconds: timestamp.() int; timestamp.(string) int; duration.() int
getMilliseconds: timestamp.() int; timestamp.(string) int; duration.() int

charAt: string.(int) string
indexOf: string.(string) int; string.(string, int) int; list<A>.(A) int
lastIndexOf: string.(string) int; string.(string, int) int; list<A>.(A) int
join: list<string>.() string; list<string>.(string) string
lowerAscii: string.() string
upperAscii: string.() string
replace: string.(string, string) string; string.(string, string, int) string
split: string.(string) list<string>; string.(string, int) list<string>
substring: string.(int) string; string.(int, int) string
trim: string.() string
reverse: string.() string; list<A>.() list<A>
format: string.(list<dyn>) string
strings.quote: (string) string
find: string.(string) string
findAll: string.(string) list<string>; string.(string, int) list<string>

isSorted: list<int>.() bool; list<uint>.() bool; list<double>.() bool; list<bool>.() bool; list<string>.() bool; \
list<bytes>.() bool; list<duration>.() bool; list<timestamp>.() bool
sum: list<int>.() int; list<uint>.() uint; list<double>.() double; list<duration>.() duration
min: list<int>.() int; list<uint>.() uint; list<double>.() double; list<bool>.() bool; list<string>.() string; \
list<bytes>.() bytes; list<duration>.() duration; list<timestamp>.() timestamp
max: list<int>.() int; list<uint>.() uint; list<double>.() double; list<bool>.() bool; list<string>.() string; \
list<bytes>.() bytes; list<duration>.() duration; list<timestamp>.() timestamp
slice: list<A>.(int, int) list<A>
distinct: list<A>.() list<A>
flatten: list<list<A>>.() list<A>; list<dyn>.(int) list<dyn>
sort: list<int>.() list<int>; list<uint>.() list<uint>; list<double>.() list<double>; list<bool>.() list<bool>; \
list<string>.() list<string>; list<bytes>.() list<bytes>; list<duration>.() list<duration>; list<timestamp>.() list<timestamp>
first: list<A>.() optional<A>
last: list<A>.() optional<A>
sets.contains: (list<A>, list<A>) bool
sets.equivalent: (list<A>, list<A>) bool
sets.intersects: (list<A>, list<A>) bool

optional.of: (A) optional<A>
optional.ofNonZeroValue: (A) optional<A>
optional.none: () optional<A>
hasValue: optional<A>.() bool
value: optional<A>.() A
or: optional<A>.(optional<A>) optional<A>
orValue: optional<A>.(A) A

quantity: (string) quantity
isQuantity: (string) bool
isInteger: quantity.() bool
asInteger: quantity.() int
asApproximateFloat: quantity.() double
sign: quantity.() int
add: quantity.(quantity) quantity; quantity.(int) quantity
sub: quantity.(quantity) quantity; quantity.(int) quantity
isLessThan: quantity.(quantity) bool; semver.(semver) bool
isGreaterThan: quantity.(quantity) bool; semver.(semver) bool
compareTo: quantity.(quantity) int; semver.(semver) int
semver: (string) semver
isSemver: (string) bool
major: semver.() int
minor: semver.() int
patch: semver.() int

url: (string) url
isURL: (string) bool
getScheme: url.() string
getHost: url.() string
getHostname: url.() string
getPort: url.() string
getEscapedPath: url.() string
getQuery: url.() map<string, list<string>>
ip: (string) ip; cidr.() ip
isIP: (string) bool
ip.isCanonical: (string) bool
family: ip.() int
isUnspecified: ip.() bool
isLoopback: ip.() bool
isLinkLocalMulticast: ip.() bool
isLinkLocalUnicast: ip.() bool
isGlobalUnicast: ip.() bool
cidr: (string) cidr
isCIDR: (string) bool
containsIP: cidr.(ip) bool; cidr.(string) bool
containsCIDR: cidr.(cidr) bool; cidr.(string) bool
masked: cidr.() cidr
prefixLength: cidr.() int

format.named: (string) optional<format>
format.dns1123Label: () format
format.dns1123Subdomain: () format
format.dns1035Label: () format
format.qualifiedName: () format
format.dns1123LabelPrefix: () format
format.dns1123SubdomainPrefix: () format
format.dns1035LabelPrefix: () format
format.labelValue: () format
format.uri: () format
format.uuid: () format
format.byte: () format
format.date: () format
format.datetime: () format
validate: format.(string) optional<list<string>>
";

/// A type of the table.
#[derive(Clone, Debug)]
enum Sig {
    Is(Type<Nothing>),
    /// `A` or `B`, by number.
    Any(usize),
    List(Box<Sig>),
    Optional(Box<Sig>),
    Map(Box<Sig>, Box<Sig>),
}

/// The table declares no objects.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Nothing {}

/// One way to call a function.
#[derive(Clone, Debug)]
pub(super) struct Overload {
    pub(super) is_method: bool,
    /// The receiver is the first.
    takes: Vec<Sig>,
    gives: Sig,
}

static OVERLOADS: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, overloads) = line.split_once(": ").expect("a line has a name");
            (name, overloads.split("; ").map(overload).collect())
        })
        .collect()
});

/// The ways to call a function; none for an unknown one.
pub(super) fn of(name: &str) -> &'static [Overload] {
    OVERLOADS.get(name).map_or(&[], Vec::as_slice)
}

fn overload(text: &str) -> Overload {
    let open = text.find('(').expect("an overload has brackets");
    let close = text.find(')').expect("an overload has brackets");
    let receiver = text[..open].strip_suffix('.');
    let mut takes: Vec<Sig> = receiver.map(sig).into_iter().collect();
    takes.extend(parts(&text[open + 1..close]).map(sig));
    Overload {
        is_method: receiver.is_some(),
        takes,
        gives: sig(text[close + 1..].trim()),
    }
}

/// The parts between the commas that are in no brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn sig(text: &str) -> Sig {
    if let Some((name, inner)) = text.strip_suffix('>').and_then(|t| t.split_once('<')) {
        let mut inner = parts(inner).map(|part| Box::new(sig(part)));
        let first = inner.next().expect("brackets hold a type");
        return match (name, inner.next()) {
            ("list", None) => Sig::List(first),
            ("optional", None) => Sig::Optional(first),
            ("map", Some(value)) => Sig::Map(first, value),
            _ => unreachable!("the table has no type `{text}`"),
        };
    }
    Sig::Is(match text {
        "A" => return Sig::Any(0),
        "B" => return Sig::Any(1),
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "type" => Type::Type,
        "quantity" => Type::Named("kubernetes.Quantity"),
        "semver" => Type::Named("kubernetes.Semver"),
        "url" => Type::Named("kubernetes.URL"),
        "format" => Type::Named("kubernetes.NamedFormat"),
        "ip" => Type::Named("net.IP"),
        "cidr" => Type::Named("net.CIDR"),
        _ => unreachable!("the table has no type `{text}`"),
    })
}

impl Overload {
    /// What it takes and gives, with new types for those that may be any.
    pub(super) fn instance<T: Declared>(&self, known: &mut Known<T>) -> (Vec<Type<T>>, Type<T>) {
        let any = [known.fresh(), known.fresh()];
        let takes = self.takes.iter().map(|sig| sig.with(&any)).collect();
        (takes, self.gives.with(&any))
    }
}

impl Sig {
    fn with<T: Clone>(&self, any: &[Type<T>; 2]) -> Type<T> {
        match self {
            Sig::Any(at) => any[*at].clone(),
            Sig::List(inner) => Type::list(inner.with(any)),
            Sig::Optional(inner) => Type::optional(inner.with(any)),
            Sig::Map(key, value) => Type::map(key.with(any), value.with(any)),
            Sig::Is(ty) => match ty {
                Type::Null => Type::Null,
                Type::Bool => Type::Bool,
                Type::Int => Type::Int,
                Type::Uint => Type::Uint,
                Type::Double => Type::Double,
                Type::String => Type::String,
                Type::Bytes => Type::Bytes,
                Type::Duration => Type::Duration,
                Type::Timestamp => Type::Timestamp,
                Type::Type => Type::Type,
                Type::Named(name) => Type::Named(name),
                _ => Type::Dyn,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions;

    #[test]
    fn every_function_has_overloads_with_as_many_arguments_as_it_takes() {
        let mut known = 0;
        for (name, overloads) in OVERLOADS.iter() {
            let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic()) || *name == "in";
            for overload in overloads.iter().filter(|_| !is_operator) {
                let found = functions::find(name, overload.takes.len());
                assert!(found.is_some(), "{name}: {overload:?}");
            }
            known += usize::from(!is_operator);
        }
        for (name, least, most) in functions::all() {
            for count in least..=most {
                let has_some = of(name).iter().any(|o| o.takes.len() == count);
                assert!(has_some, "{name} with {count}");
            }
        }
        assert_eq!(known, functions::all().count());
    }
}
