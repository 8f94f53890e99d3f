//! The Merkle tree of a feed: RFC 6962's tree over blocks, with BLAKE3.
//!
//! leaf = H(0x00 ‖ block), node = H(0x01 ‖ left ‖ right), root of the empty tree = H(""). The
//! prefixes keep a node from passing as a block. Node (level, index) stands over leaves
//! index·2^level to (index+1)·2^level - 1 and exists once they all do: such nodes never change, so
//! they are stored, and everything else is folded from them.

mod memory;
mod nodes;
mod peaks;
mod proof;

pub use memory::{MemoryNodes, MissingNode};
pub use nodes::{Nodes, ProofError, consistency_proof, inclusion_proof, peaks_at, root_at};
pub use peaks::Peaks;
pub use proof::{verify_consistency, verify_inclusion};

use crate::ids::Hash;

/// The hash of a block's exact bytes.
pub fn leaf_hash(block: &[u8]) -> Hash {
    Hash(*blake3::Hasher::new().update(&[0]).update(block).finalize().as_bytes())
}

/// The hash of the node over `left` and `right`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * Hash::BYTES];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    Hash(*blake3::hash(&bytes).as_bytes())
}

/// The root of the tree without leaves.
pub fn empty_root() -> Hash {
    Hash(*blake3::hash(b"").as_bytes())
}
