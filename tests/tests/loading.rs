//! Items that are loaded together are what they would be alone.
//!
//! Seen failing with: messages of a step applied in the order of their blocks; the place where an item's
//! log is read next kept one too far; a step that is too large taken without its last block; an
//! item that is twice in a group.
#![allow(clippy::unwrap_used)]

use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, ErrorKind, ItemId, Model as _, NewItem,
    Object, ObjectMutation, Party, PartyKey, Value,
};
use systole_sim::Random;
use systole_store::{Batch, Family, Options, Store, testing};

const ITEMS: usize = 200;
const FEEDS: usize = 4;

fn builder(directory: &tempfile::TempDir, messages_max: u64) -> EngineBuilder {
    let checkpoints = CheckpointPolicy {
        messages_max,
        bytes_max: u64::MAX,
        idle_after: std::time::Duration::MAX,
        idle_messages_min: u64::MAX,
    };
    let engine = Engine::builder(directory.path()).memory_budget_bytes(256 << 20);
    engine.durability(Durability::Buffered).checkpoints(checkpoints)
}

/// A party whose items were written to by several feeds, some much more than others, with values from a
/// few bytes to some ten thousand; and what each item is.
async fn written(engine: &Engine) -> (Party, Vec<(ItemId, Vec<u8>)>) {
    let party = engine.create_party().await.unwrap();
    let mut feeds = vec![party.own_feed().unwrap()];
    while feeds.len() < FEEDS {
        feeds.push(party.create_feed().await.unwrap());
    }
    let mut items = Vec::new();
    for _ in 0..ITEMS {
        items.push(party.create(NewItem::<Object>::new()).await.unwrap());
    }
    let mut random = Random::new(7);
    for round in 0..120 {
        let author = feeds[random.below(FEEDS)];
        let mut transaction = party.transaction().author(author);
        for _ in 0..100 {
            // The square makes the first items hot.
            let at = random.below(ITEMS) * random.below(ITEMS) / ITEMS;
            // More than one step of a load may hold.
            let bytes = if random.below(25) == 0 { 40_000 } else { random.below(60) };
            let field = format!("field-{}", random.below(5));
            let value = format!("{round}{}", "x".repeat(bytes));
            transaction = transaction.mutate(&items[at], ObjectMutation::set(field, value));
        }
        transaction.commit().await.unwrap();
    }
    let mut states = Vec::new();
    for item in &items {
        states.push((item.id(), item.view(Object::digest).await.unwrap()));
    }
    (party, states)
}

async fn check(party: &Party, states: &[(ItemId, Vec<u8>)]) {
    for (id, expected) in states {
        let found = party.item::<Object>(*id).unwrap().view(Object::digest).await.unwrap();
        assert_eq!(found, *expected, "item {id}");
    }
}

