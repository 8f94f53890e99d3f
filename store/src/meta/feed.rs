//! Feeds that this device knows, and the party each belongs to.

use std::ops::ControlFlow;

use systole_proto::FeedKey;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Counter, Kind, Range};
use crate::meta::{MetaStore, number, put_number};
use crate::numbers::{FeedNo, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};

/// What is remembered of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// Its local number.
    pub no: FeedNo,
    /// Its key.
    pub key: FeedKey,
    /// The party it belongs to; a feed never changes its party.
    pub party: PartyNo,
    /// Whether this device writes it.
    pub own: bool,
    /// When this device first heard of it, in milliseconds since the Unix epoch.
    pub created_millis: u64,
}

const VERSION: u8 = 1;
const FIRST: u32 = 1;

impl MetaStore<'_> {
    /// The number that the next feed gets.
    pub fn next_feed_no(&self) -> Result<FeedNo, Error> {
        self.counter(Counter::Feed, FIRST).map(FeedNo)
    }

    /// Sets the number that the next feed gets: one above the one just taken, in the same batch.
    pub fn put_next_feed_no(&self, batch: &mut Batch, next: FeedNo) {
        put_number(batch, &keys::counter(Counter::Feed), next.0);
    }

    /// Stores a feed and makes it known by its key and its party.
    pub fn put_feed(&self, batch: &mut Batch, feed: &FeedRecord) {
        batch.put_with(Family::Meta, &keys::feed_by_no(feed.no), |out| encode(out, feed));
        put_number(batch, &keys::feed_by_key(&feed.key), feed.no.0);
        batch.put(Family::Meta, &keys::feed_of_party(feed.party, feed.no), &[VERSION]);
    }

    /// The feed with this number.
    pub fn feed(&self, no: FeedNo) -> Result<Option<FeedRecord>, Error> {
        let key = keys::feed_by_no(no);
        self.store.value(Family::Meta, &key, |value| decode(&key, &value))
    }

    /// The number of the feed with this key.
    pub fn feed_no(&self, key: &FeedKey) -> Result<Option<FeedNo>, Error> {
        let key = keys::feed_by_key(key);
        Ok(self.store.value(Family::Meta, &key, |value| number(&value))?.map(FeedNo))
    }

    /// The feed with this key.
    pub fn feed_by_key(&self, key: &FeedKey) -> Result<Option<FeedRecord>, Error> {
        self.feed_no(key)?.map_or(Ok(None), |no| self.feed(no))
    }

    /// Visits every feed of every party by number; one whose record cannot be read is left out.
    pub fn scan_feeds(
        &self,
        visit: &mut dyn FnMut(FeedRecord) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let range = Range::prefix(&[Kind::FeedByNo as u8]);
        let decode = |key: &[u8], value: &[u8]| Ok(decode(key, value).ok());
        self.store.visit(Family::Meta, &range, decode, &mut |feed| {
            feed.map_or(ControlFlow::Continue(()), &mut *visit)
        })
    }

    /// The numbers of a party's feeds, ascending.
    pub fn feed_nos(&self, party: PartyNo) -> Result<Vec<FeedNo>, Error> {
        let prefix = keys::per_party(Kind::FeedOfParty, party);
        self.store.list(Family::Meta, &Range::prefix(&prefix), usize::MAX, |key, _| {
            keys::last_u32(key).map(FeedNo).ok_or(Malformed("short key"))
        })
    }

    /// A party's feeds, in the order of their numbers.
    pub fn feeds_of(&self, party: PartyNo) -> Result<Vec<FeedRecord>, Error> {
        let numbers = self.feed_nos(party)?;
        let keys: Vec<_> = numbers.iter().map(|no| keys::feed_by_no(*no)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        let values = self.store.backend().multi_get(Family::Meta, &keys)?;
        let records = keys.iter().zip(values).map(|(key, value)| match value {
            Some(value) => decode(key, &value).map_err(Error::malformed(Family::Meta, key)),
            None => Err(Error::corrupt(Family::Meta, key, "missing, though its party lists it")),
        });
        records.collect()
    }
}

fn encode(out: &mut Vec<u8>, feed: &FeedRecord) {
    Encoder::new(out, VERSION)
        .raw(feed.key.as_bytes())
        .number(feed.party.0.into())
        .flag(feed.own)
        .number(feed.created_millis);
}

fn decode(key: &[u8], value: &[u8]) -> Result<FeedRecord, Malformed> {
    let no = keys::last_u32(key).map(FeedNo).ok_or(Malformed("short key"))?;
    let mut decoder = Decoder::new(value, VERSION)?;
    let feed = FeedRecord {
        no,
        key: FeedKey(decoder.array()?),
        party: PartyNo(decoder.number_u32()?),
        own: decoder.flag()?,
        created_millis: decoder.number()?,
    };
    decoder.finish().map(|()| feed)
}
