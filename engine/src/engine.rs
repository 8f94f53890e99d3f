//! An open engine: its parties, and how it ends.
//!
//! Invariants:
//! - an active party has exactly one actor;
//! - [`Engine::close`] returns when every actor is gone and the directory is free.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use systole_models::ModelRegistry;
use systole_proto::{Ed25519Signer, PartyKey, PublicKey, Signer};
use systole_store::{Backend, Batch, Deleted, Durability, PartyRecord, Store, Usage, VaultKey};

use crate::device::Device;
use crate::feed::Writer;
use crate::item::loads::Loads;
use crate::party::processor::{Args, Beginning, Running};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::telemetry::Telemetry;
use crate::{Counters, EngineBuilder, Error, ErrorKind, Party};

/// Where the store remembers the key by which this device is a member of parties.
const DEVICE_PREFERENCE: &str = "systole.device";

/// An open engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken by [`Engine::close`].
    open: tokio::sync::Mutex<Option<Open>>,
    copied: bool,
}

struct Open {
    shared: Arc<Shared>,
    writer: Writer,
    parties: BTreeMap<PartyKey, Running>,
}

impl Engine {
    /// An engine whose data stand in the directory `path`.
    pub fn builder(path: impl AsRef<Path>) -> EngineBuilder {
        EngineBuilder::directory(path.as_ref())
    }

    /// An engine whose data stand in memory and end with it.
    pub fn in_memory() -> EngineBuilder {
        EngineBuilder::memory()
    }

    /// An engine on a storage backend of the caller's.
    pub fn on_backend(backend: Arc<dyn Backend>) -> EngineBuilder {
        EngineBuilder::backend(backend)
    }

    pub(crate) async fn start(
        store: Store,
        vault_key: VaultKey,
        registry: ModelRegistry,
        settings: Settings,
        device: Option<Arc<dyn Signer>>,
    ) -> Result<Self, Error> {
        let vault = store.keys().unlock(&vault_key)?;
        let mut batch = Batch::new();
        let device = match device {
            Some(device) => device,
            None => match store.meta().preference(DEVICE_PREFERENCE)? {
                Some(public) => {
                    let public = PublicKey::from_bytes(&public).map_err(|error| {
                        Error::caused(ErrorKind::Corrupt, "the device's key is damaged", error)
                    })?;
                    let seed = vault.secret(public.as_bytes())?.ok_or_else(|| {
                        Error::corrupt(format!(
                            "the secret of device {} is missing",
                            public.short()
                        ))
                    })?;
                    Arc::new(Ed25519Signer::from_seed(&seed)) as Arc<dyn Signer>
                }
                None => {
                    let device = generate()?;
                    let public = PublicKey(device.public_key());
                    vault.put(&mut batch, public.as_bytes(), &device.seed())?;
                    let meta = store.meta();
                    meta.put_preference(&mut batch, DEVICE_PREFERENCE, Some(public.as_bytes()));
                    Arc::new(device) as Arc<dyn Signer>
                }
            },
        };
        if !batch.is_empty() {
            store.commit(batch, Durability::Synced)?;
        }
        let device = Arc::new(Device::new(store.clone(), Arc::new(registry), device, vault)?);
        let copied = device.renounce_feeds_of_a_copy()?;
        if copied {
            tracing::warn!("the directory is a copy or was set back: parties go on in fresh feeds");
        }
        let writer = Writer::spawn(store).map_err(|error| {
            Error::caused(ErrorKind::Internal, "the feed writer's thread does not start", error)
        })?;
        let loads = Loads::start().map_err(|error| {
            Error::caused(ErrorKind::Internal, "the threads that load items do not start", error)
        })?;
        let shared = Arc::new(Shared {
            device,
            writer: writer.handle(),
            settings,
            loads: Arc::new(loads),
            span: tracing::info_span!("engine"),
        });
        let records = shared.device.store.meta().parties()?;
        let mut parties = BTreeMap::new();
        for record in records.into_iter().filter(|record| record.active && !record.deleted) {
            let key = record.key;
            parties.insert(key, run(&shared, record).await?);
        }
        tracing::info!(parties = parties.len(), "engine opened");
        let open = tokio::sync::Mutex::new(Some(Open { shared, writer, parties }));
        Ok(Self { inner: Arc::new(Inner { open, copied }) })
    }

    /// Founds a party: this device is its first member and writes its first feed. The party's own
    /// secret key signs the genesis and is then forgotten.
    pub async fn create_party(&self) -> Result<Party, Error> {
        let founder = generate()?;
        let key = PartyKey(founder.public_key());
        self.add_party(key, Some(founder)).await
    }

