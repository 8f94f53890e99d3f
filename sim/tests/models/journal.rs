//! A journal: lines in an order that is the same everywhere. As parameters, the bugs that people write
//! into such a model.

use std::collections::BTreeMap;

use bytes::Bytes;
use systole::{CorruptCheckpoint, FeedKey, Message, Model, Order, Origin, Outcome};
use systole_sim::Random;

/// Where a line stands.
type Place = (u64, FeedKey, u64);

/// Nothing is wrong.
pub(crate) const SOUND: u8 = 0;
/// A checkpoint holds the lines and not where they stand.
pub(crate) const FORGETS_STAMPS: u8 = 1;
/// Lines of one Lamport number stand in the order of a hash map.
pub(crate) const TIES_BY_HASH: u8 = 2;
/// A line starts with the time at which it was applied.
pub(crate) const READS_THE_CLOCK: u8 = 3;
/// A line makes readers panic.
pub(crate) const PANICS: u8 = 4;

/// Lines that anybody adds.
pub(crate) struct Journal<const BUG: u8> {
    lines: BTreeMap<Place, Bytes>,
}

/// What users do: they add a word.
pub(crate) fn users<const BUG: u8>(random: &mut Random, journal: &Journal<BUG>) -> Option<String> {
    let number = random.below(1_000);
    if BUG == PANICS && number < 150 {
        return Some("panic".to_owned());
    }
    Some(format!("line {number} after {}", journal.lines.len()))
}

#[derive(Debug)]
pub(crate) struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no line is refused")
    }
}

impl std::error::Error for Never {}

impl<const BUG: u8> Journal<BUG> {
    /// The lines in their order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.values().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    #[allow(clippy::disallowed_methods, reason = "one of the bugs is a clock")]
    fn add(&mut self, origin: &Origin, line: &Bytes) {
        let place = (origin.lamport, origin.feed, origin.seq);
        let line = match BUG {
            READS_THE_CLOCK => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let nanos = now.map_or(0, |now| now.as_nanos());
                Bytes::from(format!("{nanos} {}", String::from_utf8_lossy(line)))
            }
            _ => line.clone(),
        };
        self.lines.entry(place).or_insert(line);
    }

    #[allow(clippy::disallowed_types, reason = "one of the bugs is a hash map")]
    fn ordered(&self) -> Vec<(Place, Bytes)> {
        if BUG != TIES_BY_HASH {
            return self.lines.iter().map(|(place, line)| (*place, line.clone())).collect();
        }
        let lines: std::collections::HashMap<Place, Bytes> =
            self.lines.iter().map(|(place, line)| (*place, line.clone())).collect();
        let mut lines: Vec<_> = lines.into_iter().collect();
        // Stable: lines of one number stay as the map gave them.
        lines.sort_by_key(|(place, _)| place.0);
        lines
    }
}

impl<const BUG: u8> Model for Journal<BUG> {
    const TYPE: &'static str = "test.journal";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    type Mutation = String;
    type Change = String;
    type Rejection = Never;

    fn empty() -> Self {
        Self { lines: BTreeMap::new() }
    }

    fn mutate(
        &mut self,
        line: String,
        origin: &Origin,
        outcome: &mut Outcome<String>,
    ) -> Result<Bytes, Never> {
        let payload = Bytes::from(line.clone());
        self.add(origin, &payload);
        outcome.changed(line);
        Ok(payload)
    }

    fn apply(&mut self, batch: &[Message], _: &mut Outcome<String>) {
        for message in batch {
            assert!(BUG != PANICS || message.payload != "panic", "a reader panics");
            self.add(&message.origin, &message.payload);
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, ((lamport, feed, seq), line)) in (1..).zip(self.ordered()) {
            let lamport = if BUG == FORGETS_STAMPS { number } else { lamport };
            bytes.extend_from_slice(&lamport.to_be_bytes());
            bytes.extend_from_slice(feed.as_bytes());
            bytes.extend_from_slice(&seq.to_be_bytes());
            bytes.extend_from_slice(&(line.len() as u64).to_be_bytes());
            bytes.extend_from_slice(&line);
        }
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let cut_off = || CorruptCheckpoint("cut off".to_owned());
        let mut journal = Self::empty();
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

    fn digest(&self) -> Vec<u8> {
        let lines = self.ordered();
        lines.into_iter().flat_map(|(_, line)| [&line[..], b"\n"].concat()).collect()
    }

    fn memory_bytes(&self) -> usize {
        64 + self.lines.values().map(|line| line.len() + 128).sum::<usize>()
    }
}
