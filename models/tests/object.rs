//! The rules of the Object model, one test each, through its public API.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use bytes::Bytes;
use systole_models::object::*;
use systole_models::{Message, Model, Order, Origin, Outcome};
use systole_proto::{FeedKey, ItemId, PartyKey, Stamp, Timeframe};

/// One device: its object, and what it has seen.
struct Device {
    object: Object,
    feed: FeedKey,
    seen: Timeframe,
    lamport: u64,
}

impl Device {
    fn new(byte: u8) -> Self {
        let feed = FeedKey([byte; 32]);
        Self { object: Object::empty(), feed, seen: Timeframe::new(), lamport: 0 }
    }

    fn origin(&self) -> Origin {
        Origin {
            feed: self.feed,
            seq: self.seen.length(&self.feed),
            lamport: self.lamport + 1,
            stamp: Stamp::default(),
            effective_at: None,
            past: self.seen.clone().into(),
        }
    }

    fn try_write(
        &mut self,
        mutation: ObjectMutation,
    ) -> Result<(Message, Vec<ObjectChange>), ObjectRejection> {
        let origin = self.origin();
        let mut outcome = Outcome::default();
        let payload = self.object.mutate(mutation, &origin, &mut outcome)?;
        self.note(&origin);
        Ok((Message { origin, payload }, outcome.changes))
    }

    fn write(&mut self, mutation: ObjectMutation) -> Message {
        self.try_write(mutation).unwrap().0
    }

    fn read(&mut self, messages: &[&Message]) -> Outcome<ObjectChange> {
        let batch: Vec<Message> = messages.iter().map(|message| (*message).clone()).collect();
        let mut outcome = Outcome::default();
        self.object.apply(&batch, &mut outcome);
        batch.iter().for_each(|message| self.note(&message.origin));
        outcome
    }

    fn note(&mut self, origin: &Origin) {
        self.seen.extend(origin.past.iter());
        self.seen.advance_to(origin.feed, origin.seq + 1);
        self.lamport = self.lamport.max(origin.lamport);
    }

    fn get(&self, path: impl IntoPath) -> Option<Value> {
        self.object.get(path).cloned()
    }
}

/// Two devices; where they write at once, the second has the higher rank.
fn pair() -> (Device, Device) {
    (Device::new(1), Device::new(2))
}

fn set(path: impl IntoPath, value: impl Into<Value>) -> ObjectMutation {
    ObjectMutation::set(path, value)
}

fn change(
    path: impl IntoPath,
    before: Option<impl Into<Value>>,
    after: Option<impl Into<Value>>,
) -> ObjectChange {
    ObjectChange {
        path: path.into_path().unwrap(),
        before: before.map(Into::into),
        after: after.map(Into::into),
    }
}

const NONE: Option<Value> = None;

#[test]
fn a_later_write_replaces_the_one_it_saw() {
    let (mut ada, mut bob) = pair();
    let first = bob.write(set("title", "one"));
    ada.read(&[&first]);
    let second = ada.write(set("title", "two"));
    bob.read(&[&second]);
    for device in [&ada, &bob] {
        assert_eq!(device.get("title"), Some("two".into()));
        assert!(device.object.conflicts("title").is_empty());
    }
}

#[test]
fn of_concurrent_writes_the_highest_rank_is_read_and_the_others_are_conflicts() {
    let (mut ada, mut bob) = pair();
    let a = ada.write(set("title", "ada's"));
    let b = bob.write(set("title", "bob's"));
    ada.read(&[&b]);
    bob.read(&[&a]);
    for device in [&ada, &bob] {
        assert_eq!(device.get("title"), Some("bob's".into()));
        let conflicts = device.object.conflicts("title");
        assert_eq!(conflicts[0].value, Some(&"bob's".into()));
        assert_eq!(conflicts[1].value, Some(&"ada's".into()));
        assert_eq!((conflicts[1].feed, conflicts[1].seq, conflicts[1].lamport), (ada.feed, 0, 1));
    }

    let settled = ada.write(set("title", "settled"));
    bob.read(&[&settled]);
    assert_eq!(bob.get("title"), Some("settled".into()));
    assert!(bob.object.conflicts("title").is_empty(), "a write that saw all siblings settles them");
}

