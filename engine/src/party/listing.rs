//! What can be listed of a party from its store alone.

use systole_proto::{FeedKey, ItemId};
use systole_store::{ItemKey, ItemRecord, PartyNo, Store};

use super::history;
use crate::Error;

/// What is known of an item without bringing it into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemInfo {
    /// The item.
    pub id: ItemId,
    /// Name of its model type.
    pub model: String,
    /// Version of its model type.
    pub version: u32,
    /// Its parent.
    pub parent: Option<ItemId>,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// A block that is ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The feed.
    pub feed: FeedKey,
    /// The block's position.
    pub seq: u64,
    /// The rule that it breaks, in a word.
    pub code: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What is known of the item with this record.
pub(crate) fn item_info(store: &Store, record: ItemRecord) -> Result<ItemInfo, Error> {
    let id = |item: ItemKey| Ok::<_, Error>(ItemId::of(&history::key(store, item.feed)?, item.seq));
    Ok(ItemInfo {
        id: record.id,
        model: record.model,
        version: record.version,
        parent: record.parent.map(id).transpose()?,
        deleted: record.deleted,
    })
}

/// The first `limit` blocks that are ignored.
pub(crate) fn quarantined(
    store: &Store,
    party: PartyNo,
    limit: usize,
) -> Result<Vec<Quarantined>, Error> {
    let records = store.meta().quarantined(party, None, limit)?;
    let named = records.into_iter().map(|record| {
        let feed = history::key(store, record.feed)?;
        Ok(Quarantined { feed, seq: record.seq, code: record.code, reason: record.reason })
    });
    named.collect()
}
