//! What a store says of itself is what lies on the disk.
//!
//! Planted and caught: blobs left out of the files; the families' figures not summed; the log counted
//! among the files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use systole_store::{FeedNo, Memory, Options, Store, Usage};

use crate::support::{commit, item_key, scratch};

/// Bytes of the files with these endings, and how many there are.
fn on_disk(path: &Path, kinds: &[&str]) -> (u64, u64) {
    let entries = fs::read_dir(path.join("database")).unwrap().map(|entry| entry.unwrap());
    let of_kind = entries.filter(|entry| {
        let path = entry.path();
        kinds.is_empty() || kinds.iter().any(|kind| path.extension().is_some_and(|it| it == *kind))
    });
    of_kind
        .fold((0, 0), |(bytes, files), entry| (bytes + entry.metadata().unwrap().len(), files + 1))
}

/// Noise, which no codec shrinks.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn usage_tells_files_logs_and_memory() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &Options::default()).unwrap();
    let written = noise(1 << 20);
    commit(&store, |batch| {
        store.feeds().put_block(batch, FeedNo(1), 0, &written);
        store.items().put_checkpoint(batch, item_key(1, 0), 1, &written);
    });
    let usage = store.usage().unwrap();
    assert_eq!(usage.disk_bytes, on_disk(&path, &[]).0);
    assert_eq!((usage.files, usage.file_bytes), (0, 0));
    assert!(usage.log_bytes >= 2 << 20 && usage.log_bytes == on_disk(&path, &["log"]).0);
    assert!(usage.unflushed_bytes >= 2 << 20, "in two families: {usage:?}");
    assert!(usage.cache_bytes >= 1 << 20, "{usage:?}");
    store.flush().unwrap();
    let usage = store.usage().unwrap();
    let (bytes, files) = on_disk(&path, &["sst", "blob"]);
    assert_eq!((usage.file_bytes, usage.files), (bytes, files));
    assert!(usage.file_bytes >= 2 << 20, "{usage:?}");
    assert!(usage.unflushed_bytes < 1 << 20 && usage.log_bytes < 1 << 20, "{usage:?}");
    assert_eq!((usage.snapshots, usage.held_bytes), (0, 0));
    assert_eq!(usage.disk_bytes, store.disk_bytes().unwrap());
}

#[test]
fn files_that_only_a_reader_needs_are_told() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &Options::default()).unwrap();
    let written = noise(4 << 20);
    commit(&store, |batch| store.feeds().put_block(batch, FeedNo(1), 0, &written));
    store.flush().unwrap();
    let mut held = Usage::default();
    let scanned = store.feeds().scan_blocks(FeedNo(1), 0, 1, &mut |_, _| {
        commit(&store, |batch| store.feeds().put_block(batch, FeedNo(1), 0, b"\x01"));
        store.compact().unwrap();
        held = store.usage().unwrap();
        std::ops::ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert!(held.held_bytes >= 4 << 20, "{held:?}");
    assert_eq!(store.usage().unwrap().held_bytes, 0);
}

#[test]
fn a_store_in_memory_tells_its_size() {
    let store = Store::with_backend(Arc::new(Memory::new())).unwrap();
    commit(&store, |batch| store.feeds().put_block(batch, FeedNo(1), 0, &[1; 1000]));
    let usage = store.usage().unwrap();
    assert!(usage.disk_bytes >= 1000);
    assert_eq!(usage.files, 0);
    assert!(store.scratch().usage().unwrap().disk_bytes >= 1000);
}
