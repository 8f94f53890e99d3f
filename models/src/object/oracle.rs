//! The rules of the table in [`super`], written as definitions over the set of all operations. Slow and plain: the
//! object is held against it in thousands of histories.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::path::{Path, is_below};
use super::value::Value;
use super::{Object, ObjectMutation, ObjectRejection, wire};
use crate::model::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
use crate::registry::AnyModel;
use crate::testing::ModelCheck;
use crate::unknown::UnknownModel;

struct Write {
    origin: Origin,
    /// Place within its message.
    index: usize,
    path: Path,
    content: Option<Value>,
}

impl Write {
    fn knows(&self, other: &Self) -> bool {
        let (this, that) = (&self.origin, &other.origin);
        if this.feed == that.feed {
            (that.seq, other.index) < (this.seq, self.index)
        } else {
            this.has_seen(&that.feed, that.seq)
        }
    }

    fn is_below(&self, other: &Self) -> bool {
        is_below(self.path.as_str(), other.path.as_str())
    }
}

/// Every path with its visible value, by definition.
fn values(messages: Vec<Message>) -> BTreeMap<Path, Value> {
    let mut writes: Vec<Write> = Vec::new();
    for Message { origin, payload } in messages {
        let operations = wire::decode(&payload);
        let operations = operations.iter().flat_map(|operations| operations.as_slice().to_vec());
        for (index, operation) in operations.enumerate() {
            let (path, content) = (operation.path, operation.content);
            writes.retain(|write| {
                (write.origin.feed, write.origin.seq, &write.path)
                    != (origin.feed, origin.seq, &path)
            });
            writes.push(Write { origin: origin.clone(), index, path, content });
        }
    }
    let replaced = |write: &Write| {
        let above = |other: &&Write| other.path == write.path || write.is_below(other);
        writes.iter().filter(above).any(|other| other.knows(write))
    };
    let alive: Vec<&Write> = writes.iter().filter(|write| !replaced(write)).collect();
    let value = |write: &Write| {
        let below = |other: &&Write| other.content.is_some() && other.is_below(write);
        let overgrown = writes.iter().filter(below).any(|other| other.knows(write));
        write.content.clone().filter(|_| !overgrown)
    };
    let mut winners: BTreeMap<&Path, &Write> = BTreeMap::new();
    for write in alive {
        let winner = winners.entry(&write.path).or_insert(write);
        if write.origin.rank() > winner.origin.rank() {
            *winner = write;
        }
    }
    let hidden = |write: &Write| {
        winners
            .values()
            .any(|other| write.is_below(other) && other.origin.rank() > write.origin.rank())
    };
    let visible: Vec<(&Write, Value)> = winners
        .values()
        .filter(|write| !hidden(write))
        .filter_map(|write| Some((*write, value(write)?)))
        .collect();
    visible
        .iter()
        .filter(|(write, _)| !visible.iter().any(|(other, _)| other.is_below(write)))
        .map(|(write, value)| (write.path.clone(), value.clone()))
        .collect()
}

/// An object, and all messages that made it.
struct Both {
    object: Object,
    messages: UnknownModel,
}

impl Both {
    fn values(&self) -> BTreeMap<Path, Value> {
        let shown = self.object.entries();
        let shown = shown.map(|(path, value)| (path.clone(), value.clone())).collect();
        assert_eq!(
            values(self.messages.clone().into_messages()),
            shown,
            "the definition, the object"
        );
        shown
    }
}

impl Model for Both {
    const TYPE: &'static str = "test.both";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    type Mutation = ObjectMutation;
    type Change = super::ObjectChange;
    type Rejection = ObjectRejection;

    fn empty() -> Self {
        Self { object: Object::empty(), messages: UnknownModel::empty(Self::TYPE, Self::VERSION) }
    }

    fn mutate(
        &mut self,
        mutation: ObjectMutation,
        origin: &Origin,
        outcome: &mut Outcome<Self::Change>,
    ) -> Result<Bytes, ObjectRejection> {
        let payload = self.object.mutate(mutation, origin, outcome)?;
        let message = Message { origin: origin.clone(), payload: payload.clone() };
        self.messages.apply(&[message], true);
        Ok(payload)
    }

    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<Self::Change>) {
        // One by one, so that changes can be held against what changed.
        for message in batch {
            let before = self.values();
            let mut one = Outcome::default();
            let mut unwatched = (self.object.clone(), Outcome::unheard());
            self.object.apply(std::slice::from_ref(message), &mut one);
            self.messages.apply(std::slice::from_ref(message), true);
            unwatched.0.apply(std::slice::from_ref(message), &mut unwatched.1);
            assert_eq!(unwatched.0.checkpoint(), self.object.checkpoint());
            assert!(unwatched.1.changes.is_empty(), "nobody is told");
            let mut told = before;
            for change in &one.changes {
                assert_ne!(change.before, change.after, "a change changes");
                assert_eq!(told.get(&change.path), change.before.as_ref());
                match &change.after {
                    Some(value) => told.insert(change.path.clone(), value.clone()),
                    None => told.remove(&change.path),
                };
            }
            assert_eq!(told, self.values(), "the changes tell the whole difference");
            outcome.changes.extend(one.changes);
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let object = self.object.checkpoint();
        let mut bytes = object.len().to_be_bytes().to_vec();
        bytes.extend(object);
        bytes.extend(self.messages.checkpoint());
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let (length, rest) = bytes.split_at(size_of::<usize>());
        let (object, messages) = rest.split_at(usize::from_be_bytes(length.try_into().unwrap()));
        Ok(Self {
            object: Object::restore(object)?,
            messages: UnknownModel::restore(Self::TYPE, Self::VERSION, messages)?,
        })
    }

    fn memory_bytes(&self) -> usize {
        let counted = self.object.registers.iter().map(|(path, register)| {
            let siblings = register.siblings().iter().map(super::register::Sibling::memory_bytes);
            path.as_str().len() + siblings.sum::<usize>()
        });
        assert_eq!(counted.sum::<usize>(), self.object.content_bytes);
        let nested = self.object.registers.keys().filter(|path| path.is_nested());
        assert_eq!(nested.count(), self.object.nested);
        self.object.memory_bytes()
    }
}

fn mutations() -> impl Strategy<Value = ObjectMutation> {
    let path = proptest::collection::vec("[a-b]", 1..4);
    let operation = (path, proptest::option::weighted(0.7, 0..3i64));
    proptest::collection::vec(operation, 1..4).prop_map(|operations| {
        operations.into_iter().fold(ObjectMutation::new(), |mutation, (path, value)| match value {
            Some(value) => mutation.then_set(path, value),
            None => mutation.then_delete(path),
        })
    })
}

#[test]
fn the_object_reads_as_its_rules_define() {
    let check = ModelCheck::<Both, _, _>::new(mutations(), Both::values);
    let report = check.histories(400).steps_max(30).run().unwrap();
    println!("Object against its definition: {report}");
}
