//! The peers that are Rust crates, a file each, and which of them there are.

mod automerge;
mod hypercore;
mod p2panda;
mod sqlite;

use systole_peers_contract::{Arguments, Durability, Failure, drive};

/// Drives the system that is asked for.
pub async fn run(asked: &Arguments) -> Result<String, Failure> {
    match (asked.system.as_str(), asked.durability) {
        ("sqlite", _) => drive::<sqlite::Sqlite>(asked).await,
        ("p2panda", _) => drive::<p2panda::P2panda>(asked).await,
        ("automerge", _) => drive::<automerge::Automerge>(asked).await,
        ("hypercore-rust", Durability::Synced) => drive::<hypercore::AsShipped>(asked).await,
        ("hypercore-rust", Durability::Buffered) => drive::<hypercore::OverPlainFiles>(asked).await,
        (other, _) => Err(format!("there is no system {other:?} here").into()),
    }
}