async fn reopened(directory: &tempfile::TempDir, party: PartyKey) -> (Engine, Party) {
    let engine = builder(directory, u64::MAX).open().await.unwrap();
    let party = engine.party(party).await.unwrap();
    (engine, party)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_loaded_together_are_as_they_were_with_and_without_checkpoints() {
    for messages_max in [u64::MAX, 40] {
        let directory = tempfile::tempdir().unwrap();
        let engine = builder(&directory, messages_max).open().await.unwrap();
        let (party, states) = written(&engine).await;
        let party = party.key();
        engine.close().await.unwrap();

        let (engine, party) = reopened(&directory, party).await;
        let ids: Vec<ItemId> = states.iter().rev().map(|(id, _)| *id).collect();
        // One of them is there already, one is asked for twice.
        party.item::<Object>(ids[5]).unwrap().view(|_| ()).await.unwrap();
        party.load(&[&ids[..], &ids[..1]].concat()).await.unwrap();
        let counters = engine.counters().await.unwrap();
        assert_eq!(counters.resident, ITEMS as u64);
        check(&party, &states).await;
        assert_eq!(engine.counters().await.unwrap().read, counters.read, "nothing is read again");
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_block_fails_its_own_item_alone() {
    let directory = tempfile::tempdir().unwrap();
    let engine = builder(&directory, u64::MAX).open().await.unwrap();
    let (party, mut states) = written(&engine).await;
    let (damaged, _) = states.remove(20);
    let item = party.item::<Object>(damaged).unwrap();
    let receipt = item.mutate(ObjectMutation::set("last", 1i64)).await.unwrap();
    let party = party.key();
    engine.close().await.unwrap();
    {
        let store = Store::open_existing(directory.path(), &Options::default()).unwrap();
        let feed = store.meta().feed_no(&receipt.feed).unwrap().unwrap();
        let mut batch = Batch::new();
        store.feeds().put_block(&mut batch, feed, receipt.seq, b"\x01\xff damaged");
        store.commit(batch, Durability::Synced).unwrap();
    }
    let (engine, party) = reopened(&directory, party).await;
    let mut ids: Vec<ItemId> = states.iter().map(|(id, _)| *id).collect();
    ids.push(damaged);
    let error = party.load(&ids).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    check(&party, &states).await;
    let unknown = ItemId([9; ItemId::BYTES]);
    assert_eq!(party.load(&[unknown]).await.unwrap_err().kind(), ErrorKind::Invalid);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_fails_its_own_item_alone() {
    let directory = tempfile::tempdir().unwrap();
    let engine = builder(&directory, u64::MAX).open().await.unwrap();
    let (party, mut states) = written(&engine).await;
    let party = party.key();
    engine.close().await.unwrap();
    let (damaged, _) = states.remove(20);
    {
        let store = Store::open_existing(directory.path(), &Options::default()).unwrap();
        let no = store.meta().party_no(&party).unwrap().unwrap();
        let item = store.items().key_of(no, &damaged).unwrap().unwrap();
        // A chunk behind all others: kind, feed, position, first ordinal.
        let mut key = vec![0x30];
        key.extend(item.feed.0.to_be_bytes());
        key.extend(item.seq.to_be_bytes());
        key.extend((1u64 << 40).to_be_bytes());
        let mut batch = Batch::new();
        testing::put(&mut batch, Family::Log, &key, b"damaged");
        store.commit(batch, Durability::Synced).unwrap();
    }
    let (engine, party) = reopened(&directory, party).await;
    let mut ids: Vec<ItemId> = states.iter().map(|(id, _)| *id).collect();
    ids.push(damaged);
    assert_eq!(party.load(&ids).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let resident = engine.counters().await.unwrap().resident;
    assert_eq!(resident, ITEMS as u64);
    check(&party, &states).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_items_than_a_group_and_than_the_budget_come_back_as_they_were() {
    const MANY: i64 = 1_100;
    let directory = tempfile::tempdir().unwrap();
    let engine = builder(&directory, u64::MAX).open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let mut transaction = party.transaction();
    for n in 0..MANY {
        transaction =
            transaction.create(NewItem::<Object>::new().with(ObjectMutation::set("n", n)));
    }
    let ids = transaction.commit().await.unwrap().1;
    let key = party.key();
    engine.close().await.unwrap();

    let engine = builder(&directory, u64::MAX).memory_budget_bytes(1).open().await.unwrap();
    let party = engine.party(key).await.unwrap();
    let loads = [party.load(&ids), party.load(&ids[500..]), party.load(&ids)];
    for loaded in futures(loads).await {
        loaded.unwrap();
    }
    for (n, id) in ids.iter().enumerate() {
        let found = party.item::<Object>(*id).unwrap().view(|o| o.get("n").cloned()).await;
        assert_eq!(found.unwrap(), Some(Value::I64(n as i64)));
    }
    engine.close().await.unwrap();
}

/// Waits for all three at once.
async fn futures<F: Future>([a, b, c]: [F; 3]) -> [F::Output; 3] {
    let (a, b, c) = tokio::join!(a, b, c);
    [a, b, c]
}
