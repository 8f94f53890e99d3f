//! Blocks on their way behind a feed's tail, and the one place that puts them into a batch: an
//! [`Append`] for those of others, [`append_local`] and [`seal_local`] for own ones.
//!
//! Invariants:
//! - what is appended is decided before a batch is touched: whatever can fail has not failed;
//! - the blocks between two neighbouring kept heads, or behind the last one, fit into one range. So
//!   every block of a feed can be read and proven from any position (`reader.rs` relies on it);
//! - every batch that lengthens a feed also holds the signed head of its new length: what is appended to
//!   an own feed between two commits is sealed once ([`seal_local`]).

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

/// Blocks that may be appended to one feed: its author signed them.
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

impl Append<'_> {
    /// Puts blocks, tree nodes and heads into `batch`.
    pub(crate) fn write(&self, feeds: FeedStore<'_>, batch: &mut Batch, feed: FeedNo) {
        put(feeds, batch, feed, self.start, self.blocks, &self.nodes, &self.kept);
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

/// Puts own `blocks`, at least one, given as exact bytes, into `batch`, with a head at every boundary on
/// the way. Returns the feed's tail, which holds once the batch is sealed and committed. On an error
/// the batch is as it was.
pub(crate) fn append_local(
    feeds: FeedStore<'_>,
    batch: &mut Batch,
    feed: (FeedNo, FeedKey),
    tail: &FeedTail,
    blocks: &[Bytes],
    signer: &dyn Signer,
) -> Result<FeedTail, SignError> {
    assert!(!blocks.is_empty(), "a head is signed for blocks");
    let start = tail.length();
    let mut tail = tail.clone();
    // Half as many on every further level.
    let mut nodes = Vec::with_capacity((blocks.len() >> (NODE_LEVEL_MIN - 1)) + 1);
    let mut kept = Vec::new();
    for block in blocks {
        tail.append(block, TreeNode::collect(&mut nodes));
        if tail.needs_head() {
            kept.push((tail.length(), sign(feed.1, &tail, signer)?));
            tail.head_kept();
        }
    }
    put(feeds, batch, feed.0, start, blocks, &nodes, &kept);
    Ok(tail)
}

/// Signs the end of an own feed and puts its head into `batch`, which holds everything up to there that
/// is not committed yet.
pub(crate) fn seal_local(
    feeds: FeedStore<'_>,
    batch: &mut Batch,
    feed: (FeedNo, FeedKey),
    tail: &FeedTail,
    signer: &dyn Signer,
) -> Result<SignedHead, SignError> {
    let head = sign(feed.1, tail, signer)?;
    feeds.put_latest_head(batch, feed.0, &head);
    Ok(head)
}

fn put(
    feeds: FeedStore<'_>,
    batch: &mut Batch,
    feed: FeedNo,
    start: u64,
    blocks: &[Bytes],
    nodes: &[TreeNode],
    kept: &[(u64, SignedHead)],
) {
    for (seq, block) in (start..).zip(blocks) {
        feeds.put_block(batch, feed, seq, block);
    }
    for node in nodes {
        feeds.put_node(batch, feed, node.level, node.index, node.hash);
    }
    for (length, head) in kept {
        feeds.put_head(batch, feed, *length, head);
    }
}

fn sign(feed: FeedKey, tail: &FeedTail, signer: &dyn Signer) -> Result<SignedHead, SignError> {
    SignedHead::sign(&Head { feed, length: tail.length(), root: tail.root() }, signer)
}
