//! What the tests of the text model share: random numbers, feeds, replicas, and causal orders.
//!
//! Invariant: everything follows from a seed.
#![allow(dead_code, reason = "each test file uses a part")]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;
use systole_models::{
    Message, Model, Origin, Outcome, Text, TextChange, TextMutation, TextRejection,
};
use systole_proto::{FeedKey, Stamp, Timeframe};

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// The key of feed number `index`.
pub(crate) fn feed(index: usize) -> FeedKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    FeedKey::from_bytes(&key).unwrap()
}

pub(crate) fn origin(feed: FeedKey, seq: u64, past: Timeframe) -> Origin {
    let lamport = past.iter().map(|entry| entry.1).sum::<u64>() + 1;
    Origin { feed, seq, lamport, stamp: Stamp::default(), effective_at: None, past: past.into() }
}

/// One device: a text and what it has applied.
pub(crate) struct Replica {
    pub(crate) text: Text,
    pub(crate) known: Timeframe,
    /// The text as a subscriber sees it who only follows changes.
    pub(crate) followed: Vec<char>,
}

impl Default for Replica {
    fn default() -> Self {
        Self::from_text(Text::empty(), Timeframe::new())
    }
}

impl Replica {
    pub(crate) fn from_text(text: Text, known: Timeframe) -> Self {
        let followed = text.to_string().chars().collect();
        Self { text, known, followed }
    }

    /// Writes `mutation` as the next message of `feed`; `gap` blocks of other items lie before it.
    pub(crate) fn write(
        &mut self,
        feed: FeedKey,
        gap: u64,
        mutation: TextMutation,
    ) -> Result<Message, TextRejection> {
        let seq = self.known.length(&feed) + gap;
        let mut past = self.known.clone();
        past.set(feed, seq);
        let origin = origin(feed, seq, past);
        let mut outcome = Outcome::default();
        let payload = self.text.mutate(mutation, &origin, &mut outcome)?;
        self.known.set(feed, seq + 1);
        self.follow(&outcome.changes);
        Ok(Message { origin, payload })
    }

    /// Applies `batch` and tells which messages were refused.
    pub(crate) fn apply(&mut self, batch: &[Message]) -> Vec<usize> {
        let mut outcome = Outcome::default();
        self.text.apply(batch, &mut outcome);
        for message in batch {
            self.known.advance_to(message.origin.feed, message.origin.seq + 1);
        }
        self.follow(&outcome.changes);
        outcome.refused.into_iter().map(|(index, _)| index).collect()
    }

    pub(crate) fn follow(&mut self, changes: &[TextChange]) {
        for change in changes {
            match change {
                TextChange::Insert { at, text } => {
                    self.followed.splice(*at..*at, text.chars());
                }
                TextChange::Delete { at, len } => {
                    self.followed.drain(*at..at + len);
                }
            }
        }
    }

    /// Checks that all ways to look at the text agree, and gives it.
    pub(crate) fn view(&self) -> String {
        let view = self.text.to_string();
        assert_eq!(view, self.followed.iter().collect::<String>(), "changes tell another text");
        assert_eq!(view.chars().count(), self.text.len());
        assert_eq!(view.encode_utf16().count(), self.text.len_utf16());
        view
    }

    /// The replica as it is after its text was checkpointed and restored.
    pub(crate) fn reopened(&self) -> Self {
        let text = Text::restore(&self.text.checkpoint()).unwrap();
        Self::from_text(text, self.known.clone())
    }
}

/// A random order of `messages` that keeps causes before effects, as indices, for who knows `known`.
pub(crate) fn causal_order(
    messages: &[Message],
    mut known: Timeframe,
    random: &mut Random,
) -> Vec<usize> {
    // Per feed its messages, first one last.
    let mut waiting: BTreeMap<FeedKey, Vec<usize>> = BTreeMap::new();
    for index in (0..messages.len()).rev() {
        waiting.entry(messages[index].origin.feed).or_default().push(index);
    }
    waiting.values_mut().for_each(|feed| feed.sort_by_key(|&i| Reverse(messages[i].origin.seq)));
    let mut order = Vec::with_capacity(messages.len());
    while !waiting.is_empty() {
        let next = waiting.values().map(|feed| feed[feed.len() - 1]);
        let ready: Vec<usize> = next.filter(|&i| is_ready(&messages[i].origin, &known)).collect();
        let feed = messages[ready[random.below(ready.len())]].origin.feed;
        // Now and then a whole run from one feed, as when a device comes online.
        let run = if random.one_in(3) { 1 + random.below(8) } else { 1 };
        let queue = waiting.get_mut(&feed).unwrap();
        for _ in 0..run {
            let ready = |&index: &usize| is_ready(&messages[index].origin, &known);
            let Some(index) = queue.pop_if(|index| ready(index)) else { break };
            order.push(index);
            known.advance_to(feed, messages[index].origin.seq + 1);
        }
        if queue.is_empty() {
            waiting.remove(&feed);
        }
    }
    order
}

/// Whether everything of other feeds that `origin` saw is known.
fn is_ready(origin: &Origin, known: &Timeframe) -> bool {
    known.gaps(&origin.past.iter().collect()).all(|(feed, ..)| feed == origin.feed)
}

/// Splits `order` into batches of random sizes up to `most`.
pub(crate) fn batches(
    messages: &[Message],
    order: &[usize],
    most: usize,
    random: &mut Random,
) -> Vec<Vec<Message>> {
    let mut batches = Vec::new();
    let mut rest = order;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at((1 + random.below(most)).min(rest.len()));
        batches.push(batch.iter().map(|&index| messages[index].clone()).collect());
        rest = after;
    }
    batches
}

/// A message of `feed` with these bytes.
pub(crate) fn message(origin: Origin, payload: impl Into<Bytes>) -> Message {
    Message { origin, payload: payload.into() }
}

/// CPU time of this thread in microseconds; 0 where the system does not tell.
pub(crate) fn cpu_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos: f64 = stat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0.0);
    nanos / 1000.0
}
