//! Telling whoever watches an item what changed, without ever waiting for them.
//!
//! Invariant: the item's actor never blocks on a subscriber, and what is kept for those that are slow is
//! bounded: [`UPDATES_KEPT`] updates, and [`UPDATES_KEPT_BYTES`] of messages that they tell of. One that
//! missed some is told so, looks at the item itself, and goes on from there.

use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use systole_models::{Model, ObjectChange};
use tokio::sync::broadcast;

/// How many updates are kept for a subscriber that is slow.
pub const UPDATES_KEPT: usize = 256;

/// Payload bytes of the messages that the kept updates of one item tell of, at most. Beyond, the oldest are
/// given up, and whoever has not read them is told so: they look at the item sooner than at each change.
pub const UPDATES_KEPT_BYTES: u64 = 256 << 10;

/// Tells the subscribers of one item.
pub(crate) struct Updates {
    sender: broadcast::Sender<Arc<RawUpdate>>,
    /// Those that somebody may have yet to read, the oldest first.
    kept: VecDeque<Weak<RawUpdate>>,
    kept_bytes: Arc<AtomicU64>,
}

impl Updates {
    pub(crate) fn new() -> Self {
        let (sender, _) = broadcast::channel(UPDATES_KEPT);
        Self { sender, kept: VecDeque::new(), kept_bytes: Arc::default() }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<RawUpdate>> {
        self.sender.subscribe()
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Tells what messages with so many payload bytes changed.
    pub(crate) fn send(&mut self, version: u64, changes: Changes, bytes: u64) {
        let kept_bytes = self.kept_bytes.clone();
        kept_bytes.fetch_add(bytes, Relaxed);
        let changes = Mutex::new(Some(Kept { changes: Arc::new(changes), bytes, kept_bytes }));
        let update = Arc::new(RawUpdate { version, changes });
        self.kept.push_back(Arc::downgrade(&update));
        while self.kept_bytes.load(Relaxed) > UPDATES_KEPT_BYTES || self.kept.len() > UPDATES_KEPT {
            let Some(oldest) = self.kept.pop_front() else { break };
            if let Some(oldest) = oldest.upgrade() {
                drop(oldest.lock().take());
            }
        }
        // Nobody listening is not an error: subscribers come and go.
        let _ = self.sender.send(update);
    }
}

/// What changed, before its reader gives the changes their type.
pub(crate) struct Changes {
    /// A `Vec<M::Change>`.
    pub(crate) model: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) metadata: Vec<ObjectChange>,
}

/// One update, for as long as somebody has yet to read it.
pub(crate) struct RawUpdate {
    version: u64,
    /// `None` once it was given up.
    changes: Mutex<Option<Kept>>,
}

impl RawUpdate {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        // Nothing panics while it is held.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes that count as kept while they are here.
struct Kept {
    changes: Arc<Changes>,
    bytes: u64,
    kept_bytes: Arc<AtomicU64>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.kept_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update<C> {
    /// The item changed.
    Changed {
        /// Grows with every update of the item on this device; compare it with nothing elsewhere.
        version: u64,
        /// What changed in the model, in order.
        changes: Vec<C>,
        /// What changed in the metadata, in order.
        metadata: Vec<ObjectChange>,
    },
    /// The subscriber was too slow, or more changed at once than is kept, and it missed this many updates:
    /// view the item to catch up.
    Lagged {
        /// How many updates were missed.
        missed: u64,
    },
}

/// The updates of one item. While it is held, the item stays in memory.
pub struct Subscription<M: Model> {
    receiver: broadcast::Receiver<Arc<RawUpdate>>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Subscription<M> {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<RawUpdate>>) -> Self {
        Self { receiver, model: PhantomData }
    }

    /// Waits for the next update; `None` once the item, party or engine is closed. Cancelling loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Update<M::Change>> {
        match self.receiver.recv().await {
            Ok(update) => {
                let kept = update.lock().as_ref().map(|kept| kept.changes.clone());
                let Some(changed) = kept else { return Some(Update::Lagged { missed: 1 }) };
                let changes = changed
                    .model
                    .as_ref()
                    .and_then(|changes| changes.downcast_ref::<Vec<M::Change>>())
                    .cloned()
                    .unwrap_or_default();
                let metadata = changed.metadata.clone();
                Some(Update::Changed { version: update.version, changes, metadata })
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Update::Lagged { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl<M: Model> std::fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("model", &M::TYPE).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use systole_models::Object;

    use super::*;

    fn changes() -> Changes {
        Changes { model: Some(Arc::new(Vec::<ObjectChange>::new())), metadata: Vec::new() }
    }

    #[tokio::test]
    async fn what_is_kept_for_a_slow_subscriber_is_bounded_and_others_miss_nothing() {
        let mut updates = Updates::new();
        let mut slow = Subscription::<Object>::new(updates.subscribe());
        let mut prompt = Subscription::<Object>::new(updates.subscribe());
        for version in 1..=5 {
            updates.send(version, changes(), UPDATES_KEPT_BYTES / 2);
            let told = prompt.next().await;
            assert!(matches!(told, Some(Update::Changed { version: v, .. }) if v == version));
            assert!(updates.kept_bytes.load(Relaxed) <= UPDATES_KEPT_BYTES);
        }
        for _ in 1..=3 {
            assert!(matches!(slow.next().await, Some(Update::Lagged { missed: 1 })));
        }
        for version in 4..=5 {
            let told = slow.next().await;
            assert!(matches!(told, Some(Update::Changed { version: v, .. }) if v == version));
        }
        assert_eq!(updates.kept_bytes.load(Relaxed), 0, "what all have read takes no room");
    }

    #[tokio::test]
    async fn more_at_once_than_is_kept_is_told_as_missed() {
        let mut updates = Updates::new();
        let mut subscriber = Subscription::<Object>::new(updates.subscribe());
        updates.send(1, changes(), UPDATES_KEPT_BYTES + 1);
        updates.send(2, changes(), UPDATES_KEPT_BYTES);
        assert!(matches!(subscriber.next().await, Some(Update::Lagged { missed: 1 })));
        assert!(matches!(subscriber.next().await, Some(Update::Changed { version: 2, .. })));
    }
}
