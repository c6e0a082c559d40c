//! How long to wait before trying again.

use jiff::{SignedDuration, Timestamp};

/// The wait after the second crash, doubled for each further one (kubelet, kubelet.go:
/// backOffPeriod).
const FIRST: SignedDuration = SignedDuration::from_secs(10);

/// The longest wait between restarts and between pulls (kubelet, kubelet.go: MaxCrashLoopBackOff,
/// MaxImageBackOff).
const LONGEST: SignedDuration = SignedDuration::from_mins(5);

/// A container that ran this long starts counting from nothing (twice the longest wait, as
/// client-go's flowcontrol.Backoff).
pub const FORGET: SignedDuration = SignedDuration::from_mins(10);

/// How long an image that could not be pulled says so before it says that it waits.
pub const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// Returns the wait before the `n`th try after the first: none before the first restart, then 10 s,
/// 20 s, 40 s and so on to five minutes.
pub fn restart(n: u32) -> SignedDuration {
    match n {
        0 | 1 => SignedDuration::ZERO,
        _ => doubled(n - 2),
    }
}

/// Returns the wait after the `n`th failed pull in a row, starting from one.
pub fn pull(n: u32) -> SignedDuration {
    doubled(n.saturating_sub(1))
}

fn doubled(times: u32) -> SignedDuration {
    let factor = 1i32.checked_shl(times.min(16)).unwrap_or(i32::MAX);
    (FIRST * factor).min(LONGEST)
}

/// Returns `at + wait`, or the end of time.
pub fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let seconds: Vec<_> = (0..9).map(|n| restart(n).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pull(1).as_secs(), 10);
        assert_eq!(pull(u32::MAX).as_secs(), 300);
    }
}
