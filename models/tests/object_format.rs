//! Bytes of the Object model: those of the first release stay readable, damaged ones never panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use systole_models::object::{ItemReference, Value};
use systole_models::{Message, Model, Object, ObjectMutation, Origin, Outcome};
use systole_proto::{FeedKey, ItemId, PartyKey, Stamp};

fn origin(feed: u8, seq: u64, lamport: u64) -> Origin {
    let past = (1..=2).map(|feed| (FeedKey([feed; 32]), if lamport > 2 { 9 } else { 0 }));
    Origin {
        feed: FeedKey([feed; 32]),
        seq,
        lamport,
        stamp: Stamp::default(),
        effective_at: None,
        past: past.collect(),
    }
}

fn everything() -> ObjectMutation {
    let reference = ItemReference { party: Some(PartyKey([7; 32])), item: ItemId([8; 20]) };
    ObjectMutation::set("null", Value::Null)
        .then_set("bool", true)
        .then_set(["number", "integer"], -5i64)
        .then_set(["number", "float"], 2.5)
        .then_set("text", "ä")
        .then_set("bytes", vec![1u8, 2])
        .then_set("time", Value::Timestamp(1_700_000_000_000))
        .then_set("reference", reference)
        .then_delete("gone")
}

/// An object with every kind of value, a conflict, and a refused message.
fn object() -> (Object, Bytes) {
    let mut object = Object::empty();
    let mut outcome = Outcome::default();
    let message = object.mutate(everything(), &origin(2, 3, 1), &mut outcome).unwrap();
    object.mutate(ObjectMutation::set("text", "b"), &origin(1, 0, 2), &mut outcome).unwrap();
    object.mutate(ObjectMutation::delete("time"), &origin(1, 1, 3), &mut outcome).unwrap();
    object.apply(&[Message { origin: origin(3, 0, 1), payload: Bytes::new() }], &mut outcome);
    (object, message)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn a_checkpoint_of_the_first_release_is_read_and_written() {
    let bytes = hex(include_str!("fixtures/object_checkpoint_1.hex"));
    let (object, _) = object();
    assert_eq!(object.checkpoint(), bytes, "{}", show(&object.checkpoint()));
    let restored = Object::restore(&bytes).unwrap();
    assert!(restored.entries().eq(object.entries()));
    assert_eq!(restored.conflicts("text").len(), 2);
}

#[test]
fn a_message_of_the_first_release_is_read_and_written() {
    let bytes = hex(include_str!("fixtures/object_message_1.hex"));
    let (_, message) = object();
    assert_eq!(message, bytes, "{}", show(&message));
    let mut reader = Object::empty();
    let mut outcome = Outcome::default();
    reader.apply(&[Message { origin: origin(2, 3, 1), payload: bytes.into() }], &mut outcome);
    assert_eq!((outcome.changes.len(), outcome.refused.len()), (8, 0));
    assert_eq!(reader.get(["number", "float"]), Some(&2.5.into()));
}

#[test]
fn a_checkpoint_that_no_object_wrote_is_refused() {
    let bytes = object().0.checkpoint();
    assert!(Object::restore(&[]).is_err());
    assert!(Object::restore(&[2]).is_err(), "another format");
    assert!(Object::restore(&bytes[..bytes.len() - 1]).is_err());
    assert!(Object::restore(&[1]).unwrap().is_empty());
    // A sibling before any path; a sibling of a feed that is not listed.
    assert!(Object::restore(&[1, 0x12, 4, 0x0a, 2, 0x10, 1]).is_err());
    assert!(Object::restore(&[1, 0x12, 9, 0x0a, 5, 0x0a, 1, b'a', 0x10, 1, 0x10, 7]).is_err());
}

fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_bytes_never_panic(
        edits in proptest::collection::vec(any::<(usize, u8)>(), 1..4),
        cut in 0..8usize,
        checkpoint in any::<bool>(),
    ) {
        let (object, message) = object();
        let mut bytes = if checkpoint { object.checkpoint() } else { message.to_vec() };
        bytes.truncate(bytes.len() - cut);
        let length = bytes.len();
        edits.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
        let mut object = if checkpoint {
            let Ok(object) = Object::restore(&bytes) else { return Ok(()) };
            prop_assert_eq!(&Object::restore(&object.checkpoint()).unwrap().checkpoint(), &object.checkpoint());
            object
        } else {
            let mut object = Object::empty();
            object.apply(&[Message { origin: origin(1, 0, 1), payload: bytes.into() }], &mut Outcome::default());
            object
        };
        object.mutate(everything(), &origin(5, 0, 99), &mut Outcome::default()).unwrap();
        prop_assert_eq!(object.get("text"), Some(&"ä".into()));
        prop_assert!(object.memory_bytes() > 0);
    }
}
