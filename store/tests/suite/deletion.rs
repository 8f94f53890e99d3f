//! Deleting a party removes everything of it and nothing of others, and gives the space back.
//!
//! Planted and caught: a reclaiming that does not compact.

use std::ops::ControlFlow;

use bytes::Bytes;
use systole_proto::Hash;
use systole_store::{
    Batch, CausalStep, CredentialRecord, Durability, FeedNo, FeedPosition, ItemFilter, LogEntry,
    PartyNo, PartyRecord, Store,
};

use crate::support::{
    commit, feed_record, head, item_key, item_record, options, party_record, scratch,
};

/// A record of every kind, under every feed of the party.
fn fill(store: &Store, party: u32, feeds: &[u32]) {
    let (feed_store, meta, items) = (store.feeds(), store.meta(), store.items());
    commit(store, |batch| {
        meta.put_party(batch, &party_record(party));
        for no in feeds {
            let feed = FeedNo(*no);
            meta.put_feed(batch, &feed_record(*no, party));
            meta.put_position(batch, feed, &FeedPosition::default());
            feed_store.put_block(batch, feed, 0, b"\x01block");
            feed_store.put_node(batch, feed, 6, 0, Hash([1; 32]));
            feed_store.put_head(batch, feed, 5, &head(*no, 5, 1));
            feed_store.put_latest_head(batch, feed, &head(*no, 6, 1));
            feed_store.put_step(batch, feed, &CausalStep::default());
            feed_store.put_alias(batch, feed, 1, FeedNo(1));
            feed_store.put_equivocation(batch, feed, &head(*no, 5, 1), &head(*no, 5, 2));
            let item = item_record(item_key(*no, 0), party, "text");
            items.put_item(batch, &item, None);
            items.put_log(batch, item.key, &[LogEntry { ordinal: 1, ..LogEntry::default() }]);
            items.put_checkpoint(batch, item.key, 1, b"state");
            meta.put_quarantine(batch, PartyNo(party), feed, 0, "malformed", "no body");
        }
        let credential = CredentialRecord { feed: FeedNo(1), seq: 0, bytes: Bytes::new() };
        meta.put_credential(batch, PartyNo(party), 0, &credential);
    });
}

fn remove(store: &Store, party: u32) {
    let mut batch = Batch::new();
    store.delete_party(&mut batch, PartyNo(party)).unwrap();
    let record = PartyRecord { deleted: true, ..party_record(party) };
    store.meta().put_party(&mut batch, &record);
    store.commit(batch, Durability::Synced).unwrap();
}

/// What can still be found of a party's feeds: one letter per kind of record.
fn traces(store: &Store, party: u32, feeds: &[u32]) -> String {
    let (feed_store, meta, items) = (store.feeds(), store.meta(), store.items());
    let mut found = String::new();
    let mut note = |letter: char, is_there: bool| {
        if is_there {
            found.push(letter);
        }
    };
    for no in feeds {
        let (feed, item) = (FeedNo(*no), item_record(item_key(*no, 0), party, "text"));
        note('f', meta.feed(feed).unwrap().is_some());
        note('k', meta.feed_no(&feed_record(*no, party).key).unwrap().is_some());
        note('p', meta.position(feed).unwrap().is_some());
        note('b', feed_store.block(feed, 0).unwrap().is_some());
        note('n', feed_store.node(feed, 6, 0).unwrap().is_some());
        note('h', feed_store.head_at(feed, 5).unwrap().is_some());
        note('l', feed_store.latest_head(feed).unwrap().is_some());
        note('s', feed_store.step_at_or_before(feed, 9).unwrap().is_some());
        note('a', feed_store.aliases(feed).unwrap().len() > 1);
        note('e', feed_store.equivocation(feed).unwrap().is_some());
        note('i', items.item(item.key).unwrap().is_some());
        note('d', items.key_of(PartyNo(party), &item.id).unwrap().is_some());
        note('c', items.checkpoint(item.key).unwrap().is_some());
        let mut logged = false;
        let mut log = |_| {
            logged = true;
            ControlFlow::Continue(())
        };
        items.scan_log(item.key, 0, &mut log).unwrap();
        note('o', logged);
    }
    for filter in [
        ItemFilter::default(),
        ItemFilter { model: Some("text"), ..ItemFilter::default() },
        ItemFilter { parent: Some(None), ..ItemFilter::default() },
    ] {
        let mut any = false;
        let visited = items.scan(PartyNo(party), filter, None, &mut |_| {
            any = true;
            ControlFlow::Continue(())
        });
        visited.unwrap();
        note('x', any);
    }
    note('q', meta.quarantined_count(PartyNo(party)).unwrap() > 0);
    note('r', !meta.credentials(PartyNo(party)).unwrap().is_empty());
    found
}

