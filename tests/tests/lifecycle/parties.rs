//! Parties and engines come and go while data flow.
#![allow(clippy::unwrap_used)]

use systole::{
    CheckpointPolicy, Durability, Engine, ErrorKind, Item, NewItem, Object, ObjectMutation, Party,
    Text, TextMutation, TextRejection,
};
use systole_tests::{Group, Journal, Random, Refused, eventually, pull};

async fn text(item: &Item<Text>) -> String {
    item.view(|text| text.to_string()).await.unwrap()
}

async fn journal(party: &Party, lines: &[&str]) -> Item<Journal> {
    let item = party.create(NewItem::<Journal>::new()).await.unwrap();
    for line in lines {
        item.mutate((*line).to_owned()).await.unwrap();
    }
    item
}

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

async fn party_feed(engine: &Engine, party: &Party) -> systole::FeedKey {
    engine.party(party.key()).await.unwrap().own_feed().unwrap()
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_type_is_kept_checkpointed_and_comes_alive_when_registered() {
    let directory = tempfile::tempdir().unwrap();
    let every_message = CheckpointPolicy { messages_max: 2, ..CheckpointPolicy::default() };
    let writer = Engine::in_memory().register::<Journal>().open().await.unwrap();
    let reader = Engine::builder(directory.path()).checkpoints(every_message).open().await.unwrap();
    let here = writer.create_party().await.unwrap();
    let there = reader.join(here.key()).await.unwrap();
    here.admit(there.admission_request().unwrap()).await.unwrap();
    let item = journal(&here, &["one", "two", "three"]).await;
    pull(&here, &there).await;

    // Not registered: listed, not readable, and yet checkpointed.
    assert_eq!(there.info(item.id()).unwrap().model, "test.journal");
    assert_eq!(there.item::<Journal>(item.id()).unwrap_err().kind(), ErrorKind::Invalid);
    there.view_metadata(item.id(), |_| ()).await.unwrap();
    journal(&here, &[]).await;
    item.mutate("four".to_owned()).await.unwrap();
    item.mutate("five".to_owned()).await.unwrap();
    pull(&here, &there).await;
    eventually("a checkpoint", async || reader.counters().await.unwrap().checkpointed > 0).await;
    reader.close().await.unwrap();

    let reader = Engine::builder(directory.path()).register::<Journal>().open().await.unwrap();
    let copy = reader.party(here.key()).await.unwrap().item::<Journal>(item.id()).unwrap();
    let lines = copy.view(Journal::lines).await.unwrap();
    assert_eq!(lines, ["one", "two", "three", "four", "five"]);
    reader.close().await.unwrap();
    writer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_panics_takes_nobody_along() {
    let group = Group::build((0..2).map(|_| Engine::in_memory().register::<Journal>())).await;
    let [writer, reader] = [&group.parties[0], &group.parties[1]];
    let bad = journal(writer, &["fine"]).await;
    let good = journal(writer, &["fine"]).await;
    pull(writer, reader).await;
    let (bad_copy, good_copy) =
        (reader.item::<Journal>(bad.id()).unwrap(), reader.item::<Journal>(good.id()).unwrap());
    assert_eq!(bad_copy.view(Journal::lines).await.unwrap(), ["fine"]);
    let mut events = reader.events();

    bad.mutate(Journal::PANICS.to_owned()).await.unwrap();
    good.mutate("after".to_owned()).await.unwrap();
    pull(writer, reader).await;
    let broken = bad_copy.view(Journal::lines).await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Internal);
    assert!(broken.to_string().contains("panic"), "says why: {broken}");
    assert_eq!(good_copy.view(Journal::lines).await.unwrap(), ["fine", "after"]);
    let quarantined = loop {
        match events.next().await.unwrap() {
            systole::Event::ItemQuarantined { item, .. } => break item,
            _ => continue,
        }
    };
    assert_eq!(quarantined, bad.id());
    group.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_written_whole_or_not_at_all() {
    let engine = Engine::in_memory().register::<Journal>().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let note =
        party.create(NewItem::<Text>::new().with(TextMutation::insert(0, "abc"))).await.unwrap();
    let list = journal(&party, &["kept"]).await;
    let stored = party.status().await.unwrap().feeds[0].stored;

    let refused = party
        .transaction()
        .mutate(&note, TextMutation::insert(3, "d"))
        .mutate(&list, "first".to_owned())
        .mutate(&list, Journal::REFUSED.to_owned())
        .commit()
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    assert_eq!(refused.rejection::<Refused>(), Some(&Refused(Journal::REFUSED.to_owned())));
    assert_eq!(party.status().await.unwrap().feeds[0].stored, stored, "nothing was written");
    assert_eq!(
        (text(&note).await, list.view(Journal::lines).await.unwrap()),
        ("abc".into(), vec!["kept".into()])
    );

    let (receipt, created) = party
        .transaction()
        .mutate(&note, TextMutation::insert(3, "!"))
        .metadata(&note, ObjectMutation::set("title", "letters"))
        .mutate(&list, "second".to_owned())
        .create(NewItem::<Object>::new().under(&note))
        .commit()
        .await
        .unwrap();
    assert_eq!((receipt.messages, receipt.seq, created.len()), (4, stored, 1));
    assert_eq!(text(&note).await, "abc!");
    assert_eq!(party.info(created[0]).unwrap().parent, Some(note.id()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_of_one_item_are_refused_one_by_one() {
    let engine = Engine::in_memory().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let note = party
        .create(NewItem::<Text>::new().with(TextMutation::insert(0, "0123456789")))
        .await
        .unwrap();
    let writers = (0..40).map(|n| {
        let note = note.clone();
        // Every other one deletes what cannot be there.
        let at = if n % 2 == 0 { 0 } else { 1_000 };
        tokio::spawn(async move { note.mutate(TextMutation::insert(at, "x")).await })
    });
    let (mut written, mut refused) = (0, 0);
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => {
                assert!(
                    matches!(error.rejection(), Some(TextRejection::OutOfBounds { .. })),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!((written, refused, note.view(Text::len).await.unwrap()), (20, 20, 30));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_the_item_goes_on() {
    let engine = Engine::in_memory().register::<Journal>().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let list = journal(&party, &["kept"]).await;
    let refused =
        list.mutate("x".repeat(systole::limits::PAYLOAD_BYTES_MAX + 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    list.mutate("y".repeat(systole::limits::PAYLOAD_BYTES_MAX)).await.unwrap();
    let lengths =
        list.view(|list| list.lines().iter().map(String::len).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(lengths, [4, systole::limits::PAYLOAD_BYTES_MAX]);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_listed_by_type_and_parent_deleted_restored_and_moved() {
    let engine = Engine::in_memory().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let root = party.create(NewItem::<Object>::new()).await.unwrap();
    let (a, b) = (
        party.create(NewItem::<Text>::new().under(&root)).await.unwrap(),
        party.create(NewItem::<Object>::new().under(&root)).await.unwrap(),
    );
    let list = |query: systole::ItemQuery| -> Vec<_> {
        party.items(&query).unwrap().into_iter().map(|item| item.id).collect()
    };
    let under = |parent| systole::ItemQuery { parent: Some(parent), ..Default::default() };
    assert_eq!(list(under(Some(root.id()))), [a.id(), b.id()]);
    assert_eq!(
        list(systole::ItemQuery { model: Some("systole.text".into()), ..Default::default() }),
        [a.id()]
    );
    a.delete().await.unwrap();
    assert_eq!(list(under(Some(root.id()))), [b.id()]);
    a.restore().await.unwrap();
    a.move_to(Some(&b)).await.unwrap();
    assert_eq!(
        (list(under(Some(root.id()))), list(under(Some(b.id())))),
        (vec![b.id()], vec![a.id()])
    );
    let refused = b.move_to(Some(&a)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    b.move_to::<Object>(None).await.unwrap();
    assert_eq!(list(under(None)), [root.id(), b.id()]);
    let page = systole::ItemQuery { limit: 1, after: Some(root.id()), ..Default::default() };
    assert_eq!(list(page), [a.id()]);
    engine.close().await.unwrap();
}
