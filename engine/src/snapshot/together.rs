//! Many items loaded at once: their logs and blocks are read together, in the order in which they lie
//! in the store.
//!
//! One item's messages lie scattered over the feeds, so an item that is loaded alone costs a search per
//! message. Items that are loaded together are brought forward side by side: each step reads the next
//! part of every log, and the blocks that these parts name lie close to each other, because all logs
//! follow one processing order.
//!
//! Invariants:
//! - an item's messages are applied in the order of its log, whatever is loaded beside it;
//! - an item that is damaged fails alone; a store that cannot be read fails all that are not loaded yet;
//! - at most [`STEP_BYTES_MAX`] of blocks, or one block, and some [`STEP_MESSAGES`] log entries are held.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use systole_proto::{Block, Body, FeedKey};
use systole_store::{FeedNo, LogEntry, Store};

use super::load::Tail;
use crate::item::state::{Incoming, ItemState};
use crate::party::effect::LABEL_METADATA;
use crate::party::history::{self, Pasts};
use crate::stages::{Sampler, Stage};
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

/// Log entries that one step reads of all items together, about.
const STEP_MESSAGES: usize = 32_768;
/// The least that one step reads of an item's log, so that a search is worth it.
const ENTRIES_MIN: usize = 64;
/// Bytes of blocks that one step holds.
const STEP_BYTES_MAX: usize = 4 << 20;

/// An item on its way.
pub(super) struct Loading {
    state: Result<ItemState, Error>,
    pub(super) tail: Tail,
    /// Entries that were read and not applied yet.
    upcoming: VecDeque<LogEntry>,
    /// Where the log is read next.
    next_ordinal: u64,
    ended: bool,
    /// What this step applies.
    batch: Vec<Incoming>,
}

impl Loading {
    /// An item that stands where its checkpoint does, or at its beginning.
    pub(super) fn new(store: &Store, state: Result<ItemState, Error>) -> Self {
        let start = state.and_then(|state| {
            let from = store.items().log_start(state.record.key, state.ordinal())?;
            Ok((state, from))
        });
        let (state, next_ordinal) = match start {
            Ok((state, from)) => (Ok(state), from),
            Err(error) => (Err(error), 0),
        };
        let ended = state.is_err();
        let (tail, upcoming, batch) = (Tail::default(), VecDeque::new(), Vec::new());
        Self { state, tail, upcoming, next_ordinal, ended, batch }
    }

    pub(super) fn finish(self) -> Result<(ItemState, Tail), Error> {
        self.state.map(|state| (state, self.tail))
    }

    fn fail(&mut self, error: Error) {
        self.state = Err(error);
        self.ended = true;
        self.upcoming.clear();
        self.batch.clear();
    }

    /// Number of the last message that this step may apply without reading on.
    fn reach(&self) -> Option<u64> {
        if self.ended { None } else { self.upcoming.back().map(|entry| entry.ordinal) }
    }

    fn apply(&mut self, telemetry: &Telemetry) {
        let mut batch = std::mem::take(&mut self.batch);
        let Ok(state) = &mut self.state else { return };
        // They were gathered feed by feed.
        batch.sort_unstable_by_key(|incoming| (incoming.entry.ordinal, incoming.entry.label));
        let mut watch = telemetry.live.stages.watch();
        match state.apply(batch) {
            Ok(applied) => {
                watch.lap(Stage::Apply, applied.messages);
                telemetry.applied(applied.messages);
            }
            Err(error) => self.fail(error),
        }
    }
}

/// Brings items forward to the message numbered `until`, or to the ends of their logs.
pub(super) struct Together<'a> {
    store: &'a Store,
    telemetry: &'a Telemetry,
    keys: BTreeMap<FeedNo, FeedKey>,
    /// Rising by their local names.
    items: &'a mut [Loading],
    until: u64,
    sampler: Sampler,
}

/// A message of this step: where its block lies, whose it is, and its place among that item's entries.
type Wanted = (FeedNo, u64, u32, u32);

