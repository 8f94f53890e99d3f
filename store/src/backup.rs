//! Backups: copies of a store that are whole or do not exist.
//!
//! ```text
//! Store::backup        who has the store open        a checkpoint of the database
//! Staged::beside       anybody, while others write   a copy from outside (`outside`)
//! Staged::within       bringing a backup back        the same copy, into the place of a store
//! ```
//!
//! A backup is a directory like any store's, without PLACE: whoever opens it is told that it is a copy. It
//! holds `device.key` if the store does, so it is as secret as the store. On the same file system the
//! tables of a checkpoint are shared with the store's, as links; only a backup on another disk survives
//! the loss of this one.
//!
//! Invariants:
//! - FORMAT is written last, when all else is on the disk, and only then does a backup get its name: what
//!   was left half done is never taken for a store;
//! - what is not finished is removed, unless the process ends first.

mod outside;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::rocks::Rocks;
use crate::directory::{self, Content};
use crate::error::Error;
use crate::family::Family;
use crate::options::Options;
use crate::store::Store;
use crate::usage::Usage;
use crate::vault::DEVICE_KEY_FILE;

const UNFINISHED: &str = ".partial";

/// A copy of a store that is there but not finished: no store for anybody yet. Dropped unfinished, it is
/// removed.
#[derive(Debug)]
pub struct Staged {
    /// Where its files lie.
    at: PathBuf,
    /// The name that it gets at the end, unless it lies there already.
    name: Option<PathBuf>,
    /// Whether the directory was made for it.
    is_made: bool,
    is_finished: bool,
}

impl Store {
    /// Copies the store to `to`, which must not exist, while it is used. Everything that was committed
    /// before is in the copy, and of what is committed meanwhile a part that began earlier than the rest.
    /// It is written beside `to`, under a name that ends in `.partial`, and renamed when it is complete
    /// and on the disk.
    ///
    /// The copy holds the device's key if the store does: it is as secret as the store.
    pub fn backup(&self, to: &Path) -> Result<(), Error> {
        if let Some(reason) = self.poisoned() {
            return Err(Error::Poisoned { reason });
        }
        let staged = Staged::begin_beside(to)?;
        if let Some(from) = self.directory() {
            staged.resemble(from)?;
        }
        self.backend().checkpoint(&staged.database())?;
        if let Some(from) = self.directory() {
            staged.copy_key(from)?;
        }
        staged.finish()
    }
}

impl Staged {
    /// Copies the store in the directory `from` to a directory beside `to`, which must not exist and is
    /// where the copy stands once it is finished. Nobody else is needed for it or kept out: the store may
    /// be open elsewhere and written to. Everything that was written before is in the copy.
    pub fn beside(from: &Path, to: &Path) -> Result<Self, Error> {
        must_be_store(from)?;
        let staged = Self::begin_beside(to)?;
        staged.fill(from)?;
        Ok(staged)
    }

    /// Copies the store in the directory `from` into the directory `to`, which must be empty or absent.
    pub fn within(from: &Path, to: &Path) -> Result<Self, Error> {
        must_be_store(from)?;
        let staged = Self::begin_within(to)?;
        staged.fill(from)?;
        Ok(staged)
    }

    /// Opens the copy, unless there is damage.
    pub fn store(&self, options: &Options) -> Result<Store, Error> {
        let backend = Rocks::open_strictly(&self.database(), options)?;
        Store::with_backend(Arc::new(backend))
    }

    /// Opens the copy, reads all of it, and says how large it is: every table and log record is read, and
    /// its checksum compared.
    pub fn check(&self, options: &Options) -> Result<Usage, Error> {
        let store = self.store(options)?;
        for family in Family::ALL {
            store.read_all(family)?;
        }
        store.usage()
    }

    /// Whether the copy holds the device's key.
    pub fn holds_key(&self) -> bool {
        self.at.join(DEVICE_KEY_FILE).exists()
    }