#[test]
fn a_delete_is_not_null_and_competes_like_a_value() {
    let (mut ada, mut bob) = pair();
    let start = ada.write(set("draft", Value::Null).then_set("title", "old"));
    bob.read(&[&start]);
    assert_eq!(ada.get("draft"), Some(Value::Null));

    let set = ada.write(set("title", "new"));
    let delete = bob.write(ObjectMutation::delete("title").then_delete("draft"));
    ada.read(&[&delete]);
    bob.read(&[&set]);
    for device in [&ada, &bob] {
        assert_eq!(device.get("title"), None, "the delete has the higher rank");
        assert_eq!(device.get("draft"), None);
        let conflicts = device.object.conflicts("title");
        assert_eq!(conflicts[0].value, None);
        assert_eq!(conflicts[1].value, Some(&"new".into()), "the losing value can be read");
        assert!(device.object.is_empty());
    }
}

#[test]
fn a_value_takes_the_place_of_the_fields_its_author_saw() {
    let mut ada = Device::new(1);
    ada.write(set(["profile", "name"], "Ada").then_set(["profile", "age"], 36i64));
    let (_, changes) = ada.try_write(set("profile", "none of your business")).unwrap();
    assert_eq!(
        changes,
        [
            change("profile", NONE, Some("none of your business")),
            change(["profile", "age"], Some(36i64), NONE),
            change(["profile", "name"], Some("Ada"), NONE),
        ]
    );
    assert_eq!(ada.object.len(), 1);
    assert!(ada.object.conflicts(["profile", "name"]).is_empty());
}

#[test]
fn a_value_hides_concurrent_fields_of_lower_rank() {
    let (mut ada, mut bob) = pair();
    let field = ada.write(set(["profile", "name"], "Ada"));
    let value = bob.write(set("profile", 5i64));
    ada.read(&[&value]);
    bob.read(&[&field]);
    for device in [&ada, &bob] {
        assert_eq!(device.get("profile"), Some(5i64.into()));
        assert_eq!(device.get(["profile", "name"]), None);
        assert_eq!(device.object.len(), 1);
        let hidden = device.object.conflicts(["profile", "name"]);
        assert_eq!(hidden[0].value, Some(&"Ada".into()), "the hidden value can be read");
    }
}

#[test]
fn concurrent_fields_of_higher_rank_are_read_instead_of_a_value() {
    let (mut ada, mut bob) = pair();
    let value = ada.write(set("profile", 5i64));
    let field = bob.write(set(["profile", "name"], "Bob"));
    ada.read(&[&field]);
    bob.read(&[&value]);
    for device in [&ada, &bob] {
        assert_eq!(device.get("profile"), None);
        assert_eq!(device.get(["profile", "name"]), Some("Bob".into()));
        assert_eq!(device.object.conflicts("profile")[0].value, Some(&5i64.into()));
    }
    // The value was concurrent to the field, so it is back when the field goes.
    let (_, changes) = ada.try_write(ObjectMutation::delete(["profile", "name"])).unwrap();
    assert_eq!(ada.get("profile"), Some(5i64.into()));
    assert_eq!(changes.len(), 2);
}

#[test]
fn a_delete_hides_concurrent_fields_of_lower_rank() {
    let (mut ada, mut bob) = pair();
    let field = ada.write(set(["profile", "name"], "Ada"));
    let delete = bob.write(ObjectMutation::delete("profile"));
    let outcome = ada.read(&[&delete]);
    assert_eq!(outcome.changes, [change(["profile", "name"], Some("Ada"), NONE)]);
    assert!(bob.read(&[&field]).changes.is_empty());
    assert!(ada.object.is_empty() && bob.object.is_empty());
}

#[test]
fn a_field_replaces_the_value_above_it_for_good() {
    let mut ada = Device::new(1);
    ada.write(set("profile", 5i64));
    let (_, changes) = ada.try_write(set(["profile", "name"], "Ada")).unwrap();
    assert_eq!(
        changes,
        [change("profile", Some(5i64), NONE), change(["profile", "name"], NONE, Some("Ada"))]
    );
    ada.write(ObjectMutation::delete(["profile", "name"]));
    assert_eq!(ada.get("profile"), None, "the value does not come back");
    assert!(ada.object.conflicts("profile").is_empty());
}

