//! The contract between the engine and a model: what a model is told, and what it must promise.
//!
//! Invariants every model keeps (the public suite in [`crate::testing`] checks them):
//! - the state is a function of the set of messages applied, whatever causal order they came in;
//! - a checkpoint followed by the rest of the messages equals full replay;
//! - a message delivered twice changes nothing;
//! - [`Model::mutate`] on one replica equals [`Model::apply`] of its bytes on every other.

use bytes::Bytes;
use systole_proto::{FeedKey, Stamp};

use crate::past::CausalPast;

/// The order in which a model needs its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any order that keeps each feed's own order.
    Commutative,
    /// After everything in their causal past.
    Causal,
    /// The deterministic total order (Lamport, feed key, seq).
    Total,
}

/// Where and when a message was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The feed that holds the message.
    pub feed: FeedKey,
    /// The message's position in that feed.
    pub seq: u64,
    /// Lamport number, derived by the reader from the causal links.
    pub lamport: u64,
    /// Hybrid logical clock of the author; for display only, never for decisions.
    pub stamp: Stamp,
    /// Time the user gave for a backdated fact, in milliseconds since the Unix epoch; for display only.
    pub effective_at: Option<i64>,
    /// What the author had seen of this item: the block's causal past, restricted to the feeds that
    /// wrote to the item. `past.length(feed) > seq` means that message (feed, seq) is in the past.
    pub past: CausalPast,
}

impl Origin {
    /// Whether message (`feed`, `seq`) of the same item lies in the causal past of this one.
    pub fn has_seen(&self, feed: &FeedKey, seq: u64) -> bool {
        self.past.contains(feed, seq)
    }

    /// The stamp that breaks ties the same way everywhere: (Lamport, feed key).
    pub fn rank(&self) -> (u64, FeedKey) {
        (self.lamport, self.feed)
    }
}

/// One message of an item, as the engine hands it to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where and when it was written.
    pub origin: Origin,
    /// The model's own bytes, as its author encoded them. They come from a stranger.
    pub payload: Bytes,
}

/// What applying a batch did: typed changes for subscribers, and the messages that were refused.
#[derive(Debug)]
pub struct Outcome<C> {
    /// Changes in the order they happened.
    pub changes: Vec<C>,
    /// Messages that every replica ignores: index in the batch, and why.
    pub refused: Vec<(usize, String)>,
    unheard: bool,
}

impl<C> Default for Outcome<C> {
    fn default() -> Self {
        Self::of(Vec::new(), Vec::new())
    }
}

impl<C> Outcome<C> {
    /// An outcome with these changes and refusals.
    pub(crate) fn of(changes: Vec<C>, refused: Vec<(usize, String)>) -> Self {
        Self { changes, refused, unheard: false }
    }

    /// An outcome whose changes nobody will read.
    pub fn unheard() -> Self {
        Self { unheard: true, ..Self::default() }
    }

    /// Whether changes are of any use: a model may save itself the work where they are not.
    pub fn is_heard(&self) -> bool {
        !self.unheard
    }

    /// Records one change.
    pub fn changed(&mut self, change: C) {
        if self.is_heard() {
            self.changes.push(change);
        }
    }

    /// Records that the message at `index` of the batch is ignored, and why.
    pub fn refuse(&mut self, index: usize, reason: impl Into<String>) {
        self.refused.push((index, reason.into()));
    }
}

/// A checkpoint that its model cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptCheckpoint(pub String);

impl std::fmt::Display for CorruptCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "checkpoint cannot be read: {}", self.0)
    }
}

impl std::error::Error for CorruptCheckpoint {}

/// A convergent state machine: one item's state, and how messages change it.
///
/// A model is plain data: no I/O, no clock, no randomness, no threads.
pub trait Model: Sized + Send + 'static {
    /// Name of the type, stored in every item's genesis, at most
    /// [`MODEL_TYPE_BYTES_MAX`](systole_proto::limits::MODEL_TYPE_BYTES_MAX) bytes: `"example.counter"`.
    const TYPE: &'static str;
    /// Version of the type's meaning. A new version is a different state machine.
    const VERSION: u32;
    /// The order in which messages must come.
    const ORDER: Order;
    /// Which algorithm makes the state from the messages, stored in every item's genesis: where two
    /// algorithms read the same messages, old items go on with theirs.
    const ALGORITHM: u32 = 0;
    /// What a local user asks for.
    type Mutation: Send + 'static;
    /// What a subscriber is told.
    type Change: Clone + Send + Sync + 'static;
    /// Why a local mutation is refused.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// The state before any message.
    fn empty() -> Self;

    /// Checks a local mutation against the state, applies it as the message at `origin`, a position
    /// above all that its feed has applied, and returns the bytes to write. On `Err` the state is
    /// untouched and nothing is written. A model whose message could not be written is of no use any
    /// more: it has applied what does not exist, and is to be restored.
    fn mutate(
        &mut self,
        mutation: Self::Mutation,
        origin: &Origin,
        outcome: &mut Outcome<Self::Change>,
    ) -> Result<Bytes, Self::Rejection>;

    /// Applies messages in the order given. A message that is malformed is refused in `outcome` and
    /// ignored; every replica must refuse the same ones.
    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<Self::Change>);

    /// The state as bytes that [`Model::restore`] reads, stamps and applied positions included.
    fn checkpoint(&self) -> Vec<u8>;

    /// The state that `bytes` from [`Model::checkpoint`] describe.
    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint>;

    /// Bytes that are equal on replicas that applied the same messages, and differ where visible values
    /// do. A model whose checkpoints of equal states may differ says here what is to be compared; the
    /// others leave it.
    fn digest(&self) -> Vec<u8> {
        self.checkpoint()
    }

    /// Estimate of the memory that the state holds, in bytes; the engine's memory budget counts it.
    fn memory_bytes(&self) -> usize;
}
