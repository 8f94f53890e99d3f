//! Bytes of the Object model: mutations from strangers, and checkpoints.
//!
//! Invariants: counts are checked before memory is reserved; what is decoded passes the same bounds as a
//! local mutation; equal states have equal checkpoints.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use systole_proto::{FeedKey, ItemId, PartyKey};

use super::mutation::{
    self, MUTATION_BYTES_MAX, OPERATIONS_MAX, Operation, Operations, PATH_DEPTH_MAX,
};
use super::path::Path;
use super::register::{Dot, Register, Sibling};
use super::value::{ItemReference, Value};
use super::{Object, ObjectRejection};
use crate::feeds::Feeds;
use crate::model::CorruptCheckpoint;
use crate::scan::{self, Content as Field};

mod proto {
    // What a message holds is read and written field by field; the types say what that must equal.
    #![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/systole.object.v1.rs"));
}

/// First byte of a checkpoint.
const FORMAT: u8 = 1;

/// The bytes of one message.
pub(super) fn encode(operations: &[Operation]) -> Result<Bytes, ObjectRejection> {
    let length =
        |operation: &Operation| operation_bytes(Some(&operation.path), operation.content.as_ref());
    let bytes = operations.iter().map(|operation| field_bytes(length(operation))).sum();
    if bytes > MUTATION_BYTES_MAX {
        return Err(ObjectRejection::MutationTooLarge { bytes });
    }
    let mut out = Vec::with_capacity(bytes);
    for operation in operations {
        put_length(1, length(operation), &mut out);
        put_operation(Some(&operation.path), operation.content.as_ref(), &mut out);
    }
    Ok(out.into())
}

/// The operations that a stranger's message asks for, or why every replica ignores it. Read field by field: it
/// happens for every message, and a field of two bytes must not cost a hundred of memory before it is counted.
pub(super) fn decode(payload: &[u8]) -> Result<Operations, String> {
    if payload.len() > MUTATION_BYTES_MAX {
        let rejection = ObjectRejection::MutationTooLarge { bytes: payload.len() };
        return Err(rejection.to_string());
    }
    let mut first = None;
    let mut operations = Vec::new();
    for field in scan::fields(payload) {
        match field? {
            (1, Field::Bytes(operation)) => {
                if operations.len() == OPERATIONS_MAX {
                    let operations = OPERATIONS_MAX + 1;
                    return Err(ObjectRejection::TooManyOperations { operations }.to_string());
                }
                let (path, content) = read(operation)?;
                let operation = Operation { path, content };
                if operations.is_empty() && first.is_none() {
                    first = Some(operation);
                } else {
                    operations.extend(first.take());
                    operations.push(operation);
                }
            }
            (1, _) => return Err(WRONG_KIND.to_owned()),
            _ => {}
        }
    }
    let operations = first.map_or(Operations::Many(operations), Operations::One);
    mutation::check(operations.as_slice()).map_err(|rejection| rejection.to_string())?;
    Ok(operations)
}

/// Path and content of an `Operation`. As in protobuf, the last content counts, references that follow each other
/// are one, and unknown fields are ignored.
fn read(operation: &[u8]) -> Result<(Path, Option<Value>), String> {
    let mut keys = [""; PATH_DEPTH_MAX];
    let mut depth = 0;
    let mut content = None;
    let mut reference = None;
    for field in scan::fields(operation) {
        let value = match field? {
            (1, Field::Bytes(key)) => {
                let place = keys.get_mut(depth).ok_or(ObjectRejection::PathTooDeep);
                *place.map_err(|rejection| rejection.to_string())? = text(key)?;
                depth += 1;
                continue;
            }
            (10, Field::Bytes(parts)) => {
                reference = Some(read_reference(parts, reference.unwrap_or_default())?);
                continue;
            }
            (2, Field::Varint(_)) => None,
            (3, Field::Varint(_)) => Some(Value::Null),
            (4, Field::Varint(value)) => Some(Value::Bool(value != 0)),
            (5, Field::Varint(value)) => Some(Value::I64(unzigzag(value))),
            (6, Field::Fixed64(bits)) => Some(Value::F64(f64::from_bits(bits))),
            (7, Field::Bytes(content)) => Some(Value::String(text(content)?.to_owned())),
            (8, Field::Bytes(content)) => Some(Value::Bytes(content.to_vec())),
            (9, Field::Varint(millis)) => Some(Value::Timestamp(unzigzag(millis))),
            (1..=10, _) => return Err(WRONG_KIND.to_owned()),
            _ => continue,
        };
        content = Some(value);
        reference = None;
    }
    if let Some(parts) = reference {
        content = Some(Some(parts.value()?));
    }
    let path = Path::join(&keys[..depth]).map_err(|rejection| rejection.to_string())?;
    Ok((path, content.ok_or("an operation of a kind that is not known")?))
}

