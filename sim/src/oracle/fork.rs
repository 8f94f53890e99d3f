//! Everything that any device ever showed of any feed: no position of an honest feed may show two
//! blocks, no length two roots.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use systole::{FeedKey, Range};
use systole_proto::{Hash, Peaks, merkle};

use super::{Oracle, Violation};
use crate::story::Names;

/// The blocks that were shown, feed by feed from their start.
#[derive(Default)]
pub(crate) struct Archive {
    feeds: BTreeMap<FeedKey, Shown>,
    /// Feeds whose author signs two histories on purpose.
    pub(crate) two_faced: BTreeSet<FeedKey>,
}

#[derive(Default)]
struct Shown {
    blocks: Vec<Bytes>,
    peaks: Peaks,
    /// Root at each length from 1 on.
    roots: Vec<Hash>,
}

impl Archive {
    /// How much of `feed` was shown.
    pub(crate) fn length(&self, feed: &FeedKey) -> u64 {
        self.feeds.get(feed).map_or(0, |shown| shown.blocks.len() as u64)
    }

    pub(crate) fn block(&self, feed: &FeedKey, seq: u64) -> Option<&Bytes> {
        self.feeds.get(feed)?.blocks.get(seq as usize)
    }

    /// Root of `feed` at `length`.
    pub(crate) fn root(&self, feed: &FeedKey, length: u64) -> Option<Hash> {
        self.feeds.get(feed)?.roots.get(length.checked_sub(1)? as usize).copied()
    }

    pub(crate) fn feeds(&self) -> impl Iterator<Item = (&FeedKey, u64)> {
        self.feeds.iter().map(|(feed, shown)| (feed, shown.blocks.len() as u64))
    }

    /// A device shows `range`, which must not begin beyond what was shown before.
    pub(crate) fn show(&mut self, range: &Range, names: &Names) -> Result<(), Violation> {
        let lenient = self.two_faced.contains(&range.feed);
        let shown = self.feeds.entry(range.feed).or_default();
        for (seq, block) in (range.start..).zip(&range.blocks) {
            match shown.blocks.get(seq as usize) {
                Some(known) if known == block => {}
                Some(_) if lenient => return Ok(()),
                Some(_) => {
                    let at = names.position(&range.feed, seq);
                    let detail = format!("{at} was shown before as another block");
                    return Err(Violation::new(Oracle::Fork, detail));
                }
                None => {
                    assert_eq!(seq, shown.blocks.len() as u64, "feeds are shown from their start");
                    shown.blocks.push(block.clone());
                    shown.peaks.append(merkle::leaf_hash(block), |_, _, _| {});
                    shown.roots.push(shown.peaks.root());
                }
            }
        }
        let head = range.head.decode_unverified().ok();
        let root = head.as_ref().and_then(|head| self.root(&range.feed, head.length));
        if let (Some(head), Some(root)) = (head, root)
            && head.root != root
            && !lenient
        {
            let at = names.position(&range.feed, head.length);
            return Err(Violation::new(Oracle::Fork, format!("two heads were signed at {at}")));
        }
        Ok(())
    }

    /// An author wrote these positions: nobody may have been shown other blocks there.
    pub(crate) fn written(
        &self,
        feed: &FeedKey,
        written: &std::ops::Range<u64>,
        names: &Names,
    ) -> Result<(), Violation> {
        let length = self.length(feed);
        if written.start < length.min(written.end) {
            let (at, last) =
                (names.position(feed, written.start), names.position(feed, length - 1));
            let detail = format!("{at} is written anew, though peers hold the feed up to {last}");
            return Err(Violation::new(Oracle::Fork, detail));
        }
        Ok(())
    }
}
