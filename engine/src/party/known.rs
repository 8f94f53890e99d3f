//! Items that are known to exist, at few bytes each: every message names one, and only its existence
//! matters to most of them. Pure.
//!
//! Invariant: an item that is in here exists; one that is not may exist all the same. Items are never
//! removed from a party, so nothing becomes wrong.

use std::collections::{BTreeMap, BTreeSet};

use systole_store::{FeedNo, ItemKey};

use crate::settings::ITEMS_KNOWN_MAX;

/// Items seen lately, in two generations: when the younger one is full, it becomes the older one, and what
/// was not seen since is forgotten.
#[derive(Debug, Default)]
pub(super) struct KnownItems {
    younger: Generation,
    older: Generation,
}

/// Positions of items by feed: half of the bytes that whole names would take.
#[derive(Debug, Default)]
struct Generation {
    items: BTreeMap<FeedNo, BTreeSet<u64>>,
    count: usize,
}

impl KnownItems {
    pub(super) fn contains(&mut self, item: ItemKey) -> bool {
        if self.younger.contains(item) {
            return true;
        }
        let found = self.older.contains(item);
        if found {
            self.insert(item);
        }
        found
    }

    pub(super) fn insert(&mut self, item: ItemKey) {
        if self.younger.count >= ITEMS_KNOWN_MAX / 2 {
            self.older = std::mem::take(&mut self.younger);
        }
        let new = self.younger.items.entry(item.feed).or_default().insert(item.seq);
        self.younger.count += usize::from(new);
    }
}

impl Generation {
    fn contains(&self, item: ItemKey) -> bool {
        self.items.get(&item.feed).is_some_and(|seqs| seqs.contains(&item.seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_again_stays_and_the_number_is_bounded() {
        let item = |seq| ItemKey { feed: FeedNo(1), seq };
        let mut known = KnownItems::default();
        assert!(!known.contains(item(0)));
        for seq in 0..2 * ITEMS_KNOWN_MAX as u64 {
            known.insert(item(seq));
            assert!(known.contains(item(0)), "seen all the time");
            assert!(known.younger.count + known.older.count <= ITEMS_KNOWN_MAX);
        }
        assert!(!known.contains(item(1)), "not seen for long");
        assert!(!known.contains(ItemKey { feed: FeedNo(2), seq: 0 }));
    }
}
