//! The durable state of Systole: feeds, items, keys and what is known of them, in one RocksDB.
//!
//! ```
//! use systole_store::{Batch, Durability, FeedNo, Store};
//!
//! # fn main() -> Result<(), systole_store::Error> {
//! let store = Store::memory(); // or Store::open(path, &Options::default())
//! let feed = FeedNo(1);
//!
//! let mut batch = Batch::new();
//! store.feeds().put_block(&mut batch, feed, 0, b"\x01exact bytes");
//! store.meta().put_preference(&mut batch, "theme", Some(b"dark"));
//! store.commit(batch, Durability::Synced)?; // all of it or nothing
//!
//! assert_eq!(store.feeds().block(feed, 0)?.as_deref(), Some(b"\x01exact bytes".as_slice()));
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   FeedStore   MetaStore   ItemStore   KeyStore     typed records      feeds  meta  items  vault
//!       └───────────┴─────┬─────┴───────────┘
//!                       Batch                        one atomic change  batch  keys  record
//!                         │
//!                       Store ── poisons itself      one writer         store
//!                         │
//!                      Backend                       rocks · memory · faulty
//! ```
//!
//! What it promises: a batch is written whole or not at all, over all four stores; after
//! [`Durability::Synced`] it survives a power failure; after a failed write or sync nothing more is
//! written until the store is opened again; a value that was damaged is an error that names it.
//!
//! What it is not: it knows neither what a credential means nor what a model does, it does not
//! verify signatures, and it has no thread of its own beside RocksDB's.

mod backend;
mod backup;
mod batch;
mod delete;
mod directory;
mod error;
mod family;
mod feeds;
mod items;
mod keys;
mod meta;
mod numbers;
mod options;
mod place;
mod read;
mod record;
mod store;
pub mod testing;
mod usage;
mod vault;

pub use backend::faulty::{Call, Fault, Faulty};
pub use backend::memory::Memory;
pub use backend::overlay::Overlay;
pub use backend::rocks::Rocks;
pub use backend::{Backend, Caching, KeyRange, Visit, VisitRanges};
pub use backup::Staged;
pub use batch::{Batch, Operation};
pub use delete::Deleted;
pub use directory::FORMAT;
pub use error::Error;
pub use family::Family;
pub use feeds::{CausalStep, FeedNodes, FeedStore, NODE_LEVEL_MIN};
pub use items::{ItemFilter, ItemRecord, ItemStore, LogEntry};
pub use meta::{
    CredentialRecord, FeedPosition, FeedRecord, MetaStore, PartyRecord, QuarantineRecord,
    REASON_BYTES_MAX,
};
pub use numbers::{FeedNo, ItemKey, PartyNo};
pub use options::Options;
pub use store::{Durability, Store};
pub use usage::Usage;
pub use vault::{KeyStore, Vault, VaultKey};
