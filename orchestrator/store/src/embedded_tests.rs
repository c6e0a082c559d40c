//! Tests of the embedded store that need its inside: disks that fail and machines that crash.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use redb::{StorageBackend, backends::InMemoryBackend};

use super::{Embedded, RECOVERY_PAUSE};
use crate::{Error, Expect, History, Kv, Range, Revision, disk::Disk};

/// What a faulty disk refuses.
const NOTHING: u8 = 0;
const WRITES_AND_SYNCS: u8 = 1;
/// What was written is there after all.
const SYNCS: u8 = 2;

/// A disk in memory that fails as soon as it is told so.
#[derive(Clone, Debug)]
struct FaultyDisk {
    inner: Arc<InMemoryBackend>,
    refuses: Arc<AtomicU8>,
}

impl FaultyDisk {
    fn check(&self, faults: &[u8]) -> io::Result<()> {
        if faults.contains(&self.refuses.load(Ordering::SeqCst)) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(&[WRITES_AND_SYNCS])?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check(&[WRITES_AND_SYNCS, SYNCS])?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(&[WRITES_AND_SYNCS])?;
        self.inner.write(offset, data)
    }
}

/// Opens a store on a simulated disk.
fn start(backend: impl StorageBackend + Clone, history: History) -> Embedded {
    let open = move || Disk::open_backend(Path::new("(test)"), backend.clone());
    Embedded::start(Box::new(open), PathBuf::from("(test)"), history).unwrap()
}

#[tokio::test]
async fn a_failed_commit_is_not_acknowledged_and_the_store_recovers() {
    for fault in [WRITES_AND_SYNCS, SYNCS] {
        check_failure(fault).await;
    }
}

async fn check_failure(fault: u8) {
    let refuses = Arc::new(AtomicU8::new(NOTHING));
    let backend = FaultyDisk {
        inner: Arc::new(InMemoryBackend::new()),
        refuses: refuses.clone(),
    };
    let store = start(backend.clone(), History::default());
    store
        .put("a", Bytes::from_static(b"1"), Expect::Absent)
        .await
        .unwrap();
    let mut watch = store.watch("", Some(Revision::ZERO)).await.unwrap();

    refuses.store(fault, Ordering::SeqCst);
    let failed = store.put("a", Bytes::from_static(b"2"), Expect::Any).await;
    assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");
    let later = store.put("b", Bytes::from_static(b"3"), Expect::Any).await;
    assert!(matches!(later, Err(Error::Failed { .. })), "{later:?}");
    assert_eq!(store.get("a").await.unwrap().unwrap().value, "1");
    let page = store.list(Range::default()).await.unwrap();
    assert_eq!(page.revision, Revision(1));
    assert_eq!(watch.next().await.unwrap().unwrap().revision, Revision(1));
    assert!(
        futures::poll!(Box::pin(watch.next())).is_pending(),
        "a failed write is not seen"
    );

    refuses.store(NOTHING, Ordering::SeqCst);
    let entry = loop {
        match store
            .put("b", Bytes::from_static(b"4"), Expect::Absent)
            .await
        {
            Ok(entry) => break entry,
            Err(Error::Failed { .. }) => tokio::time::sleep(RECOVERY_PAUSE / 10).await,
            Err(other) => panic!("{other}"),
        }
    };
    // What was in doubt may have happened; the history has no gap either way.
    let a = store.get("a").await.unwrap().unwrap();
    let doubtful = u64::from(a.value == "2");
    assert_eq!(
        doubtful,
        u64::from(fault == SYNCS),
        "what was written is there"
    );
    assert_eq!(entry.mod_revision, Revision(2 + doubtful));
    for revision in 2..=2 + doubtful {
        assert_eq!(
            watch.next().await.unwrap().unwrap().revision,
            Revision(revision)
        );
    }
    let again = contents_of(&store).await;
    drop(store);
    assert_eq!(
        contents_of(&start(backend, History::default())).await,
        again
    );
}

async fn contents_of(store: &Embedded) -> Vec<(String, Bytes, Revision)> {
    let page = store.list(Range::default()).await.unwrap();
    let entries = page.entries.iter();
    entries
        .map(|e| (e.key.to_string(), e.value.clone(), e.mod_revision))
        .collect()
}

