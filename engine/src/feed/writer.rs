//! The one writer: a thread that owns every commit of an engine and groups them.
//!
//! Waking a thread costs more than a small buffered commit. So while nothing waits for the writer and it
//! is idle, whoever commits takes its seat and does it where it is.
//!
//! Invariants:
//! - whoever writes holds the seat, so there is one writer at any time;
//! - commits happen in the order in which their places in the queue were taken up, none is split,
//!   and whoever asks is answered after the commit, never before;
//! - a group is what was ready: the writer never waits to fill one;
//! - `unsynced` is set before anything is written and cleared only by a sync that succeeded, so
//!   nobody who can see data is told that it is synced when it is not;
//! - what has a place in the queue is committed or answered with an error, whether or not somebody
//!   still listens.
//!
//! A failed commit poisons the store, and the store answers every later one with the first reason.
//! A commit that panics does so too; the thread lives on to say so.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};

use crate::stages::{LiveStages, Stage};
use systole_store::{Batch, Durability, Store};
use tokio::sync::{mpsc, oneshot};

/// Batches that wait for the writer; whoever comes next waits for a place.
pub(crate) const GROUP_QUEUE_MAX: usize = 1024;
/// Batches of one group.
pub(crate) const GROUP_BATCHES_MAX: usize = 256;
/// Bytes after which a group takes no further batch. One batch may exceed it alone.
pub(crate) const GROUP_BYTES_MAX: usize = 4 << 20;

/// Bytes of a batch that is committed where it is asked for; a larger one keeps a thread of the runtime
/// from its other work.
pub(crate) const HERE_BYTES_MAX: usize = 64 << 10;

pub(crate) const THREAD_NAME: &str = "systole-writer";

/// The running writer. Dropping it without [`Writer::close`] lets the thread end once every handle
/// is gone.
#[derive(Debug)]
pub(crate) struct Writer {
    handle: WriterHandle,
    thread: JoinHandle<()>,
    /// The result of the last sync, sent when the store is released.
    ended: oneshot::Receiver<Result<(), systole_store::Error>>,
}

impl Writer {
    /// Starts the writer of `store`.
    pub(crate) fn spawn(store: Store) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(GROUP_QUEUE_MAX);
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared::new(store));
        let handle = WriterHandle { queue, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            let last = run(requests, &shared);
            // Whoever waits for the end may open the directory again at once.
            drop(shared.seat().take());
            // Nobody waits if the writer was dropped instead of closed.
            let _ = end.send(last);
        })?;
        Ok(Self { handle, thread, ended })
    }

    /// A handle for whoever commits.
    pub(crate) fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Gives out no more places, commits what is queued, waits for the places that are taken, syncs
    /// what is not synced, and ends the thread. Afterwards the writer holds the store no longer,
    /// and every handle answers [`WriterError::Closed`].
    pub(crate) async fn close(self) -> Result<(), WriterError> {
        // Fails only if the thread is gone already, which joining it tells.
        let _ = self.handle.queue.send(Request::Close).await;
        let last = self.ended.await;
        // It has nothing left to do but return, so this does not hold up the runtime.
        self.thread.join().map_err(|_| WriterError::Panicked)?;
        last.map_err(|_| WriterError::Panicked)?.map_err(WriterError::Store)
    }
}

/// A way to the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WriterHandle {
    queue: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

impl WriterHandle {
    /// Commits `batch`: all of it or nothing, as durable as asked or more.
    ///
    /// Dropping the future before there was a place in the queue commits nothing; dropping it later
    /// changes nothing, the batch is committed all the same. Who must know which of the two it was
    /// takes a place first.
    pub(crate) async fn commit(
        &self,
        batch: Batch,
        durability: Durability,
    ) -> Result<(), WriterError> {
        let batch = match durability {
            Durability::Buffered => match self.commit_here(batch) {
                Ok(committed) => return committed.map_err(WriterError::Store),
                Err(batch) => batch,
            },
            Durability::Synced => batch,
        };
        self.reserve().await?.commit(batch, durability).await
    }

