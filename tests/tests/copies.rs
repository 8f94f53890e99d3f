//! A device whose data were copied or set back never forks a feed: it goes on in a fresh one.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use systole::{Engine, Event, Ingested, NewItem, Party};
use systole_store::Memory;
use systole_tests::{Journal, exchange, pull, within};

async fn lines(party: &Party, item: systole::ItemId) -> Vec<String> {
    party.item::<Journal>(item).unwrap().view(Journal::lines).await.unwrap()
}

async fn write(party: &Party, item: systole::ItemId, line: &str) {
    party.item::<Journal>(item).unwrap().mutate(line.into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_copied_and_opened_twice_goes_on_in_two_feeds() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |at: &Path| Engine::builder(at).register::<Journal>().open();
    let original = open(directory.path()).await.unwrap();
    let party = original.create_party().await.unwrap();
    let item = party.create(NewItem::<Journal>::new().with("kept".into())).await.unwrap().id();
    let feed = party.own_feed().unwrap();
    original.close().await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        copy_all(&entry.unwrap().path(), copy.path());
    }

    let (original, copied) =
        (open(directory.path()).await.unwrap(), open(copy.path()).await.unwrap());
    assert_eq!((original.was_copied(), copied.was_copied()), (false, true));
    let first = original.party(party.key()).await.unwrap();
    let second = copied.party(party.key()).await.unwrap();
    assert_eq!(first.own_feed().unwrap(), feed, "nothing changes for the original");
    assert_ne!(second.own_feed().unwrap(), feed, "the copy leaves the feed to the original");
    write(&first, item, "in the original").await;
    write(&second, item, "in the copy").await;
    exchange(&first, &second).await;
    let both = lines(&first, item).await;
    assert_eq!(both.len(), 3, "{both:?}");
    assert_eq!(both, lines(&second, item).await);
    let fresh = second.own_feed().unwrap();
    original.close().await.unwrap();
    copied.close().await.unwrap();

    // The copy has its own place by then: it stays with its feed.
    let copied = open(copy.path()).await.unwrap();
    assert!(!copied.was_copied());
    let second = copied.party(party.key()).await.unwrap();
    assert_eq!((second.own_feed().unwrap(), lines(&second, item).await.len()), (fresh, 3));
    copied.close().await.unwrap();
}

/// A disk that is set back as a whole shows nothing of it; others show it.
#[tokio::test]
async fn a_device_that_is_shown_more_of_its_feed_than_it_holds_goes_on_in_a_fresh_one() {
    let disk = Arc::new(Memory::new());
    let open = |disk: Arc<Memory>| Engine::on_backend(disk).register::<Journal>().open();
    let other = Engine::in_memory().register::<Journal>().open().await.unwrap();
    let engine = open(disk.clone()).await.unwrap();
    let ahead = engine.create_party().await.unwrap();
    let item = ahead.create(NewItem::<Journal>::new().with("kept".into())).await.unwrap().id();
    let lost = ahead.own_feed().unwrap();
    let earlier = Arc::new(disk.image());
    write(&ahead, item, "after the image").await;
    let elsewhere = other.join(ahead.key()).await.unwrap();
    pull(&ahead, &elsewhere).await;
    engine.close().await.unwrap();

    let engine = open(earlier).await.unwrap();
    let back = engine.party(ahead.key()).await.unwrap();
    assert_eq!(back.own_feed().unwrap(), lost);
    let mut events = back.events();
    pull(&elsewhere, &back).await;
    assert_eq!(within("the event", events.next()).await, Some(Event::OwnFeedLost { feed: lost }));
    let fresh = back.own_feed().unwrap();
    assert_ne!(fresh, lost);
    write(&back, item, "in the fresh feed").await;
    pull(&back, &elsewhere).await;
    let expected = ["kept", "after the image", "in the fresh feed"];
    assert_eq!(lines(&elsewhere, item).await, expected);
    assert_eq!(lines(&back, item).await, expected);
    assert!(elsewhere.quarantined(10).unwrap().is_empty());
    engine.close().await.unwrap();
    other.close().await.unwrap();
}

/// A device that forked its feed before anybody could warn it is found out, and still goes on.
#[tokio::test]
async fn a_device_whose_feed_is_forked_already_goes_on_in_a_fresh_one() {
    let disk = Arc::new(Memory::new());
    let open = |disk: Arc<Memory>| Engine::on_backend(disk).register::<Journal>().open();
    let engine = open(disk.clone()).await.unwrap();
    let ahead = engine.create_party().await.unwrap();
    let item = ahead.create(NewItem::<Journal>::new().with("kept".into())).await.unwrap().id();
    let forked = ahead.own_feed().unwrap();
    let twin = open(Arc::new(disk.image())).await.unwrap();
    let behind = twin.party(ahead.key()).await.unwrap();
    write(&ahead, item, "one history").await;
    write(&behind, item, "another history").await;
    let range = ahead.read(forked, 0).await.unwrap().unwrap();
    assert_eq!(behind.ingest(range).await.unwrap(), Ingested::Equivocation);
    behind.settle().await.unwrap();
    assert_ne!(behind.own_feed().unwrap(), forked);
    write(&behind, item, "in the fresh feed").await;
    assert_eq!(lines(&behind, item).await.len(), 3);
    engine.close().await.unwrap();
    twin.close().await.unwrap();
}

fn copy_all(from: &Path, into: &Path) {
    let to = into.join(from.file_name().unwrap());
    if from.is_dir() {
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            copy_all(&entry.unwrap().path(), &to);
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
