//! The Object model: values under key paths, written by many, without anybody waiting for anybody.
//!
//! ```
//! use systole_models::object::{Object, ObjectMutation, Path, Value};
//! # use systole_models::{Model, Origin, Outcome};
//! # use systole_proto::{FeedKey, Stamp};
//! # let origin = Origin { feed: FeedKey([1; 32]), seq: 0, lamport: 1, stamp: Stamp::default(), effective_at: None, past: Default::default() };
//!
//! let mut object = Object::empty();
//! let mutation = ObjectMutation::set("title", "Groceries").then_set(["author", "age"], 36i64);
//! object.mutate(mutation, &origin, &mut Outcome::default())?;
//!
//! assert_eq!(object.get("title"), Some(&Value::from("Groceries")));
//! assert_eq!(object.keys(Path::root()), ["author", "title"]);
//! assert_eq!(object.node("author").unwrap().to_string(), r#"{"age": 36}"#);
//! # Ok::<(), systole_models::object::ObjectRejection>(())
//! ```
//!
//! # Rules
//!
//! The object holds one register per path. A register holds siblings: the writes, values or delete marks, that
//! did not know of each other. The rank of a write is (Lamport number, feed key) of its message.
//!
//! | situation | what happens |
//! | --- | --- |
//! | a write at a path | takes away the siblings at and below the path that its author had seen, and only those |
//! | concurrent writes at one path | all are kept; the highest rank is read; [`Object::conflicts`] tells the others |
//! | `delete` against a concurrent `set` | as above: the higher rank is read |
//! | deleted, or set to [`Value::Null`] | two things: `get` gives `None`, or `Some(Null)` |
//! | a write at a path, concurrent ones below it | it hides those below of lower rank, for good; those of higher rank are read as fields |
//! | a path with a value and visible fields below it | reads as fields |
//! | a `set` below a path | the values at the path that its author had seen are gone, also once the fields are deleted |
//! | several operations in one message | happen together, in their order; of several on one path only the last counts |
//! | a message that breaks a bound or cannot be read | refused as a whole, by every replica |
//! | a message delivered again | nothing |
//!
//! A field whose last fields below it are deleted is gone: there are no empty maps. What was deleted leaves a
//! mark of some 80 bytes, until the path or one above it is written again.
//!
//! The state is the set of siblings, not the history, so memory and checkpoint do not grow with the number of
//! messages.

mod mutation;
#[cfg(test)]
mod oracle;
mod path;
mod read;
mod register;
mod state;
mod value;
mod wire;

use std::collections::BTreeMap;

use bytes::Bytes;
use systole_proto::FeedKey;

pub use mutation::{
    KEY_BYTES_MAX, MUTATION_BYTES_MAX, OPERATIONS_MAX, ObjectMutation, ObjectRejection,
    PATH_DEPTH_MAX, VALUE_BYTES_MAX,
};
pub use path::{IntoPath, Path};
pub use value::{ItemReference, Node, Value};

use crate::feeds::Feeds;
use crate::model::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
use register::Register;

/// Values under key paths; see the [module](self) for its rules.
#[derive(Clone, Debug, Default)]
pub struct Object {
    feeds: Feeds,
    registers: BTreeMap<Path, Register>,
    /// Registers whose paths have more than one key.
    nested: usize,
    /// Memory of the paths' text and of all siblings.
    content_bytes: usize,
}

/// A path whose value is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChange {
    /// Where.
    pub path: Path,
    /// The value before; `None` if there was none.
    pub before: Option<Value>,
    /// The value after; `None` if there is none.
    pub after: Option<Value>,
}

/// One of the writes at a path that did not know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict<'a> {
    /// What it set; `None` if it deleted.
    pub value: Option<&'a Value>,
    /// The feed of its message.
    pub feed: FeedKey,
    /// The position of its message in that feed.
    pub seq: u64,
    /// The Lamport number of its message.
    pub lamport: u64,
}

impl Model for Object {
    const TYPE: &'static str = "systole.object";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    type Mutation = ObjectMutation;
    type Change = ObjectChange;
    type Rejection = ObjectRejection;

    fn empty() -> Self {
        Self::default()
    }

    fn mutate(
        &mut self,
        mutation: ObjectMutation,
        origin: &Origin,
        outcome: &mut Outcome<ObjectChange>,
    ) -> Result<Bytes, ObjectRejection> {
        let operations = mutation.into_operations()?;
        let payload = wire::encode(operations.as_slice())?;
        let feed = self.feeds.advance(&origin.feed, origin.seq);
        let feed = feed.expect("a local message takes a position that no message has");
        self.perform(operations, feed, origin, outcome);
        Ok(payload)
    }

    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<ObjectChange>) {
        for (index, message) in batch.iter().enumerate() {
            let origin = &message.origin;
            // Applied before, or refused before.
            let Some(feed) = self.feeds.advance(&origin.feed, origin.seq) else { continue };
            match wire::decode(&message.payload) {
                Ok(operations) => self.perform(operations, feed, origin, outcome),
                Err(reason) => outcome.refuse(index, reason),
            }
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        wire::checkpoint(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        wire::restore(bytes)
    }

    fn memory_bytes(&self) -> usize {
        // A tree node has room for eleven entries; in a large tree nodes are two thirds full.
        const SLOTS: usize = 11;
        let slot = size_of::<(Path, Register)>() - size_of::<register::Sibling>();
        let slots = match self.registers.len() {
            0 => 0,
            1..=SLOTS => SLOTS,
            more => more * 3 / 2,
        };
        let vacant = slots.saturating_sub(self.registers.len()) * size_of::<register::Sibling>();
        size_of::<Self>() + self.feeds.heap_bytes() + slots * slot + vacant + self.content_bytes
    }
}