/// The fields of a `Reference`, not checked yet.
#[derive(Clone, Copy, Default)]
struct ReferenceParts<'a> {
    item: &'a [u8],
    party: &'a [u8],
}

fn read_reference<'a>(
    bytes: &'a [u8],
    mut parts: ReferenceParts<'a>,
) -> Result<ReferenceParts<'a>, String> {
    for field in scan::fields(bytes) {
        match field? {
            (1, Field::Bytes(item)) => parts.item = item,
            (2, Field::Bytes(party)) => parts.party = party,
            (1 | 2, _) => return Err(WRONG_KIND.to_owned()),
            _ => {}
        }
    }
    Ok(parts)
}

impl ReferenceParts<'_> {
    fn value(self) -> Result<Value, String> {
        let item = ItemId::from_bytes(self.item).map_err(|error| error.to_string())?;
        let party = match self.party {
            [] => None,
            bytes => Some(PartyKey::from_bytes(bytes).map_err(|error| error.to_string())?),
        };
        Ok(ItemReference { party, item }.into())
    }
}

const WRONG_KIND: &str = "a field of another kind than its number says";

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes of an `Operation`, which [`put_operation`] writes: straight from the values, for it happens for every
/// message.
fn operation_bytes(path: Option<&Path>, content: Option<&Value>) -> usize {
    let keys = path.into_iter().flat_map(Path::keys);
    let content = match content {
        None | Some(Value::Null | Value::Bool(_)) => 2,
        Some(Value::I64(value) | Value::Timestamp(value)) => 1 + encoded_len_varint(zigzag(*value)),
        Some(Value::F64(_)) => 9,
        Some(Value::String(text)) => field_bytes(text.len()),
        Some(Value::Bytes(bytes)) => field_bytes(bytes.len()),
        Some(Value::Reference(reference)) => field_bytes(reference_bytes(reference)),
    };
    keys.map(|key| field_bytes(key.len())).sum::<usize>() + content
}

