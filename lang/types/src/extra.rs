//! Rules that a type has beside its kind: bounds of quantities and durations, how many entries a map has, multiples, and
//! the name of a type that is called something.
//!
//! A type with such a rule has the kind of the type it restricts ([`crate::ty::Types::kind`] looks through), so that
//! whoever asks what a value is need not know of the rule; whoever checks a value asks for it.

use std::sync::Arc;

use crate::literal::quantity_nanos;
use crate::ty::LenRange;

/// A rule beside the kind of a type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Extra {
    /// `Quantity(128Mi..=4Gi)`: bounds as written, both inside.
    Quantity {
        /// The least.
        min: Option<Arc<str>>,
        /// The most.
        max: Option<Arc<str>>,
    },
    /// `Duration(1s..=1h)`: bounds in nanoseconds, both inside.
    Duration {
        /// The shortest.
        min: i64,
        /// The longest.
        max: i64,
    },
    /// `Map<String, Int>(1..=3)`.
    Entries(LenRange),
    /// `Int(multiple = 2)`.
    Multiple(i64),
    /// A type that is called by a name of its own: `k8s.Port`. It restricts nothing.
    Named(&'static str),
}

/// A value as far as such a rule looks at it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Measured<'v> {
    /// An integer.
    Int(i64),
    /// A quantity, in the spelling it was written in.
    Quantity(&'v str),
    /// Nanoseconds.
    Duration(i64),
    /// How many entries a map has.
    Entries(usize),
}

impl Extra {
    /// What a value breaks of the rule: a code and a sentence.
    #[must_use]
    pub fn broken(&self, value: Measured<'_>) -> Option<(&'static str, String)> {
        match (self, value) {
            (Extra::Quantity { min, max }, Measured::Quantity(text)) => {
                let nanos = quantity_nanos(text)?;
                let bound = |bound: &Option<Arc<str>>| bound.as_deref().and_then(quantity_nanos);
                let low = bound(min).is_some_and(|min| nanos < min);
                let high = bound(max).is_some_and(|max| nanos > max);
                (low || high).then(|| ("E0203", format!("{text} is outside {}", self.show())))
            }
            (Extra::Duration { min, max }, Measured::Duration(nanos)) => {
                let outside = nanos < *min || nanos > *max;
                outside.then(|| {
                    (
                        "E0203",
                        format!("{} is outside {}", show_duration(nanos), self.show()),
                    )
                })
            }
            (Extra::Entries(len), Measured::Entries(count)) => (!len.contains(count)).then(|| {
                let allowed = crate::show::show_len(*len);
                (
                    "E0211",
                    format!("this map has {count} entries, {allowed} are allowed"),
                )
            }),
            (Extra::Multiple(of), Measured::Int(value)) => value
                .checked_rem(*of)
                .is_some_and(|rest| rest != 0)
                .then(|| ("E0203", format!("{value} is no multiple of {of}"))),
            _ => None,
        }
    }

    /// What to write instead, when that is one sentence.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Extra::Multiple(of) => Some(format!("use a multiple of {of}")),
            Extra::Quantity { .. } | Extra::Duration { .. } => {
                Some(format!("use a value in {}", self.show()))
            }
            Extra::Entries(_) | Extra::Named(_) => None,
        }
    }

    /// The rule as it stands in parentheses behind a type.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Extra::Quantity { min, max } => match (min, max) {
                (min, None) => format!("{}..", min.as_deref().unwrap_or("")),
                (min, Some(max)) => format!("{}..={max}", min.as_deref().unwrap_or("")),
            },
            Extra::Duration { min, max } => {
                let bound = |nanos: i64, open: i64| match nanos == open {
                    true => String::new(),
                    false => show_duration(nanos),
                };
                let equals = if *max == i64::MAX { "" } else { "=" };
                format!(
                    "{}..{equals}{}",
                    bound(*min, i64::MIN),
                    bound(*max, i64::MAX)
                )
            }
            Extra::Entries(len) => crate::show::show_len(*len),
            Extra::Multiple(of) => format!("multiple = {of}"),
            Extra::Named(name) => (*name).to_owned(),
        }
    }

    /// Whether every value that keeps this rule keeps the other.
    pub(crate) fn implies(&self, other: &Extra) -> bool {
        match (self, other) {
            (_, Extra::Named(_)) => true,
            (Extra::Multiple(a), Extra::Multiple(b)) => a.checked_rem(*b) == Some(0),
            (Extra::Entries(a), Extra::Entries(b)) => a.min >= b.min && a.max <= b.max,
            (
                Extra::Duration { min, max },
                Extra::Duration {
                    min: low,
                    max: high,
                },
            ) => min >= low && max <= high,
            _ => self == other,
        }
    }
}

/// A duration in its largest whole units.
#[must_use]
pub fn show_duration(nanos: i64) -> String {
    const UNITS: [(&str, i64); 5] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    let mut out = String::from(if nanos < 0 { "-" } else { "" });
    let mut rest = nanos.unsigned_abs();
    for (unit, size) in UNITS {
        let size = size.unsigned_abs();
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    match rest {
        0 if nanos == 0 => "0s".to_owned(),
        0 => out,
        rest => format!("{out}{rest}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold_and_break() {
        let memory = Extra::Quantity {
            min: Some("128Mi".into()),
            max: Some("4Gi".into()),
        };
        assert_eq!(memory.broken(Measured::Quantity("1Gi")), None);
        assert_eq!(memory.broken(Measured::Quantity("4096Mi")), None);
        assert!(memory.broken(Measured::Quantity("4097Mi")).is_some());
        assert_eq!(memory.show(), "128Mi..=4Gi");
        let soon = Extra::Duration {
            min: 1_000_000_000,
            max: i64::MAX,
        };
        assert_eq!(soon.show(), "1s..");
        assert!(soon.broken(Measured::Duration(5)).is_some());
        let even = Extra::Multiple(2);
        assert_eq!(even.broken(Measured::Int(-4)), None);
        assert!(even.broken(Measured::Int(3)).is_some());
        assert!(Extra::Multiple(6).implies(&Extra::Multiple(3)));
    }

    #[test]
    fn durations_are_shown_in_whole_units() {
        assert_eq!(show_duration(5_400_000_000_000), "1h30m");
        assert_eq!(show_duration(250_000_000), "250ms");
        assert_eq!(show_duration(0), "0s");
        assert_eq!(show_duration(-1_500_000_000), "-1s500ms");
    }
}
