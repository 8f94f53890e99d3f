//! What a range from a stranger may and may not do to a feed.

use bytes::Bytes;
use systole_proto::limits::BLOCK_BYTES_MAX;
use systole_proto::{DecodeError, Ed25519Signer, Hash, Head, Range, SignedHead, VerifyError};

use super::PreparedRange;
use super::fixture::{Replica, Verdict, blocks, key_of, signer};

fn refusal(range: Range) -> VerifyError {
    PreparedRange::new(range).expect_err("the range is bad")
}

fn without_peaks(range: Range) -> Range {
    Range { peaks: Vec::new(), ..range }
}

fn tampered(mut range: Range, at: usize) -> Range {
    let mut block = range.blocks[at].to_vec();
    *block.last_mut().unwrap() ^= 1;
    range.blocks[at] = block.into();
    range
}

/// Two replicas of one author, who wrote `common` blocks, then `a` more on one and `b` other ones
/// on the other.
fn forked(common: usize, a: usize, b: usize) -> (Replica, Replica) {
    let fork = |label, count| {
        let mut replica = Replica::new();
        for blocks in [blocks(0, common, 20), blocks(label, count, 20)] {
            if !blocks.is_empty() {
                replica.write(&blocks);
            }
        }
        replica
    };
    (fork(1, a), fork(2, b))
}

fn accusation(ours: &Replica, theirs: &Replica) -> Verdict {
    let head = |replica: &Replica| replica.held.head.clone().unwrap();
    Verdict::Equivocation { ours: head(ours), theirs: head(theirs) }
}

#[test]
fn a_range_is_accepted_with_and_without_its_proof() {
    let author = Replica::of(&blocks(0, 300, 20));
    for start in [0, 1, 64, 100, 299] {
        for range in [author.range(start), without_peaks(author.range(start))] {
            let mut replica = Replica::new();
            if start > 0 {
                let first = Replica::of(&blocks(0, start as usize, 20));
                replica.offer(first.range(0)).unwrap();
            }
            let count = 300 - start as usize;
            assert_eq!(replica.offer(range), Ok(Verdict::Accepted { from: start, count }));
            assert_eq!(replica.held.tail.root(), author.held.tail.root());
            assert_eq!(replica.held.head, author.held.head);
            assert_eq!(replica.loaded(), replica.held);
        }
    }
}

#[test]
fn what_is_held_is_skipped() {
    let author = Replica::of(&blocks(0, 200, 20));
    for start in [0, 3, 64, 99] {
        for range in [author.range(start), without_peaks(author.range(start))] {
            let mut replica = Replica::of(&blocks(0, 100, 20));
            assert_eq!(replica.offer(range), Ok(Verdict::Accepted { from: 100, count: 100 }));
            assert_eq!(replica.loaded(), replica.held);
            assert_eq!(replica.range(0), author.range(0));
        }
    }
}

#[test]
fn the_same_range_again_is_a_duplicate() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut replica = Replica::new();
    for range in [author.range(0), author.range(50), without_peaks(author.range(50))] {
        replica.offer(range.clone()).unwrap();
        assert_eq!(replica.offer(range), Ok(Verdict::Duplicate));
    }
    let shorter = Replica::of(&blocks(0, 120, 20));
    assert_eq!(replica.offer(shorter.range(10)), Ok(Verdict::Duplicate));
}

#[test]
fn a_range_behind_the_tail_waits_for_what_lies_between() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut replica = Replica::of(&blocks(0, 100, 20));
    let gap = Verdict::Gap { held: 100, start: 101 };
    assert_eq!(replica.offer(author.range(101)), Ok(gap));
    assert_eq!(replica.held.tail.length(), 100);
}

#[test]
fn a_tampered_block_is_refused() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut replica = Replica::of(&blocks(0, 100, 20));
    let before = replica.held.clone();
    for at in [0, 57, 99] {
        // With a proof the range refutes itself; without, the tree does.
        let range = tampered(author.range(100), at);
        assert_eq!(refusal(range.clone()), VerifyError::BadProof);
        assert_eq!(replica.offer(without_peaks(range)), Ok(Verdict::Inconsistent));
    }
    assert_eq!(refusal(tampered(author.range(0), 5)), VerifyError::BadProof);
    assert_eq!(replica.held, before);
    assert_eq!(replica.loaded(), before);
}

#[test]
fn a_tampered_block_that_is_held_already_is_refused() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut replica = Replica::of(&blocks(0, 100, 20));
    let overlap = tampered(without_peaks(author.range(40)), 10);
    assert_eq!(replica.offer(overlap), Ok(Verdict::Inconsistent));
    let mut whole = Replica::of(&blocks(0, 200, 20));
    let repeated = tampered(without_peaks(author.range(40)), 10);
    assert_eq!(whole.offer(repeated), Ok(Verdict::Inconsistent));
}

#[test]
fn a_tampered_proof_accuses_nobody() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut range = author.range(100);
    range.peaks[1] = Hash([9; 32]);
    assert_eq!(refusal(range), VerifyError::BadProof);
    let mut range = author.range(100);
    range.peaks.pop();
    assert!(matches!(refusal(range), VerifyError::Decode(DecodeError::WrongSize { .. })));
}

