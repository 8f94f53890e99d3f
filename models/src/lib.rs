//! Models: what an item's state is, and how messages change it.
//!
//! An *item* is one object that people write together. Each device appends its messages to a feed of its own;
//! the engine brings every message to every device, after everything its author had seen, and hands it to the
//! item's *model*. A model is plain data with rules: no I/O, no clock, no randomness, no threads. Because the
//! state depends on nothing but the set of messages, all devices arrive at the same one.
//!
//! | model | for |
//! | --- | --- |
//! | [`Object`] | values under key paths: records, settings, cards |
//! | [`Text`] | text that many people type in |
//! | your own | anything with a rule that does not depend on the order of concurrent messages |
//!
//! # A model of your own
//!
//! A counter: every message carries an amount, the state is their sum.
//!
//! ```
//! use bytes::Bytes;
//! use prost::Message as _;
//! use systole_models::testing::{LawViolation, check_model};
//! use systole_models::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
//! use systole_proto::Timeframe;
//!
//! #[derive(Default)]
//! struct Counter {
//!     total: i64,
//!     /// What is counted already: a message may come twice.
//!     applied: Timeframe,
//! }
//!
//! /// What a message carries.
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct Add {
//!     #[prost(sint64, tag = "1")]
//!     amount: i64,
//! }
//!
//! /// What a checkpoint holds.
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct Saved {
//!     #[prost(sint64, tag = "1")]
//!     total: i64,
//!     #[prost(bytes = "vec", tag = "2")]
//!     applied: Vec<u8>,
//! }
//!
//! #[derive(Debug)]
//! struct AddsNothing;
//! # impl std::fmt::Display for AddsNothing {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
//! #         f.write_str("adding nothing is not worth a message")
//! #     }
//! # }
//! # impl std::error::Error for AddsNothing {}
//!
//! impl Counter {
//!     fn add(&mut self, origin: &Origin, amount: i64, outcome: &mut Outcome<i64>) {
//!         if self.applied.advance_to(origin.feed, origin.seq + 1) {
//!             self.total = self.total.wrapping_add(amount);
//!             outcome.changed(self.total);
//!         }
//!     }
//! }
//!
//! impl Model for Counter {
//!     const TYPE: &'static str = "example.counter";
//!     const VERSION: u32 = 1;
//!     // A sum does not care about order at all.
//!     const ORDER: Order = Order::Commutative;
//!     type Mutation = i64;
//!     type Change = i64;
//!     type Rejection = AddsNothing;
//!
//!     fn empty() -> Self {
//!         Self::default()
//!     }
//!
//!     fn mutate(&mut self, amount: i64, origin: &Origin, outcome: &mut Outcome<i64>) -> Result<Bytes, AddsNothing> {
//!         if amount == 0 {
//!             return Err(AddsNothing);
//!         }
//!         self.add(origin, amount, outcome);
//!         Ok(Add { amount }.encode_to_vec().into())
//!     }
//!
//!     fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<i64>) {
//!         for (index, message) in batch.iter().enumerate() {
//!             // The bytes come from a stranger: what cannot be read, every replica ignores.
//!             match Add::decode(message.payload.clone()) {
//!                 Ok(Add { amount }) => self.add(&message.origin, amount, outcome),
//!                 Err(error) => outcome.refuse(index, error.to_string()),
//!             }
//!         }
//!     }
//!
//!     fn checkpoint(&self) -> Vec<u8> {
//!         Saved { total: self.total, applied: self.applied.encode() }.encode_to_vec()
//!     }
//!
//!     fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
//!         let saved = Saved::decode(bytes).map_err(|error| CorruptCheckpoint(error.to_string()))?;
//!         let applied = Timeframe::decode(&saved.applied).map_err(|error| CorruptCheckpoint(error.to_string()))?;
//!         Ok(Self { total: saved.total, applied })
//!     }
//!
//!     fn memory_bytes(&self) -> usize {
//!         size_of::<Self>() + 40 * self.applied.len()
//!     }
//! }
//!
//! // Does it keep the contract? The suite that our own models pass tells.
//! fn main() -> Result<(), LawViolation> {
//!     check_model::<Counter, _>(-9..9i64, |counter| counter.total)
//! }
//! ```
//!
//! Register it where the engine is opened, and items of the type can be created:
//! [`ModelRegistry::register`]. Items of a type that is not registered are kept whole
//! ([`UnknownModel`]) and come to life once it is.
//!
//! # What a model must promise
//!
//! [`Model`] says what, [`testing`] says it as a test: convergence, checkpoint plus rest equals replay, nothing
//! twice, writer equals reader.

mod feeds;
pub mod model;
pub mod object;
mod past;
mod registry;
mod scan;
pub mod testing;
pub mod text;
mod unknown;

pub use model::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
pub use object::{Object, ObjectChange, ObjectMutation, ObjectRejection, Value};
pub use past::{Author, CausalPast, Lengths};
pub use registry::{AnyModel, AnyOutcome, ModelFactory, ModelRegistry, MutateError, RegistryError};
pub use text::{Text, TextChange, TextMutation, TextRejection};
pub use unknown::UnknownModel;
