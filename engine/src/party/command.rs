//! What a party's actor is asked, and what it answers.

use std::any::Any;

use bytes::Bytes;
use systole_models::ObjectMutation;
use systole_proto::{Ed25519Signer, FeedKey, ItemId, PartyKey, PublicKey};
use systole_store::{Durability, ItemKey};
use tokio::sync::oneshot;

use super::effect::LocalBody;
use crate::Error;
use crate::feed::PreparedRange;
use crate::item::actor::{ItemHandle, LocalMutation};

/// One operation of a local transaction.
pub(crate) enum Operation {
    /// A mutation of an item that is there.
    Mutate { item: ItemKey, id: ItemId, mutation: LocalMutation },
    /// A new item.
    Create {
        model: String,
        version: u32,
        parent: Option<ItemKey>,
        init: Option<Box<dyn Any + Send>>,
        metadata: Option<ObjectMutation>,
    },
    /// Anything that needs no model.
    Plain(LocalBody),
}

/// A local transaction: its operations are written together or not at all.
pub(crate) struct Write {
    /// The own feed that writes; the party's first one when it is not named.
    pub(crate) feed: Option<FeedKey>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) effective_at: Option<i64>,
    pub(crate) durability: Durability,
    pub(crate) reply: oneshot::Sender<Result<Written, Error>>,
}

/// What a local transaction became.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) receipt: Receipt,
    /// The items that were created, in the order of their operations.
    pub(crate) created: Vec<(ItemKey, ItemId)>,
}

/// Proof for a local writer: where the messages stand and how durable they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The feed that holds the messages.
    pub feed: FeedKey,
    /// Position of the first message.
    pub seq: u64,
    /// How many messages stand there, one after the other.
    pub messages: u64,
    /// What they survive.
    pub durability: Durability,
}

/// Blocks of another device on their way into a feed.
pub(crate) struct Ingest {
    pub(crate) range: Box<PreparedRange>,
    pub(crate) reply: oneshot::Sender<Result<Ingested, Error>>,
}

/// What became of a range of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ingested {
    /// Blocks were added: from this length to that.
    Added {
        /// Length of the feed before.
        from: u64,
        /// Length of the feed after.
        to: u64,
    },
    /// Everything in the range was held already.
    Duplicate,
    /// The range starts after what is held: ask for blocks from `held`.
    Gap {
        /// Length of the feed.
        held: u64,
    },
    /// The blocks do not belong under the signed head; nothing was added.
    Inconsistent,
    /// The feed's author signed two histories; the proof is kept and the feed is halted.
    Equivocation,
    /// The feed is not admitted, and the bound for such feeds is reached.
    TooManyUnadmitted,
}

/// How far one feed has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedStatus {
    /// The feed.
    pub feed: FeedKey,
    /// Whether this device writes it.
    pub own: bool,
    /// Whether it is admitted to the party.
    pub admitted: bool,
    /// The member in whose name it speaks, if it is admitted.
    pub owner: Option<PublicKey>,
    /// Blocks stored.
    pub stored: u64,
    /// Blocks covered by a verified head. Blocks are verified before they are stored, so this equals
    /// `stored`.
    pub verified: u64,
    /// Blocks processed.
    pub processed: u64,
    /// The feed and length that its next block waits for.
    pub waits_for: Option<(FeedKey, u64)>,
    /// Why nothing more of it is processed.
    pub halted: Option<String>,
}

/// How far a party has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartyStatus {
    /// The party.
    pub party: PartyKey,
    /// Whether its genesis is known.
    pub founded: bool,
    /// Whether processing is paused.
    pub paused: bool,
    /// The members' keys.
    pub members: Vec<PublicKey>,
    /// Every feed that blocks are held of, or that others wait for.
    pub feeds: Vec<FeedStatus>,
    /// Credentials that do not count yet: feed, position, and what each waits for.
    pub parked: Vec<(FeedKey, u64, String)>,
    /// Items that exist.
    pub items: u64,
    /// Blocks that are ignored.
    pub quarantined: u64,
}

/// What a party's actor is asked.
pub(crate) enum Command {
    Write(Write),
    Ingest(Ingest),
    /// Bring an item into memory and give a way to it.
    Item {
        item: ItemKey,
        id: ItemId,
        reply: oneshot::Sender<Result<ItemHandle, Error>>,
    },
    /// Bring items into memory and give ways to them.
    Items {
        items: Vec<(ItemKey, ItemId)>,
        reply: oneshot::Sender<Result<Vec<ItemHandle>, Error>>,
    },
    Status(oneshot::Sender<Result<PartyStatus, Error>>),
    /// Stop or resume processing.
    Pause(bool, oneshot::Sender<()>),
    /// Add a feed of this device that signs with `signer`, and write its admission.
    CreateFeed {
        signer: Ed25519Signer,
        reply: oneshot::Sender<Result<FeedKey, Error>>,
    },
    /// Everything that can be processed is, once this is answered.
    Settle(oneshot::Sender<()>),
    /// Write encoded credentials.
    Credentials {
        bytes: Vec<Bytes>,
        reply: oneshot::Sender<Result<Written, Error>>,
    },
}

impl Command {
    /// How many messages this writes or takes in.
    pub(crate) fn messages(&self) -> u64 {
        match self {
            Self::Write(write) => write.operations.len() as u64,
            Self::Ingest(ingest) => ingest.range.end() - ingest.range.start(),
            Self::Credentials { bytes, .. } => bytes.len() as u64,
            _ => 0,
        }
    }
}
