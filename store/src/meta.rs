//! MetaStore: parties, feeds, how far each is processed, credentials, quarantine, preferences.
//!
//! Invariant: a position is written in the same batch as the effects of what it covers, or in a later
//! one; never earlier. The engine's writer keeps to it, the store's atomic batch makes it possible.

mod credential;
mod feed;
mod party;
mod position;
mod preference;
mod quarantine;

pub use credential::CredentialRecord;
pub use feed::FeedRecord;
pub use party::PartyRecord;
pub use position::FeedPosition;
pub use quarantine::{QuarantineRecord, REASON_BYTES_MAX};

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Counter};
use crate::record::{Decoder, Encoder, Malformed};
use crate::store::Store;

/// Parties, feeds, positions, credentials, quarantine, preferences. A view of a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct MetaStore<'a> {
    store: &'a Store,
}

/// Version byte of the small records that hold one number or none.
const VERSION: u8 = 1;

impl<'a> MetaStore<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// A counter that was never written stands at `first`.
    fn counter(&self, counter: Counter, first: u32) -> Result<u32, Error> {
        let stored =
            self.store.value(Family::Meta, &keys::counter(counter), |value| number(&value))?;
        Ok(stored.unwrap_or(first))
    }
}

fn put_number(batch: &mut Batch, key: &[u8], value: u32) {
    batch.put_with(Family::Meta, key, |out| {
        Encoder::new(out, VERSION).number(value.into());
    });
}

fn number(value: &[u8]) -> Result<u32, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let number = decoder.number_u32()?;
    decoder.finish().map(|()| number)
}
