//! How many requests may be under way at once, learned from the answers. Pure: it sees durations, no clock.
//!
//! There is no rate to set. The limit grows while the server answers about as quickly as it ever did and somebody
//! waits for a turn; it shrinks when answers take much longer, and by half when the server says that it is busy
//! (additive increase, multiplicative decrease, as TCP does it: RFC 5681).

use std::time::Duration;

/// Requests at once before anything was learned: few, because how quick the server can be is learned from them.
const START: f64 = 4.0;

/// Never fewer: one slow request must not hold up everything.
const MIN: f64 = 2.0;

/// Never more, as a kube-apiserver takes 400 from everybody (`--max-requests-inflight`).
const MAX: f64 = 256.0;

/// Answers may take this many times as long as the quickest ones before that counts as slow.
const SLOW_FACTOR: f64 = 2.0;

/// Seconds by which answers vary on a server that has nothing to do.
const SLACK: f64 = 0.005;

/// What is left of the limit when answers are slow.
const SLOWER: f64 = 0.8;

/// What is left of the limit when the server is busy.
const BUSY: f64 = 0.5;

/// After so many rounds it is measured anew how quick the server can be, with a quarter of the requests: it may have
/// become slower for good, or quicker.
const ROUNDS: u32 = 300;

/// What a request asks of a server. A write waits for a disk, and writes that come together wait together: compared with
/// a look it is slow, and fewer of them at once would only make all of them take longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing is stored: a look, or a dry run.
    Look,
    /// Something is stored.
    Write,
}

/// Answers of one class in a round that say anything about it.
const ANSWERS_MIN: f64 = 2.0;

/// The limit of one API server.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    limit: f64,
    /// True until something was slow: until then the limit doubles with each round.
    is_starting: bool,
    /// Seconds of the quickest round, by class.
    base: [Option<f64>; 2],
    /// Rounds since that was measured.
    rounds: u32,
    round: Round,
}

/// As many answers as the limit was when it began: about one round trip.
#[derive(Debug, Clone, Default)]
struct Round {
    answers: f64,
    /// Answers and their seconds, by class.
    classes: [(f64, f64); 2],
    /// Whether requests had to wait for a turn.
    is_full: bool,
    /// Whether the server said that it is busy; once in a round is enough.
    is_busy: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: START,
            is_starting: true,
            base: [None; 2],
            rounds: 0,
            round: Round::default(),
        }
    }
}

