//! What can go wrong in a store, each case telling what the caller should do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::family::Family;
use crate::keys;
use crate::record::Malformed;

/// Why a store refused or failed. Cheap to clone: a group commit answers everybody with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another store, here or in another process, has the directory open. Close it, or retry later.
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// There is no store at this path. Check the path, or open it with `Store::open` to create one.
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The path holds something that is not a store. Choose another path; nothing was changed.
    NotAStore {
        /// The path that was asked for.
        path: PathBuf,
        /// What was found there.
        found: String,
    },
    /// A copy cannot be written here, for something is here already: what was asked for, or what an
    /// earlier attempt left. Remove it, or choose another path.
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The store is changed too fast to be copied from outside. Let the process that has it open make the
    /// backup, or retry.
    Restless {
        /// The directory.
        path: PathBuf,
        /// How often it was tried.
        attempts: u32,
    },
    /// The backend cannot do this. Use one that can.
    Unsupported {
        /// What it cannot do.
        action: &'static str,
    },
    /// A newer version of this software wrote the store. Upgrade; nothing was changed.
    NewerFormat {
        /// The format that the store has.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
    /// An earlier write or sync failed, so what the disk holds is unknown. Close the store and reopen
    /// it: reopening reads what is really there.
    Poisoned {
        /// What failed first.
        reason: String,
    },
    /// The store was opened for reading only. Open it with `Store::open` to write.
    ReadOnly,
    /// The disk is full. Make room, then reopen.
    DiskFull {
        /// What the storage engine said.
        reason: String,
    },
    /// A stored value cannot be what this software wrote. Restore the directory from a backup, or
    /// delete it and replicate again; report it if the disk is sound.
    Corrupt {
        /// The column family, `"directory"` for a file beside the database.
        family: &'static str,
        /// The key in words.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key or passphrase does not open the vault. Use the one it was first unlocked with.
    WrongKey,
    /// The passphrase cannot be made into a key, for want of memory. Free some and retry.
    Passphrase {
        /// What stood in the way.
        reason: String,
    },
    /// The operating system refused to touch a file. See the source.
    Io {
        /// What was being done.
        action: String,
        /// What the system answered.
        source: Arc<io::Error>,
    },
    /// The storage engine failed. Reopen; if it persists, check the disk.
    Backend {
        /// What was being done.
        action: &'static str,
        /// What the storage engine said.
        reason: String,
    },
    /// The operating system gives no randomness, so no key can be protected. Retry later.
    NoRandomness {
        /// What the system answered.
        reason: String,
    },
}

impl Error {
    pub(crate) fn corrupt(family: Family, key: &[u8], reason: impl fmt::Display) -> Self {
        Self::Corrupt {
            family: family.name(),
            key: keys::describe(key),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn malformed(family: Family, key: &[u8]) -> impl Fn(Malformed) -> Self {
        move |malformed| Self::corrupt(family, key, malformed.0)
    }

    pub(crate) fn io(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let action = format!("{action} {}", path.display());
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull {
                return Self::DiskFull { reason: format!("{action}: {source}") };
            }
            Self::Io { action, source: Arc::new(source) }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path } => write!(
                f,
                "store {} is open elsewhere; close it there or retry later",
                path.display()
            ),
            Self::NotFound { path } => write!(f, "there is no store at {}", path.display()),
            Self::NotAStore { path, found } => write!(
                f,
                "{} is not a store ({found}); choose an empty or absent directory",
                path.display()
            ),
            Self::Exists { path } => write!(
                f,
                "{} is in the way; remove it or choose another path",
                path.display()
            ),
            Self::Restless { path, attempts } => write!(
                f,
                "store {} changed during each of {attempts} attempts to copy it; let the process that \
                 has it open make the backup, or retry",
                path.display()
            ),
            Self::Unsupported { action } => write!(f, "this store cannot {action}"),
            Self::NewerFormat { found, supported } => write!(
                f,
                "the store has format {found} and this version reads up to {supported}; upgrade"
            ),
            Self::Poisoned { reason } => {
                write!(f, "the store takes no more writes since: {reason}; close and reopen it")
            }
            Self::ReadOnly => f.write_str("the store was opened for reading only"),
            Self::DiskFull { reason } => {
                write!(f, "the disk is full ({reason}); make room, then reopen the store")
            }
            Self::Corrupt { family, key, reason } => {
                write!(f, "corrupt value in {family}, {key}: {reason}; restore a backup")
            }
            Self::WrongKey => f.write_str(
                "the key does not open this vault; use the key or passphrase it was first unlocked with",
            ),
            Self::Passphrase { reason } => {
                write!(f, "the passphrase cannot be made into a key: {reason}")
            }
            Self::Io { action, .. } => write!(f, "cannot {action}"),
            Self::Backend { action, reason } => write!(f, "storage failed to {action}: {reason}"),
            Self::NoRandomness { reason } => {
                write!(f, "the operating system gives no randomness: {reason}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
