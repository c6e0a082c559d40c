//! A request that takes a while, shown as it goes: its lines, and on a terminal a bar for each app that is on its way.

use crate::args::TargetArg;
use crate::terminal::Progress;
use ordain_reconciler_engine::control::{self, Request, Response, Target};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often bars are drawn anew.
const LOOK: Duration = Duration::from_millis(500);

/// Asks the running instance, and returns what it answered beside the lines, which are shown.
///
/// # Errors
/// What the instance says, or why it cannot be asked.
pub(crate) fn follow(target: &TargetArg, request: &Request) -> miette::Result<Vec<Response>> {
    let target = target.target();
    let progress = Mutex::new(Progress::new());
    let shown = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    let is_done = AtomicBool::new(false);
    // Behind an API server each look would be another object.
    let is_watched = shown().is_watched() && matches!(target, Target::DataDir(_));
    let answers = std::thread::scope(|scope| {
        let bars = is_watched.then(|| {
            let target = target.clone();
            let (shown, is_done) = (&shown, &is_done);
            scope.spawn(move || {
                while !is_done.load(Ordering::Acquire) {
                    std::thread::park_timeout(LOOK);
                    let asked = control::call(target.clone(), &Request::Status, |_| {});
                    let status = asked.ok().and_then(super::status::status_of);
                    if let (Some(status), false) = (status, is_done.load(Ordering::Acquire)) {
                        let bars = super::status::bars(&status);
                        shown().bars(&bars.lines().collect::<Vec<_>>().join("  "));
                    }
                }
            })
        });
        let answers = control::call(target.clone(), request, |line| shown().line(line));
        is_done.store(true, Ordering::Release);
        if let Some(bars) = bars {
            bars.thread().unpark();
        }
        answers
    });
    answers.map_err(super::engine_error)
}
