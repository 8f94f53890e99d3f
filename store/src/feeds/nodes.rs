//! The Merkle tree of a feed: stored from [`NODE_LEVEL_MIN`] up, recomputed from the blocks below.
//!
//! Storing every node would add two keys of 46 bytes per block; from level 6 up it is one per 32
//! blocks, and what is missing is had by hashing at most 32 blocks (10 µs).

use std::ops::ControlFlow;

use systole_proto::merkle::{self, Nodes};
use systole_proto::{Hash, Peaks};

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::feeds::FeedStore;
use crate::keys;
use crate::numbers::FeedNo;
use crate::record::{Decoder, Encoder};
use crate::store::Store;

/// The lowest level whose nodes are stored.
pub const NODE_LEVEL_MIN: u8 = 6;

const VERSION: u8 = 1;

impl<'a> FeedStore<'a> {
    /// Stores a node of the tree. Levels below [`NODE_LEVEL_MIN`] are not kept, so that a caller may
    /// pass every node that [`Peaks::append`] completes.
    pub fn put_node(&self, batch: &mut Batch, feed: FeedNo, level: u8, index: u64, hash: Hash) {
        if level >= NODE_LEVEL_MIN {
            batch.put_with(Family::Feed, &keys::node(feed, level, index), |out| {
                Encoder::new(out, VERSION).raw(hash.as_bytes());
            });
        }
    }

    /// A stored node.
    pub fn node(&self, feed: FeedNo, level: u8, index: u64) -> Result<Option<Hash>, Error> {
        self.store.value(Family::Feed, &keys::node(feed, level, index), |value| {
            let mut decoder = Decoder::new(&value, VERSION)?;
            let hash = decoder.array()?;
            decoder.finish().map(|()| Hash(hash))
        })
    }

    /// The tree of a feed, lower levels recomputed.
    pub fn nodes(&self, feed: FeedNo) -> FeedNodes<'a> {
        FeedNodes { store: self.store, feed }
    }

    /// The peaks of the tree over the first `length` blocks, which must be there.
    pub fn peaks_at(&self, feed: FeedNo, length: u64) -> Result<Peaks, Error> {
        merkle::peaks_at(&self.nodes(feed), length).map_err(|error| match error {
            merkle::ProofError::Nodes(error) => error,
            outside @ merkle::ProofError::OutsideTree { .. } => {
                Error::corrupt(Family::Block, &keys::block(feed, length), outside)
            }
        })
    }
}

/// The nodes of one feed's tree: [`Nodes`] for proofs. A node whose blocks are not all there is an
/// [`Error::Corrupt`].
#[derive(Clone, Copy, Debug)]
pub struct FeedNodes<'a> {
    store: &'a Store,
    feed: FeedNo,
}

impl Nodes for FeedNodes<'_> {
    type Error = Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Error> {
        if level >= NODE_LEVEL_MIN {
            let stored = self.store.feeds().node(self.feed, level, index)?;
            return stored.ok_or_else(|| {
                let key = keys::node(self.feed, level, index);
                Error::corrupt(Family::Feed, &key, "missing, though its blocks are claimed")
            });
        }
        let count = 1u64 << level;
        let from = index * count;
        // Folding equal-sized subtrees pairwise is what `Peaks` does from an aligned start.
        let mut peaks = Peaks::new();
        let mut root = None;
        self.store.feeds().scan_blocks(self.feed, from, from + count, &mut |seq, block| {
            if seq != from + peaks.length() {
                return ControlFlow::Break(());
            }
            peaks.append(merkle::leaf_hash(block), |_, _, hash| root = Some(hash));
            ControlFlow::Continue(())
        })?;
        match root {
            Some(root) if peaks.length() == count => Ok(root),
            _ => {
                let key = keys::block(self.feed, from + peaks.length());
                Err(Error::corrupt(Family::Block, &key, "missing, though the feed claims it"))
            }
        }
    }
}
