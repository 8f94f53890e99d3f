//! Roots and proofs folded from stored nodes.
//!
//! Only complete subtrees are asked for, at most about two per level.

use std::fmt;

use super::{Peaks, empty_root, node_hash};
use crate::ids::Hash;
use crate::limits::FEED_LENGTH_MAX;

/// Where the nodes of complete subtrees are kept.
pub trait Nodes {
    /// Why a node cannot be had.
    type Error;

    /// The node over leaves `index`·2^`level` to (`index`+1)·2^`level` - 1; level 0 is the leaf.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}

/// The peaks of the tree over the first `length` leaves.
pub fn peaks_at<N: Nodes>(nodes: &N, length: u64) -> Result<Peaks, ProofError<N::Error>> {
    check(length, length)?;
    let mut hashes = Vec::with_capacity(length.count_ones() as usize);
    let mut start = 0;
    while start < length {
        let level = (length - start).ilog2();
        hashes.push(nodes.node(level as u8, start >> level).map_err(ProofError::Nodes)?);
        start += 1 << level;
    }
    Ok(Peaks::from_hashes(length, hashes).expect("one hash per bit of a length within bounds"))
}

/// The root of the tree over the first `length` leaves.
pub fn root_at<N: Nodes>(nodes: &N, length: u64) -> Result<Hash, ProofError<N::Error>> {
    check(length, length)?;
    subtree(nodes, 0, length).map_err(ProofError::Nodes)
}

/// The hashes that prove leaf `seq` in the tree over the first `length` leaves: RFC 6962's audit
/// path.
pub fn inclusion_proof<N: Nodes>(
    nodes: &N,
    seq: u64,
    length: u64,
) -> Result<Vec<Hash>, ProofError<N::Error>> {
    check(length, length)?;
    if seq >= length {
        return Err(ProofError::OutsideTree { position: seq, length });
    }
    // From the root down to the leaf, then turned round: the RFC lists the deepest hash first.
    let (mut start, mut count) = (0, length);
    let mut proof = Vec::new();
    while count > 1 {
        let left = split(count);
        let sibling = if seq < start + left {
            let sibling = subtree(nodes, start + left, count - left);
            count = left;
            sibling
        } else {
            let sibling = subtree(nodes, start, left);
            (start, count) = (start + left, count - left);
            sibling
        };
        proof.push(sibling.map_err(ProofError::Nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that prove the tree over the first `old` leaves to be the beginning of the one over
/// the first `new`: RFC 6962's consistency proof. Empty if `old` is 0 or equals `new`.
pub fn consistency_proof<N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProofError<N::Error>> {
    check(old, new)?;
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut start, mut count) = (0, new);
    let mut proof = Vec::new();
    while start + count != old {
        let left = split(count);
        let sibling = if old <= start + left {
            let sibling = subtree(nodes, start + left, count - left);
            count = left;
            sibling
        } else {
            let sibling = subtree(nodes, start, left);
            (start, count) = (start + left, count - left);
            sibling
        };
        proof.push(sibling.map_err(ProofError::Nodes)?);
    }
    // The verifier knows the old root; only a subtree that is not the whole old tree must be sent.
    if start != 0 {
        proof.push(subtree(nodes, start, count).map_err(ProofError::Nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root over `count` leaves from `start`, which the RFC's splits keep aligned to the subtrees.
fn subtree<N: Nodes>(nodes: &N, start: u64, count: u64) -> Result<Hash, N::Error> {
    if count == 0 {
        return Ok(empty_root());
    }
    if count.is_power_of_two() {
        let level = count.ilog2();
        return nodes.node(level as u8, start >> level);
    }
    let left = split(count);
    Ok(node_hash(&subtree(nodes, start, left)?, &subtree(nodes, start + left, count - left)?))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

fn check<E>(position: u64, length: u64) -> Result<(), ProofError<E>> {
    if position > length || length > FEED_LENGTH_MAX {
        return Err(ProofError::OutsideTree { position, length });
    }
    Ok(())
}

/// Why a root or a proof cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofError<E> {
    /// The position lies outside the tree, or the tree is larger than any feed.
    OutsideTree {
        /// The position asked for.
        position: u64,
        /// Leaves of the tree.
        length: u64,
    },
    /// A node cannot be had.
    Nodes(E),
}

impl<E> fmt::Display for ProofError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideTree { position, length } => {
                write!(f, "position {position} lies outside a tree of {length} leaves")
            }
            Self::Nodes(_) => write!(f, "tree node cannot be read"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ProofError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OutsideTree { .. } => None,
            Self::Nodes(error) => Some(error),
        }
    }
}
