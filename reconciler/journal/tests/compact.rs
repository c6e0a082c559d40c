//! Old records are cut off while others write, and a process that is killed meanwhile loses nothing that is needed.

#[path = "support/copy.rs"]
mod copy;
#[path = "support/folder.rs"]
mod folder;

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use ordain_reconciler_journal::{
    AppRef, Event, Intent, Journal, ObjectSet, Outcome, Sizes, steps, verify, verify_chain,
};

use copy::copy;
use folder::folder;

const SMALL: Sizes = Sizes {
    segment_bytes: Some(3000),
    pack_bytes: Some(1500),
};

/// Deploys before the compaction; those of the first two thirds are older than it wants.
const DEPLOYS: u64 = 24;
const BEFORE_MS: i64 = 16_000;

/// Names a step and how often it is passed: there the child ends as if it were killed.
const KILL: &str = "ORDAIN_TEST_KILL";
const FOLDER: &str = "ORDAIN_TEST_FOLDER";

fn app(number: u64) -> AppRef {
    AppRef {
        env: "dev".to_owned(),
        name: format!("app-{}", number % 3),
    }
}

fn deploy(journal: &Journal, number: u64) {
    let time = number as i64 * 1000;
    let mut batch = journal.batch().expect("it writes");
    // Every other deploy goes back to what was before: its blobs are old, and are named again.
    let value = if number.is_multiple_of(2) {
        number
    } else {
        number % 9
    };
    let object =
        |part: &str| format!(r#"{{"kind":"ConfigMap","data":{{"{part}":"{value:0100}"}}}}"#);
    let set = batch.put_set(&ObjectSet::new(["one", "two", "three"].map(object)));
    let intent = Intent {
        app: app(number),
        commit: format!("{number:040x}"),
        set,
        inventory: batch.put(format!("inventory {}", number % 3).as_bytes()),
        plan: format!("{number:064x}"),
        ..Intent::default()
    };
    let deploy = batch.append(time, Event::Intent(Box::new(intent))).seq;
    let event = Event::Outcome {
        deploy,
        app: app(number),
        outcome: Outcome::Healthy,
        inventory: None,
        writes: Vec::new(),
    };
    batch.append(time + 1, event);
    batch.commit().expect("it is durable");
}

fn filled(folder: &Path) -> Journal {
    let (journal, _) = Journal::open_with(folder, SMALL).expect("it opens");
    (0..DEPLOYS).for_each(|number| deploy(&journal, number));
    journal
}

/// Everything that may be asked for is there, and the audit finds nothing.
fn is_whole(folder: &Path) {
    let (journal, _) = Journal::open_with(folder, SMALL).expect("it opens");
    for number in 0..3 {
        let last = journal.last(&app(number)).expect("it was deployed");
        assert_eq!(last.commit, format!("{:040x}", DEPLOYS - 3 + number));
        journal.objects(&last.set).expect("its objects are there");
        let rows = journal.history(&app(number)).expect("it reads");
        assert_eq!(rows.last().map(|row| row.number), Some(DEPLOYS / 3));
    }
    deploy(&journal, DEPLOYS);
    drop(journal);
    verify(folder, |_, _| {}).expect("intact");
}

#[test]
fn others_write_while_old_records_are_cut_off() {
    let dir = folder();
    let journal = filled(dir.path());
    let (done, wrote) = (AtomicBool::new(false), AtomicUsize::new(0));
    let compacted = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = DEPLOYS;
            // Enough to be in its way, and not so much that it never ends.
            while wrote.load(Ordering::SeqCst) < 60 && !done.load(Ordering::SeqCst) {
                deploy(&journal, number);
                wrote.fetch_add(1, Ordering::SeqCst);
                number += 1;
            }
        });
        let mut all = Vec::new();
        for number in 1..=4 {
            let before = BEFORE_MS * number / 4;
            all.push(
                journal
                    .compact(before, 99_000, "a test")
                    .expect("it compacts"),
            );
        }
        done.store(true, Ordering::SeqCst);
        all
    });
    assert!(compacted.iter().any(|one| one.segments > 0));
    assert!(compacted.iter().any(|one| one.blobs > 0));
    drop(journal);
    let verified = verify(dir.path(), |_, _| {}).expect("intact");
    assert_eq!(verified.first, compacted[3].through + 1);
}

