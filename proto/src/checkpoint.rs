//! `ItemCheckpoint`: an item's state and the messages it covers, as it is stored.
//!
//! Layout: version byte, protobuf message, BLAKE3 hash of both. A checkpoint that was cut off or
//! altered on disk is told from a good one before anything of it is used.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::frame::{self, Rule};
use crate::ids::Hash;
use crate::limits::{CHECKPOINT_BYTES_MAX, MODEL_TYPE_BYTES_MAX, TIMEFRAME_BYTES_MAX};
use crate::timeframe::Timeframe;
use crate::wire;

const WHAT: &str = "checkpoint";
const RULES: &[Rule] = &[
    Rule::once(1, "model type", MODEL_TYPE_BYTES_MAX),
    Rule::once(2, "model version", 0),
    Rule::once(3, "model algorithm", 0),
    Rule::once(4, "ordinal", 0),
    Rule::once(5, "timeframe", TIMEFRAME_BYTES_MAX),
    Rule::once(6, "state", CHECKPOINT_BYTES_MAX),
    Rule::once(7, "metadata", CHECKPOINT_BYTES_MAX),
    Rule::once(8, "first positions", TIMEFRAME_BYTES_MAX),
    Rule::once(9, "raw", 0),
];

/// An item's state after some of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemCheckpoint {
    /// Type of the model.
    pub model: String,
    /// Version of the model.
    pub version: u32,
    /// Variant of the model's algorithm.
    pub algorithm: u32,
    /// Processing number of the last message that the state holds.
    pub ordinal: u64,
    /// How far each feed's messages to the item are in the state.
    pub timeframe: Timeframe,
    /// One past the first message of each of those feeds.
    pub firsts: Timeframe,
    /// The model's type was not known: `state` holds its raw messages.
    pub raw: bool,
    /// The model's own bytes.
    pub state: Bytes,
    /// The metadata's own bytes.
    pub metadata: Bytes,
}

impl ItemCheckpoint {
    /// The checkpoint's bytes, checksum included.
    pub fn encode(&self) -> Bytes {
        let message = wire::ItemCheckpoint {
            model: self.model.clone(),
            version: self.version,
            algorithm: self.algorithm,
            ordinal: self.ordinal,
            timeframe: self.timeframe.encode().into(),
            state: self.state.clone(),
            metadata: self.metadata.clone(),
            firsts: self.firsts.encode().into(),
            raw: self.raw,
        };
        let mut bytes = frame::seal(&message);
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.into()
    }

    /// The checkpoint in `bytes`. State and metadata are slices of them.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        if bytes.len() > CHECKPOINT_BYTES_MAX {
            let bytes = bytes.len();
            return Err(DecodeError::TooLong {
                what: WHAT,
                bytes,
                bytes_max: CHECKPOINT_BYTES_MAX,
            });
        }
        let Some(end) = bytes.len().checked_sub(Hash::BYTES) else {
            return Err(DecodeError::Empty { what: WHAT });
        };
        let sealed = bytes.slice(..end);
        // Another version may keep its checksum elsewhere: the version is the better answer.
        frame::unframe(&sealed, WHAT, CHECKPOINT_BYTES_MAX)?;
        if blake3::hash(&sealed).as_bytes() != &bytes[end..] {
            return Err(DecodeError::Checksum { what: WHAT });
        }
        let message: wire::ItemCheckpoint =
            frame::open(&sealed, WHAT, CHECKPOINT_BYTES_MAX, RULES)?;
        Ok(Self {
            model: message.model,
            version: message.version,
            algorithm: message.algorithm,
            ordinal: message.ordinal,
            timeframe: Timeframe::decode(&message.timeframe)?,
            firsts: Timeframe::decode(&message.firsts)?,
            raw: message.raw,
            state: message.state,
            metadata: message.metadata,
        })
    }
}
