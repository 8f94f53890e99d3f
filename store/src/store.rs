//! The store: opening, the one way to write, and what a failed write means.
//!
//! Invariants:
//! - commits and syncs happen one at a time, so a sync that succeeds never hides one that failed;
//! - after a failed write or sync nothing is written any more: what the disk holds is unknown until the
//!   store is opened again.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::backend::Backend;
use crate::backend::memory::Memory;
use crate::backend::overlay::Overlay;
use crate::backend::rocks::Rocks;
use crate::batch::Batch;
use crate::directory::{self, Content, FORMAT};
use crate::error::Error;
use crate::family::Family;
use crate::feeds::FeedStore;
use crate::items::ItemStore;
use crate::keys;
use crate::meta::MetaStore;
use crate::options::Options;
use crate::place::{self, Place};
use crate::record::{Decoder, Encoder};
use crate::usage::Usage;
use crate::vault::KeyStore;

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process. A power failure may take the newest commits, never one without all
    /// that came after it.
    Buffered,
    /// A power failure.
    Synced,
}

/// Feeds, items, keys and what is known of them, behind one lock on one directory. Cheap to clone; the
/// directory is free once the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Arc<dyn Backend>,
    /// Held by whoever writes or syncs.
    turn: Mutex<()>,
    /// Held by whoever unlocks the vault, so that only one makes its header.
    vault_turn: Mutex<()>,
    /// Why nothing is written any more; the first reason stays.
    poison: OnceLock<String>,
    read_only: bool,
    /// Where the store stands.
    place: Place,
    /// Whether it belonged elsewhere when it was opened.
    is_copy: bool,
}

const FORMAT_VERSION: u8 = 1;

