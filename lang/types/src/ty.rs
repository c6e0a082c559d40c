//! Types as small numbers: the interner, what a type is made of, and record definitions.
//!
//! A [`Ty`] is hash-consed: equal types have equal numbers, so comparing is one instruction.
//! Knows nothing of expressions; a record's defaults and asserts are bodies by number.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ordain_lang_syntax::{Name, NameBuildHasher, Span};

use crate::extra::Extra;
use crate::hir::Body;

/// A type, interned in [`Types`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Ty(pub(crate) u32);

impl Ty {
    /// The type of what could not be typed. It fits everything, so that one mistake is told once.
    pub const ERROR: Ty = Ty(0);
    /// Any JSON value, unchecked (Kubernetes' RawExtension and preserve-unknown fields).
    pub const ANY: Ty = Ty(1);
    /// The type of `null`, and of what is absent.
    pub const NULL: Ty = Ty(2);
    /// `Bool`.
    pub const BOOL: Ty = Ty(3);
    /// `Int` without a range.
    pub const INT: Ty = Ty(4);
    /// `Float` without a range.
    pub const FLOAT: Ty = Ty(5);
    /// `String` without a rule.
    pub const STRING: Ty = Ty(6);
    /// `Quantity`: `500m`, `256Mi`, `2`.
    pub const QUANTITY: Ty = Ty(7);
    /// `Duration`: `30s`, `1h30m`.
    pub const DURATION: Ty = Ty(8);
    /// An RFC 3339 instant with whole seconds.
    pub const TIME: Ty = Ty(9);
    /// An RFC 3339 instant with microseconds.
    pub const MICRO_TIME: Ty = Ty(10);
    /// Kubernetes' int-or-string.
    pub const INT_OR_STRING: Ty = Ty(11);
    /// `k8s.Object`: any object of any kind of the table.
    pub const OBJECT: Ty = Ty(12);
    /// The type of the elements of `[]`.
    pub const NEVER: Ty = Ty(13);

    /// The position of the type in its table, for side tables indexed by type.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An inclusive range of integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IntRange {
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
}

impl IntRange {
    /// Every integer of the language (64 bits, signed).
    pub const ALL: IntRange = IntRange {
        min: i64::MIN,
        max: i64::MAX,
    };

    /// Whether `value` is inside.
    #[must_use]
    pub fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }

    /// Whether every value of `other` is inside.
    #[must_use]
    pub fn covers(self, other: IntRange) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

/// An inclusive range of floating-point numbers, kept as bits so that it can be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FloatRange {
    min: u64,
    max: u64,
}

impl FloatRange {
    /// Every finite number.
    #[must_use]
    pub fn all() -> FloatRange {
        FloatRange::new(f64::NEG_INFINITY, f64::INFINITY)
    }

    /// The range from `min` to `max`, both inside.
    #[must_use]
    pub fn new(min: f64, max: f64) -> FloatRange {
        FloatRange {
            min: min.to_bits(),
            max: max.to_bits(),
        }
    }

    /// The smallest value.
    #[must_use]
    pub fn min(self) -> f64 {
        f64::from_bits(self.min)
    }

    /// The largest value.
    #[must_use]
    pub fn max(self) -> f64 {
        f64::from_bits(self.max)
    }

    /// Whether `value` is inside.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.min() <= value && value <= self.max()
    }
}

/// How many characters or elements are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LenRange {
    /// The fewest.
    pub min: u32,
    /// The most.
    pub max: u32,
}

impl LenRange {
    /// Any length.
    pub const ALL: LenRange = LenRange {
        min: 0,
        max: u32::MAX,
    };

    /// Whether `len` is allowed.
    #[must_use]
    pub fn contains(self, len: usize) -> bool {
        len >= self.min as usize && (self.max == u32::MAX || len <= self.max as usize)
    }
}

