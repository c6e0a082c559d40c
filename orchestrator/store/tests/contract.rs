//! The contract of [`Kv`]: every case runs on every backend.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use ordain_orchestrator_store::{
    Embedded, Error, Event, Expect, History, KEY_BYTES_MAX, Kv, Memory, Range, Revision,
    VALUE_BYTES_MAX, Watch,
};

/// A small history, so that a case can overrun it.
const SMALL: History = History {
    events_max: 16,
    bytes_max: 1 << 20,
};

/// Writes one test per case and backend.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(std::sync::Arc::new(super::Memory::with_history(super::SMALL))).await;
            })*
        }
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().unwrap();
                let store = super::Embedded::open_with(dir.path(), super::SMALL).unwrap();
                super::$case(std::sync::Arc::new(store)).await;
            })*
        }
    };
}

contract![
    a_store_begins_empty_at_revision_zero,
    every_write_takes_the_next_revision,
    an_entry_counts_its_versions_from_its_creation,
    a_put_with_the_wrong_expectation_changes_nothing,
    a_delete_returns_what_was_stored,
    oversized_keys_and_values_are_refused,
    a_list_is_ordered_and_holds_to_its_prefix,
    pages_of_one_revision_ignore_later_writes,
    a_list_of_the_past_shows_the_past,
    a_list_outside_the_history_says_so,
    one_of_many_concurrent_writers_wins,
    concurrent_increments_are_all_counted,
    a_watch_delivers_every_write_once_in_order,
    a_watch_resumes_after_any_kept_revision,
    a_watch_sees_only_its_prefix_and_knows_its_progress,
    a_watch_of_the_future_waits,
    a_watch_before_the_history_is_refused,
    a_slow_watch_is_cut_off_and_a_sleeping_one_is_not,
    compaction_forgets_and_keeps_what_it_says,
    a_deleted_key_can_be_compacted_and_made_again,
    a_closed_store_ends_its_watches,
];

type Store = Arc<dyn Kv>;

fn value(text: impl ToString) -> Bytes {
    Bytes::from(text.to_string())
}

async fn put(store: &Store, key: &str, text: impl ToString) -> Revision {
    store
        .put(key, value(text), Expect::Any)
        .await
        .unwrap()
        .mod_revision
}

async fn keys(store: &Store, range: Range) -> String {
    let page = store.list(range).await.unwrap();
    let entries = page.entries.iter();
    let keys: Vec<_> = entries
        .map(|e| format!("{}={}", e.key, String::from_utf8_lossy(&e.value)))
        .collect();
    format!("{} +{} @{}", keys.join(" "), page.remaining, page.revision)
}

async fn next(watch: &mut Watch) -> Arc<Event> {
    watch
        .next()
        .await
        .expect("the watch is open")
        .expect("the watch goes on")
}

/// `r7 key old->new`
fn show(event: impl AsRef<Event>) -> String {
    let event = event.as_ref();
    let text = |entry: &Option<Arc<_>>| match entry {
        Some(entry) => {
            let entry: &Arc<ordain_orchestrator_store::Entry> = entry;
            String::from_utf8_lossy(&entry.value).into_owned()
        }
        None => "-".to_owned(),
    };
    format!(
        "{:?} {} {}>{}",
        event.revision,
        event.key(),
        text(&event.old),
        text(&event.new)
    )
}

async fn a_store_begins_empty_at_revision_zero(store: Store) {
    assert_eq!(store.revision().await.unwrap(), Revision::ZERO);
    assert_eq!(store.get("a").await.unwrap(), None);
    assert_eq!(store.count("").await.unwrap(), 0);
    assert_eq!(keys(&store, Range::default()).await, " +0 @0");
}

async fn every_write_takes_the_next_revision(store: Store) {
    assert_eq!(put(&store, "a", 1).await, Revision(1));
    assert_eq!(put(&store, "b", 1).await, Revision(2));
    assert_eq!(
        store.delete("a", Expect::Any).await.unwrap().revision,
        Revision(3)
    );
    let refused = store.delete("a", Expect::Any).await;
    assert!(
        matches!(refused, Err(Error::NotFound { .. })),
        "{refused:?}"
    );
    assert_eq!(put(&store, "a", 1).await, Revision(4));
    assert_eq!(store.revision().await.unwrap(), Revision(4));
}

