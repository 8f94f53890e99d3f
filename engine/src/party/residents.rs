//! Which items of a party are in memory, and how they come in and go out.
//!
//! Invariants:
//! - an item that is evicted loses nothing: its messages are in its log, its checkpoint is optional;
//! - an item somebody watches is never evicted;
//! - the estimate of all residents of an engine together stands in its counters, so the budget holds
//!   for all parties at once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use systole_proto::ItemId;
use systole_store::ItemKey;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::applying::Applying;
use super::core::Ask;
use super::pace::Applies;
use super::tails::Tails;
use crate::Error;
use crate::item::actor::{Args, Command, ItemHandle, Resident, Start, Taken};
use crate::item::gauge::Gauge;
use crate::item::state::{Incoming, ItemState};
use crate::settings::{ACTOR_BYTES, BACKGROUND_CHECKPOINTS_MAX, ITEMS_DUE_MAX};
use crate::shared::Shared;
use crate::snapshot::Loader;
use crate::telemetry::Telemetry;

/// How often residency is looked at while nothing else happens.
pub(crate) const ROUND: std::time::Duration = std::time::Duration::from_secs(1);

/// How many turns, and items brought into memory, lie between two looks at what residents hold.
const COUNT_EVERY: u64 = 64;
const BROUGHT_MAX: usize = 64;

/// Turns for which an item that is not in memory may wait for a checkpoint that it is due for.
const TURNS_DUE_MAX: u64 = 64;

/// One resident item as the party sees it.
struct Entry {
    resident: Resident,
    /// When the party last had to do with it, in ticks.
    used: u64,
    /// The bytes that the engine's counter holds for it.
    counted_bytes: u64,
    /// Rounds since something was last seen of it.
    idle_rounds: u32,
    /// What was seen of it in the last round.
    seen: u64,
}

/// A party's resident items.
pub(crate) struct Residents {
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
    items: BTreeMap<ItemKey, Entry>,
    /// Checkpoints that were asked for and have not come. One that is on its way must not hold a local
    /// mutation that may yet be refused, so there is one of an item at a time.
    asked: BTreeMap<ItemKey, oneshot::Receiver<Taken>>,
    ending: JoinSet<()>,
    turn: u64,
    /// Items that were handed messages which they need not have applied yet.
    unapplied: Vec<ItemKey>,
    applying: Applying,
    /// Items brought into memory since residents were last counted.
    brought: usize,
    /// Messages and bytes since a checkpoint, of items that are not in memory.
    cold: Tails,
    /// Items not in memory that are due for a checkpoint; at most [`ITEMS_DUE_MAX`]. They are taken by turns,
    /// from behind the last one on.
    due: BTreeMap<ItemKey, ItemId>,
    last_due: Option<ItemKey>,
    /// The turn in which there came to be some, or some were last taken.
    due_since: u64,
}

impl Residents {
    pub(crate) fn new(shared: Arc<Shared>, telemetry: Arc<Telemetry>) -> Self {
        Self {
            shared,
            telemetry,
            items: BTreeMap::new(),
            asked: BTreeMap::new(),
            ending: JoinSet::new(),
            turn: 0,
            unapplied: Vec::new(),
            applying: Applying::default(),
            brought: 0,
            cold: Tails::default(),
            due: BTreeMap::new(),
            last_due: None,
            due_since: 0,
        }
    }

    /// The item, if it is in memory.
    pub(crate) fn get(&mut self, key: ItemKey) -> Option<&Resident> {
        let tick = self.telemetry.tick();
        self.items.get_mut(&key).map(|entry| {
            entry.used = tick;
            &entry.resident
        })
    }

    /// The item, brought into memory if it is not there; `state` where it is already known.
    pub(crate) fn bring(
        &mut self,
        key: ItemKey,
        id: ItemId,
        state: Option<ItemState>,
    ) -> &Resident {
        let start = state.map(|state| Start::There(Box::new(state)));
        &self.entry(key, id, start).resident
    }

    /// Items, brought into memory together if they are not there.
    pub(crate) fn bring_together(&mut self, items: Vec<(ItemKey, ItemId)>) -> Vec<ItemHandle> {
        let absent = items.iter().filter(|(key, _)| !self.items.contains_key(key));
        let absent: BTreeMap<ItemKey, ItemId> = absent.copied().collect();
        let loaders = absent.iter().map(|(key, id)| self.loader(*key, *id));
        let loading = self.shared.loads.request(loaders);
        for ((key, id), loading) in absent.into_iter().zip(loading) {
            self.entry(key, id, Some(Start::Loading(loading)));
        }
        items.into_iter().map(|(key, id)| self.bring(key, id, None).handle()).collect()
    }

