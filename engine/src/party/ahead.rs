//! Stored blocks that are read before they are processed, feed by feed.
//!
//! Feeds take turns as their blocks wait for each other, often after a few blocks. So each feed keeps
//! what was read of it, and how much is read at once follows how much of it was used before.
//!
//! Invariants:
//! - what is held of a feed are its next blocks, in order;
//! - all that is held together stays within [`READ_AHEAD_BYTES_MAX`], or is what was read last;
//! - one block that is used costs the reading of two at most, in the long run.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use systole_store::FeedNo;

use crate::Error;
use crate::settings::{READ_AHEAD_BYTES_MAX, TURN_BLOCKS_MAX};

/// Blocks that are read at once of a feed of which nothing is known.
const WINDOW_BLOCKS: u64 = 64;
/// Bytes that are read at once of one feed, so that several have room.
const WINDOW_BYTES: usize = READ_AHEAD_BYTES_MAX / 4;

/// Blocks read ahead for one party.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    feeds: BTreeMap<FeedNo, Ahead>,
    /// Bytes that are held for all feeds.
    bytes: usize,
    /// Counts reads; the clock of [`Ahead::read_at`].
    reads: u64,
}

/// What is held of one feed.
#[derive(Debug)]
struct Ahead {
    /// Position of the first block that is held, or of the next one to read.
    seq: u64,
    blocks: VecDeque<Bytes>,
    /// Bytes of the allocation that the blocks are slices of.
    bytes: usize,
    /// Blocks to read at once.
    window: u64,
    read_at: u64,
}

impl ReadAhead {
    /// Block `seq` of `feed`, which has `length` blocks. If it is not held, `read` is asked for the
    /// blocks of a range, to give to a [`Chunk`] until that is full.
    pub(crate) fn block(
        &mut self,
        feed: FeedNo,
        seq: u64,
        length: u64,
        read: impl FnOnce(std::ops::Range<u64>, &mut Chunk) -> Result<(), Error>,
    ) -> Result<Option<Bytes>, Error> {
        let ahead = self.feeds.entry(feed).or_insert_with(|| Ahead::new(seq));
        if ahead.seq != seq {
            // The feed went on by itself: its own blocks are processed as they are written.
            self.bytes -= ahead.bytes;
            *ahead = Ahead::new(seq);
        }
        if ahead.blocks.is_empty() {
            let mut chunk = Chunk::default();
            read(seq..length.min(seq + ahead.window), &mut chunk)?;
            self.reads += 1;
            self.bytes += ahead.fill(chunk, self.reads);
            self.drop_oldest(feed);
        }
        Ok(self.feeds[&feed].blocks.front().cloned())
    }

    /// The first block that is held of `feed` was processed; after it the feed has `left` blocks.
    pub(crate) fn used(&mut self, feed: FeedNo, left: u64) {
        let Some(ahead) = self.feeds.get_mut(&feed) else { return };
        ahead.blocks.pop_front();
        ahead.seq += 1;
        if ahead.blocks.is_empty() {
            self.bytes -= std::mem::take(&mut ahead.bytes);
            ahead.window = (ahead.window * 2).min(TURN_BLOCKS_MAX as u64);
        }
        if left == 0 {
            self.feeds.remove(&feed);
        }
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops what was read longest ago, of other feeds than `kept`, until the rest is within bounds.
    fn drop_oldest(&mut self, kept: FeedNo) {
        while self.bytes > READ_AHEAD_BYTES_MAX {
            let held = self.feeds.iter_mut().filter(|(no, ahead)| **no != kept && ahead.bytes > 0);
            let Some((_, oldest)) = held.min_by_key(|(_, ahead)| ahead.read_at) else { return };
            self.bytes -= std::mem::take(&mut oldest.bytes);
            // As many as were used would have been enough.
            oldest.window = oldest.window.saturating_sub(oldest.blocks.len() as u64).max(1);
            oldest.blocks.clear();
        }
    }
}

impl Ahead {
    fn new(seq: u64) -> Self {
        Self { seq, blocks: VecDeque::new(), bytes: 0, window: WINDOW_BLOCKS, read_at: 0 }
    }

    /// Takes what was read; its bytes.
    fn fill(&mut self, chunk: Chunk, read_at: u64) -> usize {
        let Chunk { bytes, ends } = chunk;
        let bytes = bytes.freeze();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        self.blocks = starts.zip(&ends).map(|(start, end)| bytes.slice(start..*end)).collect();
        self.window = self.blocks.len().max(1) as u64;
        self.bytes = bytes.len();
        self.read_at = read_at;
        self.bytes
    }
}

/// Blocks on their way from the store: one allocation for all of them.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl Chunk {
    /// Takes a block; whether there is room for another one.
    pub(crate) fn push(&mut self, block: &[u8]) -> bool {
        self.bytes.extend_from_slice(block);
        self.ends.push(self.bytes.len());
        self.bytes.len() < WINDOW_BYTES
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds of blocks of `bytes` bytes; counts what is read.
    struct Feeds {
        ahead: ReadAhead,
        bytes: usize,
        read: u64,
    }

    impl Feeds {
        fn new(bytes: usize) -> Self {
            Self { ahead: ReadAhead::default(), bytes, read: 0 }
        }

        fn take(&mut self, feed: u32, seqs: std::ops::Range<u64>, length: u64) {
            for seq in seqs {
                let (bytes, read) = (self.bytes, &mut self.read);
                let block = self.ahead.block(FeedNo(feed), seq, length, |range, chunk| {
                    for seq in range {
                        *read += 1;
                        if !chunk.push(&vec![seq as u8; bytes]) {
                            break;
                        }
                    }
                    Ok(())
                });
                let block = block.expect("reading does not fail").expect("the block is there");
                assert_eq!(block, vec![seq as u8; bytes]);
                self.ahead.used(FeedNo(feed), length - seq - 1);
                assert!(self.ahead.bytes <= READ_AHEAD_BYTES_MAX);
            }
        }
    }

    #[test]
    fn feeds_that_take_turns_are_read_once() {
        let mut feeds = Feeds::new(100);
        for turn in 0..100 {
            for feed in 0..8 {
                feeds.take(feed, turn * 10..turn * 10 + 10, 1_000);
            }
        }
        assert_eq!(feeds.read, 8 * 1_000);
        assert_eq!(feeds.ahead.bytes, 0);
        assert!(feeds.ahead.feeds.is_empty(), "nothing is kept of feeds that are processed");
    }

    #[test]
    fn more_feeds_than_there_is_room_for_are_read_as_far_as_they_are_used() {
        let mut feeds = Feeds::new(10_000);
        for turn in 0..100 {
            for feed in 0..500 {
                feeds.take(feed, turn..turn + 1, 100);
            }
        }
        assert!(feeds.read < 2 * 500 * 100, "{} blocks were read", feeds.read);
    }

    #[test]
    fn a_feed_that_went_on_by_itself_is_read_from_there() {
        let mut feeds = Feeds::new(100);
        feeds.take(1, 0..5, 100);
        feeds.take(1, 50..100, 100);
        assert_eq!(feeds.ahead.bytes, 0);
    }
}
