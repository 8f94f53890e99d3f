//! Deterministic simulation of whole Systole devices, for us and for whoever writes a [`Model`].
//!
//! Some devices share a party. Their users write, their networks delay, reorder, repeat, damage and lose,
//! their power goes in the middle of a write, their disks are restored from backups, copied and opened
//! twice, their clocks lie, and some of the authors break the rules. All of it follows from one seed, in
//! one thread, on the engine's own logic over a disk in memory: no runtime, no clock, no chance. Then
//! everything heals, and every promise of the engine and of your model is checked.
//!
//! ```
//! use systole_models::{Object, ObjectMutation};
//! use systole_sim::Simulation;
//!
//! let report = Simulation::new()
//!     // What users do to an item in this state; `None` means nothing.
//!     .model::<Object>(|random, object| {
//!         let key = ["color", "size"][random.below(2)];
//!         let value = 1 + object.len() as i64 + random.below(10) as i64;
//!         Some(ObjectMutation::set(key, value))
//!     })
//!     .devices(3)
//!     .seeds(0..20)
//!     .run()
//!     .unwrap();
//! println!("{report}");
//! ```
//!
//! That is all. In a test, [`Simulation::run`] also listens to the environment: `SYSTOLE_SIM_SEED=7` runs
//! that seed alone, `SYSTOLE_SIM_SEEDS=10000` so many, `SYSTOLE_SIM_MINUTES=60` as long as that. The same
//! seed does the same on every machine; [`Report::trace`] is a hash over everything that happened.
//!
//! # A real bug in a naive model
//!
//! A lamp that is switched on and off. Its author thought: every device applies every message, so all of
//! them show the same. `unwrap` on the result of `run` prints what is wrong, the command that repeats it,
//! and the shortest story found:
//!
//! ```
//! use bytes::Bytes;
//! use systole_models::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
//! use systole_sim::{Oracle, Simulation};
//!
//! #[derive(Default)]
//! struct Lamp {
//!     on: bool,
//! }
//!
//! impl Model for Lamp {
//!     const TYPE: &'static str = "example.lamp";
//!     const VERSION: u32 = 1;
//!     const ORDER: Order = Order::Causal;
//!     type Mutation = bool;
//!     type Change = bool;
//!     type Rejection = std::convert::Infallible;
//!
//!     fn empty() -> Self {
//!         Self::default()
//!     }
//!
//!     fn mutate(&mut self, on: bool, _: &Origin, _: &mut Outcome<bool>) -> Result<Bytes, Self::Rejection> {
//!         self.on = on;
//!         Ok(Bytes::copy_from_slice(&[u8::from(on)]))
//!     }
//!
//!     fn apply(&mut self, batch: &[Message], _: &mut Outcome<bool>) {
//!         for message in batch {
//!             // The bug: of two people who did not know of each other, the one who is heard last wins,
//!             // and that is another one on every device.
//!             self.on = *message.payload == [1];
//!         }
//!     }
//!
//!     fn checkpoint(&self) -> Vec<u8> {
//!         vec![u8::from(self.on)]
//!     }
//!
//!     fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
//!         Ok(Self { on: bytes == [1] })
//!     }
//!
//!     fn memory_bytes(&self) -> usize {
//!         size_of::<Self>()
//!     }
//! }
//!
//! let failure = Simulation::new()
//!     .model::<Lamp>(|_, lamp| Some(!lamp.on))
//!     .hostile(false)
//!     .faults(false)
//!     .run()
//!     .unwrap_err();
//! assert_eq!(failure.oracle(), Oracle::Convergence);
//! assert!(failure.story().iter().any(|line| line.contains("example.lamp")));
//! println!("{failure}");
//! ```
//!
//! ```text
//! devices with the same blocks differ: A and B do not agree on the state of i1
//! seed 0, again with: SYSTOLE_SIM_SEED=0 cargo test lamps_converge
//! the shortest story found (9 steps of 114):
//!     A founds the party
//!     A admits B
//!     A creates an item of example.lamp, and creates an item of example.lamp with true, [...], synced, as A/3
//!     A sends A/0..8 to B
//!     B gets A/0..8, and it stays on its way: adds 8
//!     A writes true to i1, synced, as A/8
//!     A writes false to i1, synced, as A/9
//!     B processes 2 blocks
//!     B processes 2 blocks
//!     B writes true to i1, buffered, as B/1
//!     everything heals
//! ```
//!
//! "A/8" is block 8 of A's feed, items are numbered. B switched i1 on without having seen A/8 and A/9: A
//! heard that last, B heard A's blocks last. The cure: keep the greatest [`Origin::rank`](systole_models::Origin::rank) beside the value, let a
//! message with a lower one change nothing, and put the rank into the checkpoint.
//!
//! # What is checked
//!
//! | oracle | what must hold |
//! | --- | --- |
//! | [`Oracle::Durability`] | an acknowledged synced write is there after any crash, byte for byte, and so is what was shown to a peer |
//! | [`Oracle::Fork`] | no feed of an honest device ever shows two blocks at one position, or two roots of one length |
//! | [`Oracle::Convergence`] | devices that processed the same blocks show the same items, states, parents, tombstones, members and refusals; a fresh device that gets all of it at once, too |
//! | [`Oracle::Replay`] | an item, whatever checkpoints it went through, equals the replay of all of its messages |
//! | [`Oracle::Positions`] | positions move forward only, and after a crash not below what was durable |
//! | [`Oracle::Causality`] | the causal past and the Lamport number that a reader derives are those that the simulation noted when the block was written |
//! | [`Oracle::Admission`] | no message counts unless its author's admission lies in its past |
//! | [`Oracle::Once`] | the log of every item lists each message of an honest author once, and nothing that nobody wrote |
//! | [`Oracle::Bounds`] | mailboxes, parked credentials and feeds of strangers stay within their bounds |
//! | [`Oracle::Progress`] | once everything heals, everything arrives everywhere, within a bounded number of rounds |
//! | [`Oracle::Isolation`] | a model that panics breaks its own item and nothing else ([`Simulation::panics`]) |
//! | [`Oracle::Duplicates`] | everything delivered a second time changes nothing |
//! | [`Oracle::Soundness`] | the engine and the models do not panic, and no damage is reported where there is none |
//!
//! Where an author signs two histories of its own feed, devices that believed the one and devices that
//! believed the other do not come together, by design; and what a device showed waits for good where it
//! builds on what was lost with the device's disk. Such histories are held against everything but
//! [`Oracle::Progress`] and the logs of [`Oracle::Once`].
//!
//! # Bounds
//!
//! At most 6 devices to begin with and 8 with their copies, 8 models, 48 packets on their way, 16 rounds
//! of healing, 600 histories played to shorten a story.
//!
//! # Bugs planted, and how long it took
//!
//! Each of these is a test of this crate (`tests/planted.rs`): planted, it is found; taken out, the same
//! seeds are clean.
//!
//! | planted bug | where | seeds until found | oracle |
//! | --- | --- | --- | --- |
//! | position advanced before its effect | store | 2 | `Soundness` |
//! | last writer wins by arrival | model | 2 | `Convergence` |
//! | a checkpoint without stamps | model | 3 | `Replay` |
//! | a parked credential dropped | engine | 58 | `Progress` |
//! | an unsynced head announced | engine | 34 | `Durability` |
//! | what overflows a mailbox dropped | engine | 71 | `Replay` |
//! | an evicted item loses its tail | engine | 1 | `Replay` |
//! | a panicking model takes its neighbours along | engine | 10 | `Replay` |
//! | a tie broken by the order of a hash map | model | 2 | `Replay` |
//! | a clock in a model | model | 1 | `Replay` |
//! | append after a restore | engine | 21 | `Fork` |
//!
//! The engine's own rules were broken for a moment too, one at a time, and each was found by histories of
//! `Object` and `Text` (`examples/marathon.rs`):
//!
//! | broken rule | seeds until found |
//! | --- | --- |
//! | the past of links is not merged | 3 |
//! | Lamport numbers ignore links | 2 |
//! | a feed that waits is not woken | 3 |
//! | a block may speak before its author's admission lies in its past | 96 |
//! | an author links to strangers' feeds | 5 |
//! | of two deletions the later one to arrive counts | 234 |
//! | a checkpoint says that it covers one message more | 3 |
//! | a restart lets the clock follow stamps from the future | 88 |
//!
//! # What it is not
//!
//! Time does not pass inside a call, and devices take turns: what depends on threads is for tests of the
//! real engine. Disks lose what was not synced, in whole writes; torn writes are the storage engine's.
//!
//! [`Model`]: systole_models::Model

mod backend;
mod byzantine;
mod device;
mod heal;
mod history;
mod network;
mod oracle;
mod plan;
mod random;
mod report;
mod seeds;
mod shrink;
mod simulation;
mod steps;
mod story;
mod witness;
mod workload;
mod world;

#[doc(hidden)]
pub use device::Flaws;
pub use history::History;
pub use oracle::Oracle;
pub use random::Random;
pub use report::{Counts, Failure, Report};
pub use simulation::Simulation;
pub use workload::{object_users, text_users};
