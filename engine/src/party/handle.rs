//! What a user holds of a party.
//!
//! Invariant: a handle keeps neither the party running nor the directory open.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use systole_models::{Model, Object};
use systole_proto::{Ed25519Signer, FeedKey, ItemId, PartyKey, Range, Signer};
use systole_store::{Durability, FeedNo, ItemFilter, ItemKey, ItemRecord, PartyRecord};

use super::command::{Command, Ingest, Ingested, PartyStatus, Receipt, Write, Written};
use super::core::no_own_feed;
use super::history;
use super::listing::{self, ItemInfo, Quarantined};
use super::processor::PartyHandle;
use super::request::AdmissionRequest;
use super::transaction::{NewItem, PendingWrite, Transaction};
use crate::feed::{PreparedRange, ReadLimit, read};
use crate::item::actor::ItemHandle;
use crate::settings::LOADED_TOGETHER_MAX;
use crate::shared::{self, Shared};
use crate::{Error, ErrorKind, Events, Item};

/// A party of an open engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Party {
    key: PartyKey,
    handle: PartyHandle,
    shared: Weak<Shared>,
}

/// Which items are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemQuery {
    /// Only items of this model type.
    pub model: Option<String>,
    /// Only items with this parent; `Some(None)` asks for those without one.
    pub parent: Option<Option<ItemId>>,
    /// Deleted items too.
    pub with_deleted: bool,
    /// Only items after this one, in the order of listing: the last one of the page before.
    pub after: Option<ItemId>,
    /// At most this many items; 0 asks for all.
    pub limit: usize,
}

impl Party {
    pub(crate) fn new(key: PartyKey, handle: PartyHandle, shared: &Arc<Shared>) -> Self {
        Self { key, handle, shared: Arc::downgrade(shared) }
    }

    /// The party's key, its name everywhere.
    pub fn key(&self) -> PartyKey {
        self.key
    }

    /// Creates an item. It is written together with its first mutation and metadata as one message.
    ///
    /// # Errors
    /// `Rejected` when the model refuses the first mutation, `Invalid` when its type is not
    /// registered, `Unavailable` while the party is paused or this device is not admitted.
    pub async fn create<M: Model>(&self, item: NewItem<M>) -> Result<Item<M>, Error> {
        let written = self.transaction().create(item).send().await?;
        let (key, id) = written.created[0];
        Ok(Item::new(self.clone(), key, id))
    }

    /// An item of this model type.
    ///
    /// # Errors
    /// `Invalid` when there is no such item here, when it is of another type, or when its type is not
    /// registered.
    pub fn item<M: Model>(&self, id: ItemId) -> Result<Item<M>, Error> {
        let shared = self.shared()?;
        let record = self.record_of(&shared, &id)?;
        if record.model != M::TYPE || record.version != M::VERSION {
            return Err(Error::invalid(format!(
                "item {} is of type {} version {}, not {} version {}",
                id.short(),
                record.model,
                record.version,
                M::TYPE,
                M::VERSION
            )));
        }
        if shared.device.registry.model(M::TYPE, M::VERSION).is_none() {
            return Err(Error::invalid(format!("model type {} is not registered", M::TYPE)));
        }
        Ok(Item::new(self.clone(), record.key, id))
    }

    /// What is known of an item, whatever its type.
    pub fn info(&self, id: ItemId) -> Result<ItemInfo, Error> {
        let shared = self.shared()?;
        let record = self.record_of(&shared, &id)?;
        listing::item_info(&shared.device.store, record)
    }

