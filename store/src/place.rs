//! The place of a store: where its data belong, so that a copy of them is noticed.
//!
//! A device must not write its feeds from two places: blocks that differ under one number fork a feed, and
//! everybody who sees both knows. So a store remembers where it stands, and whoever opens it elsewhere is
//! told ([`Store::is_copy`](crate::Store::is_copy)).
//!
//! In a directory the place is the file `database/PLACE`: a random token, and the file's own inode number
//! and time of change, which no tool that copies files can carry over. The database holds all three. It
//! lies among the database's files, so that what brings these back brings it back too, with another time.
//! The device's number is left out: it changes between boots. On a backend of the caller's it is a name.
//!
//! What is noticed: a directory that was copied, packed and unpacked, moved to another file system, or
//! filled again in place with the files of an older copy; a backup, which has no PLACE. Not taken for a
//! copy: a directory that was renamed.
//!
//! What is not noticed: a whole file system or machine that is set back to an earlier image, and files that
//! are brought back by a tool which leaves alone a PLACE that looks the same to it (`rsync` compares sizes
//! and times). There a device knows better only when others show it more of its own feed than it has.
//!
//! What is taken for a copy without being one costs a fresh feed and nothing else: after a change of the
//! file's owner or mode, at the next mount of a file system that numbers its files anew each time (some
//! network and FAT systems), and once for a store that was made before places were recorded.
//!
//! Elsewhere than on Unix only the token counts, and so only a backup is noticed.
//!
//! Invariants:
//! - PLACE is written only by whoever holds the database's lock, and never by an opening for reading;
//! - the record follows the file, in a batch: a crash between the two only means that the store is
//!   taken for a copy.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::directory;
use crate::error::Error;
use crate::family::Family;
use crate::keys;
use crate::record::{Decoder, Encoder, Malformed};
use crate::vault::random;

const PLACE_FILE: &str = "PLACE";
const PLACE_FILE_UNFINISHED: &str = "PLACE.new";
const PLACE_LINE: &str = "place of a systole store, not to be copied: ";
/// Far above what is ever written.
const PLACE_FILE_BYTES_MAX: u64 = 256;
const TOKEN_BYTES: usize = 16;

const VERSION: u8 = 1;

/// How a store tells where it stands.
pub(crate) enum Place {
    /// It does not: it is never a copy.
    Anywhere,
    /// By a name that its opener gives it.
    Named(Vec<u8>),
    /// By a file in this directory.
    Directory(PathBuf),
}

impl Place {
    /// The place among the files of the database in `path`.
    pub(crate) fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// What identifies the place; nothing if there is nothing that does.
    pub(crate) fn found(&self) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Anywhere => Ok(None),
            Self::Named(name) => Ok(Some(name.clone())),
            Self::Directory(path) => {
                let path = path.join(PLACE_FILE);
                match File::open(&path) {
                    Ok(file) => identity(&file).map(Some).map_err(Error::io("read", &path)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Error::io("read", &path)(error)),
                }
            }
        }
    }

    /// Makes the place one that no store was at before, and returns what identifies it.
    pub(crate) fn renew(&self) -> Result<Option<Vec<u8>>, Error> {
        if let Self::Directory(path) = self {
            write(path)?;
        }
        self.found()
    }

    /// The directory of the database, if that is where the store stands.
    pub(crate) fn database(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Anywhere | Self::Named(_) => None,
        }
    }

    pub(crate) fn is_anywhere(&self) -> bool {
        matches!(self, Self::Anywhere)
    }
}

/// Puts a store's record of its place.
pub(crate) fn put(batch: &mut Batch, place: &[u8]) {
    batch.put_with(Family::Meta, &keys::place(), |out| {
        Encoder::new(out, VERSION).bytes(place);
    });
}

pub(crate) fn decode(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let place = decoder.bytes()?.to_vec();
    decoder.finish().map(|()| place)
}

fn write(directory: &Path) -> Result<(), Error> {
    let token = random::<TOKEN_BYTES>()?;
    let mut line = PLACE_LINE.to_owned();
    for byte in token {
        write!(line, "{byte:02x}").expect("a string takes what is written to it");
    }
    line.push('\n');
    let (unfinished, finished) =
        (directory.join(PLACE_FILE_UNFINISHED), directory.join(PLACE_FILE));
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &finished)?;
        // The renaming changed the file's time, which must be on the disk before it is recorded.
        file.sync_all()
    });
    written.map_err(Error::io("write", &finished))?;
    directory::sync_directory(directory)
}

/// What the file says, and what only this very file is.
fn identity(file: &File) -> io::Result<Vec<u8>> {
    let mut identity = Vec::new();
    stamp(&file.metadata()?, &mut identity);
    file.take(PLACE_FILE_BYTES_MAX).read_to_end(&mut identity)?;
    Ok(identity)
}

#[cfg(unix)]
fn stamp(metadata: &Metadata, out: &mut Vec<u8>) {
    use std::os::unix::fs::MetadataExt;
    out.extend_from_slice(&metadata.ino().to_be_bytes());
    out.extend_from_slice(&metadata.ctime().to_be_bytes());
    out.extend_from_slice(&metadata.ctime_nsec().to_be_bytes());
}

#[cfg(not(unix))]
fn stamp(_: &Metadata, _: &mut Vec<u8>) {}
