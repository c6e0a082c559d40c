//! Numbers as Kubernetes writes them: a count, or a share in percent.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Where the fraction of a share goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Down,
}

/// Returns the count that `value` means of `total`; nothing for text that is no percentage.
pub(crate) fn resolve(value: &IntOrString, total: i32, round: Round) -> i32 {
    match value {
        IntOrString::Int(count) => *count,
        IntOrString::String(text) => {
            let percent: i64 = match text.trim().strip_suffix('%').map(str::parse) {
                Some(Ok(percent)) => percent,
                _ => return 0,
            };
            let hundredths = percent.saturating_mul(i64::from(total));
            let count = match round {
                Round::Up => hundredths.saturating_add(99).div_euclid(100),
                Round::Down => hundredths.div_euclid(100),
            };
            i32::try_from(count).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::{Round, resolve};

    #[test]
    fn shares_round_as_told_and_counts_stay() {
        let share =
            |text: &str, total, round| resolve(&IntOrString::String(text.into()), total, round);
        assert_eq!(resolve(&IntOrString::Int(3), 10, Round::Up), 3);
        assert_eq!(share("25%", 3, Round::Up), 1);
        assert_eq!(share("25%", 3, Round::Down), 0);
        assert_eq!(share("50%", 4, Round::Up), 2);
        assert_eq!(share("100%", 7, Round::Down), 7);
        assert_eq!(share("0%", 7, Round::Up), 0);
        assert_eq!(share("many", 7, Round::Up), 0);
    }
}