    /// Items, in the order in which their feeds became known here and they were created in them.
    /// Brings none of them into memory.
    pub fn items(&self, query: &ItemQuery) -> Result<Vec<ItemInfo>, Error> {
        let shared = self.shared()?;
        let key = |id: &ItemId| Ok::<_, Error>(self.record_of(&shared, id)?.key);
        let filter = ItemFilter {
            model: query.model.as_deref(),
            parent: match &query.parent {
                None => None,
                Some(None) => Some(None),
                Some(Some(parent)) => Some(Some(key(parent)?)),
            },
            deleted: if query.with_deleted { None } else { Some(false) },
        };
        let after = query.after.as_ref().map(key).transpose()?;
        let limit = if query.limit == 0 { usize::MAX } else { query.limit };
        let mut records = Vec::new();
        let party = self.record(&shared)?.no;
        shared.device.store.items().scan(party, filter, after, &mut |record| {
            records.push(record);
            if records.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        records.into_iter().map(|record| listing::item_info(&shared.device.store, record)).collect()
    }

    /// At most `limit` items whose id begins with `prefix`, in base32.
    pub fn items_with_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<ItemId>, Error> {
        let shared = self.shared()?;
        let party = self.record(&shared)?.no;
        let found = shared.device.store.items().ids_with_prefix(party, prefix, limit)?;
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }

    /// Runs `look` on an item's metadata, whatever its type.
    pub async fn view_metadata<R: Send + 'static>(
        &self,
        id: ItemId,
        look: impl FnOnce(&Object) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let key = self.key_of(&id)?;
        Item::<Object>::new(self.clone(), key, id).view_metadata(look).await
    }

    /// The feeds that wrote to an item, and how many messages of each it has. Reads none of them.
    pub fn authors(&self, id: ItemId) -> Result<Vec<(FeedKey, u64)>, Error> {
        let shared = self.shared()?;
        let item = self.record_of(&shared, &id)?.key;
        let mut authors: BTreeMap<FeedNo, (u64, u64)> = BTreeMap::new();
        shared.device.store.items().scan_log(item, 0, &mut |entry| {
            // A genesis has an entry for the model and one for the metadata.
            let (next, messages) = authors.entry(entry.feed).or_default();
            *messages += u64::from(entry.seq >= *next);
            *next = entry.seq + 1;
            ControlFlow::Continue(())
        })?;
        let named = authors.into_iter();
        named
            .map(|(feed, (_, messages))| Ok((history::key(&shared.device.store, feed)?, messages)))
            .collect()
    }

    /// Brings items into memory together, as far as the memory budget allows; those that are there
    /// already stay. Costs much less than to have each loaded when it is first asked something: what the
    /// items have to read lies close together, and is read once. Cancelling leaves some of them unloaded.
    ///
    /// # Errors
    /// `Invalid` for an item that is not known here; else the first failure of an item to load. The
    /// others are loaded all the same.
    pub async fn load(&self, items: &[ItemId]) -> Result<(), Error> {
        let party = self.record(&*self.shared()?)?.no;
        let key = |id: &ItemId| {
            let key = self.shared()?.device.store.items().key_of(party, id)?;
            Ok((key.ok_or_else(|| unknown_item(id))?, *id))
        };
        let mut failed = Ok(());
        for some in items.chunks(LOADED_TOGETHER_MAX) {
            let items = some.iter().map(key).collect::<Result<Vec<_>, Error>>()?;
            let mut loading = Vec::with_capacity(items.len());
            for item in self.handle.ask(|reply| Command::Items { items, reply }).await?? {
                // One that cannot be asked has left memory again, for the budget is small.
                loading.extend(item.ask_loaded().await.ok());
            }
            for loaded in loading {
                failed = failed.and(loaded.await.unwrap_or(Ok(())));
            }
        }
        failed
    }

    /// Starts a transaction: operations that are written together or not at all.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    /// Takes in blocks of another device's feed.
    ///
    /// Hashes and signature are checked before anything is stored. Taking in the same range again
    /// changes nothing. The answer comes when the blocks are stored; they are processed after that,
    /// see [`Party::settle`].
    ///
    /// # Errors
    /// `Invalid` when the range is malformed or its head is not signed by its feed.
    pub async fn ingest(&self, range: Range) -> Result<Ingested, Error> {
        let stages = &self.handle.telemetry.live.stages;
        let range = PreparedRange::measured(range, stages).map_err(|error| {
            Error::caused(ErrorKind::Invalid, "the range does not prove itself", error)
        })?;
        let range = Box::new(range);
        self.handle.ask(|reply| Command::Ingest(Ingest { range, reply })).await?
    }

    /// Blocks of a feed from position `from` on, with the head that proves them; `None` when there are
    /// none. What this device wrote itself is synced first, so that a crash can never make it deny
    /// what it has shown.
    pub async fn read(&self, feed: FeedKey, from: u64) -> Result<Option<Range>, Error> {
        let (range, writer) = {
            let shared = self.shared()?;
            let record = shared.device.store.meta().feed_by_key(&feed)?;
            let party = self.record(&shared)?.no;
            let record = record.filter(|record| record.party == party).ok_or_else(|| {
                Error::invalid(format!("feed {} is not known in the party", feed.short()))
            })?;
            let range =
                read(shared.device.store.feeds(), record.no, feed, from, ReadLimit::default())?;
            (range, shared.writer.clone())
        };
        // After the read: whatever was read is synced before anybody sees it.
        writer.make_synced().await?;
        Ok(range)
    }

    /// Every feed of which blocks are held, and how many.
    pub async fn feeds(&self) -> Result<Vec<(FeedKey, u64)>, Error> {
        let status = self.status().await?;
        Ok(status.feeds.into_iter().map(|feed| (feed.feed, feed.stored)).collect())
    }

    /// How far every feed has come, and exactly what is waited for.
    pub async fn status(&self) -> Result<PartyStatus, Error> {
        self.handle.ask(Command::Status).await?
    }

    /// Waits until everything that can be processed is processed. Returns at once while paused.
    pub async fn settle(&self) -> Result<(), Error> {
        self.handle.ask(Command::Settle).await
    }

    /// Stops processing: blocks are still taken in, nothing is applied, nothing can be written.
    pub async fn pause(&self) -> Result<(), Error> {
        self.handle.ask(|reply| Command::Pause(true, reply)).await
    }

    /// Goes on after [`Party::pause`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.handle.ask(|reply| Command::Pause(false, reply)).await
    }

