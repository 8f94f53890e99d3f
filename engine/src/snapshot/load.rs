//! Loading an item: its newest checkpoint, then its own messages since, in bounded chunks.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use systole_models::{Model as _, ModelRegistry, Object, UnknownModel};
use systole_proto::{Block, Body, ItemId};
use systole_store::{ItemKey, ItemRecord, LogEntry, Store};

use super::checkpoint::{Unpacked, unpack};
use crate::item::state::{Author, Incoming, ItemState};
use crate::party::effect::LABEL_METADATA;
use crate::party::history::{self, Pasts};
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

/// Most messages that are read at once while an item is loaded.
const CHUNK_MESSAGES: usize = 1_024;

/// The messages that an item was loaded from beside its checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Loads one item from the store, as often as asked.
#[derive(Clone)]
pub(crate) struct Loader {
    store: Store,
    registry: Arc<ModelRegistry>,
    telemetry: Arc<Telemetry>,
    key: ItemKey,
    id: ItemId,
}

impl Loader {
    pub(crate) fn new(
        store: Store,
        registry: Arc<ModelRegistry>,
        telemetry: Arc<Telemetry>,
        key: ItemKey,
        id: ItemId,
    ) -> Self {
        Self { store, registry, telemetry, key, id }
    }

    /// The item's id.
    pub(crate) fn id(&self) -> ItemId {
        self.id
    }

    /// The item from its newest checkpoint and the messages since, and how many those were.
    pub(crate) fn load(&self) -> Result<(ItemState, Tail), Error> {
        let checkpoint = self.store.items().checkpoint(self.key)?;
        let state = match checkpoint {
            Some((_, bytes)) => self.restore(self.record()?, unpack(bytes)?)?,
            None => self.empty()?,
        };
        let mut tail = Tail::default();
        let state = self.catch_up(state, u64::MAX, &mut tail)?;
        Ok((state, tail))
    }

    /// The item from all of its messages up to `ordinal`, without its checkpoint.
    pub(crate) fn replay(&self, ordinal: u64) -> Result<ItemState, Error> {
        self.catch_up(self.empty()?, ordinal, &mut Tail::default())
    }

    /// The item from its checkpoint alone.
    pub(crate) fn load_checkpoint(&self) -> Result<Option<ItemState>, Error> {
        match self.store.items().checkpoint(self.key)? {
            None => Ok(None),
            Some((_, bytes)) => self.restore(self.record()?, unpack(bytes)?).map(Some),
        }
    }

    fn record(&self) -> Result<Arc<ItemRecord>, Error> {
        let record = self.store.items().item(self.key)?;
        record
            .map(Arc::new)
            .ok_or_else(|| Error::invalid(format!("item {} does not exist", self.id)))
    }

    fn empty(&self) -> Result<ItemState, Error> {
        let record = self.record()?;
        let model = match self.registry.model(&record.model, record.version) {
            Some(factory) => factory.empty(),
            None => Box::new(UnknownModel::empty(record.model.clone(), record.version)),
        };
        Ok(ItemState::new(record, model))
    }

