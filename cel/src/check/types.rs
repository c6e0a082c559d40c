//! Types as the checker has them, and when a value of one may stand where another is wanted
//! (cel-go/checker/types.go). Knows no expressions.

use std::fmt;
use std::sync::Arc;

/// A type; `T` is what is declared of an object, as whoever knows the schema has it.
#[derive(Clone, PartialEq, Debug)]
pub enum Type<T> {
    /// Anything: looked at when the expression is evaluated.
    Dyn,
    /// `null`
    Null,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `uint`
    Uint,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// A duration.
    Duration,
    /// An instant.
    Timestamp,
    /// A type as a value.
    Type,
    /// `list`
    List(Arc<Type<T>>),
    /// `map`: of what, to what.
    Map(Arc<Type<T>>, Arc<Type<T>>),
    /// An optional value.
    Optional(Arc<Type<T>>),
    /// One of those that Kubernetes adds, by name: `kubernetes.Quantity`.
    Named(&'static str),
    /// An object with declared fields.
    Object(T),
    /// Not known yet; what it is follows from how it is used.
    Unknown(u32),
}

/// What is declared of an object: implemented by whoever knows the schema.
pub trait Declared: Copy + PartialEq {
    /// The type of a field. The name is escaped as identifiers are.
    fn field(self, name: &str) -> Option<Type<Self>>;
    /// The names of its fields, escaped, for suggestions.
    fn names(self) -> Vec<String>;
}

impl<T> Type<T> {
    /// A list.
    #[must_use]
    pub fn list(element: Type<T>) -> Type<T> {
        Type::List(Arc::new(element))
    }

    /// A map.
    #[must_use]
    pub fn map(key: Type<T>, value: Type<T>) -> Type<T> {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    /// An optional value.
    #[must_use]
    pub fn optional(inner: Type<T>) -> Type<T> {
        Type::Optional(Arc::new(inner))
    }
}

/// How deep types are shown in messages.
const SHOWN_DEPTH: usize = 4;

impl<T> fmt::Display for Type<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, f, SHOWN_DEPTH)
    }
}

fn show<T>(ty: &Type<T>, f: &mut fmt::Formatter<'_>, left: usize) -> fmt::Result {
    let Some(left) = left.checked_sub(1) else {
        return f.write_str("…");
    };
    let of = |name: &str, inner: &Type<T>, f: &mut fmt::Formatter<'_>| {
        write!(f, "{name}<")?;
        show(inner, f, left)?;
        f.write_str(">")
    };
    match ty {
        Type::Dyn | Type::Unknown(_) => f.write_str("dyn"),
        Type::Null => f.write_str("null"),
        Type::Bool => f.write_str("bool"),
        Type::Int => f.write_str("int"),
        Type::Uint => f.write_str("uint"),
        Type::Double => f.write_str("double"),
        Type::String => f.write_str("string"),
        Type::Bytes => f.write_str("bytes"),
        Type::Duration => f.write_str("duration"),
        Type::Timestamp => f.write_str("timestamp"),
        Type::Type => f.write_str("type"),
        Type::List(element) => of("list", element, f),
        Type::Optional(inner) => of("optional", inner, f),
        Type::Map(key, value) => {
            f.write_str("map<")?;
            show(key, f, left)?;
            f.write_str(", ")?;
            show(value, f, left)?;
            f.write_str(">")
        }
        Type::Named(name) => f.write_str(name.rsplit('.').next().unwrap_or(name)),
        Type::Object(_) => f.write_str("object"),
    }
}

/// How many types one expression may hold against others. Types can be as large as two to the power of their depth when
/// written by somebody hostile; then everything fits.
const MAX_STEPS: u32 = 100_000;

/// What is known of the types that follow from use.
pub(super) struct Known<T> {
    types: Vec<Option<Type<T>>>,
    /// What to put back when a guess was wrong.
    trail: Vec<(usize, Option<Type<T>>)>,
    steps: u32,
}

impl<T: Declared> Known<T> {
    pub(super) fn new() -> Known<T> {
        Known {
            types: Vec::new(),
            trail: Vec::new(),
            steps: 0,
        }
    }

    /// A type that nothing is known of.
    pub(super) fn fresh(&mut self) -> Type<T> {
        self.types.push(None);
        Type::Unknown(self.types.len() as u32 - 1)
    }

