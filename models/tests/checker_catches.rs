//! The checker holds against broken models: each mistake is caught, named, and shown by a small history.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use bytes::Bytes;
use proptest::prelude::*;
use systole_models::testing::{Law, LawViolation, ModelCheck, check_model};
use systole_models::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
use systole_proto::{FeedKey, Timeframe};

/// A mistake to build into a register of one byte.
trait Mistake: Send + 'static {
    const LAST_ARRIVED_WINS: bool = false;
    const FORGETS_STAMPS: bool = false;
    const COUNTS_DUPLICATES: bool = false;
    const WRITER_SKIPS: bool = false;
    const REJECTION_WRITES: bool = false;
    const PANICS_ON_EMPTY: bool = false;
    const TAKES_NO_MEMORY: bool = false;
    const DIGESTS_ARRIVAL: bool = false;
}

struct Sound;
struct LastArrived;
struct Forgetful;
struct Counting;
struct Skipping;
struct Hasty;
struct Fragile;
struct Weightless;
struct Unordered;

impl Mistake for Sound {}
impl Mistake for LastArrived {
    const LAST_ARRIVED_WINS: bool = true;
}
impl Mistake for Forgetful {
    const FORGETS_STAMPS: bool = true;
}
impl Mistake for Counting {
    const COUNTS_DUPLICATES: bool = true;
}
impl Mistake for Skipping {
    const WRITER_SKIPS: bool = true;
}
impl Mistake for Hasty {
    const REJECTION_WRITES: bool = true;
}
impl Mistake for Fragile {
    const PANICS_ON_EMPTY: bool = true;
}
impl Mistake for Weightless {
    const TAKES_NO_MEMORY: bool = true;
}
impl Mistake for Unordered {
    const DIGESTS_ARRIVAL: bool = true;
}

/// A last-writer-wins register that also counts its writes.
struct Register<K> {
    value: u8,
    rank: (u64, FeedKey),
    writes: u64,
    applied: Timeframe,
    arrivals: Vec<u64>,
    mistake: std::marker::PhantomData<K>,
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("zero is not allowed")
    }
}

impl std::error::Error for Refused {}

impl<K: Mistake> Register<K> {
    fn take(&mut self, origin: &Origin, value: u8, outcome: &mut Outcome<u8>) {
        let known = self.applied.contains(&origin.feed, origin.seq);
        if known && !K::COUNTS_DUPLICATES {
            return;
        }
        self.applied.advance_to(origin.feed, origin.seq + 1);
        self.arrivals.push(origin.lamport);
        self.writes += 1;
        if origin.rank() >= self.rank || K::LAST_ARRIVED_WINS {
            self.rank = origin.rank();
            self.value = value;
            outcome.changed(value);
        }
    }
}

impl<K: Mistake> Model for Register<K> {
    const TYPE: &'static str = "test.register";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Commutative;
    type Mutation = u8;
    type Change = u8;
    type Rejection = Refused;

    fn empty() -> Self {
        Self {
            value: 0,
            rank: (0, FeedKey([0; 32])),
            writes: 0,
            applied: Timeframe::new(),
            arrivals: Vec::new(),
            mistake: std::marker::PhantomData,
        }
    }

