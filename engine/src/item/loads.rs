//! Loading items on a few threads of the engine's own.
//!
//! Invariants:
//! - there are at most [`LOADS_AT_ONCE_MAX`] threads, and one more for each while it loads more than a
//!   little, however many items are to be loaded; they end with the engine;
//! - loads begin in the order in which they were asked for; those that wait when a thread is free are
//!   loaded together;
//! - a load that panics breaks its own item alone.
//!
//! A runtime's pool for blocking work starts another thread whenever none is idle at that very moment,
//! and under steady work none is ever idle for long enough to end: it grows, and with it the memory that
//! threads keep for themselves.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use systole_store::ItemKey;
use tokio::sync::oneshot;

use super::state::ItemState;
use crate::Error;
use crate::settings::{LOADED_TOGETHER_MAX, LOADS_AT_ONCE_MAX};
use crate::snapshot::{Loader, Tail, load_together};

/// An item, and what was read of its log.
type Loaded = Result<(ItemState, Tail), Error>;

/// An item that is being loaded.
pub(crate) type Loading = oneshot::Receiver<Loaded>;

/// Waits for an item.
pub(crate) async fn loaded(loading: Loading) -> Loaded {
    loading.await.map_err(|_| Error::internal("loading an item failed"))?
}

/// The threads that load items.
pub(crate) struct Loads {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<(Loader, oneshot::Sender<Loaded>)>,
    closed: bool,
}

impl Loads {
    /// Starts the threads: no more than there are cores, for a load is work rather than waiting.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let loads = Self { queue: Arc::default() };
        for _ in 0..cores.min(LOADS_AT_ONCE_MAX) {
            let queue = loads.queue.clone();
            let thread = std::thread::Builder::new().name("systole-load".to_owned());
            thread.spawn(move || queue.work())?;
        }
        Ok(loads)
    }

    /// Loads an item when its turn comes.
    pub(crate) async fn load(&self, loader: Loader) -> Loaded {
        let loading = self.request([loader]).pop().expect("one was asked for");
        loaded(loading).await
    }

    /// Asks for items that are to be loaded together; the answers ([`loaded`]) in the same order.
    pub(crate) fn request(&self, loaders: impl IntoIterator<Item = Loader>) -> Vec<Loading> {
        let mut answers = Vec::new();
        let requests = loaders.into_iter().map(|loader| {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            (loader, reply)
        });
        self.queue.lock().requests.extend(requests);
        self.queue.changed.notify_one();
        answers
    }
}

impl Drop for Loads {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl std::fmt::Debug for Loads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loads").finish_non_exhaustive()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads until nobody can ask for more.
    fn work(&self) {
        loop {
            let mut waiting = self.lock();
            while waiting.requests.is_empty() {
                if waiting.closed {
                    return;
                }
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let together = group_length(waiting.requests.iter().map(|(loader, _)| loader.key()));
            let group: Vec<_> = waiting.requests.drain(..together).collect();
            drop(waiting);
            load_group(group);
        }
    }
}

/// How many of these items are loaded together: up to the bound, and each item once. One that left memory
/// while it waited may be asked for again.
fn group_length(items: impl Iterator<Item = ItemKey>) -> usize {
    let mut group = BTreeSet::new();
    items.take(LOADED_TOGETHER_MAX).take_while(|item| group.insert(*item)).count()
}

fn load_group(group: Vec<(Loader, oneshot::Sender<Loaded>)>) {
    let (loaders, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let Ok(loaded) = catch_unwind(AssertUnwindSafe(|| load_together(&loaders))) else {
        for (loader, reply) in loaders.into_iter().zip(replies) {
            // A reply that is dropped by a panic is how its asker learns of it.
            drop(catch_unwind(AssertUnwindSafe(move || {
                let loaded = loader.load();
                drop(loader);
                drop(reply.send(loaded));
            })));
        }
        return;
    };
    // What one item lacks may have been told of all: each is asked again by itself.
    let alone = loaded.len() == 1;
    let loaded: Vec<Loaded> = loaders
        .iter()
        .zip(loaded)
        .map(|(loader, loaded)| match loaded {
            Err(_) if !alone => catch_unwind(AssertUnwindSafe(|| loader.load()))
                .unwrap_or_else(|_| Err(Error::internal("loading an item failed"))),
            loaded => loaded,
        })
        .collect();
    // Who has the answer may close the engine at once, and the directory is free only when nobody holds
    // the store.
    drop(loaders);
    for (reply, loaded) in replies.into_iter().zip(loaded) {
        // Whoever asked may have gone.
        drop(reply.send(loaded));
    }
}

#[cfg(test)]
mod tests {
    use systole_store::FeedNo;

    use super::*;

    #[test]
    fn a_group_holds_an_item_once_and_no_more_than_the_bound() {
        let item = |seq| ItemKey { feed: FeedNo(1), seq };
        assert_eq!(group_length([3, 1, 2, 1, 4].map(item).into_iter()), 3);
        assert_eq!(group_length([5, 5].map(item).into_iter()), 1);
        assert_eq!(group_length((0..5_000).map(item)), LOADED_TOGETHER_MAX);
    }
}