/// A string format with a built-in check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Format {
    /// `k8s.Name`: a DNS-1123 subdomain, at most 253 characters, as most object names are.
    Name,
    /// `k8s.Label`-sized DNS-1123 label, at most 63 characters: namespaces, container and Service names.
    DnsLabel,
    /// `k8s.Hostname`: a DNS name, a `*.` wildcard allowed in front.
    Hostname,
    /// `k8s.Image`: a container image reference; has `.registry`, `.repository`, `.tag` and `.digest`.
    Image,
    /// `k8s.EnvName`: the name of an environment variable.
    EnvName,
    /// `k8s.LabelKey`: an optional DNS prefix, a slash and a name.
    LabelKey,
    /// `k8s.LabelValue`: at most 63 characters of `[A-Za-z0-9._-]`.
    LabelValue,
    /// `k8s.PortName`: an IANA service name, at most 15 characters.
    PortName,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An address range such as `10.0.0.0/8`.
    Cidr,
    /// A URL with a scheme and a host.
    Url,
    /// A five-field cron line or a macro such as `@daily`.
    Cron,
    /// Standard base64 (Kubernetes' `byte` format).
    Base64,
    /// A file system path which starts with `/`.
    AbsolutePath,
    /// A time zone of the IANA database, such as `Europe/Berlin`.
    TimeZone,
}

impl Format {
    /// How the type is called in the language: `k8s.Name`.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Format::Name => "k8s.Name",
            Format::DnsLabel => "k8s.DnsLabel",
            Format::Hostname => "k8s.Hostname",
            Format::Image => "k8s.Image",
            Format::EnvName => "k8s.EnvName",
            Format::LabelKey => "k8s.LabelKey",
            Format::LabelValue => "k8s.LabelValue",
            Format::PortName => "k8s.PortName",
            Format::Ip => "k8s.Ip",
            Format::Cidr => "k8s.Cidr",
            Format::Url => "k8s.Url",
            Format::Cron => "k8s.Cron",
            Format::Base64 => "k8s.Base64",
            Format::AbsolutePath => "k8s.AbsolutePath",
            Format::TimeZone => "k8s.TimeZone",
        }
    }
}

/// What a `String` must look like. Everything that is set must hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct StringRule {
    /// A regular expression which must match (anywhere, unless it says `^` and `$`).
    pub pattern: Option<Arc<str>>,
    /// A built-in format.
    pub format: Option<Format>,
    /// The fewest characters.
    pub min_len: u32,
    /// The most characters; `None` is no limit.
    pub max_len: Option<u32>,
}

/// A single value used as a type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Str(Name),
}

/// What a list type says beside its element type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ListTy {
    /// The element type.
    pub item: Ty,
    /// How many elements.
    pub len: LenRange,
    /// The names of the fields which name an element (Kubernetes' list-map keys), or empty.
    /// Amending such a list merges by these keys, as the API server would.
    pub keys: Box<[Name]>,
    /// Whether every element must be different (Kubernetes' list type `set`).
    pub set: bool,
}

/// What a type is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TyKind {
    /// See [`Ty::ERROR`].
    Error,
    /// See [`Ty::ANY`].
    Any,
    /// See [`Ty::NEVER`].
    Never,
    /// See [`Ty::NULL`].
    Null,
    /// `Bool`.
    Bool,
    /// `Int(1..=100)`.
    Int(IntRange),
    /// `Float(0.0..=1.0)`.
    Float(FloatRange),
    /// `String(/re/)` and the like.
    String(StringRule),
    /// `Quantity`.
    Quantity,
    /// `Duration`.
    Duration,
    /// RFC 3339 with seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
    /// Kubernetes' int-or-string.
    IntOrString,
    /// A literal which is not a string: `1`, `true`.
    Literal(Literal),
    /// One of some strings: `"dev" | "prod"`, and every Kubernetes enum.
    Enum(Box<[Name]>),
    /// `List<T>`.
    List(ListTy),
    /// `Map<K, V>`; `K` is a string type.
    Map(Ty, Ty),
    /// A nominal record, an app, or an anonymous record (see [`RecordDef::origin`]).
    Record(RecordId),
    /// `A | B`. Never nested, never contains null (that is [`TyKind::Optional`]).
    Union(Box<[Ty]>),
    /// `T?`: a `T` or absent.
    Optional(Ty),
    /// `Secret<T>`.
    Secret(Ty),
    /// `fn(A, B) -> C`.
    Fn(Box<[Ty]>, Ty),
    /// A type parameter of a function or a type.
    Param(Name),
    /// `k8s.Object`.
    Object,
}

/// A record definition, by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RecordId(pub(crate) u32);