    fn restore(&self, record: Arc<ItemRecord>, parts: Unpacked) -> Result<ItemState, Error> {
        let corrupt = |source| {
            let message = format!("the checkpoint of item {} cannot be read", self.id);
            Error::caused(ErrorKind::Corrupt, message, source)
        };
        let factory = self.registry.model(&record.model, record.version);
        let raw = || UnknownModel::restore(record.model.clone(), record.version, &parts.model);
        let model: Box<dyn systole_models::AnyModel> = match (factory, parts.raw) {
            (Some(factory), false) => factory.restore(&parts.model).map_err(corrupt)?,
            (Some(factory), true) => {
                let mut model = factory.empty();
                model.apply(&raw().map_err(corrupt)?.into_messages());
                model
            }
            (None, true) => Box::new(raw().map_err(corrupt)?),
            // The state of a type that is no longer registered: its messages say the same.
            (None, false) => {
                let state = ItemState::new(
                    record.clone(),
                    Box::new(UnknownModel::empty(record.model.clone(), record.version)),
                );
                return self.catch_up(state, parts.ordinal, &mut Tail::default());
            }
        };
        let metadata = Object::restore(&parts.metadata).map_err(corrupt)?;
        let mut authors = Vec::with_capacity(parts.positions.len());
        for (key, next) in parts.positions.iter() {
            let first = parts.firsts.length(&key);
            let feed = self.store.meta().feed_by_key(&key)?.filter(|_| first > 0 && first <= next);
            let feed = feed.ok_or_else(|| {
                Error::corrupt(format!("the checkpoint of item {} names an unknown feed", self.id))
            })?;
            authors.push(Author { feed: feed.no, key, first: first - 1, next });
        }
        Ok(ItemState::restored(record, model, metadata, authors, parts.ordinal))
    }

    /// Applies the log's messages after the state's ordinal, up to `ordinal`, and counts them.
    fn catch_up(
        &self,
        mut state: ItemState,
        ordinal: u64,
        tail: &mut Tail,
    ) -> Result<ItemState, Error> {
        let mut keys = BTreeMap::new();
        loop {
            let entries = self.entries(state.ordinal(), ordinal)?;
            if entries.is_empty() {
                return Ok(state);
            }
            // Made after the entries were read, for these alone: messages of the next chunk may be
            // written meanwhile, and their steps are not among those that this one looks ahead at.
            let mut pasts = Pasts::new(&self.store);
            let position = |entry: &LogEntry| (entry.feed, entry.seq);
            let mut positions: Vec<_> = entries.iter().map(position).collect();
            // A genesis is a message for the model and one for the metadata.
            positions.dedup();
            let blocks = self.store.feeds().blocks(&positions)?;
            self.telemetry.read(blocks.len() as u64);
            let mut blocks = positions.into_iter().zip(blocks).peekable();
            let mut batch = Vec::with_capacity(entries.len());
            for entry in entries {
                if blocks.peek().is_some_and(|(at, _)| *at != position(&entry)) {
                    blocks.next();
                }
                let block = blocks.peek().and_then(|(_, block)| block.clone());
                let key = match keys.get(&entry.feed) {
                    Some(key) => *key,
                    None => {
                        let key = history::key(&self.store, entry.feed)?;
                        keys.insert(entry.feed, key);
                        key
                    }
                };
                let past = pasts.causal(entry.feed, entry.seq)?.past;
                let payload = payload(block, &entry)?;
                tail.messages += 1;
                tail.bytes += payload.len() as u64;
                batch.push(Incoming { entry, key, past, payload });
            }
            let applied = state.apply(batch)?;
            self.telemetry.applied(applied.messages);
        }
    }

    fn entries(&self, after: u64, until: u64) -> Result<Vec<LogEntry>, Error> {
        let mut entries = Vec::new();
        self.store.items().scan_log(self.key, after, &mut |entry| {
            if entry.ordinal > until || entries.len() == CHUNK_MESSAGES {
                return ControlFlow::Break(());
            }
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }
}

/// The item's own bytes in a block.
fn payload(block: Option<Bytes>, entry: &LogEntry) -> Result<Bytes, Error> {
    let LogEntry { feed, seq, label, .. } = entry;
    let block = block.ok_or_else(|| Error::corrupt(format!("block {seq} of {feed} is missing")))?;
    let block = Block::decode(block).map_err(|error| {
        Error::caused(ErrorKind::Corrupt, format!("block {seq} of {feed} is damaged"), error)
    })?;
    match block.body {
        Body::Genesis(genesis) if *label == LABEL_METADATA => Ok(genesis.metadata),
        Body::Genesis(genesis) => Ok(genesis.init),
        Body::Mutation(mutation) => Ok(mutation.payload),
        _ => Err(Error::corrupt(format!("block {seq} of {feed} holds no message of an item"))),
    }
}
