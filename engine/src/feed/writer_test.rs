//! Group commit: few groups, right answers, nothing lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use systole_store::{Backend, Batch, Durability, Error, Family, FeedNo, Memory, Store, Visit};

use super::writer::{GROUP_BATCHES_MAX, GROUP_BYTES_MAX, HERE_BYTES_MAX, THREAD_NAME};
use super::{Writer, WriterError, WriterHandle};

const FEED: FeedNo = FeedNo(1);

/// Memory whose writes wait while the gate is shut, and whose syncs can fail.
#[derive(Default)]
struct Gated {
    memory: Memory,
    shut: Mutex<bool>,
    opened: Condvar,
    sync_fails: AtomicBool,
    write_panics: AtomicBool,
    /// Whether the last write was done by the writer's own thread.
    by_writer: AtomicBool,
}

impl Gated {
    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Backend for Gated {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.memory.get(family, key)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.memory.multi_get(family, keys)
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        self.memory.scan(family, from, to, visit)
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.memory.scan_back(family, from, to, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
        let by_writer = std::thread::current().name() == Some(THREAD_NAME);
        self.by_writer.store(by_writer, Ordering::SeqCst);
        assert!(!self.write_panics.load(Ordering::SeqCst), "the test asked for it");
        self.memory.write(batch)
    }

    fn sync(&self) -> Result<(), Error> {
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(Error::Backend { action: "sync", reason: "the disk is gone".to_owned() });
        }
        self.memory.sync()
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.memory.disk_bytes()
    }
}

struct Bench {
    backend: Arc<Gated>,
    store: Store,
    writer: Writer,
}

impl Bench {
    fn new() -> Self {
        let backend = Arc::new(Gated::default());
        let store = Store::with_backend(backend.clone()).unwrap();
        let writer = Writer::spawn(store.clone()).unwrap();
        Self { backend, store, writer }
    }

    /// A batch that stores block `seq`.
    fn batch(&self, seq: u64, bytes: usize) -> Batch {
        let mut batch = Batch::new();
        self.store.feeds().put_block(&mut batch, FEED, seq, &vec![1; bytes]);
        batch
    }

    fn has(&self, seq: u64) -> bool {
        self.store.feeds().block(FEED, seq).unwrap().is_some()
    }

    /// Queues `count` batches behind one that the gate holds, and answers them all.
    async fn pile_up(&self, count: u64, bytes: usize, durability: Durability) {
        self.backend.shut(true);
        let handle = self.writer.handle();
        let mut answers = Vec::new();
        for seq in 0..=count {
            let place = handle.reserve().await.unwrap();
            answers.push(place.commit(self.batch(seq, bytes), durability));
        }
        self.backend.shut(false);
        for answer in answers {
            answer.await.unwrap();
        }
        assert!((0..=count).all(|seq| self.has(seq)));
    }
}

fn groups(handle: &WriterHandle) -> u64 {
    handle.counters().groups.load(Ordering::Relaxed)
}

fn syncs(handle: &WriterHandle) -> u64 {
    handle.counters().syncs.load(Ordering::Relaxed)
}

#[tokio::test]
async fn concurrent_commits_share_groups_and_syncs() {
    let bench = Bench::new();
    bench.pile_up(64, 100, Durability::Synced).await;
    let handle = bench.writer.handle();
    // The group that the gate held may have been the first batch alone or with some of the others.
    assert!(groups(&handle) <= 2, "{} groups", groups(&handle));
    assert_eq!(syncs(&handle), groups(&handle));
    assert_eq!(handle.counters().batches.load(Ordering::Relaxed), 65);
    assert!(handle.counters().bytes.load(Ordering::Relaxed) > 65 * 100);
    assert_eq!(bench.backend.memory.unsynced_batches(), 0);
}

#[tokio::test]
async fn a_group_is_bounded_in_batches_and_bytes() {
    let bench = Bench::new();
    bench.pile_up(3 * GROUP_BATCHES_MAX as u64, 10, Durability::Buffered).await;
    let handle = bench.writer.handle();
    assert_eq!(groups(&handle), 4);
    let before = groups(&handle);
    bench.pile_up(6, GROUP_BYTES_MAX / 2, Durability::Buffered).await;
    assert_eq!(groups(&handle) - before, 4);
}

#[tokio::test]
async fn a_group_is_as_durable_as_its_most_careful_caller_asks() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    handle.commit(bench.batch(0, 10), Durability::Buffered).await.unwrap();
    assert_eq!((syncs(&handle), bench.backend.memory.unsynced_batches()), (0, 1));
    handle.commit(bench.batch(1, 10), Durability::Synced).await.unwrap();
    assert_eq!((syncs(&handle), bench.backend.memory.unsynced_batches()), (1, 0));
}

#[tokio::test]
async fn a_small_buffered_commit_is_done_where_it_is_asked_for() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    for (seq, bytes, durability, by_writer) in [
        (0, 10, Durability::Buffered, false),
        (1, HERE_BYTES_MAX, Durability::Buffered, true),
        (2, 10, Durability::Synced, true),
        (3, 10, Durability::Buffered, false),
    ] {
        handle.commit(bench.batch(seq, bytes), durability).await.unwrap();
        assert!(bench.has(seq));
        assert_eq!(bench.backend.by_writer.load(Ordering::SeqCst), by_writer, "batch {seq}");
    }
    // It counts as any other: whoever asks for a sync gets one.
    assert_eq!((groups(&handle), bench.backend.memory.unsynced_batches()), (4, 1));
    handle.make_synced().await.unwrap();
    assert_eq!(bench.backend.memory.unsynced_batches(), 0);
}