impl RecordId {
    /// The position of the definition in its table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which kind of Kubernetes object a record is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gvk {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The version.
    pub version: Arc<str>,
    /// The kind.
    pub kind: Arc<str>,
    /// `version` or `group/version`.
    pub api_version: Arc<str>,
    /// Whether objects of the kind live in a namespace.
    pub namespaced: bool,
}

/// Where a record definition comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `type X { … }` in a source file.
    Declared,
    /// A Kubernetes schema; the kind when it is a whole object.
    Kubernetes(Option<Gvk>),
    /// An app's body: its fields are the app's `config`, `objects` and others, each with a default.
    App,
    /// A `{ … }` literal for which no type was expected.
    Anonymous,
}

/// A field of a record.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// The name, as written and as emitted.
    pub name: Name,
    /// The type. Optional fields have an optional type.
    pub ty: Ty,
    /// Whether a value must set it: it is not optional and has no default.
    pub required: bool,
    /// The default, evaluated with the record's other fields in scope and late-bound.
    pub default: Option<Body>,
    /// Whether no amend may set it.
    pub is_final: bool,
    /// Where it is declared; none for Kubernetes' own.
    pub span: Option<Span>,
    /// The documentation comment.
    pub doc: Option<Arc<str>>,
}

/// An `assert` of a type.
#[derive(Clone, Debug)]
pub struct Assert {
    /// What must be true, with the record's fields in scope.
    pub condition: Body,
    /// The message, a string.
    pub message: Option<Body>,
    /// Where it is written.
    pub span: Span,
}

/// The definition of a record type.
#[derive(Clone, Debug)]
pub struct RecordDef {
    /// How messages call it: `Shop`, `k8s.Deployment`.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where its name is declared; none for Kubernetes' own.
    pub span: Option<Span>,
    /// The fields, in the order of declaration, which is the order of output.
    pub fields: Vec<FieldDef>,
    /// Position in `fields` by name.
    pub by_name: HashMap<Name, u32, NameBuildHasher>,
    /// Positions of the required fields.
    pub required: Vec<u32>,
    /// Relations which every value keeps, checked when a value is complete.
    pub asserts: Vec<Assert>,
    /// Whether fields beside the declared ones are kept (preserve-unknown).
    pub open: bool,
    /// The documentation comment.
    pub doc: Option<Arc<str>>,
}

impl RecordDef {
    /// The position of a field.
    #[must_use]
    pub fn field(&self, name: Name) -> Option<u32> {
        self.by_name.get(&name).copied()
    }

    /// The kind, when the record is a whole Kubernetes object.
    #[must_use]
    pub fn gvk(&self) -> Option<&Gvk> {
        match &self.origin {
            Origin::Kubernetes(gvk) => gvk.as_ref(),
            _ => None,
        }
    }

    /// Whether making a value has anything late-bound or checked about it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.asserts.is_empty() && self.fields.iter().all(|f| f.default.is_none())
    }
}

/// The table of all types and record definitions of a program.
#[derive(Clone, Debug)]
pub struct Types {
    kinds: Vec<TyKind>,
    by_kind: HashMap<TyKind, Ty>,
    /// Types with a rule beside their kind, and what they restrict.
    extras: BTreeMap<Ty, (Ty, Extra)>,
    by_extra: HashMap<(Ty, Extra), Ty>,
    records: Vec<RecordDef>,
}

impl Default for Types {
    fn default() -> Self {
        Types::new()
    }
}

impl Types {
    /// A table with the types which have a constant in [`Ty`].
    #[must_use]
    pub fn new() -> Types {
        let mut types = Types {
            kinds: Vec::new(),
            by_kind: HashMap::new(),
            extras: BTreeMap::new(),
            by_extra: HashMap::new(),
            records: Vec::new(),
        };
        let fixed = [
            (Ty::ERROR, TyKind::Error),
            (Ty::ANY, TyKind::Any),
            (Ty::NULL, TyKind::Null),
            (Ty::BOOL, TyKind::Bool),
            (Ty::INT, TyKind::Int(IntRange::ALL)),
            (Ty::FLOAT, TyKind::Float(FloatRange::all())),
            (Ty::STRING, TyKind::String(StringRule::default())),
            (Ty::QUANTITY, TyKind::Quantity),
            (Ty::DURATION, TyKind::Duration),
            (Ty::TIME, TyKind::Time),
            (Ty::MICRO_TIME, TyKind::MicroTime),
            (Ty::INT_OR_STRING, TyKind::IntOrString),
            (Ty::OBJECT, TyKind::Object),
            (Ty::NEVER, TyKind::Never),
        ];
        for (ty, kind) in fixed {
            let made = types.intern(kind);
            debug_assert_eq!(made, ty, "the constants of Ty follow this order");
        }
        types
    }