impl Store {
    /// Opens the store in the directory `path`, creating it if the directory is absent or empty.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        if directory::inspect(path)? == Content::Nothing {
            directory::mark(path)?;
        }
        Self::open_database(path, options)
    }

    /// Opens the store in the directory `path`, which must be there.
    pub fn open_existing(path: &Path, options: &Options) -> Result<Self, Error> {
        match directory::inspect(path)? {
            Content::Nothing => Err(Error::NotFound { path: path.to_owned() }),
            Content::Store => Self::open_database(path, options),
        }
    }

    /// Opens the store in the directory `path` as it is at this moment, even while another process
    /// writes to it. Commits are refused.
    pub fn open_read_only(path: &Path, options: &Options) -> Result<Self, Error> {
        if directory::inspect(path)? == Content::Nothing {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        let backend = Rocks::open_read_only(&directory::database(path), options)?;
        let store = Self::on(Arc::new(backend), true);
        match store.format()? {
            Some(found) => directory::check_format(found).map(|()| store),
            // Another process is creating it.
            None => Err(Error::NotFound { path: path.to_owned() }),
        }
    }

    /// Opens the store in the directory `path`, which must be there, to look for damage. Where it cannot
    /// be opened to be written to, it is opened to be read as far as it can be, and what stood in the way
    /// comes with it: damage of the log too, which [`Self::open`] takes for the end that a power failure
    /// leaves. Then nothing is changed, commits are refused, and nobody else is kept out.
    pub fn open_to_inspect(path: &Path, options: &Options) -> Result<(Self, Option<Error>), Error> {
        if directory::inspect(path)? == Content::Nothing {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        let database = directory::database(path);
        let opened = Rocks::open_strictly(&database, options)
            .and_then(|backend| Self::with_backend(Arc::new(backend)));
        let obstacle = match opened {
            Ok(store) => return Ok((store, None)),
            Err(Error::Busy { .. }) => return Err(Error::Busy { path: path.to_owned() }),
            Err(newer @ Error::NewerFormat { .. }) => return Err(newer),
            Err(obstacle) => obstacle,
        };
        let backend = Rocks::open_read_only(&database, options)
            .or_else(|_| Rocks::open_damaged(&database, options));
        match backend {
            Ok(backend) => Ok((Self::on(Arc::new(backend), true), Some(obstacle))),
            Err(_) => Err(obstacle),
        }
    }

    /// A store on a backend of the caller's. It is never taken for a copy.
    pub fn with_backend(backend: Arc<dyn Backend>) -> Result<Self, Error> {
        Self::at(backend, Place::Anywhere)
    }

    /// A store on a backend of the caller's that stands at a place of this name. The name is recorded
    /// when the store is created; under another one it is a copy.
    pub fn with_backend_at(backend: Arc<dyn Backend>, place: &[u8]) -> Result<Self, Error> {
        Self::at(backend, Place::Named(place.to_vec()))
    }

    /// A store in memory.
    pub fn memory() -> Self {
        Self::with_backend(Arc::new(Memory::new())).expect("memory never fails and starts empty")
    }

    /// The same data for somebody who wants to try changes: what is committed to the copy stays in
    /// memory and changes nothing here. As long as there is a copy, the directory is held.
    pub fn scratch(&self) -> Self {
        Self::on(Arc::new(Overlay::new(Arc::clone(&self.inner.backend))), false)
    }

    /// Reads every key and value of a family and returns how many there are: RocksDB checks the
    /// checksum of all that it reads, so an error tells of damage on disk.
    pub fn read_all(&self, family: Family) -> Result<u64, Error> {
        let mut count = 0;
        // No kind byte is 0xff.
        self.backend().scan(family, &[], &[u8::MAX], &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Writes a batch: all of it or nothing. A failure poisons the store.
    ///
    /// After an error the batch may still be found when the store is opened again, as a whole.
    pub fn commit(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        if !batch.is_empty() {
            self.poisoning("write", self.inner.backend.write(&batch))?;
        }
        match durability {
            Durability::Buffered => Ok(()),
            Durability::Synced => self.poisoning("sync", self.inner.backend.sync()),
        }
    }

    /// Makes every commit so far survive a power failure. A failure poisons the store.
    pub fn sync(&self) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        self.poisoning("sync", self.inner.backend.sync())
    }

    /// Spares the next opening from replaying much of the log. For whoever is about to close; commits
    /// wait meanwhile.
    pub fn flush(&self) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        self.inner.backend.flush()
    }

    /// Whether the data were brought here from elsewhere, as far as can be told: copied, restored from a
    /// backup, or moved to another file system. It is what was found when the store was opened, and
    /// always false for one that was opened to be read or inspected.
    ///
    /// Whoever writes feeds must not go on with those of a copy: the original may do so too.
    ///
    /// What can be told on which system, and what cannot: a whole file system or machine that was set back
    /// shows nothing of it, and on others than Unix only the absence of a place shows, as in a backup.
    pub fn is_copy(&self) -> bool {
        self.inner.is_copy
    }

    /// Makes this the place of the data, once the batch is committed: from the next opening on the store
    /// is no copy. Nothing, for a store that knows no place.
    pub fn put_place(&self, batch: &mut Batch) -> Result<(), Error> {
        if self.inner.read_only {
            return Err(Error::ReadOnly);
        }
        if let Some(found) = self.inner.place.renew()? {
            place::put(batch, &found);
        }
        Ok(())
    }

    /// Why the store takes no more writes, if it does not.
    pub fn poisoned(&self) -> Option<String> {
        self.inner.poison.get().cloned()
    }

    /// Blocks, trees, heads and causal steps of feeds.
    pub fn feeds(&self) -> FeedStore<'_> {
        FeedStore::new(self)
    }

    /// Parties, feeds, positions, credentials, quarantine, preferences.
    pub fn meta(&self) -> MetaStore<'_> {
        MetaStore::new(self)
    }

    /// Items, their logs and checkpoints.
    pub fn items(&self) -> ItemStore<'_> {
        ItemStore::new(self)
    }

    /// Own secrets, encrypted, and known public keys.
    pub fn keys(&self) -> KeyStore<'_> {
        KeyStore::new(self)
    }

    /// Bytes that the store takes on disk, its log included.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        self.inner.backend.disk_bytes()
    }

    /// What the store takes of the machine.
    pub fn usage(&self) -> Result<Usage, Error> {
        self.inner.backend.usage()
    }

    /// Rewrites the data without what was deleted or overwritten. Takes long; nothing depends on it.
    pub fn compact(&self) -> Result<(), Error> {
        self.inner.backend.compact()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// The directory of the store, if it has one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.inner.place.database().and_then(Path::parent)
    }

    pub(crate) fn vault_turn(&self) -> MutexGuard<'_, ()> {
        // It guards no data: a panic under it leaves nothing half done.
        self.inner.vault_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_database(path: &Path, options: &Options) -> Result<Self, Error> {
        let database = directory::database(path);
        let backend = Rocks::open(&database, options).map_err(|error| match error {
            Error::Busy { .. } => Error::Busy { path: path.to_owned() },
            error => error,
        })?;
        Self::at(Arc::new(backend), Place::directory(&database))
    }

    fn at(backend: Arc<dyn Backend>, place: Place) -> Result<Self, Error> {
        let mut inner = Inner::new(backend, false, place);
        let store = |inner| Self { inner: Arc::new(inner) };
        match inner.format()? {
            Some(found) => {
                directory::check_format(found)?;
                inner.is_copy = inner.stands_elsewhere()?;
                Ok(store(inner))
            }
            None => {
                let store = store(inner);
                store.initialise()?;
                Ok(store)
            }
        }
    }

    fn on(backend: Arc<dyn Backend>, read_only: bool) -> Self {
        Self { inner: Arc::new(Inner::new(backend, read_only, Place::Anywhere)) }
    }

    fn format(&self) -> Result<Option<u32>, Error> {
        self.inner.format()
    }

    /// Claims an empty backend. One that holds data without a format is not ours to write to.
    fn initialise(&self) -> Result<(), Error> {
        for family in Family::ALL {
            if self.backend().last_in(family, &[0], &[u8::MAX])?.is_some() {
                let key = keys::format();
                return Err(Error::corrupt(Family::Meta, &key, "missing, though there is data"));
            }
        }
        let mut batch = Batch::new();
        batch.put_with(Family::Meta, &keys::format(), |out| {
            Encoder::new(out, FORMAT_VERSION).number(FORMAT.into());
        });
        self.put_place(&mut batch)?;
        self.commit(batch, Durability::Synced)
    }

    fn take_turn(&self) -> Result<MutexGuard<'_, ()>, Error> {
        if self.inner.read_only {
            return Err(Error::ReadOnly);
        }
        let turn = self.inner.turn.lock().map_err(|_| {
            self.poison("a thread panicked while it wrote".to_owned());
        });
        match (turn, self.inner.poison.get()) {
            (Ok(turn), None) => Ok(turn),
            (_, reason) => {
                let reason = reason.cloned().unwrap_or_default();
                Err(Error::Poisoned { reason })
            }
        }
    }

    fn poisoning(&self, action: &str, result: Result<(), Error>) -> Result<(), Error> {
        result.inspect_err(|error| self.poison(format!("{action} failed: {error}")))
    }

    fn poison(&self, reason: String) {
        // Only the first reason counts: later failures follow from it.
        let _ = self.inner.poison.set(reason);
    }
}

