//! Checkpoints: an item's state up to a processing number. One is kept per item.

use bytes::Bytes;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::items::ItemStore;
use crate::keys;
use crate::numbers::ItemKey;
use crate::record::{Decoder, Encoder};

const VERSION: u8 = 1;

impl ItemStore<'_> {
    /// Replaces the item's checkpoint: the state after its messages up to `ordinal`.
    pub fn put_checkpoint(&self, batch: &mut Batch, item: ItemKey, ordinal: u64, state: &[u8]) {
        batch.put_with(Family::Checkpoint, &keys::checkpoint(item), |out| {
            Encoder::new(out, VERSION).number(ordinal).raw(state);
        });
    }

    /// Removes the item's checkpoint: the next hydration replays its whole log.
    pub fn delete_checkpoint(&self, batch: &mut Batch, item: ItemKey) {
        batch.delete(Family::Checkpoint, &keys::checkpoint(item));
    }

    /// The item's checkpoint and the ordinal it covers.
    pub fn checkpoint(&self, item: ItemKey) -> Result<Option<(u64, Bytes)>, Error> {
        self.store.value(Family::Checkpoint, &keys::checkpoint(item), |value| {
            let mut decoder = Decoder::new(&value, VERSION)?;
            let ordinal = decoder.number()?;
            Ok((ordinal, value.slice_ref(decoder.rest())))
        })
    }
}
