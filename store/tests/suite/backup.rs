//! Backups of stores that are written to meanwhile, from inside and from outside, hold one moment whole.
//!
//! Planted and caught: the last log left out; FORMAT written first. What only one interleaving in many
//! shows is planted in the unit tests beside the code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use systole_store::{
    Batch, Durability, Error, Family, FeedNo, FeedPosition, Memory, Options, Staged, Store,
    VaultKey,
};

use crate::support::{commit, item_key, options, scratch};

const FEED: FeedNo = FeedNo(1);
/// Items that are written in turn, beside the one that always is.
const ITEMS: u64 = 64;

/// Slots that blocks are written to in turn, so that there is much to compact and little to check.
const SLOTS: u64 = 128;

/// Writes block after block, each with the position and a state that go with it, as fast as it can, some
/// of them synced.
struct Busy {
    /// Number of blocks that are acknowledged.
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Busy {
    fn on(store: Store) -> Self {
        let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (acknowledging, stopped) = (acknowledged.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut seq = store.meta().position(FEED).unwrap().map_or(0, |at| at.length);
            while !stopped.load(SeqCst) {
                let mut batch = Batch::new();
                write(&store, &mut batch, seq);
                let is_synced = seq.is_multiple_of(16);
                let durability = if is_synced { Durability::Synced } else { Durability::Buffered };
                store.commit(batch, durability).unwrap();
                seq += 1;
                acknowledging.store(seq, SeqCst);
            }
        });
        let busy = Self { acknowledged, stop, thread: Some(thread) };
        busy.await_more(1);
        busy
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(SeqCst)
    }

    /// Waits until so many more blocks are acknowledged.
    fn await_more(&self, blocks: u64) {
        let enough = self.acknowledged() + blocks;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.acknowledged() < enough {
            assert!(Instant::now() < deadline, "the writer stands still");
            thread::yield_now();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// Block `seq` and what goes with it, in four families.
fn write(store: &Store, batch: &mut Batch, seq: u64) {
    store.feeds().put_block(batch, FEED, seq % SLOTS, &noise(seq, 4 << 10));
    let position = FeedPosition { length: seq + 1, processed: seq, ..FeedPosition::default() };
    store.meta().put_position(batch, FEED, &position);
    // Every tenth goes to a blob file.
    let bytes = if seq.is_multiple_of(10) { 80 << 10 } else { 1 << 10 };
    store.items().put_checkpoint(batch, item_key(1, 0), seq, &noise(seq, bytes));
    store.items().put_checkpoint(batch, item_key(1, 1 + seq % ITEMS), seq, &noise(seq, 1 << 10));
}

/// Noise, which no codec shrinks.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// How many blocks a store holds, which must be what one moment of [`Busy`] leaves.
fn moment_of(path: &Path) -> u64 {
    let (store, obstacle) = Store::open_to_inspect(path, &options()).unwrap();
    assert!(obstacle.is_none(), "{obstacle:?}");
    let length = store.meta().position(FEED).unwrap().map_or(0, |at| at.length);
    assert_eq!(store.read_all(Family::Block).unwrap(), length.min(SLOTS));
    let last = length - 1;
    for seq in last.saturating_sub(SLOTS - 1)..=last {
        let block = store.feeds().block(FEED, seq % SLOTS).unwrap().unwrap();
        assert_eq!(block, noise(seq, 4 << 10), "block {seq} of {length}");
    }
    for seq in last.saturating_sub(ITEMS - 1)..=last {
        let item = item_key(1, 1 + seq % ITEMS);
        assert_eq!(store.items().checkpoint(item).unwrap().unwrap().0, seq);
    }
    assert_eq!(store.items().checkpoint(item_key(1, 0)).unwrap().unwrap().0, last);
    length
}

/// A small write buffer, so that tables are made and merged all the time.
fn restless() -> Options {
    Options { write_buffer_bytes: 1 << 20, cache_bytes: 8 << 20, ..Options::default() }
}

#[test]
fn a_store_copied_from_outside_while_it_is_written_to_is_whole() {
    let (guard, path) = scratch();
    let busy = Busy::on(Store::open(&path, &restless()).unwrap());
    for n in 0..20 {
        busy.await_more(200);
        let before = busy.acknowledged();
        let to = guard.path().join(format!("backup {n}"));
        let staged = Staged::beside(&path, &to).unwrap();
        staged.check(&options()).unwrap();
        staged.finish().unwrap();
        let held = moment_of(&to);
        assert!(held >= before, "backup {n} holds {held} of {before}");
        fs::remove_dir_all(&to).unwrap();
    }
}

#[test]
fn a_store_that_is_opened_and_closed_all_the_time_can_be_copied() {
    let (guard, path) = scratch();
    drop(Busy::on(Store::open(&path, &restless()).unwrap()));
    let stop = Arc::new(AtomicBool::new(false));
    let (reopened, stopped) = (path.clone(), stop.clone());
    let owner = thread::spawn(move || {
        while !stopped.load(SeqCst) {
            let busy = Busy::on(Store::open(&reopened, &restless()).unwrap());
            busy.await_more(200);
        }
    });
    for n in 0..20 {
        let to = guard.path().join(format!("backup {n}"));
        let staged = Staged::beside(&path, &to).unwrap();
        staged.check(&options()).unwrap();
        staged.finish().unwrap();
        moment_of(&to);
        fs::remove_dir_all(&to).unwrap();
    }
    stop.store(true, SeqCst);
    owner.join().unwrap();
}

#[test]
fn a_store_backs_itself_up_while_it_is_written_to() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &restless()).unwrap();
    let busy = Busy::on(store.clone());
    for n in 0..20 {
        busy.await_more(200);
        let before = busy.acknowledged();
        let to = guard.path().join(format!("backup {n}"));
        store.backup(&to).unwrap();
        let held = moment_of(&to);
        assert!(held >= before, "backup {n} holds {held} of {before}");
    }
}

#[test]
fn what_was_committed_without_sync_is_in_a_backup() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    let mut batch = Batch::new();
    write(&store, &mut batch, 0);
    store.commit(batch, Durability::Buffered).unwrap();
    let (inside, outside) = (guard.path().join("inside"), guard.path().join("outside"));
    store.backup(&inside).unwrap();
    Staged::beside(&path, &outside).unwrap().finish().unwrap();
    assert_eq!((moment_of(&inside), moment_of(&outside)), (1, 1));
}

