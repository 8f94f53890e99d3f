//! A copy of a database whose owner is not asked: it may write, flush and compact meanwhile.
//!
//! What a database is at a moment are three things: MANIFEST up to its length at that moment, which lists
//! the tables and blobs that count; these files; and the logs with what is in none of them yet. RocksDB
//! changes them in this order, and the copy rests on nothing else:
//!
//! - tables, blobs, MANIFEST and logs are only ever appended to, and no name is used twice while CURRENT
//!   stays as it is, which every opening of the database replaces;
//! - a file is complete before MANIFEST lists it, and MANIFEST says that a table, blob or log is no longer
//!   needed before the file is removed. So as long as MANIFEST does not grow, whatever it needs is there;
//! - a log is complete when the next one appears.
//!
//! So: tables and blobs, the bulk, are copied first and without hurry, incomplete and superfluous ones
//! included. Then comes the moment: note MANIFEST and its length; list the directory; open, without
//! copying, every table that is not copied at its present length, and every log, and note their lengths;
//! and see that CURRENT and the length of MANIFEST are still what they were. If so, MANIFEST did not grow
//! in between, nothing that it needs was removed, and what is open is copied up to the noted lengths: an
//! open file can be read to its end even if it is removed. If not, the moment is tried again, with only
//! the tables that came since to be copied; it takes about a millisecond, and a flush takes many.
//!
//! The result is what a power failure after the moment would leave, had everything been written through:
//! the last log may end in half a record, which opening drops. All that was written before the copy began
//! is in it.
//!
//! The logs are listed twice, for a listing may leave out a file that is made during it and show a later
//! one, and a gap between logs would not show. Nothing is linked: a table that is not finished would be
//! shared with the original, and whoever opens the copy may use its name again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::Error;

/// Moments tried before the database is called restless.
const ATTEMPTS_MAX: u32 = 1000;
/// Tables that are opened at the moment at most. If there are more, they are copied first.
const TABLES_OPEN_MAX: usize = 64;
const CURRENT: &str = "CURRENT";
const MANIFEST: &str = "MANIFEST-";

/// Copies the database in the directory `from` to `to`, which is made.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    copy_beside(from, to, &mut || {})
}

/// The same with somebody who may change the original between any two steps.
fn copy_beside(from: &Path, to: &Path, other: &mut dyn FnMut()) -> Result<(), Error> {
    fs::create_dir(to).map_err(Error::io("create", to))?;
    let mut copy = Copy { from, to, current: Vec::new(), copied: BTreeMap::new(), other };
    for _ in 0..ATTEMPTS_MAX {
        copy.tables()?;
        if let Some(moment) = copy.moment()? {
            return copy.end(moment);
        }
    }
    Err(Error::Restless { path: from.to_owned(), attempts: ATTEMPTS_MAX })
}

struct Copy<'a> {
    from: &'a Path,
    to: &'a Path,
    /// What CURRENT says while the names mean the same files.
    current: Vec<u8>,
    /// Tables and blobs, with the length up to which they are copied.
    copied: BTreeMap<String, u64>,
    /// Acts between two steps.
    other: &'a mut dyn FnMut(),
}

/// A file that is open, and its length at the moment.
struct Piece {
    name: String,
    file: File,
    length: u64,
}

/// What is missing of the database as it is at one moment.
struct Moment {
    pieces: Vec<Piece>,
}

