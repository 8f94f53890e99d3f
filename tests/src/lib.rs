//! What the scenarios share: replicas that exchange blocks, feeds that are signed by hand, generated
//! histories, recorded traces.
//!
//! Every scenario goes through the public API of `systole`. Whatever is random follows from a seed;
//! nothing sleeps, waiting has a deadline.

pub mod child;
pub mod exchange;
pub mod group;
pub mod journal;
pub mod oracle;
pub mod raw;
pub mod trace;
pub mod wait;
pub mod words;

pub use exchange::{exchange, pull, spread};
pub use group::Group;
pub use journal::{Journal, Refused};
pub use raw::{RawFeed, RawParty};
pub use systole_sim::Random;
pub use wait::{eventually, within};
pub use words::Words;
