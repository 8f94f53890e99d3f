//! ItemStore: records, their indexes, listings, checkpoints.

use std::ops::ControlFlow;

use systole_proto::ItemId;
use systole_store::{ItemFilter, ItemKey, ItemRecord, PartyNo, Store};

use crate::support::{commit, feed_record, item_key, item_record, options, scratch};

const PARTY: PartyNo = PartyNo(1);

/// A party with the feeds 1, 2 and 300; another with feed 3.
fn store() -> Store {
    let store = Store::memory();
    commit(&store, |batch| {
        for (feed, party) in [(1, 1), (2, 1), (300, 1), (3, 2)] {
            store.meta().put_feed(batch, &feed_record(feed, party));
        }
    });
    store
}

fn put(store: &Store, items: &[ItemRecord]) {
    commit(store, |batch| {
        for item in items {
            let previous = store.items().item(item.key).unwrap();
            store.items().put_item(batch, item, previous.as_ref());
        }
    });
}

fn list(store: &Store, filter: ItemFilter<'_>, after: Option<ItemKey>) -> Vec<ItemKey> {
    let mut found = Vec::new();
    let visited = store.items().scan(PARTY, filter, after, &mut |item| {
        found.push(item.key);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    found
}

#[test]
fn an_item_is_found_by_its_name_and_its_id() {
    let store = store();
    let mut item = item_record(item_key(1, 7), 1, "example.counter");
    item.parent = Some(item_key(2, u64::MAX));
    item.deleted = true;
    put(&store, std::slice::from_ref(&item));
    assert_eq!(store.items().item(item.key).unwrap().as_ref(), Some(&item));
    assert_eq!(store.items().key_of(PARTY, &item.id).unwrap(), Some(item.key));
    assert_eq!(store.items().key_of(PartyNo(2), &item.id).unwrap(), None);
    assert_eq!(store.items().item(item_key(1, 8)).unwrap(), None);
    let several = store.items().items(&[item_key(1, 8), item.key]).unwrap();
    assert_eq!(several, [None, Some(item)]);
}

#[test]
fn ids_are_found_by_the_start_of_their_text() {
    let store = store();
    let items: Vec<_> = (0..200).map(|seq| item_record(item_key(1, seq), 1, "m")).collect();
    put(&store, &items);
    for prefix in ["", "a", "b7", "zz", "7"] {
        let mut expected: Vec<(ItemId, ItemKey)> = items
            .iter()
            .filter(|item| item.id.to_string().starts_with(prefix))
            .map(|item| (item.id, item.key))
            .collect();
        expected.sort();
        assert_eq!(store.items().ids_with_prefix(PARTY, prefix, 1000).unwrap(), expected);
        expected.truncate(2);
        assert_eq!(store.items().ids_with_prefix(PARTY, prefix, 2).unwrap(), expected);
    }
    let whole = items[9].id.to_string();
    let found = |prefix: &str| store.items().ids_with_prefix(PARTY, prefix, 9).unwrap();
    assert_eq!(found(&whole), [(items[9].id, items[9].key)]);
    assert_eq!(found(&whole.to_uppercase()), [(items[9].id, items[9].key)]);
    for none in [format!("{whole}a"), "1".to_owned(), "é".to_owned(), "ääää".to_owned()] {
        assert_eq!(found(&none), [], "{none}");
    }
}

#[test]
fn items_are_listed_in_the_order_of_their_names() {
    let store = store();
    let keys = [item_key(1, 2), item_key(1, 300), item_key(2, 0), item_key(300, 1)];
    let items: Vec<_> = keys.iter().rev().map(|key| item_record(*key, 1, "m")).collect();
    put(&store, &items);
    put(&store, &[item_record(item_key(3, 0), 2, "m")]);
    for filter in [ItemFilter::default(), ItemFilter { model: Some("m"), ..ItemFilter::default() }]
    {
        assert_eq!(list(&store, filter, None), keys);
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(list(&store, filter, Some(*key)), keys[at + 1..]);
        }
        assert_eq!(list(&store, filter, Some(item_key(1, 3))), keys[1..], "a name between two");
    }
    assert_eq!(store.items().count(PARTY).unwrap(), 4);
    assert_eq!(store.items().count(PartyNo(2)).unwrap(), 1);
}

#[test]
fn filters_choose_by_model_parent_and_deletion() {
    let store = store();
    let root = item_record(item_key(1, 0), 1, "folder");
    let child = |seq, model| ItemRecord {
        parent: Some(root.key),
        ..item_record(item_key(1, seq), 1, model)
    };
    let deleted = ItemRecord { deleted: true, ..child(3, "text") };
    put(&store, &[root.clone(), child(1, "text"), child(2, "text2"), deleted]);
    let model = |model| ItemFilter { model: Some(model), ..ItemFilter::default() };
    assert_eq!(list(&store, model("text"), None), [item_key(1, 1), item_key(1, 3)]);
    assert_eq!(list(&store, model("tex"), None), []);
    assert_eq!(list(&store, model(&"x".repeat(1000)), None), []);
    let parent = |parent| ItemFilter { parent: Some(parent), ..ItemFilter::default() };
    assert_eq!(list(&store, parent(None), None), [root.key]);
    assert_eq!(list(&store, parent(Some(root.key)), None).len(), 3);
    let live = ItemFilter { deleted: Some(false), ..parent(Some(root.key)) };
    let live_text = ItemFilter { model: Some("text"), ..live };
    assert_eq!(list(&store, live, None), [item_key(1, 1), item_key(1, 2)]);
    assert_eq!(list(&store, live_text, None), [item_key(1, 1)]);
}

#[test]
fn a_changed_item_leaves_no_stale_index_entry() {
    let store = store();
    let before = ItemRecord { parent: None, ..item_record(item_key(1, 1), 1, "text") };
    let after = ItemRecord {
        parent: Some(item_key(2, 2)),
        model: "text2".to_owned(),
        ordinal: 9,
        ..before.clone()
    };
    put(&store, std::slice::from_ref(&before));
    put(&store, std::slice::from_ref(&after));
    let model = |model| ItemFilter { model: Some(model), ..ItemFilter::default() };
    let parent = |parent| ItemFilter { parent: Some(parent), ..ItemFilter::default() };
    assert_eq!(list(&store, model("text"), None), []);
    assert_eq!(list(&store, parent(None), None), []);
    assert_eq!(list(&store, model("text2"), None), [after.key]);
    assert_eq!(list(&store, parent(after.parent), None), [after.key]);
    assert_eq!(store.items().count(PARTY).unwrap(), 1);
}

#[test]
fn an_unchanged_place_costs_one_write() {
    let store = store();
    let item = item_record(item_key(1, 1), 1, "text");
    let mut batch = systole_store::Batch::new();
    store.items().put_item(&mut batch, &ItemRecord { ordinal: 99, ..item.clone() }, Some(&item));
    assert_eq!(batch.len(), 1);
}

#[test]
fn long_listings_are_read_in_pages_and_end_when_told() {
    let store = store();
    let items: Vec<_> = (0..1000).map(|seq| item_record(item_key(1, seq), 1, "m")).collect();
    put(&store, &items);
    let filter = ItemFilter { model: Some("m"), ..ItemFilter::default() };
    assert_eq!(list(&store, filter, None).len(), 1000);
    for filter in [filter, ItemFilter::default()] {
        let mut seen = 0;
        let visited = store.items().scan(PARTY, filter, None, &mut |_| {
            seen += 1;
            if seen == 300 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        visited.unwrap();
        assert_eq!(seen, 300);
    }
}

#[test]
fn one_checkpoint_is_kept_per_item() {
    let store = store();
    let (key, items) = (item_key(1, 1), store.items());
    assert_eq!(items.checkpoint(key).unwrap(), None);
    let large = vec![7; 1 << 20];
    for (ordinal, state) in [(5, b"small".as_slice()), (u64::MAX, &large), (9, b"")] {
        commit(&store, |batch| items.put_checkpoint(batch, key, ordinal, state));
        let (found, bytes) = items.checkpoint(key).unwrap().unwrap();
        assert_eq!((found, bytes.as_ref()), (ordinal, state));
    }
    assert_eq!(items.checkpoint(item_key(1, 2)).unwrap(), None);
    commit(&store, |batch| items.delete_checkpoint(batch, key));
    assert_eq!(items.checkpoint(key).unwrap(), None);
}

#[test]
fn overwritten_checkpoints_give_their_space_back() {
    let (_guard, path) = scratch();
    let store = Store::open(&path, &options()).unwrap();
    // Not compressible: a linear congruential generator.
    let mut state = vec![0; 1 << 20];
    let mut word = 1u32;
    for round in 1..=60 {
        for byte in &mut state {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (word >> 24) as u8;
        }
        commit(&store, |batch| store.items().put_checkpoint(batch, item_key(1, 1), round, &state));
    }
    store.compact().unwrap();
    let bytes = store.disk_bytes().unwrap();
    assert!(bytes < 12 << 20, "{bytes} bytes for a state of one mebibyte");
    let (ordinal, found) = store.items().checkpoint(item_key(1, 1)).unwrap().unwrap();
    assert_eq!(ordinal, 60);
    assert!(found == state);
}
