//! The journal's laws: what was acknowledged is read back, a torn end is cut, a changed byte is found.

use std::{fs, path::Path};

use ordain_reconciler_journal::{
    AppRef, Counts, Digest, Error, Event, Intent, Journal, Outcome, Rollback, State, Warning,
    verify,
};
use proptest::prelude::*;

/// Where the first records are.
const LOG: &str = "segments/0000000000000001.log";

fn app() -> AppRef {
    AppRef {
        env: "dev".to_owned(),
        name: "web".to_owned(),
    }
}

/// The blob of a set without objects.
const SET: &[u8] = b"ordain set 1\n";

fn intent(commit: &str, rollback: Option<Rollback>) -> Event {
    Event::Intent(Box::new(Intent {
        app: app(),
        commit: commit.to_owned(),
        author: "Ada".to_owned(),
        subject: format!("change {commit}"),
        set: Digest::of(SET),
        inventory: Digest::of(b"inventory"),
        plan: "plan".to_owned(),
        counts: Counts {
            create: 1,
            ..Counts::default()
        },
        rollback,
        ..Intent::default()
    }))
}

fn outcome(deploy: u64, outcome: Outcome) -> Event {
    Event::Outcome {
        deploy,
        app: app(),
        outcome,
        inventory: None,
        writes: Vec::new(),
    }
}

fn open(folder: &Path) -> Journal {
    let journal = Journal::open(folder).expect("a journal").0;
    journal.put(SET).expect("stored");
    journal.put(b"inventory").expect("stored");
    journal
}

/// Writes `count` records and returns the log's bytes.
fn written(folder: &Path, count: u8) -> Vec<u8> {
    let journal = open(folder);
    for number in 0..count {
        journal
            .append(i64::from(number), intent(&number.to_string(), None))
            .expect("appended");
    }
    fs::read(folder.join(LOG)).expect("a log")
}

#[test]
fn a_reopened_journal_tells_the_same_history() {
    let dir = tempfile::tempdir().expect("a folder");
    {
        let journal = open(dir.path());
        let one = journal
            .append(1, intent("one", None))
            .expect("appended")
            .seq;
        journal
            .append(2, outcome(one, Outcome::Applied))
            .expect("appended");
        journal
            .append(3, outcome(one, Outcome::Healthy))
            .expect("appended");
        let two = journal
            .append(4, intent("two", None))
            .expect("appended")
            .seq;
        let reasons = vec!["Deployment web: ImagePullBackOff".to_owned()];
        journal
            .append(5, outcome(two, Outcome::Failed { reasons }))
            .expect("appended");
        let back = Rollback {
            of: "two".to_owned(),
            to: "one".to_owned(),
        };
        journal
            .append(6, intent("three", Some(back)))
            .expect("appended");
    }
    let journal = open(dir.path());
    let rows: Vec<_> = journal
        .history(&app())
        .expect("it reads")
        .into_iter()
        .map(|row| (row.commit, row.was_healthy, row.state.clone()))
        .collect();
    assert_eq!(
        rows,
        [
            ("one".to_owned(), true, State::Healthy),
            (
                "two".to_owned(),
                false,
                State::RolledBack {
                    by: "three".to_owned()
                }
            ),
            ("three".to_owned(), false, State::Started),
        ]
    );
    assert_eq!(journal.inventory(&app()), Some(Digest::of(b"inventory")));
    assert_eq!(verify(dir.path(), |_, _| {}).expect("clean").records, 6);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = open(dir.path());
    assert!(matches!(
        Journal::open(dir.path()),
        Err(Error::InUse { .. })
    ));
    drop(first);
    open(dir.path());
}

#[test]
fn blobs_are_found_by_content_and_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    let journal = open(dir.path());
    let digest = journal.put(b"objects").expect("stored");
    assert_eq!(journal.put(b"objects").expect("stored"), digest);
    assert_eq!(journal.get(&digest).expect("there"), b"objects");
    let missing = Digest::of(b"other");
    assert!(matches!(journal.get(&missing), Err(Error::NoBlob { .. })));
    drop(journal);
    let path = dir.path().join("packs/00000001.pack");
    let mut bytes = fs::read(&path).expect("a pack");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(path, bytes).expect("written");
    let journal = open(dir.path());
    assert!(matches!(
        journal.get(&digest),
        Err(Error::BlobChanged { .. })
    ));
}

#[cfg(unix)]
#[test]
fn the_private_key_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    open(dir.path());
    let mode = fs::metadata(dir.path().join("key"))
        .expect("a key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever a crash tears the last record, the others are read and the journal goes on.
    #[test]
    fn a_torn_end_is_cut_and_the_chain_goes_on(count in 1u8..5, cut in 0.0f64..1.0) {
        let dir = tempfile::tempdir().expect("a folder");
        let bytes = written(dir.path(), count);
        let body = &bytes[..bytes.len() - 1];
        let start = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let length = start + ((bytes.len() - start) as f64 * cut) as usize;
        fs::write(dir.path().join(LOG), &bytes[..length]).expect("written");

        let (journal, warnings) = Journal::open(dir.path()).expect("it opens");
        prop_assert_eq!(journal.history(&app()).expect("it reads").len(), usize::from(count) - 1);
        if length > start {
            let torn = matches!(warnings[..], [Warning::TornRecord { seq, .. }] if seq == u64::from(count));
            prop_assert!(torn);
        } else {
            prop_assert!(warnings.is_empty());
        }
        journal.append(9, intent("after", None)).expect("appended");
        drop(journal);
        prop_assert_eq!(verify(dir.path(), |_, _| {}).expect("clean").records, u64::from(count));
    }

    /// Any changed byte is found by `verify`; opening never panics, and never loses an earlier record.
    #[test]
    fn any_changed_byte_is_found(count in 1u8..4, at in 0.0f64..1.0, change in 1u8..255) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut bytes = written(dir.path(), count);
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] ^= change;
        let record = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        fs::write(dir.path().join(LOG), &bytes).expect("written");
        let verified = verify(dir.path(), |_, _| {});
        prop_assert!(verified.is_err());
        if let Ok((journal, _)) = Journal::open(dir.path()) {
            prop_assert!(journal.history(&app()).expect("it reads").len() >= record);
        }
    }
}