impl Pace {
    /// Requests that may be under way at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between MIN and MAX"
    )]
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// An answer came, whatever it said; `waiting` tells whether others wait for a turn.
    pub(crate) fn answered(&mut self, class: Class, took: Duration, waiting: bool) {
        self.round.answers += 1.0;
        let (answers, seconds) = &mut self.round.classes[class as usize];
        *answers += 1.0;
        *seconds += took.as_secs_f64();
        self.round.is_full |= waiting;
        if self.round.answers >= self.limit.floor() {
            self.end_round();
        }
    }

    /// The server said that it is busy, or did not answer in time.
    pub(crate) fn busy(&mut self) {
        if !self.round.is_busy {
            self.round.is_busy = true;
            self.is_starting = false;
            self.shrink(BUSY);
        }
    }

    fn end_round(&mut self) {
        let round = std::mem::take(&mut self.round);
        if round.is_busy {
            // How long the answers took says little about a limit that was halved meanwhile.
            return;
        }
        self.rounds += 1;
        if self.rounds >= ROUNDS {
            (self.rounds, self.base, self.is_starting) = (0, [None; 2], true);
            self.shrink(0.25);
            return;
        }
        let mut is_slow = false;
        for (base, (answers, seconds)) in self.base.iter_mut().zip(round.classes) {
            if answers >= ANSWERS_MIN {
                let mean = seconds / answers;
                let quickest = base.map_or(mean, |base| base.min(mean));
                *base = Some(quickest);
                is_slow |= mean > quickest * SLOW_FACTOR + SLACK;
            }
        }
        if is_slow {
            self.is_starting = false;
            self.shrink(SLOWER);
        } else if round.is_full {
            let grown = if self.is_starting {
                self.limit * 2.0
            } else {
                self.limit + 1.0
            };
            self.limit = grown.min(MAX);
        }
    }

    fn shrink(&mut self, factor: f64) {
        self.limit = (self.limit * factor).max(MIN);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server that works on some requests at once, each in so many milliseconds; the rest waits in its queue.
    fn run(pace: &mut Pace, at_once: usize, millis: f64, answers: usize) {
        for _ in 0..answers {
            let queue = pace.limit().max(at_once);
            let seconds = millis / 1000.0 * queue as f64 / at_once as f64;
            pace.answered(Class::Look, Duration::from_secs_f64(seconds), true);
        }
    }

    #[test]
    fn the_limit_finds_what_a_server_can_do() {
        for (at_once, millis) in [(4, 20.0), (16, 50.0), (64, 10.0), (100, 200.0)] {
            let mut pace = Pace::default();
            run(&mut pace, at_once, millis, 20_000);
            let (least, most) = (at_once, at_once * 5);
            let limit = pace.limit();
            assert!(
                (least..=most).contains(&limit),
                "{at_once} at once: {limit}"
            );
        }
    }

    #[test]
    fn writes_that_wait_for_a_disk_do_not_count_as_slow_looks() {
        let mut pace = Pace::default();
        for number in 0..10_000_u32 {
            let (class, millis) = match number / 500 % 2 {
                0 => (Class::Look, 1),
                // Whatever is written at once is synced at once.
                _ => (Class::Write, 20),
            };
            pace.answered(class, Duration::from_millis(millis), true);
        }
        assert!(pace.limit() >= 64, "{}", pace.limit());
    }

    #[test]
    fn nobody_who_waits_means_no_more_slots() {
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.answered(Class::Look, Duration::from_millis(1), false);
        }
        assert!(pace.limit() <= 4, "{}", pace.limit());
    }

    #[test]
    fn a_busy_server_is_asked_half_as_much_once_in_a_round() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.busy();
        }
        assert_eq!(pace.limit(), 2);
        run(&mut pace, 64, 1.0, 100);
        let before = pace.limit();
        for _ in 0..before {
            pace.answered(Class::Look, Duration::from_millis(1), true);
        }
        let grown = pace.limit();
        pace.busy();
        assert_eq!(pace.limit(), grown / 2);
    }

    #[test]
    fn a_server_that_recovers_gets_its_load_back() {
        let mut pace = Pace::default();
        run(&mut pace, 64, 10.0, 5_000);
        let before = pace.limit();
        run(&mut pace, 4, 10.0, 2_000);
        let during = pace.limit();
        run(&mut pace, 64, 10.0, 20_000);
        assert!(during < before / 2, "{during} of {before}");
        assert!(pace.limit() >= before / 2, "{} of {before}", pace.limit());
    }

    #[test]
    fn a_server_that_is_slower_for_good_is_used_all_the_same() {
        let mut pace = Pace::default();
        run(&mut pace, 32, 10.0, 5_000);
        run(&mut pace, 32, 100.0, 40_000);
        assert!(pace.limit() >= 16, "{}", pace.limit());
    }

    proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds(events in prop::collection::vec((0..3_u8, 0..100_000_u64), 0..2_000)) {
            let mut pace = Pace::default();
            for (kind, micros) in events {
                match kind {
                    0 => pace.busy(),
                    kind => {
                        let class = if micros % 2 == 0 { Class::Look } else { Class::Write };
                        pace.answered(class, Duration::from_micros(micros), kind == 1);
                    }
                }
                prop_assert!((2..=256).contains(&pace.limit()));
            }
        }
    }
}
