//! Public keys of others that the user gave a name.

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::record::{Decoder, Encoder, Malformed};
use crate::vault::KeyStore;

const VERSION: u8 = 1;

impl KeyStore<'_> {
    /// Remembers a public key under a label.
    pub fn put_known(&self, batch: &mut Batch, public: &[u8; 32], label: &str) {
        batch.put_with(Family::Key, &keys::known_key(public), |out| {
            Encoder::new(out, VERSION).bytes(label.as_bytes());
        });
    }

    /// Forgets a public key.
    pub fn remove_known(&self, batch: &mut Batch, public: &[u8; 32]) {
        batch.delete(Family::Key, &keys::known_key(public));
    }

    /// The known public keys and their labels, in the order of the keys' bytes.
    pub fn known(&self) -> Result<Vec<([u8; 32], String)>, Error> {
        let range = Range::prefix(&[Kind::KnownKey as u8]);
        self.store.list(Family::Key, &range, usize::MAX, |key, value| {
            let public = keys::last_32(key).ok_or(Malformed("short key"))?;
            let mut decoder = Decoder::new(value, VERSION)?;
            let label = decoder.text()?;
            decoder.finish().map(|()| (public, label))
        })
    }
}
