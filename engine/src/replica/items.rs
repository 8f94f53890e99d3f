//! The items of a replica that are in memory, each with a mailbox that is emptied by hand.
//!
//! Invariants:
//! - a mailbox is first in, first out, and whatever is asked of an item comes after what waits for it;
//! - an item that goes loses nothing: what waited for it stands in its log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use systole_proto::ItemId;
use systole_store::ItemKey;

use super::{Bounds, Setup};
use crate::Error;
use crate::device::Device;
use crate::item::actor::LocalMutation;
use crate::item::state::{Incoming, ItemState};
use crate::party::core::Ask;
use crate::snapshot::{self, Loader};
use crate::telemetry::Telemetry;

struct Resident {
    state: ItemState,
    waiting: VecDeque<Vec<Incoming>>,
    /// Messages and bytes since the last checkpoint.
    tail: (u64, u64),
    used: u64,
}

/// See the [module](self).
pub(super) struct Items {
    device: Arc<Device>,
    telemetry: Arc<Telemetry>,
    items: BTreeMap<ItemKey, Resident>,
    /// The tails of items that are not in memory.
    cold: BTreeMap<ItemKey, (ItemId, u64, u64)>,
    ticks: u64,
}

impl Items {
    pub(super) fn new(device: Arc<Device>, telemetry: Arc<Telemetry>) -> Self {
        Self { device, telemetry, items: BTreeMap::new(), cold: BTreeMap::new(), ticks: 0 }
    }

    /// A new item, as its local author made it.
    pub(super) fn insert(&mut self, key: ItemKey, _: ItemId, state: ItemState) {
        self.ticks += 1;
        let resident = Resident { state, waiting: VecDeque::new(), tail: (1, 0), used: self.ticks };
        self.items.insert(key, resident);
    }

    /// Written messages for an item.
    pub(super) fn hand_over(
        &mut self,
        key: ItemKey,
        id: ItemId,
        batch: Vec<Incoming>,
        setup: &Setup,
    ) {
        let Some(resident) = self.items.get_mut(&key) else {
            let tail = self.cold.entry(key).or_insert((id, 0, 0));
            tail.1 += batch.len() as u64;
            tail.2 += bytes_of(&batch);
            return;
        };
        if resident.waiting.len() >= setup.mailbox {
            if setup.flaws.drops_on_overflow {
                return;
            }
            self.apply_oldest(key, setup);
        }
        let resident = self.items.get_mut(&key).expect("looked up above");
        resident.waiting.push_back(batch);
    }

    /// The n-th item, counted around, of those for which something waits.
    pub(super) fn nth_waiting(&self, n: usize) -> Option<ItemKey> {
        let waiting = || self.items.iter().filter(|(_, item)| !item.waiting.is_empty());
        let count = waiting().count();
        waiting().nth(n.checked_rem(count)?).map(|(key, _)| *key)
    }

    /// The item applies the oldest batch that waits for it.
    pub(super) fn apply_oldest(&mut self, key: ItemKey, setup: &Setup) {
        let Some(resident) = self.items.get_mut(&key) else { return };
        let Some(batch) = resident.waiting.pop_front() else { return };
        resident.tail.0 += batch.len() as u64;
        resident.tail.1 += bytes_of(&batch);
        // A broken item says so when it is asked.
        let broke = resident.state.apply(batch).is_err();
        if broke && setup.flaws.spreads_panics {
            for (_, neighbour) in self.items.iter_mut().filter(|(other, _)| **other != key) {
                neighbour.waiting.clear();
            }
        }
    }

