//! One simulated device: a disk, the engine's own logic on it, a clock that may be wrong. The only
//! file that touches the engine's hidden door.
//!
//! Invariants:
//! - keys of a device follow from the seed, and a key is never made twice, whatever is restored: real
//!   randomness does not repeat either;
//! - whatever the engine processed is fetched from it before it is dropped for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use systole::replica::{Replica, Setup};
use systole::{
    AdmissionRequest, CheckpointPolicy, Durability, Ed25519Signer, Error, FeedKey, Ingested,
    ItemId, ItemInfo, PartyKey, PartyStatus, Quarantined, Range, Receipt,
};
use systole_models::{Model, ModelRegistry};
use systole_store::{ItemKey, Store};

pub use systole::replica::Flaws;
pub(crate) use systole::replica::{Bounds, Operation, Seen};

use crate::backend::{Disk, Image};
use crate::random::{Random, derived};

/// What a device is opened with; a restart may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Batches that may wait at one item.
    pub(crate) mailbox: usize,
    /// Messages between checkpoints of an item.
    pub(crate) checkpoint_messages: u64,
    pub(crate) memory_budget_bytes: usize,
    /// Which of the simulation's models are registered, a bit for each.
    pub(crate) models: u32,
}

/// What follows from who the device is.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) party: PartyKey,
    device: [u8; 32],
    /// Of this device and all its copies: how many keys were made.
    keys: Arc<AtomicU64>,
    seed: u64,
}

impl Identity {
    pub(crate) fn new(party: PartyKey, seed: u64, number: u64) -> Self {
        let seed = derived(seed, 0x1000 + number);
        let device = Random::new(derived(seed, 1)).bytes();
        Self { party, device, keys: Arc::default(), seed }
    }

    fn seeds(&self) -> Box<dyn FnMut() -> [u8; 32] + Send> {
        let Self { keys, seed, .. } = self.clone();
        Box::new(move || Random::new(derived(seed, 16 + keys.fetch_add(1, Relaxed))).bytes())
    }
}

/// One device.
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
    /// How far its clock is ahead of the world's, in milliseconds.
    pub(crate) clock_ahead: i64,
    /// The latest time that its clock has shown.
    pub(crate) clock_latest: u64,
    pub(crate) disk: Arc<Disk>,
    place: Vec<u8>,
    store: Option<Store>,
    replica: Option<Replica>,
}

impl Device {
    /// A device that was never opened.
    pub(crate) fn new(identity: Identity, settings: Settings, disk: Disk, place: Vec<u8>) -> Self {
        let disk = Arc::new(disk);
        let (clock_ahead, clock_latest) = (0, 0);
        Self {
            identity,
            settings,
            clock_ahead,
            clock_latest,
            disk,
            place,
            store: None,
            replica: None,
        }
    }

    /// Puts another disk into the device. `place` says where it stands: a copy stands elsewhere.
    pub(crate) fn replace_disk(
        &mut self,
        image: &Image,
        splits_positions: bool,
        place: Option<Vec<u8>>,
    ) {
        self.close();
        self.disk = Arc::new(Disk::holding(image, splits_positions));
        self.place = place.unwrap_or_else(|| self.place.clone());
    }

    /// Ends the engine without asking it.
    pub(crate) fn close(&mut self) {
        self.replica = None;
        self.store = None;
    }

    /// Opens the engine on what the disk holds.
    pub(crate) fn open(
        &mut self,
        registry: ModelRegistry,
        flaws: Flaws,
        now: u64,
    ) -> Result<(), Error> {
        self.close();
        let store = Store::with_backend_at(self.disk.clone(), &self.place)?;
        let setup = Setup {
            registry,
            checkpoints: CheckpointPolicy {
                messages_max: self.settings.checkpoint_messages,
                ..CheckpointPolicy::default()
            },
            memory_budget_bytes: self.settings.memory_budget_bytes,
            mailbox: self.settings.mailbox,
            flaws,
        };
        let signer = Ed25519Signer::from_seed(&self.identity.device);
        let (party, seeds) = (self.identity.party, self.identity.seeds());
        let now = self.now(now);
        let replica = Replica::open(store.clone(), party, signer, setup, seeds, now)?;
        (self.store, self.replica) = (Some(store), Some(replica));
        Ok(())
    }

    pub(crate) fn found(&mut self, founder: &Ed25519Signer, now: u64) -> Result<(), Error> {
        let now = self.now(now);
        self.replica().found(founder, now)
    }

    pub(crate) fn request(&mut self) -> Result<AdmissionRequest, Error> {
        self.replica().admission_request()
    }

    pub(crate) fn admit(&mut self, request: &AdmissionRequest, now: u64) -> Result<Receipt, Error> {
        let now = self.now(now);
        self.replica().admit(request.clone(), now)
    }