#[test]
fn a_tampered_head_or_signature_is_refused() {
    let author = Replica::of(&blocks(0, 200, 20));
    let mut range = author.range(0);
    let mut bytes = range.head.bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    range.head.bytes = bytes.into();
    assert_eq!(refusal(range), VerifyError::BadSignature);
    let mut range = author.range(0);
    range.head.signature.0[3] ^= 1;
    assert_eq!(refusal(range), VerifyError::BadSignature);
}

#[test]
fn a_head_of_another_feed_is_refused() {
    let stranger = Ed25519Signer::from_seed(&[2; 32]);
    let author = Replica::of(&blocks(0, 20, 20));
    let mut range = author.range(0);
    let head = Head { feed: key_of(&stranger), length: 20, root: author.held.tail.root() };
    range.head = SignedHead::sign(&head, &stranger).unwrap();
    assert!(matches!(refusal(range), VerifyError::Decode(DecodeError::Contradiction { .. })));
}

#[test]
fn a_range_must_reach_its_head() {
    let author = Replica::of(&blocks(0, 20, 20));
    let mut range = author.range(0);
    range.blocks.pop();
    assert_eq!(refusal(range), VerifyError::Unproven { reached: 19, needed: 20 });
    let mut range = author.range(0);
    range.blocks.push(Bytes::from_static(&[1, 2]));
    assert!(matches!(refusal(range), VerifyError::Decode(DecodeError::Contradiction { .. })));
}

#[test]
fn an_oversized_block_or_range_is_refused() {
    let mut range = Replica::of(&blocks(0, 20, 20)).range(0);
    range.blocks[3] = vec![1; BLOCK_BYTES_MAX + 1].into();
    assert!(matches!(refusal(range.clone()), VerifyError::Decode(DecodeError::TooLong { .. })));
    range.blocks.fill(vec![1; BLOCK_BYTES_MAX].into());
    assert!(matches!(refusal(range), VerifyError::Decode(DecodeError::TooLong { .. })));
}

#[test]
fn a_fork_at_a_length_that_we_hold_is_proven_by_its_head_alone() {
    for (common, ours, theirs) in [(50, 30, 20), (50, 30, 30), (0, 9, 4), (64, 64, 1)] {
        let (mut replica, author) = forked(common, ours, theirs);
        for start in [0, common as u64, (common + theirs - 1) as u64] {
            let range = without_peaks(author.range(start));
            assert_eq!(replica.offer(range.clone()).unwrap(), accusation(&replica, &author));
            // What a third party did to the blocks does not save the author. A range from 0 is its
            // own proof and is refused before.
            if start > 0 {
                let verdict = replica.offer(tampered(range, 0)).unwrap();
                assert_eq!(verdict, accusation(&replica, &author));
            }
        }
    }
}

#[test]
fn a_longer_fork_is_proven_by_its_range() {
    for (common, ours, theirs) in [(50, 30, 100), (0, 5, 9), (64, 1, 2), (100, 28, 1000)] {
        let (mut replica, author) = forked(common, ours, theirs);
        let held = replica.held.clone();
        for start in [0, common as u64 / 2, common as u64, (common + ours) as u64] {
            let verdict = replica.offer(author.range(start)).unwrap();
            assert_eq!(verdict, accusation(&replica, &author), "from {start}");
        }
        // From within the common past our own tree is the proof.
        let verdict = replica.offer(without_peaks(author.range(common as u64))).unwrap();
        assert_eq!(verdict, accusation(&replica, &author));
        assert_eq!(replica.held, held);
    }
}

#[test]
fn a_longer_fork_without_a_proof_accuses_nobody() {
    let (mut replica, author) = forked(50, 30, 100);
    for start in [51, 80] {
        let verdict = replica.offer(without_peaks(author.range(start)));
        assert_eq!(verdict, Ok(Verdict::Inconsistent));
    }
    assert_eq!(key_of(&signer()), PreparedRange::new(author.range(3)).unwrap().feed());
}

#[test]
fn honest_ranges_in_any_order_converge_and_accuse_nobody() {
    for seed in 0..20u64 {
        let mut state = seed;
        // SplitMix64.
        let mut below = |bound: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % bound
        };
        let (mut author, mut ranges) = (Replica::new(), Vec::new());
        for label in 0..8 {
            author.write(&blocks(label, 1 + below(200) as usize, 20));
            for _ in 0..6 {
                let range = author.range(below(author.held.tail.length()));
                ranges.push(if below(2) == 0 { range } else { without_peaks(range) });
            }
        }
        ranges.push(author.range(0));
        let mut replica = Replica::new();
        while replica.held.tail.length() < author.held.tail.length() {
            let range = ranges[below(ranges.len() as u64) as usize].clone();
            // A range from 0 needs no peaks, all others may lack them.
            let verdict = replica.offer(range).unwrap();
            let honest = !matches!(verdict, Verdict::Inconsistent | Verdict::Equivocation { .. });
            assert!(honest, "seed {seed}: {verdict:?}");
            assert_eq!(replica.loaded(), replica.held, "seed {seed}");
        }
        assert_eq!(replica.range(0), author.range(0), "seed {seed}");
    }
}
