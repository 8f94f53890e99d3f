//! The tree over a feed's chunks, each of them the blocks under one node of the lowest stored level.
//!
//! Invariant: above the chunks, the tree over chunks is the tree over blocks.

use std::ops::ControlFlow;

use systole_proto::merkle::{Nodes, leaf_hash};
use systole_proto::{Hash, Peaks};
use systole_store::{FeedNo, NODE_LEVEL_MIN, Store};

/// Blocks under the lowest node that is stored.
pub(super) const CHUNK: u64 = 1 << NODE_LEVEL_MIN;

/// The tree over a feed's chunks: RFC 6962 splits at powers of two, so that above 64 blocks the tree
/// over blocks is the tree over chunks.
pub(super) struct Chunks<'a> {
    pub(super) store: &'a Store,
    pub(super) feed: FeedNo,
    pub(super) length: u64,
}

impl Nodes for Chunks<'_> {
    type Error = systole_store::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let nodes = self.store.feeds().nodes(self.feed);
        let start = index * CHUNK;
        if level > 0 || start + CHUNK <= self.length {
            return nodes.node(level + NODE_LEVEL_MIN, index);
        }
        let mut hashes = Vec::new();
        self.store.feeds().scan_blocks(self.feed, start, self.length, &mut |_, block| {
            hashes.push(leaf_hash(block));
            ControlFlow::Continue(())
        })?;
        Ok(root(&hashes))
    }
}

/// Root of the tree over `leaves`.
pub(super) fn root(leaves: &[Hash]) -> Hash {
    let mut peaks = Peaks::new();
    leaves.iter().for_each(|leaf| peaks.append(*leaf, |_, _, _| {}));
    peaks.root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_over_chunks_is_the_tree_over_blocks() {
        let leaves: Vec<Hash> = (0..700u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        for length in [1, 63, 64, 65, 128, 129, 192, 255, 256, 257, 640, 700] {
            let leaves = &leaves[..length];
            let mut chunks = Peaks::new();
            for chunk in leaves.chunks(CHUNK as usize) {
                chunks.append(root(chunk), |_, _, _| {});
            }
            assert_eq!(chunks.root(), root(leaves), "length {length}");
        }
    }
}
