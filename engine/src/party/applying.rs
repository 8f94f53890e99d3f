//! Items applying what they were handed, beside their party: one task for all of them.
//!
//! Waking a thousand actors for a few messages each takes longer than applying these. So a party that
//! catches up hands its items to a task, which reaches their memories one after the other, and goes on
//! with the next blocks meanwhile.
//!
//! Invariant: at most one such task of a party runs, so what waits to be applied is bounded by what the
//! party hands over between two of them; an item that is being loaded applies it when it is.

use tokio::task::JoinHandle;

use crate::item::actor::Reached;

/// Items that are caught up before others on the same thread get their turn.
const ITEMS_PER_TURN: usize = 32;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Applying(Option<JoinHandle<()>>);

impl Applying {
    /// Has these items apply what they were handed, when those before are done.
    pub(super) async fn begin(&mut self, items: Vec<Reached>) {
        self.finish().await;
        if items.is_empty() {
            return;
        }
        self.0 = Some(tokio::spawn(async move {
            for some in items.chunks(ITEMS_PER_TURN) {
                for item in some {
                    item.catch_up().await;
                }
                tokio::task::yield_now().await;
            }
        }));
    }

    /// Waits until everything is applied.
    pub(super) async fn finish(&mut self) {
        if let Some(task) = self.0.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "items could not apply what they were handed");
        }
    }
}
