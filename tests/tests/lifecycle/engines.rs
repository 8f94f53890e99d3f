//! Engines on one directory: opened again, closed under the hands of who holds it, and never two at once.

use systole::{Engine, ErrorKind, NewItem, Party, Text, TextMutation};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_can_be_opened_again_at_once_thirty_times() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let note = party.create(NewItem::<Text>::new()).await.unwrap();
    let (key, id) = (party.key(), note.id());
    engine.close().await.unwrap();
    for round in 0..30 {
        let engine = Engine::builder(directory.path()).open().await.unwrap();
        let note = engine.party(key).await.unwrap().item::<Text>(id).unwrap();
        assert_eq!(note.view(Text::len).await.unwrap(), round);
        note.mutate(TextMutation::insert(round, "x")).await.unwrap();
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_frees_the_directory_whatever_handles_are_still_held() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let note = party.create(NewItem::<Text>::new()).await.unwrap();
    let updates = note.subscribe().await.unwrap();
    engine.close().await.unwrap();

    let again = Engine::builder(directory.path()).open().await.unwrap();
    let closed = [
        note.view(Text::len).await.unwrap_err().kind(),
        note.mutate(TextMutation::insert(0, "x")).await.unwrap_err().kind(),
        party.status().await.unwrap_err().kind(),
        party.read(party_feed(&again, &party).await, 0).await.unwrap_err().kind(),
        engine.create_party().await.unwrap_err().kind(),
    ];
    assert_eq!(closed, [ErrorKind::Closed; 5]);
    drop(updates);
    engine.close().await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn the_device_keeps_its_key_in_a_file_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let mut devices = Vec::new();
    for _ in 0..2 {
        let engine = Engine::builder(directory.path()).open().await.unwrap();
        devices.push(engine.device().await.unwrap());
        engine.close().await.unwrap();
    }
    assert_eq!(devices[0], devices[1]);
    assert!(directory.path().join("device.key").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_on_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let refused = Engine::builder(directory.path()).open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let told = refused.to_string();
    assert!(told.contains(directory.path().to_str().unwrap()), "says where: {told}");
    assert!(told.contains("open elsewhere; close it there"), "says why and what to do: {told}");
    assert!(engine.create_party().await.is_ok(), "the first one is not concerned");
    engine.close().await.unwrap();
}

async fn party_feed(engine: &Engine, party: &Party) -> systole::FeedKey {
    engine.party(party.key()).await.unwrap().own_feed().unwrap()
}
