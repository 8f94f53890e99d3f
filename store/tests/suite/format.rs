//! The bytes on disk: a fixture of format 1 is written and read as ever.
//!
//! The fixture lists every kind of record as `family key value` in hex. What cannot be written twice
//! alike, because its nonce is random, is only read. To add a kind of record, run with
//! `SYSTOLE_WRITE_FIXTURE=1`; existing lines must not change.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use systole_proto::{Hash, Stamp};
use systole_store::{
    Backend, Batch, CausalStep, CredentialRecord, Family, FeedNo, FeedPosition, ItemRecord,
    LogEntry, Memory, PartyNo, Store, VaultKey, testing,
};

use crate::support::{commit, feed_record, head, item_key, item_record, party_record};

const PUBLIC: [u8; 32] = [3; 32];
const SEED: [u8; 32] = [4; 32];
const VAULT_KEY: [u8; 32] = [5; 32];
pub(crate) const PLACE: &[u8] = b"place";

#[test]
fn every_record_is_written_as_ever() {
    let memory = Arc::new(Memory::new());
    write_everything(&Store::with_backend_at(Arc::clone(&memory) as _, PLACE).unwrap());
    let written = dump(&memory);
    if std::env::var_os("SYSTOLE_WRITE_FIXTURE").is_some() {
        std::fs::write(fixture_path(), &written).unwrap();
    }
    let stable = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with("key 40") && !line.starts_with("key 41"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(stable(&written), stable(&fixture()));
}

#[test]
fn a_store_of_format_1_is_read() {
    let memory = load(&fixture());
    let store = Store::with_backend_at(Arc::clone(&memory) as _, PLACE).unwrap();
    assert!(!store.is_copy());
    assert_eq!(read_everything(&store), read_everything(&sample()));
    let vault = store.keys().unlock(&VaultKey::from_key(VAULT_KEY)).unwrap();
    assert_eq!(**vault.secret(&PUBLIC).unwrap().as_ref().unwrap(), SEED);
    assert_eq!(dump(&memory), fixture(), "reading changes nothing");
}

#[test]
fn a_store_of_format_1_from_before_places_is_read_and_counts_as_a_copy() {
    let records = sample_records().into_iter().filter(|(_, key, _)| key[0] != 0x1b);
    let memory = load_records(&records.collect::<Vec<_>>());
    let before = dump(&memory);
    let store = Store::with_backend_at(Arc::clone(&memory) as _, PLACE).unwrap();
    assert!(store.is_copy());
    assert_eq!(read_everything(&store), read_everything(&sample()));
    assert_eq!(dump(&memory), before, "opening records no place");
}

#[test]
fn the_fixture_holds_every_kind_of_record() {
    let kinds: std::collections::BTreeSet<String> =
        fixture().lines().map(|line| line.split(' ').nth(1).unwrap()[..2].to_owned()).collect();
    assert_eq!(kinds.len(), 28);
}

/// A store that holds one record of every kind.
pub(crate) fn sample() -> Store {
    let store = Store::memory();
    write_everything(&store);
    store
}

/// The raw records of [`sample`].
pub(crate) fn sample_records() -> Vec<(Family, Vec<u8>, Vec<u8>)> {
    parse(&fixture())
}

pub(crate) fn load_records(records: &[(Family, Vec<u8>, Vec<u8>)]) -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let mut batch = Batch::new();
    for (family, key, value) in records {
        testing::put(&mut batch, *family, key, value);
    }
    memory.write(&batch).unwrap();
    memory.sync().unwrap();
    memory
}

