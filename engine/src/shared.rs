//! What all parts of one open engine share.
//!
//! Invariant: nothing that a user holds keeps this alive, so closing the engine frees the directory
//! whatever handles are still around.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use crate::device::Device;
use crate::feed::WriterHandle;
use crate::item::loads::Loads;
use crate::settings::Settings;
use crate::{Counters, Error, ErrorKind};

/// The inside of an open engine.
pub(crate) struct Shared {
    pub(crate) device: Arc<Device>,
    pub(crate) writer: WriterHandle,
    pub(crate) settings: Settings,
    /// Loads items, of all parties.
    pub(crate) loads: Arc<Loads>,
    pub(crate) span: tracing::Span,
}

impl Shared {
    /// Milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine reads the clock")]
    pub(crate) fn now_millis() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 only spoils display times.
        now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn counters(&self) -> Counters {
        let writer = self.writer.counters();
        let counters = self.device.live.counters();
        Counters {
            stages: counters.stages.and(&writer.stages.spent()),
            commit_groups: writer.groups.load(Relaxed),
            commits: writer.batches.load(Relaxed),
            syncs: writer.syncs.load(Relaxed),
            ..counters
        }
    }
}

/// The engine behind a handle, while it is open.
pub(crate) fn open(shared: &Weak<Shared>) -> Result<Arc<Shared>, Error> {
    shared.upgrade().ok_or_else(|| Error::closed("the engine"))
}

impl From<systole_store::Error> for Error {
    fn from(error: systole_store::Error) -> Self {
        use systole_store::Error as Store;
        let kind = match &error {
            Store::NotFound { .. }
            | Store::NotAStore { .. }
            | Store::NewerFormat { .. }
            | Store::Exists { .. }
            | Store::Unsupported { .. }
            | Store::WrongKey => ErrorKind::Invalid,
            Store::Busy { .. } | Store::Restless { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Corrupt,
        };
        Self::caused(kind, "the store refused", error)
    }
}

impl From<crate::feed::WriterError> for Error {
    fn from(error: crate::feed::WriterError) -> Self {
        match error {
            crate::feed::WriterError::Closed => Self::closed("the engine"),
            crate::feed::WriterError::Panicked => {
                Self::caused(ErrorKind::Internal, "the feed writer failed", error)
            }
            crate::feed::WriterError::Store(source) => source.into(),
        }
    }
}
