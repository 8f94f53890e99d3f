//! Heads are kept densely enough, and whatever is held can be read and proven from anywhere.

use systole_proto::limits::{RANGE_BLOCKS_MAX, RANGE_BYTES_MAX};
use systole_proto::{Ed25519Signer, Range, SignError, Signature, Signer};
use systole_store::Batch;

use super::fixture::{FEED, Replica, Verdict, blocks, key_of, signer};
use super::tail::FeedTail;
use super::{ReadLimit, append_local, seal_local};

/// Reads everything behind `from` in ranges, checks each as a stranger would, and returns them.
fn read_on(replica: &Replica, from: u64, limit: ReadLimit) -> Vec<Range> {
    let (mut ranges, mut at) = (Vec::new(), from);
    while let Some(range) = replica.read(at, limit) {
        assert_eq!(range.start, at);
        range.validate().unwrap();
        range.verify().unwrap();
        assert!(range.encode().len() <= RANGE_BYTES_MAX);
        at = range.end();
        ranges.push(range);
    }
    assert_eq!(at, replica.held.tail.length());
    ranges
}

fn limit(blocks: usize, bytes: usize) -> ReadLimit {
    ReadLimit { blocks, bytes }
}

#[test]
fn heads_are_kept_at_block_boundaries_however_blocks_come() {
    let all = blocks(0, 2500, 20);
    for group in [1, 100, 1024, 2500] {
        let mut author = Replica::new();
        all.chunks(group).for_each(|group| author.write(group));
        assert_eq!(author.kept_lengths(), [1024, 2048], "in groups of {group}");
        assert_eq!(author.loaded(), author.held);
    }
}

#[test]
fn heads_are_kept_at_byte_boundaries() {
    let author = Replica::of(&blocks(0, 25, 10 * 1024));
    assert_eq!(author.kept_lengths(), [10, 20]);
    let large = Replica::of(&blocks(0, 3, 200 * 1024));
    assert_eq!(large.kept_lengths(), [1, 2, 3]);
    for author in [author, large] {
        assert_eq!(author.loaded(), author.held);
    }
}

#[test]
fn a_feed_is_loaded_as_it_was_left() {
    let mut author = Replica::new();
    assert_eq!(author.loaded(), author.held);
    for count in [1, 700, 323, 1, 1023, 1, 1, 5] {
        author.write(&blocks(count as u8, count, 30));
        assert_eq!(author.loaded(), author.held);
    }
}

#[test]
fn every_position_can_be_read_and_proven() {
    let mut author = Replica::of(&blocks(0, 1500, 20));
    author.write(&blocks(1, 60, 4 * 1024));
    author.write(&blocks(2, 700, 20));
    let length = author.held.tail.length();
    for from in (0..length).step_by(191).chain([1023, 1024, 1025, length - 1]) {
        for limit in [limit(1, 1), limit(100, 1 << 20), limit(5000, 30_000), ReadLimit::default()] {
            read_on(&author, from, limit);
        }
    }
    assert_eq!(author.read(length, ReadLimit::default()), None);
    assert_eq!(author.read(length + 9, ReadLimit::default()), None);
    assert_eq!(Replica::new().read(0, ReadLimit::default()), None);
}

#[test]
fn a_feed_read_in_ranges_is_the_same_elsewhere() {
    let author = Replica::of(&blocks(0, 3000, 60));
    for limit in [limit(1, 1), limit(1100, 1 << 20), ReadLimit::default()] {
        let mut replica = Replica::new();
        for range in read_on(&author, 0, limit) {
            let accepted = Verdict::Accepted { from: range.start, count: range.blocks.len() };
            assert_eq!(replica.offer(range), Ok(accepted));
            assert_eq!(replica.loaded(), replica.held);
        }
        assert_eq!(replica.range(0), author.range(0));
    }
}

#[test]
fn a_read_keeps_to_its_limit_beyond_the_first_head() {
    let author = Replica::of(&blocks(0, 5000, 20));
    let end = |limit| author.read(0, limit).unwrap().end();
    assert_eq!(end(limit(1, 1)), 1024);
    assert_eq!(end(limit(2047, 1 << 20)), 1024);
    assert_eq!(end(limit(2048, 1 << 20)), 2048);
    assert_eq!(end(limit(5000, 20 * 3100)), 3072);
    assert_eq!(end(limit(usize::MAX, usize::MAX)), RANGE_BLOCKS_MAX as u64);
}

#[test]
fn an_accepted_range_never_leaves_a_span_longer_than_a_range() {
    let mut author = Replica::of(&blocks(0, 1000, 20));
    let mut replica = Replica::new();
    replica.offer(author.range(0)).unwrap();
    assert!(replica.kept_lengths().is_empty());
    author.write(&blocks(1, RANGE_BLOCKS_MAX - 24, 20));
    let range = author.read(1000, ReadLimit::default()).unwrap();
    assert_eq!(range.blocks.len(), RANGE_BLOCKS_MAX - 24);
    replica.offer(range).unwrap();
    // The head at 1,000 was the latest; it had to stay when the next one came 4,072 blocks later.
    assert_eq!(replica.kept_lengths(), [1000, 976 + RANGE_BLOCKS_MAX as u64]);
    for from in [0, 1, 999, 1000, 1001, 4000] {
        read_on(&replica, from, limit(1, 1));
    }
    assert_eq!(replica.loaded(), replica.held);
}

#[test]
fn a_signer_that_fails_leaves_the_batch_untouched() {
    struct Locked(Ed25519Signer);
    impl Signer for Locked {
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key()
        }
        fn sign(&self, _message: &[u8]) -> Result<Signature, SignError> {
            Err(SignError::new("locked"))
        }
    }
    let (replica, signer) = (Replica::new(), Locked(signer()));
    let (mut batch, tail) = (Batch::new(), FeedTail::default());
    let feed = (FEED, key_of(&signer));
    let blocks = blocks(0, 2000, 20);
    let result = append_local(replica.feeds(), &mut batch, feed, &tail, &blocks, &signer);
    assert_eq!(result, Err(SignError::new("locked")));
    let result = seal_local(replica.feeds(), &mut batch, feed, &tail, &signer);
    assert_eq!(result, Err(SignError::new("locked")));
    assert!(batch.is_empty());
}
