//! Ranges from strangers: what they prove, and whether they continue what we hold.
//!
//! Two halves. [`PreparedRange`] does all that needs no knowledge of the feed's state, on any
//! thread: bounds, the signature, every hash. [`PreparedRange::check`] compares with the tail and
//! decides; it changes nothing, so the same range may come any number of times.
//!
//! Invariants:
//! - an accepted range ends in a head that the feed's author signed, and whose root is that of our
//!   blocks followed by the accepted ones;
//! - an author is accused only with two heads under the author's own signature that no one history
//!   can have: what a third party may have tampered with is no evidence;
//! - blocks that we hold already are never replaced; a range that repeats them must agree with
//!   them.

use bytes::Bytes;
use systole_proto::limits::BLOCK_BYTES_MAX;
use systole_proto::merkle::leaf_hash;
use systole_proto::{DecodeError, FeedKey, Hash, Head, Peaks, Range, SignedHead, VerifyError};

use super::append::{Append, TreeNode};
use super::reader::RANGE_BLOCK_BYTES_MAX;
use super::tail::FeedTail;
use crate::stages::{LiveStages, Stage};

/// A range within bounds, with a head that its author signed, and hashed.
#[derive(Clone, Debug)]
pub(crate) struct PreparedRange {
    range: Range,
    head: Head,
    leaves: Vec<Hash>,
    /// The tree from the range's own peaks to its head's root. Absent if it has no peaks: then the
    /// range proves nothing by itself.
    proof: Option<Fold>,
}

impl PreparedRange {
    /// Checks all that the range says about itself. A range that carries peaks must be proven by
    /// them.
    pub(crate) fn new(range: Range) -> Result<Self, VerifyError> {
        Self::measured(range, &LiveStages::default())
    }

    /// The same; its stages count.
    pub(crate) fn measured(range: Range, stages: &LiveStages) -> Result<Self, VerifyError> {
        range.validate()?;
        check_sizes(&range.blocks)?;
        let mut watch = stages.watch();
        let head = range.head.verify()?;
        watch.lap(Stage::Verify, 1);
        if range.end() != head.length {
            return Err(VerifyError::Unproven { reached: range.end(), needed: head.length });
        }
        let leaves: Vec<Hash> = range.blocks.iter().map(|block| leaf_hash(block)).collect();
        let mut prepared = Self { range, head, leaves, proof: None };
        let range = &prepared.range;
        if range.start == 0 || !range.peaks.is_empty() {
            let before = Peaks::from_hashes(range.start, range.peaks.clone())?;
            let fold = Fold::new(before, &prepared.leaves);
            if fold.after.root() != head.root {
                return Err(VerifyError::BadProof);
            }
            prepared.proof = Some(fold);
        }
        watch.lap(Stage::Hash, prepared.leaves.len() as u64);
        Ok(prepared)
    }

    /// The feed.
    pub(crate) fn feed(&self) -> FeedKey {
        self.head.feed
    }

    /// Position of the first block.
    pub(crate) fn start(&self) -> u64 {
        self.range.start
    }

    /// Position behind the last block: the length that the head signs.
    pub(crate) fn end(&self) -> u64 {
        self.head.length
    }

    /// Compares with a feed that ends in `tail` under our newest head `ours`, absent only if the
    /// feed is empty. `peaks_at` gives the peaks of our own tree at a shorter length.
    pub(crate) fn check<E>(
        &self,
        tail: &FeedTail,
        ours: Option<&SignedHead>,
        mut peaks_at: impl FnMut(u64) -> Result<Peaks, E>,
    ) -> Result<RangeVerdict<'_>, E> {
        let (held, start, end) = (tail.length(), self.start(), self.end());
        assert_eq!(held == 0, ours.is_none(), "a feed that holds blocks has a signed head");
        let mut known = |length| {
            if length == held { Ok(tail.peaks().clone()) } else { peaks_at(length) }
        };
        let forked = || RangeVerdict::Equivocation {
            ours: ours.expect("an empty feed contradicts nothing").clone(),
            theirs: self.range.head.clone(),
        };

        let common = end.min(held);
        let common_root = known(common)?.root();
        if end <= held && common_root != self.head.root {
            return Ok(forked());
        }
        if start > held {
            return Ok(RangeVerdict::Gap { held, start });
        }

