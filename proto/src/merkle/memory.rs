//! `MemoryNodes`: a tree kept in memory, for tests and simulations.

use std::fmt;

use super::{Nodes, Peaks};
use crate::ids::Hash;

/// All complete subtrees of a growing tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryNodes {
    peaks: Peaks,
    levels: Vec<Vec<Hash>>,
}

impl MemoryNodes {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { peaks: Peaks::new(), levels: Vec::new() }
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.peaks.append(leaf, |level, index, hash| {
            let level = usize::from(level);
            if levels.len() == level {
                levels.push(Vec::new());
            }
            assert_eq!(levels[level].len() as u64, index, "subtrees complete from left to right");
            levels[level].push(hash);
        });
    }

    /// The peaks of the whole tree.
    pub const fn peaks(&self) -> &Peaks {
        &self.peaks
    }
}

impl FromIterator<Hash> for MemoryNodes {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut nodes = Self::new();
        leaves.into_iter().for_each(|leaf| nodes.append(leaf));
        nodes
    }
}

impl Nodes for MemoryNodes {
    type Error = MissingNode;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MissingNode> {
        let found = self
            .levels
            .get(usize::from(level))
            .and_then(|hashes| hashes.get(usize::try_from(index).ok()?));
        found.copied().ok_or(MissingNode { level, index })
    }
}

/// A node over leaves that the tree does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingNode {
    /// Level of the node.
    pub level: u8,
    /// Index of the node within its level.
    pub index: u64,
}

impl fmt::Display for MissingNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tree has no node {} at level {}", self.index, self.level)
    }
}

impl std::error::Error for MissingNode {}
