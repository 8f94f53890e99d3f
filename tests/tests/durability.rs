//! What was acknowledged is there afterwards, and what was shown to others most of all.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use systole::{Durability, Engine, ErrorKind, Ingested, Item, NewItem, Party, Text, TextMutation};
use systole_store::{Call, Fault, Faulty, Memory};

async fn open(backend: &Arc<Memory>, durability: Durability) -> Engine {
    Engine::on_backend(backend.clone()).durability(durability).open().await.unwrap()
}

async fn note(party: &Party) -> Item<Text> {
    party.create(NewItem::<Text>::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_synced_writes_survive_a_power_failure_at_any_moment() {
    for writes in 1..20 {
        let backend = Arc::new(Memory::new());
        let engine = open(&backend, Durability::Synced).await;
        let party = engine.create_party().await.unwrap();
        let item = note(&party).await;
        for n in 0..writes {
            item.mutate(TextMutation::insert(n, "x")).await.unwrap();
            // Not synced, so it may be lost, but not before what was acknowledged.
            party
                .transaction()
                .durability(Durability::Buffered)
                .create(NewItem::<Text>::new())
                .commit()
                .await
                .unwrap();
        }
        backend.crash();
        let again = open(&backend, Durability::Synced).await;
        let copy = again.party(party.key()).await.unwrap().item::<Text>(item.id()).unwrap();
        assert_eq!(copy.view(Text::len).await.unwrap(), writes);
        copy.mutate(TextMutation::insert(0, "y")).await.unwrap();
        again.close().await.unwrap();
        drop(engine);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_out_is_never_forgotten_so_no_feed_forks() {
    let backend = Arc::new(Memory::new());
    let engine = open(&backend, Durability::Buffered).await;
    let party = engine.create_party().await.unwrap();
    let reader = Engine::in_memory().open().await.unwrap();
    let there = reader.join(party.key()).await.unwrap();
    let (feed, item) = (party.own_feed().unwrap(), note(&party).await);
    item.mutate(TextMutation::insert(0, "shown")).await.unwrap();
    let shown = party.read(feed, 0).await.unwrap().unwrap();
    let length = shown.end();
    assert!(matches!(there.ingest(shown).await.unwrap(), Ingested::Added { .. }));
    item.mutate(TextMutation::insert(5, " and lost")).await.unwrap();
    backend.crash();

    let engine = open(&backend, Durability::Buffered).await;
    let party = engine.party(party.key()).await.unwrap();
    let item = party.item::<Text>(item.id()).unwrap();
    let text = item.view(|text| text.to_string()).await.unwrap();
    assert!(text.starts_with("shown"), "{text}");
    item.mutate(TextMutation::insert(0, "again ")).await.unwrap();
    let more = party.read(feed, length).await.unwrap().unwrap();
    assert!(matches!(there.ingest(more).await.unwrap(), Ingested::Added { .. }), "no fork");
    engine.close().await.unwrap();
    reader.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_nothing_is_written_until_the_engine_is_opened_again() {
    let memory = Arc::new(Memory::new());
    let faulty = Arc::new(Faulty::new(memory.clone()));
    let engine = Engine::on_backend(faulty.clone()).open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let item = note(&party).await;
    item.mutate(TextMutation::insert(0, "kept")).await.unwrap();
    faulty.fail(Call::Sync, 1, Fault::Error);
    let first = item.mutate(TextMutation::insert(4, "?")).await.unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Corrupt);
    for _ in 0..3 {
        let refused = item.mutate(TextMutation::insert(0, "x")).await.unwrap_err();
        assert_eq!(refused.to_string(), first.to_string(), "the first reason stays");
    }
    assert!(note_refused(&party).await);
    drop(engine);

    let again = open(&memory, Durability::Synced).await;
    let copy = again.party(party.key()).await.unwrap().item::<Text>(item.id()).unwrap();
    let text = copy.view(|text| text.to_string()).await.unwrap();
    assert!(text.starts_with("kept"), "{text}");
    copy.mutate(TextMutation::insert(0, "cured ")).await.unwrap();
    again.close().await.unwrap();
}

async fn note_refused(party: &Party) -> bool {
    party.create(NewItem::<Text>::new()).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_the_same_time_share_syncs() {
    let engine = Engine::in_memory().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let item = note(&party).await;
    let before = engine.counters().await.unwrap().syncs;
    let writers = (0..64).map(|_| {
        let item = item.clone();
        tokio::spawn(async move { item.mutate(TextMutation::insert(0, "x")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let syncs = engine.counters().await.unwrap().syncs - before;
    assert!(syncs < 64, "{syncs} syncs for 64 writers");
    assert_eq!(item.view(Text::len).await.unwrap(), 64);
    engine.close().await.unwrap();
}
