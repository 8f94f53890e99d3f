//! Every key of the store. This file is the map of the database.
//!
//! Invariants:
//! - a key is its kind byte, then fields of fixed size (one variable field only where the kind says so);
//! - numbers are big-endian, so byte order is number order and a range of numbers is a range of keys;
//! - a kind byte is used once for all families and never again for something else: what is retired
//!   stays listed here.

mod describe;
#[cfg(test)]
mod tests;

use systole_proto::{FeedKey, ItemId, PartyKey};

pub(crate) use describe::describe;

use crate::numbers::{FeedNo, ItemKey, PartyNo};

/// First byte of a key: what the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    // FeedStore
    /// feed, seq -> block bytes.
    Block = 0x01,
    /// feed, level, index -> hash of a complete subtree.
    Node = 0x02,
    /// feed, length -> signed head, kept.
    Head = 0x03,
    /// feed -> signed head, overwritten.
    LatestHead = 0x04,
    /// feed, seq -> causal step.
    Step = 0x05,
    /// feed, alias -> feed number.
    Alias = 0x06,
    /// feed -> two signed heads that disagree.
    Equivocation = 0x07,
    // MetaStore
    /// nothing -> format number.
    Format = 0x10,
    /// counter -> next number.
    Counter = 0x11,
    /// party -> party record.
    PartyByNo = 0x12,
    /// party key -> party number.
    PartyByKey = 0x13,
    /// feed -> feed record.
    FeedByNo = 0x14,
    /// feed key -> feed number.
    FeedByKey = 0x15,
    /// party, feed -> nothing.
    FeedOfParty = 0x16,
    /// feed -> position.
    Position = 0x17,
    /// party, n -> credential.
    Credential = 0x18,
    /// party, feed, seq -> why the message is set aside.
    Quarantine = 0x19,
    /// UTF-8 name (variable) -> preference.
    Preference = 0x1a,
    /// nothing -> where the store belongs.
    Place = 0x1b,
    // ItemStore
    /// item -> item record.
    Item = 0x20,
    /// party, item id -> item.
    ItemById = 0x21,
    /// party, length of the model's name, name (variable), item -> nothing.
    ItemByModel = 0x22,
    /// party, parent (no item: zeroes after a zero byte), item -> nothing.
    ItemByParent = 0x23,
    /// item, first ordinal -> chunk of log entries in processing order.
    ProcessingLog = 0x30,
    // 0x31 is reserved for the log of total-order models: item, lamport, feed key, seq -> log entry. It
    // lies beside the processing log in the same family; nothing that exists has to move.
    /// item -> ordinal, state.
    Checkpoint = 0x38,
    // KeyStore
    /// nothing -> how the vault's key is made, and a check value.
    VaultHeader = 0x40,
    /// public key -> encrypted seed.
    Secret = 0x41,
    /// public key -> label.
    KnownKey = 0x42,
}

/// Counters of [`Kind::Counter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Counter {
    Feed = 1,
    Party = 2,
}

const KIND: usize = 1;
const FEED: usize = size_of::<FeedNo>();
const PARTY: usize = size_of::<PartyNo>();
const SEQ: usize = size_of::<u64>();
const ITEM: usize = FEED + SEQ;
const PUBLIC_KEY: usize = 32;
const ITEM_ID: usize = 20;
/// An optional parent: a presence byte and an item, zeroes if there is none.
const PARENT: usize = 1 + ITEM;

pub(crate) const PER_FEED: usize = KIND + FEED;
pub(crate) const PER_PARTY: usize = KIND + PARTY;
pub(crate) const PER_ITEM: usize = KIND + ITEM;
pub(crate) const BLOCK: usize = KIND + FEED + SEQ;
pub(crate) const NODE: usize = KIND + FEED + 1 + SEQ;
pub(crate) const LOG: usize = KIND + ITEM + SEQ;

// The sizes are the format: a change of a number's type must not change them silently.
const _: () = assert!(PER_FEED == 5 && PER_PARTY == 5 && PER_ITEM == 13);
const _: () = assert!(BLOCK == 13 && NODE == 14 && LOG == 21);

/// Keys `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
}

impl Range {
    /// Every key that starts with `prefix`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Self { from: prefix.to_vec(), to: after_prefix(prefix) }
    }

    /// The part of this range behind `key`.
    pub(crate) fn after(self, key: &[u8]) -> Self {
        let mut from = key.to_vec();
        from.push(0);
        Self { from, to: self.to }
    }
}

