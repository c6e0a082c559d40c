//! Tests of the embedded store that need its inside: a disk that fails.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use redb::{StorageBackend, backends::InMemoryBackend};

use super::Embedded;
use crate::{Error, Expect, History, Kv, Range, Revision, disk::Disk};

/// A disk in memory that is full as soon as it is told so.
#[derive(Debug)]
struct FaultyDisk {
    inner: InMemoryBackend,
    broken: Arc<AtomicBool>,
}

impl FaultyDisk {
    fn check(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) {
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
        self.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.inner.write(offset, data)
    }
}

#[tokio::test]
async fn a_failed_commit_is_not_acknowledged_and_reads_go_on() {
    let broken = Arc::new(AtomicBool::new(false));
    let backend = FaultyDisk {
        inner: InMemoryBackend::new(),
        broken: broken.clone(),
    };
    let disk = Disk::open_backend(Path::new("(test)"), backend).unwrap();
    let store = Embedded::start(disk, PathBuf::from("(test)"), History::default()).unwrap();
    store
        .put("a", Bytes::from_static(b"1"), Expect::Absent)
        .await
        .unwrap();
    let mut watch = store.watch("", Some(Revision::ZERO)).await.unwrap();

    broken.store(true, Ordering::SeqCst);
    let failed = store.put("a", Bytes::from_static(b"2"), Expect::Any).await;
    assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");
    broken.store(false, Ordering::SeqCst);
    let later = store.put("b", Bytes::from_static(b"3"), Expect::Any).await;
    assert!(matches!(later, Err(Error::Failed { .. })), "{later:?}");

    assert_eq!(store.get("a").await.unwrap().unwrap().value, "1");
    assert_eq!(
        store.list(Range::default()).await.unwrap().revision,
        Revision(1)
    );
    assert_eq!(watch.next().await.unwrap().unwrap().revision, Revision(1));
    drop(store);
    assert!(
        watch.next().await.is_none(),
        "the failed write must not be seen"
    );
}
