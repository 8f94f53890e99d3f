//! What the pure party core asks its shell to do.
//!
//! Invariant: the shell writes all storing effects of one turn in one batch together with the
//! positions they lead to, and runs the telling ones ([`Effect::Message`] to a resident item,
//! [`Effect::Event`]) only when that batch is written.

use std::sync::Arc;

use bytes::Bytes;
use systole_proto::FeedKey;
use systole_store::{CausalStep, FeedNo, ItemKey, ItemRecord, LogEntry};

use super::causal::Past;
use crate::Event;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Store a block's causal step: later links to this feed need it.
    Step { feed: FeedNo, step: CausalStep },
    /// Store that `feed` names `target` by `alias` from here on.
    Alias { feed: FeedNo, alias: u32, target: FeedNo },
    /// Store a credential that counts or is parked; a parked one comes a second time when it counts.
    Credential { feed: FeedNo, seq: u64, bytes: Bytes },
    /// Remember which feed holds the party's genesis.
    Genesis { feed: FeedNo },
    /// Store an item's record; `previous` is what stood there, so that indexes follow.
    Item { record: Arc<ItemRecord>, previous: Option<Arc<ItemRecord>> },
    /// Add a message to its item's log and, when the item is resident, hand it over after the write.
    Message { item: ItemKey, entry: LogEntry, key: FeedKey, past: Arc<Past>, payload: Bytes },
    /// Store why a block is ignored.
    Quarantine { feed: FeedNo, seq: u64, code: &'static str, reason: String },
    /// Tell whoever listens to the party.
    Event(Event),
}

/// What a local author asks to have written as one block.
#[derive(Clone, Debug)]
pub(crate) enum LocalBody {
    /// A credential.
    Credential(Bytes),
    /// A new item.
    Genesis {
        model: String,
        version: u32,
        algorithm: u32,
        parent: Option<ItemKey>,
        init: Bytes,
        metadata: Bytes,
    },
    /// A mutation of an item's model (label 0) or metadata (label 1).
    Mutation { item: ItemKey, label: u32, payload: Bytes },
    /// Another parent for an item.
    Move { item: ItemKey, parent: Option<ItemKey> },
    /// Deletion of an item, or its restoration.
    Tombstone { item: ItemKey, restore: bool },
}

/// Label of messages for an item's model.
pub(crate) const LABEL_MODEL: u32 = 0;
/// Label of messages for an item's metadata.
pub(crate) const LABEL_METADATA: u32 = 1;

/// Why a block of an admitted feed is ignored; every replica ignores the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Quarantined {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

impl Quarantined {
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}
