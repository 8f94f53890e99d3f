//! The record of an item: what the party knows of it without its model.

use systole_proto::limits::MODEL_TYPE_BYTES_MAX;
use systole_proto::{FeedKey, ItemId};

use crate::numbers::{ItemKey, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};

/// What is remembered of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRecord {
    /// Its id.
    pub id: ItemId,
    /// Its local name.
    pub key: ItemKey,
    /// The party it belongs to.
    pub party: PartyNo,
    /// Its model's type.
    pub model: String,
    /// The version of the model's meaning.
    pub version: u32,
    /// The variant of the model's algorithm.
    pub algorithm: u32,
    /// The item it lies under.
    pub parent: Option<ItemKey>,
    /// The item it was moved to. This differs from `parent` where the move is ignored, for it would
    /// close a cycle.
    pub moved_to: Option<ItemKey>,
    /// Rank of the message that put it there: the highest wins.
    pub parent_rank: (u64, FeedKey),
    /// Whether it is deleted.
    pub deleted: bool,
    /// Rank of the message that deleted or restored it: the highest wins.
    pub deleted_rank: (u64, FeedKey),
    /// Processing number of its last message.
    pub ordinal: u64,
}

const VERSION: u8 = 1;

pub(super) fn encode(out: &mut Vec<u8>, item: &ItemRecord) {
    assert!(
        item.model.len() <= MODEL_TYPE_BYTES_MAX,
        "a model's name is checked when it is decoded"
    );
    Encoder::new(out, VERSION)
        .raw(item.id.as_bytes())
        .number(item.party.0.into())
        .bytes(item.model.as_bytes())
        .number(item.version.into())
        .number(item.algorithm.into())
        .option(item.parent, |encoder, parent| encoder.item(parent))
        .option(item.moved_to, |encoder, parent| encoder.item(parent))
        .number(item.parent_rank.0)
        .raw(item.parent_rank.1.as_bytes())
        .flag(item.deleted)
        .number(item.deleted_rank.0)
        .raw(item.deleted_rank.1.as_bytes())
        .number(item.ordinal);
}

pub(super) fn decode(key: ItemKey, value: &[u8]) -> Result<ItemRecord, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let item = ItemRecord {
        id: ItemId(decoder.array()?),
        key,
        party: PartyNo(decoder.number_u32()?),
        model: decoder.text()?,
        version: decoder.number_u32()?,
        algorithm: decoder.number_u32()?,
        parent: decoder.option(Decoder::item)?,
        moved_to: decoder.option(Decoder::item)?,
        parent_rank: (decoder.number()?, FeedKey(decoder.array()?)),
        deleted: decoder.flag()?,
        deleted_rank: (decoder.number()?, FeedKey(decoder.array()?)),
        ordinal: decoder.number()?,
    };
    if item.model.len() > MODEL_TYPE_BYTES_MAX {
        return Err(Malformed("model's name is too long"));
    }
    decoder.finish().map(|()| item)
}
