//! SIGKILL at hundreds of points of random histories of apply, prune and rollback. After each history the
//! cluster is what a clean apply makes it, nothing is left behind, and nothing that was wanted was deleted.
//!
//! The engine runs in a child, which is this very program; the API server is in the parent and outlives it.
//! A point is a request (before it takes effect, or after), a step of the journal, or a moment. What is done
//! and where follows from a seed: `ORDAIN_CRASH_SEED` sets it, `ORDAIN_CRASH_POINTS` the number of points.

#![cfg(unix)]
#![allow(
    clippy::print_stderr,
    reason = "this program is a test runner and says what it did"
)]

mod child;
#[path = "../push/fake.rs"]
#[allow(dead_code)]
mod fake;
mod history;
#[path = "../push/merge.rs"]
mod merge;
mod offline;
mod random;
mod repository;
mod server;
mod takeover;

use std::{env, process::ExitCode, time::Instant};

use crate::{history::History, random::Random};

/// Points when nothing else is said.
const POINTS: u64 = 500;

/// The seed when nothing else is said: the same in every run, so that a failure is one for everybody.
const SEED: u64 = 4;

/// Points in one history: about twenty commits and rollbacks.
const POINTS_PER_HISTORY: u64 = 25;

/// Points for each rollback without the remote.
const POINTS_PER_ROLLBACK: u64 = 25;

/// Histories at the same time.
const AT_ONCE: u64 = 2;

fn number(name: &str, otherwise: u64) -> u64 {
    let value = env::var(name).ok().and_then(|text| text.parse().ok());
    value.unwrap_or(otherwise)
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("__child") => return child::run(&args[1..]),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let (seed, points) = (
        number("ORDAIN_CRASH_SEED", SEED),
        number("ORDAIN_CRASH_POINTS", POINTS),
    );
    eprintln!("{points} points, seed {seed} (ORDAIN_CRASH_SEED, ORDAIN_CRASH_POINTS)");
    let begun = Instant::now();
    takeover::run();
    eprintln!(
        "the other one took over from a killed leader and from a stopped one; {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    let begun = Instant::now();
    let rollbacks = points.div_ceil(POINTS_PER_ROLLBACK);
    let there = offline::run(&mut Random::new(seed), rollbacks);
    eprintln!(
        "{rollbacks} rollbacks without the remote, each killed while it was made and while it was published; {there} came to \
         the branch; {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    let begun = Instant::now();
    let histories = points.div_ceil(POINTS_PER_HISTORY);
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|worker| {
            std::thread::spawn(move || {
                let mut killed = [0_u64; 4];
                for number in (worker..histories).step_by(AT_ONCE as usize) {
                    let points = POINTS_PER_HISTORY.min(points - number * POINTS_PER_HISTORY);
                    let random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
                    let done = History::run(number, random, points);
                    killed
                        .iter_mut()
                        .zip(done)
                        .for_each(|(all, one)| *all += one);
                }
                killed
            })
        })
        .collect();
    let mut killed = [0_u64; 4];
    let mut failed = false;
    for worker in workers {
        match worker.join() {
            Ok(done) => killed
                .iter_mut()
                .zip(done)
                .for_each(|(all, one)| *all += one),
            Err(_) => failed = true,
        }
    }
    let [before, after, steps, moments] = killed;
    let all: u64 = killed.iter().sum();
    eprintln!(
        "{all} kills in {histories} histories: {before} before a request took effect, {after} after it, \
         {steps} at a step of the journal, {moments} at a moment; {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    if failed || all < points {
        eprintln!("failed; seed {seed}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
