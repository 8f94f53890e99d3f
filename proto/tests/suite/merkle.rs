//! The tree against RFC 6962 written down word for word, for every size up to 70.

use systole_proto::merkle::{
    MemoryNodes, MissingNode, Nodes, ProofError, consistency_proof, empty_root, inclusion_proof,
    leaf_hash, node_hash, peaks_at, root_at, verify_consistency, verify_inclusion,
};
use systole_proto::{DecodeError, Hash, Peaks, VerifyError};

const SIZE_MAX: u64 = 70;

/// The RFC's functions over a list of blocks.
mod rfc {
    use systole_proto::Hash;

    fn hash(parts: &[&[u8]]) -> Hash {
        Hash(*blake3::hash(&parts.concat()).as_bytes())
    }

    /// The largest power of two smaller than `n`.
    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(d: &[Vec<u8>]) -> Hash {
        match d {
            [] => hash(&[]),
            [one] => hash(&[&[0], one]),
            _ => {
                let (left, right) = d.split_at(k(d.len()));
                hash(&[&[1], &mth(left).0, &mth(right).0])
            }
        }
    }

    pub(super) fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        if d.len() == 1 {
            return Vec::new();
        }
        let (left, right) = d.split_at(k(d.len()));
        if m < left.len() {
            [path(m, left), vec![mth(right)]].concat()
        } else {
            [path(m - left.len(), right), vec![mth(left)]].concat()
        }
    }

    pub(super) fn proof(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        subproof(m, d, true)
    }

    fn subproof(m: usize, d: &[Vec<u8>], known: bool) -> Vec<Hash> {
        if m == d.len() {
            return if known { Vec::new() } else { vec![mth(d)] };
        }
        let (left, right) = d.split_at(k(d.len()));
        if m <= left.len() {
            [subproof(m, left, known), vec![mth(right)]].concat()
        } else {
            [subproof(m - left.len(), right, false), vec![mth(left)]].concat()
        }
    }

    /// On which side each element of `path` stands: what a verifier can tell two lengths apart by.
    pub(super) fn path_sides(m: usize, n: usize) -> Vec<bool> {
        if n == 1 {
            return Vec::new();
        }
        if m < k(n) {
            [path_sides(m, k(n)), vec![true]].concat()
        } else {
            [path_sides(m - k(n), n - k(n)), vec![false]].concat()
        }
    }
}

fn blocks(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|seq| format!("block {seq}").into_bytes()).collect()
}

fn nodes(blocks: &[Vec<u8>]) -> MemoryNodes {
    blocks.iter().map(|block| leaf_hash(block)).collect()
}

fn flipped(hash: &Hash) -> Hash {
    let mut flipped = *hash;
    flipped.0[31] ^= 1;
    flipped
}

/// Every proof that differs from `proof` in one element.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        let mut changed = proof.to_vec();
        changed[at] = flipped(&proof[at]);
        all.push(changed);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
    }
    for at in 0..=proof.len() {
        for extra in [Hash([0; 32]), empty_root()] {
            let mut longer = proof.to_vec();
            longer.insert(at, extra);
            all.push(longer);
        }
    }
    for at in 1..proof.len() {
        let mut swapped = proof.to_vec();
        swapped.swap(at - 1, at);
        all.push(swapped);
    }
    all
}

#[test]
fn roots_equal_the_rfcs_for_every_size() {
    let blocks = blocks(SIZE_MAX);
    let nodes = nodes(&blocks);
    let mut growing = Peaks::new();
    for length in 0..=SIZE_MAX {
        let expected = rfc::mth(&blocks[..length as usize]);
        assert_eq!(growing.root(), expected);
        assert_eq!(root_at(&nodes, length), Ok(expected));
        assert_eq!(peaks_at(&nodes, length), Ok(growing.clone()));
        let copied = Peaks::from_hashes(length, growing.hashes().to_vec());
        assert_eq!(copied, Ok(growing.clone()));
        if length < SIZE_MAX {
            growing.append(leaf_hash(&blocks[length as usize]), |_, _, _| {});
        }
    }
}

