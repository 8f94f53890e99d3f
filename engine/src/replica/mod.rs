//! One device's share of one party, run by hand: the party's whole logic over a store, without a
//! runtime, an actor or a clock. Simulations drive it; `systole-sim` is one. Not a part of the API.
//!
//! ```text
//! ingest, write, process ──► core ──► one commit ──► items' mailboxes ── deliver ──► models
//! ```
//!
//! Invariants:
//! - the same calls on the same store give the same state, bit for bit; time and keys are arguments;
//! - a call answers after its commit; a call that failed to commit fails all that follow, until the
//!   replica is opened again.

mod items;
mod setup;

use std::sync::Arc;

use systole_models::Model;
use systole_proto::{Ed25519Signer, FeedKey, ItemId, PartyKey, Range, Signer};
use systole_store::{Batch, Durability, ItemFilter, ItemKey, PartyNo, Store, VaultKey};

use crate::device::Device;
use crate::feed::{PreparedRange, ReadLimit, read};
use crate::item::actor::LocalMutation;
use crate::party::command::Operation as Asked;
use crate::party::core::{Laid, PartyCore, Preparing};
use crate::party::effect::{Effect, LocalBody};
use crate::party::listing;
use crate::party::turn::Turn;
use crate::telemetry::Telemetry;
use crate::{
    AdmissionRequest, Error, ErrorKind, Event, Ingested, ItemInfo, PartyStatus, Quarantined,
    Receipt,
};

pub use crate::party::core::Bounds;
use items::Items;
pub use setup::{Flaws, Operation, Seen, Setup};

/// See the [module](self).
pub struct Replica {
    device: Arc<Device>,
    party: PartyNo,
    core: PartyCore,
    items: Items,
    setup: Setup,
    seeds: Box<dyn FnMut() -> [u8; 32] + Send>,
    seen: Vec<Seen>,
    unsynced: bool,
}

impl Replica {
    /// The party as `store` holds it; takes part in it if the store does not know it. `seeds` gives the
    /// seeds of fresh feeds.
    pub fn open(
        store: Store,
        party: PartyKey,
        device: Ed25519Signer,
        setup: Setup,
        seeds: Box<dyn FnMut() -> [u8; 32] + Send>,
        now_millis: u64,
    ) -> Result<Self, Error> {
        let vault = store.keys().unlock(&VaultKey::from_key(*device.seed()))?;
        let registry = Arc::new(setup.registry.clone());
        let device = Arc::new(Device::new(store, registry, Arc::new(device), vault)?);
        if !setup.flaws.keeps_feeds_of_a_copy {
            device.renounce_feeds_of_a_copy()?;
        }
        let record = match device.store.meta().party_by_key(&party)? {
            Some(record) => record,
            None => {
                let mut batch = Batch::new();
                let record = device.join(&mut batch, party)?;
                device.store.commit(batch, Durability::Synced)?;
                record
            }
        };
        let number = record.no;
        let core = PartyCore::open(device.clone(), record, now_millis)?;
        let telemetry = Arc::new(Telemetry::new(device.live.clone()));
        let items = Items::new(device.clone(), telemetry);
        let seen = Vec::new();
        // What an earlier life wrote may never have been synced.
        let mut replica =
            Self { device, party: number, core, items, setup, seeds, seen, unsynced: true };
        replica.keep_up(now_millis)?;
        Ok(replica)
    }

    /// Founds the party, whose key is `founder`'s.
    pub fn found(&mut self, founder: &Ed25519Signer, now_millis: u64) -> Result<(), Error> {
        self.core.tell_time(now_millis);
        let mut turn = Turn::default();
        self.core.found(founder, &mut turn)?;
        self.commit(turn)
    }