pub(crate) fn block(feed: FeedNo, seq: u64) -> [u8; BLOCK] {
    Fields::new(Kind::Block).feed(feed).u64(seq).done()
}

pub(crate) fn node(feed: FeedNo, level: u8, index: u64) -> [u8; NODE] {
    Fields::new(Kind::Node).feed(feed).raw(&[level]).u64(index).done()
}

pub(crate) fn head(feed: FeedNo, length: u64) -> [u8; BLOCK] {
    Fields::new(Kind::Head).feed(feed).u64(length).done()
}

pub(crate) fn latest_head(feed: FeedNo) -> [u8; PER_FEED] {
    per_feed(Kind::LatestHead, feed)
}

pub(crate) fn step(feed: FeedNo, seq: u64) -> [u8; BLOCK] {
    Fields::new(Kind::Step).feed(feed).u64(seq).done()
}

pub(crate) fn alias(feed: FeedNo, alias: u32) -> [u8; PER_FEED + 4] {
    Fields::new(Kind::Alias).feed(feed).u32(alias).done()
}

pub(crate) fn equivocation(feed: FeedNo) -> [u8; PER_FEED] {
    per_feed(Kind::Equivocation, feed)
}

pub(crate) fn format() -> [u8; KIND] {
    Fields::new(Kind::Format).done()
}

pub(crate) fn place() -> [u8; KIND] {
    Fields::new(Kind::Place).done()
}

pub(crate) fn counter(counter: Counter) -> [u8; KIND + 1] {
    Fields::new(Kind::Counter).raw(&[counter as u8]).done()
}

pub(crate) fn party_by_no(party: PartyNo) -> [u8; PER_PARTY] {
    per_party(Kind::PartyByNo, party)
}

pub(crate) fn party_by_key(key: &PartyKey) -> [u8; KIND + PUBLIC_KEY] {
    Fields::new(Kind::PartyByKey).raw(key.as_bytes()).done()
}

pub(crate) fn feed_by_no(feed: FeedNo) -> [u8; PER_FEED] {
    per_feed(Kind::FeedByNo, feed)
}

pub(crate) fn feed_by_key(key: &FeedKey) -> [u8; KIND + PUBLIC_KEY] {
    Fields::new(Kind::FeedByKey).raw(key.as_bytes()).done()
}

pub(crate) fn feed_of_party(party: PartyNo, feed: FeedNo) -> [u8; PER_PARTY + FEED] {
    Fields::new(Kind::FeedOfParty).party(party).feed(feed).done()
}

pub(crate) fn position(feed: FeedNo) -> [u8; PER_FEED] {
    per_feed(Kind::Position, feed)
}

pub(crate) fn credential(party: PartyNo, n: u64) -> [u8; PER_PARTY + SEQ] {
    Fields::new(Kind::Credential).party(party).u64(n).done()
}

pub(crate) fn quarantine(party: PartyNo, feed: FeedNo, seq: u64) -> [u8; PER_PARTY + ITEM] {
    Fields::new(Kind::Quarantine).party(party).feed(feed).u64(seq).done()
}

pub(crate) fn preference(name: &str) -> Vec<u8> {
    let mut key = vec![Kind::Preference as u8];
    key.extend_from_slice(name.as_bytes());
    key
}

pub(crate) fn item(item: ItemKey) -> [u8; PER_ITEM] {
    per_item(Kind::Item, item)
}

pub(crate) fn item_by_id(party: PartyNo, id: &ItemId) -> [u8; PER_PARTY + ITEM_ID] {
    Fields::new(Kind::ItemById).party(party).raw(id.as_bytes()).done()
}

/// Start of the keys of the items of one model.
pub(crate) fn items_by_model(party: PartyNo, model: &str) -> Vec<u8> {
    let length = u8::try_from(model.len()).expect("a model's name is checked when it is decoded");
    let mut key = per_party(Kind::ItemByModel, party).to_vec();
    key.push(length);
    key.extend_from_slice(model.as_bytes());
    key
}

pub(crate) fn item_by_model(party: PartyNo, model: &str, item: ItemKey) -> Vec<u8> {
    let mut key = items_by_model(party, model);
    key.extend_from_slice(&bare_item(item));
    key
}

/// The end of a key that names an item last.
pub(crate) fn bare_item(item: ItemKey) -> [u8; ITEM] {
    Fields::bare().item(item).done()
}