    /// What happens in the party from now on.
    pub fn events(&self) -> Events {
        self.handle.telemetry.listen()
    }

    /// A page of the blocks that are ignored, and why, after a position in that order.
    pub fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        let shared = self.shared()?;
        let party = self.record(&shared)?.no;
        listing::quarantined(&shared.device.store, party, limit)
    }

    /// The feed that this device writes to where it does not name another one.
    pub fn own_feed(&self) -> Result<FeedKey, Error> {
        let shared = self.shared()?;
        let own = self.record(&shared)?.own_feed.ok_or_else(no_own_feed)?;
        history::key(&shared.device.store, own)
    }

    /// Makes another feed of this device and admits it: for an author of its own. Write to it with
    /// [`Transaction::author`].
    ///
    /// # Errors
    /// `Unavailable` while this device is not a member.
    pub async fn create_feed(&self) -> Result<FeedKey, Error> {
        let signer = Ed25519Signer::generate().map_err(Error::no_randomness)?;
        self.handle.ask(|reply| Command::CreateFeed { signer, reply }).await?
    }

    /// What a member needs to admit this device: keys and the proof that this device holds them.
    pub fn admission_request(&self) -> Result<AdmissionRequest, Error> {
        let shared = self.shared()?;
        let feed = self.own_feed_signer(&shared)?;
        AdmissionRequest::new(self.key, &*shared.device.signer, &*feed).map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the request cannot be signed", error)
        })
    }

    /// Admits another device and its feed, in the name of this device.
    ///
    /// # Errors
    /// `Invalid` when the request does not prove itself or is for another party.
    pub async fn admit(&self, request: AdmissionRequest) -> Result<Receipt, Error> {
        if request.party() != self.key {
            return Err(Error::invalid("the request is for another party"));
        }
        let credentials = {
            let shared = self.shared()?;
            let invalid =
                |error| Error::caused(ErrorKind::Invalid, "the request is refused", error);
            request.verify().map_err(invalid)?;
            request.countersign(&*shared.device.signer).map_err(invalid)?
        };
        Ok(self.write_credentials(credentials.to_vec()).await?.receipt)
    }

    pub(crate) async fn write_credentials(&self, bytes: Vec<Bytes>) -> Result<Written, Error> {
        self.handle.ask(|reply| Command::Credentials { bytes, reply }).await?
    }

    /// Sends a write in its order, and leaves waiting for what becomes of it to the caller.
    pub(crate) async fn submit(
        &self,
        write: impl FnOnce(tokio::sync::oneshot::Sender<Result<Written, Error>>) -> Write,
    ) -> Result<PendingWrite, Error> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.handle.send(Command::Write(write(reply))).await?;
        Ok(PendingWrite { answer })
    }

    pub(crate) async fn resident(&self, item: ItemKey, id: ItemId) -> Result<ItemHandle, Error> {
        self.handle.ask(|reply| Command::Item { item, id, reply }).await?
    }

    pub(crate) fn own_feed_signer(&self, shared: &Shared) -> Result<Arc<dyn Signer>, Error> {
        let own = self.record(shared)?.own_feed.ok_or_else(no_own_feed)?;
        let key = history::key(&shared.device.store, own)?;
        shared.device.secret(&key)?.ok_or_else(|| {
            Error::corrupt(format!("the secret of own feed {} is missing", key.short()))
        })
    }

    pub(crate) fn shared(&self) -> Result<Arc<Shared>, Error> {
        shared::open(&self.shared)
    }

    pub(crate) fn durability(&self) -> Result<Durability, Error> {
        Ok(self.shared()?.settings.durability)
    }

    /// The key of an item that is named by its id.
    fn key_of(&self, id: &ItemId) -> Result<ItemKey, Error> {
        Ok(self.record_of(&*self.shared()?, id)?.key)
    }

    fn record(&self, shared: &Shared) -> Result<PartyRecord, Error> {
        let record = shared.device.store.meta().party_by_key(&self.key)?;
        record.filter(|record| !record.deleted).ok_or_else(|| Error::closed("the party"))
    }

    fn record_of(&self, shared: &Shared, id: &ItemId) -> Result<ItemRecord, Error> {
        let party = self.record(shared)?.no;
        let unknown = || unknown_item(id);
        let key = shared.device.store.items().key_of(party, id)?.ok_or_else(unknown)?;
        shared.device.store.items().item(key)?.ok_or_else(unknown)
    }
}

fn unknown_item(id: &ItemId) -> Error {
    Error::invalid(format!("item {} is not known here", id.short()))
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Party").field("key", &self.key).finish_non_exhaustive()
    }
}
