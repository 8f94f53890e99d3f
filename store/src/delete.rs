//! Deleting a party: everything that its feeds and items left, in ranges.
//!
//! A deleted range is a note in the log at first; the data it covers stay on disk until compaction meets
//! both. Without further writes that is never, so whoever deletes asks for it ([`Store::reclaim`]), once
//! the deletion is committed: until then the data must not go.
//!
//! Feeds of one party mostly have consecutive numbers, so a party takes a few ranges, not a few per
//! feed: many range deletions would slow down every later read.

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::numbers::{FeedNo, PartyNo};
use crate::store::Store;

/// Records whose keys open with a feed.
const PER_FEED: [(Family, Kind); 12] = [
    (Family::Block, Kind::Block),
    (Family::Feed, Kind::Node),
    (Family::Feed, Kind::Head),
    (Family::Feed, Kind::LatestHead),
    (Family::Feed, Kind::Step),
    (Family::Feed, Kind::Alias),
    (Family::Feed, Kind::Equivocation),
    (Family::Meta, Kind::FeedByNo),
    (Family::Meta, Kind::Position),
    (Family::Item, Kind::Item),
    (Family::Log, Kind::ProcessingLog),
    (Family::Checkpoint, Kind::Checkpoint),
];

/// Records whose keys open with a party. Its own record is not among them.
const PER_PARTY: [(Family, Kind); 6] = [
    (Family::Meta, Kind::FeedOfParty),
    (Family::Meta, Kind::Credential),
    (Family::Meta, Kind::Quarantine),
    (Family::Item, Kind::ItemById),
    (Family::Item, Kind::ItemByModel),
    (Family::Item, Kind::ItemByParent),
];

/// Where the data of a deleted party lay.
#[derive(Debug, Default)]
pub struct Deleted {
    ranges: Vec<(Family, Range)>,
}

impl Store {
    /// Adds to the batch the removal of the party's feeds, items, checkpoints, credentials and
    /// quarantine. The party's record stays for the caller to mark deleted, so that its number is
    /// never reused, and so do secrets: the vault does not know parties.
    ///
    /// The space comes back as files are rewritten over time, or with [`Store::reclaim`] once the batch is
    /// committed.
    pub fn delete_party(&self, batch: &mut Batch, party: PartyNo) -> Result<Deleted, Error> {
        let mut ranges = Vec::new();
        let feeds = self.meta().feeds_of(party)?;
        for feed in &feeds {
            batch.delete(Family::Meta, &keys::feed_by_key(&feed.key));
        }
        for (first, last) in runs(feeds.iter().map(|feed| feed.no)) {
            for (family, kind) in PER_FEED {
                ranges.push((family, keys::feeds(kind, first, last)));
            }
        }
        for (family, kind) in PER_PARTY {
            ranges.push((family, Range::prefix(&keys::per_party(kind, party))));
        }
        for (family, range) in &ranges {
            batch.delete_range(*family, &range.from, &range.to);
        }
        Ok(Deleted { ranges })
    }

    /// Gives the space of a deleted party back, once its deletion is committed. Takes as long as reading
    /// what was deleted and writing what lies beside it in the same files; others read and write meanwhile.
    pub fn reclaim(&self, deleted: &Deleted) -> Result<(), Error> {
        if self.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let mut ranges = deleted.ranges.iter();
        ranges
            .try_for_each(|(family, range)| self.backend().reclaim(*family, &range.from, &range.to))
    }
}

/// Runs of consecutive numbers, as first and last of each.
fn runs(numbers: impl Iterator<Item = FeedNo>) -> Vec<(FeedNo, FeedNo)> {
    let mut runs: Vec<(FeedNo, FeedNo)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.0.checked_add(1) == Some(number.0) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_feeds_make_one_run() {
        let numbers = [1, 2, 3, 5, 9, 10].map(FeedNo);
        let expected = [(1, 3), (5, 5), (9, 10)].map(|(first, last)| (FeedNo(first), FeedNo(last)));
        assert_eq!(runs(numbers.into_iter()), expected);
    }
}
