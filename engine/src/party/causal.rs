//! Causality of blocks: what a block's author had seen, its Lamport number, and which links say so.
//!
//! Invariants:
//! - a [`Past`] never holds an entry for the block's own feed: of its own feed a block has seen
//!   everything before itself, and nothing else;
//! - a past is closed: whatever a block in it has seen is in it too;
//! - Lamport numbers of one feed grow by one per block except at blocks with links, so the blocks
//!   with links ([`CausalStep`]) are all that must be kept to know both for every block.

use std::sync::Arc;

use systole_store::{CausalStep, FeedNo};

/// After this many delta steps of a feed, one step is stored in full.
pub(crate) const STEP_FULL_EVERY: u8 = 16;

/// For every other feed, how many of its blocks a block's author had seen. Sorted by feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past(Vec<(FeedNo, u64)>);

impl Past {
    /// How many blocks of `feed` are in this past.
    pub(crate) fn length(&self, feed: FeedNo) -> u64 {
        match self.0.binary_search_by_key(&feed, |entry| entry.0) {
            Ok(at) => self.0[at].1,
            Err(_) => 0,
        }
    }

    /// Raises the entry of `feed` to at least `length`.
    pub(crate) fn raise(&mut self, feed: FeedNo, length: u64) {
        match self.0.binary_search_by_key(&feed, |entry| entry.0) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(length),
            Err(at) => self.0.insert(at, (feed, length)),
        }
    }

    /// Adds everything that `other` has seen, except of `own`.
    pub(crate) fn merge(&mut self, other: &Self, own: FeedNo) {
        let mut merged = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    let entry = (a.0, a.1.max(b.1));
                    left.next();
                    right.next();
                    entry
                }
                (Some(a), Some(b)) if a.0 < b.0 => {
                    let entry = **a;
                    left.next();
                    entry
                }
                (_, Some(b)) => {
                    let entry = **b;
                    right.next();
                    entry
                }
                (Some(a), None) => {
                    let entry = **a;
                    left.next();
                    entry
                }
                (None, None) => break,
            };
            if next.0 != own {
                merged.push(next);
            }
        }
        self.0 = merged;
    }

    /// The entries, sorted by feed.
    pub(crate) fn entries(&self) -> &[(FeedNo, u64)] {
        &self.0
    }

    /// The entries of `self` that are greater than those of `base`.
    fn since(&self, base: &Self) -> Vec<(FeedNo, u64)> {
        self.0.iter().copied().filter(|(feed, length)| *length > base.length(*feed)).collect()
    }

    /// Estimate of the memory held, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(FeedNo, u64)>() + size_of::<Self>()
    }
}

impl systole_models::Lengths for Past {
    fn length(&self, number: u32) -> u64 {
        self.length(FeedNo(number))
    }
}

/// Lamport number and past of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Causal {
    /// The block's Lamport number.
    pub(crate) lamport: u64,
    /// What its author had seen of other feeds.
    pub(crate) past: Arc<Past>,
}

impl Causal {
    /// What holds for blocks of a feed before its first links.
    pub(crate) fn unlinked(seq: u64) -> Self {
        Self { lamport: seq + 1, past: Arc::default() }
    }
}

/// A step as it is kept in memory: the block at which a feed's past last grew.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) seq: u64,
    pub(crate) lamport: u64,
    pub(crate) past: Arc<Past>,
}

impl Step {
    /// Lamport number and past of block `seq`, if no later step stands between.
    pub(crate) fn causal(&self, seq: u64) -> Causal {
        assert!(seq >= self.seq, "a step says nothing of blocks before it");
        Causal { lamport: self.lamport + (seq - self.seq), past: self.past.clone() }
    }

    /// The stored form: what grew since `previous`, or everything when `depth` says so.
    pub(crate) fn record(&self, previous: Option<&Past>, depth: u8) -> CausalStep {
        let full = previous.is_none() || depth == 0;
        let entries = match previous {
            Some(previous) if !full => self.past.since(previous),
            _ => self.past.entries().to_vec(),
        };
        CausalStep { seq: self.seq, lamport: self.lamport, full, depth, entries }
    }

