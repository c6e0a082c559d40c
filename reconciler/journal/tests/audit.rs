//! Whatever is changed in a journal, the audit finds it; and what is cut off on purpose is told by the chain.

#[path = "support/folder.rs"]
mod folder;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use ordain_reconciler_journal::{
    AppRef, At, Counts, Digest, Event, Intent, Journal, ObjectSet, Outcome, Query, Sizes, State,
    verify,
};
use proptest::prelude::*;
use tempfile::TempDir;

use folder::folder;

/// Everything is sealed early, so that a small journal has all kinds of files.
const SMALL: Sizes = Sizes {
    segment_bytes: Some(3000),
    pack_bytes: Some(1500),
};

fn app(name: &str) -> AppRef {
    AppRef {
        env: "dev".to_owned(),
        name: name.to_owned(),
    }
}

fn object(app: &str, name: &str, value: u64) -> String {
    format!(
        r#"{{"kind":"ConfigMap","metadata":{{"name":"{app}-{name}"}},"data":{{"value":"{value}"}}}}"#
    )
}

fn objects(app: &str, value: u64) -> ObjectSet {
    let same = ["one", "two", "three"].map(|name| object(app, name, 0));
    ObjectSet::new(same.into_iter().chain([object(app, "four", value)]))
}

/// Deploys of two apps in one batch, as a commit that changes both leads to.
fn deploy(journal: &Journal, number: u64) {
    let time = number as i64 * 1000;
    let mut batch = journal.batch().expect("it writes");
    let mut began = Vec::new();
    for name in ["web", "shop"] {
        let set = batch.put_set(&objects(name, number));
        let inventory = batch.put(format!("inventory of {name}").as_bytes());
        let intent = Intent {
            app: app(name),
            commit: format!("{number:040x}"),
            author: "Ada <ada@example.com>".to_owned(),
            subject: format!("change {number}"),
            set,
            inventory,
            plan: Digest::of(&number.to_le_bytes()).to_string(),
            counts: Counts {
                update: 1,
                unchanged: 3,
                ..Counts::default()
            },
            ..Intent::default()
        };
        let record = batch.append(time, Event::Intent(Box::new(intent)));
        began.push((name, record.seq));
    }
    batch.commit().expect("it is durable");
    let mut batch = journal.batch().expect("it writes");
    for (name, deploy) in began {
        batch.append(
            time + 1,
            Event::Outcome {
                deploy,
                app: app(name),
                outcome: Outcome::Healthy,
                inventory: None,
                writes: Vec::new(),
            },
        );
    }
    batch.commit().expect("it is durable");
}

fn journal(deploys: u64) -> TempDir {
    let dir = folder();
    let (journal, warnings) = Journal::open_with(dir.path(), SMALL).expect("it opens");
    assert!(warnings.is_empty());
    (1..=deploys).for_each(|number| deploy(&journal, number));
    dir
}

/// Every file of a journal, but its lock.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_intact(folder: &Path) -> bool {
    verify(folder, |_, _| {}).is_ok()
}

#[test]
fn a_journal_of_all_kinds_of_files_is_read_back() {
    let dir = journal(12);
    let names: Vec<_> = files(dir.path())
        .iter()
        .filter_map(|path| Some(path.extension()?.to_str()?.to_owned()))
        .collect();
    for kind in ["log", "sealed", "state", "pack", "packed"] {
        assert!(names.iter().any(|name| name == kind), "{kind} in {names:?}");
    }
    let mut records = 0;
    let verified = verify(dir.path(), |_, _| records += 1).expect("intact");
    assert_eq!((verified.first, verified.records, records), (1, 48, 48));

    let read = Journal::read(dir.path()).expect("it reads");
    let history = read.history(&app("web")).expect("it reads");
    let numbers: Vec<_> = history.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert!(history.iter().all(|row| row.state == State::Healthy));

    let at = |at| {
        let found = read.object_set(&app("web"), at).expect("it reads");
        found.map(|found| (found.deploy.number, found.objects[3].clone()))
    };
    let wanted = |number| Some((number, object("web", "four", number)));
    assert_eq!(at(At::Now), wanted(12));
    assert_eq!(at(At::Time(5000)), wanted(5));
    assert_eq!(at(At::Time(5999)), wanted(5));
    assert_eq!(at(At::Time(999)), None);
    assert_eq!(at(At::Number(7)), wanted(7));
    let commit = format!("{:040x}", 3);
    assert_eq!(at(At::Commit(&commit)), wanted(3));
    assert_eq!(at(At::LastHealthy), wanted(11));

    let query = Query {
        app: Some("shop".to_owned()),
        since_ms: Some(3000),
        until_ms: Some(5000),
        limit: Some(3),
        ..Query::default()
    };
    let found = read.records(&query).expect("it reads");
    let times: Vec<_> = found.iter().map(|record| record.time_ms).collect();
    assert_eq!(times, [4001, 4000, 3001]);
}

#[test]
fn a_start_reads_the_state_and_goes_on() {
    let dir = journal(12);
    let (journal, _) = Journal::open_with(dir.path(), SMALL).expect("it opens");
    assert_eq!(journal.last(&app("web")).expect("deployed").number, 12);
    deploy(&journal, 13);
    assert_eq!(journal.healthy(&app("web")).expect("deployed").number, 13);
    drop(journal);
    assert!(is_intact(dir.path()));
    // Without any state file everything is read again, and comes to the same.
    for path in files(dir.path()) {
        if path.extension().is_some_and(|kind| kind == "state") {
            fs::remove_file(path).expect("removed");
        }
    }
    let (journal, _) = Journal::open_with(dir.path(), SMALL).expect("it opens");
    assert_eq!(journal.last(&app("shop")).expect("deployed").number, 13);
}

