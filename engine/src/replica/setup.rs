//! What a replica is opened with, asked for, and lets be seen.

use std::any::Any;

use systole_models::{ModelRegistry, ObjectMutation};
use systole_proto::{FeedKey, ItemId};

use crate::{CheckpointPolicy, Event};

/// What a [`Replica`](super::Replica) is opened with.
pub struct Setup {
    /// The model types that the device knows.
    pub registry: ModelRegistry,
    /// When items are checkpointed without being asked.
    pub checkpoints: CheckpointPolicy,
    /// Estimated bytes of items in memory; beyond, the one used longest ago is evicted.
    pub memory_budget_bytes: usize,
    /// Batches that wait at one item; beyond, the party waits until it has applied the oldest.
    pub mailbox: usize,
    /// Bugs to be found.
    pub flaws: Flaws,
}

/// Bugs of the shell around the pure core, for a harness to prove that it would find them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flaws {
    /// Shows blocks to others before they are synced.
    pub announces_unsynced: bool,
    /// Drops a batch that finds the mailbox full.
    pub drops_on_overflow: bool,
    /// Loads an item from its checkpoint alone.
    pub loses_tail_on_eviction: bool,
    /// A model that panics takes the items beside it along.
    pub spreads_panics: bool,
    /// Does not store credentials that do not count yet.
    pub forgets_parked: bool,
    /// Writes on in the feeds of a store that is a copy.
    pub keeps_feeds_of_a_copy: bool,
}

/// One operation of a local transaction.
pub enum Operation {
    /// A new item.
    Create {
        /// Name of its model type.
        model: &'static str,
        /// Version of its model type.
        version: u32,
        /// Its parent.
        parent: Option<ItemId>,
        /// Its first mutation, of the model's type.
        init: Option<Box<dyn Any + Send>>,
        /// Its first metadata.
        metadata: Option<ObjectMutation>,
    },
    /// A mutation of the model's type.
    Mutate {
        /// The item.
        item: ItemId,
        /// What is asked for.
        mutation: Box<dyn Any + Send>,
    },
    /// A mutation of the metadata.
    MutateMetadata {
        /// The item.
        item: ItemId,
        /// What is asked for.
        mutation: ObjectMutation,
    },
    /// Another parent.
    Move {
        /// The item.
        item: ItemId,
        /// Its parent from here on.
        parent: Option<ItemId>,
    },
    /// Deletion.
    Delete {
        /// The item.
        item: ItemId,
    },
    /// The end of a deletion.
    Restore {
        /// The item.
        item: ItemId,
    },
}

/// Something that a commit made true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A message was processed.
    Message {
        /// Its item.
        item: ItemId,
        /// The feed that holds it.
        feed: FeedKey,
        /// Its position there.
        seq: u64,
        /// Its Lamport number as derived here.
        lamport: u64,
        /// Its causal past as derived here, its own feed left out; sorted.
        past: Vec<(FeedKey, u64)>,
        /// Model (0) or metadata (1).
        label: u32,
    },
    /// A block is ignored.
    Quarantined {
        /// The feed that holds it.
        feed: FeedKey,
        /// Its position there.
        seq: u64,
        /// The rule that it breaks.
        code: &'static str,
    },
    /// What listeners are told.
    Event(Event),
}
