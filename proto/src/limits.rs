//! Every bound on what a stranger's bytes may hold. Reaching one gives a typed error before memory
//! is reserved.
//!
//! Changing a bound downwards makes data that exists unreadable; changing it upwards splits old
//! readers from new ones.

/// Bytes of one block, version byte included.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Links of one block to other feeds.
pub const LINKS_MAX: usize = 256;
/// Feed keys that one block introduces.
pub const KEYS_MAX: usize = 1024;
/// Feeds that one feed may name over its whole life; aliases run from 1 to this.
pub const ALIASES_MAX: u32 = 65_536;
/// Blocks in one range.
pub const RANGE_BLOCKS_MAX: usize = 4096;
/// Bytes of one range, version byte included.
pub const RANGE_BYTES_MAX: usize = 16 << 20;
/// Bytes of a head, version byte included, without its signature. Today's heads need less than 80.
pub const HEAD_BYTES_MAX: usize = 512;
/// Bytes of a signed head, version byte and signature included.
pub const SIGNED_HEAD_BYTES_MAX: usize = HEAD_BYTES_MAX + 128;
/// Bytes of a model type's name.
pub const MODEL_TYPE_BYTES_MAX: usize = 128;
/// Bytes of a credential with all its signatures.
pub const CREDENTIAL_BYTES_MAX: usize = 16 << 10;
/// Signatures of one credential.
pub const SIGNATURES_MAX: usize = 8;
/// Feeds of one timeframe, and so of one party: whoever admits feeds keeps to this.
pub const TIMEFRAME_FEEDS_MAX: usize = 65_536;
/// Bytes of a timeframe on the wire: per feed a key and a length, each length at most ten bytes.
pub const TIMEFRAME_BYTES_MAX: usize = 16 + TIMEFRAME_FEEDS_MAX * 42;
/// Bytes of one item's checkpoint, checksum included.
pub const CHECKPOINT_BYTES_MAX: usize = 256 << 20;
/// Blocks of one feed. Keeps every sum of a position and a count far from overflow.
pub const FEED_LENGTH_MAX: u64 = 1 << 48;
/// Complete subtrees of a tree of [`FEED_LENGTH_MAX`] leaves or fewer.
pub const PEAKS_MAX: usize = 48;
/// Hashes of one inclusion or consistency proof.
pub const PROOF_HASHES_MAX: usize = 50;
/// How far ahead of the local clock, in milliseconds, a remote stamp may lie before it is ignored.
pub const CLOCK_DRIFT_MAX_MILLIS: u64 = 5 * 60 * 1000;
