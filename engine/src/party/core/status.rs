//! What the party says of itself.

use std::collections::BTreeMap;

use systole_proto::{FeedKey, ItemId, PublicKey};
use systole_store::{FeedNo, ItemKey};

use super::PartyCore;
use crate::Error;
use crate::party::command::{FeedStatus, PartyStatus};
use crate::party::state::Host as _;

/// What is bounded, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Batches that wait at the item with the most of them.
    pub waiting_batches_max: usize,
    /// Estimated bytes of items in memory.
    pub resident_bytes: usize,
    /// Items in memory.
    pub resident: usize,
    /// Bytes read ahead.
    pub read_ahead_bytes: usize,
    /// Credentials that do not count yet, of the feed with the most of them.
    pub parked_per_feed_max: usize,
    /// Feeds stored whose admission is not known.
    pub unadmitted_feeds: usize,
}

impl PartyCore {
    /// The id of an item that messages were processed for.
    pub(crate) fn item_id(&mut self, item: ItemKey) -> Result<ItemId, Error> {
        let record = self.host.item(item)?;
        let record = record.ok_or_else(|| Error::corrupt(format!("{item} has no record")))?;
        Ok(record.id)
    }

    /// The key of a feed that the party has heard of.
    ///
    /// # Panics
    /// If it has not.
    pub(crate) fn feed_key(&self, feed: FeedNo) -> FeedKey {
        self.state.feed(feed).expect("the party knows its feeds").key
    }

    /// What the party bounds, as it stands.
    pub(crate) fn bounds(&self) -> Bounds {
        let membership = &self.state.membership;
        let mut parked: BTreeMap<FeedKey, usize> = BTreeMap::new();
        for (at, _) in membership.parked() {
            *parked.entry(at.feed).or_default() += 1;
        }
        let unadmitted = self
            .state
            .feeds()
            .filter(|(_, feed)| feed.length > 0 && !membership.is_admitted(&feed.key));
        Bounds {
            read_ahead_bytes: self.read_ahead.bytes(),
            parked_per_feed_max: parked.into_values().max().unwrap_or(0),
            unadmitted_feeds: unadmitted.count(),
            ..Bounds::default()
        }
    }

    /// How far every feed has come, and exactly what is waited for.
    pub(crate) fn status(&mut self) -> Result<PartyStatus, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut feeds = Vec::new();
        let states: Vec<_> =
            self.state.feeds().map(|(no, _)| (no, self.state.waits_for(no))).collect();
        for (no, waits_for) in states {
            let waits_for = match waits_for {
                None => None,
                Some((target, length)) => Some((self.host.key(target)?, length)),
            };
            let feed = self.state.feed(no).expect("listed above");
            feeds.push(FeedStatus {
                feed: feed.key,
                own: self.signers.contains_key(&no),
                admitted: self.state.membership.is_admitted(&feed.key),
                owner: self.state.membership.author(&feed.key, |_| true).copied(),
                stored: feed.length,
                verified: feed.length,
                processed: feed.processed,
                waits_for,
                halted: feed.halted.clone(),
            });
        }
        let membership = &self.state.membership;
        let parked = membership.parked();
        let store = &self.device.store;
        Ok(PartyStatus {
            party: self.record.key,
            founded: membership.genesis().is_some(),
            paused: self.paused,
            members: membership.members().copied().collect::<Vec<PublicKey>>(),
            feeds,
            parked: parked.map(|(at, waits)| (at.feed, at.seq, waits.to_string())).collect(),
            items: store.items().count(self.record.no)?,
            quarantined: store.meta().quarantined_count(self.record.no)?,
        })
    }
}
