//! `Ledger`: the application's own model in the soak. It adds up what each hand entered, so that one
//! message too few, too many or twice shows in a number.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use systole::{CorruptCheckpoint, FeedKey, Message, Model, Order, Origin, Outcome};

/// Bytes of an entry's payload: the hand, the value, and filling.
const PAYLOAD_BYTES: usize = 64;
const NUMBERS: usize = size_of::<u64>();

/// What is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hand: u8,
    pub(super) value: u64,
}

impl Entry {
    /// An entry that every reader ignores.
    pub(super) const IGNORED: Self = Self { hand: 254, value: 0 };
    /// An entry at which every reader's model panics.
    pub(super) const POISON: Self = Self { hand: 255, value: 0 };

    fn decode(payload: &[u8]) -> Option<Self> {
        let (hand, rest) = payload.split_first()?;
        let value = u64::from_be_bytes(*rest.first_chunk()?);
        Some(Self { hand: *hand, value })
    }
}

/// What a model says when it reads [`Entry::POISON`].
pub(super) const PANIC: &str = "a reader of the poison panics";

/// How much each hand entered, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    sums: BTreeMap<u8, (u64, u64)>,
    /// What was applied of each feed.
    applied: BTreeMap<FeedKey, u64>,
}

impl Ledger {
    /// Entries of a hand, and their sum.
    pub(super) fn of(&self, hand: u8) -> (u64, u64) {
        self.sums.get(&hand).copied().unwrap_or_default()
    }

    fn enter(&mut self, entry: Entry) {
        if entry.hand == Entry::IGNORED.hand || entry.hand == Entry::POISON.hand {
            return;
        }
        let (entries, sum) = self.sums.entry(entry.hand).or_default();
        *entries += 1;
        *sum = sum.wrapping_add(entry.value);
    }

    /// Whether the message is the first of its kind.
    fn is_next(&mut self, origin: &Origin) -> bool {
        let next = self.applied.entry(origin.feed).or_default();
        let is_next = origin.seq >= *next;
        *next = (*next).max(origin.seq + 1);
        is_next
    }
}

impl Model for Ledger {
    const TYPE: &'static str = "soak.ledger";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Commutative;
    type Mutation = Entry;
    type Change = Entry;
    type Rejection = Infallible;

    fn empty() -> Self {
        Self::default()
    }

    fn mutate(
        &mut self,
        entry: Entry,
        origin: &Origin,
        outcome: &mut Outcome<Entry>,
    ) -> Result<Bytes, Infallible> {
        self.is_next(origin);
        self.enter(entry);
        outcome.changed(entry);
        let mut payload = vec![entry.hand; PAYLOAD_BYTES];
        payload[1..=NUMBERS].copy_from_slice(&entry.value.to_be_bytes());
        Ok(payload.into())
    }

    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<Entry>) {
        for (index, message) in batch.iter().enumerate() {
            match Entry::decode(&message.payload) {
                _ if !self.is_next(&message.origin) => {}
                Some(entry) if entry == Entry::IGNORED => outcome.refuse(index, "to be ignored"),
                Some(entry) => {
                    assert!(entry != Entry::POISON, "{PANIC}");
                    self.enter(entry);
                    outcome.changed(entry);
                }
                None => outcome.refuse(index, "no entry"),
            }
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = vec![self.sums.len() as u8];
        for (hand, (entries, sum)) in &self.sums {
            bytes.push(*hand);
            bytes.extend_from_slice(&entries.to_be_bytes());
            bytes.extend_from_slice(&sum.to_be_bytes());
        }
        for (feed, next) in &self.applied {
            bytes.extend_from_slice(feed.as_bytes());
            bytes.extend_from_slice(&next.to_be_bytes());
        }
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let cut_off = || CorruptCheckpoint("cut off".to_owned());
        let (hands, mut rest) = bytes.split_first().ok_or_else(cut_off)?;
        let mut ledger = Self::default();
        for _ in 0..*hands {
            let (record, tail) = rest.split_first_chunk::<17>().ok_or_else(cut_off)?;
            let number = |at: usize| record[at..at + NUMBERS].try_into().map(u64::from_be_bytes);
            let entered = number(1).and_then(|entries| Ok((entries, number(9)?)));
            ledger.sums.insert(record[0], entered.map_err(|_| cut_off())?);
            rest = tail;
        }
        while !rest.is_empty() {
            let (record, tail) = rest.split_first_chunk::<40>().ok_or_else(cut_off)?;
            let feed = FeedKey::from_bytes(&record[..32]).map_err(|_| cut_off())?;
            let next = record[32..].try_into().map(u64::from_be_bytes).map_err(|_| cut_off())?;
            ledger.applied.insert(feed, next);
            rest = tail;
        }
        Ok(ledger)
    }

    fn memory_bytes(&self) -> usize {
        256 + 32 * self.sums.len() + 64 * self.applied.len()
    }
}