#[test]
fn a_backup_is_a_copy_and_holds_the_device_key_for_its_owner_alone() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    let key = VaultKey::device(&path).unwrap();
    let vault = store.keys().unlock(&key).unwrap();
    commit(&store, |batch| vault.put(batch, &[3; 32], &[4; 32]).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let (inside, outside) = (guard.path().join("inside"), guard.path().join("some/where"));
    store.backup(&inside).unwrap();
    Staged::beside(&path, &outside).unwrap().finish().unwrap();
    for backup in [inside, outside] {
        assert!(!backup.join("database/PLACE").exists());
        assert_eq!(mode(&backup), 0o700);
        assert_eq!(mode(&backup.join("device.key")), 0o600);
        let restored = Store::open(&backup, &options()).unwrap();
        assert!(restored.is_copy());
        let vault = restored.keys().unlock(&VaultKey::device(&backup).unwrap()).unwrap();
        assert_eq!(**vault.secret(&[3; 32]).unwrap().as_ref().unwrap(), [4; 32]);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_not_finished_is_no_store_and_goes_away() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    commit(&store, |batch| write(&store, batch, 0));
    VaultKey::device(&path).unwrap();
    let (to, empty) = (guard.path().join("to"), guard.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    let partial = guard.path().join("to.partial");
    let unfinished = [
        (Staged::beside(&path, &to).unwrap(), partial.clone(), false),
        (Staged::within(&path, &empty).unwrap(), empty.clone(), true),
        (Staged::within(&path, &to).unwrap(), to.clone(), false),
    ];
    for (staged, at, stays) in unfinished {
        assert!(at.join("database/CURRENT").exists());
        let opened = Store::open(&at, &options());
        assert!(matches!(opened, Err(Error::NotAStore { .. })), "{opened:?}");
        drop(staged);
        assert_eq!(at.exists(), stays, "{}", at.display());
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_over() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    let there = |name: &str| -> PathBuf {
        let there = guard.path().join(name);
        fs::create_dir_all(&there).unwrap();
        there
    };
    let refused = |outcome: Result<(), Error>, path: &Path| match outcome {
        Err(Error::Exists { path: found }) => assert_eq!(found, path),
        other => panic!("{other:?}"),
    };
    let empty = there("empty");
    refused(store.backup(&empty), &empty);
    refused(Staged::beside(&path, &empty).map(drop), &empty);
    let partial = there("left.partial");
    let left = guard.path().join("left");
    refused(store.backup(&left), &partial);
    refused(Staged::beside(&path, &left).map(drop), &partial);
    assert!(partial.exists() && !left.exists());
    let full = there("full");
    fs::write(full.join("notes"), "mine").unwrap();
    refused(Staged::within(&path, &full).map(drop), &full);
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let raced = guard.path().join("raced");
    let staged = Staged::beside(&path, &raced).unwrap();
    fs::create_dir(&raced).unwrap();
    refused(staged.finish(), &raced);
}

#[test]
fn what_is_no_store_or_cannot_be_copied_is_refused() {
    let (guard, path) = scratch();
    let to = guard.path().join("to");
    let absent = Staged::beside(&path, &to);
    assert!(matches!(absent, Err(Error::NotFound { .. })), "{absent:?}");
    let other = Staged::beside(guard.path(), &to);
    assert!(matches!(other, Err(Error::NotFound { .. } | Error::NotAStore { .. })), "{other:?}");
    let memory = Store::with_backend(Arc::new(Memory::new())).unwrap();
    assert!(matches!(memory.backup(&to), Err(Error::Unsupported { .. })));
    let store = Store::open(&path, &options()).unwrap();
    commit(&store, |batch| write(&store, batch, 0));
    drop(store);
    fs::write(path.join("database/CURRENT"), "../../elsewhere\n").unwrap();
    let damaged = Staged::beside(&path, &to);
    assert!(matches!(damaged, Err(Error::Corrupt { .. })), "{damaged:?}");
    assert_eq!(fs::read_dir(guard.path()).unwrap().count(), 1, "nothing is left of the attempts");
}

#[test]
fn damage_shows_when_the_copy_is_checked() {
    let (guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    for seq in 0..300 {
        commit(&store, |batch| write(&store, batch, seq));
    }
    store.compact().unwrap();
    drop(store);
    let tables = fs::read_dir(path.join("database")).unwrap().map(|entry| entry.unwrap().path());
    let table = tables
        .filter(|path| path.extension().is_some_and(|kind| kind == "sst"))
        .max_by_key(|path| fs::metadata(path).unwrap().len());
    let table = table.unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&table, bytes).unwrap();
    let staged = Staged::beside(&path, &guard.path().join("to")).unwrap();
    let checked = staged.check(&options());
    assert!(matches!(checked, Err(Error::Backend { .. })), "{checked:?}");
}