impl Inner {
    fn new(backend: Arc<dyn Backend>, read_only: bool, place: Place) -> Self {
        Self {
            backend,
            turn: Mutex::new(()),
            vault_turn: Mutex::new(()),
            poison: OnceLock::new(),
            read_only,
            place,
            is_copy: false,
        }
    }

    fn format(&self) -> Result<Option<u32>, Error> {
        let key = keys::format();
        let Some(value) = self.backend.get(Family::Meta, &key)? else { return Ok(None) };
        let decode = || {
            let mut decoder = Decoder::new(&value, FORMAT_VERSION)?;
            let format = decoder.number_u32()?;
            decoder.finish().map(|()| format)
        };
        decode().map(Some).map_err(Error::malformed(Family::Meta, &key))
    }

    /// A store without a record of its place was made before places were recorded: nobody can say
    /// whether it is the original, so it counts as a copy.
    fn stands_elsewhere(&self) -> Result<bool, Error> {
        if self.place.is_anywhere() {
            return Ok(false);
        }
        let key = keys::place();
        let recorded = self.backend.get(Family::Meta, &key)?;
        let recorded = recorded.map(|value| place::decode(&value)).transpose();
        let recorded = recorded.map_err(Error::malformed(Family::Meta, &key))?;
        Ok(recorded.is_none() || recorded != self.place.found()?)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("poisoned", &self.poisoned()).finish_non_exhaustive()
    }
}
