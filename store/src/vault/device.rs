//! The device's key file: version byte and 32 random bytes, beside the database.
//!
//! Invariants:
//! - the file is never replaced: losing the key loses every secret of the vault;
//! - it appears under its name only when it is complete and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::directory;
use crate::error::Error;
use crate::vault::sealed;

/// Its name in the store's directory; unfinished files begin with it.
pub(crate) const DEVICE_KEY_FILE: &str = "device.key";

const VERSION: u8 = 1;
const BYTES: usize = 1 + 32;

pub(super) fn load_or_create(directory: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
    let path = directory.join(DEVICE_KEY_FILE);
    if let Some(key) = load(&path)? {
        return Ok(key);
    }
    create(directory, &path)?;
    load(&path)?.ok_or_else(|| damaged(&path, "it vanished while it was made"))
}

fn load(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    // Room for one byte too many, so that a longer file shows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES + 1));
    let mut limited = file.take(BYTES as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    match bytes.as_slice() {
        [VERSION, key @ ..] => match key.try_into() {
            Ok(key) => Ok(Some(Zeroizing::new(key))),
            Err(_) => Err(damaged(path, "it has the wrong size")),
        },
        _ => Err(damaged(path, "its version is unknown")),
    }
}

fn create(directory: &Path, path: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    let key = Zeroizing::new(sealed::random::<32>()?);
    let name = u64::from_ne_bytes(sealed::random()?);
    let unfinished = directory.join(format!("{DEVICE_KEY_FILE}.{name:016x}"));
    let written = owner_only().open(&unfinished).and_then(|mut file| {
        file.write_all(&[VERSION])?;
        file.write_all(&*key)?;
        file.sync_all()
    });
    // A link, unlike a rename, never replaces the file of someone who was faster.
    let linked = written.and_then(|()| match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no links; there the store's lock must keep others away.
        Err(_) if !path.exists() => fs::rename(&unfinished, path),
        other => other,
    });
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &unfinished)(error));
        }
        _ => {}
    }
    linked.map_err(Error::io("write", path))?;
    directory::sync_directory(directory)
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Corrupt {
        family: "directory",
        key: path.display().to_string(),
        reason: reason.to_owned(),
    }
}
