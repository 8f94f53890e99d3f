//! FeedStore: blocks, the tree above them, heads, steps, aliases.

use std::ops::ControlFlow;

use systole_proto::Peaks;
use systole_proto::merkle::{self, MemoryNodes};
use systole_store::{Batch, Caching, CausalStep, Durability, Error, FeedNo, NODE_LEVEL_MIN, Store};

use crate::support::{commit, head};

const FEED: FeedNo = FeedNo(1);

fn block(seq: u64) -> Vec<u8> {
    format!("\x01block {seq}").into_bytes()
}

/// Appends blocks as a feed's writer does: with the nodes that they complete.
fn append(store: &Store, feed: FeedNo, count: u64) -> Peaks {
    let mut peaks = Peaks::new();
    let mut batch = Batch::new();
    for seq in 0..count {
        let bytes = block(seq);
        store.feeds().put_block(&mut batch, feed, seq, &bytes);
        peaks.append(merkle::leaf_hash(&bytes), |level, index, hash| {
            store.feeds().put_node(&mut batch, feed, level, index, hash);
        });
    }
    store.commit(batch, Durability::Synced).unwrap();
    peaks
}

#[test]
fn blocks_are_read_back_as_they_were_put() {
    let store = Store::memory();
    append(&store, FEED, 5);
    assert_eq!(store.feeds().block(FEED, 3).unwrap().unwrap(), block(3));
    assert_eq!(store.feeds().block(FEED, 5).unwrap(), None);
}

