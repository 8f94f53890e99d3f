//! The column families: which records share a file set, and why they are apart.
//!
//! Few families keep the memory for write buffers whole and the number of files small; records part
//! only where their access differs. Key layouts stand in `keys.rs`, one kind byte per record type.

/// A column family of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// MetaStore. Small records, read by key.
    /// Format, Counter, PartyByNo, PartyByKey, FeedByNo, FeedByKey, FeedOfParty, Position, Credential,
    /// Quarantine, Preference, Place.
    Meta,
    /// FeedStore, the bulk. Appended in order, scanned in order.
    /// Block: (feed, seq) -> the exact bytes of the block.
    Block,
    /// FeedStore, what is known of a feed beside its blocks. Small, read by key or as predecessor.
    /// Node, Head, LatestHead, Step, Alias, Equivocation.
    Feed,
    /// ItemStore, the index. Small records at random positions.
    /// Item, ItemById, ItemByModel, ItemByParent.
    Item,
    /// ItemStore, the messages of each item. Written at random positions, scanned per item; the
    /// dearest part of ingest, so nothing else shares its compactions.
    /// ProcessingLog: (item, first ordinal) -> chunk of entries.
    Log,
    /// ItemStore, states. Large values that are overwritten; big ones live in blob files.
    /// Checkpoint: item -> ordinal, bytes.
    Checkpoint,
    /// KeyStore. A few records.
    /// VaultHeader, Secret, KnownKey.
    Key,
}

impl Family {
    /// Every family, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Meta, Self::Block, Self::Feed, Self::Item, Self::Log, Self::Checkpoint, Self::Key];

    /// Its name on disk. RocksDB insists on a family called `default`: the MetaStore takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "default",
            Self::Block => "block",
            Self::Feed => "feed",
            Self::Item => "item",
            Self::Log => "log",
            Self::Checkpoint => "checkpoint",
            Self::Key => "key",
        }
    }

    /// Its place in [`Family::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

const _: () = {
    let mut at = 0;
    while at < Family::ALL.len() {
        assert!(Family::ALL[at] as usize == at);
        at += 1;
    }
};