    /// Commits a small batch on this thread, or gives it back where the writer is busy or others wait.
    fn commit_here(&self, batch: Batch) -> Result<Result<(), systole_store::Error>, Batch> {
        let others_wait = self.shared.waiting.load(Ordering::Acquire) > 0;
        if others_wait || self.queue.is_closed() || batch.bytes() > HERE_BYTES_MAX {
            return Err(batch);
        }
        let seat = match self.shared.seat.try_lock() {
            Ok(seat) => seat,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(batch),
        };
        match &*seat {
            Some(store) => Ok(commit(store, batch, false, 1, &self.shared)),
            None => Err(batch),
        }
    }

    /// A place in the queue, for those who change state of their own and must not be interrupted
    /// between that and the commit. Others wait for places, and closing the writer waits for those
    /// taken: use it soon.
    pub(crate) async fn reserve(&self) -> Result<Place, WriterError> {
        let waiting = Waiting::new(&self.shared);
        let permit = self.queue.clone().reserve_owned().await;
        permit.map(|permit| Place { permit, waiting }).map_err(|_| WriterError::Closed)
    }

    /// Makes everything that was visible in the store before this call survive a power failure.
    /// Returns at once if it does already.
    pub(crate) async fn make_synced(&self) -> Result<(), WriterError> {
        if !self.shared.unsynced.load(Ordering::Acquire) {
            return Ok(());
        }
        self.commit(Batch::new(), Durability::Synced).await
    }

    /// What the writer did so far.
    pub(crate) fn counters(&self) -> &WriterCounters {
        &self.shared.counters
    }
}

/// A place in the writer's queue.
#[derive(Debug)]
pub(crate) struct Place {
    permit: mpsc::OwnedPermit<Request>,
    waiting: Waiting,
}

impl Place {
    /// Hands `batch` over at once; the future only tells how it went. Dropping it changes nothing.
    pub(crate) fn commit(
        self,
        batch: Batch,
        durability: Durability,
    ) -> impl Future<Output = Result<(), WriterError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let commit = Commit { batch, durability, answer, waiting: self.waiting };
        self.permit.send(Request::Commit(commit));
        async move {
            // Unanswered means that the writer was gone before it came to this batch.
            answered.await.map_err(|_| WriterError::Closed)?.map_err(WriterError::Store)
        }
    }
}

/// What the writer did, for the engine's signs of life.
#[derive(Debug, Default)]
pub(crate) struct WriterCounters {
    /// Groups committed.
    pub(crate) groups: AtomicU64,
    /// Batches in them.
    pub(crate) batches: AtomicU64,
    /// Bytes of keys and values in them.
    pub(crate) bytes: AtomicU64,
    /// Syncs among them, and those asked for on their own.
    pub(crate) syncs: AtomicU64,
    /// What committing took.
    pub(crate) stages: LiveStages,
}

/// Why a batch was not committed.
#[derive(Clone, Debug)]
pub(crate) enum WriterError {
    /// The writer was closed, or its thread is gone. What was asked was not done.
    Closed,
    /// The writer's thread panicked. What the store holds is known when it is opened again.
    Panicked,
    /// The store refused or failed; everybody in the group gets the same error.
    Store(systole_store::Error),
}

impl fmt::Display for WriterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the writer is closed"),
            Self::Panicked => f.write_str("the writer's thread panicked"),
            Self::Store(_) => f.write_str("the store did not commit"),
        }
    }
}

impl std::error::Error for WriterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed | Self::Panicked => None,
            Self::Store(error) => Some(error),
        }
    }
}

#[derive(Debug)]
struct Shared {
    /// Held by whoever writes. Empty once the writer has ended.
    seat: Mutex<Option<Store>>,
    /// How many want to commit through the queue, or are about to.
    waiting: AtomicUsize,
    /// Whether the store may hold something that a power failure would take.
    unsynced: AtomicBool,
    counters: WriterCounters,
}

impl Shared {
    fn new(store: Store) -> Self {
        // What an earlier process wrote before it died may never have been synced.
        let (unsynced, counters) = (AtomicBool::new(true), WriterCounters::default());
        let (seat, waiting) = (Mutex::new(Some(store)), AtomicUsize::new(0));
        Self { seat, waiting, unsynced, counters }
    }

