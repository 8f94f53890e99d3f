//! The directory of a store: what lies in it, and how it is told from any other directory.
//!
//! ```text
//! <path>/FORMAT          one line of text: what this is, and the version of its format
//! <path>/database/       RocksDB
//! <path>/database/PLACE  where the data belong, so that a copy is noticed (see `place`)
//! <path>/device.key      the device's key, if the app lets the store keep it (see `VaultKey::device`)
//! ```
//!
//! Invariants:
//! - a directory that holds anything else is never written to;
//! - FORMAT is written before the database, and raised before it: whoever is too old stops there,
//!   before RocksDB changes a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::vault::DEVICE_KEY_FILE;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_FILE_UNFINISHED: &str = "FORMAT.new";
const FORMAT_LINE: &str = "systole store, format ";
const FORMAT_FILE_BYTES_MAX: u64 = 64;

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, or at most what an unfinished creation left.
    Nothing,
    /// A store of a format that this version reads.
    Store,
}

/// Where the database lies in a store's directory.
pub(crate) fn database(path: &Path) -> PathBuf {
    path.join("database")
}

/// Looks, without changing anything. Refuses what is neither empty nor a store.
pub(crate) fn inspect(path: &Path) -> Result<Content, Error> {
    let format_path = path.join(FORMAT_FILE);
    match File::open(&format_path) {
        Ok(file) => {
            let mut text = String::new();
            let read = file.take(FORMAT_FILE_BYTES_MAX).read_to_string(&mut text);
            match read {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(not_a_store(path, "its FORMAT file is not text"));
                }
                Err(error) => return Err(Error::io("read", &format_path)(error)),
            }
            let found = parse(&text)
                .ok_or_else(|| not_a_store(path, "its FORMAT file is not a store's"))?;
            check_format(found)?;
            // RocksDB writes CURRENT when a new database is complete.
            let complete = database(path).join("CURRENT").exists();
            Ok(if complete { Content::Store } else { Content::Nothing })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => only_leftovers(path),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(not_a_store(path, "a file"))
        }
        Err(error) => Err(Error::io("read", &format_path)(error)),
    }
}

/// Makes the directory a store's.
pub(crate) fn mark(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    let unfinished = path.join(FORMAT_FILE_UNFINISHED);
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(format!("{FORMAT_LINE}{FORMAT}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(Error::io("write", &unfinished))?;
    let finished = path.join(FORMAT_FILE);
    fs::rename(&unfinished, &finished).map_err(Error::io("write", &finished))?;
    sync_directory(path)
}

/// Refuses a format that a newer version wrote.
pub(crate) fn check_format(found: u32) -> Result<(), Error> {
    if found > FORMAT {
        return Err(Error::NewerFormat { found, supported: FORMAT });
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    // Elsewhere a directory cannot be opened, and renames are durable by themselves.
    if cfg!(unix) {
        let synced = File::open(path).and_then(|directory| directory.sync_all());
        synced.map_err(Error::io("sync", path))?;
    }
    Ok(())
}

fn only_leftovers(path: &Path) -> Result<Content, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(error) => return Err(Error::io("list", path)(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("list", path))?.file_name();
        let name = name.to_string_lossy();
        if name != FORMAT_FILE_UNFINISHED && !name.starts_with(DEVICE_KEY_FILE) {
            return Err(not_a_store(path, &format!("it holds {name}")));
        }
    }
    Ok(Content::Nothing)
}

fn parse(text: &str) -> Option<u32> {
    text.strip_prefix(FORMAT_LINE)?.trim_end().parse().ok().filter(|format| *format > 0)
}

fn not_a_store(path: &Path, found: &str) -> Error {
    Error::NotAStore { path: path.to_owned(), found: found.to_owned() }
}