#[test]
fn appending_reports_every_complete_subtree_once_and_children_first() {
    let blocks = blocks(SIZE_MAX);
    let mut peaks = Peaks::new();
    let mut reported = Vec::new();
    for (seq, block) in blocks.iter().enumerate() {
        let before = reported.len();
        peaks.append(leaf_hash(block), |level, index, hash| reported.push((level, index, hash)));
        assert_eq!(reported[before], (0, seq as u64, leaf_hash(block)));
        assert!(reported[before..].is_sorted_by(|a, b| a.0 + 1 == b.0));
    }
    for (level, index, hash) in &reported {
        let start = (*index << level) as usize;
        assert_eq!(*hash, rfc::mth(&blocks[start..start + (1 << level)]));
    }
    let complete: u64 = (0..7).map(|level| SIZE_MAX >> level).sum();
    assert_eq!(reported.len() as u64, complete);
}

#[test]
fn inclusion_proofs_are_the_rfcs_and_prove_nothing_else() {
    for length in 1..=SIZE_MAX {
        let blocks = blocks(length);
        let nodes = nodes(&blocks);
        let root = rfc::mth(&blocks);
        for seq in 0..length {
            let proof = inclusion_proof(&nodes, seq, length).unwrap();
            assert_eq!(proof, rfc::path(seq as usize, &blocks));
            let leaf = leaf_hash(&blocks[seq as usize]);
            assert_eq!(verify_inclusion(&leaf, seq, length, &proof, &root), Ok(()));
            let refused = Err(VerifyError::BadProof);
            assert_eq!(verify_inclusion(&flipped(&leaf), seq, length, &proof, &root), refused);
            assert_eq!(verify_inclusion(&leaf, seq, length, &proof, &flipped(&root)), refused);
            for proof in altered(&proof) {
                assert_eq!(verify_inclusion(&leaf, seq, length, &proof, &root), refused);
            }
            for other in (0..length).filter(|&other| other != seq) {
                assert_eq!(verify_inclusion(&leaf, other, length, &proof, &root), refused);
            }
        }
    }
}

#[test]
fn an_inclusion_proof_for_another_length_passes_only_if_the_path_is_the_same() {
    // A root does not name its length: both come from one signed head, and must.
    let blocks = blocks(40);
    for length in 1..=40u64 {
        let tree = nodes(&blocks[..length as usize]);
        let root = root_at(&tree, length).unwrap();
        for seq in 0..length {
            let proof = inclusion_proof(&tree, seq, length).unwrap();
            let leaf = leaf_hash(&blocks[seq as usize]);
            let sides = rfc::path_sides(seq as usize, length as usize);
            for other in 1..=80 {
                let passes = verify_inclusion(&leaf, seq, other, &proof, &root).is_ok();
                let same = seq < other && rfc::path_sides(seq as usize, other as usize) == sides;
                assert_eq!(passes, same, "leaf {seq} of {length}, as of {other}");
            }
        }
    }
}

#[test]
fn consistency_proofs_are_the_rfcs_and_prove_nothing_else() {
    let blocks = blocks(SIZE_MAX);
    let nodes = nodes(&blocks);
    let roots: Vec<_> = (0..=blocks.len()).map(|length| rfc::mth(&blocks[..length])).collect();
    for new in 0..=SIZE_MAX {
        for old in 0..=new {
            let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
            let proof = consistency_proof(&nodes, old, new).unwrap();
            if old > 0 {
                assert_eq!(proof, rfc::proof(old as usize, &blocks[..new as usize]));
            }
            let check = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
                verify_consistency(old, old_root, new, new_root, proof)
            };
            assert_eq!(check(&old_root, &new_root, &proof), Ok(()), "{old} of {new}");
            let refused = Err(VerifyError::BadProof);
            assert_eq!(check(&flipped(&old_root), &new_root, &proof), refused);
            if old > 0 {
                assert_eq!(check(&old_root, &flipped(&new_root), &proof), refused);
            }
            for proof in altered(&proof) {
                assert_eq!(check(&old_root, &new_root, &proof), refused);
            }
        }
    }
}

