//! Opening an engine: where its data stand, which models it knows, and what it may use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use systole_models::{Model, ModelRegistry, Object, RegistryError, Text};
use systole_proto::Signer;
use systole_store::{Backend, Durability, Options, Store, VaultKey};

use crate::settings::Settings;
use crate::snapshot::CheckpointPolicy;
use crate::{Engine, Error, ErrorKind};

/// Settings of an engine that is about to be opened. [`Object`] and [`Text`] are registered already.
pub struct EngineBuilder {
    place: Place,
    existing: bool,
    registry: ModelRegistry,
    refused: Option<RegistryError>,
    settings: Settings,
    options: Options,
    vault_key: Option<VaultKey>,
    device: Option<Arc<dyn Signer>>,
}

enum Place {
    Directory(PathBuf),
    Memory,
    Backend(Arc<dyn Backend>),
}

impl EngineBuilder {
    /// An engine whose data stand in the directory `path`, which is made if it does not exist.
    pub(crate) fn directory(path: &Path) -> Self {
        Self::at(Place::Directory(path.to_owned()))
    }

    pub(crate) fn memory() -> Self {
        Self::at(Place::Memory)
    }

    pub(crate) fn backend(backend: Arc<dyn Backend>) -> Self {
        Self::at(Place::Backend(backend))
    }

    fn at(place: Place) -> Self {
        let builder = Self {
            place,
            existing: false,
            registry: ModelRegistry::new(),
            refused: None,
            settings: Settings::default(),
            options: Options::default(),
            vault_key: None,
            device: None,
        };
        builder.register::<Object>().register::<Text>()
    }

    /// Registers a model type: items of it come to life, those that were kept raw included.
    /// [`EngineBuilder::open`] fails if the registry refuses it.
    pub fn register<M: Model>(mut self) -> Self {
        if let Err(error) = self.registry.register::<M>() {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Opens only what is there: where the directory holds no engine's data, opening fails instead of
    /// beginning.
    pub fn existing(mut self) -> Self {
        self.existing = true;
        self
    }

    /// What a write survives when it is acknowledged, where the writer does not say. Default:
    /// [`Durability::Synced`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// How many bytes items may hold in memory together, as they estimate themselves; items that
    /// somebody watches stay even above it. Default: 64 MiB.
    pub fn memory_budget_bytes(mut self, bytes: usize) -> Self {
        self.settings.memory_budget_bytes = bytes;
        self
    }

    /// When items are checkpointed.
    pub fn checkpoints(mut self, policy: CheckpointPolicy) -> Self {
        self.settings.checkpoints = policy;
        self
    }

    /// How many bytes of memory the store takes for what was read and written lately, and how many of
    /// these for writes that are gathered before they are sorted into files. Defaults: 32 and 16 MiB.
    pub fn store_bytes(mut self, cache: usize, write_buffer: usize) -> Self {
        self.options.cache_bytes = cache;
        self.options.write_buffer_bytes = write_buffer;
        self
    }

    /// What unlocks this device's secret keys. Default: a random key in the file `device.key` in the
    /// engine's directory, which protects copies of the database that are made without it.
    pub fn vault_key(mut self, key: VaultKey) -> Self {
        self.vault_key = Some(key);
        self
    }

    /// The key by which this device is a member of parties, where it lives outside the engine.
    /// Default: a key that the engine makes when it is first opened, and keeps.
    pub fn device(mut self, signer: Arc<dyn Signer>) -> Self {
        self.device = Some(signer);
        self
    }

    /// Opens the engine and every party that was active when it was last open. Must be called on a Tokio
    /// runtime whose timers are enabled, and the engine lives no longer than that runtime.
    ///
    /// # Errors
    /// `Unavailable` when the directory is open elsewhere, `Invalid` when it holds something else, a
    /// newer format, secrets under another key, or nothing where data must be there, `Corrupt` when
    /// it is damaged.
    pub async fn open(self) -> Result<Engine, Error> {
        if let Some(refused) = self.refused {
            return Err(Error::caused(ErrorKind::Invalid, "a model type is refused", refused));
        }
        let (store, vault_key) = match &self.place {
            Place::Directory(path) => {
                let open = if self.existing { Store::open_existing } else { Store::open };
                let store = open(path, &self.options)?;
                let key = match self.vault_key {
                    Some(key) => key,
                    None => VaultKey::device(path)?,
                };
                (store, key)
            }
            Place::Memory => (Store::memory(), self.vault_key.unwrap_or_else(in_memory)),
            Place::Backend(backend) => {
                let store = Store::with_backend(backend.clone())?;
                (store, self.vault_key.unwrap_or_else(in_memory))
            }
        };
        Engine::start(store, vault_key, self.registry, self.settings, self.device).await
    }
}

/// Secrets in memory are protected by the process alone.
fn in_memory() -> VaultKey {
    VaultKey::from_key([0; 32])
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("registry", &self.registry)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
