//! Checkpoints of items: when they are taken, what they hold, and how an item is loaded from its
//! newest one and the messages since.
//!
//! Invariants:
//! - a checkpoint is written in the same batch as, or after, every message that it covers;
//! - checkpoint and tail together equal full replay: the tail is every log entry with an ordinal above
//!   the checkpoint's;
//! - loading one item reads that item's own messages only.

mod checkpoint;
mod load;
mod policy;

pub(crate) use checkpoint::encode;
pub(crate) use load::Loader;
pub use policy::CheckpointPolicy;
