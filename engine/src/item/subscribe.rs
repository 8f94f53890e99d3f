//! Telling whoever watches an item what changed, without ever waiting for them.
//!
//! Invariant: the item's actor never blocks on a subscriber, and what is kept for those that are slow is
//! bounded: [`UPDATES_KEPT`] updates, and [`UPDATES_KEPT_BYTES`] of messages that they tell of. One that
//! missed some is told so, looks at the item itself, and goes on from there.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use systole_models::{Model, ObjectChange};
use tokio::sync::broadcast;

/// How many updates are kept for a subscriber that is slow.
pub const UPDATES_KEPT: usize = 256;

/// Payload bytes of the messages that the kept updates of one item tell of, at most. An update beyond is
/// told as missed: whoever is that far behind looks at the item sooner than at each change.
pub const UPDATES_KEPT_BYTES: u64 = 256 << 10;

/// Tells the subscribers of one item.
pub(crate) struct Updates {
    sender: broadcast::Sender<Arc<RawUpdate>>,
    kept_bytes: Arc<AtomicU64>,
}

impl Updates {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(UPDATES_KEPT).0, kept_bytes: Arc::default() }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<RawUpdate>> {
        self.sender.subscribe()
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Tells what messages with so many payload bytes changed.
    pub(crate) fn send(&self, version: u64, changes: Changes, bytes: u64) {
        let fits = self.kept_bytes.load(Relaxed) + bytes <= UPDATES_KEPT_BYTES;
        let (changes, bytes) = if fits { (Some(changes), bytes) } else { (None, 0) };
        self.kept_bytes.fetch_add(bytes, Relaxed);
        let update = RawUpdate { version, changes, bytes, kept_bytes: self.kept_bytes.clone() };
        // Nobody listening is not an error: subscribers come and go.
        let _ = self.sender.send(Arc::new(update));
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
    /// `None` where it was too much to be kept.
    changes: Option<Changes>,
    bytes: u64,
    kept_bytes: Arc<AtomicU64>,
}

impl Drop for RawUpdate {
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
                let Some(changed) = &update.changes else {
                    return Some(Update::Lagged { missed: 1 });
                };
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
    async fn what_is_kept_for_a_slow_subscriber_is_bounded_in_bytes() {
        let updates = Updates::new();
        let mut slow = Subscription::<Object>::new(updates.subscribe());
        updates.send(1, changes(), UPDATES_KEPT_BYTES - 1);
        updates.send(2, changes(), 2);
        updates.send(3, changes(), 1);
        assert!(matches!(slow.next().await, Some(Update::Changed { version: 1, .. })));
        assert!(matches!(slow.next().await, Some(Update::Lagged { missed: 1 })));
        assert!(matches!(slow.next().await, Some(Update::Changed { version: 3, .. })));
        // What was read takes no room.
        updates.send(4, changes(), UPDATES_KEPT_BYTES);
        assert!(matches!(slow.next().await, Some(Update::Changed { version: 4, .. })));
    }
}