    /// What is known of a type, on the outside.
    pub(super) fn resolve(&self, ty: &Type<T>) -> Type<T> {
        let mut ty = ty;
        // A chain cannot be longer than there are types.
        for _ in 0..=self.types.len() {
            match ty {
                Type::Unknown(at) => match &self.types[*at as usize] {
                    Some(known) => ty = known,
                    None => break,
                },
                _ => break,
            }
        }
        ty.clone()
    }

    /// Whether the values may stand where others are wanted; what follows from that is known then, and only then.
    pub(super) fn all_fit(&mut self, given: &[Type<T>], wanted: &[Type<T>]) -> bool {
        let mark = self.trail.len();
        let fits = given.len() == wanted.len()
            && given
                .iter()
                .zip(wanted)
                .all(|(given, wanted)| self.fits(given, wanted));
        if !fits {
            for (at, before) in self.trail.drain(mark..).rev() {
                self.types[at] = before;
            }
        }
        fits
    }

    fn set(&mut self, at: u32, ty: Type<T>) {
        let at = at as usize;
        let before = self.types[at].replace(ty);
        self.trail.push((at, before));
    }

    // Recursion is as deep as types, and those are as deep as expressions and schemas.
    fn fits(&mut self, one: &Type<T>, two: &Type<T>) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return true;
        }
        match (one, two) {
            (Type::Unknown(a), Type::Unknown(b)) if a == b => true,
            (other, Type::Unknown(at)) | (Type::Unknown(at), other) => self.becomes(*at, other),
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            // Null is a value of what can be absent in protocol buffers, of which Kubernetes keeps these.
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null
                    | Type::Duration
                    | Type::Timestamp
                    | Type::Object(_)
                    | Type::Named(_)
                    | Type::Optional(_)
            ),
            (Type::List(one), Type::List(two)) | (Type::Optional(one), Type::Optional(two)) => {
                self.fits(one, two)
            }
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.fits(key, other_key) && self.fits(value, other_value)
            }
            (one, two) => one == two,
        }
    }

    /// Takes note that an unknown type stands for another one.
    fn becomes(&mut self, at: u32, other: &Type<T>) -> bool {
        let other = self.resolve(other);
        match self.types[at as usize].clone() {
            Some(known) => {
                if !self.fits(&other, &known) {
                    return false;
                }
                let general = match self.is_as_general(&other, &known) {
                    true => other,
                    false => known,
                };
                if !self.mentions(at, &general) {
                    self.set(at, general);
                }
                true
            }
            None => {
                if !self.mentions(at, &other) {
                    self.set(at, other);
                }
                true
            }
        }
    }

    fn is_as_general(&mut self, one: &Type<T>, two: &Type<T>) -> bool {
        self.steps += 1;
        match (one, two) {
            _ if self.steps > MAX_STEPS => true,
            (Type::Dyn | Type::Unknown(_), _) => true,
            (_, Type::Dyn | Type::Unknown(_)) => false,
            (Type::List(one), Type::List(two)) | (Type::Optional(one), Type::Optional(two)) => {
                self.is_as_general(one, two)
            }
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.is_as_general(key, other_key) && self.is_as_general(value, other_value)
            }
            (one, two) => one == two,
        }
    }

    /// Whether a type has an unknown one in it, so that it would be part of itself.
    fn mentions(&mut self, at: u32, ty: &Type<T>) -> bool {
        self.steps += 1;
        match ty {
            _ if self.steps > MAX_STEPS => true,
            Type::Unknown(other) if *other == at => true,
            Type::Unknown(other) => match self.types[*other as usize].clone() {
                Some(known) => self.mentions(at, &known),
                None => false,
            },
            Type::List(inner) | Type::Optional(inner) => self.mentions(at, inner),
            Type::Map(key, value) => self.mentions(at, key) || self.mentions(at, value),
            _ => false,
        }
    }

    /// A type with everything in it that is known, as messages show it.
    pub(super) fn whole(&self, ty: &Type<T>) -> Type<T> {
        self.whole_to(ty, SHOWN_DEPTH)
    }

    fn whole_to(&self, ty: &Type<T>, left: usize) -> Type<T> {
        let ty = self.resolve(ty);
        let Some(left) = left.checked_sub(1) else {
            return ty;
        };
        match ty {
            Type::Unknown(_) => Type::Dyn,
            Type::List(inner) => Type::list(self.whole_to(&inner, left)),
            Type::Optional(inner) => Type::optional(self.whole_to(&inner, left)),
            Type::Map(key, value) => {
                Type::map(self.whole_to(&key, left), self.whole_to(&value, left))
            }
            ty => ty,
        }
    }
}
