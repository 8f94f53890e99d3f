//! Opening: what is created, what is refused, and that the directory is free again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use systole_store::{
    Backend, Batch, Durability, Error, FORMAT, Family, FeedNo, Memory, Rocks, Store, VaultKey,
    testing,
};

use crate::process::{Role, spawn, wait_until_ready};
use crate::support::{commit, options, scratch};

fn put_block(store: &Store, seq: u64) {
    commit(store, |batch| store.feeds().put_block(batch, FeedNo(1), seq, b"\x01block"));
}

#[test]
fn reopening_right_after_the_last_clone_is_dropped_always_works() {
    let (_guard, path) = scratch();
    for round in 0..50 {
        let store = Store::open(&path, &options()).unwrap();
        assert_eq!(store.feeds().block(FeedNo(1), round).unwrap(), None);
        assert!(round == 0 || store.feeds().block(FeedNo(1), round - 1).unwrap().is_some());
        put_block(&store, round);
        let vault = store.keys().unlock(&VaultKey::from_key([1; 32])).unwrap();
        let other = store.clone();
        // The last clone may be dropped by any thread.
        thread::spawn(move || drop(other)).join().unwrap();
        drop(store);
        let busy = Store::open(&path, &options());
        assert!(matches!(busy, Err(Error::Busy { .. })), "the vault keeps its store open");
        drop(vault);
    }
}

#[test]
fn a_store_that_is_open_here_is_busy() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    match Store::open(&path, &options()) {
        Err(Error::Busy { path: busy }) => assert_eq!(busy, path),
        other => panic!("{other:?}"),
    }
    put_block(&store, 0);
}

#[test]
fn a_store_that_another_process_has_open_is_busy() {
    let (_guard, path) = scratch();
    let mut child = spawn(Role::Hold, &path);
    wait_until_ready(&mut child);
    let busy = Store::open(&path, &options());
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
    Store::open(&path, &options()).unwrap();
}

#[test]
fn a_busy_store_can_be_read() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    put_block(&store, 0);
    let reader = Store::open_read_only(&path, &options()).unwrap();
    put_block(&store, 1);
    assert!(reader.feeds().block(FeedNo(1), 0).unwrap().is_some());
    assert!(reader.feeds().block(FeedNo(1), 1).unwrap().is_none(), "it sees its opening's moment");
    let mut batch = Batch::new();
    reader.feeds().put_block(&mut batch, FeedNo(1), 2, b"\x01");
    assert!(matches!(reader.commit(batch, Durability::Buffered), Err(Error::ReadOnly)));
    assert_eq!(reader.poisoned(), None);
}

#[test]
fn a_store_that_is_not_there_is_not_created_by_those_who_expect_it() {
    let (_guard, path) = scratch();
    for opened in
        [Store::open_existing(&path, &options()), Store::open_read_only(&path, &options())]
    {
        assert!(matches!(opened, Err(Error::NotFound { .. })), "{opened:?}");
    }
    assert!(!path.exists());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (_guard, path) = scratch();
    drop(Store::open(&path, &options()).unwrap());
    fs::write(path.join("FORMAT"), format!("systole store, format {}\n", FORMAT + 1)).unwrap();
    let before = listing(&path);
    for opened in [
        Store::open(&path, &options()),
        Store::open_existing(&path, &options()),
        Store::open_read_only(&path, &options()),
    ] {
        match opened {
            Err(Error::NewerFormat { found, supported }) => {
                assert_eq!((found, supported), (FORMAT + 1, FORMAT));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(listing(&path), before);
}

#[test]
fn a_newer_format_is_refused_on_any_backend() {
    let memory = Arc::new(Memory::new());
    drop(Store::with_backend(Arc::clone(&memory) as _).unwrap());
    let mut batch = Batch::new();
    testing::put(&mut batch, Family::Meta, &[0x10], &[1, 9]);
    memory.write(&batch).unwrap();
    let refused = Store::with_backend(memory);
    assert!(matches!(refused, Err(Error::NewerFormat { found: 9, .. })), "{refused:?}");
}

#[test]
fn data_without_a_format_is_not_taken_over() {
    let memory = Memory::new();
    let mut batch = Batch::new();
    testing::put(&mut batch, Family::Log, b"someone's", b"data");
    memory.write(&batch).unwrap();
    let refused = Store::with_backend(Arc::new(memory));
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

#[test]
fn a_directory_that_holds_something_else_is_refused_and_left_alone() {
    let (guard, path) = scratch();
    type Fill = fn(&Path);
    let cases: [(&str, Fill); 4] = [
        ("notes", |path| fs::write(path.join("notes.txt"), "mine").unwrap()),
        ("format", |path| fs::write(path.join("FORMAT"), "A4").unwrap()),
        ("bytes", |path| fs::write(path.join("FORMAT"), [0xff; 100]).unwrap()),
        ("rocksdb", |path| drop(Rocks::open(path, &options()).unwrap())),
    ];
    for (name, fill) in cases {
        let path = guard.path().join(name);
        fs::create_dir(&path).unwrap();
        fill(&path);
        let before = listing(&path);
        let refused = Store::open(&path, &options());
        assert!(matches!(refused, Err(Error::NotAStore { .. })), "{name}: {refused:?}");
        assert_eq!(listing(&path), before, "{name}");
    }
    fs::write(&path, "a file").unwrap();
    assert!(matches!(Store::open(&path, &options()), Err(Error::NotAStore { .. })));
}

#[test]
fn an_unfinished_creation_is_completed() {
    let (_guard, path) = scratch();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("FORMAT.new"), "systo").unwrap();
    drop(Store::open(&path, &options()).unwrap());
    fs::remove_dir_all(path.join("database")).unwrap();
    fs::create_dir(path.join("database")).unwrap();
    let unfinished = Store::open_existing(&path, &options());
    assert!(matches!(unfinished, Err(Error::NotFound { .. })), "{unfinished:?}");
    put_block(&Store::open(&path, &options()).unwrap(), 0);
}

#[test]
fn a_device_key_made_before_the_store_is_no_obstacle() {
    let (_guard, path) = scratch();
    let key = VaultKey::device(&path).unwrap();
    let store = Store::open(&path, &options()).unwrap();
    store.keys().unlock(&key).unwrap();
}

#[test]
fn small_and_strange_options_work() {
    let (_guard, path) = scratch();
    let options = systole_store::Options {
        cache_bytes: 0,
        write_buffer_bytes: 0,
        open_files_max: 0,
        background_threads: 0,
    };
    let store = Store::open(&path, &options).unwrap();
    put_block(&store, 0);
    store.compact().unwrap();
    assert!(store.disk_bytes().unwrap() > 0);
    assert!(store.feeds().block(FeedNo(1), 0).unwrap().is_some());
}

fn listing(path: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        names.insert(format!("{:?} {}", entry.path(), entry.metadata().unwrap().len()));
        if entry.file_type().unwrap().is_dir() {
            names.extend(listing(&entry.path()));
        }
    }
    names
}
