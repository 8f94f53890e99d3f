//! `CausalPast`: what a message's author had seen of the item.
//!
//! Messages of an item share most of it, so it is a view of two shared tables, not a table of its own:
//! the feeds that wrote to the item, and how far the author knew each feed of the party.
//!
//! Invariants: authors rise by key, no key twice; a length that does not reach an author's first message
//! in the item is 0, so two pasts that say the same are equal, whatever else their tables hold.

use std::fmt;
use std::sync::Arc;

use systole_proto::{FeedKey, Timeframe};

/// Lengths of feeds by their local numbers.
pub trait Lengths: Send + Sync {
    /// How many blocks of feed `number` are known; 0 if none.
    fn length(&self, number: u32) -> u64;
}

/// A feed that wrote to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// Its key.
    pub key: FeedKey,
    /// Its number in [`Lengths`].
    pub number: u32,
    /// Its first message in the item.
    pub first: u64,
}

/// What a message's author had seen of the item: the block's causal past, restricted to the feeds that
/// wrote to the item, and the author's own feed up to the message. Cheap to copy.
#[derive(Clone)]
pub struct CausalPast {
    authors: Arc<Vec<Author>>,
    lengths: Arc<dyn Lengths>,
    /// The message's own feed, and its position there.
    own: Option<(u32, u64)>,
}

impl CausalPast {
    /// The past of message `own`, which is a feed's number and a position. `authors` rise by key and
    /// wrote to the item before it; `lengths` is what the message's author knew of other feeds.
    pub fn new(
        authors: Arc<Vec<Author>>,
        lengths: Arc<dyn Lengths>,
        own: Option<(u32, u64)>,
    ) -> Self {
        Self { authors, lengths, own }
    }

    /// How many blocks of `feed` are in this past; 0 if none of the item's messages is among them.
    pub fn length(&self, feed: &FeedKey) -> u64 {
        let found = self.authors.binary_search_by(|author| author.key.cmp(feed));
        found.map_or(0, |at| self.length_of(&self.authors[at]))
    }

    /// Whether message `seq` of `feed`, one of the same item, is in this past.
    pub fn contains(&self, feed: &FeedKey, seq: u64) -> bool {
        self.length(feed) > seq
    }

    /// Feeds with their lengths, by rising key.
    pub fn iter(&self) -> impl Iterator<Item = (FeedKey, u64)> + '_ {
        let lengths = self.authors.iter().map(|author| (author.key, self.length_of(author)));
        lengths.filter(|(_, length)| *length > 0)
    }

    /// Visits the feeds of which this past knows more than `before` does, by rising key, with the length
    /// known here. Fast where both are of the same feed and what it knew did not change between them.
    pub fn gains_since(&self, before: &Self, mut visit: impl FnMut(&FeedKey, u64)) {
        let same_tables = Arc::ptr_eq(&self.authors, &before.authors)
            && Arc::ptr_eq(&self.lengths, &before.lengths);
        let own = |past: &Self| past.own.map(|(number, _)| number);
        let may_differ = |author: &&Author| {
            !same_tables || own(self) != own(before) || own(self) == Some(author.number)
        };
        for author in self.authors.iter().filter(may_differ) {
            let length = self.length_of(author);
            if length > before.length(&author.key) {
                visit(&author.key, length);
            }
        }
    }

    /// A copy that shares nothing: what the tables hold beyond this past is not kept alive by it.
    pub fn detached(&self) -> Self {
        self.iter().collect()
    }

    fn length_of(&self, author: &Author) -> u64 {
        let length = match self.own {
            Some((number, seq)) if number == author.number => seq,
            _ => self.lengths.length(author.number),
        };
        if length > author.first { length } else { 0 }
    }
}

impl Default for CausalPast {
    fn default() -> Self {
        Self { authors: Arc::default(), lengths: Arc::new(ByPlace(Vec::new())), own: None }
    }
}

/// Lengths of feeds that are numbered from 0.
struct ByPlace(Vec<u64>);

impl Lengths for ByPlace {
    fn length(&self, number: u32) -> u64 {
        self.0.get(number as usize).copied().unwrap_or(0)
    }
}

impl FromIterator<(FeedKey, u64)> for CausalPast {
    fn from_iter<I: IntoIterator<Item = (FeedKey, u64)>>(entries: I) -> Self {
        Timeframe::from_iter(entries).into()
    }
}

impl From<Timeframe> for CausalPast {
    fn from(timeframe: Timeframe) -> Self {
        let author =
            |(at, (key, _)): (usize, (FeedKey, u64))| Author { key, number: at as u32, first: 0 };
        let lengths = timeframe.iter().map(|(_, length)| length).collect();
        Self {
            authors: Arc::new(timeframe.iter().enumerate().map(author).collect()),
            lengths: Arc::new(ByPlace(lengths)),
            own: None,
        }
    }
}

impl PartialEq for CausalPast {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for CausalPast {}

impl fmt::Debug for CausalPast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> FeedKey {
        FeedKey([byte; 32])
    }

    fn authors() -> Arc<Vec<Author>> {
        let author = |byte: u8, first| Author { key: key(byte), number: byte.into(), first };
        Arc::new(vec![author(1, 4), author(2, 0), author(3, 7)])
    }

    fn lengths(lengths: &[u64]) -> Arc<dyn Lengths> {
        Arc::new(ByPlace(lengths.to_vec()))
    }

    #[test]
    fn feeds_count_from_their_first_message_in_the_item() {
        let past = CausalPast::new(authors(), lengths(&[9, 4, 5, 6]), None);
        assert_eq!(past.iter().collect::<Vec<_>>(), [(key(2), 5)]);
        assert_eq!((past.length(&key(1)), past.length(&key(9))), (0, 0));
        assert!(past.contains(&key(2), 4) && !past.contains(&key(2), 5));
    }

    #[test]
    fn of_its_own_feed_a_message_has_seen_what_stands_before_it() {
        let past = CausalPast::new(authors(), lengths(&[0, 5, 0, 99]), Some((3, 8)));
        assert_eq!(past.iter().collect::<Vec<_>>(), [(key(1), 5), (key(3), 8)]);
    }

    #[test]
    fn gains_are_what_is_known_beyond_another_past() {
        let gains = |past: &CausalPast, before: &CausalPast| {
            let mut gains = Vec::new();
            past.gains_since(before, |feed, length| gains.push((feed.0[0], length)));
            gains
        };
        let (authors, known) = (authors(), lengths(&[0, 5, 6, 0]));
        let first = CausalPast::new(authors.clone(), known.clone(), Some((1, 6)));
        let next = CausalPast::new(authors.clone(), known, Some((1, 8)));
        assert_eq!(gains(&next, &first), [(1, 8)], "the same tables");
        let knows_more = CausalPast::new(authors.clone(), lengths(&[0, 5, 6, 9]), Some((1, 8)));
        assert_eq!(gains(&knows_more, &next), [(3, 9)]);
        let of_another = CausalPast::new(authors, lengths(&[0, 7, 0, 0]), Some((2, 9)));
        assert_eq!(gains(&of_another, &next), [(2, 9)]);
        assert_eq!(gains(&next.detached(), &first), [(1, 8)], "equal, in tables of its own");
    }

    #[test]
    fn pasts_that_say_the_same_are_equal() {
        let past = CausalPast::new(authors(), lengths(&[9, 4, 5, 6]), None);
        let other = CausalPast::new(authors(), lengths(&[1, 0, 0, 7]), Some((2, 5)));
        assert_eq!(past, other);
        assert_eq!(past, past.detached());
        assert_ne!(past, CausalPast::default());
    }
}
