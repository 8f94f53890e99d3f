//! Short local names: inside one store a feed, a party and an item are numbers, not 32-byte keys.
//!
//! Invariants:
//! - a number names one feed (or party) for the whole life of the store and is never given out twice;
//! - numbers mean nothing outside the store that gave them: they never reach the wire.

use std::fmt;

/// Local number of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedNo(pub u32);

/// Local number of a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyNo(pub u32);

/// Local name of an item: where its genesis stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The feed that holds the genesis.
    pub feed: FeedNo,
    /// The genesis's position in that feed.
    pub seq: u64,
}

impl fmt::Display for FeedNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "feed {}", self.0)
    }
}

impl fmt::Display for PartyNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}/{}", self.feed.0, self.seq)
    }
}
