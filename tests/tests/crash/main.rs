//! A process that is killed at any moment, again and again, on the same directory.
//!
//! Invariants that are checked after every kill:
//! - whatever was acknowledged is there, where its author was told, byte for byte, buffered or synced;
//! - what was in flight is there whole or not at all, and nothing else is there;
//! - the device's feed only grows: blocks that were there after one kill are there after the next;
//! - every item is what a fresh replica makes of the same blocks, and every record of the store is sound.
//!
//! Planted, and what caught it:
//!
//! | bug | caught by |
//! | --- | --- |
//! | a commit is acknowledged before it is written | a block that is held is missing, in the child already |
//! | buffered commits stay in the process until a sync | round 2: an acknowledged write is lost |
//! | positions in a batch of their own, written first | a block that is held cannot be read, in one of two runs: the moment is short |
//!
//! Whether the last one is caught is chance; logs that are cut (`files`) have no such gaps.
//!
//! `SYSTOLE_CRASH_ROUNDS` sets the number of kills, `SYSTOLE_CRASH_SEED` where the seeds begin: each
//! directory has one of its own, from which everything follows but the moment at which the kill arrives.
#![allow(clippy::unwrap_used)]

mod child;
mod founding;
mod ledger;
mod life;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use life::{Life, Tally};

/// Kills, unless `SYSTOLE_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 240;
/// Kills of one directory.
const ROUNDS_OF_A_LIFE: u64 = 20;
/// Directories at the same time.
const LIVES_AT_ONCE: usize = 2;

#[test]
fn nothing_acknowledged_is_lost_whenever_the_process_is_killed() {
    let start = Instant::now();
    let rounds = number("SYSTOLE_CRASH_ROUNDS", ROUNDS);
    let seed = number("SYSTOLE_CRASH_SEED", 1);
    let lives = rounds.div_ceil(ROUNDS_OF_A_LIFE);
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..LIVES_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let life = next.fetch_add(1, Ordering::Relaxed);
                    if life >= lives {
                        return;
                    }
                    let left = rounds - life * ROUNDS_OF_A_LIFE;
                    let done = live(seed + life, left.min(ROUNDS_OF_A_LIFE), &next);
                    tally.lock().unwrap().add(done);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{:?}: {tally:#?}\nlost: 0", start.elapsed());
    assert_eq!(tally.rounds, rounds);
    assert!(tally.acknowledged > rounds, "children work before they are killed: {tally:?}");
}

/// One directory's life. If something is wrong, it says how to see that again, and keeps the directory.
fn live(seed: u64, rounds: u64, next: &AtomicU64) -> Tally {
    let directory = tempfile::Builder::new().prefix("systole-crash-").tempdir().unwrap();
    let life = Life::new(seed, directory.path().to_owned());
    catch_unwind(AssertUnwindSafe(|| life.live(rounds))).unwrap_or_else(|panic| {
        // The others need not go on.
        next.store(u64::MAX / 2, Ordering::Relaxed);
        eprintln!(
            "seed {seed}: the directory is {}; again with\nSYSTOLE_CRASH_SEED={seed} \
             SYSTOLE_CRASH_ROUNDS={rounds} cargo test --release -p systole-tests --test crash",
            directory.keep().display()
        );
        resume_unwind(panic)
    })
}

fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{name} is no number: {number}")),
        Err(_) => usual,
    }
}

#[test]
#[ignore = "the process that is killed; the other test starts it"]
fn the_child() {
    child::live();
}
