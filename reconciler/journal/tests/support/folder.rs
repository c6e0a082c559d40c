//! A folder for a journal that is written to often.

use std::path::Path;

use tempfile::TempDir;

/// Makes a folder in memory where there is one: syncs are what takes the time, and nobody pulls the plug in a test.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    dir.or_else(|_| tempfile::tempdir()).expect("a folder")
}
