//! What several tests need: sample records, and commits without ceremony.

use std::path::PathBuf;

use systole_proto::{
    Ed25519Signer, FeedKey, Hash, Head, ItemId, PartyKey, PublicKey, SignedHead, Signer,
};
use systole_store::{
    Batch, Durability, FeedNo, FeedRecord, ItemKey, ItemRecord, Options, PartyNo, PartyRecord,
    Store,
};
use tempfile::TempDir;

/// A directory for a store, absent so far, and the guard that removes it.
pub(crate) fn scratch() -> (TempDir, PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("store");
    (guard, path)
}

pub(crate) fn options() -> Options {
    Options { cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20, ..Options::default() }
}

/// Commits what `fill` puts into a batch.
pub(crate) fn commit(store: &Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    fill(&mut batch);
    store.commit(batch, Durability::Synced).unwrap();
}

pub(crate) fn item_key(feed: u32, seq: u64) -> ItemKey {
    ItemKey { feed: FeedNo(feed), seq }
}

/// The signer of the feed with this number, the same in every run.
pub(crate) fn signer(feed: u32) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[feed as u8; 32])
}

pub(crate) fn feed_key(feed: u32) -> FeedKey {
    FeedKey(signer(feed).public_key())
}

pub(crate) fn head(feed: u32, length: u64, root: u8) -> SignedHead {
    let head = Head { feed: feed_key(feed), length, root: Hash([root; 32]) };
    SignedHead::sign(&head, &signer(feed)).unwrap()
}

pub(crate) fn feed_record(no: u32, party: u32) -> FeedRecord {
    FeedRecord {
        no: FeedNo(no),
        key: feed_key(no),
        party: PartyNo(party),
        own: no.is_multiple_of(2),
        created_millis: 1_700_000_000_000 + u64::from(no),
    }
}

pub(crate) fn party_record(no: u32) -> PartyRecord {
    PartyRecord {
        no: PartyNo(no),
        key: PartyKey([no as u8; 32]),
        genesis_feed: Some(FeedNo(300)),
        active: true,
        ordinal: 70_000,
        device: Some(PublicKey([9; 32])),
        own_feed: None,
        deleted: false,
    }
}

pub(crate) fn item_record(key: ItemKey, party: u32, model: &str) -> ItemRecord {
    ItemRecord {
        id: ItemId::of(&feed_key(key.feed.0), key.seq),
        key,
        party: PartyNo(party),
        model: model.to_owned(),
        version: 2,
        algorithm: 1,
        parent: None,
        moved_to: None,
        parent_rank: (key.seq + 1, feed_key(key.feed.0)),
        deleted: false,
        deleted_rank: (0, FeedKey([0; 32])),
        ordinal: key.seq + 1,
    }
}
