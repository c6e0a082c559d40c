//! What to do with a Lease that was found, as client-go's `tools/leaderelection/leaderelection.go` decides it. Pure.
//!
//! Only how long ago a record was *seen* to change counts, on our own clock; the times in it are for people.

use std::time::Duration;

use jiff::Timestamp;

/// What stands in a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who has it; empty when it was let go of.
    pub(crate) holder: String,
    pub(crate) seconds: i64,
    pub(crate) acquired: String,
    pub(crate) renewed: String,
    /// How often it went from one to another.
    pub(crate) transitions: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Move {
    /// Somebody else has it.
    Wait { holder: String },
    /// Writes this: it is ours as soon as the server takes it.
    Write(Record),
}

/// What is remembered between two tries.
#[derive(Debug)]
pub(crate) struct State {
    identity: String,
    /// The last record, and when it was first seen.
    seen: Option<(Record, Duration)>,
}

impl State {
    pub(crate) fn new(identity: String) -> Self {
        let seen = None;
        Self { identity, seen }
    }

    /// Looks at what was found. `since` is our own clock, `now` the time for people.
    pub(crate) fn step(
        &mut self,
        found: Option<&Record>,
        since: Duration,
        lease: Duration,
        now: Timestamp,
    ) -> Move {
        let Some(found) = found else {
            return Move::Write(self.record(lease, 0, now, None));
        };
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != found) {
            self.seen = Some((found.clone(), since));
        }
        let first_seen = self.seen.as_ref().map_or(since, |(_, at)| *at);
        let ours = found.holder == self.identity;
        if !ours && !found.holder.is_empty() && since < first_seen + lease {
            let holder = found.holder.clone();
            return Move::Wait { holder };
        }
        let acquired = ours.then(|| found.acquired.clone());
        let transitions = found.transitions + i64::from(!ours);
        Move::Write(self.record(lease, transitions, now, acquired))
    }

    /// Takes note of what the server took.
    pub(crate) fn wrote(&mut self, record: Record, since: Duration) {
        self.seen = Some((record, since));
    }

    /// What lets go of the Lease; nothing when it is not ours.
    pub(crate) fn release(
        &mut self,
        found: &Record,
        since: Duration,
        now: Timestamp,
    ) -> Option<Record> {
        if found.holder != self.identity {
            return None;
        }
        let record = Record {
            holder: String::new(),
            ..self.record(Duration::from_secs(1), found.transitions, now, None)
        };
        self.seen = Some((record.clone(), since));
        Some(record)
    }

    fn record(
        &self,
        lease: Duration,
        transitions: i64,
        now: Timestamp,
        acquired: Option<String>,
    ) -> Record {
        // `MicroTime` of the API.
        let now = now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        Record {
            holder: self.identity.clone(),
            seconds: i64::try_from(lease.as_secs()).unwrap_or(i64::MAX).max(1),
            acquired: acquired.unwrap_or_else(|| now.clone()),
            renewed: now,
            transitions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn at(second: u64) -> (Duration, Timestamp) {
        let time = Timestamp::from_second(1_800_000_000 + second.cast_signed());
        (Duration::from_secs(second), time.expect("in range"))
    }

    fn step(state: &mut State, found: Option<&Record>, second: u64) -> Move {
        let (since, now) = at(second);
        let step = state.step(found, since, LEASE, now);
        if let Move::Write(record) = &step {
            state.wrote(record.clone(), since);
        }
        step
    }

    fn written(step: Move) -> Record {
        match step {
            Move::Write(record) => record,
            Move::Wait { holder } => panic!("{holder} has it"),
        }
    }

    #[test]
    fn the_first_one_has_it_and_keeps_it_while_it_renews() {
        let (mut a, mut b) = (State::new("a".to_owned()), State::new("b".to_owned()));
        let first = written(step(&mut a, None, 0));
        assert_eq!((first.holder.as_str(), first.transitions), ("a", 0));
        let mut lease = first.clone();
        for second in (2..100).step_by(2) {
            let waits = step(&mut b, Some(&lease), second);
            assert_eq!(
                waits,
                Move::Wait {
                    holder: "a".to_owned()
                }
            );
            lease = written(step(&mut a, Some(&lease), second + 1));
            assert_eq!((&lease.acquired, lease.transitions), (&first.acquired, 0));
        }
    }

    #[test]
    fn one_that_does_not_renew_is_replaced_after_the_lease() {
        let (mut a, mut b) = (State::new("a".to_owned()), State::new("b".to_owned()));
        let lease = written(step(&mut a, None, 0));
        // Whoever looks for the first time waits the whole time: the others' clocks say nothing.
        for second in 100..115 {
            assert!(matches!(
                step(&mut b, Some(&lease), second),
                Move::Wait { .. }
            ));
        }
        let taken = written(step(&mut b, Some(&lease), 115));
        assert_eq!((taken.holder.as_str(), taken.transitions), ("b", 1));
        // The old one comes back and finds that it is another's.
        let late = step(&mut a, Some(&taken), 116);
        assert_eq!(
            late,
            Move::Wait {
                holder: "b".to_owned()
            }
        );
    }

    #[test]
    fn one_that_lets_go_is_replaced_at_once() {
        let (mut a, mut b) = (State::new("a".to_owned()), State::new("b".to_owned()));
        let lease = written(step(&mut a, None, 0));
        assert!(matches!(step(&mut b, Some(&lease), 1), Move::Wait { .. }));
        let (since, now) = at(2);
        assert_eq!(b.release(&lease, since, now), None, "it is not b's");
        let free = a.release(&lease, since, now).expect("it is a's");
        let taken = written(step(&mut b, Some(&free), 3));
        assert_eq!((taken.holder.as_str(), taken.transitions), ("b", 1));
    }

    #[test]
    fn one_that_comes_back_under_its_name_goes_on() {
        let mut a = State::new("a".to_owned());
        let lease = written(step(&mut a, None, 0));
        let mut again = State::new("a".to_owned());
        let lease = written(step(&mut again, Some(&lease), 3));
        assert_eq!(lease.transitions, 0);
    }
}