/// Start of the keys of the items under one parent, or under none.
pub(crate) fn items_by_parent(party: PartyNo, parent: Option<ItemKey>) -> [u8; PER_PARTY + PARENT] {
    let fields = Fields::new(Kind::ItemByParent).party(party);
    match parent {
        Some(parent) => fields.raw(&[1]).item(parent).done(),
        None => fields.raw(&[0; PARENT]).done(),
    }
}

pub(crate) fn item_by_parent(
    party: PartyNo,
    parent: Option<ItemKey>,
    item: ItemKey,
) -> [u8; PER_PARTY + PARENT + ITEM] {
    let start = items_by_parent(party, parent);
    Fields::bare().raw(&start).item(item).done()
}

pub(crate) fn processing_log(item: ItemKey, ordinal: u64) -> [u8; LOG] {
    Fields::new(Kind::ProcessingLog).item(item).u64(ordinal).done()
}

pub(crate) fn checkpoint(item: ItemKey) -> [u8; PER_ITEM] {
    per_item(Kind::Checkpoint, item)
}

pub(crate) fn vault_header() -> [u8; KIND] {
    Fields::new(Kind::VaultHeader).done()
}

pub(crate) fn secret(public: &[u8; 32]) -> [u8; KIND + PUBLIC_KEY] {
    Fields::new(Kind::Secret).raw(public).done()
}

pub(crate) fn known_key(public: &[u8; 32]) -> [u8; KIND + PUBLIC_KEY] {
    Fields::new(Kind::KnownKey).raw(public).done()
}

/// Key, or start of the keys, of a kind that opens with a feed.
pub(crate) fn per_feed(kind: Kind, feed: FeedNo) -> [u8; PER_FEED] {
    Fields::new(kind).feed(feed).done()
}

/// Key, or start of the keys, of a kind that opens with a party.
pub(crate) fn per_party(kind: Kind, party: PartyNo) -> [u8; PER_PARTY] {
    Fields::new(kind).party(party).done()
}

/// Key, or start of the keys, of a kind that opens with an item.
pub(crate) fn per_item(kind: Kind, item: ItemKey) -> [u8; PER_ITEM] {
    Fields::new(kind).item(item).done()
}

/// The keys of one kind for the feeds `first..=last`.
pub(crate) fn feeds(kind: Kind, first: FeedNo, last: FeedNo) -> Range {
    Range { from: per_feed(kind, first).to_vec(), to: after_prefix(&per_feed(kind, last)) }
}

/// The number that ends a key: a seq, a length, an ordinal.
pub(crate) fn last_u64(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The number that ends a key: an alias, a feed.
pub(crate) fn last_u32(key: &[u8]) -> Option<u32> {
    key.last_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The feed and the position that a block's key is made of.
pub(crate) fn block_position(key: &[u8]) -> Option<(FeedNo, u64)> {
    last_item(key).map(|place| (place.feed, place.seq))
}

/// The item that ends a key.
pub(crate) fn last_item(key: &[u8]) -> Option<ItemKey> {
    let bytes: &[u8; ITEM] = key.last_chunk()?;
    let (feed, seq) = bytes.split_at(FEED);
    Some(ItemKey {
        feed: FeedNo(u32::from_be_bytes(feed.try_into().ok()?)),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    })
}

/// The public key, feed key or party key that ends a key.
pub(crate) fn last_32(key: &[u8]) -> Option<[u8; 32]> {
    key.last_chunk().copied()
}

/// The least key greater than every key that starts with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return end;
        }
        end.pop();
    }
    unreachable!("no kind byte is 0xff, so a prefix has an end")
}

/// Fills a key of known size field by field.
struct Fields<const N: usize> {
    key: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    fn new(kind: Kind) -> Self {
        Self::bare().raw(&[kind as u8])
    }

    /// Without a kind byte: the end of a longer key.
    fn bare() -> Self {
        Self { key: [0; N], at: 0 }
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.key[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        self
    }

    fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn feed(self, feed: FeedNo) -> Self {
        self.u32(feed.0)
    }

    fn party(self, party: PartyNo) -> Self {
        self.u32(party.0)
    }

    fn item(self, item: ItemKey) -> Self {
        self.feed(item.feed).u64(item.seq)
    }

    fn done(self) -> [u8; N] {
        assert!(self.at == N, "a key is filled to its size");
        self.key
    }
}