fn put_operation(path: Option<&Path>, content: Option<&Value>, out: &mut Vec<u8>) {
    for key in path.into_iter().flat_map(Path::keys) {
        put_bytes(1, key.as_bytes(), out);
    }
    match content {
        None => put_varint(2, 1, out),
        Some(Value::Null) => put_varint(3, 1, out),
        Some(Value::Bool(value)) => put_varint(4, (*value).into(), out),
        Some(Value::I64(value)) => put_varint(5, zigzag(*value), out),
        Some(Value::F64(value)) => {
            encode_key(6, WireType::SixtyFourBit, out);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Some(Value::String(text)) => put_bytes(7, text.as_bytes(), out),
        Some(Value::Bytes(bytes)) => put_bytes(8, bytes, out),
        Some(Value::Timestamp(millis)) => put_varint(9, zigzag(*millis), out),
        Some(Value::Reference(reference)) => {
            put_length(10, reference_bytes(reference), out);
            put_bytes(1, reference.item.as_bytes(), out);
            if let Some(party) = &reference.party {
                put_bytes(2, party.as_bytes(), out);
            }
        }
    }
}

fn reference_bytes(reference: &ItemReference) -> usize {
    let party = reference.party.as_ref().map_or(0, |party| field_bytes(party.as_bytes().len()));
    field_bytes(reference.item.as_bytes().len()) + party
}

/// Bytes of a field with a length: all numbers of such fields take a byte.
fn field_bytes(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

fn put_length(field: u32, bytes: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes as u64, out);
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_length(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_varint(field: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    encode_varint(value, out);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
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
            let (path, value) = ((index == 0).then_some(path), sibling.value.as_ref());
            let mut operation = Vec::with_capacity(operation_bytes(path, value));
            put_operation(path, value, &mut operation);
            state.siblings.push(proto::Sibling {
                operation,
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
    let nested = registers.keys().filter(|path| path.is_nested()).count();
    Ok(Object { feeds, registers, nested, content_bytes })
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
    let (path, value) = read(&sibling.operation).map_err(corrupt)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::proto::operation::Content;
    use super::*;

    const CASES: u32 = 20_000;

    /// What a protobuf library makes of the same bytes.
    fn decode_by_library(payload: &[u8]) -> Option<Vec<(Vec<String>, Content)>> {
        let mutation = proto::Mutation::decode(payload).ok()?;
        let operations = mutation.operations.into_iter();
        operations.map(|operation| Some((operation.path, operation.content?))).collect()
    }

    fn contents() -> impl Strategy<Value = Content> {
        let item = prop_oneof![3 => Just(vec![1; 20]), 1 => Just(Vec::new())];
        let party = prop_oneof![Just(vec![2; 32]), Just(Vec::new())];
        let reference = (item, party)
            .prop_map(|(item, party)| Content::Reference(proto::Reference { item, party }));
        let other = prop_oneof![
            any::<bool>().prop_map(Content::Delete),
            any::<bool>().prop_map(Content::Null),
            any::<bool>().prop_map(Content::Boolean),
            any::<i64>().prop_map(Content::Integer),
            any::<u64>().prop_map(Content::FloatBits),
            ".{0,3}".prop_map(Content::Text),
            proptest::collection::vec(any::<u8>(), 0..3).prop_map(Content::Binary),
            any::<i64>().prop_map(Content::TimestampMillis),
        ];
        prop_oneof![2 => other, 1 => reference]
    }

    /// Operations with one to three contents, as no object writes them, and some bytes replaced.
    fn bytes_of_operations() -> impl Strategy<Value = Vec<u8>> {
        let path = proptest::collection::vec("[a-c]{1,2}", 1..3);
        let contents = proptest::collection::vec(contents(), 1..4);
        let operation = (path, contents).prop_map(|(path, contents)| {
            let mut bytes = proto::Operation { path, content: None }.encode_to_vec();
            for content in contents {
                let one = proto::Operation { path: Vec::new(), content: Some(content) };
                bytes.extend(one.encode_to_vec());
            }
            bytes
        });
        let operations = proptest::collection::vec(operation, 1..4);
        let edits = proptest::collection::vec(any::<(usize, u8)>(), 0..3);
        (operations, edits).prop_map(|(operations, edits)| {
            let mut bytes = Vec::new();
            for operation in operations {
                bytes.push(0x0a);
                prost::encode_length_delimiter(operation.len(), &mut bytes).expect("it grows");
                bytes.extend(operation);
            }
            let length = bytes.len();
            edits.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn bytes_are_read_as_a_protobuf_library_reads_them(bytes in bytes_of_operations()) {
            let Ok(operations) = decode(&bytes) else { return Ok(()) };
            let operations = operations.as_slice();
            let by_library = decode_by_library(&bytes);
            prop_assert!(by_library.is_some(), "what is read here is protobuf");
            let by_library = by_library.unwrap_or_default();
            prop_assert_eq!(by_library.len(), operations.len());
            for ((path, _), operation) in by_library.iter().zip(operations) {
                prop_assert!(operation.path.keys().eq(path.iter().map(String::as_str)));
            }
            let written = by_library.into_iter().map(|(path, content)| {
                // The flags of these two say nothing.
                let content = Some(match content {
                    Content::Delete(_) => Content::Delete(true),
                    Content::Null(_) => Content::Null(true),
                    content => content,
                });
                proto::Operation { path, content }
            });
            let written = proto::Mutation { operations: written.collect() }.encode_to_vec();
            prop_assert_eq!(encode(operations), Ok(written.into()));
        }

        #[test]
        fn what_was_written_is_read(bytes in bytes_of_operations()) {
            if let Ok(operations) = decode(&bytes) {
                let operations = operations.as_slice();
                let again = encode(operations).map(|bytes| decode(&bytes));
                let same = |again: Operations| again.as_slice() == operations;
                prop_assert!(again.is_ok_and(|again| again.is_ok_and(same)));
            }
        }
    }
}
