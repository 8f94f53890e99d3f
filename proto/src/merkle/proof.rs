//! Checking proofs that came from a stranger: RFC 9162, sections 2.1.3.2 and 2.1.4.2.
//!
//! Costs one or two hashes per element, takes no memory, and refuses a proof with an element too
//! many or too few.

use super::{empty_root, node_hash};
use crate::error::VerifyError;
use crate::ids::Hash;

/// Checks that `leaf` is leaf `seq` of the tree with `length` leaves and root `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    seq: u64,
    length: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), VerifyError> {
    if seq >= length {
        return Err(VerifyError::OutsideTree { seq, length });
    }
    let (mut node, mut last) = (seq, length - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(VerifyError::BadProof);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_lone_levels(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 || hash != *root {
        return Err(VerifyError::BadProof);
    }
    Ok(())
}

/// Checks that the tree with `old_length` leaves and root `old_root` is the beginning of the one
/// with `new_length` leaves and root `new_root`.
pub fn verify_consistency(
    old_length: u64,
    old_root: &Hash,
    new_length: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyError> {
    if old_length > new_length {
        return Err(VerifyError::OutsideTree { seq: old_length, length: new_length });
    }
    if new_length == 0 && *new_root != empty_root() {
        return Err(VerifyError::BadProof);
    }
    if old_length == new_length {
        return accept(proof.is_empty() && old_root == new_root);
    }
    if old_length == 0 {
        return accept(proof.is_empty() && *old_root == empty_root());
    }
    let (mut node, mut last) = (old_length - 1, new_length - 1);
    // A complete old tree is itself the subtree that the path starts from, and is not sent.
    let (first, rest) = if old_length.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(VerifyError::BadProof)?
    };
    let complete = node.trailing_ones();
    (node, last) = (node >> complete, last >> complete);
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(VerifyError::BadProof);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_lone_levels(&mut node, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    accept(last == 0 && old == *old_root && new == *new_root)
}

/// A node at the right edge may have no sibling for some levels: it is its own parent there.
fn skip_lone_levels(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        (*node, *last) = (*node >> 1, *last >> 1);
    }
}

fn accept(holds: bool) -> Result<(), VerifyError> {
    if holds { Ok(()) } else { Err(VerifyError::BadProof) }
}