    /// What a member needs to admit this device.
    pub fn admission_request(&self) -> Result<AdmissionRequest, Error> {
        let feed = self.own_signer()?;
        AdmissionRequest::new(self.core.key(), &*self.device.signer, &*feed).map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the request cannot be signed", error)
        })
    }

    /// Admits another device and its feed.
    pub fn admit(&mut self, request: AdmissionRequest, now_millis: u64) -> Result<Receipt, Error> {
        let invalid = |error| Error::caused(ErrorKind::Invalid, "the request is refused", error);
        request.verify().map_err(invalid)?;
        let credentials = request.countersign(&*self.device.signer).map_err(invalid)?;
        let operations = credentials.map(|bytes| Asked::Plain(LocalBody::Credential(bytes)));
        self.transact(operations.into(), Durability::Synced, now_millis)
    }

    /// Writes a transaction.
    pub fn write(
        &mut self,
        operations: Vec<Operation>,
        durability: Durability,
        now_millis: u64,
    ) -> Result<Receipt, Error> {
        let asked: Result<_, Error> = operations.into_iter().map(|op| self.asked(op)).collect();
        self.transact(asked?, durability, now_millis)
    }

    /// Takes in blocks of another device.
    pub fn ingest(&mut self, range: Range, now_millis: u64) -> Result<Ingested, Error> {
        let range = PreparedRange::new(range).map_err(|error| {
            Error::caused(ErrorKind::Invalid, "the range does not prove itself", error)
        })?;
        self.core.tell_time(now_millis);
        let mut turn = Turn::default();
        let ingested = self.core.take_range(&range, &mut turn)?;
        self.commit(turn)?;
        self.keep_up(now_millis)?;
        Ok(ingested)
    }

    /// One turn: processes at most `blocks_max` stored blocks. How many.
    pub fn process(&mut self, blocks_max: usize, now_millis: u64) -> Result<usize, Error> {
        self.core.tell_time(now_millis);
        let mut turn = Turn::default();
        let blocks = self.core.process(blocks_max, &mut turn)?;
        self.commit(turn)?;
        self.tidy()?;
        self.keep_up(now_millis)?;
        Ok(blocks)
    }

    /// Whether stored blocks can be processed.
    pub fn has_work(&self) -> bool {
        self.core.has_ready()
    }

    /// Some item with waiting batches, chosen by `pick`, applies its oldest; false when none waits.
    pub fn deliver(&mut self, pick: usize) -> bool {
        let Some(item) = self.items.nth_waiting(pick) else { return false };
        self.items.apply_oldest(item, &self.setup);
        self.items.evict_beyond(self.setup.memory_budget_bytes);
        true
    }

    /// Writes a checkpoint of an item that is in memory; whether it was.
    pub fn checkpoint(&mut self, item: &ItemId) -> Result<bool, Error> {
        let key = self.key_of(item)?;
        match self.items.checkpoint(key) {
            Some(taken) => self.put_checkpoint(key, taken?).map(|()| true),
            None => Ok(false),
        }
    }

    /// Drops an item from memory, with what waits for it; whether it was there.
    pub fn evict(&mut self, item: &ItemId) -> Result<bool, Error> {
        let key = self.key_of(item)?;
        Ok(self.items.evict(key))
    }

    /// Blocks of a feed from `from` on, synced before anybody sees them.
    pub fn read(&mut self, feed: &FeedKey, from: u64) -> Result<Option<Range>, Error> {
        let store = &self.device.store;
        let Some(record) = store.meta().feed_by_key(feed)? else { return Ok(None) };
        let range = read(store.feeds(), record.no, *feed, from, ReadLimit::default())?;
        if range.is_some() && self.unsynced && !self.setup.flaws.announces_unsynced {
            let synced = store.sync().map_err(Error::from);
            synced.inspect_err(|error| self.core.fail(error.clone()))?;
            self.unsynced = false;
        }
        Ok(range)
    }

    /// Gives this device a fresh feed and admits it.
    pub fn renew_feed(&mut self, now_millis: u64) -> Result<FeedKey, Error> {
        self.core.tell_time(now_millis);
        let mut turn = Turn::default();
        let feed = self.core.create_feed(Ed25519Signer::from_seed(&(self.seeds)()), &mut turn)?;
        self.commit(turn)?;
        Ok(feed)
    }

    /// The feed that this device writes to.
    pub fn own_feed(&self) -> Option<FeedKey> {
        self.core.own_feed()
    }

    /// How far every feed has come.
    pub fn status(&mut self) -> Result<PartyStatus, Error> {
        self.core.status()
    }

    /// Every item, deleted ones too.
    pub fn items(&self) -> Result<Vec<ItemInfo>, Error> {
        let mut records = Vec::new();
        let filter = ItemFilter { model: None, parent: None, deleted: None };
        let store = &self.device.store;
        store.items().scan(self.party, filter, None, &mut |record| {
            records.push(record);
            std::ops::ControlFlow::Continue(())
        })?;
        records.into_iter().map(|record| listing::item_info(store, record)).collect()
    }

    /// The blocks that are ignored.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, Error> {
        listing::quarantined(&self.device.store, self.party, usize::MAX)
    }

    /// Runs `look` on an item's model, with everything applied that waits for it.
    pub fn view<M: Model, R>(
        &mut self,
        item: &ItemId,
        look: impl FnOnce(&M) -> R,
    ) -> Result<R, Error> {
        let key = self.key_of(item)?;
        let state = self.items.current(key, *item, &self.setup)?;
        let model = state.model()?.as_any().downcast_ref::<M>();
        let looked =
            model.map(look).ok_or_else(|| Error::invalid("the item is of another model type"));
        self.items.evict_beyond(self.setup.memory_budget_bytes);
        looked
    }

    /// Bytes that are equal where model and metadata of an item are, with everything applied that waits
    /// for it.
    pub fn digest(&mut self, item: &ItemId) -> Result<Vec<u8>, Error> {
        let key = self.key_of(item)?;
        let digest = joined(self.items.current(key, *item, &self.setup)?.digest()?);
        self.items.evict_beyond(self.setup.memory_budget_bytes);
        digest
    }

    /// The same from all of the item's messages, without its checkpoint.
    pub fn replay_digest(&self, item: &ItemId) -> Result<Vec<u8>, Error> {
        let key = self.key_of(item)?;
        joined(self.items.replay(key, *item)?.digest()?)
    }

    /// What commits have made true since this was last asked, in order.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// What is bounded, as it stands.
    pub fn bounds(&self) -> Bounds {
        self.items.measure(self.core.bounds())
    }

    fn own_signer(&self) -> Result<Arc<dyn Signer>, Error> {
        let feed = self.own_feed().ok_or_else(crate::party::core::no_own_feed)?;
        let signer = self.device.secret(&feed)?;
        signer.ok_or_else(|| Error::corrupt("the secret of the own feed is missing"))
    }

    fn key_of(&self, item: &ItemId) -> Result<ItemKey, Error> {
        let key = self.device.store.items().key_of(self.party, item)?;
        key.ok_or_else(|| Error::invalid(format!("item {} is not known here", item.short())))
    }

    fn asked(&self, operation: Operation) -> Result<Asked, Error> {
        let mutate = |item: ItemId, mutation| {
            Ok(Asked::Mutate { item: self.key_of(&item)?, id: item, mutation })
        };
        let plain = |body| Ok(Asked::Plain(body));
        match operation {
            Operation::Create { model, version, parent, init, metadata } => {
                let parent = parent.map(|parent| self.key_of(&parent)).transpose()?;
                Ok(Asked::Create { model: model.to_owned(), version, parent, init, metadata })
            }
            Operation::Mutate { item, mutation } => mutate(item, LocalMutation::Model(mutation)),
            Operation::MutateMetadata { item, mutation } => {
                mutate(item, LocalMutation::Metadata(mutation))
            }
            Operation::Move { item, parent } => {
                let parent = parent.map(|parent| self.key_of(&parent)).transpose()?;
                plain(LocalBody::Move { item: self.key_of(&item)?, parent })
            }
            Operation::Delete { item } => {
                plain(LocalBody::Tombstone { item: self.key_of(&item)?, restore: false })
            }
            Operation::Restore { item } => {
                plain(LocalBody::Tombstone { item: self.key_of(&item)?, restore: true })
            }
        }
    }

    fn transact(
        &mut self,
        operations: Vec<Asked>,
        durability: Durability,
        now_millis: u64,
    ) -> Result<Receipt, Error> {
        self.core.tell_time(now_millis);
        let mut preparing = self.core.begin(None, operations, None)?;
        if let Err(error) = self.ask_items(&mut preparing) {
            for item in preparing.touched() {
                self.items.evict(item);
            }
            return Err(error);
        }
        let mut turn = Turn::default();
        let Laid { written, created } = self.core.lay_out(preparing, durability, &mut turn)?;
        for (key, id, state) in created {
            self.items.insert(key, id, state);
        }
        self.commit(turn)?;
        self.tidy()?;
        Ok(written.receipt)
    }

    fn ask_items(&mut self, preparing: &mut Preparing) -> Result<(), Error> {
        while let Some(ask) = self.core.next(preparing)? {
            let operation = ask.operation;
            preparing.answered(operation, self.items.mutate(ask, &self.setup)?)?;
        }
        Ok(())
    }

    fn keep_up(&mut self, now_millis: u64) -> Result<(), Error> {
        if !self.core.needs_upkeep() {
            return Ok(());
        }
        self.core.tell_time(now_millis);
        let mut turn = Turn::default();
        self.core.keep_up(Ed25519Signer::from_seed(&(self.seeds)()), &mut turn)?;
        self.commit(turn)
    }

    /// Checkpoints what is due and evicts what is beyond the budget.
    fn tidy(&mut self) -> Result<(), Error> {
        for key in self.items.due(&self.setup) {
            // A broken item has no checkpoint any more.
            if let Some(Ok(taken)) = self.items.checkpoint(key) {
                self.put_checkpoint(key, taken)?;
            }
        }
        self.items.evict_beyond(self.setup.memory_budget_bytes);
        Ok(())
    }

    fn put_checkpoint(&mut self, key: ItemKey, taken: (u64, Vec<u8>)) -> Result<(), Error> {
        let mut turn = Turn::default();
        let (ordinal, bytes) = taken;
        self.device.store.items().put_checkpoint(&mut turn.batch, key, ordinal, &bytes);
        self.commit(turn)
    }

    fn commit(&mut self, mut turn: Turn) -> Result<(), Error> {
        if let Some(error) = self.core.failure() {
            return Err(error);
        }
        if turn.is_empty() {
            return Ok(());
        }
        if self.setup.flaws.forgets_parked {
            forget_parked(&mut turn.effects, |feed| self.core.feed_key(feed));
        }
        let messages = self.messages(&turn.effects);
        let mut told = self.core.close_turn(&mut turn)?;
        let durability = turn.durability();
        let written = self.device.store.commit(std::mem::take(&mut turn.batch), durability);
        if let Err(error) = written {
            let error = Error::from(error);
            self.core.fail(error.clone());
            return Err(error);
        }
        self.unsynced = durability == Durability::Buffered;
        self.core.committed(&mut told);
        for (item, seen) in messages {
            let id = self.core.item_id(item)?;
            self.seen.push(seen(id));
        }
        for (item, batch) in told.deliveries {
            let id = self.core.item_id(item)?;
            self.items.hand_over(item, id, batch, &self.setup);
        }
        self.seen.extend(told.events.into_iter().map(|event| match event {
            Event::Quarantined { feed, seq, code, .. } => Seen::Quarantined { feed, seq, code },
            event => Seen::Event(event),
        }));
        Ok(())
    }

    /// The messages among effects, as they will have been seen.
    fn messages(&self, effects: &[Effect]) -> Vec<(ItemKey, impl FnOnce(ItemId) -> Seen + use<>)> {
        let messages = effects.iter().filter_map(|effect| match effect {
            Effect::Message { item, entry, key, past, .. } => {
                let past = past.entries().iter();
                let named = past.map(|(feed, length)| (self.core.feed_key(*feed), *length));
                let mut past: Vec<_> = named.collect();
                past.sort_unstable();
                let (feed, seq, lamport, label) = (*key, entry.seq, entry.lamport, entry.label);
                let seen = move |item| Seen::Message { item, feed, seq, lamport, past, label };
                Some((*item, seen))
            }
            _ => None,
        });
        messages.collect()
    }
}

/// Leaves out the credentials that do not count yet.
fn forget_parked(effects: &mut Vec<Effect>, key: impl Fn(systole_store::FeedNo) -> FeedKey) {
    let parked: Vec<(FeedKey, u64)> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Event(Event::CredentialParked { feed, seq, .. }) => Some((*feed, *seq)),
            _ => None,
        })
        .collect();
    effects.retain(|effect| match effect {
        Effect::Credential { feed, seq, .. } => !parked.contains(&(key(*feed), *seq)),
        _ => true,
    });
}

fn joined((model, metadata): (Vec<u8>, Vec<u8>)) -> Result<Vec<u8>, Error> {
    let mut bytes = (model.len() as u64).to_be_bytes().to_vec();
    bytes.extend_from_slice(&model);
    bytes.extend_from_slice(&metadata);
    Ok(bytes)
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("party", &self.party).finish_non_exhaustive()
    }
}
