//! How far a feed is stored and processed. Written with every batch, so it is small.

use systole_proto::Stamp;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys;
use crate::meta::MetaStore;
use crate::numbers::FeedNo;
use crate::record::{Decoder, Encoder, Malformed};

/// How far a feed is stored and processed. Processed never exceeds stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPosition {
    /// Blocks that are verified and stored.
    pub length: u64,
    /// Blocks whose effects are stored.
    pub processed: u64,
    /// Lamport number of the last processed block.
    pub lamport: u64,
    /// Stamp of the last processed block.
    pub stamp: Stamp,
    /// Why the feed is read no further, if so.
    pub halted: Option<String>,
}

const VERSION: u8 = 1;

impl MetaStore<'_> {
    /// Replaces a feed's position.
    pub fn put_position(&self, batch: &mut Batch, feed: FeedNo, position: &FeedPosition) {
        assert!(position.processed <= position.length, "what is processed is stored");
        batch.put_with(Family::Meta, &keys::position(feed), |out| encode(out, position));
    }

    /// A feed's position.
    pub fn position(&self, feed: FeedNo) -> Result<Option<FeedPosition>, Error> {
        self.store.value(Family::Meta, &keys::position(feed), |value| decode(&value))
    }
}

fn encode(out: &mut Vec<u8>, position: &FeedPosition) {
    Encoder::new(out, VERSION)
        .number(position.length)
        // Processing follows storing closely: the distance is the smaller number.
        .number(position.length - position.processed)
        .number(position.lamport)
        .number(position.stamp.millis)
        .number(position.stamp.logical.into())
        .option(position.halted.as_deref(), |encoder, reason| encoder.bytes(reason.as_bytes()));
}

fn decode(value: &[u8]) -> Result<FeedPosition, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let length = decoder.number()?;
    let behind = decoder.number()?;
    let processed =
        length.checked_sub(behind).ok_or(Malformed("more is processed than is stored"))?;
    let lamport = decoder.number()?;
    let millis = decoder.number()?;
    let logical = decoder.number_u16()?;
    let halted = decoder.option(Decoder::text)?;
    decoder.finish()?;
    Ok(FeedPosition { length, processed, lamport, stamp: Stamp { millis, logical }, halted })
}