    fn mutate(
        &mut self,
        value: u8,
        origin: &Origin,
        outcome: &mut Outcome<u8>,
    ) -> Result<Bytes, Refused> {
        if value == 0 {
            self.writes += u64::from(K::REJECTION_WRITES);
            return Err(Refused);
        }
        let kept = if K::WRITER_SKIPS { value | 1 } else { value };
        self.take(origin, kept, outcome);
        Ok(Bytes::copy_from_slice(&[value]))
    }

    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<u8>) {
        for (index, message) in batch.iter().enumerate() {
            match message.payload[..] {
                [value] => self.take(&message.origin, value, outcome),
                [] if K::PANICS_ON_EMPTY => panic!("no bytes"),
                _ => outcome.refuse(index, "one byte was expected"),
            }
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let lamport = if K::FORGETS_STAMPS { 0 } else { self.rank.0 };
        let mut bytes = vec![self.value];
        bytes.extend(lamport.to_be_bytes());
        bytes.extend(self.rank.1.as_bytes());
        bytes.extend(self.writes.to_be_bytes());
        bytes.extend(self.applied.encode());
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        Ok(Self {
            value: bytes[0],
            rank: (number(1), FeedKey::from_bytes(&bytes[9..41]).unwrap()),
            writes: number(41),
            applied: Timeframe::decode(&bytes[49..]).unwrap(),
            ..Self::empty()
        })
    }

    fn digest(&self) -> Vec<u8> {
        if K::DIGESTS_ARRIVAL {
            self.arrivals.iter().flat_map(|lamport| lamport.to_be_bytes()).collect()
        } else {
            vec![self.value, self.writes as u8]
        }
    }

    fn memory_bytes(&self) -> usize {
        if K::TAKES_NO_MEMORY { 0 } else { size_of::<Self>() }
    }
}

fn check<K: Mistake>() -> Result<(), LawViolation> {
    check_model::<Register<K>, _>(0..9u8, |register| (register.value, register.writes))
}

/// The violation of `law`, shown by at most `messages_max` messages.
fn caught<K: Mistake>(law: Law, messages_max: usize) -> String {
    let violation = check::<K>().unwrap_err();
    assert_eq!(violation.law(), law, "{violation}");
    assert!(violation.history().len() <= messages_max, "not small: {violation}");
    violation.to_string()
}

#[test]
fn a_sound_model_passes() {
    check::<Sound>().unwrap();
}

#[test]
fn a_model_that_keeps_what_arrives_last_is_caught() {
    let text = caught::<LastArrived>(Law::Convergence, 2);
    println!("{text}");
    assert!(text.contains("A0"), "{text}");
}

#[test]
fn a_model_that_forgets_its_stamps_in_a_checkpoint_is_caught() {
    println!("{}", caught::<Forgetful>(Law::Checkpoint, 2));
}

#[test]
fn a_counter_of_duplicates_is_caught() {
    println!("{}", caught::<Counting>(Law::Duplicates, 1));
}

#[test]
fn a_writer_that_sees_something_else_than_its_readers_is_caught() {
    caught::<Skipping>(Law::MutateEqualsApply, 1);
}

#[test]
fn a_refused_mutation_that_leaves_traces_is_caught() {
    caught::<Hasty>(Law::Rejection, 0);
}

#[test]
fn a_panic_on_hostile_bytes_is_caught() {
    let text = caught::<Fragile>(Law::NoPanic, 1);
    assert!(text.contains("no bytes") && text.contains("hostile bytes"), "{text}");
}

#[test]
fn a_useless_memory_estimate_is_caught() {
    caught::<Weightless>(Law::Memory, 1);
}

#[test]
fn a_digest_of_more_than_the_state_is_caught() {
    caught::<Unordered>(Law::Digest, 2);
}

#[test]
fn the_same_seed_finds_the_same_history() {
    let run = |seed| {
        let check =
            ModelCheck::<Register<LastArrived>, _, _>::new(0..9u8, |register| register.value);
        check.seed(seed).run().unwrap_err().to_string()
    };
    assert_eq!(run(5), run(5));
}

#[test]
fn a_report_counts_what_was_tried() {
    let check = ModelCheck::<Register<Sound>, _, _>::new(0..9u8, |register| register.value);
    let report =
        check.histories(40).replicas(2).steps_max(5).orders(3).hostile(false).run().unwrap();
    assert_eq!((report.histories, report.orders), (40, 120));
    assert!(report.messages > 0 && report.rejections > 0, "{report}");
}

#[test]
fn choices_are_resolved_against_the_state() {
    let check = ModelCheck::<Register<Sound>, _, _>::with_choices(
        any::<bool>(),
        |register, up| up.then(|| register.value.saturating_add(1)),
        |register| register.value,
    );
    check.run().unwrap();
}
