//! Checkpoints of items: when they are taken, what they hold, and how an item is loaded from its
//! newest one and the messages since.
//!
//! Invariants:
//! - a checkpoint is written in the same batch as, or after, every message that it covers;
//! - checkpoint and tail together equal full replay: the tail is every log entry with an ordinal above
//!   the checkpoint's;
//! - loading items reads the messages of these items, and a few that lie between them.

mod checkpoint;
mod load;
mod policy;
mod together;

pub(crate) use checkpoint::encode;
pub(crate) use load::{Loader, Tail, load_together};
pub use policy::CheckpointPolicy;
pub(crate) use together::Awaited;
