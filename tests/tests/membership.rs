//! Who is heard in a party: by admission alone, whatever arrives first.
#![allow(clippy::unwrap_used)]

use systole::limits::{UNADMITTED_BLOCKS_MAX, UNADMITTED_FEEDS_MAX};
use systole::{
    AdmissionRequest, Engine, ErrorKind, Event, Ingested, ItemQuery, NewItem, Party, PublicKey,
};
use systole_proto::Body;
use systole_tests::exchange::offer;
use systole_tests::{Journal, Random, RawFeed, RawParty, exchange, pull, within};

/// An engine that knows the journal and takes part in `party`.
async fn reader(party: &RawParty) -> (Engine, Party) {
    let engine = Engine::in_memory().register::<Journal>().open().await.unwrap();
    let joined = engine.join(party.key()).await.unwrap();
    (engine, joined)
}

fn sorted(mut keys: Vec<PublicKey>) -> Vec<PublicKey> {
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_reads_before_it_is_admitted_and_writes_afterwards() {
    let (here, there) = (open().await, open().await);
    let party = here.create_party().await.unwrap();
    let journal = party.create(NewItem::<Journal>::new().with("first".into())).await.unwrap();
    let joined = there.join(party.key()).await.unwrap();
    pull(&party, &joined).await;
    let copy = joined.item::<Journal>(journal.id()).unwrap();
    assert_eq!(copy.view(Journal::lines).await.unwrap(), ["first"]);

    let refused = copy.mutate("too early".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(joined.create(NewItem::<Journal>::new()).await.is_err());
    // A request travels as bytes.
    let request = AdmissionRequest::decode(&joined.admission_request().unwrap().encode()).unwrap();
    party.admit(request).await.unwrap();
    let refused = copy.mutate("still too early".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "the admission has not arrived");

    pull(&party, &joined).await;
    copy.mutate("second".into()).await.unwrap();
    exchange(&party, &joined).await;
    assert_eq!(journal.view(Journal::lines).await.unwrap(), ["first", "second"]);
    let devices = vec![here.device().await.unwrap(), there.device().await.unwrap()];
    assert_eq!(sorted(party.status().await.unwrap().members), sorted(devices));
    here.close().await.unwrap();
    there.close().await.unwrap();
}

async fn open() -> Engine {
    Engine::in_memory().register::<Journal>().open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_another_party_and_a_second_admission_are_refused() {
    let (here, there) = (open().await, open().await);
    let (party, other) = (here.create_party().await.unwrap(), here.create_party().await.unwrap());
    let joined = there.join(party.key()).await.unwrap();
    let request = joined.admission_request().unwrap();
    assert_eq!(other.admit(request.clone()).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(other.status().await.unwrap().members.len(), 1);
    party.admit(request.clone()).await.unwrap();
    assert!(party.admit(request).await.is_err(), "it says what is known");
    assert_eq!(party.status().await.unwrap().members.len(), 2);
    here.close().await.unwrap();
    there.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_no_member_admits_nobody() {
    let (first, second, third) = (open().await, open().await, open().await);
    let party = first.create_party().await.unwrap();
    let (joined, other) =
        (second.join(party.key()).await.unwrap(), third.join(party.key()).await.unwrap());
    pull(&party, &joined).await;
    let refused = joined.admit(other.admission_request().unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    exchange(&party, &joined).await;
    assert_eq!(party.status().await.unwrap().members.len(), 1);
    for engine in [first, second, third] {
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_of_one_party_is_refused_by_another() {
    let engine = open().await;
    let (party, other) =
        (engine.create_party().await.unwrap(), engine.create_party().await.unwrap());
    let range = party.read(party.own_feed().unwrap(), 0).await.unwrap().unwrap();
    assert_eq!(other.ingest(range).await.unwrap_err().kind(), ErrorKind::Invalid);
    let asked = other.read(party.own_feed().unwrap(), 0).await.unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::Invalid);
    assert_eq!(other.status().await.unwrap().feeds.len(), 1);
    engine.close().await.unwrap();
}

/// Anna founds a party and admits Ben; Ben admits Clara, who writes. Ben and Clara each write their
/// credentials before they could have heard that they are admitted.
struct Story {
    party: RawParty,
    feeds: [RawFeed; 3],
}

fn story() -> Story {
    let party = RawParty::new(1);
    let (mut anna, mut ben, mut clara) = (RawFeed::new(2), RawFeed::new(3), RawFeed::new(4));
    anna.write(party.genesis(&anna));
    ben.write(party.admit_key(&ben, &clara));
    clara.write(party.admit_feed(&clara));
    anna.write(party.admit_key(&anna, &ben));
    anna.write(party.admit_feed(&ben));
    let journal = anna.create_journal("by Anna", &[]);
    ben.write_linked(Body::Empty, &[(&anna, 4), (&clara, 1)]);
    clara.write_linked(Body::Empty, &[(&ben, 2), (&anna, 4)]);
    clara.write(clara.line(&anna, journal, "by Clara"));
    ben.write(ben.line(&anna, journal, "by Ben"));
    Story { party, feeds: [anna, ben, clara] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_credentials_are_parked_and_count_in_whatever_order_all_arrives() {
    let Story { party, feeds } = story();
    let mut parked = 0;
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let (engine, joined) = reader(&party).await;
        let mut held = [0; 3];
        while let Some(at) = next(&feeds, &held, &mut random) {
            let to = held[at] + 1 + random.below((feeds[at].length() - held[at]) as usize) as u64;
            held[at] = offer(&joined, feeds[at].range(held[at], to)).await;
            if random.one_in(2) {
                joined.settle().await.unwrap();
                parked += joined.status().await.unwrap().parked.len();
            }
        }
        joined.settle().await.unwrap();
        let status = joined.status().await.unwrap();
        let members = feeds.iter().map(RawFeed::device_key).collect();
        assert_eq!(sorted(status.members), sorted(members), "order {seed}");
        assert_eq!((status.parked, status.quarantined), (vec![], 0), "order {seed}");
        let known = feeds.iter().map(RawFeed::key);
        for feed in known.map(|key| status.feeds.iter().find(|feed| feed.feed == key).unwrap()) {
            assert!(feed.admitted && feed.processed == feed.stored, "order {seed}: {feed:?}");
        }
        let journal = joined.items(&ItemQuery::default()).unwrap()[0].id;
        let mut lines =
            joined.item::<Journal>(journal).unwrap().view(Journal::lines).await.unwrap();
        lines.sort_unstable();
        assert_eq!(lines, ["by Anna", "by Ben", "by Clara"], "order {seed}");
        engine.close().await.unwrap();
    }
    assert!(parked > 0, "no order made a credential wait");
}

/// Any feed of which something is left.
fn next(feeds: &[RawFeed], held: &[u64], random: &mut Random) -> Option<usize> {
    let left = (0..feeds.len()).filter(|at| held[*at] < feeds[*at].length());
    let left: Vec<usize> = left.collect();
    random.any(&left).copied()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_stays_so_over_a_reopening() {
    let Story { party, feeds: [anna, ben, clara] } = story();
    let directory = tempfile::tempdir().unwrap();
    let open = || Engine::builder(directory.path()).register::<Journal>().open();
    let engine = open().await.unwrap();
    let joined = engine.join(party.key()).await.unwrap();
    for range in [anna.range(0, 1), ben.all(), clara.all()] {
        offer(&joined, range).await;
    }
    joined.settle().await.unwrap();
    let before = joined.status().await.unwrap();
    assert_eq!(before.parked.len(), 2, "Ben is no member yet, so neither is Clara");
    engine.close().await.unwrap();

    let engine = open().await.unwrap();
    let joined = engine.party(party.key()).await.unwrap();
    joined.settle().await.unwrap();
    assert_eq!(joined.status().await.unwrap().parked, before.parked);
    offer(&joined, anna.range(1, anna.length())).await;
    joined.settle().await.unwrap();
    let status = joined.status().await.unwrap();
    assert_eq!((status.members.len(), status.parked.len(), status.items), (3, 0, 1));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_writes_is_stored_and_not_processed() {
    let Story { party, feeds: [anna, ..] } = story();
    let (engine, joined) = reader(&party).await;
    offer(&joined, anna.all()).await;
    let mut stranger = RawFeed::new(9);
    stranger.create_journal("hello", &[]);
    stranger.write(party.admit_feed(&stranger));
    offer(&joined, stranger.all()).await;
    joined.settle().await.unwrap();
    let status = joined.status().await.unwrap();
    let feed = status.feeds.iter().find(|feed| feed.feed == stranger.key()).unwrap();
    assert_eq!((feed.admitted, feed.stored, feed.processed), (false, 2, 0));
    assert_eq!((status.items, status.members.len()), (1, 2));
    assert_eq!(joined.quarantined(10).unwrap(), []);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_counts_only_if_its_author_had_seen_the_admission() {
    let party = RawParty::new(1);
    let (mut anna, mut ben) = (RawFeed::new(2), RawFeed::new(3));
    anna.write(party.genesis(&anna));
    anna.write(party.admit_key(&anna, &ben));
    anna.write(party.admit_feed(&ben));
    ben.create_journal("before", &[]);
    ben.create_journal("half of it", &[(&anna, 2)]);
    ben.create_journal("after", &[(&anna, 3)]);
    for order in [[&anna, &ben], [&ben, &anna]] {
        let (engine, joined) = reader(&party).await;
        let mut events = joined.events();
        for feed in order {
            offer(&joined, feed.all()).await;
            joined.settle().await.unwrap();
        }
        let ignored = joined.quarantined(10).unwrap();
        let ignored: Vec<_> = ignored.iter().map(|q| (q.feed, q.seq, q.code.as_str())).collect();
        assert_eq!(ignored, [(ben.key(), 0, "not admitted"), (ben.key(), 1, "not admitted")]);
        let items = joined.items(&ItemQuery::default()).unwrap();
        assert_eq!(items.len(), 1);
        let journal = joined.item::<Journal>(items[0].id).unwrap();
        assert_eq!(journal.view(Journal::lines).await.unwrap(), ["after"]);
        let told = async {
            loop {
                if let Event::Quarantined { feed, seq: 1, .. } = events.next().await.unwrap() {
                    return feed;
                }
            }
        };
        assert_eq!(within("the event", told).await, ben.key());
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_another_party_and_a_second_genesis_mean_nothing() {
    let (party, other) = (RawParty::new(1), RawParty::new(7));
    let (mut anna, mut ben) = (RawFeed::new(2), RawFeed::new(3));
    anna.write(party.genesis(&anna));
    anna.write(other.admit_key(&anna, &ben));
    anna.write(other.admit_feed(&ben));
    ben.write(party.genesis(&ben));
    let (engine, joined) = reader(&party).await;
    offer(&joined, anna.all()).await;
    offer(&joined, ben.all()).await;
    joined.settle().await.unwrap();
    let status = joined.status().await.unwrap();
    assert_eq!(status.members, [anna.device_key()]);
    let ignored = joined.quarantined(10).unwrap();
    let ignored: Vec<_> = ignored.iter().map(|q| (q.feed, q.seq, q.code.as_str())).collect();
    assert_eq!(ignored.len(), 3);
    for at in [(anna.key(), 1), (anna.key(), 2), (ben.key(), 0)] {
        assert!(ignored.contains(&(at.0, at.1, "credential")), "{ignored:?}");
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_fill_their_bound_and_keep_no_member_out() {
    let Story { party, feeds: [anna, ben, _] } = story();
    let (engine, joined) = reader(&party).await;
    offer(&joined, anna.all()).await;
    joined.settle().await.unwrap();
    // The own feed is a stranger too until somebody admits it.
    let mut taken = 1;
    for seed in 0..=UNADMITTED_FEEDS_MAX as u64 {
        let mut stranger = RawFeed::new(1_000 + seed);
        stranger.push(vec![1]);
        match joined.ingest(stranger.all()).await.unwrap() {
            Ingested::Added { .. } => taken += 1,
            Ingested::TooManyUnadmitted => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, UNADMITTED_FEEDS_MAX);
    assert_eq!(offer(&joined, ben.all()).await, ben.length(), "a member is taken in all the same");

    // One stranger alone may not fill the disk either.
    let mut stranger = RawFeed::new(1_000);
    for _ in 0..=UNADMITTED_BLOCKS_MAX {
        stranger.push(vec![1]);
    }
    let end = stranger.length();
    let refused = joined.ingest(stranger.range(end - 10, end)).await.unwrap();
    assert_eq!(refused, Ingested::TooManyUnadmitted);
    engine.close().await.unwrap();
}
