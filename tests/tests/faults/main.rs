//! The real engine on a disk that fails: at every call of a fixed workload, in every way, and then the
//! power is lost.
//!
//! Invariants that are checked after every fault:
//! - what was acknowledged as synced is there, and nothing that was shown to a peer is unsaid;
//! - the state of every item is the state of its blocks, and every record of the store is sound;
//! - after a failed write or sync nothing is written, and the refusal says why; a failed read poisons nothing;
//! - nothing hangs, and once opened again everything works.
//!
//! Torn and short writes cannot exist for a backend that keeps its contract: they are done to files.
//!
//! Planted, and what caught it in the sweeps of writes and syncs:
//!
//! | bug | caught by |
//! | --- | --- |
//! | a failed commit does not poison the store | a write after the fault is taken |
//! | synced commits are written and not synced | a preference is lost with the power |
//! | positions in a batch of their own, written first | a block that is held cannot be read |
//! | the last message after a checkpoint is left out | an item differs from a replay of its blocks |
//!
//! The sweep of reads caught positions that were written without their effects after a read had failed in
//! the middle of a step; `reads.rs` holds the two shortest ways there.
#![allow(clippy::unwrap_used)]

mod caller;
mod reads;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use caller::Caller;
use systole::{Engine, NewItem, Text, TextMutation};
use systole_store::{Call, Fault, Faulty, Memory, Store};
use systole_tests::{eventually, exchange, oracle, within};
use workload::Peer;

/// How a fault stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// One call fails.
    Once,
    /// All calls fail from one on, until somebody makes room.
    UntilHealed,
}

/// One run of the sweep.
#[derive(Clone, Copy, Debug)]
struct Plan {
    call: Call,
    nth: u64,
    fault: Fault,
    stay: Stay,
}

/// What came of the runs.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    /// Runs that ended before the call that was to fail.
    not_reached: u64,
    injected: u64,
    /// Runs in which nobody noticed.
    survived: u64,
    refused: u64,
    promises: u64,
    /// By what was refused and with which kind.
    kinds: BTreeMap<String, u64>,
    slowest: Duration,
}

#[test]
fn a_read_that_fails_is_told_and_harms_nothing() {
    sweep(Call::Read, &[(Fault::Error, Stay::Once)]);
}

#[test]
fn a_read_that_panics_is_told_and_harms_nothing() {
    sweep(Call::Read, &[(Fault::Panic, Stay::Once)]);
}

#[test]
fn reads_that_fail_until_the_disk_is_back_harm_nothing() {
    sweep_every(5, Call::Read, &[(Fault::Error, Stay::UntilHealed)]);
}

const WAYS: [(Fault, Stay); 5] = [
    (Fault::Error, Stay::Once),
    (Fault::AppliedThenError, Stay::Once),
    (Fault::DiskFull, Stay::Once),
    (Fault::DiskFull, Stay::UntilHealed),
    (Fault::Panic, Stay::Once),
];

#[test]
fn a_write_that_fails_ends_writing_and_nothing_acknowledged_is_lost() {
    sweep(Call::Write, &WAYS);
}

#[test]
fn a_sync_that_fails_ends_writing_and_nothing_acknowledged_is_lost() {
    sweep(Call::Sync, &WAYS);
}

/// Fails every call of a class in these ways.
fn sweep(call: Call, ways: &[(Fault, Stay)]) {
    sweep_every(1, call, ways);
}

/// Fails every call of a class, or one of so many, in these ways.
fn sweep_every(step: usize, call: Call, ways: &[(Fault, Stay)]) {
    quiet();
    let mut tally = Tally::default();
    // Far more calls than there are: this one counts them.
    let calls =
        run(Plan { call, nth: u64::MAX / 2, fault: ways[0].0, stay: Stay::Once }, &mut tally);
    tally = Tally::default();
    let start = Instant::now();
    for (fault, stay) in ways {
        for nth in (1..=calls).step_by(step) {
            run(Plan { call, nth, fault: *fault, stay: *stay }, &mut tally);
        }
    }
    println!("{call:?}: {calls} calls, {:?}: {tally:#?}", start.elapsed());
    assert!(calls > 20, "the workload calls the backend: {calls}");
    assert!(tally.not_reached * 10 < tally.runs, "faults are met: {tally:?}");
    assert!(tally.promises > tally.runs * 10, "much is acknowledged: {tally:?}");
}

/// One run: two days of work on a disk that fails once, then the power is lost, then all is checked.
/// Gives the number of calls that were made.
fn run(plan: Plan, tally: &mut Tally) -> u64 {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = runtime.block_on(async {
        let what = format!("{plan:?}");
        let memory = Arc::new(Memory::new());
        let mut peer = Peer::new().await;
        let faulty = Arc::new(Faulty::new(memory.clone()));
        plan_on(&faulty, plan);
        let mut caller = Caller::new(faulty.clone());
        day(&mut caller, &memory, &mut peer, plan.nth, 1).await;
        if caller.injected() > 0 {
            // Who makes room opens again on a disk that works.
            faulty.heal();
        }
        day(&mut caller, &memory, &mut peer, plan.nth / 2, 2).await;
        let calls = faulty.calls(plan.call);
        faulty.cut();
        check(&caller, &memory, &peer, &what).await;
        count(&caller, tally);
        calls
    });
    tally.slowest = tally.slowest.max(start.elapsed());
    calls
}

