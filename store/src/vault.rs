//! KeyStore: own secrets, encrypted at rest, and public keys that the user gave a name.
//!
//! Invariants:
//! - no secret is ever written in the clear: seeds are encrypted before they enter a batch;
//! - a vault opened with a wrong key is noticed at once, by a check value, before it can encrypt
//!   anything that the right key could not read.

mod device;
mod header;
mod key;
mod known;
mod sealed;

use std::fmt;

use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

pub(crate) use device::DEVICE_KEY_FILE;
pub use key::VaultKey;
pub(crate) use sealed::random;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::record::Malformed;
use crate::store::Store;

/// Own secrets and known public keys. A view of a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct KeyStore<'a> {
    store: &'a Store,
}

impl<'a> KeyStore<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Opens the vault. The first key ever used becomes the vault's key; from then on any other is
    /// [`Error::WrongKey`].
    pub fn unlock(&self, key: &VaultKey) -> Result<Vault, Error> {
        let cipher = header::unlock(self.store, key)?;
        Ok(Vault { store: self.store.clone(), cipher })
    }

    /// The public keys whose secrets the vault holds, in the order of their bytes. Needs no key.
    pub fn list(&self) -> Result<Vec<[u8; 32]>, Error> {
        let range = Range::prefix(&[Kind::Secret as u8]);
        self.store.list(Family::Key, &range, usize::MAX, |key, _| {
            keys::last_32(key).ok_or(Malformed("short key"))
        })
    }

    /// Removes a secret for good.
    pub fn remove(&self, batch: &mut Batch, public: &[u8; 32]) {
        batch.delete(Family::Key, &keys::secret(public));
    }
}

/// The open vault. It keeps its store open, and wipes its key when dropped.
#[derive(Clone)]
pub struct Vault {
    store: Store,
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// Stores the seed of `public`, encrypted and bound to it.
    pub fn put(&self, batch: &mut Batch, public: &[u8; 32], seed: &[u8; 32]) -> Result<(), Error> {
        let sealed = sealed::seal(&self.cipher, &sealed::secret_context(public), seed)?;
        batch.put(Family::Key, &keys::secret(public), &sealed);
        Ok(())
    }

    /// The seed of `public`, wiped when dropped.
    pub fn secret(&self, public: &[u8; 32]) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
        let context = sealed::secret_context(public);
        self.store.value(Family::Key, &keys::secret(public), |value| {
            sealed::open(&self.cipher, &context, &value)?
                .ok_or(Malformed("ciphertext was not made by this vault for this key"))
        })
    }

    /// The public keys whose secrets the vault holds, in the order of their bytes.
    pub fn list(&self) -> Result<Vec<[u8; 32]>, Error> {
        self.store.keys().list()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}