    /// Rebuilds the newest of `newest_first`, whose last element must be a full step.
    pub(crate) fn rebuild(newest_first: &[CausalStep]) -> Option<Self> {
        let newest = newest_first.first()?;
        if !newest_first.last()?.full {
            return None;
        }
        let mut past = Past::default();
        for step in newest_first.iter().rev() {
            for (feed, length) in &step.entries {
                past.raise(*feed, *length);
            }
        }
        Some(Self { seq: newest.seq, lamport: newest.lamport, past: Arc::new(past) })
    }
}

/// One feed's tip as a candidate for a link.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) feed: FeedNo,
    pub(crate) length: u64,
    pub(crate) lamport: u64,
}

/// The frontier of `tips`: those that no other tip has seen. `past_of` is asked as few times as
/// possible, greatest Lamport number first, for a tip can only be seen by one with a greater number.
pub(crate) fn frontier<E>(
    mut tips: Vec<Tip>,
    mut past_of: impl FnMut(&Tip) -> Result<Arc<Past>, E>,
) -> Result<Vec<(Tip, Arc<Past>)>, E> {
    tips.sort_by(|a, b| b.lamport.cmp(&a.lamport).then(a.feed.cmp(&b.feed)));
    let mut kept = Vec::new();
    while !tips.is_empty() {
        let tip = tips.remove(0);
        let past = past_of(&tip)?;
        tips.retain(|other| past.length(other.feed) < other.length);
        kept.push((tip, past));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(entries: &[(u32, u64)]) -> Past {
        let mut past = Past::default();
        for (feed, length) in entries {
            past.raise(FeedNo(*feed), *length);
        }
        past
    }

    #[test]
    fn merging_takes_the_greater_length_and_leaves_out_the_own_feed() {
        let mut left = past(&[(1, 5), (3, 2)]);
        left.merge(&past(&[(1, 3), (2, 9), (3, 7), (4, 1)]), FeedNo(4));
        assert_eq!(left, past(&[(1, 5), (2, 9), (3, 7)]));
    }

    #[test]
    fn delta_steps_rebuild_the_past_they_were_made_from() {
        let pasts = [past(&[(1, 1)]), past(&[(1, 1), (2, 4)]), past(&[(1, 9), (2, 4), (7, 1)])];
        let mut records = Vec::new();
        for (n, current) in pasts.iter().enumerate() {
            let step = Step { seq: n as u64 * 10, lamport: 3, past: Arc::new(current.clone()) };
            let previous = n.checked_sub(1).map(|p| &pasts[p]);
            records.insert(0, step.record(previous, n as u8));
        }
        assert!(records[2].full && !records[0].full);
        assert_eq!(*Step::rebuild(&records).expect("starts at a full step").past, pasts[2]);
        assert!(Step::rebuild(&records[..1]).is_none(), "a chain without a full step is refused");
    }

    #[test]
    fn a_chain_of_feeds_needs_one_link() {
        let tips =
            (1..=50).map(|n| Tip { feed: FeedNo(n), length: 1, lamport: u64::from(n) }).collect();
        let mut asked = 0;
        let kept = frontier::<()>(tips, |tip| {
            asked += 1;
            Ok(Arc::new(past(&(1..tip.feed.0).map(|n| (n, 1)).collect::<Vec<_>>())))
        })
        .expect("lookups do not fail");
        assert_eq!((kept.len(), asked), (1, 1));
        assert_eq!(kept[0].0.feed, FeedNo(50));
    }

    #[test]
    fn concurrent_tips_are_all_linked() {
        let tips = (1..=3).map(|n| Tip { feed: FeedNo(n), length: 4, lamport: 4 }).collect();
        let kept = frontier::<()>(tips, |_| Ok(Arc::default())).expect("lookups do not fail");
        assert_eq!(kept.len(), 3);
    }
}