#[test]
fn a_consistency_proof_does_not_serve_another_old_tree() {
    let blocks = blocks(33);
    let nodes = nodes(&blocks);
    let root = |length| root_at(&nodes, length).unwrap();
    for new in 1..=33 {
        for old in 1..=new {
            let proof = consistency_proof(&nodes, old, new).unwrap();
            for other in (1..=new).filter(|&other| other != old) {
                let wrong_length = verify_consistency(other, &root(old), new, &root(new), &proof);
                assert!(wrong_length.is_err(), "{old} of {new}, as {other}");
                let wrong_tree = verify_consistency(other, &root(other), new, &root(new), &proof);
                assert!(wrong_tree.is_err(), "{old} of {new}, for {other}");
            }
            let shorter = verify_consistency(old, &root(old), old - 1, &root(old - 1), &proof);
            assert_eq!(shorter, Err(VerifyError::OutsideTree { seq: old, length: old - 1 }));
        }
    }
}

#[test]
fn a_history_with_one_block_changed_is_not_consistent() {
    let honest = blocks(20);
    for changed in 0..9 {
        let mut forged = honest.clone();
        forged[changed] = b"forged".to_vec();
        let (honest_root, forged_nodes) = (rfc::mth(&honest[..9]), nodes(&forged));
        let proof = consistency_proof(&forged_nodes, 9, 20).unwrap();
        let new_root = rfc::mth(&forged);
        let refused = Err(VerifyError::BadProof);
        assert_eq!(verify_consistency(9, &honest_root, 20, &new_root, &proof), refused);
    }
}

#[test]
fn a_node_does_not_pass_as_a_block() {
    // Without prefixes the block "left ‖ right" would have the hash of the node over both.
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let disguised = [left.0, right.0].concat();
    assert_ne!(leaf_hash(&disguised), node_hash(&left, &right));
    assert_ne!(leaf_hash(&[&[1], &disguised[..]].concat()), node_hash(&left, &right));
    assert_ne!(leaf_hash(b""), empty_root());
    let root = node_hash(&left, &right);
    let refused = Err(VerifyError::BadProof);
    assert_eq!(verify_inclusion(&leaf_hash(&disguised), 0, 1, &[], &root), refused);
}

#[test]
fn positions_outside_the_tree_are_refused() {
    let nodes = nodes(&blocks(5));
    let outside = |position, length| ProofError::<MissingNode>::OutsideTree { position, length };
    assert_eq!(inclusion_proof(&nodes, 5, 5), Err(outside(5, 5)));
    assert_eq!(inclusion_proof(&nodes, 0, 0), Err(outside(0, 0)));
    assert_eq!(consistency_proof(&nodes, 6, 5), Err(outside(6, 5)));
    assert_eq!(root_at(&nodes, u64::MAX), Err(outside(u64::MAX, u64::MAX)));
    assert_eq!(root_at(&nodes, 6), Err(ProofError::Nodes(MissingNode { level: 1, index: 2 })));
    let error = VerifyError::OutsideTree { seq: 5, length: 5 };
    let leaf = leaf_hash(b"");
    assert_eq!(verify_inclusion(&leaf, 5, 5, &[], &leaf), Err(error));
    let (last, length) = (u64::MAX - 1, u64::MAX);
    assert!(verify_inclusion(&leaf, last, length, &[leaf; 64], &leaf).is_err());
    assert!(verify_consistency(last, &leaf, length, &leaf, &[leaf; 64]).is_err());
}

#[test]
fn peaks_need_one_hash_per_bit_of_the_length() {
    let error = DecodeError::WrongSize { what: "peaks", found: 1, expected: 2 };
    assert_eq!(Peaks::from_hashes(5, vec![empty_root()]), Err(error));
    assert!(Peaks::from_hashes(0, Vec::new()).is_ok());
    assert!(Peaks::from_hashes(u64::MAX, vec![empty_root(); 64]).is_err());
}

/// A store that fails, to see the failure come out.
struct Broken;

impl Nodes for Broken {
    type Error = &'static str;

    fn node(&self, _level: u8, _index: u64) -> Result<Hash, &'static str> {
        Err("disk gone")
    }
}

#[test]
fn a_failing_store_fails_the_proof() {
    let failed = ProofError::Nodes("disk gone");
    assert_eq!(root_at(&Broken, 3).unwrap_err(), failed);
    assert_eq!(peaks_at(&Broken, 3).unwrap_err(), failed);
    assert_eq!(inclusion_proof(&Broken, 1, 3).unwrap_err(), failed);
    assert_eq!(consistency_proof(&Broken, 1, 3).unwrap_err(), failed);
}