    /// Makes the copy a store, once everything is on the disk.
    pub fn finish(mut self) -> Result<(), Error> {
        sync_files(&self.database())?;
        sync_files(&self.at)?;
        directory::mark(&self.at)?;
        if let Some(name) = &self.name {
            // Renaming would replace an empty directory that somebody made meanwhile.
            must_be_absent(name)?;
            fs::rename(&self.at, name).map_err(Error::io("rename", &self.at))?;
        }
        self.is_finished = true;
        directory::sync_directory(parent(self.name.as_ref().unwrap_or(&self.at)))
    }

    fn begin_beside(to: &Path) -> Result<Self, Error> {
        must_be_absent(to)?;
        let Some(name) = to.file_name() else {
            return Err(Error::Exists { path: to.to_owned() });
        };
        let mut unfinished = OsString::from(name);
        unfinished.push(UNFINISHED);
        let at = to.with_file_name(unfinished);
        fs::create_dir_all(parent(to)).map_err(Error::io("create", parent(to)))?;
        match fs::create_dir(&at) {
            Ok(()) => {}
            // Another backup may be at work, so it is not ours to remove.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { path: at });
            }
            Err(error) => return Err(Error::io("create", &at)(error)),
        }
        Ok(Self { at, name: Some(to.to_owned()), is_made: true, is_finished: false })
    }

    fn begin_within(to: &Path) -> Result<Self, Error> {
        let is_made = match fs::read_dir(to) {
            Ok(mut entries) => match entries.next() {
                None => false,
                Some(_) => return Err(Error::Exists { path: to.to_owned() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(to).map_err(Error::io("create", to))?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(Error::Exists { path: to.to_owned() });
            }
            Err(error) => return Err(Error::io("list", to)(error)),
        };
        Ok(Self { at: to.to_owned(), name: None, is_made, is_finished: false })
    }

    fn database(&self) -> PathBuf {
        directory::database(&self.at)
    }

    fn fill(&self, from: &Path) -> Result<(), Error> {
        self.resemble(from)?;
        outside::copy(&directory::database(from), &self.database()).map_err(
            |error| match error {
                Error::Restless { attempts, .. } => {
                    Error::Restless { path: from.to_owned(), attempts }
                }
                error => error,
            },
        )?;
        self.copy_key(from)
    }

    /// Lets nobody read the copy who may not read the store.
    #[cfg(unix)]
    fn resemble(&self, from: &Path) -> Result<(), Error> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        const OWNER_ALL: u32 = 0o700;
        if self.is_made {
            let mode = fs::metadata(from).map_err(Error::io("read", from))?.mode();
            let permissions = fs::Permissions::from_mode(mode & 0o777 | OWNER_ALL);
            fs::set_permissions(&self.at, permissions).map_err(Error::io("protect", &self.at))?;
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn resemble(&self, _: &Path) -> Result<(), Error> {
        Ok(())
    }

    /// The file's permissions are copied with it.
    fn copy_key(&self, from: &Path) -> Result<(), Error> {
        let (key, copied) = (from.join(DEVICE_KEY_FILE), self.at.join(DEVICE_KEY_FILE));
        match fs::copy(&key, &copied) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("copy", &key)(error)),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // Nobody can be told of a failure; what stays is no store, and the next attempt names it.
        let _ = if self.is_made {
            fs::remove_dir_all(&self.at)
        } else {
            let _ = fs::remove_file(self.at.join(DEVICE_KEY_FILE));
            fs::remove_dir_all(self.database())
        };
    }
}

fn must_be_store(path: &Path) -> Result<(), Error> {
    match directory::inspect(path)? {
        Content::Store => Ok(()),
        Content::Nothing => Err(Error::NotFound { path: path.to_owned() }),
    }
}

fn must_be_absent(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look for", path)(error)),
    }
}

/// The directory that holds a path's name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Brings every file of a directory to the disk, and their names.
fn sync_files(path: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(path).map_err(Error::io("list", path))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("list", path))?;
        if entry.file_type().map_err(Error::io("list", path))?.is_file() {
            let file = entry.path();
            // Windows syncs only what is open for writing.
            let opened = if cfg!(unix) {
                File::open(&file)
            } else {
                File::options().write(true).open(&file)
            };
            opened.and_then(|file| file.sync_all()).map_err(Error::io("sync", &file))?;
        }
    }
    directory::sync_directory(path)
}
