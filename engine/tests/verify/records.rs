//! Altered records: each is named, and nothing else is.

use std::collections::BTreeMap;
use std::sync::Arc;

use systole::{Damage, DamageKind, FeedKey, Model, Object, Report};
use systole_store::{Backend, Batch, FeedNo, FeedPosition, Operation, Store};

use crate::fixture;
use crate::raw::{Random, Record, dump, kind, of_kind, verify_with};

/// The sample party and all its records.
struct Sample {
    backend: Arc<dyn Backend>,
    records: Vec<Record>,
    feeds: BTreeMap<u32, FeedKey>,
}

impl Sample {
    async fn new() -> Self {
        Self::with_long_messages(0).await
    }

    async fn with_long_messages(count: usize) -> Self {
        let backend: Arc<dyn Backend> = fixture::in_memory(count).await;
        let records = dump(&*backend);
        let store = Store::with_backend(backend.clone()).unwrap();
        let feeds = of_kind(&records, kind::FEED_BY_NO).map(|record| record.feed_and_last().0);
        let key = |no| store.meta().feed(FeedNo(no)).unwrap().unwrap().key;
        let feeds = feeds.map(|no| (no, key(no))).collect();
        Self { backend, records, feeds }
    }

    fn of(&self, kind: u8) -> impl Iterator<Item = &Record> {
        of_kind(&self.records, kind)
    }

    fn with(&self, record: &Record, value: &[u8]) -> Report {
        verify_with(&self.backend, &[(record, Some(value))])
    }

    fn without(&self, record: &Record) -> Report {
        verify_with(&self.backend, &[(record, None)])
    }

    fn assert_names(&self, damage: &Damage, block: &Record) {
        let (feed, seq) = self.place(block);
        let at = (DamageKind::Block, Some(feed), Some(seq));
        assert_eq!((damage.kind, damage.feed, damage.seq()), at, "{damage}");
    }

    /// Feed and position of a block.
    fn place(&self, block: &Record) -> (FeedKey, u64) {
        let (feed, seq) = block.feed_and_last();
        (self.feeds[&feed], seq)
    }
}

/// The one damage of a report.
#[track_caller]
fn only(report: Report) -> Damage {
    let [damage] = &report.damage[..] else { panic!("{:#?}", report.damage) };
    assert_eq!(report.damage_total, 1);
    damage.clone()
}

#[tokio::test]
async fn a_flipped_bit_in_any_block_names_the_block_and_nothing_else() {
    let (sample, mut random) = (Sample::new().await, Random(1));
    for block in sample.of(kind::BLOCK) {
        let (value, at) = random.flip_bit(&block.value);
        let damage = only(sample.with(block, &value));
        sample.assert_names(&damage, block);
        assert!(damage.reason.starts_with(&format!("byte {at} of it was changed")), "{damage}");
    }
}

#[tokio::test]
async fn a_changed_byte_of_a_block_among_many_names_the_block() {
    let (sample, mut random) = (Sample::with_long_messages(fixture::UNTIL_HEAD).await, Random(2));
    for block in sample.of(kind::BLOCK).step_by(19) {
        let (value, _) = match block.value.len() {
            // Every value of a byte is tried where blocks are small.
            ..100 => random.change_byte(&block.value),
            _ => random.flip_bit(&block.value),
        };
        sample.assert_names(&only(sample.with(block, &value)), block);
    }
}

#[tokio::test]
async fn a_block_altered_beyond_repair_is_named_within_its_chunk() {
    let (sample, mut random) = (Sample::new().await, Random(3));
    let mut exact = 0;
    for block in sample.of(kind::BLOCK).step_by(12) {
        let mut value = block.value.clone();
        value.iter_mut().skip(1).for_each(|byte| *byte = random.next() as u8);
        let report = sample.with(block, &value);
        let (feed, seq) = sample.place(block);
        let named = report.damage.iter().find(|damage| damage.kind == DamageKind::Block).unwrap();
        assert_eq!(named.feed, Some(feed), "{:#?}", report.damage);
        let blocks = named.blocks.clone().unwrap();
        assert!(blocks.contains(&seq) && blocks.end - blocks.start <= 64, "{:#?}", report.damage);
        exact += usize::from(named.seq() == Some(seq));
    }
    assert!(exact >= 5, "bytes that are no block tell which one was altered: {exact}");
}

