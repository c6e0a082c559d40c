//! A full disk: nothing is acknowledged, nothing is lost, and writing goes on when there is room again.

use ordain_reconciler_journal::{Error, Event, Journal, Query, steps, verify};

fn note(text: &str) -> Event {
    Event::Note {
        only: None,
        topic: "test".to_owned(),
        text: text.to_owned(),
        facts: Default::default(),
    }
}

// One test alone in its process: the switch is for all journals of a process.
#[test]
fn a_full_disk_refuses_and_forgets_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path()).expect("it opens");
    journal.append(1, note("before")).expect("there is room");
    steps::disk_full(true);
    let refused = journal.append(2, note("lost"));
    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    assert!(journal.put(b"lost").is_err());
    let all = journal.records(&Query::default()).expect("reading goes on");
    assert_eq!(all.len(), 1);
    steps::disk_full(false);
    let next = journal.append(3, note("after")).expect("there is room");
    assert_eq!(next.seq, 2, "the number of what was refused is used again");
    drop(journal);
    assert_eq!(verify(dir.path(), |_, _| {}).expect("intact").records, 2);
    let (journal, warnings) = Journal::open(dir.path()).expect("it opens");
    assert!(warnings.is_empty());
    drop(journal);
}
