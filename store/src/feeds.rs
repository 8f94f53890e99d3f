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

use crate::backend::Caching;
use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys;
use crate::numbers::FeedNo;
use crate::record::Malformed;
use crate::store::Store;

/// Blocks that are passed rather than searched behind, where some of a feed are read: a search costs as
/// much as some ten of them.
const PASSED_MAX: u64 = 8;

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

    /// Visits the blocks at `positions`, which rise, that are there, each with its place in `positions`.
    /// What lies close together is read in one go. The bytes live as long as the call.
    pub fn visit_blocks(
        &self,
        positions: &[(FeedNo, u64)],
        caching: Caching,
        visit: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let near = |a: &(FeedNo, u64), b: &(FeedNo, u64)| a.0 == b.0 && b.1 - a.1 <= PASSED_MAX;
        let runs: Vec<_> = positions
            .chunk_by(near)
            .map(|run| {
                let ((feed, first), (_, last)) = (run[0], run[run.len() - 1]);
                (keys::block(feed, first), keys::after_prefix(&keys::block(feed, last)))
            })
            .collect();
        let ranges: Vec<_> = runs.iter().map(|(from, to)| (&from[..], &to[..])).collect();
        let (mut next, mut stopped) = (0, false);
        let mut failure = None;
        self.store.backend().scan_ranges(
            Family::Block,
            &ranges,
            caching,
            &mut |_, key, block| {
                let Some(position) = keys::block_position(key) else {
                    failure = Some(Error::corrupt(Family::Block, key, "short key"));
                    return ControlFlow::Break(());
                };
                while positions.get(next).is_some_and(|wanted| *wanted < position) {
                    next += 1;
                }
                if !stopped && positions.get(next) == Some(&position) {
                    stopped = visit(next, block).is_break();
                }
                if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        )?;
        failure.map_or(Ok(()), Err)
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
