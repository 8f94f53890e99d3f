//! The store through its public API. One binary, because each would link RocksDB again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agreement;
mod backup;
mod contract;
mod corruption;
mod deletion;
mod directory;
mod durability;
mod feeds;
mod format;
mod inspection;
mod items;
mod log;
mod meta;
mod place;
mod poison;
mod process;
mod support;
mod usage;
mod vault;
