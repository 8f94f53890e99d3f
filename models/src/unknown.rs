//! `UnknownModel`: an item whose model type nobody registered keeps its messages as they came.
//!
//! Invariants: every message is held once, with its origin and past; the checkpoint holds them all, so that
//! the item comes to life with its whole history when the type is registered.

use std::any::Any;
use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;
use systole_proto::{FeedKey, Stamp, Timeframe};

use crate::feeds::Feeds;
use crate::model::{CorruptCheckpoint, Message, Order, Origin};
use crate::registry::{AnyModel, AnyOutcome, MutateError};

mod wire {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/systole.unknown.v1.rs"));
}

const FORMAT: u8 = 1;

/// The messages of an item whose model type is not registered. It can be read and checkpointed, not changed.
#[derive(Clone, Debug)]
pub struct UnknownModel {
    type_name: String,
    version: u32,
    feeds: Feeds,
    messages: Vec<Message>,
}

impl UnknownModel {
    /// An item of type `type_name` and `version` before any message.
    pub fn empty(type_name: impl Into<String>, version: u32) -> Self {
        let type_name = type_name.into();
        Self { type_name, version, feeds: Feeds::default(), messages: Vec::new() }
    }

    /// The item that `bytes` from [`AnyModel::checkpoint`] describe.
    pub fn restore(
        type_name: impl Into<String>,
        version: u32,
        bytes: &[u8],
    ) -> Result<Self, CorruptCheckpoint> {
        let mut model = Self::empty(type_name, version);
        let (state, keys) = decode(bytes)?;
        for message in state.messages {
            let message = read(message, &keys)?;
            let Origin { feed, seq, .. } = &message.origin;
            if model.feeds.advance(feed, *seq).is_none() {
                return Err(corrupt(format!("message {seq} of feed {feed} is out of order")));
            }
            model.messages.push(message);
        }
        Ok(model)
    }

    /// Every message in a causal order that is the same on every replica: (Lamport, feed key, seq). This is
    /// what brings the item to life once its type is registered.
    pub fn into_messages(mut self) -> Vec<Message> {
        self.messages.sort_unstable_by_key(order);
        self.messages
    }

    /// Number of messages held.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message is held.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl AnyModel for UnknownModel {
    fn apply(&mut self, batch: &[Message], _heard: bool) -> AnyOutcome {
        for message in batch {
            if self.feeds.advance(&message.origin.feed, message.origin.seq).is_some() {
                // A slice would keep the whole range alive that the message came in, and its past what
                // the party knows of all feeds.
                let payload = Bytes::copy_from_slice(&message.payload);
                let origin = Origin { past: message.origin.past.detached(), ..message.origin };
                self.messages.push(Message { origin, payload });
            }
        }
        AnyOutcome { changes: None, refused: Vec::new() }
    }

    fn mutate(
        &mut self,
        _mutation: Box<dyn Any + Send>,
        _origin: &Origin,
        _heard: bool,
    ) -> Result<(Bytes, AnyOutcome), MutateError> {
        Err(MutateError::Unregistered)
    }

    fn digest(&self) -> Vec<u8> {
        self.checkpoint()
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut keys: BTreeSet<FeedKey> =
            self.messages.iter().map(|message| message.origin.feed).collect();
        for message in &self.messages {
            keys.extend(message.origin.past.iter().map(|(feed, _)| feed));
        }
        let keys: Vec<FeedKey> = keys.into_iter().collect();
        let mut sorted: Vec<&Message> = self.messages.iter().collect();
        sorted.sort_unstable_by_key(|message| order(message));
        let state = wire::Messages {
            feeds: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
            messages: sorted.into_iter().map(|message| write(message, &keys)).collect(),
        };
        let mut bytes = Vec::with_capacity(1 + state.encoded_len());
        bytes.push(FORMAT);
        state.encode(&mut bytes).expect("a Vec grows as far as needed");
        bytes
    }

    fn memory_bytes(&self) -> usize {
        let heap = |message: &Message| {
            message.payload.len() + message.origin.past.iter().count() * size_of::<(FeedKey, u64)>()
        };
        size_of::<Self>()
            + self.type_name.len()
            + self.feeds.heap_bytes()
            + self.messages.capacity() * size_of::<Message>()
            + self.messages.iter().map(heap).sum::<usize>()
    }

    fn order(&self) -> Order {
        Order::Causal
    }

    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn order(message: &Message) -> (u64, FeedKey, u64) {
    (message.origin.lamport, message.origin.feed, message.origin.seq)
}

fn write(message: &Message, keys: &[FeedKey]) -> wire::Message {
    let index = |feed: &FeedKey| keys.binary_search(feed).expect("every feed was collected") as u32;
    let origin = &message.origin;
    wire::Message {
        feed: index(&origin.feed),
        seq: origin.seq,
        lamport: origin.lamport,
        stamp_millis: origin.stamp.millis,
        stamp_logical: origin.stamp.logical.into(),
        effective_at: origin.effective_at,
        past: origin.past.iter().flat_map(|(feed, length)| [index(&feed).into(), length]).collect(),
        payload: message.payload.clone(),
    }
}

fn decode(bytes: &[u8]) -> Result<(wire::Messages, Vec<FeedKey>), CorruptCheckpoint> {
    let state = match bytes.split_first() {
        Some((&FORMAT, state)) => state,
        Some((other, _)) => return Err(corrupt(format!("format {other} is not known"))),
        None => return Err(corrupt("nothing there")),
    };
    let state = wire::Messages::decode(state).map_err(|error| corrupt(error.to_string()))?;
    let keys = state.feeds.iter().map(|key| FeedKey::from_bytes(key));
    let keys: Vec<FeedKey> =
        keys.collect::<Result<_, _>>().map_err(|error| corrupt(error.to_string()))?;
    Ok((state, keys))
}

fn read(message: wire::Message, keys: &[FeedKey]) -> Result<Message, CorruptCheckpoint> {
    let key = |index: u64| {
        let key = usize::try_from(index).ok().and_then(|index| keys.get(index));
        key.copied().ok_or_else(|| corrupt("unknown feed index"))
    };
    let mut past = Timeframe::new();
    let (pairs, rest) = message.past.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(corrupt("a past ends in a feed without length"));
    }
    for &[feed, length] in pairs {
        past.advance_to(key(feed)?, length);
    }
    let logical =
        u16::try_from(message.stamp_logical).map_err(|_| corrupt("stamp out of range"))?;
    let origin = Origin {
        feed: key(message.feed.into())?,
        seq: message.seq,
        lamport: message.lamport,
        stamp: Stamp { millis: message.stamp_millis, logical },
        effective_at: message.effective_at,
        past: past.into(),
    };
    Ok(Message { origin, payload: message.payload })
}

fn corrupt(reason: impl Into<String>) -> CorruptCheckpoint {
    CorruptCheckpoint(reason.into())
}
