//! Bytes of the Object model: mutations from strangers, and checkpoints.
//!
//! Invariants: counts are checked before memory is reserved; what is decoded passes the same bounds as a
//! local mutation; equal states have equal checkpoints.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use systole_proto::{FeedKey, ItemId, PartyKey};

use super::mutation::{self, MUTATION_BYTES_MAX, OPERATIONS_MAX, Operation, PATH_DEPTH_MAX};
use super::path::Path;
use super::register::{Dot, Register, Sibling};
use super::value::{ItemReference, Value};
use super::{Object, ObjectRejection};
use crate::feeds::Feeds;
use crate::model::CorruptCheckpoint;
use crate::scan;

mod proto {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/systole.object.v1.rs"));
}

use proto::operation::Content;

/// First byte of a checkpoint.
const FORMAT: u8 = 1;

/// The bytes of one message.
pub(super) fn encode(operations: &[Operation]) -> Result<Bytes, ObjectRejection> {
    let operations = operations.iter().map(|o| write(Some(&o.path), o.content.as_ref())).collect();
    let message = proto::Mutation { operations };
    let bytes = message.encoded_len();
    if bytes > MUTATION_BYTES_MAX {
        return Err(ObjectRejection::MutationTooLarge { bytes });
    }
    Ok(message.encode_to_vec().into())
}

/// The operations that a stranger's message asks for, or why every replica ignores it.
pub(super) fn decode(payload: &[u8]) -> Result<Vec<Operation>, String> {
    if payload.len() > MUTATION_BYTES_MAX {
        let rejection = ObjectRejection::MutationTooLarge { bytes: payload.len() };
        return Err(rejection.to_string());
    }
    check_counts(payload)?;
    let message = proto::Mutation::decode(payload).map_err(|error| error.to_string())?;
    let mut operations = Vec::with_capacity(message.operations.len());
    for operation in message.operations {
        let (path, content) = read(operation)?;
        operations.push(Operation { path, content });
    }
    mutation::check(&operations).map_err(|rejection| rejection.to_string())?;
    Ok(operations)
}

/// A repeated field costs two bytes on the wire and much more in memory.
fn check_counts(payload: &[u8]) -> Result<(), String> {
    let mut operations = 0;
    for field in scan::fields(payload) {
        let (number, content) = field?;
        if number == 1 {
            operations += 1;
            if operations > OPERATIONS_MAX {
                return Err(ObjectRejection::TooManyOperations { operations }.to_string());
            }
            let mut keys = 0;
            for field in scan::fields(content) {
                keys += usize::from(field?.0 == 1);
                if keys > PATH_DEPTH_MAX {
                    return Err(ObjectRejection::PathTooDeep.to_string());
                }
            }
        }
    }
    Ok(())
}

fn write(path: Option<&Path>, content: Option<&Value>) -> proto::Operation {
    let path = path.map_or_else(Vec::new, |path| path.keys().map(str::to_owned).collect());
    let content = match content {
        None => Content::Delete(true),
        Some(Value::Null) => Content::Null(true),
        Some(Value::Bool(value)) => Content::Boolean(*value),
        Some(Value::I64(value)) => Content::Integer(*value),
        Some(Value::F64(value)) => Content::FloatBits(value.to_bits()),
        Some(Value::String(text)) => Content::Text(text.clone()),
        Some(Value::Bytes(bytes)) => Content::Binary(bytes.clone()),
        Some(Value::Timestamp(millis)) => Content::TimestampMillis(*millis),
        Some(Value::Reference(reference)) => Content::Reference(proto::Reference {
            item: reference.item.as_bytes().to_vec(),
            party: reference.party.map_or_else(Vec::new, |party| party.as_bytes().to_vec()),
        }),
    };
    proto::Operation { path, content: Some(content) }
}

fn read(operation: proto::Operation) -> Result<(Path, Option<Value>), String> {
    let path = Path::from_keys(operation.path).map_err(|rejection| rejection.to_string())?;
    let content = match operation.content.ok_or("an operation of a kind that is not known")? {
        Content::Delete(_) => None,
        Content::Null(_) => Some(Value::Null),
        Content::Boolean(value) => Some(Value::Bool(value)),
        Content::Integer(value) => Some(Value::I64(value)),
        Content::FloatBits(bits) => Some(Value::F64(f64::from_bits(bits))),
        Content::Text(text) => Some(Value::String(text)),
        Content::Binary(bytes) => Some(Value::Bytes(bytes)),
        Content::TimestampMillis(millis) => Some(Value::Timestamp(millis)),
        Content::Reference(reference) => {
            let item = ItemId::from_bytes(&reference.item).map_err(|error| error.to_string())?;
            let party = if reference.party.is_empty() {
                None
            } else {
                Some(PartyKey::from_bytes(&reference.party).map_err(|error| error.to_string())?)
            };
            Some(ItemReference { party, item }.into())
        }
    };
    Ok((path, content))
}

