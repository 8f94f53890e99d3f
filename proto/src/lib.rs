//! The bytes of Systole and their meaning: ids, signatures, the feed's tree, timeframes, blocks.
//!
//! Nothing here stores, waits or reads a clock. Whatever is decoded comes from a stranger: decoders
//! never panic, and count and measure against [`limits`] before they reserve memory.
//!
//! ```text
//! Block ── exact bytes ──► leaf ──► Peaks ── root ──► Head ── signed ──► SignedHead ──► Range
//! ```
//!
//! An author writes two blocks and signs once; a reader needs only the bytes of the range:
//!
//! ```
//! use systole_proto::{
//!     Block, Ed25519Signer, FeedKey, Head, Peaks, Range, SignedHead, Signer, merkle,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = Ed25519Signer::generate()?;
//! let feed = FeedKey(signer.public_key());
//! let blocks = vec![Block::default().encode(), Block::default().encode()];
//! let mut peaks = Peaks::new();
//! for block in &blocks {
//!     peaks.append(merkle::leaf_hash(block), |_level, _index, _hash| { /* store the node */ });
//! }
//! let head = Head { feed, length: peaks.length(), root: peaks.root() };
//! let head = SignedHead::sign(&head, &signer)?;
//! let sent = Range { feed, start: 0, blocks, head, peaks: Vec::new() }.encode();
//!
//! let range = Range::decode(sent)?;
//! let (head, _) = range.verify()?;
//! assert_eq!(head.length, 2);
//! let block = Block::decode(range.blocks[0].clone())?;
//! assert_eq!(block, Block::default());
//! # Ok(())
//! # }
//! ```

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