async fn an_entry_counts_its_versions_from_its_creation(store: Store) {
    put(&store, "x", 0).await;
    put(&store, "a", 1).await;
    put(&store, "a", 2).await;
    let entry = store.get("a").await.unwrap().unwrap();
    let stamps = (entry.create_revision, entry.mod_revision, entry.version);
    assert_eq!(stamps, (Revision(2), Revision(3), 2));
    store
        .delete("a", Expect::Exactly(Revision(3)))
        .await
        .unwrap();
    let entry = store.put("a", value(3), Expect::Absent).await.unwrap();
    let stamps = (entry.create_revision, entry.mod_revision, entry.version);
    assert_eq!(stamps, (Revision(5), Revision(5), 1));
}

async fn a_put_with_the_wrong_expectation_changes_nothing(store: Store) {
    let first = put(&store, "a", 1).await;
    put(&store, "a", 2).await;
    for expect in [Expect::Absent, Expect::Exactly(first)] {
        match store.put("a", value(3), expect).await {
            Err(Error::Conflict {
                actual: Some(actual),
                ..
            }) => assert_eq!(actual.value, "2"),
            other => panic!("{other:?}"),
        }
        let refused = store.delete("a", expect).await;
        assert!(
            matches!(
                refused,
                Err(Error::Conflict {
                    actual: Some(_),
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    let refused = store.put("b", value(1), Expect::Exactly(first)).await;
    assert!(
        matches!(refused, Err(Error::Conflict { actual: None, .. })),
        "{refused:?}"
    );
    assert_eq!(keys(&store, Range::default()).await, "a=2 +0 @2");
}

async fn a_delete_returns_what_was_stored(store: Store) {
    put(&store, "a", 1).await;
    let deleted = store
        .delete("a", Expect::Exactly(Revision(1)))
        .await
        .unwrap();
    assert_eq!(deleted.entry.value, "1");
    assert_eq!(deleted.entry.mod_revision, Revision(1));
    assert_eq!(store.get("a").await.unwrap(), None);
}

async fn oversized_keys_and_values_are_refused(store: Store) {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let refused = store.put(&long, value(1), Expect::Any).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { what: "key", .. })),
        "{refused:?}"
    );
    store.put(&long[1..], value(1), Expect::Any).await.unwrap();
    let big = Bytes::from(vec![0; VALUE_BYTES_MAX + 1]);
    let refused = store.put("a", big.clone(), Expect::Any).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { what: "value", .. })),
        "{refused:?}"
    );
    store.put("a", big.slice(1..), Expect::Any).await.unwrap();
}

async fn a_list_is_ordered_and_holds_to_its_prefix(store: Store) {
    for key in [
        "pods/b", "pods", "podsx/a", "pods/a/1", "nodes/a", "pods/ab",
    ] {
        put(&store, key, 0).await;
    }
    let listed = keys(&store, Range::prefix("pods/")).await;
    assert_eq!(listed, "pods/a/1=0 pods/ab=0 pods/b=0 +0 @6");
    assert_eq!(store.count("pods/").await.unwrap(), 3);
    assert_eq!(store.count("").await.unwrap(), 6);
    assert_eq!(keys(&store, Range::prefix("zzz")).await, " +0 @6");
}

async fn pages_of_one_revision_ignore_later_writes(store: Store) {
    for key in ["a", "b", "c", "d", "e"] {
        put(&store, key, 0).await;
    }
    let first = Range {
        limit: 2,
        ..Range::default()
    };
    assert_eq!(keys(&store, first.clone()).await, "a=0 b=0 +3 @5");
    put(&store, "bb", 1).await;
    put(&store, "d", 1).await;
    store.delete("c", Expect::Any).await.unwrap();
    let at = Some(Revision(5));
    let second = Range {
        at,
        after: Some("b".into()),
        ..first.clone()
    };
    assert_eq!(keys(&store, second).await, "c=0 d=0 +1 @5");
    let third = Range {
        at,
        after: Some("d".into()),
        ..first
    };
    assert_eq!(keys(&store, third).await, "e=0 +0 @5");
    assert_eq!(
        keys(&store, Range::default()).await,
        "a=0 b=0 bb=1 d=1 e=0 +0 @8"
    );
}

