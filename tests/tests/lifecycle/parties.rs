//! Parties that are paused, closed, resumed and deleted while data flow.

use systole::{Durability, Engine, ErrorKind, NewItem, Object, Text, TextMutation};
use systole_tests::{Group, Journal, Random, eventually, pull};

use super::{journal, text};

#[tokio::test]
async fn a_feed_that_is_refused_while_the_party_is_paused_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    party.pause().await.unwrap();
    let refused = party.create_feed().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(party.status().await.unwrap().feeds.len(), 1, "no feed without its secret");
    party.resume().await.unwrap();
    let fresh = party.create_feed().await.unwrap();
    engine.close().await.unwrap();

    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let status = engine.party(party.key()).await.unwrap().status().await.unwrap();
    assert_eq!(status.feeds.iter().filter(|feed| feed.own).count(), 2);
    assert!(status.feeds.iter().any(|feed| feed.feed == fresh && feed.admitted));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_parties_are_resumed_and_closed_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let stays = engine.create_party().await.unwrap().key();
    let rests = engine.create_party().await.unwrap().key();
    engine.close_party(rests).await.unwrap();
    engine.set_preference("theme", Some(b"dark")).await.unwrap();
    engine.close().await.unwrap();

    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let mut parties = engine.parties().await.unwrap();
    let mut expected = vec![(stays, true), (rests, false)];
    parties.sort_unstable();
    expected.sort_unstable();
    assert_eq!(parties, expected);
    assert_eq!(engine.preference("theme").await.unwrap().as_deref(), Some(&b"dark"[..]));
    // Asking for it makes it active again.
    engine.party(rests).await.unwrap().create(NewItem::<Object>::new()).await.unwrap();
    assert!(engine.parties().await.unwrap().iter().all(|(_, active)| *active));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_party_takes_blocks_in_and_applies_them_when_it_goes_on() {
    let group = Group::in_memory(2).await;
    let [writer, reader] = [&group.parties[0], &group.parties[1]];
    let note =
        writer.create(NewItem::<Text>::new().with(TextMutation::insert(0, "a"))).await.unwrap();
    pull(writer, reader).await;
    let copy = reader.item::<Text>(note.id()).unwrap();

    reader.pause().await.unwrap();
    note.mutate(TextMutation::insert(1, "b")).await.unwrap();
    pull(writer, reader).await;
    assert_eq!(text(&copy).await, "a");
    let status = reader.status().await.unwrap();
    assert!(status.paused && status.feeds.iter().any(|feed| feed.processed < feed.stored));
    let refused = copy.mutate(TextMutation::insert(0, "x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);

    reader.resume().await.unwrap();
    reader.settle().await.unwrap();
    assert_eq!(text(&copy).await, "ab");
    group.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parties_end_while_data_flow_and_nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let engine =
        Engine::builder(directory.path()).durability(Durability::Buffered).open().await.unwrap();
    let key = engine.create_party().await.unwrap().key();
    let id = engine.party(key).await.unwrap().create(NewItem::<Text>::new()).await.unwrap().id();
    let mut acknowledged = 0;
    for _ in 0..10 {
        let note = engine.party(key).await.unwrap().item::<Text>(id).unwrap();
        let writing = tokio::spawn(async move {
            let mut written = 0;
            while note.mutate(TextMutation::insert(0, "x")).await.is_ok() {
                written += 1;
            }
            written
        });
        let counters = engine.counters().await.unwrap().commits;
        eventually("some writes", async || {
            engine.counters().await.unwrap().commits > counters + 20
        })
        .await;
        engine.close_party(key).await.unwrap();
        acknowledged += writing.await.unwrap();
        let note = engine.party(key).await.unwrap().item::<Text>(id).unwrap();
        let length = note.view(Text::len).await.unwrap();
        // The last write of a round may be written without its author having heard of it.
        assert!((acknowledged..acknowledged + 1).contains(&length) || length == acknowledged + 1);
        acknowledged = length;
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_party_is_gone_and_its_neighbour_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    let keep = engine.create_party().await.unwrap();
    let gone = engine.create_party().await.unwrap();
    let note =
        keep.create(NewItem::<Text>::new().with(TextMutation::insert(0, "k"))).await.unwrap();
    let lost =
        gone.create(NewItem::<Text>::new().with(TextMutation::insert(0, "g"))).await.unwrap();
    engine.delete_party(gone.key()).await.unwrap();
    assert_eq!(lost.view(Text::len).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.party(gone.key()).await.unwrap_err().kind(), ErrorKind::Invalid);
    engine.close().await.unwrap();
    let engine = Engine::builder(directory.path()).open().await.unwrap();
    assert_eq!(engine.parties().await.unwrap(), vec![(keep.key(), true)]);
    let note = engine.party(keep.key()).await.unwrap().item::<Text>(note.id()).unwrap();
    assert_eq!(text(&note).await, "k");
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_does_not_grow_while_parties_of_one_size_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let builder =
        Engine::builder(directory.path()).register::<Journal>().store_bytes(8 << 20, 1 << 20);
    let engine = builder.open().await.unwrap();
    let mut random = Random::new(7);
    let mut largest = Vec::new();
    for _ in 0..8 {
        let party = engine.create_party().await.unwrap();
        for _ in 0..48 {
            // Digits of noise: a codec halves them at best.
            let line: String = (0..4096).map(|_| format!("{:016x}", random.number())).collect();
            journal(&party, &[&line]).await;
        }
        let held = engine.usage().await.unwrap().disk_bytes;
        engine.delete_party(party.key()).await.unwrap();
        largest.push((held, engine.usage().await.unwrap().disk_bytes));
    }
    let first = largest[0].0;
    assert!(first > 1 << 20, "{largest:?}");
    assert!(largest.iter().all(|(held, left)| *held < 2 * first && *left < first), "{largest:?}");
    engine.close().await.unwrap();
}