#[test]
fn what_was_removed_or_put_elsewhere_is_found() {
    let dir = journal(13);
    assert!(is_intact(dir.path()));
    for path in files(dir.path()) {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let bytes = fs::read(&path).expect("it reads");
        // A state file, or what a segment is about, only saves time, and so does not prove anything; the private key is not
        // needed.
        let saves_time = name.ends_with(".state") || name.ends_with(".about");
        if !saves_time && name != "key" && name != "format" && !bytes.is_empty() {
            fs::remove_file(&path).expect("removed");
            assert!(!is_intact(dir.path()), "{name} was removed");
            fs::write(&path, &bytes).expect("written");
        }
        if bytes.is_empty() {
            continue;
        }
        // The second half is gone.
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        assert!(!is_intact(dir.path()), "{name} was cut");
        fs::write(&path, &bytes).expect("written");
    }
    let active = files(dir.path());
    let active = active
        .iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "log"));
    let active = active.expect("a segment that is appended to");
    let text = fs::read_to_string(active).expect("text");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    assert!(lines.len() >= 4, "{}", lines.len());
    // Whole batches from the end leave a chain that fits in itself.
    for kept in 0..lines.len() {
        fs::write(active, lines[..kept].concat()).expect("written");
        assert!(
            !is_intact(dir.path()),
            "{kept} of {} lines are left",
            lines.len()
        );
    }
    for at in 0..lines.len() - 1 {
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        fs::write(active, swapped.concat()).expect("written");
        assert!(
            !is_intact(dir.path()),
            "lines {at} and the next were swapped"
        );
    }
    fs::write(active, text).expect("written");
    assert!(is_intact(dir.path()));
}

#[test]
fn a_segment_of_another_journal_is_found() {
    let (one, other) = (journal(12), journal(12));
    let name = "segments/0000000000000001.sealed";
    fs::copy(other.path().join(name), one.path().join(name)).expect("copied");
    assert!(!is_intact(one.path()));
}

#[test]
fn old_records_are_cut_off_and_the_chain_says_so() {
    let dir = journal(20);
    let (journal, _) = Journal::open_with(dir.path(), SMALL).expect("it opens");
    let blob = journal.last(&app("web")).expect("deployed").set;
    let first = Digest::of(object("web", "four", 1).as_bytes());
    assert!(journal.get(&first).is_ok());
    let done = journal.compact(15_000, 99_000, "a test").expect("done");
    assert!(
        done.through > 0 && done.segments > 0 && done.blobs > 0,
        "{done:?}"
    );
    assert!(journal.get(&first).is_err(), "nothing names it any more");
    assert!(journal.objects(&blob).is_ok());
    let again = journal.compact(15_000, 99_000, "a test").expect("done");
    assert_eq!((again.segments, again.blobs), (0, 0));
    deploy(&journal, 21);
    let numbers = |journal: &Journal| {
        let rows = journal.history(&app("web")).expect("it reads");
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    let before = numbers(&journal);
    assert_eq!(before.last(), Some(&21), "numbers go on: {before:?}");
    drop(journal);
    let verified = verify(dir.path(), |_, _| {}).expect("intact");
    assert_eq!(verified.first, done.through + 1);
    let (journal, warnings) = Journal::open_with(dir.path(), SMALL).expect("it opens");
    assert!(warnings.is_empty());
    assert_eq!(numbers(&journal), before);
    // What was cut without a word is found.
    drop(journal);
    let sealed = files(dir.path());
    let sealed = sealed
        .iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "sealed"));
    fs::remove_file(sealed.expect("a sealed segment")).expect("removed");
    assert!(!is_intact(dir.path()));
}

#[test]
fn a_newer_version_is_told_and_unknown_events_are_kept() {
    let dir = journal(1);
    let format = dir.path().join("format");
    fs::write(&format, "ordain journal 3 needs 2\n").expect("written");
    let (journal, _) = Journal::open(dir.path()).expect("the version before reads it");
    drop(journal);
    fs::write(&format, "ordain journal 4 needs 3\n").expect("written");
    let error = Journal::open(dir.path())
        .expect_err("it is too new")
        .to_string();
    assert!(error.contains("newer version"), "{error}");
    let record = r#"{"seq":1,"time_ms":2,"event":"of-tomorrow","more":[1]}"#;
    let record: ordain_reconciler_journal::Record =
        serde_json::from_str(record).expect("it is read");
    assert_eq!(record.event, Event::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One byte anywhere in any file.
    #[test]
    fn any_changed_byte_of_any_file_is_found(file in 0.0f64..1.0, at in 0.0f64..1.0, change in 1u8..=255) {
        static JOURNAL: OnceLock<TempDir> = OnceLock::new();
        let dir = JOURNAL.get_or_init(|| journal(5));
        let files = files(dir.path());
        let path = &files[(files.len() as f64 * file) as usize];
        let mut bytes = fs::read(path).expect("it reads");
        prop_assume!(!bytes.is_empty());
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] ^= change;
        fs::write(path, &bytes).expect("written");
        let found = !is_intact(dir.path());
        bytes[at] ^= change;
        fs::write(path, &bytes).expect("written");
        prop_assert!(found, "byte {} of {}", at, path.display());
    }
}