pub(super) fn checkpoint(object: &Object) -> Vec<u8> {
    let feeds = &object.feeds;
    let mut places = vec![0; feeds.by_key().len()];
    let mut state = proto::State::default();
    for (place, &number) in feeds.by_key().iter().enumerate() {
        places[number as usize] = place as u32;
        let key = feeds.key(number).as_bytes().to_vec();
        state.feeds.push(proto::Feed { key, length: feeds.length(number) });
    }
    for (path, register) in &object.registers {
        for (index, sibling) in register.siblings().iter().enumerate() {
            state.siblings.push(proto::Sibling {
                operation: Some(write((index == 0).then_some(path), sibling.value.as_ref())),
                feed: places[sibling.dot.feed as usize],
                seq: sibling.dot.seq,
                lamport: sibling.dot.lamport,
            });
        }
    }
    let mut bytes = Vec::with_capacity(1 + state.encoded_len());
    bytes.push(FORMAT);
    state.encode(&mut bytes).expect("a Vec grows as far as needed");
    bytes
}

pub(super) fn restore(bytes: &[u8]) -> Result<Object, CorruptCheckpoint> {
    let state = match bytes.split_first() {
        Some((&FORMAT, state)) => state,
        Some((other, _)) => return Err(corrupt(format!("format {other} is not known"))),
        None => return Err(corrupt("nothing there")),
    };
    let state = proto::State::decode(state).map_err(|error| corrupt(error.to_string()))?;
    let feeds = restore_feeds(&state.feeds)?;
    let mut registers = BTreeMap::new();
    let mut content_bytes = 0;
    let mut current: Option<(Path, Register)> = None;
    for sibling in state.siblings {
        let (path, sibling) = restore_sibling(sibling, &feeds)?;
        content_bytes += sibling.memory_bytes();
        if path.is_root() {
            let (_, register) = current.as_mut().ok_or_else(|| corrupt("sibling without path"))?;
            let last = register.siblings().last();
            if !last.is_some_and(|last| last.dot.rank(&sibling.dot, &feeds).is_gt()) {
                return Err(corrupt("siblings do not fall by rank"));
            }
            register.insert(sibling, &feeds);
        } else {
            if current.as_ref().is_some_and(|(last, _)| *last >= path) {
                return Err(corrupt("paths do not rise"));
            }
            content_bytes += path.as_str().len();
            registers.extend(current.replace((path, Register::One(sibling))));
        }
    }
    registers.extend(current);
    Ok(Object { feeds, registers, content_bytes })
}

fn restore_feeds(entries: &[proto::Feed]) -> Result<Feeds, CorruptCheckpoint> {
    let mut feeds = Feeds::default();
    let mut last = None;
    for feed in entries {
        let key = FeedKey::from_bytes(&feed.key).map_err(|error| corrupt(error.to_string()))?;
        if last.replace(key).is_some_and(|last| last >= key) {
            return Err(corrupt("feeds do not rise by key"));
        }
        let seq = feed.length.checked_sub(1).ok_or_else(|| corrupt("a feed without messages"))?;
        feeds.advance(&key, seq);
    }
    Ok(feeds)
}

fn restore_sibling(
    sibling: proto::Sibling,
    feeds: &Feeds,
) -> Result<(Path, Sibling), CorruptCheckpoint> {
    let operation = sibling.operation.ok_or_else(|| corrupt("sibling without content"))?;
    let (path, value) = read(operation).map_err(corrupt)?;
    // Feeds were interned by rising key, so places in the list are numbers.
    let feed = sibling.feed;
    if feed as usize >= feeds.by_key().len() || sibling.seq >= feeds.length(feed) {
        return Err(corrupt("sibling of a message that was not applied"));
    }
    Ok((path, Sibling { value, dot: Dot { lamport: sibling.lamport, seq: sibling.seq, feed } }))
}

fn corrupt(reason: impl Into<String>) -> CorruptCheckpoint {
    CorruptCheckpoint(reason.into())
}
