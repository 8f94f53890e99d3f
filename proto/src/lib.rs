//! The bytes of Systole and their meaning: ids, signatures, the feed's tree, timeframes, blocks.
//!
//! Nothing here stores, waits or reads a clock. Whatever is decoded comes from a stranger: decoders never panic, and
//! count and measure against [`limits`] before they reserve memory.

mod base32;
mod error;
mod ids;
pub mod limits;
pub mod merkle;
mod sign;
mod stamp;
mod timeframe;
mod varint;

pub use error::{DecodeError, ParseIdError, VerifyError};
pub use ids::{FeedKey, Hash, ItemId, PartyKey, PublicKey};
pub use merkle::Peaks;
pub use sign::{
    CREDENTIAL_CONTEXT, Ed25519Signer, HEAD_CONTEXT, SignError, Signature, Signer, Verifier, sign,
    verify,
};
pub use stamp::{CLOCK_DRIFT_MAX, Clock, Drift, Stamp};
pub use timeframe::Timeframe;