#[test]
fn operations_of_one_message_happen_in_their_order_and_the_last_on_a_path_counts() {
    let mut ada = Device::new(1);
    let mutation = set("a", 1i64).then_set("a", 2i64);
    let (_, changes) = ada.try_write(mutation).unwrap();
    assert_eq!(changes, [change("a", NONE, Some(2i64))], "one change for one message");

    ada.write(set(["b", "x"], 1i64).then_set("b", 2i64));
    assert_eq!(ada.object.node("b").unwrap().to_string(), "2");
    ada.write(set("c", 1i64).then_set(["c", "x"], 2i64));
    assert_eq!(ada.object.node("c").unwrap().to_string(), r#"{"x": 2}"#);
    ada.write(set("d", 1i64).then_delete("d"));
    assert_eq!(ada.get("d"), None);
}

#[test]
fn only_visible_changes_are_reported() {
    let (mut ada, mut bob) = pair();
    let a = ada.write(set("title", "same"));
    let b = bob.write(set("title", "same"));
    assert!(ada.read(&[&b]).changes.is_empty(), "the same value from somebody else");
    assert!(bob.read(&[&a]).changes.is_empty(), "a write that loses");
    let (_, changes) = ada.try_write(ObjectMutation::delete("nothing")).unwrap();
    assert!(changes.is_empty());
}

#[test]
fn a_message_delivered_twice_changes_nothing() {
    let (mut ada, mut bob) = pair();
    let first = ada.write(set("title", "one"));
    let second = ada.write(set("title", "two"));
    bob.read(&[&first, &second]);
    let before = bob.object.checkpoint();
    assert!(bob.read(&[&first, &second, &first]).changes.is_empty());
    assert_eq!(bob.object.checkpoint(), before);
}

#[test]
fn a_restored_object_still_knows_what_wins() {
    let (mut ada, mut bob) = pair();
    let low = ada.write(set("title", "low"));
    let high = bob.write(set("title", "high"));
    let mut reader = Device::new(3);
    reader.read(&[&high]);
    reader.object = Object::restore(&reader.object.checkpoint()).unwrap();
    reader.read(&[&low]);
    assert_eq!(reader.get("title"), Some("high".into()));
}

#[test]
fn checkpoints_of_equal_states_have_equal_bytes() {
    let (mut ada, mut bob) = pair();
    let a = ada.write(set("title", "a").then_set(["x", "y"], 1i64));
    let b = bob.write(set("title", "b").then_set("x", 2i64));
    ada.read(&[&b]);
    bob.read(&[&a]);
    assert_eq!(ada.object.checkpoint(), bob.object.checkpoint());
    let restored = Object::restore(&ada.object.checkpoint()).unwrap();
    assert_eq!(restored.checkpoint(), ada.object.checkpoint());
    assert!(restored.entries().eq(ada.object.entries()));
}

#[test]
fn every_kind_of_value_survives_message_and_checkpoint() {
    let reference = ItemReference { party: Some(PartyKey([7; 32])), item: ItemId([8; 20]) };
    let values = [
        Value::Null,
        true.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        f64::from_bits(0x7ff0_dead_beef_0001).into(),
        (-0.0).into(),
        "".into(),
        "ütf 8".into(),
        vec![0u8, 255].into(),
        Value::Timestamp(-1),
        reference.into(),
        ItemId([9; 20]).into(),
    ];
    let mut mutation = ObjectMutation::new();
    for (index, value) in values.iter().enumerate() {
        mutation = mutation.then_set(["values".to_owned(), index.to_string()], value);
    }
    let (mut ada, mut bob) = pair();
    let message = ada.write(mutation);
    bob.read(&[&message]);
    let restored = Object::restore(&bob.object.checkpoint()).unwrap();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(restored.get(["values", &index.to_string()]), Some(value));
    }
    assert_ne!(Value::from(0.0), Value::from(-0.0));
}

