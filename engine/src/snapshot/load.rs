//! Loading an item: its newest checkpoint, then its own messages since, in bounded chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use systole_models::{Model as _, ModelRegistry, Object, UnknownModel};
use systole_proto::ItemId;
use systole_store::{ItemKey, ItemRecord, PartyNo, Store};

use super::checkpoint::{Unpacked, unpack};
use super::together::{Awaited, bring_forward};
use crate::item::state::{Author, ItemState};
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

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

    /// The item's local name.
    pub(crate) fn key(&self) -> ItemKey {
        self.key
    }

    /// Where its work is counted.
    pub(crate) fn telemetry(&self) -> Arc<Telemetry> {
        self.telemetry.clone()
    }

    /// The item's id.
    pub(crate) fn id(&self) -> ItemId {
        self.id
    }

    /// The item from its newest checkpoint and the messages since, and how many those were.
    pub(crate) fn load(&self) -> Result<(ItemState, Tail), Error> {
        self.catch_up(self.record().and_then(|record| self.start(record)), u64::MAX)
    }

    /// The item at its newest checkpoint, or at its beginning.
    fn start(&self, record: Arc<ItemRecord>) -> Result<ItemState, Error> {
        match self.store.items().checkpoint(self.key)? {
            Some((_, bytes)) => self.restore(record, unpack(bytes)?),
            None => Ok(self.empty(record)),
        }
    }

    /// Applies the log's messages after the state's ordinal, up to `ordinal`.
    fn catch_up(
        &self,
        state: Result<ItemState, Error>,
        ordinal: u64,
    ) -> Result<(ItemState, Tail), Error> {
        let (store, telemetry) = (&self.store, &self.telemetry);
        let mut loaded = bring_forward(store, telemetry, vec![state], ordinal, Awaited::Yes);
        loaded.pop().expect("as many as were given")
    }

    /// The item from all of its messages up to `ordinal`, without its checkpoint.
    pub(crate) fn replay(&self, ordinal: u64) -> Result<ItemState, Error> {
        self.catch_up(self.record().map(|record| self.empty(record)), ordinal)
            .map(|(state, _)| state)
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
        record.map(Arc::new).ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Error {
        Error::invalid(format!("item {} does not exist", self.id))
    }

    fn empty(&self, record: Arc<ItemRecord>) -> ItemState {
        let model = match self.registry.model(&record.model, record.version) {
            Some(factory) => factory.empty(),
            None => Box::new(UnknownModel::empty(record.model.clone(), record.version)),
        };
        ItemState::new(record, model)
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
                model.apply(&raw().map_err(corrupt)?.into_messages(), false);
                model
            }
            (None, true) => Box::new(raw().map_err(corrupt)?),
            // The state of a type that is no longer registered: its messages say the same.
            (None, false) => {
                let state = ItemState::new(
                    record.clone(),
                    Box::new(UnknownModel::empty(record.model.clone(), record.version)),
                );
                return self.catch_up(Ok(state), parts.ordinal).map(|(state, _)| state);
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
}

/// Several items of one store, in the order asked: see [`bring_forward`].
pub(crate) fn load_together(
    loaders: &[Loader],
    awaited: Awaited,
) -> Vec<Result<(ItemState, Tail), Error>> {
    let Some(first) = loaders.first() else { return Vec::new() };
    let mut order: Vec<usize> = (0..loaders.len()).collect();
    order.sort_unstable_by_key(|at| loaders[*at].key);
    let keys: Vec<ItemKey> = order.iter().map(|at| loaders[*at].key).collect();
    let items: Vec<Result<ItemState, Error>> = match first.store.items().items(&keys) {
        Ok(records) => {
            let started = order.iter().zip(records).map(|(at, record)| {
                let loader = &loaders[*at];
                loader.start(Arc::new(record.ok_or_else(|| loader.unknown())?))
            });
            started.collect()
        }
        // A record that is damaged fails its own item alone.
        Err(_) => {
            let alone = |at: &usize| loaders[*at].record().and_then(|r| loaders[*at].start(r));
            order.iter().map(alone).collect()
        }
    };
    // Each party numbers its messages by itself.
    let mut parties: BTreeMap<PartyNo, (Vec<usize>, Vec<_>)> = BTreeMap::new();
    let mut loaded = Vec::with_capacity(order.len());
    for (at, item) in order.into_iter().zip(items) {
        match item {
            Ok(state) => {
                let (places, items) = parties.entry(state.record.party).or_default();
                places.push(at);
                items.push(Ok(state));
            }
            Err(error) => loaded.push((at, Err(error))),
        }
    }
    for (places, items) in parties.into_values() {
        let (store, telemetry) = (&first.store, &first.telemetry);
        let items = bring_forward(store, telemetry, items, u64::MAX, awaited);
        loaded.extend(places.into_iter().zip(items));
    }
    loaded.sort_unstable_by_key(|(at, _)| *at);
    loaded.into_iter().map(|(_, item)| item).collect()
}
