//! What opens the vault: a key, a passphrase, or a file that stays on the device.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::vault::device;

/// Opens the vault. Wiped from memory when dropped.
#[derive(Clone)]
pub struct VaultKey {
    pub(super) source: Source,
}

#[derive(Clone)]
pub(super) enum Source {
    /// Used as it is.
    Key(Zeroizing<[u8; 32]>),
    /// Stretched by Argon2id with the salt in the vault's header.
    Passphrase(Zeroizing<Vec<u8>>),
}

impl VaultKey {
    /// A key that the caller keeps, from the system's keychain for instance. 32 random bytes: it is not
    /// stretched.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self { source: Source::Key(Zeroizing::new(key)) }
    }

    /// A passphrase. Opening takes tens of milliseconds and 19 MiB, so that guessing takes long.
    pub fn from_passphrase(passphrase: &str) -> Self {
        Self { source: Source::Passphrase(Zeroizing::new(passphrase.as_bytes().to_vec())) }
    }

    /// A random key in the file `device.key` of the store's directory, made when first asked for and
    /// readable by its owner only.
    ///
    /// For apps that ask nobody for a passphrase. It protects copies of the database that come without
    /// the file, such as a backup that leaves it out. It does not protect against someone who has the
    /// whole directory.
    pub fn device(path: &Path) -> Result<Self, Error> {
        device::load_or_create(path).map(|key| Self { source: Source::Key(key) })
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(..)")
    }
}
