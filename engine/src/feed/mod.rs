//! Feeds: what comes in, what is written, what is read.
//!
//! ```text
//! own blocks ─────────────────► append_local … seal_local ─┐
//!                                                          ├─► Batch ──► Writer ──► store
//! Range ──► PreparedRange ──► check ──► Append ────────────┘                          │
//!           (any thread)      (against FeedTail)                     reader::read ◄───┘
//! ```
//!
//! [`tail`], [`verify`] and the planning half of [`append`] are pure; [`reader`] and [`append`]
//! speak to the store; [`writer`] alone knows tokio. Whoever appends to a feed owns its
//! [`FeedTail`](tail::FeedTail) and replaces it once the batch is committed.

mod append;
mod reader;
mod tail;
mod verify;
mod writer;

#[cfg(test)]
mod append_test;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod verify_test;
#[cfg(test)]
mod writer_test;

pub(crate) use append::{append_local, seal_local};
pub(crate) use reader::{HeldFeed, ReadLimit, load, read};
pub(crate) use verify::{PreparedRange, RangeVerdict};
pub(crate) use writer::{Writer, WriterError, WriterHandle};