    /// Takes part in a party that another device founded. Until a member admits this device (see
    /// [`Party::admission_request`]) the party can be read but not written to.
    pub async fn join(&self, key: PartyKey) -> Result<Party, Error> {
        self.add_party(key, None).await
    }

    /// A party of this engine, activated if it is not active.
    ///
    /// # Errors
    /// `Invalid` when the engine does not know the party.
    pub async fn party(&self, key: PartyKey) -> Result<Party, Error> {
        let mut open = self.inner.open.lock().await;
        let open = open.as_mut().ok_or_else(|| Error::closed("the engine"))?;
        if let Some(running) = open.parties.get(&key).filter(|running| running.is_alive()) {
            return Ok(Party::new(key, running.handle(), &open.shared));
        }
        let record =
            open.shared.device.store.meta().party_by_key(&key)?.filter(|record| !record.deleted);
        let mut record = record
            .ok_or_else(|| Error::invalid(format!("party {} is not known here", key.short())))?;
        if let Some(ended) = open.parties.remove(&key) {
            ended.stop().await;
        }
        if !record.active {
            record.active = true;
            let mut batch = Batch::new();
            open.shared.device.store.meta().put_party(&mut batch, &record);
            open.shared.writer.commit(batch, Durability::Synced).await?;
        }
        let running = run(&open.shared, record).await?;
        let party = Party::new(key, running.handle(), &open.shared);
        open.parties.insert(key, running);
        Ok(party)
    }

    /// Whether the directory was found to be a copy when it was opened: a backup that was brought back,
    /// files that were copied or set back. Writing on in the feeds of the original would fork them, so
    /// every party goes on in a fresh feed of this device. What the old feeds hold stays, and what this
    /// device has lost of them comes back from others.
    pub fn was_copied(&self) -> bool {
        self.inner.copied
    }

    /// The parties that the engine knows, and whether each is active.
    pub async fn parties(&self) -> Result<Vec<(PartyKey, bool)>, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        let records = open.shared.device.store.meta().parties()?;
        let known = records.into_iter().filter(|record| !record.deleted);
        Ok(known.map(|record| (record.key, record.active)).collect())
    }

    /// Ends the party's actor and its items. The party stays known and is not resumed when the engine
    /// is opened again, until [`Engine::party`] asks for it.
    pub async fn close_party(&self, key: PartyKey) -> Result<(), Error> {
        let mut open = self.inner.open.lock().await;
        let open = open.as_mut().ok_or_else(|| Error::closed("the engine"))?;
        open.retire(key, false).await.map(drop)
    }

    /// Ends the party and deletes its data from this device. Other devices keep theirs. Returns when the
    /// space is free again; a cancelled call may leave that to later.
    pub async fn delete_party(&self, key: PartyKey) -> Result<(), Error> {
        let (shared, deleted) = {
            let mut open = self.inner.open.lock().await;
            let open = open.as_mut().ok_or_else(|| Error::closed("the engine"))?;
            let deleted = open.retire(key, true).await?;
            (open.shared.clone(), deleted)
        };
        unhurried(shared, move |store| store.reclaim(&deleted)).await
    }

    /// The key by which this device is a member of parties.
    pub async fn device(&self) -> Result<PublicKey, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        Ok(open.shared.device.key())
    }

    /// How many messages passed each stage since the engine was opened.
    pub async fn counters(&self) -> Result<Counters, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        Ok(open.shared.counters())
    }

    /// Bytes that the engine's data take on disk.
    pub async fn disk_bytes(&self) -> Result<u64, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        Ok(open.shared.device.store.disk_bytes()?)
    }

    /// What the engine's data take of the machine: on disk, in files, in memory, and what the storage
    /// engine has still to do.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        Ok(open.shared.device.store.usage()?)
    }

    /// Rewrites the data without what was overwritten. Takes long; nothing depends on it.
    pub async fn compact(&self) -> Result<(), Error> {
        unhurried(self.shared().await?, Store::compact).await
    }

    /// Copies the engine's data to the directory `to`, which must not exist, while the engine is used:
    /// everything that was acknowledged before, whatever its durability, is in the copy. It is written
    /// beside `to`, under a name that ends in `.partial`, and renamed when it is complete and on the disk.
    ///
    /// A backup is a directory like the engine's: copied to where it is needed, by any means, it can be
    /// opened. It is known to be a copy then, and the device goes on in fresh feeds, for the original may
    /// still write the old ones. It holds `device.key` if the engine's directory does, so it is as secret
    /// as that. On the same file system it shares its tables with the engine's data: only a backup on
    /// another disk survives the loss of this one.
    ///
    /// # Errors
    /// `Invalid` when there is something at `to` already, or when the data stand in memory.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), Error> {
        let to = to.as_ref().to_owned();
        unhurried(self.shared().await?, move |store| store.backup(&to)).await
    }

    /// Sets a value that the application wants remembered, or removes it.
    pub async fn set_preference(&self, name: &str, value: Option<&[u8]>) -> Result<(), Error> {
        if name.starts_with("systole.") {
            return Err(Error::invalid("names that begin with \"systole.\" belong to the engine"));
        }
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        let mut batch = Batch::new();
        open.shared.device.store.meta().put_preference(&mut batch, name, value);
        Ok(open.shared.writer.commit(batch, Durability::Synced).await?)
    }

    /// A value that the application had remembered.
    pub async fn preference(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let open = self.inner.open.lock().await;
        let open = open.as_ref().ok_or_else(|| Error::closed("the engine"))?;
        Ok(open.shared.device.store.meta().preference(name)?)
    }

    /// Ends every party, writes what is left, and frees the directory: it can be opened again at once.
    /// Handles that are still around answer that the engine is closed. Closing twice is fine. Must not
    /// be cancelled: what is left then ends in the background.
    pub async fn close(&self) -> Result<(), Error> {
        let Some(open) = self.inner.open.lock().await.take() else { return Ok(()) };
        let Open { mut shared, writer, parties } = open;
        for (_, party) in parties {
            party.stop().await;
        }
        let written = writer.close().await;
        // Whoever is reading right now through a handle finishes first.
        while let Err(still_shared) = Arc::try_unwrap(shared) {
            shared = still_shared;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tracing::info!("engine closed");
        Ok(written?)
    }

    /// The inside, for work that must not keep others from the engine.
    async fn shared(&self) -> Result<Arc<Shared>, Error> {
        let open = self.inner.open.lock().await;
        Ok(open.as_ref().ok_or_else(|| Error::closed("the engine"))?.shared.clone())
    }

    /// Takes part in a party, or founds it with its own key, in one commit.
    async fn add_party(
        &self,
        key: PartyKey,
        founder: Option<Ed25519Signer>,
    ) -> Result<Party, Error> {
        let mut open = self.inner.open.lock().await;
        let open = open.as_mut().ok_or_else(|| Error::closed("the engine"))?;
        let shared = &open.shared;
        let mut batch = Batch::new();
        let record = shared.device.join(&mut batch, key)?;
        let telemetry = Arc::new(Telemetry::new(shared.device.live.clone()));
        let beginning = Some(Beginning { batch, founder });
        let args = Args { shared: shared.clone(), telemetry, record, beginning };
        let running = Running::start(args).await?;
        let party = Party::new(key, running.handle(), shared);
        open.parties.insert(key, running);
        Ok(party)
    }
}

