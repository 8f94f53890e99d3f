//! ItemStore: every item's record, its messages in processing order, and its checkpoint.
//!
//! Invariants:
//! - an item belongs to the party of the feed that holds its genesis, so the items of a party are the
//!   items of its feeds;
//! - the indexes by id, model and parent name exactly the items that have a record.

mod checkpoint;
mod log;
mod record;
mod scan;

use std::ops::ControlFlow;

use systole_proto::ItemId;

pub use log::LogEntry;
pub use record::ItemRecord;
pub use scan::ItemFilter;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::numbers::{FeedNo, ItemKey, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};
use crate::store::Store;

/// Items, their logs and checkpoints. A view of a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct ItemStore<'a> {
    store: &'a Store,
}

/// Version byte of the index records.
const INDEX_VERSION: u8 = 1;

impl<'a> ItemStore<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Stores an item's record. `previous` is the record that it replaces: it tells which index
    /// entries are stale.
    pub fn put_item(&self, batch: &mut Batch, item: &ItemRecord, previous: Option<&ItemRecord>) {
        batch.put_with(Family::Item, &keys::item(item.key), |out| record::encode(out, item));
        let ItemRecord { key, party, id, model, parent, .. } = item;
        match previous {
            None => {
                batch.put_with(Family::Item, &keys::item_by_id(*party, id), |out| {
                    Encoder::new(out, INDEX_VERSION).item(*key);
                });
            }
            Some(previous) => {
                let same = previous.key == *key && previous.party == *party && previous.id == *id;
                assert!(same, "a record replaces one of the same item");
            }
        }
        let stale_model = previous.map(|previous| &previous.model);
        if stale_model != Some(model) {
            if let Some(stale) = stale_model {
                batch.delete(Family::Item, &keys::item_by_model(*party, stale, *key));
            }
            batch.put(Family::Item, &keys::item_by_model(*party, model, *key), &[INDEX_VERSION]);
        }
        let stale_parent = previous.map(|previous| previous.parent);
        if stale_parent != Some(*parent) {
            if let Some(stale) = stale_parent {
                batch.delete(Family::Item, &keys::item_by_parent(*party, stale, *key));
            }
            batch.put(Family::Item, &keys::item_by_parent(*party, *parent, *key), &[INDEX_VERSION]);
        }
    }

    /// The record of an item.
    pub fn item(&self, key: ItemKey) -> Result<Option<ItemRecord>, Error> {
        self.store.value(Family::Item, &keys::item(key), |value| record::decode(key, &value))
    }

    /// The records of several items, in the order asked.
    pub fn items(&self, items: &[ItemKey]) -> Result<Vec<Option<ItemRecord>>, Error> {
        let keys: Vec<_> = items.iter().map(|item| keys::item(*item)).collect();
        let slices: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        let values = self.store.backend().multi_get(Family::Item, &slices)?;
        let records = items.iter().zip(slices).zip(values).map(|((item, key), value)| {
            let record = value.map(|value| record::decode(*item, &value)).transpose();
            record.map_err(Error::malformed(Family::Item, key))
        });
        records.collect()
    }

    /// Visits the local names of the items that begin in a feed, in order, without reading their
    /// records.
    pub fn scan_keys(
        &self,
        feed: FeedNo,
        visit: &mut dyn FnMut(ItemKey) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let range = Range::prefix(&keys::per_feed(Kind::Item, feed));
        let decode = |key: &[u8], _: &[u8]| keys::last_item(key).ok_or(Malformed("short key"));
        self.store.visit(Family::Item, &range, decode, visit)
    }

    /// Whether the indexes by id, model and parent name the item as its record says.
    pub fn is_indexed(&self, item: &ItemRecord) -> Result<bool, Error> {
        let ItemRecord { key, party, id, model, parent, .. } = item;
        let by_model = keys::item_by_model(*party, model, *key);
        let by_parent = keys::item_by_parent(*party, *parent, *key);
        let found = self.store.backend().multi_get(Family::Item, &[&by_model, &by_parent])?;
        Ok(found.iter().all(Option::is_some) && self.key_of(*party, id)? == Some(*key))
    }

    /// How many entries the indexes by id, model and parent have for the party.
    pub fn index_counts(&self, party: PartyNo) -> Result<[u64; 3], Error> {
        let count =
            |kind| self.store.count(Family::Item, &Range::prefix(&keys::per_party(kind, party)));
        Ok([count(Kind::ItemById)?, count(Kind::ItemByModel)?, count(Kind::ItemByParent)?])
    }

    /// The local name of the item with this id.
    pub fn key_of(&self, party: PartyNo, id: &ItemId) -> Result<Option<ItemKey>, Error> {
        self.store.value(Family::Item, &keys::item_by_id(party, id), |value| item_key(&value))
    }

    /// Up to `count_max` items whose id's text starts with `prefix`, in the order of the ids.
    pub fn ids_with_prefix(
        &self,
        party: PartyNo,
        prefix: &str,
        count_max: usize,
    ) -> Result<Vec<(ItemId, ItemKey)>, Error> {
        let Some(least) = least_id(prefix) else { return Ok(Vec::new()) };
        let range = Range {
            from: keys::item_by_id(party, &least).to_vec(),
            to: keys::after_prefix(&keys::per_party(Kind::ItemById, party)),
        };
        let mut found = Vec::new();
        let decode = |key: &[u8], value: &[u8]| {
            let id = key.last_chunk().copied().map(ItemId).ok_or(Malformed("short key"))?;
            Ok((id, item_key(value)?))
        };
        self.store.visit(Family::Item, &range, decode, &mut |(id, key)| {
            if found.len() == count_max || !id.matches_prefix(prefix) {
                return ControlFlow::Break(());
            }
            found.push((id, key));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}

/// The least id whose text starts with `prefix`, if any does: bytes sort as their base32 text does.
fn least_id(prefix: &str) -> Option<ItemId> {
    const LEAST_DIGIT: &str = "a";
    const DIGITS: usize = ItemId::BYTES * 8 / 5;
    let padding = DIGITS.checked_sub(prefix.len())?;
    format!("{prefix}{}", LEAST_DIGIT.repeat(padding)).parse().ok()
}

fn item_key(value: &[u8]) -> Result<ItemKey, Malformed> {
    let mut decoder = Decoder::new(value, INDEX_VERSION)?;
    let key = decoder.item()?;
    decoder.finish().map(|()| key)
}