#[tokio::test]
async fn a_block_that_is_gone_or_replaced_by_its_neighbour_is_named() {
    let sample = Sample::new().await;
    let blocks: Vec<&Record> = sample.of(kind::BLOCK).collect();
    for (index, block) in blocks.iter().enumerate().step_by(17) {
        let (feed, seq) = sample.place(block);
        let damage = only(sample.without(block));
        sample.assert_names(&damage, block);
        assert_eq!(damage.reason, "missing, though a head covers it");
        // A sound block, but not the one that belongs here.
        let other = blocks[(index + 1) % blocks.len()];
        let report = sample.with(block, &other.value);
        let named = report.damage.iter().find(|damage| damage.kind == DamageKind::Block).unwrap();
        assert_eq!(named.feed, Some(feed));
        assert!(named.blocks.clone().unwrap().contains(&seq), "{:#?}", report.damage);
    }
}

#[tokio::test]
async fn any_changed_byte_of_any_head_names_the_head_and_nothing_else() {
    let (sample, mut random) = (Sample::with_long_messages(fixture::UNTIL_HEAD).await, Random(4));
    assert!(sample.of(kind::HEAD).count() > 0);
    for head in sample.of(kind::HEAD).chain(sample.of(kind::LATEST_HEAD)) {
        let (feed, length) = head.feed_and_last();
        for at in 0..head.value.len() {
            let mut value = head.value.clone();
            value[at] ^= 1 + random.below(255) as u8;
            let damage = only(sample.with(head, &value));
            assert_eq!((damage.kind, damage.feed), (DamageKind::Head, Some(sample.feeds[&feed])));
            if head.kind() == kind::HEAD {
                assert_eq!(damage.length, Some(length));
            } else {
                assert!(damage.reason.starts_with("the latest head: "), "{damage}");
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_is_gone_is_missed() {
    let sample = Sample::new().await;
    for head in sample.of(kind::LATEST_HEAD) {
        let damage = only(sample.without(head));
        assert_eq!(
            (damage.kind, damage.reason.as_str()),
            (DamageKind::Head, "the latest head is missing")
        );
    }
}

#[tokio::test]
async fn any_changed_byte_of_a_checkpoint_names_its_item_and_nothing_else() {
    let (sample, mut random) = (Sample::new().await, Random(5));
    let store = Store::with_backend(sample.backend.clone()).unwrap();
    for checkpoint in sample.of(kind::CHECKPOINT) {
        let (feed, seq) = checkpoint.feed_and_last();
        let item = store.items().item(systole_store::ItemKey { feed: FeedNo(feed), seq });
        let id = item.unwrap().unwrap().id;
        for _ in 0..40 {
            let (value, _) = random.change_byte(&checkpoint.value);
            let damage = only(sample.with(checkpoint, &value));
            assert_eq!((damage.kind, damage.item), (DamageKind::Checkpoint, Some(id)), "{damage}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_state_is_found_by_the_replay() {
    let sample = Sample::new().await;
    let store = Store::with_backend(sample.backend.clone()).unwrap();
    let mut found = 0;
    for record in sample.of(kind::CHECKPOINT) {
        let (feed, seq) = record.feed_and_last();
        let key = systole_store::ItemKey { feed: FeedNo(feed), seq };
        let (ordinal, bytes) = store.items().checkpoint(key).unwrap().unwrap();
        let mut checkpoint = systole_proto::ItemCheckpoint::decode(bytes).unwrap();
        // Sound in itself, but of an item whose metadata are another's.
        let other = bytes::Bytes::from(Object::empty().checkpoint());
        if checkpoint.metadata == other {
            continue;
        }
        checkpoint.metadata = other;
        let mut value = vec![record.value[0]];
        value.extend_from_slice(&varint(ordinal));
        value.extend_from_slice(&checkpoint.encode());
        let damage = only(sample.with(record, &value));
        assert_eq!(damage.kind, DamageKind::Checkpoint);
        assert!(damage.reason.contains("differs from that of a full replay"), "{damage}");
        found += 1;
    }
    assert!(found > 0);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Records that hold nothing which follows from blocks: keys that are sealed with a secret, and what
/// an application keeps.
const FREE: [u8; 4] = [kind::FORMAT, kind::PREFERENCE, kind::VAULT_HEADER, kind::SECRET];
/// Records that say all by being there.
const BARE: [u8; 3] = [kind::FEED_OF_PARTY, kind::ITEM_BY_MODEL, kind::ITEM_BY_PARENT];
/// Those that have tests of their own.
const TESTED: [u8; 4] = [kind::BLOCK, kind::HEAD, kind::LATEST_HEAD, kind::CHECKPOINT];

/// As what a record is named.
fn named_as(kind: u8) -> DamageKind {
    match kind {
        kind::BLOCK => DamageKind::Block,
        kind::NODE => DamageKind::Node,
        kind::HEAD | kind::LATEST_HEAD => DamageKind::Head,
        kind::STEP => DamageKind::CausalStep,
        kind::ALIAS => DamageKind::Alias,
        kind::EQUIVOCATION => DamageKind::Equivocation,
        kind::COUNTER | kind::PARTY_BY_NO | kind::PARTY_BY_KEY => DamageKind::Party,
        kind::FEED_BY_NO | kind::FEED_BY_KEY | kind::FEED_OF_PARTY | kind::SECRET => {
            DamageKind::Feed
        }
        kind::POSITION => DamageKind::Position,
        kind::CREDENTIAL => DamageKind::Credential,
        kind::QUARANTINE => DamageKind::Quarantine,
        kind::ITEM => DamageKind::Item,
        kind::ITEM_BY_ID | kind::ITEM_BY_MODEL | kind::ITEM_BY_PARENT => DamageKind::Index,
        kind::LOG => DamageKind::Log,
        kind::CHECKPOINT => DamageKind::Checkpoint,
        other => panic!("unknown kind {other:#04x}"),
    }
}

/// Whether a byte belongs to what only this device says, or only says to people: flags and the device's
/// key in a party's record, when a feed was first heard of, why a feed is halted or a block ignored.
fn is_free(record: &Record, at: usize) -> bool {
    match record.kind() {
        kind::PARTY_BY_NO => at >= 35,
        kind::FEED_BY_NO => at >= 35,
        kind::POSITION => record.value.len() > 13 && at >= 8,
        // Numbers may be left out.
        kind::COUNTER => true,
        kind::QUARANTINE => at > 2 + usize::from(record.value[1]),
        _ => false,
    }
}

#[tokio::test]
async fn a_changed_byte_of_any_other_record_names_its_kind_and_no_other() {
    let (sample, mut random) = (Sample::new().await, Random(6));
    let excepted: Vec<u8> = [&FREE[..], &BARE, &TESTED].concat();
    let records = sample.records.iter().filter(|record| !excepted.contains(&record.kind()));
    for record in records {
        for _ in 0..4 {
            let (value, at) = random.change_byte(&record.value);
            let report = sample.with(record, &value);
            let what = format!("{record:02x?}, byte {at}: {:#?}", report.damage);
            assert!(!report.is_sound() || is_free(record, at), "{what}");
            let kind = named_as(record.kind());
            assert!(report.damage.iter().all(|damage| damage.kind == kind), "{what}");
            // A number that two logs claim is told of both.
            let told_max = if kind == DamageKind::Log { 2 } else { 1 };
            assert!(report.damage.len() <= told_max, "{what}");
        }
    }
}

#[tokio::test]
async fn any_record_that_is_gone_is_missed() {
    let sample = Sample::new().await;
    // A checkpoint only saves time; that an author signed two histories nobody else can tell.
    let expendable = [kind::CHECKPOINT, kind::EQUIVOCATION];
    let own = [kind::FORMAT, kind::PREFERENCE, kind::VAULT_HEADER];
    let expendable = [&expendable[..], &own].concat();
    for record in sample.records.iter().filter(|record| !expendable.contains(&record.kind())) {
        let report = sample.without(record);
        let what = format!("{record:02x?}: {:#?}", report.damage);
        assert_eq!(report.damage.len(), 1, "{what}");
        assert_eq!(report.damage[0].kind, named_as(record.kind()), "{what}");
    }
}

#[tokio::test]
async fn a_shorter_list_of_blocks_names_what_says_otherwise() {
    // A database that was set back: the last blocks, their head and their effects are there, the
    // position is an older one.
    let sample = Sample::new().await;
    for position in sample.of(kind::POSITION) {
        let (feed, _) = position.feed_and_last();
        let store = Store::with_backend(sample.backend.clone()).unwrap();
        let stored = store.meta().position(FeedNo(feed)).unwrap().unwrap();
        let older = FeedPosition { processed: stored.processed / 2, ..stored };
        let mut batch = Batch::new();
        store.meta().put_position(&mut batch, FeedNo(feed), &older);
        let Some(Operation::Put { value, .. }) = batch.operations().next() else { panic!() };
        let damage = only(sample.with(position, value));
        assert_eq!((damage.kind, damage.feed), (DamageKind::Position, Some(sample.feeds[&feed])));
    }
}