    fn loader(&self, key: ItemKey, id: ItemId) -> Loader {
        let device = &self.shared.device;
        let (store, registry) = (device.store.clone(), device.registry.clone());
        Loader::new(store, registry, self.telemetry.clone(), key, id)
    }

    fn entry(&mut self, key: ItemKey, id: ItemId, start: Option<Start>) -> &mut Entry {
        if !self.items.contains_key(&key) {
            self.cold.remove(key);
            let loader = self.loader(key, id);
            let start = start.unwrap_or_else(|| {
                let loading = self.shared.loads.request([loader.clone()]).pop();
                Start::Loading(loading.expect("one was asked for"))
            });
            let args = Args {
                loader,
                gauge: Arc::new(Gauge::default()),
                telemetry: self.telemetry.clone(),
                loads: self.shared.loads.clone(),
                start,
            };
            self.brought += 1;
            self.telemetry.live.resident.fetch_add(1, Relaxed);
            self.telemetry.live.resident_bytes.fetch_add(ACTOR_BYTES as u64, Relaxed);
            let entry = Entry {
                resident: Resident::spawn(args),
                used: 0,
                counted_bytes: ACTOR_BYTES as u64,
                idle_rounds: 0,
                seen: 0,
            };
            self.items.insert(key, entry);
        }
        let entry = self.items.get_mut(&key).expect("inserted above");
        entry.used = self.telemetry.tick();
        entry
    }

    /// Has an item apply a local mutation at once, or gives it back where something of the party waits
    /// in the item's mailbox or it is not loaded.
    pub(crate) fn mutate_now(&mut self, ask: Ask) -> Result<Result<Bytes, Error>, Box<Ask>> {
        let Ask { operation, item, id, mutation, at } = ask;
        let awaits_checkpoint = self.asked.contains_key(&item);
        let entry = self.entry(item, id, None);
        let mutated = match awaits_checkpoint {
            true => Err(Box::new((mutation, at))),
            false => entry.resident.mutate_now(mutation, at),
        };
        mutated.map_err(|given_back| {
            let (mutation, at) = *given_back;
            Box::new(Ask { operation, item, id, mutation, at })
        })
    }

    /// Hands written messages over to an item, which need not apply them before it is told to; whether it
    /// is in memory.
    pub(crate) async fn hand_over(&mut self, key: ItemKey, messages: Vec<Incoming>) -> bool {
        let Some(resident) = self.get(key) else { return false };
        match resident.deliver(messages).await {
            Ok(true) => {}
            Ok(false) => self.unapplied.push(key),
            // It reads its log when it is loaded again.
            Err(error) => tracing::debug!(%key, %error, "messages not handed over"),
        }
        true
    }

    /// Whether items were handed messages which they need not have applied yet.
    pub(crate) fn has_unapplied(&self) -> bool {
        !self.unapplied.is_empty()
    }

    /// Has items apply what they were handed. Waits only until the ones before are done.
    pub(crate) async fn apply(&mut self, applies: Applies) {
        if applies == Applies::Nobody {
            return;
        }
        let (mut still, mut reached) = (Vec::new(), Vec::new());
        for key in std::mem::take(&mut self.unapplied) {
            let Some(entry) = self.items.get(&key) else { continue };
            if applies == Applies::All || entry.resident.is_watched() {
                reached.push(entry.resident.reach());
            } else {
                still.push(key);
            }
        }
        self.unapplied = still;
        self.applying.begin(reached).await;
    }

    /// Messages for an item that is not in memory went into its log; whether it is due for a checkpoint
    /// ([`Self::is_due`]).
    pub(crate) fn missed(&mut self, key: ItemKey, messages: u64, bytes: u64) -> bool {
        let tail = self.cold.add(key, messages, bytes);
        // Beyond the bound it becomes due again with its next message.
        let due = self.shared.settings.checkpoints.is_due(tail.0, tail.1)
            && self.due.len() < ITEMS_DUE_MAX;
        if due {
            self.cold.remove(key);
        }
        due
    }

    /// An item that is not in memory is to be checkpointed.
    pub(crate) fn is_due(&mut self, key: ItemKey, id: ItemId) {
        if self.due.is_empty() {
            self.due_since = self.turn;
        }
        self.due.insert(key, id);
    }

