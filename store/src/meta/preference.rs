//! Preferences of the app: small values under names.

use bytes::Bytes;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::meta::MetaStore;
use crate::record::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

impl MetaStore<'_> {
    /// Stores a preference, or removes it if there is no value.
    pub fn put_preference(&self, batch: &mut Batch, name: &str, value: Option<&[u8]>) {
        let key = keys::preference(name);
        match value {
            Some(value) => batch.put_with(Family::Meta, &key, |out| {
                Encoder::new(out, VERSION).raw(value);
            }),
            None => batch.delete(Family::Meta, &key),
        }
    }

    /// The preference with this name.
    pub fn preference(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.store.value(Family::Meta, &keys::preference(name), |value| {
            Decoder::new(&value, VERSION)?;
            Ok(value.slice(1..))
        })
    }

    /// Every preference, in the order of their names.
    pub fn preferences(&self) -> Result<Vec<(String, Bytes)>, Error> {
        let range = Range::prefix(&[Kind::Preference as u8]);
        self.store.list(Family::Meta, &range, usize::MAX, |key, value| {
            let name = key.get(1..).and_then(|name| str::from_utf8(name).ok());
            let name = name.ok_or(Malformed("name is not UTF-8"))?;
            let value = Decoder::new(value, VERSION)?.rest();
            Ok((name.to_owned(), Bytes::copy_from_slice(value)))
        })
    }
}