impl<'a> Together<'a> {
    /// `items` rise by their local names.
    pub(super) fn new(
        store: &'a Store,
        telemetry: &'a Telemetry,
        items: &'a mut [Loading],
        until: u64,
    ) -> Self {
        let (keys, sampler) = (BTreeMap::new(), Sampler::default());
        Self { store, telemetry, keys, items, until, sampler }
    }

    /// Loads all of them. Whatever fails stands with its item.
    pub(super) fn run(mut self) {
        if let Err(error) = self.try_run() {
            let unfinished = |item: &&mut Loading| !item.ended || !item.upcoming.is_empty();
            self.items.iter_mut().filter(unfinished).for_each(|item| item.fail(error.clone()));
        }
    }

    fn try_run(&mut self) -> Result<(), Error> {
        let share = (STEP_MESSAGES / self.items.len().max(1)).clamp(ENTRIES_MIN, STEP_MESSAGES);
        let telemetry = self.telemetry;
        loop {
            let mut watch = telemetry.live.stages.watch();
            self.read_logs(share)?;
            let reach = self.items.iter().filter_map(Loading::reach).min().unwrap_or(u64::MAX);
            let mut wanted = self.wanted(reach);
            if wanted.is_empty() {
                return Ok(());
            }
            let mut reach = reach;
            let blocks = loop {
                match self.read_blocks(&wanted)? {
                    Some(blocks) => break blocks,
                    // Half of the step, as often as needed: one block is always taken.
                    None => {
                        let mut ordinals: Vec<u64> =
                            wanted.iter().map(|wanted| self.entry(wanted).ordinal).collect();
                        let middle = (ordinals.len() - 1) / 2;
                        reach = *ordinals.select_nth_unstable(middle).1;
                        wanted = self.wanted(reach);
                    }
                }
            };
            watch.lap(Stage::Read, wanted.len() as u64);
            self.gather(&wanted, blocks)?;
            for item in &mut *self.items {
                let applied = item.upcoming.partition_point(|entry| entry.ordinal <= reach);
                if applied > 0 {
                    item.upcoming.drain(..applied);
                    item.apply(self.telemetry);
                }
            }
        }
    }

