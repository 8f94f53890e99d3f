//! Parties that this device knows.

use systole_proto::{PartyKey, PublicKey};

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Counter, Kind, Range};
use crate::meta::{MetaStore, number, put_number};
use crate::numbers::{FeedNo, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};

/// What is remembered of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRecord {
    /// Its local number.
    pub no: PartyNo,
    /// Its key.
    pub key: PartyKey,
    /// The feed that holds its genesis, once that is known.
    pub genesis_feed: Option<FeedNo>,
    /// Whether this device takes part: processes the party's feeds.
    pub active: bool,
    /// The last processing number given to a message of the party; 0 if none was.
    pub ordinal: u64,
    /// The key by which this device is a member.
    pub device: Option<PublicKey>,
    /// The feed that this device writes.
    pub own_feed: Option<FeedNo>,
    /// Whether the party's data was deleted here. The record stays, so that its number is never
    /// given to another party.
    pub deleted: bool,
}

const VERSION: u8 = 1;
const FIRST: u32 = 1;

impl MetaStore<'_> {
    /// The number that the next party gets.
    pub fn next_party_no(&self) -> Result<PartyNo, Error> {
        self.counter(Counter::Party, FIRST).map(PartyNo)
    }

    /// Sets the number that the next party gets: one above the one just taken, in the same batch.
    pub fn put_next_party_no(&self, batch: &mut Batch, next: PartyNo) {
        put_number(batch, &keys::counter(Counter::Party), next.0);
    }

    /// Stores a party and makes it known by its key.
    pub fn put_party(&self, batch: &mut Batch, party: &PartyRecord) {
        batch.put_with(Family::Meta, &keys::party_by_no(party.no), |out| encode(out, party));
        put_number(batch, &keys::party_by_key(&party.key), party.no.0);
    }

    /// The party with this number.
    pub fn party(&self, no: PartyNo) -> Result<Option<PartyRecord>, Error> {
        let key = keys::party_by_no(no);
        self.store.value(Family::Meta, &key, |value| decode(&key, &value))
    }

    /// The number of the party with this key.
    pub fn party_no(&self, key: &PartyKey) -> Result<Option<PartyNo>, Error> {
        let key = keys::party_by_key(key);
        Ok(self.store.value(Family::Meta, &key, |value| number(&value))?.map(PartyNo))
    }

    /// The party with this key.
    pub fn party_by_key(&self, key: &PartyKey) -> Result<Option<PartyRecord>, Error> {
        self.party_no(key)?.map_or(Ok(None), |no| self.party(no))
    }

    /// Every party, in the order of their numbers.
    pub fn parties(&self) -> Result<Vec<PartyRecord>, Error> {
        let range = Range::prefix(&[Kind::PartyByNo as u8]);
        self.store.list(Family::Meta, &range, usize::MAX, decode)
    }
}

fn encode(out: &mut Vec<u8>, party: &PartyRecord) {
    Encoder::new(out, VERSION)
        .raw(party.key.as_bytes())
        .option(party.genesis_feed, |encoder, feed| encoder.number(feed.0.into()))
        .flag(party.active)
        .number(party.ordinal)
        .option(party.device, |encoder, device| encoder.raw(device.as_bytes()))
        .option(party.own_feed, |encoder, feed| encoder.number(feed.0.into()))
        .flag(party.deleted);
}

fn decode(key: &[u8], value: &[u8]) -> Result<PartyRecord, Malformed> {
    let no = keys::last_u32(key).map(PartyNo).ok_or(Malformed("short key"))?;
    let mut decoder = Decoder::new(value, VERSION)?;
    let party = PartyRecord {
        no,
        key: PartyKey(decoder.array()?),
        genesis_feed: decoder.option(|decoder| decoder.number_u32().map(FeedNo))?,
        active: decoder.flag()?,
        ordinal: decoder.number()?,
        device: decoder.option(|decoder| decoder.array().map(PublicKey))?,
        own_feed: decoder.option(|decoder| decoder.number_u32().map(FeedNo))?,
        deleted: decoder.flag()?,
    };
    decoder.finish().map(|()| party)
}
