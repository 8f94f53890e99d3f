//! Verification of a store that no engine has open: every hash, every signature, every record that is
//! derived from blocks, every checkpoint.
//!
//! ```text
//! heads, tree, blocks ──► what the blocks mean, once more ──► items: records, logs, checkpoints
//! chain  locate           rules  host  roots                  items
//! ```
//!
//! A party is processed again by the engine's own rules ([`PartyState`](crate::party::PartyState)),
//! from its first block, and everything that comes out is compared with what is stored. So whatever is
//! derived is checked by the code that derives it, and nothing has to be said twice.
//!
//! Invariants:
//! - the store is never changed. What is found damaged and can be told is put right in a scratch copy,
//!   in memory, so that one damage does not look like many;
//! - memory is bounded by the number of feeds and items, some hundred bytes each, and by one bit a
//!   message; never by what they hold. The largest item is held twice;
//! - damage is an answer, never an error and never a panic.

mod chain;
mod chunks;
mod credentials;
mod host;
mod items;
mod locate;
mod party;
mod report;
mod roots;
mod rules;

use std::path::Path;
use std::sync::Arc;

use systole_models::{Model, ModelRegistry, Object, RegistryError, Text};
use systole_store::{Batch, Durability, Family, Options, Store};

use crate::telemetry::{Live, Telemetry};
use crate::{Error, ErrorKind};

pub use report::{DAMAGE_LISTED_MAX, Damage, DamageKind, Progress, Report};
use report::{Findings, unreadable};

/// Searches for altered blocks that may fail before no more are made.
const SEARCHES_MAX: usize = 8;

/// Checks everything in a store. [`Object`] and [`Text`] are registered already.
///
/// ```no_run
/// # fn main() -> Result<(), systole::Error> {
/// let report = systole::Verifier::open("data")?.run(&mut |_| {})?;
/// for damage in &report.damage {
///     println!("{damage}\n  {}", damage.advice);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Verifier {
    store: Store,
    /// Why the store could only be opened to be read.
    obstacle: Option<systole_store::Error>,
    registry: ModelRegistry,
    refused: Option<RegistryError>,
}

impl Verifier {
    /// Opens the store in the directory `path`, which must be there, for nobody else meanwhile.
    ///
    /// What the storage engine finds damaged when it opens is part of the report, and the rest is
    /// checked, as long as it can be read at all. A log whose last records are torn, as a power failure
    /// leaves it, is no damage: they are dropped, as the engine would drop them.
    ///
    /// # Errors
    /// `Unavailable` when the directory is open elsewhere, `Invalid` when it holds no store or one of a
    /// newer format, `Corrupt` when nothing of it can be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (store, obstacle) = Store::open_to_inspect(path.as_ref(), &Options::default())?;
        Ok(Self { obstacle, ..Self::on_store(store) })
    }

    /// Checks a store that is open already and that nobody writes to meanwhile.
    pub fn on_store(store: Store) -> Self {
        let registry = ModelRegistry::new();
        let verifier = Self { store, obstacle: None, registry, refused: None };
        verifier.register::<Object>().register::<Text>()
    }

    /// Registers a model type: checkpoints of its items are compared with a replay. Those of other types
    /// are only checked against their checksum. [`Verifier::run`] fails if the registry refuses it.
    pub fn register<M: Model>(mut self) -> Self {
        if let Err(error) = self.registry.register::<M>() {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Checks everything. Takes a while: tell somebody about the progress.
    ///
    /// # Errors
    /// `Invalid` when a model type was refused. Damage is no error, it stands in the report.
    pub fn run(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report, Error> {
        if let Some(refused) = &self.refused {
            let refused = refused.clone();
            return Err(Error::caused(ErrorKind::Invalid, "a model type is refused", refused));
        }
        let mut sink = Sink::new(progress);
        if let Some(obstacle) = &self.obstacle {
            let reason = format!("the database does not open: {}", unreadable(obstacle));
            sink.findings.add(Damage::new(DamageKind::File, reason));
        }
        self.read_files(&mut sink);
        let scratch = self.store.scratch();
        let context = Context {
            stored: &self.store,
            scratch: &scratch,
            registry: Arc::new(self.registry.clone()),
            telemetry: Arc::new(Telemetry::new(Arc::new(Live::default()))),
        };
        party::check_all(&context, &mut sink);
        Ok(sink.findings.finish())
    }

    /// Reads what nothing else reads whole, so that damage to a file is told with the file's name.
    fn read_files(&self, sink: &mut Sink<'_>) {
        let families = Family::ALL.into_iter().filter(|family| *family != Family::Block);
        for family in families {
            if let Err(error) = self.store.read_all(family) {
                let reason = format!("family {}: {}", family.name(), unreadable(&error));
                sink.findings.add(Damage::new(DamageKind::File, reason));
            }
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What every check works on.
#[derive(Clone)]
struct Context<'a> {
    /// The store as it is.
    stored: &'a Store,
    /// The store with what could be put right.
    scratch: &'a Store,
    registry: Arc<ModelRegistry>,
    telemetry: Arc<Telemetry>,
}

/// Where checks say what they find and how far they are.
struct Sink<'a> {
    findings: Findings,
    /// Searches for altered blocks that may still fail.
    searches: usize,
    tell: &'a mut dyn FnMut(Progress),
    at: Progress,
}

impl<'a> Sink<'a> {
    fn new(tell: &'a mut dyn FnMut(Progress)) -> Self {
        let at = Progress { done: 0, total: 0, what: "" };
        Self { findings: Findings::default(), searches: SEARCHES_MAX, tell, at }
    }

    fn begin(&mut self, what: &'static str, total: u64) {
        self.at = Progress { done: 0, total, what };
        (self.tell)(self.at);
    }

    fn progress(&mut self, more: u64) {
        self.at.done += more;
        (self.tell)(self.at);
    }
}

/// Puts something right in a scratch copy.
fn repair(scratch: &Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    fill(&mut batch);
    scratch.commit(batch, Durability::Buffered).expect("a scratch copy is written in memory");
}
