//! Written messages on their way to an item in memory.
//!
//! Waking an item's actor costs more than applying a message, and a party that catches up has a few
//! messages for very many items at a time. So messages are put here without waking anybody; whoever
//! looks at the item next applies them first, and the party wakes the actor when enough have gathered or
//! nothing more is to come.
//!
//! Invariants:
//! - messages leave in the order in which they came, all at once;
//! - their bytes are bounded by the permits that come with them ([`BYTES_IN_FLIGHT_MAX`]).
//!
//! [`BYTES_IN_FLIGHT_MAX`]: super::BYTES_IN_FLIGHT_MAX

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::state::Incoming;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

/// What waits for an item.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// In processing order.
    pub(crate) messages: Vec<Incoming>,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    permit: Option<OwnedSemaphorePermit>,
    woken: bool,
}

impl Inbox {
    /// Puts messages behind those that wait; how many wait then.
    pub(crate) fn put(
        &self,
        mut messages: Vec<Incoming>,
        bytes: u64,
        permit: OwnedSemaphorePermit,
    ) -> usize {
        let mut waiting = self.lock();
        match &mut waiting.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        waiting.bytes += bytes;
        if waiting.messages.is_empty() {
            waiting.messages = messages;
        } else {
            waiting.messages.append(&mut messages);
        }
        waiting.messages.len()
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    /// Whether the item's actor is to be woken: something waits, and it was not woken for it yet.
    pub(crate) fn wakes(&self) -> bool {
        let mut waiting = self.lock();
        !waiting.messages.is_empty() && !std::mem::replace(&mut waiting.woken, true)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
