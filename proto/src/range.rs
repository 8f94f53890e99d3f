//! `Range`: consecutive blocks of one feed in transit, with what proves them.
//!
//! A range that ends at its head's length is proven by the head alone: fold the blocks onto the
//! tree before them and compare the root. One that ends earlier is a piece of a longer run to the
//! same head.
//!
//! Blocks are slices of the range's bytes and keep all of them alive. Decoding reserves at most 512
//! KiB beyond the bytes it was given.

use bytes::Bytes;

use crate::error::{DecodeError, VerifyError};
use crate::frame::{self, Rule};
use crate::head::{Head, SignedHead};
use crate::ids::{FeedKey, Hash};
use crate::limits::{
    BLOCK_BYTES_MAX, FEED_LENGTH_MAX, PEAKS_MAX, RANGE_BLOCKS_MAX, RANGE_BYTES_MAX,
    SIGNED_HEAD_BYTES_MAX,
};
use crate::merkle::{Peaks, leaf_hash};
use crate::wire;

const WHAT: &str = "range";
const RULES: &[Rule] = &[
    Rule::once(1, "feed key", FeedKey::BYTES),
    Rule::once(2, "start of a range", 0),
    Rule::list(3, "blocks", RANGE_BLOCKS_MAX, BLOCK_BYTES_MAX),
    Rule::once(4, "signed head", SIGNED_HEAD_BYTES_MAX),
    Rule::list(5, "peaks", PEAKS_MAX, Hash::BYTES),
];

/// Blocks `start` and following of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The feed.
    pub feed: FeedKey,
    /// Position of the first block.
    pub start: u64,
    /// The blocks' exact bytes; at least one.
    pub blocks: Vec<Bytes>,
    /// A head at or behind the end of the range.
    pub head: SignedHead,
    /// Peaks of the tree over the blocks before `start`; empty if the reader has them.
    pub peaks: Vec<Hash>,
}

impl Range {
    /// The range's bytes.
    pub fn encode(&self) -> Bytes {
        let peak = |peak: &Hash| Bytes::copy_from_slice(peak.as_bytes());
        let message = wire::Range {
            feed: Bytes::copy_from_slice(self.feed.as_bytes()),
            start: self.start,
            blocks: self.blocks.clone(),
            head: Some(self.head.to_wire()),
            peaks: self.peaks.iter().map(peak).collect(),
        };
        frame::seal(&message).into()
    }

    /// The range in `bytes`, if its parts fit together. Nothing is proven yet.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message: wire::Range = frame::open(&bytes, WHAT, RANGE_BYTES_MAX, RULES)?;
        let head = message.head.ok_or(DecodeError::Missing { what: "signed head" })?;
        let peaks = message.peaks.iter().map(|peak| Hash::from_bytes(peak));
        let range = Self {
            feed: FeedKey::from_bytes(&message.feed)?,
            start: message.start,
            head: SignedHead::from_wire(head)?,
            peaks: peaks.collect::<Result<_, DecodeError>>()?,
            blocks: message.blocks,
        };
        range.validate()?;
        Ok(range)
    }

    /// Checks that the parts fit together: counts within bounds, the head of this feed and not
    /// before the end, the number of peaks that `start` asks for.
    pub fn validate(&self) -> Result<(), DecodeError> {
        let count = self.blocks.len();
        if count == 0 {
            return Err(DecodeError::Missing { what: "blocks" });
        }
        if count > RANGE_BLOCKS_MAX {
            let count_max = RANGE_BLOCKS_MAX;
            return Err(DecodeError::TooMany { what: "blocks", count, count_max });
        }
        if self.start > FEED_LENGTH_MAX {
            return Err(DecodeError::OutOfRange { what: "start of a range", found: self.start });
        }
        let head = self.head.decode_unverified()?;
        if head.feed != self.feed {
            return Err(DecodeError::Contradiction { what: "feeds of a range and its head" });
        }
        if self.end() > head.length {
            return Err(DecodeError::Contradiction { what: "end of a range and its head" });
        }
        if !self.peaks.is_empty() {
            Peaks::from_hashes(self.start, self.peaks.clone())?;
        }
        Ok(())
    }

    /// Position behind the last block.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.blocks.len() as u64)
    }

    /// Proves the range from what it carries, and gives the head and the peaks at its end. Needs
    /// the range to end at the head's length, and peaks unless it starts at 0.
    pub fn verify(&self) -> Result<(Head, Peaks), VerifyError> {
        if self.start > 0 && self.peaks.is_empty() {
            return Err(VerifyError::Unproven { reached: 0, needed: self.start });
        }
        self.verify_onto(Peaks::from_hashes(self.start, self.peaks.clone())?)
    }

    /// Proves the range as the continuation of the tree that `before` stands for, and gives the
    /// head and the peaks at its end. Needs the range to end at the head's length.
    pub fn verify_onto(&self, before: Peaks) -> Result<(Head, Peaks), VerifyError> {
        let head = self.head.verify()?;
        if head.feed != self.feed {
            return Err(VerifyError::WrongFeed);
        }
        if before.length() != self.start {
            let (reached, needed) = (before.length(), self.start);
            return Err(VerifyError::Unproven { reached, needed });
        }
        if self.end() != head.length {
            return Err(VerifyError::Unproven { reached: self.end(), needed: head.length });
        }
        let mut peaks = before;
        for block in &self.blocks {
            peaks.append(leaf_hash(block), |_, _, _| {});
        }
        if peaks.root() != head.root {
            return Err(VerifyError::BadProof);
        }
        Ok((head, peaks))
    }
}
