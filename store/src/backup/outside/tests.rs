//! Whatever the owner does between any two steps of a copy, the copy is what one moment left.
//!
//! Planted and caught: neither MANIFEST nor CURRENT compared at the end of the moment; tables copied
//! once and never again though they grew; the last log left out; logs copied to their end, not to the
//! length that was noted.

use tempfile::TempDir;

use super::*;
use crate::batch::Batch;
use crate::family::Family;
use crate::numbers::{FeedNo, ItemKey};
use crate::options::Options;
use crate::store::{Durability, Store};

const FEED: FeedNo = FeedNo(1);

/// A block and the state that goes with it, in two families.
fn write(store: &Store, seq: u64) {
    let mut batch = Batch::new();
    store.feeds().put_block(&mut batch, FEED, seq, &[1; 100]);
    store.items().put_checkpoint(&mut batch, ItemKey { feed: FEED, seq: 0 }, seq, &[2; 80 << 10]);
    store.commit(batch, Durability::Synced).unwrap();
}

/// How many blocks a copy holds, with the state that goes with them.
fn held(database: &Path) -> u64 {
    let backend = crate::backend::rocks::Rocks::open_strictly(database, &Options::default());
    let store = Store::with_backend(std::sync::Arc::new(backend.unwrap())).unwrap();
    for family in Family::ALL {
        store.read_all(family).unwrap();
    }
    let blocks = store.read_all(Family::Block).unwrap();
    assert!((0..blocks).all(|seq| store.feeds().block(FEED, seq).unwrap().is_some()));
    let state = store.items().checkpoint(ItemKey { feed: FEED, seq: 0 }).unwrap();
    assert_eq!(state.unwrap().0, blocks - 1, "both or neither");
    blocks
}

/// Copies a store whose owner acts at the steps that `acts` names, and returns how many steps there were.
fn copy_while(acts: impl Fn(usize) -> bool, act: impl Fn(&mut Option<Store>, &Path, u64)) -> usize {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut store = Some(Store::open(&path, &Options::default()).unwrap());
    for seq in 0..3 {
        write(store.as_ref().unwrap(), seq);
        if seq == 1 {
            store.as_ref().unwrap().compact().unwrap();
        }
    }
    let (mut step, mut seq) = (0, 3);
    let copied = folder.path().join("copied");
    let mut other = || {
        if acts(step) {
            act(&mut store, &path, seq);
            seq += 1;
        }
        step += 1;
    };
    copy_beside(&path.join("database"), &copied, &mut other).unwrap();
    assert!(held(&copied) >= 3, "what was there before the copy began is in it");
    step
}

type Act = fn(&mut Option<Store>, &Path, u64);

/// Writes, and makes of what is in the log a table.
const FLUSH: Act = |store, _, seq| {
    let store = store.as_ref().unwrap();
    write(store, seq);
    store.compact().unwrap();
};

const WRITE: Act = |store, _, seq| write(store.as_ref().unwrap(), seq);

const REOPEN: Act = |store, path, seq| {
    write(store.as_ref().unwrap(), seq);
    *store = None;
    *store = Some(Store::open(path, &Options::default()).unwrap());
};

#[test]
fn a_change_at_any_single_step_does_no_harm() {
    for act in [FLUSH, WRITE, REOPEN] {
        let steps = copy_while(|_| false, act);
        assert!(steps >= 8);
        for at in 0..steps {
            copy_while(|step| step == at, act);
        }
    }
}

#[test]
fn changes_at_every_step_for_a_while_do_no_harm() {
    for act in [FLUSH, WRITE, REOPEN] {
        copy_while(|step| step < 20, act);
    }
}

#[test]
fn a_store_that_changes_at_every_moment_is_given_up_after_many() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("database");
    files(&database, &[("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", "")]);
    let mut other = || append(&database.join("MANIFEST-000001"));
    let given_up = copy_beside(&database, &folder.path().join("copied"), &mut other);
    assert!(matches!(given_up, Err(Error::Restless { .. })), "{given_up:?}");
}

#[test]
fn a_table_that_was_copied_before_it_was_complete_is_copied_again() {
    let folder = TempDir::new().unwrap();
    let (database, copied) = (folder.path().join("database"), folder.path().join("copied"));
    let table = "000007.sst";
    let whole = [("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", ""), (table, "half")];
    files(&database, &whole);
    let mut step = 0;
    let mut other = || {
        step += 1;
        // The table is copied between the second and the third.
        if step == 3 {
            append(&database.join(table));
            append(&database.join("MANIFEST-000001"));
        }
    };
    copy_beside(&database, &copied, &mut other).unwrap();
    for (name, _) in whole {
        let of = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert_eq!(of(&copied), of(&database), "{name}");
    }
}

#[test]
fn a_log_is_copied_up_to_its_length_at_the_moment() {
    let folder = TempDir::new().unwrap();
    let (database, copied) = (folder.path().join("database"), folder.path().join("copied"));
    files(
        &database,
        &[("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", ""), ("000003.log", "")],
    );
    let log = database.join("000003.log");
    let mut lengths = Vec::new();
    let mut other = || {
        append(&log);
        lengths.push(fs::metadata(&log).unwrap().len());
    };
    copy_beside(&database, &copied, &mut other).unwrap();
    // The last step is behind the moment, the one before it behind the log's opening.
    let length = fs::metadata(copied.join("000003.log")).unwrap().len();
    assert_eq!(length, lengths[lengths.len() - 3]);
}

fn files(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir(folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
}

fn append(path: &Path) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}
