//! A property: after any sequence of operations, and any restarts between them, the embedded
//! store, the one in memory and a plain map agree, and the watch tells the same story.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ordain_orchestrator_store::{Embedded, Error, Expect, History, Kv, Memory, Range, Revision};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8, expect: Want },
    Delete { key: u8, expect: Want },
    Compact { back: u64 },
    Reopen,
}

/// An expectation, as it is about to hold or not.
#[derive(Clone, Copy, Debug)]
enum Want {
    Any,
    Absent,
    Current,
    Stale,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let want = prop_oneof![
        Just(Want::Any),
        Just(Want::Absent),
        Just(Want::Current),
        Just(Want::Stale)
    ];
    let step = prop_oneof![
        6 => (0..5u8, any::<u8>(), want.clone())
            .prop_map(|(key, value, expect)| Step::Put { key, value, expect }),
        3 => (0..5u8, want).prop_map(|(key, expect)| Step::Delete { key, expect }),
        1 => (0..9u64).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the map knows of a key.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    value: Bytes,
    create: u64,
    revision: u64,
    version: u64,
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<String, Known>,
    revision: u64,
    /// The map after every revision.
    past: Vec<BTreeMap<String, Known>>,
}

impl Model {
    fn expect(&self, key: &str, want: Want) -> (Expect, bool) {
        let known = self.keys.get(key);
        match want {
            Want::Any => (Expect::Any, true),
            Want::Absent => (Expect::Absent, known.is_none()),
            Want::Current => {
                let revision = known.map_or(999_999, |known| known.revision);
                (Expect::Exactly(Revision(revision)), known.is_some())
            }
            Want::Stale => (Expect::Exactly(Revision(0)), false),
        }
    }

    fn put(&mut self, key: &str, value: Bytes) {
        self.revision += 1;
        let (create, version) = self
            .keys
            .get(key)
            .map_or((self.revision, 1), |old| (old.create, old.version + 1));
        let known = Known {
            value,
            create,
            revision: self.revision,
            version,
        };
        self.keys.insert(key.to_owned(), known);
        self.past.push(self.keys.clone());
    }

    fn delete(&mut self, key: &str) {
        self.revision += 1;
        self.keys.remove(key);
        self.past.push(self.keys.clone());
    }

    fn at(&self, revision: u64) -> BTreeMap<String, Known> {
        match revision {
            0 => BTreeMap::new(),
            n => self.past[n as usize - 1].clone(),
        }
    }
}

async fn listed(store: &dyn Kv, at: u64) -> BTreeMap<String, Known> {
    let range = Range {
        at: Some(Revision(at)),
        ..Range::default()
    };
    let page = store.list(range).await.unwrap();
    let known = page.entries.iter().map(|entry| {
        let known = Known {
            value: entry.value.clone(),
            create: entry.create_revision.0,
            revision: entry.mod_revision.0,
            version: entry.version,
        };
        (entry.key.to_string(), known)
    });
    known.collect()
}

async fn check(steps: Vec<Step>) {
    let history = History {
        events_max: 12,
        bytes_max: 1 << 20,
    };
    let dir = tempfile::tempdir().unwrap();
    let mut embedded = Some(Embedded::open_with(dir.path(), history).unwrap());
    let memory = Memory::with_history(history);
    let mut model = Model::default();
    for step in steps {
        let disk = embedded.as_ref().unwrap();
        let stores: [&dyn Kv; 2] = [disk, &memory];
        match step {
            Step::Put { key, value, expect } => {
                let key = format!("k{key}");
                let value = Bytes::from(vec![value; 3]);
                let (expect, holds) = model.expect(&key, expect);
                for store in stores {
                    let answer = store.put(&key, value.clone(), expect).await;
                    assert_eq!(answer.is_ok(), holds, "{answer:?}");
                }
                if holds {
                    model.put(&key, value);
                }
            }
            Step::Delete { key, expect } => {
                let key = format!("k{key}");
                let (expect, holds) = model.expect(&key, expect);
                let holds = holds && model.keys.contains_key(&key);
                for store in stores {
                    let answer = store.delete(&key, expect).await;
                    assert_eq!(answer.is_ok(), holds, "{answer:?}");
                }
                if holds {
                    model.delete(&key);
                }
            }
            Step::Compact { back } => {
                for store in stores {
                    store
                        .compact(Revision(model.revision.saturating_sub(back)))
                        .await
                        .unwrap();
                }
            }
            Step::Reopen => {
                drop(embedded.take());
                embedded = Some(Embedded::open_with(dir.path(), history).unwrap());
            }
        }
    }
    let disk = embedded.unwrap();
    for store in [&disk as &dyn Kv, &memory] {
        assert_eq!(store.revision().await.unwrap(), Revision(model.revision));
        // A restart may bring history back that was forgotten only in memory, never lose any.
        let compacted = store.compacted().await.unwrap().0;
        assert!(compacted <= memory.compacted().await.unwrap().0);
        for revision in compacted..=model.revision {
            assert_eq!(
                listed(store, revision).await,
                model.at(revision),
                "at {revision}"
            );
        }
        let mut watch = store.watch("", Some(Revision(compacted))).await.unwrap();
        for revision in compacted + 1..=model.revision {
            let event = watch.next().await.unwrap().unwrap();
            assert_eq!(event.revision, Revision(revision));
            let (before, after) = (model.at(revision - 1), model.at(revision));
            let key = &**event.key();
            assert_eq!(
                event.old.as_ref().map(|e| &e.value),
                before.get(key).map(|k| &k.value)
            );
            assert_eq!(
                event.new.as_ref().map(|e| &e.value),
                after.get(key).map(|k| &k.value)
            );
        }
        if compacted > 0 {
            let early = store.watch("", Some(Revision(compacted - 1))).await.err();
            assert!(matches!(early, Some(Error::Compacted { .. })), "{early:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_backends_agree_with_a_map(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(steps));
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let first = Embedded::open(dir.path()).unwrap();
    let second = Embedded::open(dir.path())
        .err()
        .expect("the first one holds the lock");
    assert!(matches!(second, Error::InUse { .. }), "{second:?}");
    assert!(
        second.to_string().ends_with("is in use by another process"),
        "{second}"
    );
    drop(first);
    Embedded::open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("store.redb"),
        "something else, long enough".repeat(99),
    )
    .unwrap();
    let refused = Embedded::open(dir.path())
        .err()
        .expect("this is not a store");
    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
}

#[tokio::test]
async fn the_file_does_not_grow_with_overwritten_values() {
    let dir = tempfile::tempdir().unwrap();
    let history = History {
        events_max: 8,
        bytes_max: 1 << 20,
    };
    let store = Arc::new(Embedded::open_with(dir.path(), history).unwrap());
    let value = Bytes::from(vec![7; 10_000]);
    for _ in 0..20 {
        let writes: Vec<_> = (0..20)
            .map(|key| {
                let (store, value) = (store.clone(), value.clone());
                tokio::spawn(async move {
                    store
                        .put(&format!("k{key}"), value, Expect::Any)
                        .await
                        .unwrap();
                })
            })
            .collect();
        for write in writes {
            write.await.unwrap();
        }
    }
    let bytes = std::fs::metadata(store.path()).unwrap().len();
    assert!(
        bytes < 3_000_000,
        "400 writes of 10 kB to 20 keys took {bytes} bytes"
    );
}
