//! What the rows are measured on. Every workload follows from a fixed seed, and stands on disk as a closed
//! party and as the ranges that carry it elsewhere.
//!
//! | workload | file | what it is |
//! | --- | --- | --- |
//! | W1 | `objects` | 1,000 items × `Object`, 8 feeds, payloads of 128 bytes |
//! | W2 | `objects` | 100,000 small items |
//! | W3 | `hot` | one item that gets all messages |
//! | W4 | `text` | keystrokes, as people typed them where recordings are there |
//! | W5 | `parties` | 64 parties at once |
//! | W6 | `backlog` | a feed with a million messages that wait, beside a feed that is live |

pub mod backlog;
pub mod hot;
pub mod objects;
pub mod parties;
mod rebuild;
mod replica;
mod source;
pub mod text;

pub use rebuild::{Rebuilt, rebuild, rebuilt};
pub use replica::Replica;
pub use source::{Draft, Source};

use std::time::Duration;

use systole::{CheckpointPolicy, Durability, Engine, EngineBuilder, Party};

use crate::Failure;

/// An engine as an application has it by default, but for its writes, which are not synced one by one.
pub fn buffered(directory: &std::path::Path) -> EngineBuilder {
    Engine::builder(directory).durability(Durability::Buffered)
}

/// An engine that keeps no checkpoint, so that every load reads the whole log, and that has room for
/// all items.
pub fn without_checkpoints(directory: &std::path::Path) -> EngineBuilder {
    buffered(directory).memory_budget_bytes(512 << 20).checkpoints(CheckpointPolicy {
        messages_max: u64::MAX,
        bytes_max: u64::MAX,
        idle_after: Duration::MAX,
        idle_messages_min: u64::MAX,
    })
}

/// Blocks that the party has processed.
pub async fn processed(party: &Party) -> Result<u64, Failure> {
    Ok(party.status().await?.feeds.iter().map(|feed| feed.processed).sum())
}

/// A number for the states of many items: equal where they are, and exact as a floating point number.
pub fn fingerprint(digests: &[Vec<u8>]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for digest in digests {
        hasher.update(&(digest.len() as u64).to_be_bytes());
        hasher.update(digest);
    }
    let mut number = [0; 8];
    number[2..].copy_from_slice(&hasher.finalize().as_bytes()[..6]);
    u64::from_be_bytes(number)
}
