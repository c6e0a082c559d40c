//! `--watch`: does a command again whenever the sources change, until ctrl-c.
//!
//! It knows when to look again and keeps the open project; what is done and shown is the command's business.

use crate::{Outcome, disk, terminal};
use miette::Result;
use notify::event::EventKind;
use notify::{Config, Event, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use ordain_lang_project::{Disk, Session};
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long nothing must happen after a change: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(40);

/// How many such pauses are waited for: something that writes all the time must not keep a result back.
const PAUSES_MAX: u32 = 25;

/// How often a folder is looked through where the system does not tell of changes (network file systems, many containers).
const POLL: Duration = Duration::from_millis(500);

/// Whether a command stays and works again.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct WatchArg {
    /// Do it again whenever a source changes, until ctrl-c
    #[arg(long)]
    pub(crate) watch: bool,
}

/// What a round of a watching command works on.
pub(crate) struct Round<'w> {
    pub(crate) session: &'w mut Session,
    /// The folder that the project's paths start from.
    pub(crate) disk: &'w Disk,
}

/// A path that cannot be watched.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum WatchError {
    #[error("cannot watch `{}`", path.display())]
    Watch {
        path: PathBuf,
        #[source]
        source: notify::Error,
    },
}

/// What happened.
enum News {
    /// These files may be others; none means any.
    Changed(Option<Vec<PathBuf>>),
    /// Ctrl-c.
    Stop,
}

/// Does a round now and after every change of the project that `path` belongs to. Files below `output` do not count.
/// An error of a round is shown, and the next change starts another one; ctrl-c ends with success.
///
/// # Errors
/// Returns an error when there is nothing at the path, or when it cannot be watched.
pub(crate) fn watch(
    path: &Path,
    output: Option<&Path>,
    mut round: impl FnMut(Round<'_>) -> Result<Outcome>,
) -> Result<Outcome> {
    let disk::Opened {
        mut session,
        disk,
        single,
    } = disk::watch(path)?;
    let (tell, news) = channel();
    let root = match &single {
        Some(file) => file.parent().unwrap_or(Path::new(".")).to_owned(),
        None => disk.root().to_owned(),
    };
    // Watchers name files by their real path.
    let root = match root.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => root,
    };
    let root = root.canonicalize().unwrap_or(root);
    let _watcher = start(&root, single.is_none(), &tell).map_err(|source| WatchError::Watch {
        path: root.clone(),
        source,
    })?;
    stop_on_ctrl_c(tell);
    let filter = Filter {
        root,
        output: output.map(|dir| dir.canonicalize().unwrap_or_else(|_| absolute(dir))),
        single,
    };
    loop {
        clear();
        let outcome = round(Round {
            session: &mut session,
            disk: &disk,
        });
        if let Err(error) = outcome {
            if terminal::is_broken_pipe(error.as_ref()) {
                return Ok(Outcome::Done);
            }
            terminal::fail(&error);
        }
        terminal::say("watching; ctrl-c ends");
        match filter.next(&news) {
            Some(changed) => filter.tell(&mut session, changed),
            None => return Ok(Outcome::Done),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Starts watching a folder: by the system's own means, else by looking again and again.
fn start(
    root: &Path,
    is_deep: bool,
    tell: &Sender<News>,
) -> Result<Box<dyn Watcher>, notify::Error> {
    let mode = match is_deep {
        true => RecursiveMode::Recursive,
        false => RecursiveMode::NonRecursive,
    };
    let handler = || {
        let tell = tell.clone();
        move |event: notify::Result<Event>| {
            let changed = match event {
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
                Ok(event) if event.need_rescan() => None,
                Ok(event) => Some(event.paths),
                // What was missed is not known.
                Err(_) => None,
            };
            // Nobody listens any more when the command ends.
            let _ = tell.send(News::Changed(changed));
        }
    };
    let native = RecommendedWatcher::new(handler(), Config::default()).and_then(|mut watcher| {
        watcher.watch(root, mode)?;
        Ok(watcher)
    });
    if let Ok(watcher) = native {
        return Ok(Box::new(watcher));
    }
    let config = Config::default()
        .with_poll_interval(POLL)
        .with_compare_contents(true);
    let mut watcher = PollWatcher::new(handler(), config)?;
    watcher.watch(root, mode)?;
    Ok(Box::new(watcher))
}

/// Tells of ctrl-c. Without a way to hear of it the process ends as processes do.
fn stop_on_ctrl_c(tell: Sender<News>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            let _ = tell.send(News::Stop);
        }
    });
}

