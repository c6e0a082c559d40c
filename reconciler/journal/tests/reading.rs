//! Readings open few segments of a long log, and find what reading all of them finds. The only test of its process:
//! it counts what every journal of it reads.

#[path = "support/deploys.rs"]
mod deploys;
#[path = "support/folder.rs"]
mod folder;

use std::sync::atomic::{AtomicUsize, Ordering};

use ordain_reconciler_journal::{At, Intent, Journal, Outcome, Query, Record, steps};

use deploys::{TINY, app};
use folder::folder;

static READ: AtomicUsize = AtomicUsize::new(0);

const SEGMENTS: usize = 30;
const APPS: u64 = 40;

/// Deploys of an app that follow each other.
const IN_A_ROW: u64 = 30;

/// A few deploys of one app after those of another, a second apart; `service-0` is deployed once, in the beginning.
fn deploy(journal: &Journal, number: u64) {
    let which = match number {
        0 => 0,
        number => 1 + number / IN_A_ROW % (APPS - 1),
    };
    let object = format!(r#"{{"kind":"ConfigMap","data":{{"value":"{number}"}}}}"#);
    let intent = Intent {
        app: app(which),
        commit: format!("{number:040x}"),
        plan: format!("{number:064x}"),
        ..Intent::default()
    };
    let time = number as i64 * 1000;
    deploys::deploy(journal, time, object, intent, Outcome::Healthy);
}

fn counted<T>(act: impl FnOnce() -> T) -> (T, usize) {
    READ.store(0, Ordering::SeqCst);
    let result = act();
    (result, READ.load(Ordering::SeqCst))
}

#[test]
fn a_long_log_is_not_read_as_a_whole() {
    steps::observe(|step| {
        if step == "segment-read" {
            READ.fetch_add(1, Ordering::SeqCst);
        }
    });
    let dir = folder();
    let (journal, _) = Journal::open_with(dir.path(), TINY).expect("it opens");
    let mut number = 0;
    let files = |ending: &str| {
        let names = std::fs::read_dir(dir.path().join("segments")).expect("a folder");
        let names = names.map(|entry| entry.expect("an entry").path());
        names
            .filter(|path| path.extension().is_some_and(|kind| kind == ending))
            .count()
    };
    while files("sealed") < SEGMENTS {
        deploy(&journal, number);
        number += 1;
    }
    let all = journal.records(&Query::default()).expect("it reads");
    assert_eq!(all.len() as u64, number * 2);
    let about = |name: &str| -> Vec<Record> {
        let is = |record: &&Record| record.event.app().is_some_and(|app| app.name == name);
        all.iter().filter(is).cloned().collect()
    };

    // The last records of all apps are in the last segments.
    let last = Query {
        limit: Some(2),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&last).expect("it reads"));
    assert_eq!(found, all[..2]);
    assert!(read <= 2, "{read}");

    // An app that was deployed once, at the beginning.
    let one = Query {
        app: Some("service-0".to_owned()),
        limit: Some(20),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&one).expect("it reads"));
    assert_eq!(found, about("service-0"));
    assert_eq!(read, 1);
    let (rows, read) = counted(|| journal.history(&app(0)).expect("it reads"));
    assert_eq!((rows.len(), read), (1, 1));

    // An app that is deployed now and then.
    let one = Query {
        app: Some("service-7".to_owned()),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&one).expect("it reads"));
    assert_eq!(found, about("service-7"));
    assert!(read < SEGMENTS / 4, "{read} of {SEGMENTS}");
    let none = Query {
        env: Some("dev".to_owned()),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&none).expect("it reads"));
    assert_eq!((found.len(), read), (0, 0));

    // A time in the middle, from both sides.
    let middle = number as i64 * 500;
    let around = Query {
        since_ms: Some(middle),
        until_ms: Some(middle + 2000),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&around).expect("it reads"));
    let wanted = all
        .iter()
        .filter(|one| (middle..middle + 2000).contains(&one.time_ms));
    assert_eq!(found, wanted.cloned().collect::<Vec<_>>());
    assert!(!found.is_empty() && read <= 3, "{read}");
    let (standing, read) = counted(|| journal.deploys_at(middle).expect("it reads"));
    let stood = all.iter().filter(|record| record.time_ms <= middle);
    let stood: std::collections::BTreeSet<_> = stood.filter_map(|one| one.event.app()).collect();
    assert_eq!(standing.len(), stood.len());
    assert!(
        read <= 17,
        "a state is never further away than sixteen segments: {read}"
    );
    let (set, _) = counted(|| {
        journal
            .object_set(&app(0), At::Time(middle))
            .expect("it reads")
    });
    assert_eq!(set.expect("it stood").deploy.number, 1);

    // Pages fit together.
    let mut paged = Vec::new();
    loop {
        let before_seq = paged.last().map(|record: &Record| record.seq);
        let page = Query {
            before_seq,
            limit: Some(7),
            ..Query::default()
        };
        let found = journal.records(&page).expect("it reads");
        if found.is_empty() {
            break;
        }
        paged.extend(found);
    }
    assert_eq!(paged, all);
    let mut forward = Vec::new();
    let each = journal.each(3, |record| {
        forward.push(record);
        true
    });
    each.expect("it reads");
    forward.reverse();
    assert_eq!(forward, all[..all.len() - 3]);

    // Without what lies beside the segments everything is found as well, and it is made again.
    for entry in std::fs::read_dir(dir.path().join("segments")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "about") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let one = Query {
        app: Some("service-0".to_owned()),
        ..Query::default()
    };
    let (found, read) = counted(|| journal.records(&one).expect("it reads"));
    assert_eq!(found, about("service-0"));
    assert!(read >= SEGMENTS, "{read}");
    while files("about") < files("sealed") {
        number += 1;
        deploy(&journal, number);
    }
    let (found, read) = counted(|| journal.records(&one).expect("it reads"));
    assert_eq!(found, about("service-0"));
    assert!(read <= 4, "{read}");
    drop(journal);
    ordain_reconciler_journal::verify(dir.path(), |_, _| {}).expect("intact");
}
