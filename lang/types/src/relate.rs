//! Whether a value of one type may stand where another is expected, and what must still be checked then.

use crate::checker::Checker;
use crate::ty::{Format, IntRange, ListTy, Literal, Origin, StringRule, Ty, TyKind};

/// How two types relate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fit {
    /// Every value fits; nothing is left to check.
    Proven,
    /// The shape fits; refinements are checked when the value is known.
    Check,
    /// The value is made into the type when it is known.
    Convert,
    /// No value fits.
    No(Misfit),
}

/// Why no value fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Misfit {
    /// Different types.
    Type,
    /// The value may be absent.
    Absent,
    /// It would make a secret plain.
    Secret,
    /// It would make something plain a secret.
    Plain,
    /// The ranges, enums or lengths have nothing in common.
    Range,
}

impl Checker<'_> {
    /// How a value of type `from` fits where `to` is expected.
    pub(crate) fn fit(&self, from: Ty, to: Ty) -> Fit {
        if from == to || from == Ty::ERROR || to == Ty::ERROR || from == Ty::NEVER {
            return Fit::Proven;
        }
        if let Some(rule) = self.types.extra(to) {
            let kept = self
                .types
                .extra(from)
                .is_some_and(|mine| mine.implies(rule));
            let base = self.fit(from, self.types.without_extra(to));
            let named = matches!(rule, crate::extra::Extra::Named(_));
            return match base {
                Fit::Proven if !kept && !named => Fit::Check,
                other => other,
            };
        }
        match (self.kind(from), self.kind(to)) {
            (TyKind::Secret(a), TyKind::Secret(b)) => self.secrets(*a, *b),
            (TyKind::Optional(a), TyKind::Optional(b)) => self.fit(*a, *b),
            (TyKind::Null, TyKind::Optional(_) | TyKind::Any) => Fit::Proven,
            (TyKind::Optional(a), TyKind::Any) => self.fit(*a, to),
            (TyKind::Optional(a), _) => match self.fit(*a, to) {
                Fit::No(why) => Fit::No(why),
                _ => Fit::No(Misfit::Absent),
            },
            (TyKind::Null, _) => Fit::No(Misfit::Absent),
            (_, TyKind::Optional(b)) => self.fit(from, *b),
            (TyKind::Secret(_), TyKind::Union(members)) => members
                .iter()
                .map(|m| self.fit(from, *m))
                .find(|fit| !matches!(fit, Fit::No(Misfit::Secret)))
                .unwrap_or(Fit::No(Misfit::Secret)),
            (TyKind::Secret(_), _) => Fit::No(Misfit::Secret),
            (TyKind::Any, TyKind::Secret(_)) => Fit::Convert,
            (_, TyKind::Secret(b)) => match self.fit(from, *b) {
                Fit::No(why) => Fit::No(why),
                _ => Fit::No(Misfit::Plain),
            },
            (_, TyKind::Any) => match self.holds_secret(from, 0) {
                true => Fit::No(Misfit::Secret),
                false => Fit::Proven,
            },
            (TyKind::Any, _) => Fit::Convert,
            (TyKind::Union(members), _) => members
                .iter()
                .map(|m| self.fit(*m, to))
                .max()
                .unwrap_or(Fit::Proven),
            (_, TyKind::Union(members)) => members
                .iter()
                .map(|m| self.fit(from, *m))
                .min()
                .unwrap_or(Fit::No(Misfit::Type)),
            (TyKind::Int(a), TyKind::Int(b)) => ranges(*a, *b),
            (TyKind::Literal(Literal::Int(a)), TyKind::Int(b)) => {
                ranges(IntRange { min: *a, max: *a }, *b)
            }
            (TyKind::Int(a), TyKind::Literal(Literal::Int(b))) => {
                ranges(*a, IntRange { min: *b, max: *b })
            }
            (TyKind::Literal(Literal::Bool(_)), TyKind::Bool) => Fit::Proven,
            (TyKind::Bool, TyKind::Literal(Literal::Bool(_))) => Fit::Check,
            (TyKind::Int(_) | TyKind::Literal(Literal::Int(_)), TyKind::IntOrString) => Fit::Proven,
            (
                TyKind::Int(_) | TyKind::Literal(Literal::Int(_)),
                TyKind::Float(_) | TyKind::Quantity,
            ) => Fit::Convert,
            (TyKind::IntOrString, TyKind::Quantity) => Fit::Convert,
            (TyKind::Float(_), TyKind::Quantity) => Fit::Convert,
            (TyKind::Float(a), TyKind::Float(b)) => {
                match b.contains(a.min()) && b.contains(a.max()) {
                    true => Fit::Proven,
                    false => Fit::Check,
                }
            }
            (TyKind::Enum(_) | TyKind::String(_), TyKind::IntOrString) => Fit::Proven,
            (TyKind::String(a), TyKind::String(b)) => strings(a, b),
            (TyKind::Enum(members), TyKind::String(rule)) => {
                let good = members
                    .iter()
                    .filter(|m| crate::refine::check_string(rule, m).is_ok())
                    .count();
                match good {
                    n if n == members.len() => Fit::Proven,
                    0 => Fit::No(Misfit::Range),
                    _ => Fit::Check,
                }
            }
            (TyKind::Enum(a), TyKind::Enum(b)) => {
                match a.iter().filter(|m| b.contains(m)).count() {
                    n if n == a.len() => Fit::Proven,
                    0 => Fit::No(Misfit::Range),
                    _ => Fit::Check,
                }
            }
            (TyKind::String(_), TyKind::Enum(_) | TyKind::Time | TyKind::MicroTime) => Fit::Check,
            (TyKind::Enum(_), TyKind::Time | TyKind::MicroTime) => Fit::Check,
            (TyKind::String(_) | TyKind::Enum(_), TyKind::Quantity | TyKind::Duration) => {
                Fit::Convert
            }
            (TyKind::Time, TyKind::MicroTime) | (TyKind::MicroTime, TyKind::Time) => Fit::Proven,
            (TyKind::Time | TyKind::MicroTime, TyKind::String(rule))
                if *rule == StringRule::default() =>
            {
                Fit::Proven
            }
            (TyKind::List(a), TyKind::List(b)) => self.lists(a, b),
            (TyKind::Map(ka, va), TyKind::Map(kb, vb)) => {
                self.fit(*ka, *kb).max(self.fit(*va, *vb))
            }
            (TyKind::Record(a), TyKind::Object) => {
                let def = self.types.record(*a);
                let pasted = def.origin == crate::ty::Origin::Anonymous
                    && ["apiVersion", "kind"]
                        .iter()
                        .all(|n| def.fields.iter().any(|f| f.name == *n));
                match (def.gvk().is_some(), pasted) {
                    (true, _) => Fit::Proven,
                    (_, true) => Fit::Convert,
                    _ => Fit::No(Misfit::Type),
                }
            }
            (TyKind::Record(a), TyKind::Record(b)) => {
                if self.types.record(*a).origin != crate::ty::Origin::Anonymous {
                    return self.parts_fit(*a, *b);
                }
                let to_def = self.types.record(*b);
                let from_def = self.types.record(*a);
                let fields = from_def.fields.iter().map(|f| match to_def.field(f.name) {
                    Some(at) => self.fit(f.ty, to_def.fields[at as usize].ty),
                    None => Fit::No(Misfit::Type),
                });
                let worst = fields.max().unwrap_or(Fit::Proven).max(Fit::Convert);
                let there = |at: &u32| from_def.field(to_def.fields[*at as usize].name).is_some();
                match to_def.required.iter().all(there) {
                    true => worst,
                    false => Fit::No(Misfit::Type),
                }
            }
            (TyKind::Record(a), TyKind::Map(_, value)) => {
                let def = self.types.record(*a);
                if def.origin != crate::ty::Origin::Anonymous {
                    return Fit::No(Misfit::Type);
                }
                let fields = def.fields.iter().map(|f| self.fit(f.ty, *value));
                fields.max().unwrap_or(Fit::Proven).max(Fit::Convert)
            }
            (TyKind::Fn(pa, ra), TyKind::Fn(pb, rb)) => {
                let params = pa.len() == pb.len()
                    && pa
                        .iter()
                        .zip(pb)
                        .all(|(a, b)| self.fit(*b, *a) == Fit::Proven);
                match params && self.fit(*ra, *rb) == Fit::Proven {
                    true => Fit::Proven,
                    false => Fit::No(Misfit::Type),
                }
            }
            _ => Fit::No(Misfit::Type),
        }
    }

    /// Nobody knows a secret before it is applied, so nothing is checked of it but what its making proves: its kind, and
    /// that it is base64.
    fn secrets(&self, a: Ty, b: Ty) -> Fit {
        let base64 = |ty: Ty| matches!(self.kind(ty), TyKind::String(rule) if rule.format == Some(Format::Base64));
        match self.fit(a, b) {
            Fit::No(why) => Fit::No(why),
            _ if base64(b) && !base64(a) => Fit::No(Misfit::Type),
            _ => Fit::Proven,
        }
    }

    fn lists(&self, a: &ListTy, b: &ListTy) -> Fit {
        let items = self.fit(a.item, b.item);
        let len = if b.len.min <= a.len.min && a.len.max <= b.len.max {
            Fit::Proven
        } else if a.len.max < b.len.min || a.len.min > b.len.max {
            Fit::No(Misfit::Range)
        } else {
            Fit::Check
        };
        let keys = if (b.keys.is_empty() || a.keys == b.keys) && (!b.set || a.set) {
            Fit::Proven
        } else {
            Fit::Check
        };
        items.max(len).max(keys)
    }

    /// Whether a value of the type may hold a secret.
    pub(crate) fn holds_secret(&self, ty: Ty, depth: usize) -> bool {
        /// Types nested deeper hold none: they contain themselves.
        const DEPTH: usize = 8;
        if depth > DEPTH {
            return false;
        }
        let deeper = |t: &Ty| self.holds_secret(*t, depth + 1);
        match self.kind(ty) {
            TyKind::Secret(_) => true,
            TyKind::Optional(inner) => deeper(inner),
            TyKind::List(list) => deeper(&list.item),
            TyKind::Map(_, value) => deeper(value),
            TyKind::Union(members) => members.iter().any(deeper),
            TyKind::Record(id) => {
                let def = self.types.record(*id);
                let is_own = def.span.is_some() || def.origin == Origin::Anonymous;
                is_own && def.fields.iter().any(|f| deeper(&f.ty))
            }
            _ => false,
        }
    }

    /// The smallest type that has the values of both.
    pub(crate) fn join(&mut self, a: Ty, b: Ty) -> Ty {
        if a == b || b == Ty::NEVER || b == Ty::ERROR {
            return a;
        }
        if a == Ty::NEVER || a == Ty::ERROR {
            return b;
        }
        match (self.kind(a).clone(), self.kind(b).clone()) {
            (TyKind::Any, _) | (_, TyKind::Any) => Ty::ANY,
            (TyKind::Null, _) => self.types.optional(b),
            (_, TyKind::Null) => self.types.optional(a),
            (TyKind::Optional(x), _) => {
                let y = self.types.without_optional(b);
                let joined = self.join(x, y);
                self.types.optional(joined)
            }
            (_, TyKind::Optional(_)) => self.join(b, a),
            (TyKind::Int(x), TyKind::Int(y)) => {
                let range = IntRange {
                    min: x.min.min(y.min),
                    max: x.max.max(y.max),
                };
                self.types.intern(TyKind::Int(range))
            }
            (TyKind::Int(_), TyKind::Float(_))
            | (TyKind::Float(_), TyKind::Int(_) | TyKind::Float(_)) => Ty::FLOAT,
            (TyKind::Int(_) | TyKind::Float(_), TyKind::Quantity)
            | (TyKind::Quantity, TyKind::Int(_) | TyKind::Float(_)) => Ty::QUANTITY,
            (TyKind::String(_), TyKind::String(_) | TyKind::Enum(_))
            | (TyKind::Enum(_), TyKind::String(_)) => Ty::STRING,
            (TyKind::List(x), TyKind::List(y)) => {
                let item = self.join(x.item, y.item);
                match x.keys == y.keys {
                    true => self.types.intern(TyKind::List(ListTy {
                        item,
                        len: crate::ty::LenRange::ALL,
                        keys: x.keys,
                        set: x.set && y.set,
                    })),
                    false => self.types.list(item),
                }
            }
            (TyKind::Map(kx, vx), TyKind::Map(ky, vy)) => {
                let (key, value) = (self.join(kx, ky), self.join(vx, vy));
                self.types.intern(TyKind::Map(key, value))
            }
            (TyKind::Record(x), TyKind::Record(y)) => {
                let kinds =
                    self.types.record(x).gvk().is_some() && self.types.record(y).gvk().is_some();
                if kinds {
                    Ty::OBJECT
                } else {
                    self.union(&[a, b])
                }
            }
            (TyKind::Record(x), TyKind::Object) | (TyKind::Object, TyKind::Record(x))
                if self.types.record(x).gvk().is_some() =>
            {
                Ty::OBJECT
            }
            _ => self.union(&[a, b]),
        }
    }
}

fn ranges(a: IntRange, b: IntRange) -> Fit {
    if b.covers(a) {
        Fit::Proven
    } else if a.max < b.min || b.max < a.min {
        Fit::No(Misfit::Range)
    } else {
        Fit::Check
    }
}

fn strings(a: &StringRule, b: &StringRule) -> Fit {
    let format = b.format.is_none() || a.format == b.format;
    let pattern = b.pattern.is_none() || a.pattern == b.pattern;
    let len = a.min_len >= b.min_len
        && b.max_len
            .is_none_or(|max| a.max_len.is_some_and(|mine| mine <= max));
    if format && pattern && len {
        Fit::Proven
    } else {
        Fit::Check
    }
}