    /// Reads on in every log of which less than half a share is at hand.
    fn read_logs(&mut self, share: usize) -> Result<(), Error> {
        let short: Vec<usize> = (0..self.items.len())
            .filter(|at| !self.items[*at].ended && self.items[*at].upcoming.len() < share / 2 + 1)
            .collect();
        let from = |at: &usize| {
            let item = &self.items[*at];
            let state = item.state.as_ref().expect("what failed has ended");
            (state.record.key, item.next_ordinal)
        };
        let ranges: Vec<_> = short.iter().map(from).collect();
        for at in &short {
            self.items[*at].ended = true;
        }
        let until = self.until;
        self.store.items().scan_logs(&ranges, &mut |place, chunk| {
            let item = &mut self.items[short[place]];
            let contained = item.state.as_ref().map_or(u64::MAX, ItemState::ordinal);
            let fresh = |entry: &&LogEntry| entry.ordinal > contained && entry.ordinal <= until;
            item.upcoming.extend(chunk.iter().filter(fresh));
            let last = chunk.last().map_or(0, |entry| entry.ordinal);
            item.next_ordinal = last + 1;
            // There may be more behind what was asked for.
            item.ended = last >= until;
            if item.ended || item.upcoming.len() >= share {
                return ControlFlow::Break(());
            }
            item.ended = true;
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// The messages up to number `reach`, in the order of their blocks.
    fn wanted(&self, reach: u64) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let due = item.upcoming.iter().take_while(|entry| entry.ordinal <= reach);
            let place =
                |(nth, entry): (usize, &LogEntry)| (entry.feed, entry.seq, at as u32, nth as u32);
            wanted.extend(due.enumerate().map(place));
        }
        wanted.sort_unstable();
        wanted
    }

    fn entry(&self, wanted: &Wanted) -> &LogEntry {
        &self.items[wanted.2 as usize].upcoming[wanted.3 as usize]
    }

    /// The blocks of these messages; `None` if they are too many bytes for one step.
    fn read_blocks(&self, wanted: &[Wanted]) -> Result<Option<Vec<Bytes>>, Error> {
        let mut positions: Vec<(FeedNo, u64)> =
            wanted.iter().map(|(feed, seq, ..)| (*feed, *seq)).collect();
        // A genesis is a message for the model and one for the metadata.
        positions.dedup();
        let (mut bytes, mut ends) = (BytesMut::new(), vec![0; positions.len()]);
        let mut too_many = false;
        self.store.feeds().visit_blocks(&positions, &mut |at, block| {
            if !bytes.is_empty() && bytes.len() + block.len() > STEP_BYTES_MAX {
                too_many = true;
                return ControlFlow::Break(());
            }
            bytes.extend_from_slice(block);
            ends[at] = bytes.len();
            ControlFlow::Continue(())
        })?;
        if too_many {
            return Ok(None);
        }
        self.telemetry.read(positions.len() as u64);
        let (bytes, mut start) = (bytes.freeze(), 0);
        let blocks = ends.into_iter().map(|end| {
            // A block that is not there leaves an empty slice, which no block is.
            let block = bytes.slice(start..end.max(start));
            start = end.max(start);
            block
        });
        Ok(Some(blocks.collect()))
    }

    /// Hands every message to its item.
    fn gather(&mut self, wanted: &[Wanted], blocks: Vec<Bytes>) -> Result<(), Error> {
        // Made after the entries were read, for these alone: messages of the next step may be written
        // meanwhile, and their steps are not among those that this one looks ahead at.
        let mut pasts = Pasts::new(self.store);
        let mut blocks = blocks.into_iter();
        let (mut position, mut body) = (None, Ok(Body::Empty));
        let stages = &self.telemetry.live.stages;
        for message in wanted {
            self.sampler.begin();
            let entry = *self.entry(message);
            if position != Some((entry.feed, entry.seq)) {
                position = Some((entry.feed, entry.seq));
                body = decode(blocks.next().expect("one for each position"), &entry);
            }
            self.sampler.lap(stages, Stage::Decode);
            let key = match self.keys.get(&entry.feed) {
                Some(key) => *key,
                None => {
                    let key = history::key(self.store, entry.feed)?;
                    self.keys.insert(entry.feed, key);
                    key
                }
            };
            let past = pasts.causal(entry.feed, entry.seq)?.past;
            self.sampler.lap(stages, Stage::Order);
            let item = &mut self.items[message.2 as usize];
            match payload(&body, &entry) {
                Ok(payload) => {
                    item.tail.messages += 1;
                    item.tail.bytes += payload.len() as u64;
                    item.batch.push(Incoming { entry, key, past, payload });
                }
                Err(error) => item.state = Err(error),
            }
            self.sampler.lap(stages, Stage::Demux);
        }
        for item in &mut *self.items {
            if let Err(error) = &item.state {
                item.fail(error.clone());
            }
        }
        Ok(())
    }
}

/// What the block of an entry says; no bytes are of a block that is not there.
fn decode(block: Bytes, entry: &LogEntry) -> Result<Body, Error> {
    let LogEntry { feed, seq, .. } = entry;
    if block.is_empty() {
        return Err(Error::corrupt(format!("block {seq} of {feed} is missing")));
    }
    let block = Block::decode(block).map_err(|error| {
        Error::caused(ErrorKind::Corrupt, format!("block {seq} of {feed} is damaged"), error)
    })?;
    Ok(block.body)
}

/// The item's own bytes in what a block says.
fn payload(body: &Result<Body, Error>, entry: &LogEntry) -> Result<Bytes, Error> {
    let LogEntry { feed, seq, label, .. } = entry;
    match body.as_ref().map_err(Clone::clone)? {
        Body::Genesis(genesis) if *label == LABEL_METADATA => Ok(genesis.metadata.clone()),
        Body::Genesis(genesis) => Ok(genesis.init.clone()),
        Body::Mutation(mutation) => Ok(mutation.payload.clone()),
        _ => Err(Error::corrupt(format!("block {seq} of {feed} holds no message of an item"))),
    }
}
