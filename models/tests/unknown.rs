//! Items of a type that nobody registered: nothing is lost, and they come to life later.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use systole_models::{
    AnyModel, Message, Model, MutateError, Object, ObjectMutation, Origin, Outcome, UnknownModel,
};
use systole_proto::{FeedKey, Stamp};

fn origin(feed: u8, seq: u64, lamport: u64, past: &[(u8, u64)]) -> Origin {
    let past = past.iter().map(|&(feed, length)| (FeedKey([feed; 32]), length));
    Origin {
        feed: FeedKey([feed; 32]),
        seq,
        lamport,
        stamp: Stamp { millis: 1_700_000_000_000 + seq, logical: 3 },
        effective_at: (seq == 4).then_some(-7),
        past: past.collect(),
    }
}

fn message(feed: u8, seq: u64, lamport: u64, past: &[(u8, u64)]) -> Message {
    let payload = Bytes::from(format!("{feed}/{seq}"));
    Message { origin: origin(feed, seq, lamport, past), payload }
}

fn messages() -> Vec<Message> {
    vec![
        message(9, 4, 1, &[(9, 4)]),
        message(2, 0, 1, &[]),
        message(9, 5, 2, &[(9, 5)]),
        message(2, 1, 3, &[(2, 1), (9, 6)]),
    ]
}

fn unknown() -> UnknownModel {
    UnknownModel::empty("example.later", 3)
}

#[test]
fn messages_survive_a_checkpoint_with_origin_and_past() {
    let mut model = unknown();
    model.apply(&messages(), false);
    let restored = UnknownModel::restore("example.later", 3, &model.checkpoint()).unwrap();
    assert_eq!((restored.type_name(), restored.version(), restored.len()), ("example.later", 3, 4));
    let mut expected = messages();
    expected.swap(0, 1);
    assert_eq!(restored.into_messages(), expected, "in the order (Lamport, feed key, seq)");
}

#[test]
fn a_message_delivered_twice_is_kept_once_also_after_a_restart() {
    let mut model = unknown();
    model.apply(&messages(), false);
    model.apply(&messages()[1..3], false);
    let mut restored = UnknownModel::restore("example.later", 3, &model.checkpoint()).unwrap();
    restored.apply(&messages(), false);
    assert_eq!((model.len(), restored.len()), (4, 4));
    assert_eq!(model.checkpoint(), restored.checkpoint());
}

#[test]
fn checkpoints_do_not_depend_on_the_order_of_arrival() {
    let (mut one, mut other) = (unknown(), unknown());
    one.apply(&messages(), false);
    let mut batch = messages();
    batch.swap(0, 1);
    other.apply(&batch[..2], false);
    other.apply(&batch[2..], false);
    assert_eq!(one.checkpoint(), other.checkpoint());
}

#[test]
fn it_comes_to_life_with_its_whole_history() {
    let mut writer = Object::empty();
    let mut unknown = UnknownModel::empty(Object::TYPE, Object::VERSION);
    for seq in 0..10 {
        let origin = origin(1, seq, seq + 1, &[(1, seq)]);
        let mutation = ObjectMutation::set(format!("field {}", seq % 3), seq as i64);
        let payload = writer.mutate(mutation, &origin, &mut Outcome::default()).unwrap();
        unknown.apply(&[Message { origin, payload }], false);
    }
    let restored = UnknownModel::restore(Object::TYPE, 1, &unknown.checkpoint()).unwrap();
    let mut object = Object::empty();
    object.apply(&restored.into_messages(), &mut Outcome::default());
    assert_eq!(object.checkpoint(), writer.checkpoint());
}

#[test]
fn it_cannot_be_changed() {
    let error = unknown().mutate(Box::new(()), &origin(1, 0, 1, &[]), false).unwrap_err();
    assert!(matches!(error, MutateError::Unregistered));
}

#[test]
fn its_memory_is_counted() {
    let mut model = unknown();
    let before = model.memory_bytes();
    model
        .apply(&[Message { origin: origin(1, 0, 1, &[]), payload: vec![0; 10_000].into() }], false);
    assert!(model.memory_bytes() > before + 10_000);
}

#[test]
fn a_checkpoint_of_the_first_release_is_read() {
    let bytes = hex(include_str!("fixtures/unknown_checkpoint_1.hex"));
    let mut model = unknown();
    model.apply(&messages(), false);
    assert_eq!(model.checkpoint(), bytes);
    assert_eq!(UnknownModel::restore("example.later", 3, &bytes).unwrap().len(), 4);
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_checkpoint_never_panics(
        edits in proptest::collection::vec(any::<(usize, u8)>(), 1..4),
        cut in 0..8usize,
    ) {
        let mut model = unknown();
        model.apply(&messages(), false);
        let mut bytes = model.checkpoint();
        bytes.truncate(bytes.len() - cut);
        let length = bytes.len();
        edits.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
        if let Ok(model) = UnknownModel::restore("example.later", 3, &bytes) {
            model.checkpoint();
        }
    }
}