/// The child of the test below; without its variables it is no test.
#[test]
fn child() {
    let (Ok(kill), Ok(folder)) = (std::env::var(KILL), std::env::var(FOLDER)) else {
        return;
    };
    let (step, count) = kill.split_once(':').expect("STEP:COUNT");
    let (step, count) = (step.to_owned(), count.parse::<usize>().expect("a number"));
    let passed = AtomicUsize::new(0);
    let (journal, _) = Journal::open_with(Path::new(&folder), SMALL).expect("it opens");
    steps::observe(move |at| {
        if at == step && passed.fetch_add(1, Ordering::SeqCst) + 1 == count {
            std::process::abort();
        }
    });
    journal
        .compact(BEFORE_MS, 99_000, "a test")
        .expect("it compacts");
}

#[test]
fn a_compaction_that_is_killed_is_brought_to_its_end_later() {
    let mut killed = 0;
    let template = folder();
    drop(filled(template.path()));
    for (step, counts) in [
        ("compact-state", &[1][..]),
        ("log-half", &[1]),
        ("compact-recorded", &[1]),
        ("compact-segment", &[1, 3]),
        ("compact-pack", &[1, 3]),
    ] {
        for count in counts {
            let dir = folder();
            copy(template.path(), dir.path());
            let status = Command::new(std::env::current_exe().expect("a test"))
                .args(["child", "--exact", "--nocapture"])
                .env(KILL, format!("{step}:{count}"))
                .env(FOLDER, dir.path())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()
                .expect("it starts");
            killed += usize::from(!status.success());
            // As it lies there, before anybody opens it: a torn batch is the one thing that an audit may find.
            if step != "log-half" {
                verify(dir.path(), |_, _| {}).expect("intact");
            }
            is_whole(dir.path());
            let (journal, _) = Journal::open_with(dir.path(), SMALL).expect("it opens");
            let done = journal
                .compact(BEFORE_MS, 99_000, "a test")
                .expect("it compacts");
            assert!(done.through > 0, "{step} {count}");
            drop(journal);
            verify(dir.path(), |_, _| {}).expect("intact");
        }
    }
    assert!(killed >= 6, "only {killed} were killed");
}

#[test]
fn the_chain_alone_can_be_checked_elsewhere() {
    let dir = folder();
    let journal = filled(dir.path());
    journal
        .compact(BEFORE_MS, 99_000, "a test")
        .expect("it compacts");
    let there = folder();
    std::fs::create_dir(there.path().join("segments")).expect("a folder");
    let mut files = std::collections::BTreeMap::<String, Vec<u8>>::new();
    let sent = journal.chain(|part| {
        assert!(
            ordain_reconciler_journal::is_of_chain(&part.name),
            "{}",
            part.name
        );
        files.entry(part.name).or_default().extend(part.bytes);
        true
    });
    sent.expect("it is read");
    for (name, bytes) in &files {
        std::fs::write(there.path().join(name), bytes).expect("written");
    }
    let mut records = 0;
    let verified = verify_chain(there.path(), |_, _| records += 1).expect("intact");
    let whole = verify(dir.path(), |_, _| {}).expect("intact");
    assert_eq!(
        (verified.first, verified.last, verified.head, records),
        (whole.first, whole.last, whole.head, whole.records)
    );
    for (name, bytes) in &files {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(there.path().join(name), &changed).expect("written");
            let result = verify_chain(there.path(), |_, _| {});
            assert!(result.is_err(), "byte {at} of {name}");
        }
        std::fs::write(there.path().join(name), bytes).expect("written");
    }
}