/// Wipes the screen, where one is there.
fn clear() {
    if io::stderr().is_terminal() {
        // "Erase display" with its memory, "cursor home" (ECMA-48, ED and CUP).
        let _ = io::stderr().lock().write_all(b"\x1b[2J\x1b[3J\x1b[H");
    }
}

/// Which changes count.
struct Filter {
    root: PathBuf,
    output: Option<PathBuf>,
    single: Option<PathBuf>,
}

impl Filter {
    /// Waits for a change that counts, and until it is quiet again. Returns the project's paths of what changed, or
    /// nothing of anything; none when it is time to stop.
    fn next(&self, news: &Receiver<News>) -> Option<Option<Vec<String>>> {
        let mut all: Vec<String> = Vec::new();
        let mut is_known = true;
        let mut pauses = 0;
        loop {
            let waits = all.is_empty() && is_known;
            let one = match waits {
                true => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => news.recv_timeout(QUIET),
            };
            match one {
                Ok(News::Changed(None)) => is_known = false,
                Ok(News::Changed(Some(paths))) => {
                    for path in paths.iter().filter_map(|path| self.own(path)) {
                        if !all.contains(&path) {
                            all.push(path);
                        }
                    }
                }
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => return Some(is_known.then_some(all)),
            }
            if !waits {
                pauses += 1;
                if pauses >= PAUSES_MAX {
                    return Some(is_known.then_some(all));
                }
            }
        }
    }

    /// The project's path of a file that counts.
    fn own(&self, path: &Path) -> Option<String> {
        if let Some(single) = &self.single {
            let is_it = path.file_name() == single.file_name();
            return is_it.then(|| single.display().to_string());
        }
        if self
            .output
            .as_ref()
            .is_some_and(|dir| path.starts_with(dir))
        {
            return None;
        }
        let below = path.strip_prefix(&self.root).ok()?;
        let mut parts = Vec::new();
        for part in below.components() {
            let Component::Normal(part) = part else {
                return None;
            };
            let part = part.to_str()?;
            // As the project itself: `.git`, and what editors leave beside a file.
            if part.starts_with('.') || part.ends_with('~') {
                return None;
            }
            parts.push(part);
        }
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    fn tell(&self, session: &mut Session, changed: Option<Vec<String>>) {
        match (&self.single, changed) {
            (Some(file), _) => {
                // A file that is being replaced is there again a moment later.
                if let Ok(text) = std::fs::read(file) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    session.set_text(&file.display().to_string(), Some(text));
                }
            }
            (None, Some(paths)) => session.refresh(&paths),
            (None, None) => session.refresh_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(single: Option<&str>) -> Filter {
        Filter {
            root: "/p".into(),
            output: Some("/p/out".into()),
            single: single.map(PathBuf::from),
        }
    }

    #[test]
    fn what_is_hidden_or_written_by_the_build_does_not_count() {
        let own = |path: &str| filter(None).own(Path::new(path));
        assert_eq!(own("/p/apps/a.ord").as_deref(), Some("apps/a.ord"));
        assert_eq!(own("/p/ordain.toml").as_deref(), Some("ordain.toml"));
        for other in [
            "/p/.git/index",
            "/p/a.ord~",
            "/p/out/prod/a.yaml",
            "/q/a.ord",
            "/p",
        ] {
            assert_eq!(own(other), None, "{other}");
        }
        let own = |path: &str| filter(Some("d/a.ord")).own(Path::new(path));
        assert_eq!(own("/p/d/a.ord").as_deref(), Some("d/a.ord"));
        assert_eq!(own("/p/d/b.ord"), None);
    }

    #[test]
    fn many_changes_are_one_round() {
        let (tell, news) = channel();
        let changed = |path: &str| News::Changed(Some(vec![PathBuf::from(path)]));
        for one in [
            changed("/p/.a.swp"),
            changed("/p/a.ord"),
            changed("/p/a.ord"),
            changed("/p/b.ord"),
        ] {
            tell.send(one).expect("it is received below");
        }
        assert_eq!(
            filter(None).next(&news),
            Some(Some(vec!["a.ord".to_owned(), "b.ord".to_owned()]))
        );
        tell.send(News::Changed(None))
            .expect("it is received below");
        assert_eq!(filter(None).next(&news), Some(None));
        tell.send(News::Stop).expect("it is received below");
        assert_eq!(filter(None).next(&news), None);
    }
}
