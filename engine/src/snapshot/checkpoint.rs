//! What a checkpoint of an item holds, as bytes.
//!
//! Invariant: whatever [`encode`] gives, [`unpack`] reads back or refuses as damaged; the checksum
//! over all of it is checked before anything else.

use systole_models::UnknownModel;
use systole_proto::limits::CHECKPOINT_BYTES_MAX;
use systole_proto::{ItemCheckpoint, Timeframe};

use crate::item::state::ItemState;
use crate::{Error, ErrorKind};

/// A checkpoint's parts.
pub(crate) struct Unpacked {
    pub(crate) ordinal: u64,
    /// One past each author's last message.
    pub(crate) positions: Timeframe,
    /// Each author's first message, plus one.
    pub(crate) firsts: Timeframe,
    pub(crate) model: bytes::Bytes,
    pub(crate) metadata: bytes::Bytes,
    /// The state holds raw messages, for the type was not registered.
    pub(crate) raw: bool,
}

/// The item's state as checkpoint bytes, and the ordinal that they cover.
pub(crate) fn encode(state: &mut ItemState) -> Result<(u64, Vec<u8>), Error> {
    let raw = state.model()?.as_any().is::<UnknownModel>();
    let (model, metadata) = state.checkpoint()?;
    let (mut positions, mut firsts) = (Timeframe::default(), Timeframe::default());
    for author in state.authors() {
        positions.set(author.key, author.next);
        firsts.set(author.key, author.first + 1);
    }
    let checkpoint = ItemCheckpoint {
        model: state.record.model.clone(),
        version: state.record.version,
        algorithm: state.record.algorithm,
        ordinal: state.ordinal(),
        timeframe: positions,
        firsts,
        raw,
        state: model.into(),
        metadata: metadata.into(),
    };
    let bytes = checkpoint.encode();
    if bytes.len() > CHECKPOINT_BYTES_MAX {
        let reason = format!("its checkpoint takes {} bytes, more than can be read", bytes.len());
        return Err(Error::unavailable(reason));
    }
    Ok((state.ordinal(), bytes.to_vec()))
}

/// Reads what [`encode`] wrote.
pub(crate) fn unpack(bytes: bytes::Bytes) -> Result<Unpacked, Error> {
    let checkpoint = ItemCheckpoint::decode(bytes).map_err(|error| {
        Error::caused(ErrorKind::Corrupt, "an item's checkpoint is damaged", error)
    })?;
    Ok(Unpacked {
        ordinal: checkpoint.ordinal,
        positions: checkpoint.timeframe,
        firsts: checkpoint.firsts,
        model: checkpoint.state,
        metadata: checkpoint.metadata,
        raw: checkpoint.raw,
    })
}
