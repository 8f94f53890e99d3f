//! What the rules look up while a party is processed again: from the store, as far as it was
//! confirmed.
//!
//! Invariants:
//! - an item exists here exactly if a block that was processed again created it;
//! - `differing` holds exactly those items whose records, as derived so far, are not those stored. So
//!   what is kept grows with moves and deletions that are still to come, not with items.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use lru::LruCache;
use systole_proto::merkle::leaf_hash;
use systole_proto::{Block, FeedKey, Hash};
use systole_store::{FeedNo, ItemKey, ItemRecord, LogEntry, Store};

use super::roots::Roots;
use crate::Error;
use crate::party::causal::Step;
use crate::party::{Host, history};

/// Stored item records kept at hand.
const RECORDS_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not 0");
/// Local numbers of feeds that have none begin here, downwards.
const NUMBERS_FROM: u32 = u32::MAX;

/// An item's messages, whatever their order: how many, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) messages: u64,
    sum: u128,
}

impl Tally {
    /// Counts a message, with all that an item's log says of it but its place in the processing.
    pub(super) fn add(&mut self, entry: &LogEntry) {
        let mut bytes = [0; 43];
        let mut rest = &mut bytes[..];
        rest.put_u32(entry.feed.0);
        rest.put_u64(entry.seq);
        rest.put_u64(entry.lamport);
        rest.put_u64(entry.stamp.millis);
        rest.put_u16(entry.stamp.logical);
        rest.put_u32(entry.label);
        rest.put_u8(entry.effective_at.is_some().into());
        rest.put_i64(entry.effective_at.unwrap_or_default());
        assert!(rest.is_empty(), "every field has its place");
        let hash = leaf_hash(&bytes);
        let (half, _) = hash.0.split_first_chunk().expect("a hash has 32 bytes");
        self.messages += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(*half));
    }
}

/// Lookups for a party that is processed again.
pub(super) struct Replica {
    store: Store,
    numbers: BTreeMap<FeedKey, FeedNo>,
    /// Feeds that blocks name and that have no number in the store.
    pub(super) unnumbered: Vec<FeedKey>,
    /// How many feeds each feed has named so far.
    pub(super) named: BTreeMap<FeedNo, u32>,
    /// The items so far.
    pub(super) items: BTreeMap<ItemKey, Tally>,
    /// Records as derived, of items that are stored otherwise.
    pub(super) differing: BTreeMap<ItemKey, Arc<ItemRecord>>,
    records: LruCache<ItemKey, Option<Arc<ItemRecord>>>,
    roots: Roots,
    current: Current,
}

/// The block that is being processed.
#[derive(Default)]
struct Current {
    bytes: Bytes,
    block: Option<Block>,
    /// Links whose roots were asked for.
    links: usize,
    /// Feeds and lengths to which it links with another root.
    wrong: Vec<(FeedNo, u64)>,
}

impl Replica {
    pub(super) fn new(store: Store, numbers: BTreeMap<FeedKey, FeedNo>) -> Self {
        Self {
            roots: Roots::new(store.clone()),
            store,
            numbers,
            unnumbered: Vec::new(),
            named: BTreeMap::new(),
            items: BTreeMap::new(),
            differing: BTreeMap::new(),
            records: LruCache::new(RECORDS_MAX),
            current: Current::default(),
        }
    }

    /// A block is about to be processed.
    pub(super) fn begin(&mut self, bytes: Bytes) {
        self.current = Current { bytes, ..Current::default() };
    }

    /// Where the block links to blocks that are not the ones stored.
    pub(super) fn wrong_links(&mut self) -> Vec<(FeedNo, u64)> {
        std::mem::take(&mut self.current.wrong)
    }

    /// An item's record was derived.
    pub(super) fn derived(&mut self, record: &Arc<ItemRecord>) {
        self.items.entry(record.key).or_default();
        let Some(stored) = self.stored(record.key) else {
            self.differing.insert(record.key, record.clone());
            return;
        };
        // Processing numbers differ from replica to replica.
        let mut record = record.clone();
        if record.ordinal != stored.ordinal {
            Arc::make_mut(&mut record).ordinal = stored.ordinal;
        }
        if record == stored {
            self.differing.remove(&record.key);
        } else {
            self.differing.insert(record.key, record);
        }
    }

    /// The record that is stored, if it can be read.
    fn stored(&mut self, key: ItemKey) -> Option<Arc<ItemRecord>> {
        if let Some(record) = self.records.get(&key) {
            return record.clone();
        }
        let record = self.store.items().item(key).ok().flatten().map(Arc::new);
        self.records.put(key, record.clone());
        record
    }
}

impl Host for Replica {
    fn number(&mut self, key: &FeedKey) -> Result<FeedNo, Error> {
        if let Some(no) = self.numbers.get(key) {
            return Ok(*no);
        }
        let no = match self.store.meta().feed_no(key) {
            Ok(Some(no)) => no,
            Ok(None) | Err(_) => {
                self.unnumbered.push(*key);
                FeedNo(NUMBERS_FROM - self.unnumbered.len() as u32)
            }
        };
        self.numbers.insert(*key, no);
        Ok(no)
    }

    fn key(&mut self, feed: FeedNo) -> Result<FeedKey, Error> {
        history::key(&self.store, feed)
    }

    fn step(&mut self, feed: FeedNo, seq: u64) -> Result<Option<(Step, u8)>, Error> {
        history::step(&self.store, feed, seq)
    }

    fn aliases(&mut self, feed: FeedNo) -> Result<Vec<FeedNo>, Error> {
        let named = self.named.get(&feed).copied().unwrap_or(0);
        let alias = |alias| {
            let target = self.store.feeds().alias(feed, alias)?;
            target.ok_or_else(|| Error::corrupt(format!("alias {alias} of {feed} is missing")))
        };
        (1..=named).map(alias).collect()
    }

    /// Gives the root that the link claims: a wrong one is told, and the feed goes on.
    fn root(&mut self, feed: FeedNo, length: u64) -> Result<Hash, Error> {
        let current = &mut self.current;
        let block = match &mut current.block {
            Some(block) => block,
            unread => {
                let block = Block::decode(current.bytes.clone()).map_err(|error| {
                    Error::corrupt(format!("a block changed while it was processed: {error}"))
                })?;
                unread.insert(block)
            }
        };
        // The rules ask for the roots of a block's links in order.
        let link = block.links.get(current.links);
        let claimed = link.expect("a root is asked for once a link").root;
        current.links += 1;
        // What cannot be read was told when the feed was.
        let stored = self.roots.root(feed, length).ok().flatten();
        if stored.is_some_and(|stored| stored != claimed) {
            current.wrong.push((feed, length));
        }
        Ok(claimed)
    }

    fn item(&mut self, key: ItemKey) -> Result<Option<Arc<ItemRecord>>, Error> {
        if !self.items.contains_key(&key) {
            return Ok(None);
        }
        match self.differing.get(&key) {
            Some(record) => Ok(Some(record.clone())),
            None => Ok(self.stored(key)),
        }
    }
}
