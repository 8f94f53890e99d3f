//! What a block can say about an item.
//!
//! Items are named by the position of their genesis, so an id cannot be chosen and need not be
//! sent.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::limits::{ALIASES_MAX, FEED_LENGTH_MAX, MODEL_TYPE_BYTES_MAX};
use crate::wire;

/// An item, named by the position of its genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemRef {
    /// Alias of the feed within the feed of the block; 0 is that feed itself.
    pub feed: u32,
    /// Position of the genesis in that feed.
    pub seq: u64,
}

/// Makes an item; the block's position names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Genesis {
    /// Type of the model, never empty.
    pub model: String,
    /// Version of the model.
    pub version: u32,
    /// Variant of the model's algorithm.
    pub algorithm: u32,
    /// The item it hangs under; none for the party's root.
    pub parent: Option<ItemRef>,
    /// The model's first message; empty if there is none.
    pub init: Bytes,
    /// The metadata's first message; empty if there is none.
    pub metadata: Bytes,
    /// Kept for the hash of a schema; empty.
    pub schema: Bytes,
}

/// A message to one of an item's state machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The item.
    pub item: ItemRef,
    /// Which state machine: [`Mutation::MODEL`] or [`Mutation::METADATA`].
    pub label: u32,
    /// The state machine's own bytes.
    pub payload: Bytes,
}

impl Mutation {
    /// Label of the item's model.
    pub const MODEL: u32 = 0;
    /// Label of the item's metadata.
    pub const METADATA: u32 = 1;
}

/// Hangs an item under another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The item that moves.
    pub item: ItemRef,
    /// Its new parent; none for the top.
    pub parent: Option<ItemRef>,
}

/// Deletes an item, or brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The item.
    pub item: ItemRef,
    /// Whether it is brought back.
    pub restore: bool,
}

impl ItemRef {
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        if self.feed > ALIASES_MAX {
            return Err(DecodeError::OutOfRange { what: "feed alias", found: self.feed.into() });
        }
        if self.seq >= FEED_LENGTH_MAX {
            return Err(DecodeError::OutOfRange { what: "position of an item", found: self.seq });
        }
        Ok(())
    }

    fn to_wire(self) -> wire::ItemRef {
        wire::ItemRef { feed: self.feed, seq: self.seq }
    }

    fn from_wire(wire: wire::ItemRef) -> Self {
        Self { feed: wire.feed, seq: wire.seq }
    }

    fn required(wire: Option<wire::ItemRef>) -> Result<Self, DecodeError> {
        wire.map(Self::from_wire).ok_or(DecodeError::Missing { what: "item" })
    }
}

impl Genesis {
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        if self.model.is_empty() {
            return Err(DecodeError::Missing { what: "model type" });
        }
        if self.model.len() > MODEL_TYPE_BYTES_MAX {
            let (bytes, bytes_max) = (self.model.len(), MODEL_TYPE_BYTES_MAX);
            return Err(DecodeError::TooLong { what: "model type", bytes, bytes_max });
        }
        self.parent.as_ref().map_or(Ok(()), ItemRef::validate)
    }

    pub(crate) fn to_wire(&self) -> wire::Genesis {
        wire::Genesis {
            model: self.model.clone(),
            version: self.version,
            algorithm: self.algorithm,
            parent: self.parent.map(ItemRef::to_wire),
            init: self.init.clone(),
            metadata: self.metadata.clone(),
            schema: self.schema.clone(),
        }
    }

    pub(crate) fn from_wire(wire: wire::Genesis) -> Self {
        Self {
            model: wire.model,
            version: wire.version,
            algorithm: wire.algorithm,
            parent: wire.parent.map(ItemRef::from_wire),
            init: wire.init,
            metadata: wire.metadata,
            schema: wire.schema,
        }
    }
}

impl Mutation {
    pub(crate) fn to_wire(&self) -> wire::Mutation {
        wire::Mutation {
            item: Some(self.item.to_wire()),
            label: self.label,
            payload: self.payload.clone(),
        }
    }

    pub(crate) fn from_wire(wire: wire::Mutation) -> Result<Self, DecodeError> {
        let item = ItemRef::required(wire.item)?;
        Ok(Self { item, label: wire.label, payload: wire.payload })
    }
}

impl Move {
    pub(crate) fn to_wire(self) -> wire::Move {
        let parent = self.parent.map(ItemRef::to_wire);
        wire::Move { item: Some(self.item.to_wire()), parent }
    }

    pub(crate) fn from_wire(wire: wire::Move) -> Result<Self, DecodeError> {
        let item = ItemRef::required(wire.item)?;
        Ok(Self { item, parent: wire.parent.map(ItemRef::from_wire) })
    }
}

impl Tombstone {
    pub(crate) fn to_wire(self) -> wire::Tombstone {
        wire::Tombstone { item: Some(self.item.to_wire()), restore: self.restore }
    }

    pub(crate) fn from_wire(wire: wire::Tombstone) -> Result<Self, DecodeError> {
        Ok(Self { item: ItemRef::required(wire.item)?, restore: wire.restore })
    }
}
