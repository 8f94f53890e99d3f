//! Systole turns signed append logs into live, convergent application state.
//!
//! It is an embeddable engine for local-first and collaborative applications: every device writes to
//! its own signed log (a *feed*), logs travel between devices by any means, and every device computes
//! the same state from them, whatever order they came in.
//!
//! ```
//! use systole::{Engine, Error, NewItem, Text, TextMutation};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//! #   let dir = tempfile::tempdir().expect("a temporary directory");
//! #   std::env::set_current_dir(dir.path()).expect("it was just made");
//!     let engine = Engine::builder("./data").open().await?;
//!
//!     // A party is shared by many devices. Founding one admits this device and its feed.
//!     let party = engine.create_party().await?;
//!     let first = TextMutation::insert(0, "milk");
//!     let note = party.create(NewItem::<Text>::new().with(first)).await?;
//!     let mut updates = note.subscribe().await?;
//!
//!     // One mutation is one message in the feed. When this returns, it is on disk.
//!     note.mutate(TextMutation::insert(4, ", bread")).await?;
//!     println!("{:?}", updates.next().await);
//!     assert_eq!(note.view(|text| text.to_string()).await?, "milk, bread");
//!
//!     // What another device lacks leaves as ranges that prove themselves, and is taken in the same way.
//!     for (feed, _) in party.feeds().await? {
//!         let range = party.read(feed, 0).await?;
//!         println!("{} blocks of feed {feed}", range.map_or(0, |range| range.blocks.len()));
//!     }
//!     engine.close().await
//! }
//! ```
//!
//! # The path of a message
//!
//! ```text
//!     author ── sign ──►  feed ──►  party ──►  item ──►  model ──►  view / updates
//!                          │          │          │         │
//!                        store     admit      demux    checkpoint (state + positions)
//! ```
//!
//! 1. **Feed.** Blocks stand in a Merkle tree; one signature covers a whole batch of them. What another
//!    device wrote comes in through [`Party::ingest`] and is verified before it is stored.
//! 2. **Party.** Blocks of admitted feeds are processed after everything that their author had seen.
//!    Who is admitted follows from signed credentials alone ([`Party::admit`]).
//! 3. **Item.** Each message goes to its [`Item`]. Items are in memory only while they are used.
//! 4. **Model.** [`Object`] and [`Text`] are built in; an application registers its own [`Model`] with
//!    [`EngineBuilder::register`]. What converges is the model's promise, which
//!    [`testing`](systole_models::testing) checks.
//! 5. **Checkpoint.** State and the positions it covers are written together, so an item opens from its
//!    last checkpoint and its own messages since, however long the party's history is.
//!
//! # Limits
//!
//! The bounds that nobody can set stand in [`limits`], the others in [`EngineBuilder`]. Reaching one gives
//! an [`Error`] that says what to do, or makes the caller wait; nothing is dropped silently.
//!
//! # What it is not
//!
//! It opens no socket: carrying ranges from device to device is the application's business. It has no
//! roles and no removal of members yet, does not cut feeds, and does not encrypt content.
//! A directory is open in one process at a time.

mod builder;
mod device;
mod engine;
mod error;
mod feed;
mod item;
mod party;
#[doc(hidden)]
pub mod replica;
mod settings;
mod shared;
mod snapshot;
mod stages;
mod telemetry;
mod verify;

pub use builder::EngineBuilder;
pub use engine::Engine;
pub use error::{Error, ErrorKind};
pub use item::{Item, Subscription, Update};
pub use party::{
    AdmissionRequest, FeedStatus, Ingested, ItemInfo, ItemQuery, NewItem, Party, PartyStatus,
    Pending, Quarantined, Receipt, RequestError, Transaction,
};
pub use snapshot::CheckpointPolicy;
pub use stages::{SAMPLED_EVERY, Spent, Stage, Stages};
pub use telemetry::{Counters, Event, Events};
pub use verify::{Damage, DamageKind, Progress, Report, Verifier};

pub use systole_models::{
    CausalPast, CorruptCheckpoint, Message, Model, Object, ObjectChange, ObjectMutation, Order,
    Origin, Outcome, Text, TextChange, TextMutation, TextRejection, Value,
};
pub use systole_proto::{
    Ed25519Signer, FeedKey, ItemId, PartyKey, PublicKey, Range, SignError, Signature, Signer,
    Stamp, Timeframe,
};
pub use systole_store::{Durability, Usage, VaultKey};

/// The named bounds that nobody can set.
pub mod limits {
    pub use crate::item::{
        BYTES_IN_FLIGHT_MAX, MAILBOX_COMMANDS, UPDATES_KEPT, UPDATES_KEPT_BYTES,
    };
    pub use crate::party::PAYLOAD_BYTES_MAX;
    pub use crate::settings::*;
    pub use crate::telemetry::EVENTS_KEPT;
    pub use crate::verify::DAMAGE_LISTED_MAX;
    pub use systole_proto::limits::*;
}
