//! FeedStore: blocks, trees, heads, causal steps and aliases of every feed.
//!
//! Invariants:
//! - a block's stored bytes are exactly the bytes that were hashed;
//! - whoever writes a block writes the tree nodes that it completes in the same batch, so every
//!   complete subtree of [`NODE_LEVEL_MIN`] or higher is there.

mod alias;
mod head;
mod nodes;
mod step;

use std::ops::ControlFlow;

use bytes::Bytes;

pub use nodes::{FeedNodes, NODE_LEVEL_MIN};
pub use step::CausalStep;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys;
use crate::numbers::FeedNo;
use crate::record::Malformed;
use crate::store::Store;

/// Blocks, trees, heads, causal steps and aliases. A view of a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct FeedStore<'a> {
    store: &'a Store,
}

impl<'a> FeedStore<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Stores the exact bytes of block `seq`. They bring their own version byte.
    pub fn put_block(&self, batch: &mut Batch, feed: FeedNo, seq: u64, block: &[u8]) {
        assert!(!block.is_empty(), "a block has at least its version byte");
        batch.put(Family::Block, &keys::block(feed, seq), block);
    }

    /// The bytes of block `seq`.
    pub fn block(&self, feed: FeedNo, seq: u64) -> Result<Option<Bytes>, Error> {
        self.store.value(Family::Block, &keys::block(feed, seq), Ok)
    }

    /// The bytes of several blocks, in the order asked.
    pub fn blocks(&self, positions: &[(FeedNo, u64)]) -> Result<Vec<Option<Bytes>>, Error> {
        let keys: Vec<_> = positions.iter().map(|(feed, seq)| keys::block(*feed, *seq)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        self.store.backend().multi_get(Family::Block, &keys)
    }

    /// Visits the blocks `[from, to)` of a feed that are there, in order. The bytes live as long as the
    /// call: a visitor that keeps them copies them.
    pub fn scan_blocks(
        &self,
        feed: FeedNo,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let (from, to) = (keys::block(feed, from), keys::block(feed, to));
        let mut failure = None;
        self.store.backend().scan(
            Family::Block,
            &from,
            &to,
            &mut |key, block| match keys::last_u64(key) {
                Some(seq) => visit(seq, block),
                None => {
                    failure = Some(Error::corrupt(Family::Block, key, "short key"));
                    ControlFlow::Break(())
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }
}

/// The number at a key's end.
fn seq_of(key: &[u8]) -> Result<u64, Malformed> {
    keys::last_u64(key).ok_or(Malformed("short key"))
}
