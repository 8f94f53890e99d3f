//! `Feeds`: how far each feed is applied, and a small number for each feed key.
//!
//! Invariants: numbers are given in the order feeds are first met and never change; a length never falls;
//! `by_key` holds every number once, by rising key.

use systole_proto::FeedKey;

/// Number of a feed within one model.
pub(crate) type FeedNumber = u32;

/// The feeds that a model met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feeds {
    entries: Vec<(FeedKey, u64)>,
    by_key: Vec<FeedNumber>,
}

impl Feeds {
    /// Marks message (`feed`, `seq`) as applied: the feed's number, or `None` if it was applied before.
    pub(crate) fn advance(&mut self, feed: &FeedKey, seq: u64) -> Option<FeedNumber> {
        let number = self.intern(feed);
        let length = &mut self.entries[number as usize].1;
        if seq < *length {
            return None;
        }
        *length = seq.saturating_add(1);
        Some(number)
    }

    /// The number of `feed`, given on first sight.
    pub(crate) fn intern(&mut self, feed: &FeedKey) -> FeedNumber {
        match self.position(feed) {
            Ok(at) => self.by_key[at],
            Err(at) => {
                let number = u32::try_from(self.entries.len())
                    .expect("a party admits at most TIMEFRAME_FEEDS_MAX feeds");
                if self.entries.is_empty() {
                    // Most objects have one writer for life, and there are many objects.
                    self.entries.reserve_exact(1);
                    self.by_key.reserve_exact(1);
                }
                self.entries.push((*feed, 0));
                self.by_key.insert(at, number);
                number
            }
        }
    }

    /// The key of feed `number`.
    pub(crate) fn key(&self, number: FeedNumber) -> &FeedKey {
        &self.entries[number as usize].0
    }

    /// Messages of feed `number` below this position are applied.
    pub(crate) fn length(&self, number: FeedNumber) -> u64 {
        self.entries[number as usize].1
    }

    /// Feed numbers by rising key.
    pub(crate) fn by_key(&self) -> &[FeedNumber] {
        &self.by_key
    }

    /// Memory outside of `self`, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(FeedKey, u64)>()
            + self.by_key.capacity() * size_of::<FeedNumber>()
    }

    fn position(&self, feed: &FeedKey) -> Result<usize, usize> {
        self.by_key.binary_search_by(|&number| self.key(number).cmp(feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_applied_once_and_gaps_are_fine() {
        let mut feeds = Feeds::default();
        let (late, early) = (FeedKey([9; 32]), FeedKey([1; 32]));
        assert_eq!(feeds.advance(&late, 4), Some(0));
        assert_eq!(feeds.advance(&early, 0), Some(1));
        assert_eq!(feeds.advance(&late, 4), None);
        assert_eq!(feeds.advance(&late, 3), None, "seqs of one feed come in order");
        assert_eq!(feeds.advance(&late, 7), Some(0));
        assert_eq!(feeds.length(0), 8);
    }

    #[test]
    fn numbers_are_listed_by_key() {
        let mut feeds = Feeds::default();
        for byte in [5, 3, 9, 1] {
            feeds.intern(&FeedKey([byte; 32]));
        }
        let keys: Vec<u8> = feeds.by_key().iter().map(|&number| feeds.key(number).0[0]).collect();
        assert_eq!(keys, [1, 3, 5, 9]);
    }
}