#[tokio::test]
async fn nothing_overtakes_a_place_that_is_taken() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    let place = handle.reserve().await.unwrap();
    handle.commit(bench.batch(0, 10), Durability::Buffered).await.unwrap();
    assert!(bench.backend.by_writer.load(Ordering::SeqCst), "it went through the queue");
    place.commit(bench.batch(1, 10), Durability::Buffered).await.unwrap();
    drop(handle.reserve().await.unwrap());
    handle.commit(bench.batch(2, 10), Durability::Buffered).await.unwrap();
    assert!(!bench.backend.by_writer.load(Ordering::SeqCst), "nobody waits any more");
}

#[tokio::test]
async fn make_synced_syncs_once_for_what_was_written() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    // An earlier process may have left something unsynced.
    handle.make_synced().await.unwrap();
    assert_eq!(syncs(&handle), 1);
    handle.make_synced().await.unwrap();
    assert_eq!(syncs(&handle), 1);
    handle.commit(bench.batch(0, 10), Durability::Buffered).await.unwrap();
    for _ in 0..3 {
        handle.make_synced().await.unwrap();
        assert_eq!(syncs(&handle), 2);
        assert_eq!(bench.backend.memory.unsynced_batches(), 0);
    }
}

#[tokio::test]
async fn a_failed_sync_answers_the_group_and_everybody_after_it() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    bench.backend.shut(true);
    bench.backend.sync_fails.store(true, Ordering::SeqCst);
    let mut answers = Vec::new();
    for seq in 0..9 {
        let place = handle.reserve().await.unwrap();
        answers.push(place.commit(bench.batch(seq, 10), Durability::Synced));
    }
    bench.backend.shut(false);
    for answer in answers {
        assert!(matches!(answer.await, Err(WriterError::Store(_))));
    }
    bench.backend.sync_fails.store(false, Ordering::SeqCst);
    let reason = bench.store.poisoned().unwrap();
    assert!(reason.contains("the disk is gone"));
    let later = handle.commit(bench.batch(10, 10), Durability::Buffered).await;
    let Err(WriterError::Store(Error::Poisoned { reason: told })) = later else {
        panic!("a poisoned store took a commit: {later:?}");
    };
    assert_eq!(told, reason);
    assert!(!bench.has(10));
    assert!(handle.make_synced().await.is_err());
    assert!(matches!(bench.writer.close().await, Err(WriterError::Store(_))));
}

#[tokio::test]
async fn a_commit_that_panics_is_answered_and_poisons_the_store() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    bench.backend.write_panics.store(true, Ordering::SeqCst);
    for seq in 0..2 {
        let result = handle.commit(bench.batch(seq, 10), Durability::Buffered).await;
        assert!(matches!(result, Err(WriterError::Store(Error::Poisoned { .. }))), "{result:?}");
        bench.backend.write_panics.store(false, Ordering::SeqCst);
    }
    assert!(bench.writer.close().await.is_err());
}

#[tokio::test]
async fn a_caller_that_gives_up_loses_no_commit() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    bench.backend.shut(true);
    drop(handle.reserve().await.unwrap().commit(bench.batch(0, 10), Durability::Buffered));
    {
        let commit = handle.commit(bench.batch(1, 10), Durability::Buffered);
        let once = tokio::time::timeout(std::time::Duration::ZERO, commit).await;
        assert!(once.is_err(), "the gate is shut");
    }
    bench.backend.shut(false);
    handle.commit(bench.batch(2, 10), Durability::Buffered).await.unwrap();
    assert!((0..3).all(|seq| bench.has(seq)));
}

#[tokio::test]
async fn closing_commits_and_syncs_what_was_asked_for() {
    let bench = Bench::new();
    let handle = bench.writer.handle();
    let place = handle.reserve().await.unwrap();
    bench.backend.shut(true);
    let mut answers = Vec::new();
    for seq in 0..40 {
        let place = handle.reserve().await.unwrap();
        answers.push(place.commit(bench.batch(seq, 10), Durability::Buffered));
    }
    let batch = bench.batch(40, 10);
    let Bench { backend, store, writer } = bench;
    let closing = tokio::spawn(writer.close());
    backend.shut(false);
    for answer in answers {
        answer.await.unwrap();
    }
    // A place that was taken before is honoured.
    place.commit(batch, Durability::Buffered).await.unwrap();
    closing.await.unwrap().unwrap();
    assert!((0..=40).all(|seq| store.feeds().block(FEED, seq).unwrap().is_some()));
    assert_eq!(backend.memory.unsynced_batches(), 0);
    let later = handle.commit(Batch::new(), Durability::Buffered).await;
    assert!(matches!(later, Err(WriterError::Closed)));
}

#[tokio::test]
async fn a_closed_writer_has_let_go_of_its_store() {
    let Bench { backend, store, writer } = Bench::new();
    let handle = writer.handle();
    writer.close().await.unwrap();
    drop(store);
    assert_eq!(Arc::strong_count(&backend), 1);
    assert_eq!(groups(&handle), 0);
}
