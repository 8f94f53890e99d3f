//! Items: what is written whole or not at all, what is refused or broken and takes nobody along, and how
//! they are listed.

use systole::{
    CheckpointPolicy, Engine, ErrorKind, NewItem, Object, ObjectMutation, Text, TextMutation,
    TextRejection,
};
use systole_tests::{Group, Journal, Refused, eventually, pull};

use super::{journal, text};

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
