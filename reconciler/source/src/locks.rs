//! Locks that a killed process left in a repository of ours: git and the library wait for nobody, and refuse.
//!
//! A lock is a file beside what it guards, made by whoever changes that and renamed over it when done. Whoever
//! is killed between leaves it, and every later change fails until somebody removes it by hand.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a lock may be somebody's who is alive: writing a reference takes milliseconds.
const ALIVE: Duration = Duration::from_secs(1);

/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Files in the git directory itself that are locked (gitrepository-layout(5)).
const FILES: [&str; 4] = ["HEAD", "config", "packed-refs", "shallow"];

/// Removes the locks of references and settings that nobody can hold any more.
///
/// Called where a repository of ours is opened by the one process that may; a push that is received at this very
/// moment is waited for.
///
/// # Errors
/// When a lock cannot be removed.
pub(crate) fn release(git_dir: &Path) -> io::Result<()> {
    let mut left = found(git_dir);
    let deadline = Instant::now() + ALIVE;
    while !left.is_empty() && Instant::now() < deadline {
        thread::sleep(LOOK);
        left.retain(|lock| lock.exists());
    }
    for lock in left {
        match fs::remove_file(&lock) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn found(git_dir: &Path) -> Vec<PathBuf> {
    let files = FILES.map(|name| git_dir.join(format!("{name}.lock")));
    let mut locks: Vec<_> = files.into_iter().filter(|lock| lock.exists()).collect();
    let mut folders = vec![git_dir.join("refs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link could lead anywhere, and git makes none here.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "lock") => {
                    locks.push(path);
                }
                _ => {}
            }
        }
    }
    locks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_locked_is_free_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let raw = git2::Repository::init_bare(dir.path()).expect("created");
        let tree = raw.treebuilder(None).and_then(|tree| tree.write());
        let tree = raw.find_tree(tree.expect("a tree")).expect("it is there");
        let who = git2::Signature::now("Ada", "ada@example.com").expect("valid");
        let commit = || raw.commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[]);
        fs::create_dir_all(dir.path().join("refs/heads")).expect("a folder");
        for lock in ["refs/heads/main.lock", "packed-refs.lock", "config.lock"] {
            fs::write(dir.path().join(lock), "").expect("written");
        }
        commit().expect_err("somebody seems to write");
        release(dir.path()).expect("removed");
        commit().expect("nobody does");
        assert_eq!(found(dir.path()), Vec::<PathBuf>::new());
    }
}
