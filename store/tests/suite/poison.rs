//! A failed write or sync ends writing, and what was acknowledged before it is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use systole_store::{Batch, Call, Durability, Error, Fault, Faulty, FeedNo, Memory, Store};

use crate::support::commit;

const FEED: FeedNo = FeedNo(1);

struct Fixture {
    memory: Arc<Memory>,
    faulty: Arc<Faulty>,
    store: Store,
}

fn fixture() -> Fixture {
    let memory = Arc::new(Memory::new());
    let faulty = Arc::new(Faulty::new(Arc::clone(&memory) as _));
    let store = Store::with_backend(Arc::clone(&faulty) as _).unwrap();
    Fixture { memory, faulty, store }
}

fn block(store: &Store, seq: u64) -> Batch {
    let mut batch = Batch::new();
    store.feeds().put_block(&mut batch, FEED, seq, b"\x01block");
    batch
}

fn has(store: &Store, seq: u64) -> bool {
    store.feeds().block(FEED, seq).unwrap().is_some()
}

#[test]
fn a_failed_write_poisons_the_store() {
    let Fixture { faulty, store, .. } = fixture();
    faulty.fail(Call::Write, 1, Fault::Error);
    let refused = store.commit(block(&store, 0), Durability::Buffered);
    assert!(matches!(refused, Err(Error::Backend { .. })), "{refused:?}");
    let refused = store.commit(block(&store, 1), Durability::Buffered);
    assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
    assert!(matches!(store.sync(), Err(Error::Poisoned { .. })));
    assert_eq!(faulty.calls(Call::Write), 2, "the format and the failed write; no more");
}

#[test]
fn a_failed_sync_poisons_the_store() {
    let Fixture { memory, faulty, store } = fixture();
    faulty.fail(Call::Sync, 1, Fault::Error);
    store.commit(block(&store, 0), Durability::Synced).unwrap_err();
    let refused = store.commit(block(&store, 1), Durability::Synced);
    assert!(matches!(refused, Err(Error::Poisoned { .. })), "a later sync might succeed wrongly");
    memory.crash();
    assert!(!has(&store, 0));
}

#[test]
fn the_first_reason_stays() {
    let Fixture { faulty, store, .. } = fixture();
    assert_eq!(store.poisoned(), None);
    faulty.fail(Call::Sync, 1, Fault::DiskFull);
    let first = store.sync();
    assert!(matches!(first, Err(Error::DiskFull { .. })), "{first:?}");
    let reason = store.poisoned().unwrap();
    assert!(reason.contains("sync failed") && reason.contains("full"), "{reason}");
    store.sync().unwrap_err();
    assert_eq!(store.poisoned(), Some(reason));
}

#[test]
fn a_poisoned_store_can_be_read() {
    let Fixture { faulty, store, .. } = fixture();
    store.commit(block(&store, 0), Durability::Synced).unwrap();
    faulty.fail(Call::Write, 1, Fault::Error);
    store.commit(block(&store, 1), Durability::Buffered).unwrap_err();
    assert!(has(&store, 0) && !has(&store, 1));
}

#[test]
fn a_failed_read_does_not_poison() {
    let Fixture { faulty, store, .. } = fixture();
    faulty.fail(Call::Read, 1, Fault::Error);
    store.feeds().block(FEED, 0).unwrap_err();
    assert_eq!(store.poisoned(), None);
    store.commit(block(&store, 0), Durability::Synced).unwrap();
}

#[test]
fn a_panic_while_writing_poisons_the_store() {
    let Fixture { faulty, store, .. } = fixture();
    faulty.fail(Call::Write, 1, Fault::Panic);
    let commit = || store.commit(block(&store, 0), Durability::Buffered);
    catch_unwind(AssertUnwindSafe(commit)).unwrap_err();
    let refused = commit();
    assert!(matches!(&refused, Err(Error::Poisoned { reason }) if reason.contains("panicked")));
}

#[test]
fn clones_share_the_poison() {
    let Fixture { faulty, store, .. } = fixture();
    let other = store.clone();
    faulty.fail(Call::Write, 1, Fault::Error);
    store.commit(block(&store, 0), Durability::Buffered).unwrap_err();
    assert!(matches!(other.sync(), Err(Error::Poisoned { .. })));
}

#[test]
fn reopening_cures_a_poisoned_store() {
    let Fixture { memory, faulty, store } = fixture();
    faulty.fail(Call::Write, 1, Fault::AppliedThenError);
    store.commit(block(&store, 0), Durability::Buffered).unwrap_err();
    drop(store);
    let store = Store::with_backend(memory).unwrap();
    assert!(has(&store, 0), "the answer was lost, not the batch");
    commit(&store, |batch| store.feeds().put_block(batch, FEED, 1, b"\x01"));
}

/// Whichever call fails, and however much of what was not synced survives: every commit that was
/// acknowledged as synced is there after reopening, and there is no gap before a later one.
#[test]
fn what_was_acknowledged_survives_any_fault() {
    for call in [Call::Write, Call::Sync] {
        for fault in [Fault::Error, Fault::AppliedThenError, Fault::DiskFull] {
            for nth in 1..=12 {
                let Fixture { memory, faulty, store } = fixture();
                faulty.fail(call, nth, fault);
                let mut acknowledged = None;
                for seq in 0..12 {
                    let durability = [Durability::Buffered, Durability::Synced][seq as usize % 2];
                    if store.commit(block(&store, seq), durability).is_ok()
                        && durability == Durability::Synced
                    {
                        acknowledged = Some(seq);
                    }
                }
                memory.crash_keeping((nth % 3) as usize);
                let store = Store::with_backend(memory).unwrap();
                let stored = (0..12).take_while(|seq| has(&store, *seq)).count() as u64;
                assert!(
                    stored >= acknowledged.map_or(0, |seq| seq + 1),
                    "{call:?} {fault:?} {nth}"
                );
                assert!((stored..12).all(|seq| !has(&store, seq)), "{call:?} {fault:?} {nth}");
            }
        }
    }
}
