//! What an embedder can set, and the bounds that nobody can.

use systole_store::Durability;

use crate::snapshot::CheckpointPolicy;

/// Blocks processed in one turn of a party before others get theirs.
pub const TURN_BLOCKS_MAX: usize = 4_096;
/// Bytes of blocks read ahead for one party.
pub const READ_AHEAD_BYTES_MAX: usize = 1 << 20;
/// Requests that are written together in one turn of a party.
pub const TURN_REQUESTS_MAX: usize = 256;
/// Commands that wait for one party.
pub const PARTY_MAILBOX_COMMANDS: usize = 256;
/// Feeds per party whose admission is not known and whose blocks are stored all the same.
pub const UNADMITTED_FEEDS_MAX: usize = 1_024;
/// Blocks stored of one feed whose admission is not known.
pub const UNADMITTED_BLOCKS_MAX: u64 = 65_536;
/// Item records that a party keeps at hand.
pub const ITEMS_CACHED_MAX: usize = 1_024;
/// Items that a party knows to exist without looking.
pub const ITEMS_KNOWN_MAX: usize = 262_144;
/// Items not in memory whose messages since their checkpoint a party counts.
pub const COLD_TAILS_MAX: usize = 131_072;
/// Bytes of pasts and names that a party keeps at hand for feeds that it may hear again.
pub const CURSORS_BYTES_MAX: usize = 16 << 20;
/// Operations of one transaction.
pub const TRANSACTION_OPERATIONS_MAX: usize = 65_536;
/// A checkpoint with more bytes than this is written, and warned of.
pub const CHECKPOINT_BYTES_WARN: usize = 16 << 20;
/// Blocks processed in one turn while local writes or small ranges keep coming, which wait for its end.
pub const LIVE_TURN_BLOCKS_MAX: usize = 128;
/// Payload bytes that one party hands over to items in memory before it has them apply what they were
/// handed. Items that are being loaded apply it when they are; each is bounded by
/// [`BYTES_IN_FLIGHT_MAX`](super::limits::BYTES_IN_FLIGHT_MAX).
pub const HANDED_OVER_BYTES_MAX: u64 = 8 << 20;
/// Items that are loaded only to be checkpointed, at a time and per party.
pub const BACKGROUND_CHECKPOINTS_MAX: usize = 256;
/// Items not in memory that wait for such a checkpoint, per party.
pub const ITEMS_DUE_MAX: usize = 4_096;
/// Threads that load items, if there are as many cores; at least two, of which one also takes checkpoints
/// of items that are not in memory. What a thread has allocated is slow to return, and a
/// load is work rather than waiting, so more would gain nothing.
pub const LOADS_AT_ONCE_MAX: usize = 4;
/// Items that one of these threads loads together, so that blocks which they share a range with are read
/// once.
pub const LOADED_TOGETHER_MAX: usize = 1_024;
/// What an item's actor holds beside its state, in bytes; measured for kameo 0.22.
pub const ACTOR_BYTES: usize = 10_000;

/// What an embedder can set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) durability: Durability,
    pub(crate) memory_budget_bytes: usize,
    pub(crate) checkpoints: CheckpointPolicy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::Synced,
            memory_budget_bytes: 64 << 20,
            checkpoints: CheckpointPolicy::default(),
        }
    }
}
