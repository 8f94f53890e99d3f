//! `History`: the messages of a played plan, with the causal pasts that the engine would give them.
//!
//! Invariants: each message stands behind everything in its past; a feed's seqs rise, with gaps where its
//! device wrote to other items; Lamport numbers follow the definition that the engine uses.

use std::collections::BTreeSet;
use std::fmt;

use systole_proto::{FeedKey, Stamp, Timeframe};

use super::plan::{Plan, Step};
use super::random::Random;
use super::{Law, ModelCheck, Violation};
use crate::model::{Message, Model, Order, Origin, Outcome};

/// Messages in the order they were written.
#[derive(Default)]
pub(super) struct History {
    pub(super) messages: Vec<Message>,
    /// What each message does, for people.
    labels: Vec<String>,
    /// Mutations that the model refused.
    pub(super) rejections: usize,
}

/// A device with the same item twice.
struct Replica<M> {
    feed: FeedKey,
    /// All blocks it knows, also those of other items.
    frame: Timeframe,
    lamport: u64,
    /// Feeds that wrote to the item, as far as it knows.
    authors: BTreeSet<FeedKey>,
    /// Indexes of the messages it knows, in the order they arrived.
    known: Vec<usize>,
    /// Where it writes; it also starts again from checkpoints.
    writer: M,
    restarted: bool,
    /// Gets the same messages through `apply` alone, one by one, and never restarts.
    reader: M,
}

/// The feed of replica `index`, and how people read it.
fn feed(index: usize) -> FeedKey {
    // Spread, so that keys differ from the first byte on and do not rise with the letter.
    FeedKey([(index as u8).wrapping_mul(151).wrapping_add(77); 32])
}

impl History {
    /// Plays `plan` into `self`; replicas are compared on the way and, after everybody knows everything, at
    /// the end.
    pub(super) fn play<M: Model, C, T: PartialEq + fmt::Debug>(
        &mut self,
        plan: &Plan<C>,
        check: &ModelCheck<M, C, T>,
    ) -> Result<(), Violation> {
        let mut replicas: Vec<Replica<M>> = (0..check.replicas).map(Replica::new).collect();
        for step in &plan.steps {
            match step {
                Step::Write { replica, skip, choice } => {
                    self.write(&mut replicas[*replica], *skip, choice, check)?;
                }
                Step::Sync { from, to, part } => {
                    if from != to {
                        self.sync(&mut replicas, *from, *to, *part);
                    }
                }
                Step::Restart { replica } => replicas[*replica].restart(check)?,
                Step::Hostile { replica, payload } => {
                    let earlier: Vec<&[u8]> =
                        self.messages.iter().map(|m| &m.payload[..]).collect();
                    let payload = payload.bytes(&earlier);
                    let replica = &mut replicas[*replica];
                    let origin = replica.origin(0);
                    let label = format!("hostile bytes {}", hex(&payload));
                    let message = Message { origin, payload: payload.into() };
                    self.record(replica, message.clone(), label);
                    replica.writer.apply(&[message], &mut Outcome::default());
                }
            }
        }
        for to in 0..replicas.len() {
            for from in 0..replicas.len() {
                if from != to {
                    self.sync(&mut replicas, from, to, 4);
                }
            }
        }
        let first = &replicas[0];
        let expected = (check.observe)(&first.reader);
        for (index, replica) in replicas.iter().enumerate() {
            for (kind, model) in [("reader", &replica.reader), ("writer", &replica.writer)] {
                let seen = (check.observe)(model);
                if seen != expected {
                    let law = replica.law_of(kind == "writer");
                    let one = format!("reader of replica A, {}", self.names(&first.known));
                    let restarted = if law == Law::Checkpoint { " with restarts" } else { "" };
                    let names = self.names(&replica.known);
                    let other = format!("{kind} of replica {}, {names}{restarted}", letter(index));
                    return Err(Violation::differ(law, &one, &expected, &other, &seen));
                }
            }
        }
        Ok(())
    }

    fn write<M: Model, C, T: PartialEq + fmt::Debug>(
        &mut self,
        replica: &mut Replica<M>,
        skip: u64,
        choice: &C,
        check: &ModelCheck<M, C, T>,
    ) -> Result<(), Violation> {
        let Some(mutation) = (check.resolve)(&replica.writer, choice) else { return Ok(()) };
        let label = (check.describe)(&mutation);
        let origin = replica.origin(skip);
        let before = (check.observe)(&replica.writer);
        let mut outcome = Outcome::default();
        let Ok(payload) = replica.writer.mutate(mutation, &origin, &mut outcome) else {
            self.rejections += 1;
            let after = (check.observe)(&replica.writer);
            if before == after && outcome.changes.is_empty() {
                return Ok(());
            }
            let what = format!("after refusing {label:?}");
            return Err(Violation::differ(Law::Rejection, "before", &before, &what, &after));
        };
        self.record(replica, Message { origin, payload }, label);
        let (written, applied) =
            ((check.observe)(&replica.writer), (check.observe)(&replica.reader));
        if written == applied {
            return Ok(());
        }
        let law = replica.law_of(true);
        Err(Violation::differ(law, "the writer sees", &written, "a reader sees", &applied))
    }