fn write_everything(store: &Store) {
    let (feeds, meta, items) = (store.feeds(), store.meta(), store.items());
    let (feed, party) = (FeedNo(1), PartyNo(1));
    let vault = store.keys().unlock(&VaultKey::from_key(VAULT_KEY)).unwrap();
    commit(store, |batch| {
        feeds.put_block(batch, feed, 7, b"\x01block");
        feeds.put_node(batch, feed, 6, 3, Hash([8; 32]));
        feeds.put_head(batch, feed, 8, &head(1, 8, 1));
        feeds.put_latest_head(batch, feed, &head(1, 9, 2));
        feeds.put_equivocation(batch, feed, &head(1, 8, 1), &head(1, 8, 3));
        let entries = vec![(FeedNo(2), 300), (FeedNo(70_000), 1)];
        let step = CausalStep { seq: 7, lamport: 130, full: false, depth: 5, entries };
        feeds.put_step(batch, feed, &step);
        feeds.put_alias(batch, feed, 1, FeedNo(300));

        meta.put_next_feed_no(batch, FeedNo(2));
        meta.put_next_party_no(batch, PartyNo(2));
        meta.put_party(batch, &party_record(1));
        meta.put_feed(batch, &feed_record(1, 1));
        let position = FeedPosition {
            length: 500,
            processed: 490,
            lamport: 1000,
            stamp: Stamp { millis: 1_700_000_000_000, logical: 2 },
            halted: Some("reason".to_owned()),
        };
        meta.put_position(batch, feed, &position);
        let bytes = Bytes::from_static(b"claim");
        meta.put_credential(batch, party, 4, &CredentialRecord { feed, seq: 6, bytes });
        meta.put_quarantine(batch, party, feed, 5, "malformed", "no body");
        meta.put_preference(batch, "theme", Some(b"dark"));

        let parent = Some(item_key(1, 0));
        let item = ItemRecord { parent, ..item_record(item_key(1, 7), 1, "example.counter") };
        items.put_item(batch, &item, None);
        let first = LogEntry { ordinal: 70, feed, seq: 7, lamport: 131, ..LogEntry::default() };
        let second = LogEntry {
            ordinal: 75,
            feed: FeedNo(2),
            seq: 3,
            lamport: 132,
            stamp: Stamp { millis: 1_700_000_000_000, logical: 1 },
            effective_at: Some(-5),
            label: 1,
        };
        items.put_log(batch, item.key, &[first, second]);
        items.put_checkpoint(batch, item.key, 75, b"state");

        vault.put(batch, &PUBLIC, &SEED).unwrap();
        store.keys().put_known(batch, &[6; 32], "a friend");
    });
}

/// The outcome of every read that concerns the sample, as text.
pub(crate) fn read_everything(store: &Store) -> String {
    let (feeds, meta, items, keys) = (store.feeds(), store.meta(), store.items(), store.keys());
    let (feed, party, item) = (FeedNo(1), PartyNo(1), item_key(1, 7));
    let sample_item = item_record(item, 1, "example.counter");
    let mut text = String::new();
    let mut log = Vec::new();
    let scanned = items.scan_log(item, 0, &mut |entry| {
        log.push(entry);
        ControlFlow::Continue(())
    });
    let mut listed = Vec::new();
    for filter in [
        systole_store::ItemFilter::default(),
        systole_store::ItemFilter { model: Some("example.counter"), ..Default::default() },
        systole_store::ItemFilter { parent: Some(Some(item_key(1, 0))), ..Default::default() },
    ] {
        let visited = items.scan(party, filter, None, &mut |item| {
            listed.push(item);
            ControlFlow::Continue(())
        });
        let _ = writeln!(text, "{visited:?}");
    }
    let outcomes: [&dyn std::fmt::Debug; 29] = [
        &feeds.block(feed, 7),
        &feeds.node(feed, 6, 3),
        &feeds.head_at(feed, 8),
        &feeds.head_at_or_after(feed, 1),
        &feeds.head_at_or_after(feed, 9),
        &feeds.latest_head(feed),
        &feeds.equivocation(feed),
        &feeds.step_at_or_before(feed, 9),
        &feeds.aliases(feed),
        &meta.next_feed_no(),
        &meta.next_party_no(),
        &meta.party_by_key(&party_record(1).key),
        &meta.parties(),
        &meta.feed_by_key(&feed_record(1, 1).key),
        &meta.feeds_of(party),
        &meta.position(feed),
        &meta.credentials(party),
        &meta.quarantined(party, None, 9),
        &meta.quarantined_count(party),
        &meta.preferences(),
        &meta.preference("theme"),
        &items.item(item),
        &items.key_of(party, &sample_item.id),
        &items.ids_with_prefix(party, "", 9),
        &(scanned, log),
        &(items.count(party), listed),
        &items.checkpoint(item),
        &keys.list(),
        &keys.known(),
    ];
    for outcome in outcomes {
        let _ = writeln!(text, "{outcome:?}");
    }
    text
}

fn fixture_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format_1.txt")
}

fn fixture() -> String {
    std::fs::read_to_string(fixture_path()).unwrap()
}

fn dump(memory: &Memory) -> String {
    let mut text = String::new();
    for family in Family::ALL {
        let scanned = memory.scan(family, &[0], &[0xff], &mut |key, value| {
            let _ = writeln!(text, "{} {} {}", family.name(), hex(key), hex(value));
            ControlFlow::Continue(())
        });
        scanned.unwrap();
    }
    text
}

fn load(text: &str) -> Arc<Memory> {
    load_records(&parse(text))
}

fn parse(text: &str) -> Vec<(Family, Vec<u8>, Vec<u8>)> {
    let records = text.lines().map(|line| {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let family = Family::ALL.into_iter().find(|family| family.name() == name).unwrap();
        (family, unhex(words.next().unwrap()), unhex(words.next().unwrap()))
    });
    records.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
