//! Applying: every message of a step is put before its item, in the order of the item's log.

use std::collections::BTreeMap;

use bytes::Bytes;
use systole_proto::{Block, Body, FeedKey};
use systole_store::{FeedNo, LogEntry, Store};

use super::Step;
use crate::item::state::{Incoming, ItemState};
use crate::party::effect::LABEL_METADATA;
use crate::party::history::{self, Pasts};
use crate::snapshot::Tail;
use crate::stages::{Sampler, Stage};
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

/// Items on their way.
pub(super) struct Applier<'a> {
    store: &'a Store,
    telemetry: &'a Telemetry,
    items: Vec<Loading>,
    keys: BTreeMap<FeedNo, FeedKey>,
    sampler: Sampler,
}

/// An item on its way.
struct Loading {
    state: Result<ItemState, Error>,
    tail: Tail,
    /// What this step applies.
    batch: Vec<Incoming>,
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        store: &'a Store,
        telemetry: &'a Telemetry,
        items: Vec<Result<ItemState, Error>>,
    ) -> Self {
        let item = |state| Loading { state, tail: Tail::default(), batch: Vec::new() };
        let items = items.into_iter().map(item).collect();
        Self { store, telemetry, items, keys: BTreeMap::new(), sampler: Sampler::default() }
    }

    pub(super) fn finish(self) -> Vec<Result<(ItemState, Tail), Error>> {
        let items = self.items.into_iter();
        items.map(|item| item.state.map(|state| (state, item.tail))).collect()
    }

    /// Fails all items: what was read of them may not be all.
    pub(super) fn fail(&mut self, error: &Error) {
        self.items.iter_mut().for_each(|item| item.fail(error.clone()));
    }

    /// Applies a step and gives its memory back.
    pub(super) fn take(&mut self, step: Result<Step, Error>) -> Option<Step> {
        let gathered = step.and_then(|step| self.gather(&step).map(|()| step));
        match gathered {
            Ok(step) => {
                for item in self.items.iter_mut().filter(|item| !item.batch.is_empty()) {
                    item.apply(self.telemetry);
                }
                Some(step)
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Puts every message before its item.
    fn gather(&mut self, step: &Step) -> Result<(), Error> {
        // Made after the entries were read, for these alone: messages of the next step may be written
        // meanwhile, and their steps are not among those that this one looks ahead at.
        let mut pasts = Pasts::new(self.store);
        let (mut ends, mut start) = (step.ends.iter(), 0);
        let (mut position, mut body) = (None, Ok(Body::Empty));
        let stages = &self.telemetry.live.stages;
        for &(at, entry) in &step.messages {
            self.sampler.begin();
            if position != Some((entry.feed, entry.seq)) {
                position = Some((entry.feed, entry.seq));
                // A block that is not there leaves an empty slice, which no block is.
                let end = (*ends.next().expect("one for each position")).max(start);
                body = decode(step.bytes.slice(start..end), &entry);
                start = end;
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
            let item = &mut self.items[at as usize];
            match payload(&body, &entry) {
                Ok(payload) => {
                    item.tail.messages += 1;
                    item.tail.bytes += payload.len() as u64;
                    item.batch.push(Incoming { entry, key, past, payload });
                }
                Err(error) => item.fail(error),
            }
            self.sampler.lap(stages, Stage::Demux);
        }
        Ok(())
    }
}

impl Loading {
    fn fail(&mut self, error: Error) {
        self.state = self.state.as_ref().map_or_else(|first| Err(first.clone()), |_| Err(error));
        self.batch.clear();
    }

    fn apply(&mut self, telemetry: &Telemetry) {
        let mut batch = std::mem::take(&mut self.batch);
        let Ok(state) = &mut self.state else { return };
        // They were gathered feed by feed.
        batch.sort_unstable_by_key(|incoming| incoming.entry.ordinal);
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
