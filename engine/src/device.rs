//! This device as all of its parties see it: its store, its secrets, the model types it knows.
//!
//! Invariants:
//! - a secret leaves the vault only as a signer;
//! - no two feeds get the same number.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use systole_models::ModelRegistry;
use systole_proto::{Ed25519Signer, FeedKey, PartyKey, PublicKey, Signer};
use systole_store::{Batch, Durability, FeedNo, PartyNo, PartyRecord, Store, Vault};

use crate::Error;
use crate::telemetry::Live;

/// What parties have in common, however they are run.
pub(crate) struct Device {
    pub(crate) store: Store,
    pub(crate) registry: Arc<ModelRegistry>,
    pub(crate) live: Arc<Live>,
    /// Signs credentials in the name of this device.
    pub(crate) signer: Arc<dyn Signer>,
    vault: Mutex<Vault>,
    next_feed: AtomicU32,
}

impl Device {
    /// The device whose data stand in `store`.
    pub(crate) fn new(
        store: Store,
        registry: Arc<ModelRegistry>,
        signer: Arc<dyn Signer>,
        vault: Vault,
    ) -> Result<Self, Error> {
        let mut next_feed = store.meta().next_feed_no()?.0;
        for record in store.meta().parties()? {
            let feeds = store.meta().feed_nos(record.no)?;
            next_feed = next_feed.max(feeds.last().map_or(0, |no| no.0 + 1));
        }
        let (vault, next_feed) = (Mutex::new(vault), AtomicU32::new(next_feed));
        Ok(Self { store, registry, live: Arc::default(), signer, vault, next_feed })
    }

    /// The key by which this device is a member of parties.
    pub(crate) fn key(&self) -> PublicKey {
        PublicKey(self.signer.public_key())
    }

    /// A number for a feed that has none.
    pub(crate) fn number_feed(&self) -> FeedNo {
        FeedNo(self.next_feed.fetch_add(1, Relaxed))
    }

    /// The number that the next such feed will have.
    pub(crate) fn next_feed_no(&self) -> FeedNo {
        FeedNo(self.next_feed.load(Relaxed))
    }

    /// The signer of a feed whose secret this device keeps.
    pub(crate) fn secret(&self, feed: &FeedKey) -> Result<Option<Arc<dyn Signer>>, Error> {
        let seed = self.vault().secret(feed.as_bytes())?;
        Ok(seed.map(|seed| Arc::new(Ed25519Signer::from_seed(&seed)) as Arc<dyn Signer>))
    }

    /// Puts the secret of a feed into `batch`.
    pub(crate) fn keep_secret(&self, batch: &mut Batch, feed: &Ed25519Signer) -> Result<(), Error> {
        Ok(self.vault().put(batch, &feed.public_key(), &feed.seed())?)
    }

    /// The party's record, made in `batch` if this device does not take part in it.
    pub(crate) fn join(&self, batch: &mut Batch, key: PartyKey) -> Result<PartyRecord, Error> {
        let meta = self.store.meta();
        let known = meta.party_by_key(&key)?;
        if known.as_ref().is_some_and(|record| !record.deleted) {
            return Err(Error::invalid(format!("party {} is known already", key.short())));
        }
        let no = match known {
            Some(record) => record.no,
            None => {
                let no = meta.next_party_no()?;
                meta.put_next_party_no(batch, PartyNo(no.0 + 1));
                no
            }
        };
        let record = PartyRecord {
            no,
            key,
            genesis_feed: None,
            active: true,
            ordinal: 0,
            device: Some(self.key()),
            own_feed: None,
            deleted: false,
        };
        meta.put_party(batch, &record);
        Ok(record)
    }

    /// Where the data were copied from elsewhere, or set back, the secrets of all own feeds may be in
    /// use there too, or cover less than was written: they are forgotten, so that no feed is forked.
    /// Every party goes on in a fresh feed. Whether that was so.
    pub(crate) fn renounce_feeds_of_a_copy(&self) -> Result<bool, Error> {
        if !self.store.is_copy() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        for mut party in self.store.meta().parties()? {
            for mut feed in self.store.meta().feeds_of(party.no)? {
                if std::mem::take(&mut feed.own) {
                    self.store.meta().put_feed(&mut batch, &feed);
                    self.store.keys().remove(&mut batch, feed.key.as_bytes());
                }
            }
            if party.own_feed.take().is_some() {
                self.store.meta().put_party(&mut batch, &party);
            }
        }
        self.store.put_place(&mut batch)?;
        self.store.commit(batch, Durability::Synced)?;
        Ok(true)
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        // Nothing panics between two changes of it that belong together.
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
