//! Telling whoever watches an item what changed, without ever waiting for them.
//!
//! Invariant: the item's actor never blocks on a subscriber. One that is more than
//! [`UPDATES_KEPT`] updates behind is told so, looks at the item itself, and goes on from there.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use systole_models::{Model, ObjectChange};
use tokio::sync::broadcast;

/// How many updates are kept for a subscriber that is slow.
pub const UPDATES_KEPT: usize = 256;

/// One update, before its reader gives the changes their type.
pub(crate) struct RawUpdate {
    pub(crate) version: u64,
    /// A `Vec<M::Change>`.
    pub(crate) changes: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) metadata: Vec<ObjectChange>,
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
    /// The subscriber was too slow and missed this many updates: view the item to catch up.
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
                let changes = update
                    .changes
                    .as_ref()
                    .and_then(|changes| changes.downcast_ref::<Vec<M::Change>>())
                    .cloned()
                    .unwrap_or_default();
                let metadata = update.metadata.clone();
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