const PER_FEED: &str = "fkpbnhlsaeidco";

#[test]
fn a_deleted_party_leaves_no_trace_and_others_are_untouched() {
    let (_guard, path) = scratch();
    for store in [Store::memory(), Store::open(&path, &options()).unwrap()] {
        // Numbers interleave, so that ranges must not reach over others' feeds.
        let (one, two) = ([1, 2, 4, 7, 8], [3, 5, 6, 9]);
        fill(&store, 1, &one);
        fill(&store, 2, &two);
        assert_eq!(traces(&store, 1, &one), PER_FEED.repeat(5) + "xxxqr");
        remove(&store, 1);
        assert_eq!(traces(&store, 1, &one), "");
        assert_eq!(traces(&store, 2, &two), PER_FEED.repeat(4) + "xxxqr");
        assert!(store.meta().party(PartyNo(1)).unwrap().unwrap().deleted);
        store.compact().unwrap();
        assert_eq!(traces(&store, 1, &one), "");
        assert_eq!(traces(&store, 2, &two), PER_FEED.repeat(4) + "xxxqr");
    }
}

#[test]
fn consecutive_feeds_are_deleted_in_few_operations() {
    let store = Store::memory();
    fill(&store, 1, &(1..=200).collect::<Vec<_>>());
    let mut batch = Batch::new();
    store.delete_party(&mut batch, PartyNo(1)).unwrap();
    // One per feed for its key, and one range per kind of record.
    assert!(batch.len() <= 200 + 20, "{} operations", batch.len());
}

#[test]
fn deleting_a_party_without_feeds_is_harmless() {
    let store = Store::memory();
    fill(&store, 2, &[1]);
    remove(&store, 1);
    assert_eq!(traces(&store, 2, &[1]), PER_FEED.to_owned() + "xxxqr");
}

/// Bytes of one party's blocks.
const PARTY_BYTES: u64 = 3 << 20;

/// Writes a party of constant size: blocks, and states that lie in blob files.
fn write_large(store: &Store, party: u32, feed: u32) {
    commit(store, |batch| {
        store.meta().put_party(batch, &party_record(party));
        store.meta().put_feed(batch, &feed_record(feed, party));
    });
    let mut state = u64::from(feed);
    let mut noise = |bytes: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        (0..bytes).map(|_| next()).collect()
    };
    for seq in 0..PARTY_BYTES / (64 << 10) {
        let (block, state) = (noise(64 << 10), noise(100 << 10));
        let mut batch = Batch::new();
        store.feeds().put_block(&mut batch, FeedNo(feed), seq, &block);
        if seq < 10 {
            store.items().put_checkpoint(&mut batch, item_key(feed, seq), 1, &state);
        }
        store.commit(batch, Durability::Buffered).unwrap();
    }
}

#[test]
fn the_space_of_deleted_parties_comes_back_without_further_writes() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    write_large(&store, 1, 1);
    // Another party lies behind in the same files.
    write_large(&store, 100, 1000);
    let kept = store.disk_bytes().unwrap() / 2;
    let mut largest = 0;
    for round in 2..10 {
        write_large(&store, round, round);
        let mut batch = Batch::new();
        let deleted = store.delete_party(&mut batch, PartyNo(round)).unwrap();
        store.commit(batch, Durability::Synced).unwrap();
        store.reclaim(&deleted).unwrap();
        largest = largest.max(store.disk_bytes().unwrap());
    }
    eprintln!("kept {kept} a party; {largest} at most; {:?}", store.usage().unwrap());
    assert!(largest < 2 * kept + PARTY_BYTES / 2, "two parties are left: {largest}");
    assert_eq!(store.feeds().block(FeedNo(5), 0).unwrap(), None);
    for feed in [1, 1000] {
        assert!(store.feeds().block(FeedNo(feed), 47).unwrap().is_some());
        assert!(store.items().checkpoint(item_key(feed, 9)).unwrap().is_some());
    }
}