    /// The number of a type.
    pub fn intern(&mut self, kind: TyKind) -> Ty {
        if let Some(&ty) = self.by_kind.get(&kind) {
            return ty;
        }
        let ty = Ty(u32::try_from(self.kinds.len()).unwrap_or(0));
        self.kinds.push(kind.clone());
        self.by_kind.insert(kind, ty);
        ty
    }

    /// A type restricted by a rule beside its kind. A type has one such rule; another takes its place.
    pub fn restricted(&mut self, ty: Ty, extra: Extra) -> Ty {
        let base = self.extras.get(&ty).map_or(ty, |(base, _)| *base);
        let key = (base, extra);
        if let Some(&made) = self.by_extra.get(&key) {
            return made;
        }
        let made = Ty(u32::try_from(self.kinds.len()).unwrap_or(0));
        self.kinds.push(self.kind(base).clone());
        self.extras.insert(made, key.clone());
        self.by_extra.insert(key, made);
        made
    }

    /// The rule that a type has beside its kind.
    #[must_use]
    pub fn extra(&self, ty: Ty) -> Option<&Extra> {
        self.extras.get(&ty).map(|(_, extra)| extra)
    }

    /// A type without the rule beside its kind.
    #[must_use]
    pub fn without_extra(&self, ty: Ty) -> Ty {
        self.extras.get(&ty).map_or(ty, |(base, _)| *base)
    }

    /// What a type is; a rule beside it is told by [`Types::extra`].
    #[must_use]
    pub fn kind(&self, ty: Ty) -> &TyKind {
        self.kinds.get(ty.index()).unwrap_or(&TyKind::Error)
    }

    /// Adds a record definition.
    pub fn add_record(&mut self, def: RecordDef) -> RecordId {
        let id = RecordId(u32::try_from(self.records.len()).unwrap_or(0));
        self.records.push(def);
        id
    }

    /// A record definition.
    #[must_use]
    pub fn record(&self, id: RecordId) -> &RecordDef {
        &self.records[id.index()]
    }

    /// A record definition, to fill in.
    pub fn record_mut(&mut self, id: RecordId) -> &mut RecordDef {
        &mut self.records[id.index()]
    }

    /// All record definitions in the order of their numbers.
    pub fn records(&self) -> impl Iterator<Item = (RecordId, &RecordDef)> {
        self.records
            .iter()
            .enumerate()
            .map(|(i, def)| (RecordId(i as u32), def))
    }

    /// The record behind a type, looking through `?` and `Secret`.
    #[must_use]
    pub fn as_record(&self, ty: Ty) -> Option<RecordId> {
        match self.kind(ty) {
            TyKind::Record(id) => Some(*id),
            TyKind::Optional(inner) | TyKind::Secret(inner) => self.as_record(*inner),
            _ => None,
        }
    }

    /// `T` of `T?`; other types are themselves.
    #[must_use]
    pub fn without_optional(&self, ty: Ty) -> Ty {
        match self.kind(ty) {
            TyKind::Optional(inner) => *inner,
            _ => ty,
        }
    }

    /// `ty?`, never nested.
    pub fn optional(&mut self, ty: Ty) -> Ty {
        match self.kind(ty) {
            TyKind::Optional(_) | TyKind::Null | TyKind::Error | TyKind::Any => ty,
            TyKind::Never => Ty::NULL,
            _ => self.intern(TyKind::Optional(ty)),
        }
    }

    /// `List<item>` without rules.
    pub fn list(&mut self, item: Ty) -> Ty {
        self.intern(TyKind::List(ListTy {
            item,
            len: LenRange::ALL,
            keys: Box::default(),
            set: false,
        }))
    }
}
