//! Systole: an embeddable engine that turns signed append logs into live, convergent application
//! state.

mod builder;
mod engine;
mod error;
mod feed;
mod item;
mod party;
mod settings;
mod shared;
mod snapshot;
mod telemetry;

pub use builder::EngineBuilder;
pub use engine::Engine;
pub use error::{Error, ErrorKind};
pub use item::{Item, Subscription, Update};
pub use party::{
    AdmissionRequest, FeedStatus, Ingested, ItemInfo, ItemQuery, NewItem, Party, PartyStatus,
    Quarantined, Receipt, RequestError, Transaction,
};
pub use snapshot::CheckpointPolicy;
pub use telemetry::{Counters, Event, Events};

pub use systole_models::{
    CorruptCheckpoint, Message, Model, Object, ObjectChange, ObjectMutation, Order, Origin, Outcome,
    Text, TextChange, TextMutation, TextRejection,
};
pub use systole_proto::{
    Ed25519Signer, FeedKey, ItemId, PartyKey, PublicKey, Range, SignError, Signature, Signer, Stamp,
    Timeframe,
};
pub use systole_store::{Durability, VaultKey};

/// The named bounds that nobody can set.
pub mod limits {
    pub use crate::item::{BYTES_IN_FLIGHT_MAX, MAILBOX_COMMANDS, UPDATES_KEPT};
    pub use crate::party::PAYLOAD_BYTES_MAX;
    pub use crate::settings::*;
    pub use crate::telemetry::EVENTS_KEPT;
    pub use systole_proto::limits::*;
}
