//! Roots of feeds at the lengths that links name, without hashing a feed again for each.
//!
//! Links mostly rise along the feed they name, so per feed the tree is kept at the last length asked
//! for, together with the hashes of that chunk's blocks.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use lru::LruCache;
use systole_proto::merkle::leaf_hash;
use systole_proto::{Hash, Peaks};
use systole_store::{Error, FeedNo, Store};

use super::chunks::CHUNK;

/// Feeds whose trees are kept at hand: some kilobytes each.
const FEEDS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not 0");

/// Roots of feeds in a store.
pub(super) struct Roots {
    store: Store,
    feeds: LruCache<FeedNo, Cursor>,
}

/// One feed's tree somewhere within a chunk.
struct Cursor {
    /// Position of the chunk's first block.
    start: u64,
    before: Peaks,
    /// Of the chunk's blocks that there are.
    leaves: Vec<Hash>,
    /// The tree at the last length asked for.
    last: Peaks,
}

impl Roots {
    pub(super) fn new(store: Store) -> Self {
        Self { store, feeds: LruCache::new(FEEDS_MAX) }
    }

    /// The root of `feed` at `length`, which is not 0; none if not all of its blocks are there.
    pub(super) fn root(&mut self, feed: FeedNo, length: u64) -> Result<Option<Hash>, Error> {
        let start = (length - 1) / CHUNK * CHUNK;
        if self.feeds.get(&feed).is_none_or(|cursor| cursor.start != start) {
            let cursor = self.load(feed, start)?;
            self.feeds.put(feed, cursor);
        }
        let cursor = self.feeds.get_mut(&feed).expect("just loaded");
        if cursor.last.length() > length {
            cursor.last = cursor.before.clone();
        }
        let from = (cursor.last.length() - start) as usize;
        let to = (length - start) as usize;
        let Some(leaves) = cursor.leaves.get(from..to) else { return Ok(None) };
        leaves.iter().for_each(|leaf| cursor.last.append(*leaf, |_, _, _| {}));
        Ok(Some(cursor.last.root()))
    }

    fn load(&self, feed: FeedNo, start: u64) -> Result<Cursor, Error> {
        let feeds = self.store.feeds();
        let before = feeds.peaks_at(feed, start)?;
        let mut leaves = Vec::with_capacity(CHUNK as usize);
        feeds.scan_blocks(feed, start, start + CHUNK, &mut |seq, block| {
            if seq != start + leaves.len() as u64 {
                return ControlFlow::Break(());
            }
            leaves.push(leaf_hash(block));
            ControlFlow::Continue(())
        })?;
        Ok(Cursor { start, last: before.clone(), before, leaves })
    }
}

#[cfg(test)]
mod tests {
    use systole_store::{Batch, Durability};

    use super::*;

    #[test]
    fn roots_are_right_in_whatever_order_they_are_asked_for() {
        let (store, feed, mut batch) = (Store::memory(), FeedNo(1), Batch::new());
        let (mut tree, mut expected) = (Peaks::new(), Vec::new());
        for seq in 0..300u64 {
            let block = seq.to_be_bytes();
            store.feeds().put_block(&mut batch, feed, seq, &block);
            tree.append(leaf_hash(&block), |level, index, hash| {
                store.feeds().put_node(&mut batch, feed, level, index, hash);
            });
            expected.push(tree.root());
        }
        store.commit(batch, Durability::Buffered).unwrap();
        let mut roots = Roots::new(store);
        for length in [1, 2, 60, 64, 65, 3, 128, 127, 300, 299, 64] {
            assert_eq!(roots.root(feed, length).unwrap(), Some(expected[length as usize - 1]));
        }
        assert_eq!(roots.root(feed, 301).unwrap(), None);
    }
}