impl Copy<'_> {
    /// Copies the tables and blobs that are there and are not copied yet.
    fn tables(&mut self) -> Result<(), Error> {
        let current = self.read_current()?;
        if current != self.current {
            for name in std::mem::take(&mut self.copied).into_keys() {
                let stale = self.to.join(name);
                fs::remove_file(&stale).map_err(Error::io("remove", &stale))?;
            }
            self.current = current;
        }
        (self.other)();
        for name in self.list()?.into_iter().filter(|name| is_table(name)) {
            (self.other)();
            if !self.copied.contains_key(&name)
                && let Some(piece) = self.open(&name)?
            {
                let length = self.take(&piece)?;
                self.copied.insert(name, length);
            }
        }
        Ok(())
    }

    /// Opens what is missing, if nothing that is needed changed meanwhile.
    fn moment(&mut self) -> Result<Option<Moment>, Error> {
        (self.other)();
        let Some(manifest) = self.manifest()? else { return Ok(None) };
        let mut pieces = Vec::new();
        (self.other)();
        let names = self.list()?;
        (self.other)();
        for name in names.iter().filter(|name| is_table(name)) {
            // A file that is gone was not needed, or the moment has passed.
            let Some(piece) = self.open(name)? else { continue };
            if self.copied.get(name) != Some(&piece.length) {
                pieces.push(piece);
            }
            if pieces.len() > TABLES_OPEN_MAX {
                return Ok(None);
            }
        }
        (self.other)();
        let logs = |names: &BTreeSet<String>| -> Vec<String> {
            names.iter().filter(|name| is_log(name)).cloned().collect()
        };
        let listed = logs(&names);
        if logs(&self.list()?) != listed {
            return Ok(None);
        }
        (self.other)();
        for name in &listed {
            pieces.extend(self.open(name)?);
        }
        (self.other)();
        let length = manifest.file.metadata().map_err(Error::io("measure", self.from))?.len();
        if length != manifest.length || self.read_current()? != self.current {
            return Ok(None);
        }
        (self.other)();
        pieces.push(manifest);
        Ok(Some(Moment { pieces }))
    }

    /// Copies what was open at the moment. The name of MANIFEST comes last.
    fn end(&self, moment: Moment) -> Result<(), Error> {
        for piece in &moment.pieces {
            let length = self.take(piece)?;
            if length != piece.length {
                let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(Error::io("copy", &self.from.join(&piece.name))(cut));
            }
        }
        let path = self.to.join(CURRENT);
        let written = File::create(&path).and_then(|mut file| file.write_all(&self.current));
        written.map_err(Error::io("write", &path))
    }

    /// The file that CURRENT names, if that is still the one it was.
    fn manifest(&self) -> Result<Option<Piece>, Error> {
        if self.read_current()? != self.current {
            return Ok(None);
        }
        let name = str::from_utf8(&self.current).ok().map(str::trim_end);
        let Some(name) = name.filter(|name| name.starts_with(MANIFEST) && !name.contains('/'))
        else {
            return Err(Error::Corrupt {
                family: "directory",
                key: self.from.join(CURRENT).display().to_string(),
                reason: "it does not name a manifest".to_owned(),
            });
        };
        self.open(name)
    }

    /// Opens a file, if it is there.
    fn open(&self, name: &str) -> Result<Option<Piece>, Error> {
        let path = self.from.join(name);
        let opened = File::open(&path).and_then(|file| {
            let length = file.metadata()?.len();
            Ok(Piece { name: name.to_owned(), file, length })
        });
        match opened {
            Ok(piece) => Ok(Some(piece)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// Copies a file up to the length that was noted, and returns how much there was.
    fn take(&self, piece: &Piece) -> Result<u64, Error> {
        let path = self.to.join(&piece.name);
        let mut target = File::create(&path).map_err(Error::io("create", &path))?;
        let copied = io::copy(&mut (&piece.file).take(piece.length), &mut target);
        copied.map_err(Error::io("copy", &self.from.join(&piece.name)))
    }

    fn read_current(&self) -> Result<Vec<u8>, Error> {
        let path = self.from.join(CURRENT);
        fs::read(&path).map_err(Error::io("read", &path))
    }

    fn list(&self) -> Result<BTreeSet<String>, Error> {
        let entries = fs::read_dir(self.from).map_err(Error::io("list", self.from))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<_>>().map_err(Error::io("list", self.from))
    }
}

fn is_table(name: &str) -> bool {
    is_numbered(name, ".sst") || is_numbered(name, ".blob")
}

fn is_log(name: &str) -> bool {
    is_numbered(name, ".log")
}

fn is_numbered(name: &str, ending: &str) -> bool {
    let number = name.strip_suffix(ending);
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