        let before = known(start)?;
        let repeated = usize::try_from(common - start).expect("no more than the range's blocks");
        let agrees =
            fold(before.clone(), &self.leaves[..repeated], |_, _, _| {}).root() == common_root;
        // The stateless half did the work already if the range's peaks are our own.
        let fold = match &self.proof {
            Some(proof) if proof.before == before => proof.clone(),
            _ => Fold::new(before, &self.leaves),
        };
        let continues = fold.after.root() == self.head.root;
        Ok(match (continues, agrees) {
            (true, true) if end <= held => RangeVerdict::Duplicate,
            (true, true) => RangeVerdict::Accepted(self.accept(tail, ours, fold)),
            // The same beginning as ours, then other blocks, all of it under the author's
            // signature.
            (true, false) => forked(),
            // The author signed another beginning than ours.
            (false, _) if self.proof.is_some() => forked(),
            (false, _) => RangeVerdict::Inconsistent,
        })
    }

    fn accept(&self, tail: &FeedTail, ours: Option<&SignedHead>, fold: Fold) -> Append<'_> {
        let held = tail.length();
        let repeated =
            usize::try_from(held - self.start()).expect("no more than the range's blocks");
        let blocks = &self.range.blocks[repeated..];
        let bytes = blocks.iter().map(|block| block.len() as u64).sum();
        let (before, mut tail) = (tail, tail.clone());
        tail.advance(fold.after, blocks.len() as u64, bytes);
        let mut kept = Vec::new();
        if tail.needs_head() {
            // The head that we hold is kept too: from the last kept head to the end may be more
            // than one range.
            kept.extend(
                ours.filter(|_| !before.is_at_kept_head()).map(|ours| (held, ours.clone())),
            );
            kept.push((self.end(), self.range.head.clone()));
            tail.head_kept();
        }
        let nodes = fold.nodes.into_iter().filter(|node| node.end() > held).collect();
        Append { start: held, blocks, nodes, kept, head: self.range.head.clone(), tail }
    }
}

/// What a range is to the feed that we hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RangeVerdict<'a> {
    /// It continues the feed. What it repeats is left out.
    Accepted(Append<'a>),
    /// All of it is held already.
    Duplicate,
    /// It begins behind what is held: the blocks between are needed first.
    Gap {
        /// Blocks held.
        held: u64,
        /// Position of the range's first block.
        start: u64,
    },
    /// Its blocks do not lead to the root that the author signed. Who sent it is at fault, not the
    /// author, or the range lacks the peaks that would accuse the author.
    Inconsistent,
    /// The feed's author signed two histories.
    Equivocation {
        /// Our newest head.
        ours: SignedHead,
        /// The head that contradicts it.
        theirs: SignedHead,
    },
}

/// Leaves folded onto a tree.
#[derive(Clone, Debug)]
struct Fold {
    before: Peaks,
    nodes: Vec<TreeNode>,
    after: Peaks,
}

impl Fold {
    fn new(before: Peaks, leaves: &[Hash]) -> Self {
        let mut nodes = Vec::new();
        let after = fold(before.clone(), leaves, TreeNode::collect(&mut nodes));
        Self { before, nodes, after }
    }
}

fn fold(mut peaks: Peaks, leaves: &[Hash], mut on_node: impl FnMut(u8, u64, Hash)) -> Peaks {
    for leaf in leaves {
        peaks.append(*leaf, &mut on_node);
    }
    peaks
}

/// Refuses blocks that no other reader could send on with peaks of its own, what decoding would
/// refuse, and empty blocks, which a store cannot tell from missing ones.
fn check_sizes(blocks: &[Bytes]) -> Result<(), DecodeError> {
    let too_long = |what, bytes, bytes_max| Err(DecodeError::TooLong { what, bytes, bytes_max });
    let mut total = 0;
    for block in blocks {
        if block.is_empty() {
            return Err(DecodeError::Empty { what: "block" });
        }
        if block.len() > BLOCK_BYTES_MAX {
            return too_long("block", block.len(), BLOCK_BYTES_MAX);
        }
        total += block.len();
    }
    if total > RANGE_BLOCK_BYTES_MAX {
        return too_long("blocks of a range", total, RANGE_BLOCK_BYTES_MAX);
    }
    Ok(())
}
