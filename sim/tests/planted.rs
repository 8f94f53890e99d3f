//! Bugs planted on purpose. Each must be found within a bounded number of seeds, and the same seeds
//! must be clean without it. The table in the crate's documentation says how many seeds it took.

mod models;

use models::journal::{
    self, FORGETS_STAMPS, Journal, PANICS, READS_THE_CLOCK, SOUND, TIES_BY_HASH,
};
use models::naive;
use systole_sim::{Failure, Flaws, Oracle, Simulation};

/// Seeds within which every planted bug must be found.
const SEEDS: u64 = 200;

fn sound() -> Simulation {
    Simulation::new().model::<Journal<SOUND>>(journal::users)
}

/// Finds the bug, and shows that without it the same seeds are clean.
fn finds(name: &str, planted: Simulation, clean: &Simulation, oracles: &[Oracle]) -> Failure {
    let failure = planted.run_while(0..SEEDS, |_| true).expect_err("the bug is found");
    println!("{name}: {} seeds", failure.histories());
    println!("{failure}");
    assert!(oracles.contains(&failure.oracle()), "another oracle speaks: {failure}");
    assert!(!failure.story().is_empty(), "there is a story to read");
    let seeds = 0..failure.histories();
    clean.run_while(seeds, |_| true).expect("the same seeds are clean without the bug");
    failure
}

#[test]
fn a_position_written_before_its_effect_is_found() {
    let oracles = [Oracle::Once, Oracle::Convergence, Oracle::Soundness, Oracle::Progress];
    finds("position before effect", sound().splits_positions(true), &sound(), &oracles);
}

#[test]
fn a_register_that_believes_what_it_hears_last_is_found() {
    let naive = Simulation::new().model(naive::users).hostile(false);
    let oracles = [Oracle::Convergence, Oracle::Replay];
    finds("last writer by arrival", naive, &sound().hostile(false), &oracles);
}

#[test]
fn a_checkpoint_without_stamps_is_found() {
    let planted = Simulation::new().model::<Journal<FORGETS_STAMPS>>(journal::users);
    finds("checkpoint without stamps", planted, &sound(), &[Oracle::Replay, Oracle::Convergence]);
}

#[test]
fn a_tie_that_a_hash_map_breaks_is_found() {
    let planted = Simulation::new().model::<Journal<TIES_BY_HASH>>(journal::users);
    let oracles = [Oracle::Replay, Oracle::Convergence, Oracle::Duplicates];
    finds("tie by map order", planted, &sound(), &oracles);
}

#[test]
fn a_clock_in_a_model_is_found() {
    let planted = Simulation::new().model::<Journal<READS_THE_CLOCK>>(journal::users);
    let oracles = [Oracle::Replay, Oracle::Convergence, Oracle::Duplicates];
    finds("clock in a model", planted, &sound(), &oracles);
}

#[test]
fn a_parked_credential_that_is_forgotten_is_found() {
    let flaws = Flaws { forgets_parked: true, ..Flaws::default() };
    let oracles = [Oracle::Progress, Oracle::Convergence];
    finds("parked credential dropped", sound().flaws(flaws), &sound(), &oracles);
}

#[test]
fn a_head_shown_before_it_is_synced_is_found() {
    let flaws = Flaws { announces_unsynced: true, ..Flaws::default() };
    let oracles = [Oracle::Durability, Oracle::Fork, Oracle::Progress];
    finds("unsynced head announced", sound().flaws(flaws), &sound(), &oracles);
}

#[test]
fn a_mailbox_that_drops_what_overflows_is_found() {
    let flaws = Flaws { drops_on_overflow: true, ..Flaws::default() };
    let oracles = [Oracle::Replay, Oracle::Convergence];
    finds("mailbox overflow dropped", sound().flaws(flaws), &sound(), &oracles);
}

#[test]
fn an_evicted_item_that_loses_its_tail_is_found() {
    let flaws = Flaws { loses_tail_on_eviction: true, ..Flaws::default() };
    let oracles = [Oracle::Replay, Oracle::Convergence];
    finds("evicted item loses its tail", sound().flaws(flaws), &sound(), &oracles);
}

#[test]
fn a_panic_that_breaks_the_items_beside_it_is_found() {
    let panicking = || Simulation::new().model::<Journal<PANICS>>(journal::users).panics(true);
    let flaws = Flaws { spreads_panics: true, ..Flaws::default() };
    let oracles = [Oracle::Isolation, Oracle::Replay, Oracle::Convergence];
    finds("panic takes neighbours along", panicking().flaws(flaws), &panicking(), &oracles);
}

#[test]
fn a_restored_device_that_writes_on_in_its_old_feed_is_found() {
    let flaws = Flaws { keeps_feeds_of_a_copy: true, ..Flaws::default() };
    let oracles = [Oracle::Fork, Oracle::Durability, Oracle::Positions];
    finds("append after a restore", sound().flaws(flaws), &sound(), &oracles);
}

#[test]
fn a_model_that_panics_is_reported() {
    let planted = Simulation::new().model::<Journal<PANICS>>(journal::users);
    finds("a model panics", planted, &sound(), &[Oracle::Soundness]);
}