    /// The item, brought into memory, with everything applied that waits for it.
    pub(super) fn current(
        &mut self,
        key: ItemKey,
        id: ItemId,
        setup: &Setup,
    ) -> Result<&mut ItemState, Error> {
        if !self.items.contains_key(&key) {
            let loader = self.loader(key, id);
            let (state, tail) = if setup.flaws.loses_tail_on_eviction {
                match loader.load_checkpoint()? {
                    Some(state) => (state, (0, 0)),
                    None => (loader.replay(0)?, (0, 0)),
                }
            } else {
                let (state, tail) = loader.load()?;
                (state, (tail.messages, tail.bytes))
            };
            self.cold.remove(&key);
            let resident = Resident { state, waiting: VecDeque::new(), tail, used: 0 };
            self.items.insert(key, resident);
        }
        while self.items.get(&key).is_some_and(|resident| !resident.waiting.is_empty()) {
            self.apply_oldest(key, setup);
        }
        self.ticks += 1;
        let resident = self.items.get_mut(&key).expect("brought above");
        resident.used = self.ticks;
        Ok(&mut resident.state)
    }

    /// A local mutation, applied where it will stand.
    pub(super) fn mutate(&mut self, ask: Ask, setup: &Setup) -> Result<bytes::Bytes, Error> {
        let Ask { item, id, mutation, at, .. } = ask;
        let state = self.current(item, id, setup)?;
        let (payload, _) = match mutation {
            LocalMutation::Model(mutation) => state.mutate(mutation, &at)?,
            LocalMutation::Metadata(mutation) => state.mutate_metadata(mutation, &at)?,
        };
        let resident = self.items.get_mut(&item).expect("brought above");
        resident.tail.0 += 1;
        resident.tail.1 += payload.len() as u64;
        Ok(payload)
    }

    /// The item from all of its messages, beside what is in memory.
    pub(super) fn replay(&self, key: ItemKey, id: ItemId) -> Result<ItemState, Error> {
        self.loader(key, id).replay(u64::MAX)
    }

    /// A checkpoint of what an item in memory has applied so far.
    pub(super) fn checkpoint(&mut self, key: ItemKey) -> Option<Result<(u64, Vec<u8>), Error>> {
        let resident = self.items.get_mut(&key)?;
        resident.tail = (0, 0);
        Some(snapshot::encode(&mut resident.state))
    }

    /// Drops an item from memory.
    pub(super) fn evict(&mut self, key: ItemKey) -> bool {
        self.items.remove(&key).is_some()
    }

    /// Items whose tail has grown too long; those not in memory are loaded for it.
    pub(super) fn due(&mut self, setup: &Setup) -> Vec<ItemKey> {
        let policy = &setup.checkpoints;
        let cold: Vec<_> = self
            .cold
            .iter()
            .filter(|(_, (_, messages, bytes))| policy.is_due(*messages, *bytes))
            .map(|(key, (id, ..))| (*key, *id))
            .collect();
        for (key, id) in cold {
            // What cannot be loaded has no checkpoint.
            let _ = self.current(key, id, setup);
            self.cold.remove(&key);
        }
        let due = self.items.iter().filter(|(_, item)| {
            item.state.broken().is_none() && policy.is_due(item.tail.0, item.tail.1)
        });
        due.map(|(key, _)| *key).collect()
    }

    /// Drops items used longest ago while all of them hold more than `budget` bytes.
    pub(super) fn evict_beyond(&mut self, budget: usize) {
        while self.resident_bytes() > budget {
            let coldest = self.items.iter().min_by_key(|(_, item)| item.used);
            let Some((key, _)) = coldest else { return };
            let key = *key;
            self.items.remove(&key);
        }
    }

    /// Adds what items hold to `bounds`.
    pub(super) fn measure(&self, bounds: Bounds) -> Bounds {
        let waiting = self.items.values().map(|item| item.waiting.len());
        Bounds {
            waiting_batches_max: waiting.max().unwrap_or(0),
            resident_bytes: self.resident_bytes(),
            resident: self.items.len(),
            ..bounds
        }
    }

    fn resident_bytes(&self) -> usize {
        self.items.values().map(|item| item.state.memory_bytes()).sum()
    }

    fn loader(&self, key: ItemKey, id: ItemId) -> Loader {
        let (store, registry) = (self.device.store.clone(), self.device.registry.clone());
        Loader::new(store, registry, self.telemetry.clone(), key, id)
    }
}

fn bytes_of(batch: &[Incoming]) -> u64 {
    batch.iter().map(|incoming| incoming.payload.len() as u64).sum()
}
