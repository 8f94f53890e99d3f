//! What really happened when a block was written: what its author had processed, the Lamport number
//! that follows, the messages in it, and where its author was admitted. Kept by the simulation beside
//! the engine, which finds all of it again from links alone.

use std::collections::BTreeMap;
use std::rc::Rc;

use systole::{FeedKey, ItemId, PublicKey};
use systole_proto::{Block, Body, Claim, Credential};

use super::{Oracle, Violation};
use crate::story::Names;

/// For every other feed how many of its blocks an author had processed.
pub(crate) type Past = Rc<BTreeMap<FeedKey, u64>>;

/// One block as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// `None` where the past holds a feed with two histories: nobody can say which.
    pub(crate) lamport: Option<u64>,
    pub(crate) past: Past,
    /// The items it has messages for, and their labels.
    pub(crate) messages: Vec<(ItemId, u32)>,
}

/// A position in some feed.
pub(crate) type Place = (FeedKey, u64);

/// Every block that was written and not lost again.
#[derive(Default)]
pub(crate) struct Records {
    feeds: BTreeMap<FeedKey, Vec<Record>>,
    /// Where a feed is said to belong to a key.
    owners: BTreeMap<FeedKey, Vec<(Place, PublicKey)>>,
    /// Where each item was created.
    made: BTreeMap<ItemId, Place>,
    /// Where a key is said to be a member.
    members: BTreeMap<PublicKey, Vec<Place>>,
}

impl Records {
    pub(crate) fn length(&self, feed: &FeedKey) -> u64 {
        self.feeds.get(feed).map_or(0, |records| records.len() as u64)
    }

    pub(crate) fn get(&self, feed: &FeedKey, seq: u64) -> Option<&Record> {
        self.feeds.get(feed)?.get(seq as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FeedKey, &Vec<Record>)> {
        self.feeds.iter()
    }

    /// The Lamport number of a block of `feed` at its end, whose author has seen `past`.
    pub(crate) fn lamport(&self, feed: &FeedKey, past: &BTreeMap<FeedKey, u64>) -> Option<u64> {
        let own = match self.feeds.get(feed).and_then(|records| records.last()) {
            Some(record) => record.lamport?,
            None => 0,
        };
        past.iter()
            .try_fold(own, |greatest, (feed, length)| {
                let record = self.get(feed, length.checked_sub(1)?)?;
                Some(greatest.max(record.lamport?))
            })
            .map(|greatest| greatest + 1)
    }

    /// Adds the next block of `feed`.
    pub(crate) fn push(
        &mut self,
        feed: FeedKey,
        past: Past,
        messages: Vec<(ItemId, u32)>,
        block: &[u8],
    ) {
        let lamport = self.lamport(&feed, &past);
        let place = (feed, self.length(&feed));
        let own = ItemId::of(&place.0, place.1);
        if messages.iter().any(|(item, _)| *item == own) {
            self.made.insert(own, place);
        }
        self.feeds.entry(feed).or_default().push(Record { lamport, past, messages });
        let block = Block::decode(bytes::Bytes::copy_from_slice(block));
        if let Ok(Block { body: Body::Credential(bytes), .. }) = block
            && let Ok(claim) = Credential::decode(bytes).and_then(|credential| credential.claim())
        {
            self.hear(place, &claim);
        }
    }

    fn hear(&mut self, place: Place, claim: &Claim) {
        match claim {
            Claim::PartyGenesis { key, feed, .. } => {
                self.owners.entry(*feed).or_default().push((place, *key));
                self.members.entry(*key).or_default().push(place);
            }
            Claim::KeyAdmission { key, .. } => {
                self.members.entry(*key).or_default().push(place);
            }
            Claim::FeedAdmission { feed, key, .. } => {
                self.owners.entry(*feed).or_default().push((place, *key));
            }
        }
    }

    /// Blocks of `feed` from `length` on were lost before anybody saw them.
    pub(crate) fn lose(&mut self, feed: &FeedKey, length: u64) {
        if let Some(records) = self.feeds.get_mut(feed) {
            records.truncate(length as usize);
        }
        let lost = |place: &Place| place.0 == *feed && place.1 >= length;
        self.owners.values_mut().for_each(|places| places.retain(|(place, _)| !lost(place)));
        self.members.values_mut().for_each(|places| places.retain(|place| !lost(place)));
    }

    /// Holds a message that a device processed against what really happened.
    pub(crate) fn check(&self, message: &Message<'_>, names: &Names) -> Result<(), Violation> {
        let Message { feed, seq, lamport, past, item, label } = message;
        let at = names.position(feed, *seq);
        let Some(record) = self.get(feed, *seq) else {
            let detail = format!("{at} is processed, and nobody wrote it");
            return Err(Violation::new(Oracle::Causality, detail));
        };
        if *past != record.past.iter().map(|(feed, length)| (*feed, *length)).collect::<Vec<_>>() {
            let (found, real) = (names.past(past.iter()), names.past(record.past.iter()));
            let detail = format!("{at} is said to have seen {found}; its author had seen {real}");
            return Err(Violation::new(Oracle::Causality, detail));
        }
        if record.lamport.is_some_and(|real| real != *lamport) {
            let detail = format!("{at} has Lamport number {lamport}, not {:?}", record.lamport);
            return Err(Violation::new(Oracle::Causality, detail));
        }
        if !record.messages.contains(&(*item, *label)) {
            let detail = format!("{at} has no message {label} for {}", names.item(item));
            return Err(Violation::new(Oracle::Causality, detail));
        }
        let seen = |place: &Place| is_seen(place, (feed, *seq), record);
        if !self.made.get(item).is_some_and(seen) {
            let item = names.item(item);
            let detail = format!("{at} counts for {item}, which its author had not seen");
            return Err(Violation::new(Oracle::Causality, detail));
        }
        if !self.is_admitted(feed, *seq, record) {
            let detail = format!("{at} counts, and nothing in its past admits its author");
            return Err(Violation::new(Oracle::Admission, detail));
        }
        Ok(())
    }

    fn is_admitted(&self, feed: &FeedKey, seq: u64, record: &Record) -> bool {
        let seen = |place: &Place| is_seen(place, (feed, seq), record);
        self.owners.get(feed).is_some_and(|owners| {
            owners.iter().any(|(place, owner)| {
                seen(place) && self.members.get(owner).is_some_and(|places| places.iter().any(seen))
            })
        })
    }
}

/// Whether `place` is in the past of the block at `at`, or that block itself.
fn is_seen(place: &Place, at: (&FeedKey, u64), record: &Record) -> bool {
    match place.0 == *at.0 {
        true => place.1 <= at.1,
        false => record.past.get(&place.0).is_some_and(|length| place.1 < *length),
    }
}

/// A message as a device processed it; `past` by rising feed key.
pub(crate) struct Message<'a> {
    pub(crate) feed: FeedKey,
    pub(crate) seq: u64,
    pub(crate) lamport: u64,
    pub(crate) past: &'a [(FeedKey, u64)],
    pub(crate) item: ItemId,
    pub(crate) label: u32,
}