async fn a_list_of_the_past_shows_the_past(store: Store) {
    put(&store, "a", 1).await;
    put(&store, "b", 2).await;
    put(&store, "a", 3).await;
    store.delete("b", Expect::Any).await.unwrap();
    put(&store, "b", 5).await;
    let mut lists = Vec::new();
    for revision in 0..=5 {
        let at = Some(Revision(revision));
        lists.push(
            keys(
                &store,
                Range {
                    at,
                    ..Range::default()
                },
            )
            .await,
        );
    }
    let expected = [
        " +0 @0",
        "a=1 +0 @1",
        "a=1 b=2 +0 @2",
        "a=3 b=2 +0 @3",
        "a=3 +0 @4",
        "a=3 b=5 +0 @5",
    ];
    assert_eq!(lists, expected);
}

async fn a_list_outside_the_history_says_so(store: Store) {
    for n in 0..20 {
        put(&store, "a", n).await;
    }
    let at = |n| Range {
        at: Some(Revision(n)),
        ..Range::default()
    };
    let gone = store.list(at(3)).await;
    match gone {
        Err(Error::Compacted { asked, compacted }) => {
            assert_eq!((asked, compacted), (Revision(3), Revision(4)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(keys(&store, at(4)).await, "a=3 +0 @4");
    let future = store.list(at(21)).await;
    assert!(
        matches!(
            future,
            Err(Error::Future {
                current: Revision(20),
                ..
            })
        ),
        "{future:?}"
    );
}

async fn one_of_many_concurrent_writers_wins(store: Store) {
    for round in 0..20 {
        let expect = match store.get("a").await.unwrap() {
            None => Expect::Absent,
            Some(entry) => Expect::Exactly(entry.mod_revision),
        };
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let store = store.clone();
                let mine = value(format!("{round}/{writer}"));
                tokio::spawn(async move { store.put("a", mine, expect).await })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                Ok(entry) => winners.push(entry),
                // Whoever loses already sees the winner: it is durable and published.
                Err(Error::Conflict { actual, .. }) => {
                    assert!(
                        actual
                            .unwrap()
                            .value
                            .starts_with(format!("{round}/").as_bytes())
                    );
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        assert_eq!(store.get("a").await.unwrap().unwrap(), winners[0]);
    }
}

async fn concurrent_increments_are_all_counted(store: Store) {
    const WRITERS: u64 = 6;
    const INCREMENTS: u64 = 20;
    put(&store, "counter", 0).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < INCREMENTS {
                    let entry = store.get("counter").await.unwrap().unwrap();
                    let old: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                    let expect = Expect::Exactly(entry.mod_revision);
                    if store.put("counter", value(old + 1), expect).await.is_ok() {
                        done += 1;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let counter = store.get("counter").await.unwrap().unwrap();
    assert_eq!(counter.value, (WRITERS * INCREMENTS).to_string());
    assert_eq!(counter.version, WRITERS * INCREMENTS + 1);
    assert_eq!(
        store.revision().await.unwrap(),
        Revision(WRITERS * INCREMENTS + 1)
    );
}

async fn a_watch_delivers_every_write_once_in_order(store: Store) {
    // Ordered, unique, reliable, with previous values: the validators of etcd's robustness tests.
    const WRITES: u64 = 200;
    let mut watch = store.watch("", None).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut events = Vec::new();
        while events.len() < WRITES as usize {
            events.push(next(&mut watch).await);
        }
        events
    });
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..WRITES / 4 {
                    let (key, text) = (format!("k{}", n % 3), format!("{writer}.{n}"));
                    store.put(&key, value(text), Expect::Any).await.unwrap();
                    // Lets the reader keep up: the small history would cut it off.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let events = reader.await.unwrap();
    let mut last = std::collections::HashMap::new();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.revision, Revision(n as u64 + 1));
        let before = last.insert(event.key().clone(), event.new.clone());
        assert_eq!(
            event.old,
            before.flatten(),
            "the old value is the one before"
        );
        assert_eq!(event.new.as_ref().unwrap().mod_revision, event.revision);
    }
    let distinct: HashSet<_> = events.iter().map(|event| event.revision).collect();
    assert_eq!(distinct.len(), events.len());
}

async fn a_watch_resumes_after_any_kept_revision(store: Store) {
    put(&store, "a", 1).await;
    put(&store, "a", 2).await;
    store.delete("a", Expect::Any).await.unwrap();
    put(&store, "a", 4).await;
    let expected = ["r1 a ->1", "r2 a 1>2", "r3 a 2>-", "r4 a ->4"];
    for after in 0..=3 {
        let mut watch = store.watch("a", Some(Revision(after))).await.unwrap();
        for line in &expected[after as usize..] {
            assert_eq!(show(next(&mut watch).await), *line);
        }
    }
}

async fn a_watch_sees_only_its_prefix_and_knows_its_progress(store: Store) {
    let mut watch = store.watch("pods/", None).await.unwrap();
    put(&store, "nodes/a", 0).await;
    put(&store, "pods/a", 0).await;
    assert_eq!(next(&mut watch).await.revision, Revision(2));
    put(&store, "nodes/b", 0).await;
    let nothing = futures::poll!(Box::pin(watch.next())).is_pending();
    assert!(nothing, "nodes are not watched");
    assert_eq!(watch.progress(), Revision(3));
    put(&store, "nodes/b", 0).await;
    assert_eq!(
        watch.progress(),
        Revision(4),
        "a sleeping watch is moved along"
    );
}

async fn a_watch_of_the_future_waits(store: Store) {
    put(&store, "a", 1).await;
    let mut watch = store.watch("a", Some(Revision(3))).await.unwrap();
    assert!(futures::poll!(Box::pin(watch.next())).is_pending());
    for n in 2..=4 {
        put(&store, "a", n).await;
    }
    assert_eq!(show(next(&mut watch).await), "r4 a 3>4");
}

async fn a_watch_before_the_history_is_refused(store: Store) {
    for n in 0..20 {
        put(&store, "a", n).await;
    }
    let refused = store.watch("a", Some(Revision(3))).await.err();
    assert!(
        matches!(refused, Some(Error::Compacted { .. })),
        "{refused:?}"
    );
    let mut exact = store.watch("a", Some(Revision(4))).await.unwrap();
    assert_eq!(next(&mut exact).await.revision, Revision(5));
}

async fn a_slow_watch_is_cut_off_and_a_sleeping_one_is_not(store: Store) {
    let mut slow = store.watch("a", None).await.unwrap();
    let mut asleep = store.watch("b", None).await.unwrap();
    assert!(futures::poll!(Box::pin(asleep.next())).is_pending());
    for n in 0..40 {
        put(&store, "a", n).await;
    }
    let cut = slow.next().await.unwrap();
    assert!(matches!(cut, Err(Error::Compacted { .. })), "{cut:?}");
    assert!(slow.next().await.is_none());
    put(&store, "b", 1).await;
    assert_eq!(next(&mut asleep).await.revision, Revision(41));
}

async fn compaction_forgets_and_keeps_what_it_says(store: Store) {
    for n in 1..=5 {
        put(&store, "a", n).await;
    }
    store.compact(Revision(3)).await.unwrap();
    store.compact(Revision(2)).await.unwrap();
    assert_eq!(store.compacted().await.unwrap(), Revision(3));
    let refused = store.compact(Revision(6)).await;
    assert!(matches!(refused, Err(Error::Future { .. })), "{refused:?}");
    let at = |n| Range {
        at: Some(Revision(n)),
        ..Range::default()
    };
    assert_eq!(keys(&store, at(3)).await, "a=3 +0 @3");
    assert!(store.list(at(2)).await.is_err());
    let mut watch = store.watch("", Some(Revision(3))).await.unwrap();
    assert_eq!(show(next(&mut watch).await), "r4 a 3>4");
    assert!(store.watch("", Some(Revision(2))).await.is_err());
}

async fn a_deleted_key_can_be_compacted_and_made_again(store: Store) {
    put(&store, "a", 1).await;
    store.delete("a", Expect::Any).await.unwrap();
    store.compact(Revision(2)).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), Revision(2));
    let mut watch = store.watch("", Some(Revision(2))).await.unwrap();
    assert_eq!(put(&store, "a", 3).await, Revision(3));
    assert_eq!(show(next(&mut watch).await), "r3 a ->3");
}

async fn a_closed_store_ends_its_watches(store: Store) {
    let mut watch = store.watch("", None).await.unwrap();
    put(&store, "a", 1).await;
    drop(store);
    assert_eq!(next(&mut watch).await.revision, Revision(1));
    assert!(watch.next().await.is_none());
}
