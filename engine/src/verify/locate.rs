//! Finding the one altered block among several that hash to the wrong root.
//!
//! A tree keeps no hash of a single block, so a wrong root alone only says: one of these. But disks and
//! memory mostly alter a bit or a byte. So every change of one byte is tried, and the one that gives
//! the right root is, with the certainty of the hash, what the block was before.

use bytes::{Bytes, BytesMut};
use systole_proto::Hash;
use systole_proto::merkle::leaf_hash;

/// Bytes hashed at most for changes of one kind, path hashes included: a second or two.
const SEARCH_BYTES_MAX: u64 = 1 << 30;
/// What checking a candidate's path costs, in bytes hashed.
const PATH_BYTES: u64 = 8 * 65;

/// A block as it was before one byte of it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Which of the blocks.
    pub(super) index: usize,
    /// The byte that was changed.
    pub(super) offset: usize,
    /// The block's right bytes.
    pub(super) block: Bytes,
}

/// The block of `blocks`, one byte of which must differ for `fits` to accept the block's hash. Single
/// bits are tried first, then whole bytes, and small blocks before large ones. `None` if no such change
/// is found within bounds.
pub(super) fn one_byte(blocks: &[Bytes], fits: impl Fn(usize, &Hash) -> bool) -> Option<Located> {
    let bits: Vec<u8> = (0..8).map(|bit| 1 << bit).collect();
    let bytes: Vec<u8> = (1..=u8::MAX).rev().filter(|change| !change.is_power_of_two()).collect();
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|index| blocks[*index].len());
    for changes in [bits, bytes] {
        let mut budget = SEARCH_BYTES_MAX;
        for &index in &order {
            let length = blocks[index].len() as u64;
            let cost = length * changes.len() as u64 * (length + PATH_BYTES);
            let Some(left) = budget.checked_sub(cost) else { break };
            budget = left;
            let located = try_changes(&blocks[index], &changes, |hash| fits(index, hash));
            if let Some((offset, block)) = located {
                return Some(Located { index, offset, block });
            }
        }
    }
    None
}

fn try_changes(
    block: &Bytes,
    changes: &[u8],
    fits: impl Fn(&Hash) -> bool,
) -> Option<(usize, Bytes)> {
    let mut tried = BytesMut::from(&block[..]);
    for offset in 0..tried.len() {
        for change in changes {
            tried[offset] ^= change;
            if fits(&leaf_hash(&tried)) {
                return Some((offset, tried.freeze()));
            }
            tried[offset] ^= change;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<Bytes> {
        (0..9u8).map(|n| Bytes::from(vec![n; 30])).collect()
    }

    fn altered(index: usize, change: impl FnOnce(&mut BytesMut)) -> Vec<Bytes> {
        let mut blocks = blocks();
        let mut block = BytesMut::from(&blocks[index][..]);
        change(&mut block);
        blocks[index] = block.freeze();
        blocks
    }

    #[test]
    fn a_changed_byte_is_found_and_undone() {
        let right: Vec<Hash> = blocks().iter().map(|block| leaf_hash(block)).collect();
        for change in [0x10, 0xff, 0x5a] {
            let damaged = altered(4, |block| block[7] ^= change);
            // What a tree can say: the hash is right where the block is the altered one.
            let fits = |index: usize, hash: &Hash| index == 4 && *hash == right[4];
            let found = one_byte(&damaged, fits).unwrap();
            assert_eq!(found, Located { index: 4, offset: 7, block: blocks()[4].clone() });
        }
    }

    #[test]
    fn two_changed_bytes_are_not_found() {
        let right = leaf_hash(&blocks()[4]);
        let damaged = altered(4, |block| (block[7], block[8]) = (1, 2));
        assert_eq!(one_byte(&damaged, |index, hash| index == 4 && *hash == right), None);
    }
}
