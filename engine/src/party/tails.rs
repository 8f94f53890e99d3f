//! How much has come for items that are not in memory since their checkpoints: whoever is far behind is
//! loaded only to be checkpointed. Pure.
//!
//! Invariant: at most [`COLD_TAILS_MAX`] items are counted, at some 25 bytes each. Beyond, those with less
//! than the average are forgotten, which delays their checkpoints and nothing else.

use std::collections::BTreeMap;

use systole_store::{FeedNo, ItemKey};

use crate::settings::COLD_TAILS_MAX;

/// Messages and payload bytes, by the feed and the position of an item.
#[derive(Debug, Default)]
pub(super) struct Tails {
    feeds: BTreeMap<FeedNo, BTreeMap<u64, (u32, u32)>>,
    count: usize,
}

impl Tails {
    /// More has come for an item; how much that is in all.
    pub(super) fn add(&mut self, item: ItemKey, messages: u64, bytes: u64) -> (u64, u64) {
        let count = &mut self.count;
        let tail = self.feeds.entry(item.feed).or_default().entry(item.seq).or_insert_with(|| {
            *count += 1;
            (0, 0)
        });
        // What is more than four billion is due in any case.
        let sum = |had: u32, more: u64| {
            u32::try_from(more).map_or(u32::MAX, |more| had.saturating_add(more))
        };
        *tail = (sum(tail.0, messages), sum(tail.1, bytes));
        let tail = (tail.0.into(), tail.1.into());
        if self.count > COLD_TAILS_MAX {
            self.forget_short_ones();
        }
        tail
    }

    /// Counts an item no more.
    pub(super) fn remove(&mut self, item: ItemKey) {
        let Some(tails) = self.feeds.get_mut(&item.feed) else { return };
        self.count -= usize::from(tails.remove(&item.seq).is_some());
        if tails.is_empty() {
            self.feeds.remove(&item.feed);
        }
    }

    fn forget_short_ones(&mut self) {
        let tails = self.feeds.values().flat_map(BTreeMap::values);
        let messages: u64 = tails.map(|tail| u64::from(tail.0)).sum();
        let average = messages / self.count as u64;
        let (mut kept, most) = (0, COLD_TAILS_MAX / 2);
        for tails in self.feeds.values_mut() {
            tails.retain(|_, tail| {
                let stays = u64::from(tail.0) > average && kept < most;
                kept += usize::from(stays);
                stays
            });
        }
        self.feeds.retain(|_, tails| !tails.is_empty());
        self.count = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seq: usize) -> ItemKey {
        ItemKey { feed: FeedNo(1), seq: seq as u64 }
    }

    #[test]
    fn what_comes_for_an_item_adds_up_until_it_is_counted_no_more() {
        let mut tails = Tails::default();
        assert_eq!(tails.add(item(1), 2, 30), (2, 30));
        assert_eq!(tails.add(item(1), u64::MAX, 1), (u32::MAX.into(), 31));
        tails.remove(item(2));
        assert_eq!(tails.count, 1);
        tails.remove(item(1));
        assert!(tails.count == 0 && tails.feeds.is_empty());
        assert_eq!(tails.add(item(1), 1, 1), (1, 1));
    }

    #[test]
    fn beyond_the_bound_long_tails_are_kept() {
        let mut tails = Tails::default();
        tails.add(item(0), 1_000, 1);
        for n in 1..=COLD_TAILS_MAX {
            tails.add(item(n), 1, 1);
        }
        assert!(tails.count < COLD_TAILS_MAX);
        assert_eq!(tails.add(item(0), 1, 1), (1_001, 2));
    }
}