impl Open {
    async fn retire(&mut self, key: PartyKey, delete: bool) -> Result<Deleted, Error> {
        if let Some(running) = self.parties.remove(&key) {
            running.stop().await;
        }
        let store = &self.shared.device.store;
        let record = store.meta().party_by_key(&key)?.filter(|record| !record.deleted);
        let mut record = record
            .ok_or_else(|| Error::invalid(format!("party {} is not known here", key.short())))?;
        record.active = false;
        let mut batch = Batch::new();
        let mut deleted = Deleted::default();
        if delete {
            record.deleted = true;
            // A feed whose blocks are gone must never be written again: its key goes with it.
            for feed in store.meta().feeds_of(record.no)?.iter().filter(|feed| feed.own) {
                store.keys().remove(&mut batch, feed.key.as_bytes());
            }
            deleted = store.delete_party(&mut batch, record.no)?;
            // With its records goes what tells which numbers were given.
            store.meta().put_next_feed_no(&mut batch, self.shared.device.next_feed_no());
            record.genesis_feed = None;
            record.own_feed = None;
        }
        store.meta().put_party(&mut batch, &record);
        self.shared.writer.commit(batch, Durability::Synced).await?;
        Ok(deleted)
    }
}

/// Runs what takes long on a thread for such work. The engine can be used meanwhile; closing it waits.
async fn unhurried<T: Send + 'static>(
    shared: Arc<Shared>,
    work: impl FnOnce(&Store) -> Result<T, systole_store::Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(move || work(&shared.device.store)).await;
    let done = done.map_err(|error| {
        Error::caused(ErrorKind::Internal, "the storage engine panicked", error)
    })?;
    Ok(done?)
}

fn generate() -> Result<Ed25519Signer, Error> {
    Ed25519Signer::generate().map_err(Error::no_randomness)
}

/// Starts the actor of a party.
async fn run(shared: &Arc<Shared>, record: PartyRecord) -> Result<Running, Error> {
    let telemetry = Arc::new(Telemetry::new(shared.device.live.clone()));
    Running::start(Args { shared: shared.clone(), telemetry, record, beginning: None }).await
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