    /// Adds a message of `replica`, and lets its reader apply it.
    fn record<M: Model>(&mut self, replica: &mut Replica<M>, message: Message, label: String) {
        replica.lamport = message.origin.lamport;
        replica.frame.advance_to(replica.feed, message.origin.seq + 1);
        replica.known.push(self.messages.len());
        self.messages.push(message.clone());
        self.labels.push(label);
        replica.reader.apply(&[message], &mut Outcome::default());
    }

    fn sync<M: Model>(&self, replicas: &mut [Replica<M>], from: usize, to: usize, part: usize) {
        let mut news = replicas[from].known.clone();
        news.retain(|index| !replicas[to].known.contains(index));
        // The start of an arrival order holds the past of all its messages.
        news.truncate((news.len() * part).div_ceil(4));
        let frame = replicas[from].frame.clone();
        let batch: Vec<Message> = news.iter().map(|&index| self.messages[index].clone()).collect();
        let reader = &mut replicas[to];
        reader.writer.apply(&batch, &mut Outcome::default());
        for message in &batch {
            reader.reader.apply(std::slice::from_ref(message), &mut Outcome::default());
            reader.frame.extend(message.origin.past.iter());
            reader.frame.advance_to(message.origin.feed, message.origin.seq + 1);
            reader.lamport = reader.lamport.max(message.origin.lamport);
            reader.authors.insert(message.origin.feed);
        }
        reader.known.extend(news);
        if part == 4 {
            reader.frame.merge(&frame);
        }
    }

    /// An order in which `order` may deliver the messages, as indexes.
    pub(super) fn delivery(&self, order: Order, random: &mut Random) -> Vec<usize> {
        let mut waiting: Vec<usize> = (0..self.messages.len()).collect();
        let mut sequence = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let is_ready = |&at: &usize| {
                let origin = &self.messages[waiting[at]].origin;
                !waiting.iter().any(|&other| {
                    let other = &self.messages[other].origin;
                    (order == Order::Causal || other.feed == origin.feed)
                        && origin.has_seen(&other.feed, other.seq)
                })
            };
            let ready: Vec<usize> = (0..waiting.len()).filter(is_ready).collect();
            let at = ready[random.below(ready.len())];
            sequence.push(waiting.remove(at));
        }
        sequence
    }

    /// Short names of messages: letter of the feed, and seq.
    pub(super) fn names(&self, indexes: &[usize]) -> String {
        let names: Vec<String> = indexes.iter().map(|&index| self.name(index)).collect();
        names.join(" ")
    }

    /// One line per message: name, Lamport number, past, and what it does.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |index: usize| {
            let origin = &self.messages[index].origin;
            let mut past: Vec<String> = origin
                .past
                .iter()
                .map(|(feed, length)| format!("{} below {length}", letter_of(&feed)))
                .collect();
            past.sort();
            let past = if past.is_empty() { "nothing".to_owned() } else { past.join(", ") };
            let name = self.name(index);
            format!("{name:<4} lamport {:<3} saw {past}: {}", origin.lamport, self.labels[index])
        };
        (0..self.messages.len()).map(line).collect()
    }

    fn name(&self, index: usize) -> String {
        let origin = &self.messages[index].origin;
        format!("{}{}", letter_of(&origin.feed), origin.seq)
    }
}

impl<M: Model> Replica<M> {
    fn new(index: usize) -> Self {
        Self {
            feed: feed(index),
            frame: Timeframe::new(),
            lamport: 0,
            authors: BTreeSet::from([feed(index)]),
            known: Vec::new(),
            writer: M::empty(),
            restarted: false,
            reader: M::empty(),
        }
    }

    /// Where the next message of the item stands, after `skip` blocks of other items.
    fn origin(&mut self, skip: u64) -> Origin {
        let seq = self.frame.length(&self.feed) + skip;
        self.frame.set(self.feed, seq);
        self.lamport += skip;
        let lamport = self.lamport + 1;
        let mut past = self.frame.clone();
        self.frame
            .iter()
            .filter(|(feed, _)| !self.authors.contains(feed))
            .for_each(|(feed, _)| past.set(feed, 0));
        Origin {
            feed: self.feed,
            seq,
            lamport,
            // Clocks lie: nothing may depend on them.
            stamp: Stamp { millis: lamport.wrapping_mul(0x9e37_79b9) % 1000, logical: 0 },
            effective_at: (seq % 3 == 1).then_some(-(lamport as i64)),
            past: past.into(),
        }
    }

    fn restart<C, T: PartialEq + fmt::Debug>(
        &mut self,
        check: &ModelCheck<M, C, T>,
    ) -> Result<(), Violation> {
        let restored = super::laws::restored(&self.writer, check)?;
        self.writer = restored;
        self.restarted = true;
        Ok(())
    }

    /// The law that a difference breaks: a writer that restarted is no witness for anything else.
    fn law_of(&self, writer: bool) -> Law {
        match (writer, self.restarted) {
            (true, true) => Law::Checkpoint,
            (true, false) => Law::MutateEqualsApply,
            (false, _) => Law::Convergence,
        }
    }
}

fn letter(index: usize) -> char {
    (b'A' + (index % 26) as u8) as char
}

fn letter_of(key: &FeedKey) -> char {
    (0..26).find(|&index| feed(index) == *key).map_or('?', letter)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