    /// A turn has ended: counts, asks for checkpoints that are due, and evicts what the budget does
    /// not allow. While `more` is to be processed, items that are not in memory wait for their checkpoints
    /// for some turns, or until they are many: what is loaded together is read once.
    pub(crate) async fn end_turn(&mut self, thorough: bool, more: bool) {
        self.turn += 1;
        let waited = self.turn - self.due_since > TURNS_DUE_MAX;
        if !more || waited || self.due.len() >= BACKGROUND_CHECKPOINTS_MAX {
            self.ask_due();
        }
        if !thorough && !self.turn.is_multiple_of(COUNT_EVERY) && self.brought < BROUGHT_MAX {
            return;
        }
        self.brought = 0;
        self.count();
        let policy = self.shared.settings.checkpoints;
        let due: Vec<ItemKey> = self
            .items
            .iter()
            .filter(|(key, entry)| {
                let (messages, bytes) = entry.resident.gauge.since_checkpoint();
                let idle = ROUND * entry.idle_rounds;
                !self.asked.contains_key(key)
                    && !entry.resident.gauge.is_broken()
                    && (policy.is_due(messages, bytes) || policy.is_due_idle(messages, idle))
            })
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.ask_checkpoint(key).await;
        }
        self.evict().await;
    }

    /// Whether so many items came into memory that the budget must be looked at. Items come without
    /// any turn where a party is only read.
    pub(crate) fn are_many_fresh(&self) -> bool {
        self.brought >= BROUGHT_MAX
    }

    /// A round without a turn has passed: whoever was not used meanwhile is a round longer idle.
    pub(crate) fn round(&mut self) {
        for entry in self.items.values_mut() {
            let seen = entry.resident.gauge.used();
            entry.idle_rounds = if seen == entry.seen { entry.idle_rounds + 1 } else { 0 };
            entry.seen = seen;
        }
    }

    /// Checkpoints that have come since this was last asked. They cover only messages that were
    /// written before or are in the batch that is about to be written.
    pub(crate) fn take_checkpoints(&mut self) -> Vec<(ItemKey, u64, Vec<u8>)> {
        let mut taken = Vec::new();
        let mut still = BTreeMap::new();
        for (key, mut receiver) in std::mem::take(&mut self.asked) {
            match receiver.try_recv() {
                Ok(answer) => arrived(key, Some(answer), &mut taken),
                Err(oneshot::error::TryRecvError::Empty) => {
                    still.insert(key, receiver);
                }
                Err(oneshot::error::TryRecvError::Closed) => arrived(key, None, &mut taken),
            }
        }
        self.asked = still;
        taken
    }

    /// Whether checkpoints are on their way or have yet to be asked for.
    pub(crate) fn is_busy(&self) -> bool {
        !self.asked.is_empty() || !self.due.is_empty()
    }

    /// Asks every item with a tail worth it for a last checkpoint, ends all items, and waits for both.
    pub(crate) async fn close(&mut self) -> Vec<(ItemKey, u64, Vec<u8>)> {
        self.applying.finish().await;
        let policy = self.shared.settings.checkpoints;
        let worth: Vec<ItemKey> = self
            .items
            .iter()
            .filter(|(_, entry)| {
                let (messages, _) = entry.resident.gauge.since_checkpoint();
                messages >= policy.idle_messages_min.max(1)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in worth {
            self.ask_checkpoint(key).await;
        }
        for (_, entry) in std::mem::take(&mut self.items) {
            self.forget(entry);
        }
        while self.ending.join_next().await.is_some() {}
        let mut taken = Vec::new();
        for (key, receiver) in std::mem::take(&mut self.asked) {
            arrived(key, receiver.await.ok(), &mut taken);
        }
        taken
    }

    /// Has items checkpointed whose tail has grown too long while they were not in memory.
    fn ask_due(&mut self) {
        // Those before are to be out of the way; what has gathered meanwhile is loaded together.
        if self.due.is_empty() || !self.asked.is_empty() {
            return;
        }
        self.due_since = self.turn;
        let due = std::iter::from_fn(|| take_behind(&mut self.due, &mut self.last_due))
            // One that was brought into memory meanwhile is treated as all those.
            .filter(|(key, _)| !self.items.contains_key(key))
            .take(BACKGROUND_CHECKPOINTS_MAX);
        let due: Vec<_> = due.collect();
        let loaders = due.iter().map(|(key, id)| self.loader(*key, *id));
        let asked = self.shared.loads.checkpoints(loaders);
        self.asked.extend(due.into_iter().map(|(key, _)| key).zip(asked));
    }

    /// Asks an item in memory for a checkpoint; whether it was.
    async fn ask_checkpoint(&mut self, key: ItemKey) -> bool {
        let Some(entry) = self.items.get(&key) else { return false };
        if self.asked.contains_key(&key) {
            return false;
        }
        let (reply, answer) = oneshot::channel();
        let asked = entry.resident.handle().send(Command::Checkpoint(reply)).await.is_ok();
        if asked {
            self.asked.insert(key, answer);
        }
        asked
    }

    fn count(&mut self) {
        for entry in self.items.values_mut() {
            let bytes = (entry.resident.gauge.memory_bytes() + ACTOR_BYTES) as u64;
            let live = &self.telemetry.live.resident_bytes;
            live.fetch_add(bytes, Relaxed);
            live.fetch_sub(entry.counted_bytes, Relaxed);
            entry.counted_bytes = bytes;
        }
    }

    async fn evict(&mut self) {
        let budget = self.shared.settings.memory_budget_bytes as u64;
        let over = |residents: &Self| {
            residents.telemetry.live.resident_bytes.load(Relaxed).saturating_sub(budget)
        };
        if over(self) == 0 {
            return;
        }
        let mut coldest: Vec<(u64, ItemKey)> = self
            .items
            .iter()
            .filter(|(_, entry)| !entry.resident.is_watched())
            .map(|(key, entry)| (entry.used.max(entry.resident.gauge.used()), *key))
            .collect();
        coldest.sort_unstable();
        let policy = self.shared.settings.checkpoints;
        for (_, key) in coldest {
            if over(self) == 0 {
                break;
            }
            let entry = &self.items[&key];
            let (messages, _) = entry.resident.gauge.since_checkpoint();
            let worth = messages >= policy.idle_messages_min.max(1);
            let asked = worth && self.ask_checkpoint(key).await;
            if let Some(entry) = self.items.remove(&key) {
                let tail = entry.resident.gauge.since_checkpoint();
                if tail.0 > 0 && !asked {
                    self.cold.add(key, tail.0, tail.1);
                }
                self.forget(entry);
            }
        }
    }

    fn forget(&mut self, entry: Entry) {
        self.telemetry.live.resident.fetch_sub(1, Relaxed);
        self.telemetry.live.resident_bytes.fetch_sub(entry.counted_bytes, Relaxed);
        self.ending.spawn(entry.resident.stop());
        while self.ending.try_join_next().is_some() {}
    }

    /// Loads items anew, for local mutations of them were undone.
    pub(crate) async fn reload(&mut self, keys: &[ItemKey]) -> Result<(), Error> {
        let mut loading = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(entry) = self.items.get(key) else { continue };
            let (reply, done) = oneshot::channel();
            entry.resident.handle().send(Command::Reload(reply)).await?;
            loading.push(done);
        }
        for done in loading {
            done.await.map_err(|_| Error::closed("the item"))?;
        }
        Ok(())
    }
}

