//! Where tests can stop the journal: at each step towards durability, and instead of a write.

use std::{
    io,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Error;

type Observer = Box<dyn Fn(&'static str) + Send + Sync>;

static OBSERVER: OnceLock<Observer> = OnceLock::new();
static FULL: AtomicBool = AtomicBool::new(false);

/// Calls `observe` with the name of each step, in every journal of this process. For tests that kill it there.
pub fn observe(observe: impl Fn(&'static str) + Send + Sync + 'static) {
    // Who came first stays.
    let _ = OBSERVER.set(Box::new(observe));
}

/// Lets every write of every journal of this process fail as on a full disk, until it is called with `false`.
pub fn disk_full(full: bool) {
    FULL.store(full, Ordering::SeqCst);
}

pub(crate) fn at(step: &'static str) {
    if let Some(observe) = OBSERVER.get() {
        observe(step);
    }
}

pub(crate) fn fail(path: &Path) -> Result<(), Error> {
    if FULL.load(Ordering::Relaxed) {
        return Err(Error::io("write", path)(io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}
