//! A store knows where it belongs: copies are noticed, and nothing else is taken for one.
//!
//! Planted and caught: the time of change left out of what identifies the place; the place renewed by
//! every opening; the record left out of the caller's batch.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use systole_store::{Batch, Durability, FeedNo, Memory, Store};

use crate::support::{commit, options, scratch};

fn is_copy(path: &Path) -> bool {
    Store::open_existing(path, &options()).unwrap().is_copy()
}

fn place(path: &Path) -> Vec<u8> {
    fs::read(path.join("database/PLACE")).unwrap()
}

fn settle(store: &Store) {
    let mut batch = Batch::new();
    store.put_place(&mut batch).unwrap();
    assert_eq!(batch.len(), 1);
    store.commit(batch, Durability::Synced).unwrap();
}

/// Copies as `cp` does, times and owners included.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Waits until the file system gives a change another time than the place has: some tick slowly.
fn await_another_time(path: &Path) {
    let place = fs::metadata(path.join("database/PLACE")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let tick = path.with_extension("tick");
    loop {
        fs::write(&tick, "").unwrap();
        let at = fs::metadata(&tick).unwrap();
        if (at.ctime(), at.ctime_nsec()) > (place.ctime(), place.ctime_nsec()) {
            return;
        }
        assert!(Instant::now() < deadline, "the file system's clock stands still");
    }
}

#[test]
fn a_store_that_stays_where_it_is_is_no_copy() {
    let (_guard, path) = scratch();
    assert!(!Store::open(&path, &options()).unwrap().is_copy(), "it was just created");
    let before = place(&path);
    for _ in 0..3 {
        assert!(!is_copy(&path));
    }
    assert_eq!(place(&path), before, "opening leaves the place alone");
}

#[test]
fn a_renamed_directory_is_no_copy() {
    let (guard, path) = scratch();
    drop(Store::open(&path, &options()).unwrap());
    let moved = guard.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    assert!(!is_copy(&moved));
}

#[test]
fn a_copied_directory_is_a_copy_until_it_has_a_place() {
    let (guard, path) = scratch();
    drop(Store::open(&path, &options()).unwrap());
    let copied = guard.path().join("copied");
    copy(&path, &copied);
    assert!(is_copy(&copied));
    assert!(is_copy(&copied), "opening it does not make it an original");
    let store = Store::open(&copied, &options()).unwrap();
    settle(&store);
    assert!(store.is_copy(), "it is what was found when the store was opened");
    drop(store);
    assert!(!is_copy(&copied));
    assert!(!is_copy(&path), "the original is not concerned");
}

#[test]
fn the_files_of_an_older_copy_brought_back_in_place_are_a_copy() {
    for part in ["", "database"] {
        let (guard, path) = scratch();
        drop(Store::open(&path, &options()).unwrap());
        let older = guard.path().join("older");
        copy(&path, &older);
        let store = Store::open(&path, &options()).unwrap();
        commit(&store, |batch| store.feeds().put_block(batch, FeedNo(1), 0, b"\x01"));
        drop(store);
        assert!(!is_copy(&path));
        await_another_time(&path);
        copy(&older.join(part).join("."), &path.join(part));
        assert!(is_copy(&path), "{part:?}");
    }
}

#[test]
fn a_place_that_is_gone_or_altered_is_noticed() {
    let (_guard, path) = scratch();
    drop(Store::open(&path, &options()).unwrap());
    let file = path.join("database/PLACE");
    let content = fs::read(&file).unwrap();
    await_another_time(&path);
    fs::write(&file, &content).unwrap();
    assert!(is_copy(&path), "the same content, written again");
    fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    assert!(is_copy(&path));
    fs::remove_file(&file).unwrap();
    assert!(is_copy(&path));
    assert!(!file.exists());
    settle(&Store::open(&path, &options()).unwrap());
    assert!(!is_copy(&path));
}

#[test]
fn a_place_whose_record_was_not_committed_is_noticed_again() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    store.put_place(&mut Batch::new()).unwrap();
    drop(store);
    assert!(is_copy(&path));
}

#[test]
fn openings_for_reading_and_inspection_neither_write_a_place_nor_ask_for_it() {
    let (guard, path) = scratch();
    drop(Store::open(&path, &options()).unwrap());
    let copied = guard.path().join("copied");
    copy(&path, &copied);
    fs::remove_file(copied.join("database/PLACE")).unwrap();
    let reader = Store::open_read_only(&copied, &options()).unwrap();
    assert!(!reader.is_copy());
    assert!(reader.put_place(&mut Batch::new()).is_err());
    drop(reader);
    let (inspected, obstacle) = Store::open_to_inspect(&copied, &options()).unwrap();
    assert!(obstacle.is_none() && !inspected.is_copy());
    drop(inspected);
    assert!(!copied.join("database/PLACE").exists());
    assert!(is_copy(&copied));
}

#[test]
fn a_backend_under_another_name_is_a_copy() {
    let memory = Arc::new(Memory::new());
    let at = |place: &[u8]| Store::with_backend_at(Arc::clone(&memory) as _, place).unwrap();
    assert!(!at(b"here").is_copy());
    assert!(!at(b"here").is_copy());
    assert!(at(b"there").is_copy());
    let nowhere = Store::with_backend(Arc::clone(&memory) as _).unwrap();
    assert!(!nowhere.is_copy());
    let mut batch = Batch::new();
    nowhere.put_place(&mut batch).unwrap();
    assert!(batch.is_empty(), "it knows no place");
    settle(&at(b"there"));
    assert!(!at(b"there").is_copy());
    assert!(at(b"here").is_copy());
}
