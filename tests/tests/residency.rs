//! Items are in memory only while they are used, and cost only themselves to come back.
#![allow(clippy::unwrap_used)]

use systole::{CheckpointPolicy, Durability, Engine, Item, NewItem, Object, ObjectMutation, Value};
use systole_tests::{eventually, pull};

const ITEMS: usize = 400;

/// A party with many objects that each got `messages` messages.
async fn fill(engine: &Engine, messages: i64) -> Vec<Item<Object>> {
    let party = engine.create_party().await.unwrap();
    let mut items = Vec::new();
    for _ in 0..ITEMS {
        items.push(party.create(NewItem::<Object>::new()).await.unwrap());
    }
    for n in 1..messages {
        let start = party.transaction().durability(Durability::Buffered);
        let all = items.iter().fold(start, |all, item| {
            all.mutate(item, ObjectMutation::set("n", n).then_set("pad", "x".repeat(500)))
        });
        all.commit().await.unwrap();
    }
    items
}

fn builder(engine: systole::EngineBuilder) -> systole::EngineBuilder {
    let checkpoints = CheckpointPolicy { messages_max: 16, ..CheckpointPolicy::default() };
    engine.durability(Durability::Buffered).checkpoints(checkpoints)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_evicts_idle_items_and_they_come_back_as_they_were() {
    let budget = 1 << 20;
    let engine = builder(Engine::in_memory()).memory_budget_bytes(budget).open().await.unwrap();
    let items = fill(&engine, 8).await;
    eventually("room", async || {
        let counters = engine.counters().await.unwrap();
        counters.resident_bytes <= budget as u64 && (counters.resident as usize) < ITEMS / 2
    })
    .await;
    for item in &items {
        let n = item.view(|object| object.get("n").cloned()).await.unwrap();
        assert_eq!(n, Some(Value::I64(7)));
    }
    // Looking at all of them brought them in one after the other; the budget holds again.
    eventually("room", async || engine.counters().await.unwrap().resident_bytes <= budget as u64)
        .await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_is_watched_stays() {
    let engine = builder(Engine::in_memory()).memory_budget_bytes(1).open().await.unwrap();
    let items = fill(&engine, 2).await;
    let mut updates = items[0].subscribe().await.unwrap();
    eventually("the others gone", async || engine.counters().await.unwrap().resident <= 1).await;
    items[0].mutate(ObjectMutation::set("n", 100i64)).await.unwrap();
    assert!(updates.next().await.is_some());
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_reads_only_the_item_that_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let engine = builder(Engine::builder(directory.path())).open().await.unwrap();
    let items = fill(&engine, 50).await;
    let (party, id) = (items[0].party().key(), items[7].id());
    engine.close().await.unwrap();

    let engine = builder(Engine::builder(directory.path())).open().await.unwrap();
    let item = engine.party(party).await.unwrap().item::<Object>(id).unwrap();
    assert_eq!(engine.counters().await.unwrap().read, 0, "opening reads no block");
    let n = item.view(|object| object.get("n").cloned()).await.unwrap();
    assert_eq!(n, Some(Value::I64(49)));
    let counters = engine.counters().await.unwrap();
    assert!(counters.read <= 16, "read {} blocks of {}", counters.read, ITEMS * 50);
    assert_eq!(counters.resident, 1);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_whole_whether_its_items_are_in_memory_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let engine = builder(Engine::builder(directory.path())).open().await.unwrap();
    let items = fill(&engine, 3).await;
    let party = items[0].party().key();
    let ids: Vec<_> = items.iter().map(Item::id).collect();
    engine.close().await.unwrap();

    let engine = builder(Engine::builder(directory.path())).open().await.unwrap();
    let party = engine.party(party).await.unwrap();
    let items: Vec<Item<Object>> = ids.into_iter().map(|id| party.item(id).unwrap()).collect();
    // Each item gets two messages, and all others theirs between them; one item refuses its second.
    let write = async |first: i64, second: i64, flawed: bool| {
        let mut all = party.transaction();
        for (n, item) in items.iter().enumerate() {
            all = all.mutate(item, ObjectMutation::set("n", first).then_set("at", n as i64));
        }
        for (n, item) in items.iter().enumerate() {
            let path = if flawed && n == ITEMS / 2 { "" } else { "n" };
            all = all.mutate(item, ObjectMutation::set(path, second));
        }
        all.commit().await
    };
    let seen = async |expected: i64| {
        for item in &items {
            let n = item.view(|object| object.get("n").cloned()).await.unwrap();
            assert_eq!(n, Some(Value::I64(expected)));
        }
        party.status().await.unwrap().feeds[0].stored
    };
    assert_eq!(engine.counters().await.unwrap().resident, 0);
    let refused = write(10, 11, true).await.unwrap_err();
    assert_eq!(refused.kind(), systole::ErrorKind::Rejected);
    let stored = seen(2).await;
    assert_eq!(engine.counters().await.unwrap().resident as usize, ITEMS);
    assert!(write(20, 21, true).await.is_err());
    assert_eq!(seen(2).await, stored, "nothing was written");
    write(30, 31, false).await.unwrap();
    assert_eq!(seen(31).await, stored + 2 * ITEMS as u64);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_nobody_looks_at_are_checkpointed_too() {
    let directory = tempfile::tempdir().unwrap();
    let writer = builder(Engine::in_memory()).open().await.unwrap();
    let items = fill(&writer, 40).await;
    let here = items[0].party().clone();
    let reader = builder(Engine::builder(directory.path())).open().await.unwrap();
    let there = reader.join(here.key()).await.unwrap();
    here.admit(there.admission_request().unwrap()).await.unwrap();
    pull(&here, &there).await;
    eventually("every item checkpointed", async || {
        reader.counters().await.unwrap().checkpointed >= ITEMS as u64
    })
    .await;
    reader.close().await.unwrap();

    let reader = builder(Engine::builder(directory.path())).open().await.unwrap();
    let copies = reader.party(here.key()).await.unwrap();
    for item in &items {
        let copy = copies.item::<Object>(item.id()).unwrap();
        let n = copy.view(|object| object.get("n").cloned()).await.unwrap();
        assert_eq!(n, Some(Value::I64(39)));
    }
    // Some were checkpointed twice before others were at all; without checkpoints it would be 40 each.
    let read = reader.counters().await.unwrap().read;
    assert!(read < 20 * ITEMS as u64, "read {read} blocks");
    reader.close().await.unwrap();
    writer.close().await.unwrap();
}
