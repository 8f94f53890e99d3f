//! The 64-bit numbers by which the library knows feeds, and orders their concurrent inserts.
//!
//! A peer holds the first 48 bits of a hash of the feed's key. The 16 bits below keep peers in the
//! order of the whole hashes where 48 bits collide. So two feeds never share a peer; and although
//! colliding feeds may have other numbers on another replica, their order is the same everywhere,
//! which is all that the library makes of them.
//!
//! Invariant: peers rise with the hashes of their feeds, and none is `u64::MAX`.

use std::collections::BTreeMap;

use systole_proto::FeedKey;

/// Room of the feeds that share 48 bits.
const CELL: u64 = 0xffff;

/// The peers of all feeds of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    by_hash: BTreeMap<[u8; 32], u64>,
}

impl Peers {
    /// The peer of a new feed.
    pub(super) fn assign(&mut self, feed: &FeedKey) -> u64 {
        self.insert(hash(feed))
    }

    /// Takes over the peer that a feed has in a checkpoint; false if that breaks the order.
    #[must_use]
    pub(super) fn adopt(&mut self, feed: &FeedKey, peer: u64) -> bool {
        let hash = hash(feed);
        let first = first(&hash);
        let (below, above) = self.neighbours(&hash, first);
        self.by_hash.insert(hash, peer).is_none() && below < peer && peer < above
    }

    /// A peer between those of the neighbours in the order of hashes.
    fn insert(&mut self, hash: [u8; 32]) -> u64 {
        let first = first(&hash);
        let (below, above) = self.neighbours(&hash, first);
        let peer = below + (above - below) / 2;
        // Sixteen feeds with the same 48 bits, each hashed between the ones before: centuries of
        // search, and then this one item stops.
        assert!(peer > below, "no peer left between two feeds");
        self.by_hash.insert(hash, peer);
        peer
    }

    /// The numbers between which the peer of `hash` lies, both exclusive.
    fn neighbours(&self, hash: &[u8; 32], first: u64) -> (u64, u64) {
        let below = self.by_hash.range(..*hash).next_back().map(|entry| *entry.1);
        let above = self.by_hash.range(*hash..).next().map(|entry| *entry.1);
        let cell = first..first + CELL;
        (
            below.filter(|peer| cell.contains(peer)).unwrap_or(first),
            above.filter(|peer| cell.contains(peer)).unwrap_or(first + CELL),
        )
    }
}

/// The first 48 bits of `hash`, as the upper bits of a peer.
fn first(hash: &[u8; 32]) -> u64 {
    u64::from_be_bytes(hash[..8].try_into().expect("eight bytes")) & !CELL
}

fn hash(feed: &FeedKey) -> [u8; 32] {
    *blake3::hash(feed.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colliding(last: u8) -> [u8; 32] {
        let mut hash = [0xff; 32];
        hash[31] = last;
        hash
    }

    #[test]
    fn feeds_that_collide_keep_the_order_of_their_hashes() {
        for order in [[5, 1, 9, 7, 3, 4], [1, 3, 4, 5, 7, 9], [9, 7, 5, 4, 3, 1]] {
            let mut peers = Peers::default();
            let mut assigned: Vec<(u8, u64)> =
                order.iter().map(|&last| (last, peers.insert(colliding(last)))).collect();
            peers.insert([0; 32]);
            assigned.sort_unstable();
            assert!(assigned.is_sorted_by(|a, b| a.1 < b.1), "{assigned:?}");
            assert!(assigned.iter().all(|(_, peer)| *peer < u64::MAX));
        }
    }

    #[test]
    fn a_peer_from_a_checkpoint_must_fit_its_feed() {
        let feed = FeedKey::from_bytes(&[3; 32]).unwrap();
        let peer = Peers::default().assign(&feed);
        assert!(Peers::default().adopt(&feed, peer));
        assert!(!Peers::default().adopt(&feed, peer ^ 1 << 40));
        let mut peers = Peers::default();
        assert!(peers.adopt(&feed, peer) && !peers.adopt(&feed, peer));
    }
}