/// Bytes that a disk writes all or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk that remembers what it would hold if the power failed at a chosen moment: everything
/// before the last sync, and of the sectors written since an arbitrary part.
#[derive(Clone, Debug)]
struct CrashDisk {
    inner: Arc<Mutex<CrashState>>,
    /// How many operations of the test are acknowledged; it does one at a time.
    acknowledged: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CrashState {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<(u64, Vec<u8>)>,
    writes: u64,
    crash_at: u64,
    chance: Chance,
    /// The disk after the crash, and the operations that were acknowledged before it.
    crashed: Option<(Vec<u8>, u64)>,
}

/// A sequence of arbitrary numbers from a seed.
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

fn put_bytes(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    if image.len() < start + data.len() {
        image.resize(start + data.len(), 0);
    }
    image[start..start + data.len()].copy_from_slice(data);
}

impl CrashDisk {
    fn new(image: Vec<u8>, seed: u64, crash_at: u64) -> CrashDisk {
        let state = CrashState {
            now: image.clone(),
            synced: image,
            unsynced: Vec::new(),
            writes: 0,
            crash_at,
            chance: Chance(seed),
            crashed: None,
        };
        CrashDisk {
            inner: Arc::new(Mutex::new(state)),
            acknowledged: Arc::default(),
        }
    }
}

impl StorageBackend for CrashDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.inner.lock().unwrap().now[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.inner.lock().unwrap();
        // A file system keeps its own structures whole: lengths change at once.
        let len = usize::try_from(len).unwrap();
        state.now.resize(len, 0);
        state.synced.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.inner.lock().unwrap();
        state.synced = state.now.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut guard = self.inner.lock().unwrap();
        let state = &mut *guard;
        put_bytes(&mut state.now, offset, data);
        let mut at = offset;
        for sector in data.chunks(SECTOR_BYTES) {
            state.unsynced.push((at, sector.to_vec()));
            at += sector.len() as u64;
        }
        state.writes += 1;
        if state.writes == state.crash_at {
            let mut image = state.synced.clone();
            for (offset, sector) in &state.unsynced {
                if state.chance.below(2) == 0 {
                    put_bytes(&mut image, *offset, sector);
                }
            }
            state.crashed = Some((image, self.acknowledged.load(Ordering::SeqCst)));
        }
        Ok(())
    }
}

/// One operation of the crash test, the same for the same number.
async fn operate(store: &Embedded, model: &mut BTreeMap<String, u64>, number: u64) {
    let mut chance = Chance(number);
    let key = format!("k{}", chance.below(12));
    if chance.below(4) == 0 && model.contains_key(&key) {
        store.delete(&key, Expect::Any).await.unwrap();
        model.remove(&key);
    } else {
        let size = usize::try_from(8 + chance.below(9000)).unwrap();
        let mut value = vec![0; size];
        value[..8].copy_from_slice(&number.to_le_bytes());
        store.put(&key, value.into(), Expect::Any).await.unwrap();
        model.insert(key, number);
    }
}

async fn contents(store: &Embedded) -> BTreeMap<String, u64> {
    let page = store.list(Range::default()).await.unwrap();
    let entries = page.entries.iter();
    entries
        .map(|entry| {
            let number = u64::from_le_bytes(entry.value[..8].try_into().unwrap());
            (entry.key.to_string(), number)
        })
        .collect()
}

#[tokio::test]
async fn a_power_failure_at_any_write_loses_nothing_acknowledged() {
    const OPERATIONS: u64 = 40;
    let history = History {
        events_max: 8,
        bytes_max: 1 << 20,
    };
    for seed in 0..30 {
        // Each crash hits the disk that the one before has left.
        let mut image = Vec::new();
        let (mut model, mut done) = (BTreeMap::new(), 0);
        for round in 0..3 {
            let crash_at = 1 + Chance(seed * 3 + round).below(400);
            let crash = CrashDisk::new(image, seed, crash_at);
            let store = start(crash.clone(), history);
            assert_eq!(contents(&store).await, model, "seed {seed} round {round}");
            let (before, first) = (store.revision().await.unwrap(), done);
            let mut models = vec![model];
            while done < first + OPERATIONS {
                let mut next = models.last().unwrap().clone();
                operate(&store, &mut next, seed * 1000 + done).await;
                models.push(next);
                done += 1;
                crash.acknowledged.store(done - first, Ordering::SeqCst);
            }
            drop(store);
            let (crashed, orderly) = {
                let mut state = crash.inner.lock().unwrap();
                (state.crashed.take(), state.now.clone())
            };
            let Some((crashed, acknowledged)) = crashed else {
                // It ended before the moment of the crash.
                image = orderly;
                model = models.pop().unwrap();
                continue;
            };
            image = crashed;
            let after = CrashDisk::new(image.clone(), 0, 0);
            let store = start(after.clone(), history);
            let found = contents(&store).await;
            let survived = store.revision().await.unwrap().0 - before.0;
            // The operation under way may have happened, and no other.
            assert!(
                survived == acknowledged || survived == acknowledged + 1,
                "seed {seed} round {round}: {acknowledged} acknowledged, {survived} survived"
            );
            model = models.swap_remove(usize::try_from(survived).unwrap());
            assert_eq!(found, model, "seed {seed} round {round}");
            drop(store);
            done = first + survived;
            image = after.inner.lock().unwrap().now.clone();
        }
    }
}