fn plan_on(faulty: &Faulty, plan: Plan) {
    match plan.stay {
        Stay::Once => faulty.fail(plan.call, plan.nth, plan.fault),
        Stay::UntilHealed => faulty.fail_from(plan.call, plan.nth, plan.fault),
    }
}

/// A day of work. How it ends follows from `choice`: in order, by the end of the process, or by a loss
/// of power, after which some of the batches that nobody synced happen to be there.
async fn day(caller: &mut Caller, memory: &Arc<Memory>, peer: &mut Peer, choice: u64, day: usize) {
    // One day's disk: what is left running of it writes nothing later.
    let faulty = caller.faulty.clone();
    let disk = Arc::new(Faulty::new(faulty));
    let before = caller.writing_faults();
    if let Some(engine) = caller.attempt("open", workload::engine(disk.clone()).open()).await {
        let party = match day {
            1 => workload::first_day(caller, &engine, peer).await,
            _ => workload::second_day(caller, &engine, peer).await,
        };
        caller.check_refusals(before, &engine, party.as_ref()).await;
        if choice.is_multiple_of(3) && caller.attempt("close", engine.close()).await.is_some() {
            caller.all_durable();
        }
    }
    disk.cut();
    eventually("the engine gone", async || Arc::strong_count(&disk) == 1).await;
    if choice % 3 == 1 {
        return;
    }
    memory.crash_keeping(choice as usize / 3 % (memory.unsynced_batches() + 1));
    caller.power_lost();
}

async fn check(caller: &Caller, memory: &Arc<Memory>, peer: &Peer, what: &str) {
    let engine = within("open", workload::engine(memory.clone()).open()).await;
    let engine = engine.unwrap_or_else(|error| panic!("{what}: {error}"));
    let known = engine.parties().await.unwrap();
    for key in &caller.parties {
        assert!(known.iter().any(|(party, _)| party == key), "{what}: a party is lost");
    }
    if let Some(value) = &caller.preference {
        let found = engine.preference("p").await.unwrap();
        assert_eq!(found.as_deref(), Some(value.as_bytes()), "{what}");
    }
    for (key, _) in known {
        let party = within("party", engine.party(key)).await.unwrap();
        oracle::check_replica(&party, what).await;
        for promise in caller.promises.iter().filter(|promise| promise.party == key) {
            let info = party.info(promise.item);
            let info = info.unwrap_or_else(|error| panic!("{what}: {promise:?}: {error}"));
            let seen = oracle::value(&party, &info).await.unwrap();
            assert!(seen.contains(&promise.word), "{what}: {promise:?} is not in {seen:?}");
        }
        let there = [peer.theirs.as_ref(), Some(&peer.ours)].into_iter().flatten();
        for there in there.filter(|there| there.key() == key) {
            exchange(&party, there).await;
            write_again(&engine, &party, what).await;
            exchange(&party, there).await;
            let expected = oracle::everything(there).await.unwrap();
            oracle::assert_same(&expected, &oracle::everything(&party).await.unwrap(), what);
        }
    }
    within("close", engine.close()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    peer.engine.close().await.unwrap();
    oracle::check_sound(Store::with_backend(memory.clone()).unwrap(), what);
}

/// A device that is a member can write, as it could before.
async fn write_again(engine: &Engine, party: &systole::Party, what: &str) {
    let status = party.status().await.unwrap();
    let own = party.own_feed().ok();
    if !status.feeds.iter().any(|feed| Some(feed.feed) == own && feed.admitted) {
        return;
    }
    let note = party.create(NewItem::<Text>::new()).await;
    let note = note.unwrap_or_else(|error| panic!("{what}: {error}"));
    note.mutate(TextMutation::insert(0, "again")).await.unwrap();
    assert!(engine.counters().await.unwrap().commits > 0);
}

fn count(caller: &Caller, tally: &mut Tally) {
    tally.runs += 1;
    tally.injected += caller.injected();
    tally.not_reached += u64::from(caller.injected() == 0);
    tally.survived += u64::from(caller.injected() > 0 && caller.refused.is_empty());
    tally.refused += caller.refused.len() as u64;
    tally.promises += caller.promises.len() as u64;
    for (what, error) in &caller.refused {
        let kind = error.as_ref().map_or("panicked".to_owned(), |e| format!("{:?}", e.kind()));
        *tally.kinds.entry(format!("{what}: {kind}")).or_default() += 1;
    }
}

/// Injected panics are expected and say nothing.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info
                .payload()
                .downcast_ref::<&str>()
                .is_none_or(|said| !said.starts_with("injected"))
            {
                usual(info);
            }
        }));
    });
}
