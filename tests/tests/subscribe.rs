//! Whoever watches an item is told in order, and never holds anybody up.
#![allow(clippy::unwrap_used)]

use systole::{Engine, NewItem, ObjectMutation, Text, TextChange, TextMutation, Update};
use systole_tests::{Group, pull, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_come_in_order_from_here_and_from_elsewhere() {
    let group = Group::in_memory(2).await;
    let note = group.parties[0].create(NewItem::<Text>::new()).await.unwrap();
    pull(&group.parties[0], &group.parties[1]).await;
    let copy = group.parties[1].item::<Text>(note.id()).unwrap();
    let mut updates = copy.subscribe().await.unwrap();
    for n in 0..10 {
        let writer = if n % 2 == 0 { &copy } else { &note };
        if n % 2 == 1 {
            pull(&group.parties[1], &group.parties[0]).await;
        }
        writer.mutate(TextMutation::insert(n, n.to_string())).await.unwrap();
        pull(&group.parties[0], &group.parties[1]).await;
    }
    let mut version = 0;
    for n in 0..10 {
        match within("an update", updates.next()).await.unwrap() {
            Update::Changed { version: next, changes, .. } => {
                assert!(next > version);
                version = next;
                assert_eq!(changes, [TextChange::Insert { at: n, text: n.to_string() }]);
            }
            other => panic!("nothing was missed: {other:?}"),
        }
    }
    copy.mutate_metadata(ObjectMutation::set("title", "digits")).await.unwrap();
    match within("an update", updates.next()).await.unwrap() {
        Update::Changed { changes, metadata, .. } => {
            assert_eq!((changes.len(), metadata.len()), (0, 1))
        }
        other => panic!("nothing was missed: {other:?}"),
    }
    group.close().await;
    assert!(within("the end", updates.next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_told_what_it_missed_and_catches_up_by_looking() {
    let engine = Engine::in_memory().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let note = party.create(NewItem::<Text>::new()).await.unwrap();
    let mut updates = note.subscribe().await.unwrap();
    let writes = 3 * systole::limits::UPDATES_KEPT;
    // Nobody reads meanwhile: the writer is not held up.
    for n in 0..writes {
        within("a write", note.mutate(TextMutation::insert(n, "x"))).await.unwrap();
    }
    // What was written before is told before this is answered.
    assert_eq!(note.view(Text::len).await.unwrap(), writes);
    let Update::Lagged { missed } = updates.next().await.unwrap() else {
        panic!("it was too slow")
    };
    assert_eq!(missed as usize, writes - systole::limits::UPDATES_KEPT);
    let mut length = note.view(Text::len).await.unwrap();
    assert_eq!(length, writes);
    // From here on it follows again.
    for _ in 0..systole::limits::UPDATES_KEPT {
        updates.next().await.unwrap();
    }
    note.mutate(TextMutation::insert(0, "y")).await.unwrap();
    let Update::Changed { changes, .. } = updates.next().await.unwrap() else {
        panic!("it follows")
    };
    length += 1;
    assert_eq!((changes.len(), note.view(Text::len).await.unwrap()), (1, length));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn what_was_applied_and_then_refused_is_told_to_nobody() {
    let engine = Engine::in_memory().open().await.unwrap();
    let party = engine.create_party().await.unwrap();
    let watched = party.create(NewItem::<Text>::new()).await.unwrap();
    let other = party.create(NewItem::<Text>::new()).await.unwrap();
    let mut updates = watched.subscribe().await.unwrap();
    // Handed over together: the second is given up when the first is applied and not yet told.
    let kept = party.transaction().mutate(&watched, TextMutation::insert(0, "a"));
    let refused = party
        .transaction()
        .mutate(&watched, TextMutation::insert(1, "b"))
        .mutate(&other, TextMutation::insert(9, "beyond its end"));
    let (kept, refused) = (kept.submit().await.unwrap(), refused.submit().await.unwrap());
    kept.written().await.unwrap();
    assert!(refused.written().await.is_err());
    watched.mutate(TextMutation::insert(1, "c")).await.unwrap();
    let mut last = 0;
    for expected in ["a", "c"] {
        let Update::Changed { version, changes, .. } =
            within("an update", updates.next()).await.unwrap()
        else {
            panic!("nothing was missed")
        };
        assert!(matches!(&changes[..], [TextChange::Insert { text, .. }] if text == expected));
        assert!(version > last);
        last = version;
    }
    assert_eq!(watched.view(ToString::to_string).await.unwrap(), "ac");
    engine.close().await.unwrap();
}
