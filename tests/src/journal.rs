//! `Journal`: the smallest model that shows every message, in an order that is the same everywhere.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use systole::{CorruptCheckpoint, FeedKey, Message, Model, Order, Origin, Outcome};

/// Lines that anybody adds. Some words have an effect: [`Journal::REFUSED`] is refused to its author,
/// [`Journal::IGNORED`] by every reader, [`Journal::PANICS`] makes every reader's model panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    lines: BTreeMap<(u64, FeedKey, u64), Bytes>,
}

impl Journal {
    /// A line that cannot be written.
    pub const REFUSED: &str = "refused";
    /// A line that its author can write and every reader ignores.
    pub const IGNORED: &str = "ignored";
    /// A line at which readers panic.
    pub const PANICS: &str = "panics";

    /// The lines, in the order of Lamport number, feed and position.
    pub fn lines(&self) -> Vec<String> {
        self.lines.values().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    fn add(&mut self, origin: &Origin, line: Bytes) {
        self.lines.insert((origin.lamport, origin.feed, origin.seq), line);
    }
}

/// A [`Journal`] does not take this line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line {:?} cannot be written", self.0)
    }
}

impl std::error::Error for Refused {}

impl Model for Journal {
    const TYPE: &'static str = "test.journal";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    type Mutation = String;
    type Change = String;
    type Rejection = Refused;

    fn empty() -> Self {
        Self::default()
    }

    fn mutate(
        &mut self,
        line: String,
        origin: &Origin,
        outcome: &mut Outcome<String>,
    ) -> Result<Bytes, Refused> {
        if line == Self::REFUSED {
            return Err(Refused(line));
        }
        outcome.changed(line.clone());
        let payload = Bytes::from(line);
        self.add(origin, payload.clone());
        Ok(payload)
    }

    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<String>) {
        for (index, message) in batch.iter().enumerate() {
            let line = String::from_utf8_lossy(&message.payload).into_owned();
            assert_ne!(line, Self::PANICS, "a reader of the word panics");
            if line == Self::IGNORED {
                outcome.refuse(index, "the word is ignored");
                continue;
            }
            self.add(&message.origin, message.payload.clone());
            outcome.changed(line);
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for ((lamport, feed, seq), line) in &self.lines {
            bytes.extend_from_slice(&lamport.to_be_bytes());
            bytes.extend_from_slice(feed.as_bytes());
            bytes.extend_from_slice(&seq.to_be_bytes());
            bytes.extend_from_slice(&(line.len() as u64).to_be_bytes());
            bytes.extend_from_slice(line);
        }
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let cut_off = || CorruptCheckpoint("cut off".to_owned());
        let mut journal = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (head, tail) = rest.split_first_chunk::<56>().ok_or_else(cut_off)?;
            let number = |at: usize| {
                u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes are a number"))
            };
            let feed = FeedKey::from_bytes(&head[8..40]).map_err(|_| cut_off())?;
            let length = usize::try_from(number(48)).map_err(|_| cut_off())?;
            let line = tail.get(..length).ok_or_else(cut_off)?;
            journal.lines.insert((number(0), feed, number(40)), Bytes::copy_from_slice(line));
            rest = &tail[length..];
        }
        Ok(journal)
    }

    fn memory_bytes(&self) -> usize {
        self.lines.values().map(|line| line.len() + 128).sum()
    }
}