    /// A commit's panic is caught, and the store says what became of it.
    fn seat(&self) -> MutexGuard<'_, Option<Store>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
enum Request {
    Commit(Commit),
    Close,
}

#[derive(Debug)]
struct Commit {
    batch: Batch,
    durability: Durability,
    answer: oneshot::Sender<Result<(), systole_store::Error>>,
    waiting: Waiting,
}

/// Somebody's wish to commit, until it is done or given up.
#[derive(Debug)]
struct Waiting(Arc<Shared>);

impl Waiting {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.waiting.fetch_add(1, Ordering::AcqRel);
        Self(shared.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The writer's life: take what is ready, commit it as one, answer everybody.
fn run(mut requests: mpsc::Receiver<Request>, shared: &Shared) -> Result<(), systole_store::Error> {
    while let Some(first) = requests.blocking_recv() {
        let mut group = Group::default();
        let mut ready = Some(first);
        while let Some(request) = ready {
            match request {
                Request::Commit(commit) => group.add(commit),
                // No new places; those that are taken still get what they stand for.
                Request::Close => requests.close(),
            }
            ready = if group.is_full() { None } else { requests.try_recv().ok() };
        }
        group.commit(shared);
    }
    // From here nobody can take the seat and write behind the last sync.
    let store = shared.seat().take().expect("emptied when this thread ends");
    // Who wrote nothing leaves nothing behind; the store may not even be writable.
    if shared.counters.groups.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    write(&store, Batch::new(), true, shared)?;
    store.flush()
}

/// Batches that become one.
#[derive(Default)]
struct Group {
    batch: Batch,
    synced: bool,
    answers: Vec<oneshot::Sender<Result<(), systole_store::Error>>>,
    waiting: Vec<Waiting>,
}

impl Group {
    fn add(&mut self, commit: Commit) {
        self.batch.append(commit.batch);
        self.synced |= commit.durability == Durability::Synced;
        self.answers.push(commit.answer);
        self.waiting.push(commit.waiting);
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= GROUP_BATCHES_MAX || self.batch.bytes() >= GROUP_BYTES_MAX
    }

    fn commit(self, shared: &Shared) {
        if self.answers.is_empty() {
            return;
        }
        let seat = shared.seat();
        let store = seat.as_ref().expect("emptied when this thread ends");
        let result = commit(store, self.batch, self.synced, self.answers.len() as u64, shared);
        // Before the answers: whoever has one finds the writer idle.
        drop((seat, self.waiting));
        for answer in self.answers {
            // Whoever stopped listening gave up the answer, not the commit.
            let _ = answer.send(result.clone());
        }
    }
}

/// Commits what was asked for in `batches` parts.
fn commit(
    store: &Store,
    batch: Batch,
    synced: bool,
    batches: u64,
    shared: &Shared,
) -> Result<(), systole_store::Error> {
    let counters = &shared.counters;
    counters.groups.fetch_add(1, Ordering::Relaxed);
    counters.batches.fetch_add(batches, Ordering::Relaxed);
    counters.bytes.fetch_add(batch.bytes() as u64, Ordering::Relaxed);
    let write = AssertUnwindSafe(|| write(store, batch, synced, shared));
    let mut watch = counters.stages.watch();
    let committed = catch_unwind(write).unwrap_or_else(|_| {
        // It panicked while it held its turn to write, so the store refuses whatever comes next.
        Err(systole_store::Error::Poisoned { reason: "a commit panicked".to_owned() })
    });
    watch.lap(Stage::Commit, batches);
    committed
}

fn write(
    store: &Store,
    batch: Batch,
    synced: bool,
    shared: &Shared,
) -> Result<(), systole_store::Error> {
    if !batch.is_empty() {
        shared.unsynced.store(true, Ordering::Release);
    }
    if !synced {
        return store.commit(batch, Durability::Buffered);
    }
    // Several may have asked to sync the same thing, one group after the other.
    if shared.unsynced.load(Ordering::Acquire) {
        shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        store.commit(batch, Durability::Synced)?;
        shared.unsynced.store(false, Ordering::Release);
    }
    Ok(())
}