    pub(crate) fn write(
        &mut self,
        operations: Vec<Operation>,
        durability: Durability,
        now: u64,
    ) -> Result<Receipt, Error> {
        let now = self.now(now);
        self.replica().write(operations, durability, now)
    }

    pub(crate) fn ingest(&mut self, range: Range, now: u64) -> Result<Ingested, Error> {
        let now = self.now(now);
        self.replica().ingest(range, now)
    }

    pub(crate) fn process(&mut self, blocks_max: usize, now: u64) -> Result<usize, Error> {
        let now = self.now(now);
        self.replica().process(blocks_max, now)
    }

    pub(crate) fn apply(&mut self, pick: usize) -> bool {
        self.replica().deliver(pick)
    }

    pub(crate) fn checkpoint(&mut self, item: &ItemId) -> Result<bool, Error> {
        self.replica().checkpoint(item)
    }

    pub(crate) fn evict(&mut self, item: &ItemId) -> Result<bool, Error> {
        self.replica().evict(item)
    }

    pub(crate) fn read(&mut self, feed: &FeedKey, from: u64) -> Result<Option<Range>, Error> {
        self.replica().read(feed, from)
    }

    pub(crate) fn renew_feed(&mut self, now: u64) -> Result<FeedKey, Error> {
        let now = self.now(now);
        self.replica().renew_feed(now)
    }

    pub(crate) fn own_feed(&mut self) -> Option<FeedKey> {
        self.replica().own_feed()
    }

    pub(crate) fn status(&mut self) -> Result<PartyStatus, Error> {
        self.replica().status()
    }

    pub(crate) fn items(&mut self) -> Result<Vec<ItemInfo>, Error> {
        self.replica().items()
    }

    pub(crate) fn quarantined(&mut self) -> Result<Vec<Quarantined>, Error> {
        self.replica().quarantined()
    }

    pub(crate) fn view<M: Model, R>(
        &mut self,
        item: &ItemId,
        look: impl FnOnce(&M) -> R,
    ) -> Result<R, Error> {
        self.replica().view(item, look)
    }

    pub(crate) fn digest(&mut self, item: &ItemId) -> Result<Vec<u8>, Error> {
        self.replica().digest(item)
    }

    pub(crate) fn replay_digest(&mut self, item: &ItemId) -> Result<Vec<u8>, Error> {
        self.replica().replay_digest(item)
    }

    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        self.replica.as_mut().map(Replica::take_seen).unwrap_or_default()
    }

    pub(crate) fn bounds(&mut self) -> Bounds {
        self.replica().bounds()
    }

    /// The bytes that stand at a position, asked of the disk and not of the engine.
    pub(crate) fn block(&self, feed: &FeedKey, seq: u64) -> Result<Option<Bytes>, Error> {
        let store = self.store();
        let Some(no) = store.meta().feed_no(feed)? else { return Ok(None) };
        Ok(store.feeds().block(no, seq)?)
    }

    /// The messages that an item's log lists, in its order: feed, position, label, Lamport number.
    pub(crate) fn log(&self, item: &ItemId) -> Result<Vec<(FeedKey, u64, u32, u64)>, Error> {
        let store = self.store();
        let Some(party) = store.meta().party_by_key(&self.identity.party)? else {
            return Ok(Vec::new());
        };
        let Some(key) = store.items().key_of(party.no, item)? else { return Ok(Vec::new()) };
        self.log_of(store, key)
    }

    fn log_of(&self, store: &Store, key: ItemKey) -> Result<Vec<(FeedKey, u64, u32, u64)>, Error> {
        let mut entries = Vec::new();
        store.items().scan_log(key, 0, &mut |entry| {
            entries.push(entry);
            std::ops::ControlFlow::Continue(())
        })?;
        let mut log = Vec::with_capacity(entries.len());
        for entry in entries {
            let feed = store.meta().feed(entry.feed)?.map_or(FeedKey([0; 32]), |feed| feed.key);
            log.push((feed, entry.seq, entry.label, entry.lamport));
        }
        Ok(log)
    }

    /// What the device's clock shows.
    fn now(&mut self, now: u64) -> u64 {
        let now = now.saturating_add_signed(self.clock_ahead);
        self.clock_latest = self.clock_latest.max(now);
        now
    }

    /// The time that the last processed block of a feed claims.
    pub(crate) fn stamp(&self, feed: &FeedKey) -> Result<u64, Error> {
        let meta = self.store().meta();
        let position = match meta.feed_no(feed)? {
            Some(no) => meta.position(no)?,
            None => None,
        };
        Ok(position.map_or(0, |position| position.stamp.millis))
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("a device is open whenever a step ends")
    }

    fn replica(&mut self) -> &mut Replica {
        self.replica.as_mut().expect("a device is open whenever a step ends")
    }
}
