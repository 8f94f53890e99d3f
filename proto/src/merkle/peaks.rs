//! `Peaks`: all of a tree that appending to it needs.
//!
//! Invariant: one hash per bit set in the length, the largest subtree first.

use super::{empty_root, node_hash};
use crate::error::DecodeError;
use crate::ids::Hash;
use crate::limits::FEED_LENGTH_MAX;

/// The roots of the complete subtrees that a tree of some length consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    length: u64,
    hashes: Vec<Hash>,
}

impl Peaks {
    /// The peaks of the empty tree.
    pub const fn new() -> Self {
        Self { length: 0, hashes: Vec::new() }
    }

    /// The peaks of a tree of `length` leaves, largest subtree first. Whether they are the right
    /// hashes shows when the root is compared.
    pub fn from_hashes(length: u64, hashes: Vec<Hash>) -> Result<Self, DecodeError> {
        if length > FEED_LENGTH_MAX {
            return Err(DecodeError::OutOfRange { what: "length of a feed", found: length });
        }
        let expected = length.count_ones() as usize;
        if hashes.len() != expected {
            return Err(DecodeError::WrongSize { what: "peaks", found: hashes.len(), expected });
        }
        Ok(Self { length, hashes })
    }

    /// Appends a leaf and calls `completed` with level, index and hash of every node that it
    /// completes, the leaf itself first. Hashes one node per call on average.
    ///
    /// # Panics
    /// If the tree has [`FEED_LENGTH_MAX`] leaves.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        assert!(self.length < FEED_LENGTH_MAX, "a feed is full");
        completed(0, self.length, leaf);
        let mut hash = leaf;
        for level in 1..=self.length.trailing_ones() {
            let left = self.hashes.pop().expect("one peak per bit of the length");
            hash = node_hash(&left, &hash);
            completed(level as u8, self.length >> level, hash);
        }
        self.hashes.push(hash);
        self.length += 1;
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        let folded =
            self.hashes.iter().copied().rev().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }

    /// Leaves of the tree.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The hashes, largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}
