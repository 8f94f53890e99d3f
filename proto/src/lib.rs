//! The bytes of Systole and their meaning: ids, signatures, the feed's tree, timeframes, blocks.
//!
//! Nothing here stores, waits or reads a clock. Whatever is decoded comes from a stranger: decoders
//! never panic, and count and measure against [`limits`] before they reserve memory.

mod base32;
mod block;
mod checkpoint;
mod credential;
mod error;
mod frame;
mod head;
mod ids;
mod item;
pub mod limits;
pub mod merkle;
mod range;
mod sign;
mod stamp;
mod timeframe;
mod varint;
mod wire;

pub use block::{Block, Body, Link};
pub use checkpoint::ItemCheckpoint;
pub use credential::{Claim, Credential};
pub use error::{DecodeError, ParseIdError, VerifyError};
pub use frame::FORMAT_VERSION;
pub use head::{Head, SignedHead};
pub use ids::{FeedKey, Hash, ItemId, PartyKey, PublicKey};
pub use item::{Genesis, ItemRef, Move, Mutation, Tombstone};
pub use merkle::Peaks;
pub use range::Range;
pub use sign::{
    CREDENTIAL_CONTEXT, Ed25519Signer, HEAD_CONTEXT, SignError, Signature, Signer, Verifier, sign,
    verify,
};
pub use stamp::{CLOCK_DRIFT_MAX, Clock, Drift, Stamp};
pub use timeframe::Timeframe;
