//! The item log: chunks, delta coding, and reading from a position.

use std::ops::ControlFlow;

use proptest::prelude::*;
use systole_proto::Stamp;
use systole_store::{Batch, FeedNo, ItemKey, LogEntry, Store};

use crate::support::{commit, item_key};

const ITEM: ItemKey = ItemKey { feed: FeedNo(1), seq: 7 };

fn read(store: &Store, item: ItemKey, after: u64) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    let visited = store.items().scan_log(item, after, &mut |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    entries
}

fn entry(ordinal: u64) -> LogEntry {
    LogEntry { ordinal, seq: ordinal, lamport: ordinal, ..LogEntry::default() }
}

#[test]
fn a_log_is_read_from_any_position() {
    let store = Store::memory();
    let chunks = [vec![1, 2, 5], vec![6], vec![300, 301, 400]];
    commit(&store, |batch| {
        for chunk in &chunks {
            let entries: Vec<_> = chunk.iter().map(|ordinal| entry(*ordinal)).collect();
            store.items().put_log(batch, ITEM, &entries);
        }
        // Neighbours on both sides.
        store.items().put_log(batch, item_key(1, 6), &[entry(4)]);
        store.items().put_log(batch, item_key(1, 8), &[entry(4)]);
    });
    let all: Vec<u64> = chunks.concat();
    for after in [0, 1, 2, 3, 5, 6, 7, 299, 300, 301, 399, 400, 401, u64::MAX] {
        let expected: Vec<_> =
            all.iter().filter(|ordinal| **ordinal > after).map(|ordinal| entry(*ordinal)).collect();
        assert_eq!(read(&store, ITEM, after), expected, "after {after}");
    }
}

#[test]
fn a_scan_of_the_log_ends_when_told() {
    let store = Store::memory();
    commit(&store, |batch| {
        store.items().put_log(batch, ITEM, &[entry(1), entry(2), entry(3)]);
        store.items().put_log(batch, ITEM, &[entry(4)]);
    });
    let mut seen = Vec::new();
    let visited = store.items().scan_log(ITEM, 0, &mut |entry| {
        seen.push(entry.ordinal);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    visited.unwrap();
    assert_eq!(seen, [1, 2]);
}

#[test]
fn no_entries_are_no_key() {
    let mut batch = Batch::new();
    Store::memory().items().put_log(&mut batch, ITEM, &[]);
    assert!(batch.is_empty());
}

#[test]
fn consecutive_messages_of_one_feed_take_four_bytes_each() {
    let entries: Vec<_> = (0..100)
        .map(|at| LogEntry {
            ordinal: 1000 + at,
            feed: FeedNo(12),
            seq: 5000 + at,
            lamport: 90_000 + at,
            stamp: Stamp { millis: 1_700_000_000_000 + 40 * at, logical: 0 },
            effective_at: None,
            label: 0,
        })
        .collect();
    let mut batch = Batch::new();
    Store::memory().items().put_log(&mut batch, ITEM, &entries);
    assert!(batch.bytes() <= 100 * 4, "{} bytes", batch.bytes());
}

/// Numbers near each other, and at the ends of their range.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, any::<u64>(), Just(u64::MAX), Just(1 << 63)]
}

fn log_entry() -> impl Strategy<Value = LogEntry> {
    let feed = prop_oneof![Just(1), Just(2), any::<u32>()];
    let stamp = (number(), prop_oneof![Just(0), any::<u16>()]);
    let label = prop_oneof![Just(0), Just(1), any::<u32>()];
    (feed, number(), number(), stamp, any::<Option<i64>>(), label).prop_map(
        |(feed, seq, lamport, (millis, logical), effective_at, label)| LogEntry {
            ordinal: 0,
            feed: FeedNo(feed),
            seq,
            lamport,
            stamp: Stamp { millis, logical },
            effective_at,
            label,
        },
    )
}

proptest! {
    #[test]
    fn any_log_is_read_back_as_it_was_put(
        chunks in prop::collection::vec(
            prop::collection::vec((1..5u64, log_entry()), 1..20),
            1..6,
        ),
        first in prop_oneof![Just(0), Just(u64::MAX - 1000)],
        after in 0..300u64,
    ) {
        let store = Store::memory();
        let mut ordinal = first;
        let mut all = Vec::new();
        commit(&store, |batch| {
            for chunk in chunks {
                let chunk: Vec<_> = chunk
                    .into_iter()
                    .map(|(distance, entry)| {
                        ordinal += distance;
                        LogEntry { ordinal, ..entry }
                    })
                    .collect();
                store.items().put_log(batch, ITEM, &chunk);
                all.extend(chunk);
            }
        });
        let after = first.saturating_add(after);
        all.retain(|entry| entry.ordinal > after);
        prop_assert_eq!(read(&store, ITEM, after), all);
    }
}
