//! Loading items on a few threads of the engine's own.
//!
//! Invariants:
//! - there are at most [`LOADS_AT_ONCE_MAX`] threads, and one more for each while it loads more than a
//!   little that somebody waits for, however many items are to be loaded; they end with the engine;
//! - whoever waits for an item comes before checkpoints of items that nobody asked for; both begin in the
//!   order in which they were asked for, and those that wait when a thread is free are loaded together;
//! - an item that is loaded only for its checkpoint is dropped before anybody learns of that; one thread does
//!   this, for each keeps the memory that it once took;
//! - a load that panics breaks its own item alone.
//!
//! A runtime's pool for blocking work starts another thread whenever none is idle at that very moment,
//! and under steady work none is ever idle for long enough to end: it grows, and with it the memory that
//! threads keep for themselves.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use systole_proto::ItemId;
use systole_store::ItemKey;
use tokio::sync::oneshot;

use super::actor::Taken;
use super::state::ItemState;
use crate::settings::{BACKGROUND_CHECKPOINTS_MAX, LOADED_TOGETHER_MAX, LOADS_AT_ONCE_MAX};
use crate::snapshot::{self, Awaited, Loader, Tail, load_together};
use crate::stages::Stage;
use crate::telemetry::Telemetry;
use crate::{Error, Event};

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
    loads: VecDeque<Request>,
    checkpoints: VecDeque<Request>,
    closed: bool,
}

/// An item to be loaded, and who is told.
type Request = (Loader, Reply);

enum Reply {
    Item(oneshot::Sender<Loaded>),
    Checkpoint { id: ItemId, telemetry: Arc<Telemetry>, reply: oneshot::Sender<Taken> },
}

impl Loads {
    /// Starts the threads: no more than there are cores, for a load is work rather than waiting; but one
    /// more than takes checkpoints, for whoever waits for an item.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let loads = Self { queue: Arc::default() };
        for number in 0..cores.clamp(2, LOADS_AT_ONCE_MAX) {
            let queue = loads.queue.clone();
            let thread = std::thread::Builder::new().name("systole-load".to_owned());
            thread.spawn(move || queue.work(number == 0))?;
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
        let (requests, answers) = requests(loaders, |_, reply| Reply::Item(reply));
        self.queue.lock().loads.extend(requests);
        self.queue.changed.notify_one();
        answers
    }

    /// Asks for checkpoints of items as they are stored, for none of which anybody waits; the answers in
    /// the same order.
    pub(crate) fn checkpoints(
        &self,
        loaders: impl IntoIterator<Item = Loader>,
    ) -> Vec<oneshot::Receiver<Taken>> {
        let reply = |loader: &Loader, reply| Reply::Checkpoint {
            id: loader.id(),
            telemetry: loader.telemetry(),
            reply,
        };
        let (requests, answers) = requests(loaders, reply);
        self.queue.lock().checkpoints.extend(requests);
        // One of them takes checkpoints.
        self.queue.changed.notify_all();
        answers
    }
}

fn requests<T>(
    loaders: impl IntoIterator<Item = Loader>,
    reply: impl Fn(&Loader, oneshot::Sender<T>) -> Reply,
) -> (Vec<Request>, Vec<oneshot::Receiver<T>>) {
    let request = |loader: Loader| {
        let (sender, answer) = oneshot::channel();
        let reply = reply(&loader, sender);
        ((loader, reply), answer)
    };
    loaders.into_iter().map(request).unzip()
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
    fn work(&self, takes_checkpoints: bool) {
        loop {
            let mut waiting = self.lock();
            let (group, awaited) = loop {
                if let Some(next) = waiting.next_group(takes_checkpoints) {
                    break next;
                }
                if waiting.closed {
                    return;
                }
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            };
            drop(waiting);
            load_group(group, awaited);
        }
    }
}

impl Waiting {
    fn next_group(&mut self, takes_checkpoints: bool) -> Option<(Vec<Request>, Awaited)> {
        let (requests, most, awaited) = match self.loads.is_empty() && takes_checkpoints {
            true => (&mut self.checkpoints, BACKGROUND_CHECKPOINTS_MAX, Awaited::No),
            false => (&mut self.loads, LOADED_TOGETHER_MAX, Awaited::Yes),
        };
        let together = group_length(requests.iter().map(|(loader, _)| loader.key()), most);
        (together > 0).then(|| (requests.drain(..together).collect(), awaited))
    }
}

/// How many of these items are loaded together: up to the bound, and each item once. One that left memory
/// while it waited may be asked for again.
fn group_length(items: impl Iterator<Item = ItemKey>, most: usize) -> usize {
    let mut group = BTreeSet::new();
    items.take(most).take_while(|item| group.insert(*item)).count()
}

fn load_group(group: Vec<Request>, awaited: Awaited) {
    let (loaders, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let Ok(loaded) = catch_unwind(AssertUnwindSafe(|| load_together(&loaders, awaited))) else {
        for (loader, reply) in loaders.into_iter().zip(replies) {
            // A reply that is dropped by a panic is how its asker learns of it.
            drop(catch_unwind(AssertUnwindSafe(move || {
                let loaded = loader.load();
                drop(loader);
                reply.send(loaded);
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
        // A state that nobody waits for is dropped here, and that is a model's code.
        drop(catch_unwind(AssertUnwindSafe(|| reply.send(loaded))));
    }
}

impl Reply {
    fn send(self, loaded: Loaded) {
        // Whoever asked may have gone.
        match self {
            Self::Item(reply) => drop(reply.send(loaded)),
            Self::Checkpoint { id, telemetry, reply } => {
                let taken = loaded.and_then(|(state, _)| checkpoint(id, &telemetry, state));
                drop(reply.send(taken));
            }
        }
    }
}

fn checkpoint(id: ItemId, telemetry: &Telemetry, mut state: ItemState) -> Taken {
    let mut watch = telemetry.live.stages.watch();
    let taken = snapshot::encode(&mut state);
    watch.lap(Stage::Checkpoint, 1);
    if let Err(error) = &taken
        && state.broken().is_some()
    {
        telemetry.event(Event::ItemQuarantined { item: id, reason: error.to_string() });
    }
    taken
}

#[cfg(test)]
mod tests {
    use systole_store::FeedNo;

    use super::*;

    #[test]
    fn a_group_holds_an_item_once_and_no_more_than_the_bound() {
        let item = |seq| ItemKey { feed: FeedNo(1), seq };
        assert_eq!(group_length([3, 1, 2, 1, 4].map(item).into_iter(), 9), 3);
        assert_eq!(group_length([5, 5].map(item).into_iter(), 9), 1);
        assert_eq!(group_length((0..5_000).map(item), 64), 64);
    }
}
