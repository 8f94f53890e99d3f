//! What a commit survives.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use systole_store::{Batch, Durability, FeedNo, Memory, Store};

use crate::process::{Role, spawn};
use crate::support::{options, scratch};

const FEED: FeedNo = FeedNo(1);

fn put(store: &Store, seq: u64, durability: Durability) {
    let mut batch = Batch::new();
    // Two families: a batch that is torn shows.
    store.feeds().put_block(&mut batch, FEED, seq, &[1; 200]);
    store.meta().put_preference(&mut batch, &seq.to_string(), Some(b"set"));
    store.commit(batch, durability).unwrap();
}

/// Blocks from 0 without a gap; checks that each batch is whole.
fn stored(store: &Store) -> u64 {
    let has_block = |seq| store.feeds().block(FEED, seq).unwrap().is_some();
    let has_preference = |seq: u64| store.meta().preference(&seq.to_string()).unwrap().is_some();
    for seq in 0..100 {
        assert_eq!(has_block(seq), has_preference(seq), "batch {seq} is torn");
    }
    let length = (0..100).take_while(|seq| has_block(*seq)).count() as u64;
    assert!((length..100).all(|seq| !has_block(seq)), "a batch is missing before a later one");
    length
}

#[test]
fn a_power_failure_takes_what_was_not_synced_and_nothing_else() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    put(&store, 0, Durability::Buffered);
    put(&store, 1, Durability::Synced);
    put(&store, 2, Durability::Buffered);
    put(&store, 3, Durability::Buffered);
    assert_eq!(memory.unsynced_batches(), 2);
    memory.crash_keeping(1);
    assert_eq!(stored(&store), 3);
    put(&store, 3, Durability::Buffered);
    memory.crash();
    assert_eq!(stored(&store), 3);
}

#[test]
fn a_crash_restores_what_was_overwritten_and_deleted() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    for seq in 0..5 {
        put(&store, seq, Durability::Synced);
    }
    let mut batch = Batch::new();
    store.feeds().put_block(&mut batch, FEED, 2, b"\x01other");
    systole_store::testing::delete_range(&mut batch, systole_store::Family::Block, &[0], &[0xff]);
    store.meta().put_preference(&mut batch, "3", None);
    store.commit(batch, Durability::Buffered).unwrap();
    memory.crash();
    assert_eq!(stored(&store), 5);
    assert_eq!(store.feeds().block(FEED, 2).unwrap().unwrap(), [1; 200].as_slice());
}

#[test]
fn an_empty_commit_can_sync_what_came_before() {
    let memory = Arc::new(Memory::new());
    let store = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    put(&store, 0, Durability::Buffered);
    store.commit(Batch::new(), Durability::Synced).unwrap();
    memory.crash();
    assert_eq!(stored(&store), 1);
}

#[test]
fn buffered_commits_survive_the_end_of_the_process() {
    let (_guard, path) = scratch();
    let ended = spawn(Role::CommitAndAbort, &path).wait().unwrap();
    assert!(!ended.success(), "the child aborts");
    let store = Store::open_existing(&path, &options()).unwrap();
    assert!((0..100).all(|seq| store.feeds().block(FEED, seq).unwrap().is_some()));
}

#[test]
fn a_torn_log_is_read_up_to_its_damage() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    for seq in 0..40 {
        put(&store, seq, Durability::Buffered);
    }
    drop(store);
    let mut lengths = Vec::new();
    for (round, cut) in [0, 1, 7, 300, 2_000, 5_000, 9_000].into_iter().enumerate() {
        let torn = guard.path().join(format!("torn {round}"));
        copy(&path, &torn);
        cut_log(&torn.join("database"), cut);
        lengths.push(stored(&Store::open_existing(&torn, &options()).unwrap()));
    }
    assert_eq!(lengths[0], 40, "an untouched log is read whole");
    assert!(lengths.is_sorted_by(|longer, shorter| longer >= shorter), "{lengths:?}");
    assert!(lengths[1] == 39 && *lengths.last().unwrap() < 20, "{lengths:?}");
}

/// Cuts bytes off the end of the newest log that holds any.
fn cut_log(database: &Path, bytes: u64) {
    let logs = fs::read_dir(database).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let newest = logs.filter(|path| path.metadata().unwrap().len() > bytes).max().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&newest).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