/// Takes the first item behind the last that was taken; behind all of them it begins anew.
fn take_behind(
    due: &mut BTreeMap<ItemKey, ItemId>,
    last: &mut Option<ItemKey>,
) -> Option<(ItemKey, ItemId)> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    let next = due.range((from, Bound::Unbounded)).next().or_else(|| due.iter().next())?;
    let key = *next.0;
    *last = Some(key);
    due.remove_entry(&key)
}

/// Keeps a checkpoint that has come, if it did.
fn arrived(key: ItemKey, answer: Option<Taken>, taken: &mut Vec<(ItemKey, u64, Vec<u8>)>) {
    match answer {
        Some(Ok((ordinal, bytes))) => taken.push((key, ordinal, bytes)),
        Some(Err(error)) => tracing::warn!(%key, %error, "an item could not be checkpointed"),
        None => tracing::warn!(%key, "an item ended before its checkpoint"),
    }
}

#[cfg(test)]
mod tests {
    use systole_store::FeedNo;

    use super::*;

    #[test]
    fn items_that_are_due_again_wait_for_all_others() {
        let item = |seq| ItemKey { feed: FeedNo(1), seq };
        let mut due: BTreeMap<_, _> = (0..3).map(|n| (item(n), ItemId([n as u8; 20]))).collect();
        let (mut last, mut taken) = (None, Vec::new());
        while let Some((key, id)) = take_behind(&mut due, &mut last) {
            taken.push(key.seq);
            // The first is due again at once, some times.
            if key.seq == 0 && taken.len() < 6 {
                due.insert(key, id);
            }
        }
        assert_eq!(taken, [0, 1, 2, 0, 0, 0]);
    }
}