#[test]
fn keys_entries_and_maps_show_the_tree() {
    let mut ada = Device::new(1);
    ada.write(set("title", "x").then_set(["a", "b", "c"], 1i64).then_set(["a", "d"], true));
    let object = &ada.object;
    assert_eq!(object.keys(Path::root()), ["a", "title"]);
    assert_eq!(object.keys("a"), ["b", "d"]);
    assert!(object.keys("title").is_empty() && object.keys("missing").is_empty());
    let paths: Vec<String> = object.entries().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, ["a.b.c", "a.d", "title"]);
    let tree = object.node(Path::root()).unwrap().to_string();
    assert_eq!(tree, r#"{"a": {"b": {"c": 1}, "d": true}, "title": "x"}"#);
    assert_eq!(object.map(["a", "b"]).unwrap().len(), 1);
    assert!(object.map("title").is_none() && object.map("missing").is_none());
    assert!(Object::empty().map(Path::root()).unwrap().is_empty());
}

#[test]
fn a_refused_mutation_leaves_the_object_as_it_was() {
    let mut ada = Device::new(1);
    ada.write(set("title", "kept"));
    let before = ada.object.checkpoint();
    let too_many = (0..=OPERATIONS_MAX)
        .fold(ObjectMutation::new(), |mutation, index| mutation.then_set(index.to_string(), true));
    let too_large = VALUE_BYTES_MAX + 1;
    let halves = vec![0u8; MUTATION_BYTES_MAX / 2];
    let cases = [
        (set(Path::root(), 1i64), "the path has no keys"),
        (set("title", 1i64).then_set("", 1i64), "a key is empty"),
        (set("a\0b", 1i64), "a key holds the character NUL"),
        (set("k".repeat(257), 1i64), "a key takes 257 bytes, 256 are allowed"),
        (ObjectMutation::delete(vec!["k"; 17]), "a path has more than 16 keys"),
        (ObjectMutation::new(), "the mutation has no operations"),
        (too_many, "the mutation has 1025 operations, 1024 are allowed"),
        (set("a", vec![0u8; too_large]), "a value takes 974849 bytes, 974848 are allowed"),
        (
            set("a", halves.clone()).then_set("b", halves),
            "the mutation takes 983062 bytes, 983040 are allowed",
        ),
    ];
    for (mutation, reason) in cases {
        assert_eq!(ada.try_write(mutation).unwrap_err().to_string(), reason);
        assert_eq!(ada.object.checkpoint(), before);
    }
    assert_eq!(ada.object.get("a\0b"), None);
}

#[test]
fn a_message_out_of_bounds_is_refused_and_its_position_counts_as_applied() {
    let mut ada = Device::new(1);
    let operation = [0x0a, 5, 0x0a, 1, b'a', 0x10, 1];
    let payloads = [
        (vec![], "the mutation has no operations"),
        (operation.repeat(1025), "the mutation has 1025 operations, 1024 are allowed"),
        (vec![0x0a, 3, 0x0a, 1, b'a'], "an operation of a kind that is not known"),
        (vec![0x0a, 5, 0x0a, 1, 0xff, 0x10, 1], "not UTF-8"),
        (vec![0x0a, 2, 0x10, 1], "the path has no keys"),
        (vec![0x08, 1], "another kind than its number says"),
        (vec![0x0a, 4, 0x0a, 0, 0x10, 1], "a key is empty"),
        ([&[0x0a, 36][..], &[0x0a, 0].repeat(17), &[0x10, 1]].concat(), "more than 16 keys"),
        (vec![0x0a, 7, 0x0a, 1, b'a', 0x52, 2, 0x0a, 0], "item id"),
        (vec![0xff; 20], "not protobuf"),
        (vec![0; MUTATION_BYTES_MAX + 1], "the mutation takes"),
    ];
    for (payload, reason) in payloads {
        let message = Message { origin: ada.origin(), payload: Bytes::from(payload) };
        let outcome = ada.read(&[&message]);
        assert!(outcome.changes.is_empty());
        assert!(outcome.refused[0].1.contains(reason), "{:?} {reason}", outcome.refused);
        assert!(ada.read(&[&message]).refused.is_empty(), "delivered again it is only skipped");
    }
}

#[test]
fn an_object_is_named_and_ordered_as_its_genesis_says() {
    assert_eq!(
        (Object::TYPE, Object::VERSION, Object::ORDER),
        ("systole.object", 1, Order::Causal)
    );
}
