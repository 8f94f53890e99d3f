//! What the pure party core looks up, answered from the store, with what is used again kept at hand.
//!
//! Invariant: everything here is either stored, or stands in [`StoreHost::take_new_feeds`] and goes
//! into the next batch.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use systole_proto::{FeedKey, Hash};
use systole_store::{FeedNo, FeedRecord, ItemKey, ItemRecord, PartyNo};

use super::causal::Step;
use super::history;
use super::known::KnownItems;
use super::state::Host;
use crate::Error;
use crate::device::Device;
use crate::feed::{HeldFeed, load};
use crate::settings::ITEMS_CACHED_MAX;
use crate::stages::{Sampler, Stage};

/// Roots of feeds at recent lengths that are kept at hand.
const ROOTS_CACHED_MAX: usize = 4_096;

/// A cache of at most so many entries that takes memory only for those it has. One that is made with its
/// size reserves it all, and spreads the first few entries over as many pages.
fn growing<K: std::hash::Hash + Eq, V>(entries_max: usize) -> LruCache<K, V> {
    let mut cache = LruCache::unbounded();
    cache.resize(NonZeroUsize::new(entries_max).expect("a named bound is not 0"));
    cache
}

/// Lookups for one party.
pub(crate) struct StoreHost {
    device: Arc<Device>,
    party: PartyNo,
    held: BTreeMap<FeedNo, HeldFeed>,
    /// Feeds that were given a number since the last batch.
    new_feeds: BTreeMap<FeedKey, FeedRecord>,
    items: LruCache<ItemKey, Arc<ItemRecord>>,
    known: KnownItems,
    roots: LruCache<(FeedNo, u64), Hash>,
    now_millis: u64,
    sampler: Sampler,
}

impl StoreHost {
    pub(crate) fn new(device: Arc<Device>, party: PartyNo) -> Self {
        Self {
            device,
            party,
            held: BTreeMap::new(),
            new_feeds: BTreeMap::new(),
            items: growing(ITEMS_CACHED_MAX),
            known: KnownItems::default(),
            roots: growing(ROOTS_CACHED_MAX),
            now_millis: 0,
            sampler: Sampler::default(),
        }
    }

    /// What is recorded from here is recorded at this time.
    pub(crate) fn tell_time(&mut self, now_millis: u64) {
        self.now_millis = now_millis;
    }

    /// The end of a feed: its tree's peaks and its latest head.
    pub(crate) fn held(&mut self, feed: FeedNo) -> Result<&mut HeldFeed, Error> {
        if !self.held.contains_key(&feed) {
            self.held.insert(feed, load(self.device.store.feeds(), feed)?);
        }
        Ok(self.held.get_mut(&feed).expect("just loaded"))
    }

    /// Records a feed of this device; its number.
    pub(crate) fn add_own_feed(&mut self, key: FeedKey) -> Result<FeedNo, Error> {
        let no = self.number(&key)?;
        self.new_feeds.entry(key).and_modify(|record| record.own = true);
        Ok(no)
    }

    /// The feeds that were given a number since this was last asked: they belong into the next batch.
    pub(crate) fn take_new_feeds(&mut self) -> Vec<FeedRecord> {
        std::mem::take(&mut self.new_feeds).into_values().collect()
    }

    /// An item's record is now this.
    pub(crate) fn remember(&mut self, record: Arc<ItemRecord>) {
        self.known.insert(record.key);
        self.items.put(record.key, record);
    }

    /// The party that a known feed belongs to.
    pub(crate) fn party_of(&self, key: &FeedKey) -> Result<Option<PartyNo>, Error> {
        if let Some(record) = self.new_feeds.get(key) {
            return Ok(Some(record.party));
        }
        Ok(self.device.store.meta().feed_by_key(key)?.map(|record| record.party))
    }
}

impl Host for StoreHost {
    fn number(&mut self, key: &FeedKey) -> Result<FeedNo, Error> {
        if let Some(record) = self.new_feeds.get(key) {
            return Ok(record.no);
        }
        if let Some(no) = self.device.store.meta().feed_no(key)? {
            return Ok(no);
        }
        let no = self.device.number_feed();
        let created_millis = self.now_millis;
        let record = FeedRecord { no, key: *key, party: self.party, own: false, created_millis };
        self.new_feeds.insert(*key, record);
        Ok(no)
    }

    fn key(&mut self, feed: FeedNo) -> Result<FeedKey, Error> {
        match self.new_feeds.values().find(|record| record.no == feed) {
            Some(record) => Ok(record.key),
            None => history::key(&self.device.store, feed),
        }
    }

    fn step(&mut self, feed: FeedNo, seq: u64) -> Result<Option<(Step, u8)>, Error> {
        history::step(&self.device.store, feed, seq)
    }

    fn aliases(&mut self, feed: FeedNo) -> Result<Vec<FeedNo>, Error> {
        // The first name in the store is the feed's own.
        Ok(self.device.store.feeds().aliases(feed)?.split_off(1))
    }

    fn root(&mut self, feed: FeedNo, length: u64) -> Result<Hash, Error> {
        let held = self.held(feed)?;
        if held.tail.length() == length {
            return Ok(held.tail.root());
        }
        if let Some(root) = self.roots.get(&(feed, length)) {
            return Ok(*root);
        }
        let root = self.device.store.feeds().peaks_at(feed, length)?.root();
        self.roots.put((feed, length), root);
        Ok(root)
    }

    fn begins(&mut self) {
        self.sampler.begin();
    }

    fn passed(&mut self, stage: Stage) {
        self.sampler.lap(&self.device.live.stages, stage);
    }

    fn item_exists(&mut self, key: ItemKey) -> Result<bool, Error> {
        if self.known.contains(key) {
            return Ok(true);
        }
        let exists = self.item(key)?.is_some();
        if exists {
            self.known.insert(key);
        }
        Ok(exists)
    }

    fn item(&mut self, key: ItemKey) -> Result<Option<Arc<ItemRecord>>, Error> {
        if let Some(record) = self.items.get(&key) {
            return Ok(Some(record.clone()));
        }
        let record = self.device.store.items().item(key)?.map(Arc::new);
        if let Some(record) = &record {
            self.items.put(key, record.clone());
        }
        Ok(record)
    }
}
