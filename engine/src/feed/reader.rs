//! Reading a feed from the store: its tail on opening, and ranges for whoever lacks them.
//!
//! Invariants:
//! - a range that is read proves itself: it ends in a signed head and carries the peaks at its
//!   start;
//! - everything below the latest head is there for ever, so reading beside the writer needs no
//!   lock: the latest head is read first, and nothing behind it is looked at.

use std::ops::ControlFlow;

use bytes::Bytes;
use systole_proto::limits::{RANGE_BLOCKS_MAX, RANGE_BYTES_MAX};
use systole_proto::{FeedKey, Head, Range, SignedHead};
use systole_store::{Error, FeedNo, FeedStore};

use super::tail::{FeedTail, HEAD_STEP_BLOCKS};

/// Bytes of all blocks in one range. The rest of the frame is for head, peaks, and the length of
/// each block.
pub(crate) const RANGE_BLOCK_BYTES_MAX: usize = RANGE_BYTES_MAX - 4096 - 8 * RANGE_BLOCKS_MAX;

/// How much one range may hold. More than a range can carry is cut to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadLimit {
    /// Blocks of the range.
    pub(crate) blocks: usize,
    /// Bytes of the blocks.
    pub(crate) bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { blocks: RANGE_BLOCKS_MAX, bytes: RANGE_BLOCK_BYTES_MAX }
    }
}

/// What the store holds of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldFeed {
    /// Where the feed ends.
    pub(crate) tail: FeedTail,
    /// The signed head of that length; absent if the feed is empty.
    pub(crate) head: Option<SignedHead>,
}

/// What the store holds of `feed`. Checks the tree against the signed root.
pub(crate) fn load(feeds: FeedStore<'_>, feed: FeedNo) -> Result<HeldFeed, Error> {
    let Some((latest, head)) = latest(feeds, feed)? else { return Ok(HeldFeed::default()) };
    let peaks = feeds.peaks_at(feed, head.length)?;
    if peaks.root() != head.root {
        return Err(corrupt(feed, head.length, "the tree does not have the root that was signed"));
    }
    let kept = last_kept(feeds, feed, head.length)?;
    let mut bytes = 0;
    feeds.scan_blocks(feed, kept, head.length, &mut |_, block| {
        bytes += block.len() as u64;
        ControlFlow::Continue(())
    })?;
    let tail = FeedTail::resume(peaks, head.length - kept, bytes);
    Ok(HeldFeed { tail, head: Some(latest) })
}

/// The longest range of `feed` from block `from` that ends in a head and stays within `limit`, with
/// the peaks that prove it. `None` if nothing lies behind `from`.
///
/// The range reaches at least to the first head behind `from`, even beyond `limit`: nothing shorter
/// can be proven. Heads are kept so densely that this is one step, or one range as it came from
/// elsewhere.
///
/// The newest blocks may not be synced. Whoever shows a range of an own feed to a peer calls
/// [`WriterHandle::make_synced`](super::WriterHandle::make_synced) after reading it and before
/// sending it: else a power failure could make this device sign another history than the one it
/// showed.
pub(crate) fn read(
    feeds: FeedStore<'_>,
    feed: FeedNo,
    key: FeedKey,
    from: u64,
    limit: ReadLimit,
) -> Result<Option<Range>, Error> {
    let Some((latest, Head { length, .. })) = latest(feeds, feed)? else { return Ok(None) };
    if from >= length {
        return Ok(None);
    }
    let head_behind = |position: u64| {
        let found = feeds.head_at_or_after(feed, position + 1)?;
        // A head beyond `length` was signed since; the range ends where this reader began.
        Ok(found.filter(|(found, _)| *found < length).unwrap_or_else(|| (length, latest.clone())))
    };
    let (mut end, mut head) = head_behind(from)?;

    let mut blocks = read_blocks(feeds, feed, from..length, end, limit)?;
    let reached = from + blocks.len() as u64;
    if reached < end {
        return Err(corrupt(feed, reached, "missing, though a head covers it"));
    }
    while end < reached {
        let (next, next_head) = head_behind(end)?;
        if next > reached {
            break;
        }
        (end, head) = (next, next_head);
    }
    blocks.truncate(usize::try_from(end - from).expect("no more than the blocks that were read"));
    let peaks = feeds.peaks_at(feed, from)?.hashes().to_vec();
    Ok(Some(Range { feed: key, start: from, blocks, head, peaks }))
}

/// The blocks in `span` within `limit`, and in any case those before `at_least`.
fn read_blocks(
    feeds: FeedStore<'_>,
    feed: FeedNo,
    span: std::ops::Range<u64>,
    at_least: u64,
    limit: ReadLimit,
) -> Result<Vec<Bytes>, Error> {
    let count_max = limit.blocks.min(RANGE_BLOCKS_MAX) as u64;
    let bytes_max = limit.bytes.min(RANGE_BLOCK_BYTES_MAX);
    let to = span.end.min(at_least.max(span.start + count_max));
    let (mut blocks, mut bytes, mut expected) = (Vec::new(), 0, span.start);
    feeds.scan_blocks(feed, span.start, to, &mut |seq, block| {
        let fits = seq < at_least || bytes + block.len() <= bytes_max;
        if seq != expected || !fits {
            return ControlFlow::Break(());
        }
        blocks.push(Bytes::copy_from_slice(block));
        bytes += block.len();
        expected += 1;
        ControlFlow::Continue(())
    })?;
    Ok(blocks)
}

/// Length of the last kept head of a feed of `length` blocks; 0 if none is kept. By bisection: a
/// store finds heads only upwards.
fn last_kept(feeds: FeedStore<'_>, feed: FeedNo, length: u64) -> Result<u64, Error> {
    if feeds.head_at(feed, length)?.is_some() {
        return Ok(length);
    }
    // A longer tail would have had to keep its head.
    let (mut kept, mut none_from) = (length.saturating_sub(HEAD_STEP_BLOCKS), length);
    while kept + 1 < none_from {
        let middle = kept + (none_from - kept) / 2;
        match feeds.head_at_or_after(feed, middle)? {
            Some((found, _)) if found < length => kept = found,
            _ => none_from = middle,
        }
    }
    Ok(kept)
}

fn latest(feeds: FeedStore<'_>, feed: FeedNo) -> Result<Option<(SignedHead, Head)>, Error> {
    let Some(latest) = feeds.latest_head(feed)? else { return Ok(None) };
    let head = latest.decode_unverified();
    let head = head.map_err(|error| corrupt(feed, 0, &format!("latest head: {error}")))?;
    Ok(Some((latest, head)))
}

fn corrupt(feed: FeedNo, position: u64, reason: &str) -> Error {
    let key = format!("{feed} position {position}");
    Error::Corrupt { family: "feed", key, reason: reason.to_owned() }
}
