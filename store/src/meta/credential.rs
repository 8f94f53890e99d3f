//! Credentials that a party admitted, in the order it admitted them. What waits for something is not
//! stored: it is found again from the feeds.

use bytes::Bytes;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::meta::MetaStore;
use crate::numbers::{FeedNo, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};

/// An admitted credential and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    /// The feed that holds it.
    pub feed: FeedNo,
    /// Its position there.
    pub seq: u64,
    /// The credential as it was signed.
    pub bytes: Bytes,
}

const VERSION: u8 = 1;

impl MetaStore<'_> {
    /// Stores the party's `n`-th credential.
    pub fn put_credential(
        &self,
        batch: &mut Batch,
        party: PartyNo,
        n: u64,
        credential: &CredentialRecord,
    ) {
        batch.put_with(Family::Meta, &keys::credential(party, n), |out| {
            Encoder::new(out, VERSION)
                .number(credential.feed.0.into())
                .number(credential.seq)
                .bytes(&credential.bytes);
        });
    }

    /// The party's credentials with their numbers, in order.
    pub fn credentials(&self, party: PartyNo) -> Result<Vec<(u64, CredentialRecord)>, Error> {
        let range = Range::prefix(&keys::per_party(Kind::Credential, party));
        self.store.list(Family::Meta, &range, usize::MAX, decode)
    }
}

fn decode(key: &[u8], value: &[u8]) -> Result<(u64, CredentialRecord), Malformed> {
    let n = keys::last_u64(key).ok_or(Malformed("short key"))?;
    let mut decoder = Decoder::new(value, VERSION)?;
    let credential = CredentialRecord {
        feed: FeedNo(decoder.number_u32()?),
        seq: decoder.number()?,
        bytes: Bytes::copy_from_slice(decoder.bytes()?),
    };
    decoder.finish().map(|()| (n, credential))
}
