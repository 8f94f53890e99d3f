//! Signs of life: a counter for every stage of a message's path, and events worth telling.
//!
//! Invariant: counting never blocks and never fails; a listener that is slow misses events, the engine
//! does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use systole_proto::{FeedKey, ItemId, PublicKey};
use tokio::sync::broadcast;

use crate::stages::{LiveStages, Stages};

/// How many events are kept for a listener that is slow.
pub const EVENTS_KEPT: usize = 1_024;

/// Something that happened in a party and that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A key became a member.
    KeyAdmitted {
        /// The key.
        key: PublicKey,
    },
    /// A feed is listened to from here on.
    FeedAdmitted {
        /// The feed.
        feed: FeedKey,
    },
    /// This device's own feed was longer elsewhere: the device was set back, or copied. It writes to
    /// that feed no more and goes on in a fresh one, which [`Party::own_feed`](crate::Party::own_feed)
    /// names.
    OwnFeedLost {
        /// The feed.
        feed: FeedKey,
    },
    /// A credential does not count yet.
    CredentialParked {
        /// The feed that carries it.
        feed: FeedKey,
        /// Its position there.
        seq: u64,
        /// What would make it count.
        waits_for: String,
    },
    /// A block is ignored, here and on every other replica.
    Quarantined {
        /// The feed.
        feed: FeedKey,
        /// The block's position.
        seq: u64,
        /// The rule that it breaks, in a word.
        code: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An item's model ignores a message, here and on every other replica.
    Refused {
        /// The item.
        item: ItemId,
        /// The feed that holds the message.
        feed: FeedKey,
        /// The message's position there.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing more of this feed is processed.
    FeedHalted {
        /// The feed.
        feed: FeedKey,
        /// Why.
        reason: String,
    },
    /// A feed's author signed two histories; the proof is stored and the feed is halted.
    Equivocation {
        /// The feed.
        feed: FeedKey,
    },
    /// An item's model failed; the item answers nothing until it is loaded again.
    ItemQuarantined {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
}

/// How many messages passed each stage since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Blocks read from the store, to be processed or to load an item.
    pub read: u64,
    /// Blocks of other devices whose hashes and head were verified.
    pub verified: u64,
    /// Times a feed had to wait for another one.
    pub parked: u64,
    /// Messages entered into their item's log.
    pub demultiplexed: u64,
    /// Messages applied to an item in memory; a message counts again when its item is loaded again.
    pub applied: u64,
    /// Blocks that are ignored everywhere.
    pub quarantined: u64,
    /// Messages that their item's model refused.
    pub refused: u64,
    /// Checkpoints written.
    pub checkpointed: u64,
    /// Items in memory.
    pub resident: u64,
    /// Estimate of what they hold, in bytes.
    pub resident_bytes: u64,
    /// Groups of commits written at once.
    pub commit_groups: u64,
    /// Commits in them.
    pub commits: u64,
    /// Syncs of the disk.
    pub syncs: u64,
    /// Where the time went.
    pub stages: Stages,
}

/// The counters while they run.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) read: AtomicU64,
    pub(crate) verified: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) demultiplexed: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) checkpointed: AtomicU64,
    pub(crate) resident: AtomicU64,
    pub(crate) resident_bytes: AtomicU64,
    pub(crate) stages: LiveStages,
}

impl Live {
    /// The values at this moment.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            read: self.read.load(Relaxed),
            verified: self.verified.load(Relaxed),
            parked: self.parked.load(Relaxed),
            demultiplexed: self.demultiplexed.load(Relaxed),
            applied: self.applied.load(Relaxed),
            quarantined: self.quarantined.load(Relaxed),
            refused: self.refused.load(Relaxed),
            checkpointed: self.checkpointed.load(Relaxed),
            resident: self.resident.load(Relaxed),
            resident_bytes: self.resident_bytes.load(Relaxed),
            stages: self.stages.spent(),
            ..Counters::default()
        }
    }
}

/// One party's way to count and to tell.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) live: Arc<Live>,
    events: broadcast::Sender<Event>,
    ticks: AtomicU64,
}

impl Telemetry {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self { live, events: broadcast::channel(EVENTS_KEPT).0, ticks: AtomicU64::new(0) }
    }

    /// A number greater than all before: the clock of least recent use.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn applied(&self, messages: u64) {
        self.live.applied.fetch_add(messages, Relaxed);
    }

    pub(crate) fn refused(&self, messages: u64) {
        self.live.refused.fetch_add(messages, Relaxed);
    }

    pub(crate) fn read(&self, blocks: u64) {
        self.live.read.fetch_add(blocks, Relaxed);
    }

    /// Tells whoever listens; nobody listening is fine.
    pub(crate) fn event(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub(crate) fn listen(&self) -> Events {
        Events { receiver: self.events.subscribe() }
    }
}

/// The events of one party, from when it was asked for.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; `None` once the party is closed. A listener that is more than
    /// [`EVENTS_KEPT`] events behind misses the oldest. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a listener misses events");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
