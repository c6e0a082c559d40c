//! The whole road through the binary: `ordain up`, `git push`, pods, a bad push, a rollback; with the real `git` and
//! `kubectl`. As root each cluster lives in a network namespace of its own with real containers; otherwise, and in a
//! second pass, with plain processes.

mod adopt;
mod cluster;
mod dashboard;
mod demo;
mod failures;
mod kubectl;
mod live;
mod looking_back;
mod push;
mod run;
mod secrets;
#[cfg(target_os = "linux")]
mod terminal;

/// Says that a suite is left out, so that nobody takes silence for success.
fn left_out(suite: &str, why: &str) {
    #[expect(
        clippy::print_stderr,
        reason = "a left out suite must be seen in the output"
    )]
    {
        eprintln!("left out: {suite}: {why}");
    }
}
