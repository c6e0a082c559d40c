//! A SIGKILL during a write storm loses no acknowledged write.
//!
//! The test runs itself a hundred times as a child that writes to one store and reports every
//! acknowledgement on a pipe. It kills the child at an arbitrary moment, opens the same store, and
//! compares it with what was reported.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use ordain_orchestrator_store::{Embedded, Expect, History, Kv, Range, Revision};

const KILLS: u64 = 100;
const WRITERS: usize = 8;
/// Keys of one writer.
const KEYS: u64 = 5;
/// Names the store directory to the child.
const STORM_DIR: &str = "ORDAIN_STORE_STORM_DIR";
/// Small, so that compaction is always under way when the kill comes.
const HISTORY: History = History {
    events_max: 64,
    bytes_max: 1 << 20,
};

#[test]
fn a_kill_during_a_write_storm_loses_no_acknowledged_write() {
    if let Some(dir) = std::env::var_os(STORM_DIR) {
        return storm(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut seed = 0x5eed_u64;
    let mut acknowledged: HashMap<String, Ack> = HashMap::new();
    let mut revision = Revision::ZERO;
    let mut acks = 0;
    for kill in 0..KILLS {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let reported = run_and_kill(dir.path(), Duration::from_millis(5 + (seed >> 33) % 120));
        acks += reported.len();
        for ack in reported {
            revision = revision.max(ack.revision);
            acknowledged.insert(ack.key.clone(), ack);
        }
        revision = verify(dir.path(), &mut acknowledged, revision, kill);
    }
    assert!(
        acks > 1000,
        "only {acks} writes were acknowledged before the kills"
    );
}

/// The last acknowledged write of a key.
struct Ack {
    key: String,
    /// Counts the writes of the key; a delete is a write, too.
    count: u64,
    revision: Revision,
}

impl Ack {
    fn parse(line: &str) -> Option<Ack> {
        let mut words = line.strip_prefix("ack ")?.split(' ');
        let key = words.next()?.to_owned();
        let count = words.next()?.parse().ok()?;
        let revision = Revision(words.next()?.parse().ok()?);
        // A line that the kill cut short lacks its end.
        words.next().filter(|end| *end == ".")?;
        Some(Ack {
            key,
            count,
            revision,
        })
    }
}

/// Every fifth write of a key deletes it.
fn is_delete(count: u64) -> bool {
    count.is_multiple_of(5)
}

fn run_and_kill(dir: &Path, after: Duration) -> Vec<Ack> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_kill_during_a_write_storm_loses_no_acknowledged_write",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(STORM_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The clock starts when the store is open.
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.ends_with("storm begins"));
    assert!(ready, "the child did not begin: {:?}", child.wait());
    let reader = thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .filter_map(|line| Ack::parse(&line))
            .collect()
    });
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Compares the store with the acknowledgements, and takes over what it holds.
fn verify(
    dir: &Path,
    acknowledged: &mut HashMap<String, Ack>,
    revision: Revision,
    kill: u64,
) -> Revision {
    let store = Embedded::open_with(dir, HISTORY).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let page = runtime.block_on(store.list(Range::default())).unwrap();
    assert!(
        page.revision >= revision,
        "kill {kill}: {revision} was acknowledged, the store is at {}",
        page.revision
    );
    let stored: HashMap<&str, _> = page
        .entries
        .iter()
        .map(|entry| (&*entry.key, entry))
        .collect();
    for (key, ack) in acknowledged.iter_mut() {
        let found = stored.get(key.as_str()).map(|entry| {
            let (count, filling) = entry.value.split_at(8);
            let count = u64::from_le_bytes(count.try_into().unwrap());
            assert!(
                filling.iter().all(|byte| *byte == count as u8),
                "kill {kill}: `{key}` is torn"
            );
            count
        });
        // A writer has one write under way: it may have happened without its acknowledgement.
        let next = ack.count + 1;
        match found {
            Some(count) if count == ack.count => {
                assert_eq!(
                    stored[key.as_str()].mod_revision,
                    ack.revision,
                    "kill {kill}: `{key}`"
                );
            }
            Some(count) if count == next && !is_delete(next) => {
                ack.count = next;
                ack.revision = stored[key.as_str()].mod_revision;
            }
            None if is_delete(ack.count) => {}
            None if is_delete(next) => ack.count = next,
            other => panic!(
                "kill {kill}: write {} of `{key}` at {} was acknowledged, found {other:?}",
                ack.count, ack.revision
            ),
        }
    }
    page.revision
}

/// The child: writes until it is killed.
fn storm(dir: &Path) {
    let store = Arc::new(Embedded::open_with(dir, HISTORY).unwrap());
    say("storm begins\n");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(store.clone(), writer)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Arc<Embedded>, writer: usize) {
    // The number of writes survives in a key that is never deleted.
    let mut counts = HashMap::new();
    for turn in 0.. {
        let key = format!("{writer}/{}", turn % KEYS);
        let counter = format!("count/{key}");
        let count = match counts.get(&key) {
            Some(count) => *count,
            None => last_count(&store, &key, &counter).await,
        } + 1;
        counts.insert(key.clone(), count);
        let intent = Bytes::copy_from_slice(&count.to_le_bytes());
        store.put(&counter, intent, Expect::Any).await.unwrap();
        let revision = if is_delete(count) {
            store.delete(&key, Expect::Any).await.unwrap().revision
        } else {
            let mut value = vec![count as u8; 8 + (count * 37 % 2000) as usize];
            value[..8].copy_from_slice(&count.to_le_bytes());
            store
                .put(&key, value.into(), Expect::Any)
                .await
                .unwrap()
                .mod_revision
        };
        say(&format!("ack {key} {count} {revision} .\n"));
    }
}

/// Returns the count of the last write that happened: the announced one or the one before.
async fn last_count(store: &Embedded, key: &str, counter: &str) -> u64 {
    let Some(announced) = store.get(counter).await.unwrap() else {
        return 0;
    };
    let announced = u64::from_le_bytes(announced.value[..].try_into().unwrap());
    match store.get(key).await.unwrap() {
        Some(entry) => u64::from_le_bytes(entry.value[..8].try_into().unwrap()),
        None if is_delete(announced) => announced,
        None => announced - 1,
    }
}

/// Writes to the pipe in one call, past the capture of the test harness.
fn say(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}
