//! `Append`: blocks on their way behind a feed's tail, and the one place that puts them into a
//! batch.
//!
//! Invariants:
//! - an `Append` is decided before a batch is touched: whatever can fail has not failed;
//! - the blocks between two neighbouring kept heads, or behind the last one, fit into one range. So
//!   every block of a feed can be read and proven from any position (`reader.rs` relies on it);
//! - every batch that lengthens a feed also holds the signed head of its new length.

use bytes::Bytes;
use systole_proto::{FeedKey, Hash, Head, SignError, SignedHead, Signer};
use systole_store::{Batch, FeedNo, FeedStore, NODE_LEVEL_MIN};

use super::tail::FeedTail;

/// A node of the feed's tree that is complete for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeNode {
    pub(super) level: u8,
    pub(super) index: u64,
    pub(super) hash: Hash,
}

impl TreeNode {
    /// Collects the nodes that are stored: those near the leaves are cheaper to hash again.
    pub(super) fn collect(into: &mut Vec<Self>) -> impl FnMut(u8, u64, Hash) {
        |level, index, hash| {
            if level >= NODE_LEVEL_MIN {
                into.push(Self { level, index, hash });
            }
        }
    }

    /// Position behind the last leaf under the node.
    pub(super) fn end(&self) -> u64 {
        (self.index + 1) << self.level
    }
}

/// Blocks that may be appended to one feed: written by ourselves, or accepted from its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Append<'a> {
    pub(super) start: u64,
    pub(super) blocks: &'a [Bytes],
    pub(super) nodes: Vec<TreeNode>,
    /// Heads to keep, in the order of their lengths.
    pub(super) kept: Vec<(u64, SignedHead)>,
    pub(super) head: SignedHead,
    pub(super) tail: FeedTail,
}

impl<'a> Append<'a> {
    /// Plans to append `blocks`, at least one, given as exact bytes, to the own feed `feed` that
    /// ends in `tail`. Signs the head at the end, and one at every boundary on the way.
    pub(crate) fn local(
        feed: FeedKey,
        tail: &FeedTail,
        blocks: &'a [Bytes],
        signer: &dyn Signer,
    ) -> Result<Self, SignError> {
        assert!(!blocks.is_empty(), "a head is signed for blocks");
        let start = tail.length();
        let mut tail = tail.clone();
        let (mut nodes, mut kept) = (Vec::new(), Vec::new());
        for block in blocks {
            tail.append(block, TreeNode::collect(&mut nodes));
            if tail.needs_head() {
                kept.push((tail.length(), sign(feed, &tail, signer)?));
                tail.head_kept();
            }
        }
        let head = match kept.last() {
            Some((length, head)) if *length == tail.length() => head.clone(),
            _ => sign(feed, &tail, signer)?,
        };
        Ok(Self { start, blocks, nodes, kept, head, tail })
    }

    /// Puts blocks, tree nodes and heads into `batch`.
    pub(crate) fn write(&self, feeds: FeedStore<'_>, batch: &mut Batch, feed: FeedNo) {
        for (seq, block) in (self.start..).zip(self.blocks) {
            feeds.put_block(batch, feed, seq, block);
        }
        for node in &self.nodes {
            feeds.put_node(batch, feed, node.level, node.index, node.hash);
        }
        for (length, head) in &self.kept {
            feeds.put_head(batch, feed, *length, head);
        }
        feeds.put_latest_head(batch, feed, &self.head);
    }

    /// The signed head of the new length.
    pub(crate) fn head(&self) -> &SignedHead {
        &self.head
    }

    /// The feed's tail once the batch is committed.
    pub(crate) fn into_tail(self) -> FeedTail {
        self.tail
    }
}

/// Puts own `blocks`, at least one, into `batch`. Returns the feed's tail and signed head, which
/// hold once the batch is committed. On an error the batch is as it was.
pub(crate) fn append_local(
    feeds: FeedStore<'_>,
    batch: &mut Batch,
    feed: (FeedNo, FeedKey),
    tail: &FeedTail,
    blocks: &[Bytes],
    signer: &dyn Signer,
) -> Result<(FeedTail, SignedHead), SignError> {
    let append = Append::local(feed.1, tail, blocks, signer)?;
    append.write(feeds, batch, feed.0);
    Ok((append.tail, append.head))
}

fn sign(feed: FeedKey, tail: &FeedTail, signer: &dyn Signer) -> Result<SignedHead, SignError> {
    SignedHead::sign(&Head { feed, length: tail.length(), root: tail.root() }, signer)
}
