//! `FeedTail`: all of a feed that appending to it needs.
//!
//! Invariant: the counters say how many blocks and bytes were appended behind the last kept head,
//! so whoever appends keeps a head before a reader would have to carry more than one step to reach
//! a signature.

use systole_proto::merkle::leaf_hash;
use systole_proto::{Hash, Peaks};

/// Blocks behind a kept head after which the next head is kept.
pub(crate) const HEAD_STEP_BLOCKS: u64 = 1024;
/// Bytes of blocks behind a kept head after which the next head is kept.
pub(crate) const HEAD_STEP_BYTES: u64 = 100 * 1024;

/// The end of a feed: the tree's peaks, and what lies behind the last kept head. The default is the
/// empty feed's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedTail {
    peaks: Peaks,
    blocks_behind: u64,
    bytes_behind: u64,
}

impl FeedTail {
    /// The tail of a feed with these peaks, `blocks_behind` of whose blocks with `bytes_behind`
    /// bytes follow its last kept head.
    pub(crate) fn resume(peaks: Peaks, blocks_behind: u64, bytes_behind: u64) -> Self {
        assert!(blocks_behind <= peaks.length(), "a feed holds what follows its last kept head");
        Self { peaks, blocks_behind, bytes_behind }
    }

    /// Appends a block, given as its exact bytes, and tells every tree node that it completes.
    pub(crate) fn append(&mut self, block: &[u8], on_node: impl FnMut(u8, u64, Hash)) {
        self.peaks.append(leaf_hash(block), on_node);
        self.count(1, block.len() as u64);
    }

    /// Appends `blocks` blocks of `bytes` bytes that were folded elsewhere; `peaks` stand over them
    /// all.
    pub(crate) fn advance(&mut self, peaks: Peaks, blocks: u64, bytes: u64) {
        assert_eq!(self.length() + blocks, peaks.length(), "peaks stand over every block");
        self.peaks = peaks;
        self.count(blocks, bytes);
    }

    /// Notes that the head at this length is kept for ever.
    pub(crate) fn head_kept(&mut self) {
        (self.blocks_behind, self.bytes_behind) = (0, 0);
    }

    /// Whether the head at this length must be kept.
    pub(crate) fn needs_head(&self) -> bool {
        self.blocks_behind >= HEAD_STEP_BLOCKS || self.bytes_behind >= HEAD_STEP_BYTES
    }

    /// Whether the head at this length is kept. That of the empty feed needs no keeping.
    pub(crate) fn is_at_kept_head(&self) -> bool {
        self.blocks_behind == 0
    }

    /// Blocks of the feed.
    pub(crate) fn length(&self) -> u64 {
        self.peaks.length()
    }

    /// Root of the tree over them.
    pub(crate) fn root(&self) -> Hash {
        self.peaks.root()
    }

    /// Peaks of the tree over them.
    pub(crate) fn peaks(&self) -> &Peaks {
        &self.peaks
    }

    fn count(&mut self, blocks: u64, bytes: u64) {
        self.blocks_behind += blocks;
        self.bytes_behind += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(blocks: u64, bytes: usize) -> FeedTail {
        let mut tail = FeedTail::default();
        (0..blocks).for_each(|_| tail.append(&vec![1; bytes], |_, _, _| {}));
        tail
    }

    #[test]
    fn a_head_is_due_at_the_block_boundary() {
        assert!(!filled(HEAD_STEP_BLOCKS - 1, 1).needs_head());
        assert!(filled(HEAD_STEP_BLOCKS, 1).needs_head());
    }

    #[test]
    fn a_head_is_due_at_the_byte_boundary() {
        let step = HEAD_STEP_BYTES as usize;
        assert!(!filled(1, step - 1).needs_head());
        assert!(filled(1, step).needs_head());
        assert!(filled(2, step / 2).needs_head());
    }

    #[test]
    fn a_kept_head_starts_the_next_step() {
        let mut tail = filled(HEAD_STEP_BLOCKS, 1);
        assert!(!tail.is_at_kept_head());
        tail.head_kept();
        assert!(tail.is_at_kept_head() && !tail.needs_head());
        assert_eq!(tail.length(), HEAD_STEP_BLOCKS);
    }

    #[test]
    fn advancing_equals_appending_one_by_one() {
        let one_by_one = filled(7, 10);
        let mut advanced = filled(3, 10);
        advanced.advance(one_by_one.peaks().clone(), 4, 40);
        assert_eq!(advanced, one_by_one);
    }
}
