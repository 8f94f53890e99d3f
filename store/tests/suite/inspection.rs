//! What a verification asks for: single records, scans that survive damage, a copy to try on.

use std::ops::ControlFlow;
use std::sync::Arc;

use systole_store::{
    Backend, Batch, CausalStep, Durability, Family, FeedNo, ItemKey, Memory, PartyNo, Store,
    testing,
};

use crate::support::{commit, feed_record, head, item_key, item_record};

const FEED: FeedNo = FeedNo(3);
const PARTY: PartyNo = PartyNo(1);

/// Overwrites the value at `index` among all of a family's keys.
fn overwrite(backend: &Arc<Memory>, family: Family, index: usize, value: &[u8]) {
    let mut keys = Vec::new();
    let scanned = backend.scan(family, &[], &[0xff], &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    let mut batch = Batch::new();
    testing::put(&mut batch, family, &keys[index], value);
    backend.write(&batch).unwrap();
}

#[test]
fn a_damaged_head_does_not_hide_the_others() {
    let backend = Arc::new(Memory::new());
    let store = Store::with_backend(backend.clone()).unwrap();
    commit(&store, |batch| {
        for length in [10, 20, 30] {
            store.feeds().put_head(batch, FEED, length, &head(3, length, 1));
        }
    });
    overwrite(&backend, Family::Feed, 1, b"none");
    let mut seen = Vec::new();
    let scanned = store.feeds().scan_heads(FEED, &mut |length, head| {
        seen.push((length, head.is_ok()));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(seen, [(10, true), (20, false), (30, true)]);
}

#[test]
fn single_records_are_found_by_their_place() {
    let store = Store::memory();
    let step = CausalStep { seq: 7, lamport: 9, full: true, depth: 0, entries: Vec::new() };
    commit(&store, |batch| {
        store.feeds().put_step(batch, FEED, &step);
        store.feeds().put_alias(batch, FEED, 1, FeedNo(8));
        store.meta().put_quarantine(batch, PARTY, FEED, 4, "code", "reason");
    });
    assert_eq!(store.feeds().step(FEED, 7).unwrap(), Some(step));
    assert_eq!(store.feeds().step(FEED, 8).unwrap(), None);
    assert_eq!(store.feeds().step_count(FEED).unwrap(), 1);
    assert_eq!(store.feeds().alias(FEED, 1).unwrap(), Some(FeedNo(8)));
    assert_eq!(store.feeds().alias(FEED, 2).unwrap(), None);
    let quarantined = store.meta().quarantine(PARTY, FEED, 4).unwrap().unwrap();
    assert_eq!((quarantined.code.as_str(), quarantined.reason.as_str()), ("code", "reason"));
    assert_eq!(store.meta().quarantine(PARTY, FEED, 5).unwrap(), None);
}

#[test]
fn feeds_are_scanned_over_all_parties_and_beside_damaged_records() {
    let backend = Arc::new(Memory::new());
    let store = Store::with_backend(backend.clone()).unwrap();
    let feeds = [(1, 1), (2, 2), (3, 1)].map(|(no, party)| feed_record(no, party));
    commit(&store, |batch| feeds.iter().for_each(|feed| store.meta().put_feed(batch, feed)));
    // Behind the format.
    overwrite(&backend, Family::Meta, 2, b"none");
    let mut seen = Vec::new();
    let scanned = store.meta().scan_feeds(&mut |feed| {
        seen.push(feed.no);
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(seen, [FeedNo(1), FeedNo(3)]);
}

#[test]
fn the_names_of_items_are_scanned_even_where_a_record_is_damaged() {
    let backend = Arc::new(Memory::new());
    let store = Store::with_backend(backend.clone()).unwrap();
    let items = [item_key(3, 1), item_key(3, 5)].map(|key| item_record(key, PARTY.0, "note"));
    commit(&store, |batch| {
        items.iter().for_each(|item| store.items().put_item(batch, item, None));
    });
    assert!(items.iter().all(|item| store.items().is_indexed(item).unwrap()));
    assert_eq!(store.items().index_counts(PARTY).unwrap(), [2, 2, 2]);
    let moved = systole_store::ItemRecord { parent: Some(item_key(3, 5)), ..items[0].clone() };
    assert!(!store.items().is_indexed(&moved).unwrap());
    overwrite(&backend, Family::Item, 0, b"none");
    let mut seen: Vec<ItemKey> = Vec::new();
    let scanned = store.items().scan_keys(FEED, &mut |key| {
        seen.push(key);
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(seen, [item_key(3, 1), item_key(3, 5)]);
}

#[test]
fn a_scratch_copy_changes_nothing_but_itself() {
    let store = Store::memory();
    commit(&store, |batch| store.feeds().put_block(batch, FEED, 0, b"\x01first"));
    let copy = store.scratch();
    let mut batch = Batch::new();
    copy.feeds().put_block(&mut batch, FEED, 0, b"\x01other");
    copy.feeds().put_block(&mut batch, FEED, 1, b"\x01more");
    copy.commit(batch, Durability::Buffered).unwrap();
    assert_eq!(copy.feeds().block(FEED, 0).unwrap().unwrap(), b"\x01other".as_slice());
    assert_eq!(copy.read_all(Family::Block).unwrap(), 2);
    assert_eq!(store.feeds().block(FEED, 0).unwrap().unwrap(), b"\x01first".as_slice());
    assert_eq!(store.read_all(Family::Block).unwrap(), 1);
}
