//! The workload: registers of text that several feeds write to, the same bytes in every system.
//!
//! Invariants:
//! - message `i` is a function of the seed and the sizes, here and in `node/workload.js` alike; both
//!   sides have a test with the same hash;
//! - an item is written by one feed only, so the order within feeds decides every register, whatever
//!   rule a system has between feeds;
//! - [`BATCH`] consecutive messages belong to one feed, so that single and batched appends write the
//!   same feeds.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::Failure;

/// Messages of one batch, and of one feed in a row.
pub const BATCH: usize = 256;
/// Registers of every item.
pub const FIELDS: u32 = 16;
/// Bytes of an encoded message before its value: item and field.
pub const HEADER_BYTES: usize = 8;
/// What values are made of: five bits a character.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// One write to one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which feed writes it.
    pub feed: usize,
    /// The item.
    pub item: u32,
    /// The item's register.
    pub field: u32,
    /// What the register holds from then on.
    pub value: String,
}

impl Message {
    /// As bytes, for systems whose messages are bytes: item, field (both little-endian), value.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.value.len());
        bytes.extend(self.item.to_le_bytes());
        bytes.extend(self.field.to_le_bytes());
        bytes.extend(self.value.as_bytes());
        bytes
    }

    /// Item, field and value of an encoded message.
    pub fn decode(bytes: &[u8]) -> Result<(u32, u32, &str), Failure> {
        let (header, value) = bytes.split_at_checked(HEADER_BYTES).ok_or("a message is short")?;
        let (item, field) = header.split_at(4);
        let item = u32::from_le_bytes(item.try_into()?);
        Ok((item, u32::from_le_bytes(field.try_into()?), std::str::from_utf8(value)?))
    }
}

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Messages in all.
    pub messages: usize,
    /// Feeds that write by turns.
    pub feeds: usize,
    /// Items; a multiple of the feeds.
    pub items: usize,
    /// Bytes of an encoded message.
    pub payload: usize,
    /// What everything random follows from.
    pub seed: u32,
}

impl Workload {
    /// All messages, in the order in which they are written.
    pub fn messages(&self) -> Vec<Message> {
        let mut random = Random(self.seed);
        let items_per_feed = (self.items / self.feeds) as u32;
        (0..self.messages)
            .map(|index| {
                let feed = index / BATCH % self.feeds;
                let item = random.next() % items_per_feed * self.feeds as u32 + feed as u32;
                let field = random.next() % FIELDS;
                Message { feed, item, field, value: random.text(self.payload - HEADER_BYTES) }
            })
            .collect()
    }

    /// What every register holds in the end.
    pub fn state(&self) -> State {
        let mut state = State::default();
        for message in self.messages() {
            state.set(message.item, message.field, message.value);
        }
        state
    }
}

/// SplitMix with 32 bits: the one that JavaScript computes fast as well.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x21f0_aaad);
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x735a_2d97);
        mixed ^ (mixed >> 15)
    }

    /// Six characters from every number.
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes);
        let mut bits = 0;
        for at in 0..bytes {
            if at % 6 == 0 {
                bits = self.next();
            }
            text.push(char::from(LETTERS[(bits & 31) as usize]));
            bits >>= 5;
        }
        text
    }
}

/// What every register holds: the application's own map, for systems that leave the state to it.
#[derive(Debug, Default)]
pub struct State(HashMap<(u32, u32), String>);

impl State {
    /// The last write wins.
    pub fn set(&mut self, item: u32, field: u32, value: String) {
        self.0.insert((item, field), value);
    }

    /// Applies an encoded message.
    pub fn apply(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let (item, field, value) = Message::decode(bytes)?;
        self.set(item, field, value.to_owned());
        Ok(())
    }

    /// Whether a register holds exactly this.
    pub fn holds(&self, message: &Message) -> bool {
        self.0.get(&(message.item, message.field)) == Some(&message.value)
    }

    /// SHA-256 over all registers that were written, encoded as messages, in order of item and field.
    pub fn hash(&self) -> String {
        let mut registers: Vec<_> = self.0.iter().collect();
        registers.sort();
        let mut hash = Sha256::new();
        for ((item, field), value) in registers {
            hash.update(item.to_le_bytes());
            hash.update(field.to_le_bytes());
            hash.update(value.as_bytes());
        }
        hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Workload =
        Workload { messages: 3_000, feeds: 8, items: 40, payload: 128, seed: 1 };

    #[test]
    fn the_bytes_and_the_state_are_those_that_node_makes() {
        let (mut bytes, mut state) = (Sha256::new(), State::default());
        for message in SMALL.messages() {
            bytes.update(message.encode());
            state.apply(&message.encode()).unwrap();
        }
        let golden = include_str!("../../golden.txt");
        let bytes: String = bytes.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("messages {bytes}\nstate {}\n", state.hash()), golden);
    }

    #[test]
    fn an_item_has_one_writer() {
        for message in SMALL.messages() {
            assert_eq!(message.item as usize % SMALL.feeds, message.feed);
            assert!((message.item as usize) < SMALL.items && message.field < FIELDS);
            assert_eq!(message.encode().len(), SMALL.payload);
        }
    }

    #[test]
    fn a_batch_is_of_one_feed() {
        let messages = SMALL.messages();
        for batch in messages.chunks(BATCH) {
            assert!(batch.iter().all(|message| message.feed == batch[0].feed));
        }
    }

    #[test]
    fn another_value_gives_another_hash() {
        let (mut one, mut other) = (State::default(), State::default());
        one.set(1, 2, "a".into());
        other.set(1, 2, "b".into());
        assert_ne!(one.hash(), other.hash());
    }
}
