//! A process that is killed while it seals what is appended to loses nothing, and its journal opens.

#[path = "support/copy.rs"]
mod copy;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ordain_reconciler_journal::{Event, Journal, Query, steps};

use copy::copy;

thread_local! {
    static CRASH_AT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

fn note(number: i64) -> Event {
    Event::Note {
        only: None,
        topic: "test".to_owned(),
        text: number.to_string(),
        facts: Default::default(),
    }
}

fn times(journal: &Journal) -> Vec<i64> {
    let records = journal.records(&Query::default()).expect("it reads");
    records.iter().map(|record| record.time_ms).collect()
}

#[test]
fn a_crash_while_something_is_sealed_loses_nothing() {
    steps::observe(|step| {
        assert_ne!(CRASH_AT.get(), Some(step), "a crash");
    });
    for step in ["seal-next", "seal-segment", "seal-state", "pack-sealed"] {
        let dir = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(dir.path()).expect("it opens");
        let blob = journal.put(step.as_bytes()).expect("stored");
        for time in 1..=3 {
            journal.append(time, note(time)).expect("appended");
        }
        CRASH_AT.set(Some(step));
        let crashed = catch_unwind(AssertUnwindSafe(|| journal.seal()));
        CRASH_AT.set(None);
        assert!(crashed.is_err(), "there is no step {step}");
        drop(journal);
        for last in [3, 4] {
            let (journal, _) = Journal::open(dir.path())
                .unwrap_or_else(|error| panic!("after a crash at {step}: {error}"));
            let mut known = times(&journal);
            known.sort_unstable();
            assert_eq!(known, (1..=last).collect::<Vec<_>>(), "{step}");
            assert_eq!(journal.get(&blob).expect("it is there"), step.as_bytes());
            journal.append(last + 1, note(last + 1)).expect("appended");
        }
    }
}

/// Until version 0.1 a state was written before its segment, so a process that was killed in between left one alone.
#[test]
fn a_state_without_its_segment_is_no_reason_to_refuse_a_journal() {
    let (one, other) = (tempfile::tempdir(), tempfile::tempdir());
    let (one, other) = (one.expect("a folder"), other.expect("a folder"));
    let (journal, _) = Journal::open(one.path()).expect("it opens");
    (1..=3).for_each(|time| drop(journal.append(time, note(time))));
    drop(journal);
    copy(one.path(), other.path());
    let (journal, _) = Journal::open(other.path()).expect("it opens");
    journal.seal().expect("sealed");
    drop(journal);
    let state = "segments/0000000000000003.state";
    std::fs::copy(other.path().join(state), one.path().join(state)).expect("copied");
    let (journal, _) = Journal::open(one.path()).expect("it opens");
    assert_eq!(times(&journal), [3, 2, 1]);
    assert!(
        !one.path().join(state).exists(),
        "it would be in the way later"
    );
}
