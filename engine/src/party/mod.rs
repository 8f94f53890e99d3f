//! A party: a shared data set of many feeds. Blocks come in, are admitted, ordered and
//! demultiplexed to items.
//!
//! The rules are pure: [`admit`] (who belongs), [`causal`] (what a block has seen), [`order`] (whose
//! turn it is), [`state`] (what may be processed when), [`demux`] (what a block does), [`moves`]
//! (where items lie), [`compose`] (own blocks). [`core`] puts them on a store. [`processor`] is the
//! actor around that, with [`writing`] and [`residents`].

pub(crate) mod admit;
mod ahead;
mod applying;
pub(crate) mod causal;
pub(crate) mod command;
mod compose;
pub(crate) mod core;
mod cursor;
mod demux;
pub(crate) mod effect;
mod handle;
pub(crate) mod history;
mod host;
mod known;
pub(crate) mod listing;
mod moves;
mod order;
mod pace;
pub(crate) mod processor;
pub(crate) mod request;
mod residents;
pub(crate) mod state;
#[cfg(test)]
mod state_test;
mod tails;
mod transaction;
pub(crate) mod turn;
mod writing;

pub(crate) use ahead::ReadAhead;
pub use command::{FeedStatus, Ingested, PartyStatus, Receipt};
pub use compose::PAYLOAD_BYTES_MAX;
pub use handle::{ItemQuery, Party};
pub use listing::{ItemInfo, Quarantined};
pub use request::{AdmissionRequest, RequestError};
pub(crate) use state::{Host, PartyState, Progress};
pub use transaction::{NewItem, Pending, Transaction};
