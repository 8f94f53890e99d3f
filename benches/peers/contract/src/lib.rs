//! The contract between the runner of the comparison and a driver: the process in which one system does
//! one step of the workload and tells how long it took.
//!
//! ```text
//! driver SYSTEM STEP --messages 100000 --feeds 8 --items 1000 --payload 128 --seed 1
//!        --durability buffered|synced --directory EMPTY [--source POPULATED]
//! ```
//!
//! One line of JSON comes back, see [`drive`]. The same contract is spoken by Rust drivers through this
//! crate, Systole's own included, and by Node drivers through `node/contract.js`.
//!
//! | step | what is timed |
//! | --- | --- |
//! | `populate` | nothing; leaves a store for the steps with a source |
//! | `append` | every message written one by one, each awaited |
//! | `append-batch` | the same in batches of [`BATCH`], each awaited; messages stay messages of their own |
//! | `append-merged` | batches that become one message of many writes, where the system has such |
//! | `replay` | opening a populated store in a fresh process, until the state stands in memory |
//! | `replay-verified` | the same, every signature and hash checked again, where the system can |
//! | `replicate` | everything from a populated store to an empty one in this process, verified by the receiver, until its state stands in memory |
//! | `live` | one message from the call until it is visible in the state, one after the other |
//!
//! Invariants:
//! - the start of the process, making messages, feeds and items, closing, and hashing are not timed;
//! - every step ends with the hash of the whole state, read from what the system holds: after a write
//!   from the store opened anew;
//! - nothing of a system is in this crate, nor of the runner.

mod answer;
mod arguments;
mod drive;
mod process;
mod workload;

pub use answer::answer;
pub use arguments::{Arguments, Durability, Step};
pub use drive::{System, drive};
pub use process::{disk_bytes, peak_bytes, resident_bytes};
pub use workload::{BATCH, FIELDS, HEADER_BYTES, Message, State, Workload};

/// Anything that ends a driver early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