#[test]
fn chosen_blocks_are_visited_wherever_they_lie() {
    let store = Store::memory();
    append(&store, FEED, 300);
    append(&store, FeedNo(FEED.0 + 1), 3);
    let visit = |seqs: &[u64], most: usize| {
        let mut positions: Vec<_> = seqs.iter().map(|seq| (FEED, *seq)).collect();
        positions.push((FeedNo(FEED.0 + 1), 2));
        let mut seen = Vec::new();
        let visited = store.feeds().visit_blocks(&positions, Caching::Keep, &mut |at, bytes| {
            assert_eq!(bytes, block(positions[at].1));
            seen.push(at);
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        visited.unwrap();
        seen
    };
    assert_eq!(visit(&[], 9), [0]);
    assert_eq!(visit(&[0, 1, 5, 13, 200, 208, 217, 299], 99), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(visit(&[298, 299, 300, 302, 900], 99), [0, 1, 5], "what is absent is passed");
    assert_eq!(visit(&[0, 1, 100, 200], 2), [0, 1], "a break ends all");
}

#[test]
fn a_scan_visits_the_blocks_of_one_feed_in_order() {
    let store = Store::memory();
    append(&store, FEED, 300);
    append(&store, FeedNo(2), 3);
    let mut seen = Vec::new();
    let visited = store.feeds().scan_blocks(FEED, 254, 258, &mut |seq, bytes| {
        seen.push((seq, bytes.to_vec()));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    assert_eq!(seen, (254..258).map(|seq| (seq, block(seq))).collect::<Vec<_>>());
    let mut count = 0;
    let visited = store.feeds().scan_blocks(FEED, 298, u64::MAX, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    });
    visited.unwrap();
    assert_eq!(count, 2);
}

#[test]
fn peaks_and_proofs_equal_those_of_a_tree_in_memory() {
    let store = Store::memory();
    append(&store, FEED, 200);
    let mut expected = MemoryNodes::new();
    let mut peaks = Peaks::new();
    for length in 0..=200 {
        assert_eq!(store.feeds().peaks_at(FEED, length).unwrap(), peaks, "length {length}");
        let leaf = merkle::leaf_hash(&block(length));
        expected.append(leaf);
        peaks.append(leaf, |_, _, _| {});
    }
    let nodes = store.feeds().nodes(FEED);
    for (seq, length) in [(0, 1), (63, 200), (64, 129), (199, 200)] {
        assert_eq!(
            merkle::inclusion_proof(&nodes, seq, length).unwrap(),
            merkle::inclusion_proof(&expected, seq, length).unwrap()
        );
    }
    assert_eq!(
        merkle::consistency_proof(&nodes, 70, 200).unwrap(),
        merkle::consistency_proof(&expected, 70, 200).unwrap()
    );
}

#[test]
fn low_nodes_are_not_stored() {
    let store = Store::memory();
    append(&store, FEED, 64);
    assert_eq!(store.feeds().node(FEED, NODE_LEVEL_MIN - 1, 0).unwrap(), None);
    assert!(store.feeds().node(FEED, NODE_LEVEL_MIN, 0).unwrap().is_some());
}

#[test]
fn a_tree_over_blocks_that_are_missing_is_corrupt() {
    let store = Store::memory();
    append(&store, FEED, 70);
    let missing = store.feeds().peaks_at(FEED, 72).unwrap_err();
    assert!(matches!(missing, Error::Corrupt { .. }));
    assert!(missing.to_string().contains("block: feed 1 seq 70"), "{missing}");
    let missing = store.feeds().peaks_at(FEED, 128).unwrap_err();
    assert!(missing.to_string().contains("tree node: feed 1 level 7 index 0"), "{missing}");
    let outside = store.feeds().peaks_at(FEED, u64::MAX).unwrap_err();
    assert!(matches!(outside, Error::Corrupt { .. }));
}

#[test]
fn the_head_for_a_length_is_the_shortest_that_covers_it() {
    let store = Store::memory();
    let feeds = store.feeds();
    assert_eq!(feeds.head_at_or_after(FEED, 0).unwrap(), None);
    let (ten, twenty, latest) = (head(1, 10, 1), head(1, 20, 2), head(1, 25, 3));
    commit(&store, |batch| {
        feeds.put_head(batch, FEED, 10, &ten);
        feeds.put_head(batch, FEED, 20, &twenty);
        feeds.put_latest_head(batch, FEED, &head(1, 24, 9));
        feeds.put_latest_head(batch, FEED, &latest);
        feeds.put_head(batch, FeedNo(2), 11, &head(2, 11, 4));
    });
    assert_eq!(feeds.latest_head(FEED).unwrap().as_ref(), Some(&latest));
    assert_eq!(feeds.head_at(FEED, 10).unwrap().as_ref(), Some(&ten));
    assert_eq!(feeds.head_at(FEED, 11).unwrap(), None);
    let covering = |length| feeds.head_at_or_after(FEED, length).unwrap();
    assert_eq!(covering(0), Some((10, ten.clone())));
    assert_eq!(covering(10), Some((10, ten)));
    assert_eq!(covering(11), Some((20, twenty)));
    assert_eq!(covering(21), Some((25, latest)));
    assert_eq!(covering(26), None);
}

#[test]
fn evidence_of_equivocation_is_kept() {
    let store = Store::memory();
    let (first, second) = (head(1, 10, 1), head(1, 10, 2));
    assert_eq!(store.feeds().equivocation(FEED).unwrap(), None);
    commit(&store, |batch| store.feeds().put_equivocation(batch, FEED, &first, &second));
    assert_eq!(store.feeds().equivocation(FEED).unwrap(), Some((first, second)));
}

fn step(seq: u64, full: bool, depth: u8) -> CausalStep {
    let entries = vec![(FeedNo(2), seq * 3), (FeedNo(900), u64::MAX)];
    CausalStep { seq, lamport: seq + 100, full, depth, entries }
}

#[test]
fn steps_are_found_at_or_before_a_block() {
    let store = Store::memory();
    let steps = [step(3, true, 0), step(300, false, 1), step(301, false, 2)];
    commit(&store, |batch| {
        for step in &steps {
            store.feeds().put_step(batch, FEED, step);
        }
        store.feeds().put_step(batch, FeedNo(2), &step(5, true, 0));
    });
    let found = |seq| store.feeds().step_at_or_before(FEED, seq).unwrap();
    assert_eq!(found(2), None, "the steps of other feeds do not count");
    assert_eq!(found(3).as_ref(), Some(&steps[0]));
    assert_eq!(found(299).as_ref(), Some(&steps[0]));
    assert_eq!(found(300).as_ref(), Some(&steps[1]));
    assert_eq!(found(u64::MAX).as_ref(), Some(&steps[2]));
}

#[test]
fn steps_are_walked_back_to_the_last_full_one_and_forward_to_an_end() {
    let store = Store::memory();
    commit(&store, |batch| {
        for (seq, depth) in [(1, 0), (2, 1), (4, 0), (6, 1), (9, 2)] {
            store.feeds().put_step(batch, FEED, &step(seq, depth == 0, depth));
        }
    });
    let mut seen = Vec::new();
    let visited = store.feeds().scan_steps_back(FEED, 8, &mut |step| {
        seen.push(step.seq);
        if step.full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    visited.unwrap();
    assert_eq!(seen, [6, 4]);
    let mut seen = Vec::new();
    let visited = store.feeds().scan_steps(FEED, 2, 9, &mut |step| {
        seen.push(step.seq);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    assert_eq!(seen, [2, 4, 6]);
}

#[test]
fn aliases_are_listed_by_number_with_the_feed_itself_first() {
    let store = Store::memory();
    assert_eq!(store.feeds().aliases(FEED).unwrap(), [FEED]);
    commit(&store, |batch| {
        for alias in 1..=300 {
            store.feeds().put_alias(batch, FEED, alias, FeedNo(alias * 7));
        }
    });
    let aliases = store.feeds().aliases(FEED).unwrap();
    assert_eq!(aliases.len(), 301);
    assert_eq!((aliases[0], aliases[1], aliases[300]), (FEED, FeedNo(7), FeedNo(2100)));
    commit(&store, |batch| store.feeds().put_alias(batch, FEED, 302, FeedNo(1)));
    assert!(matches!(store.feeds().aliases(FEED), Err(Error::Corrupt { .. })), "301 is missing");
}

#[test]
fn a_head_that_is_none_is_corrupt_and_named() {
    let store = Store::memory();
    commit(&store, |batch| {
        let key = [&[0x04][..], &1u32.to_be_bytes()].concat();
        systole_store::testing::put(batch, systole_store::Family::Feed, &key, &[1, 0xff]);
    });
    let corrupt = store.feeds().latest_head(FEED).unwrap_err().to_string();
    assert!(corrupt.contains("latest head: feed 1"), "{corrupt}");
}
