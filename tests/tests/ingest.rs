//! Blocks from elsewhere: in any order, any number of times, honest or not.
//!
//! Seen failing with: a party that hears nobody while somebody waits for it to settle; messages that stay
//! with a party which is paused before its backlog ends.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use systole::{Engine, ErrorKind, Event, Ingested, ItemId, ItemQuery, Party, Range};
use systole_proto::{Block, Body, Genesis, ItemRef, Link, Mutation};
use systole_tests::exchange::offer;
use systole_tests::{Journal, Random, RawFeed, RawParty, within};

/// A party of hand-made feeds: the first founds it and admits the others; all of them have seen that.
struct World {
    party: RawParty,
    feeds: Vec<RawFeed>,
    /// Position of a journal in the first feed.
    journal: u64,
}

fn world(count: u64) -> World {
    let party = RawParty::new(1);
    let mut feeds: Vec<RawFeed> = (0..count).map(|n| RawFeed::new(2 + n)).collect();
    let (first, others) = feeds.split_first_mut().unwrap();
    first.write(party.genesis(first));
    for other in &mut *others {
        first.write(party.admit_key(first, other));
        first.write(party.admit_feed(other));
    }
    let journal = first.create_journal("begin", &[]);
    for other in others {
        other.write_linked(Body::Empty, &[(first, first.length())]);
    }
    World { party, feeds, journal }
}

impl World {
    /// Feed number `at` adds a line.
    fn line(&mut self, at: usize, line: impl Into<Bytes>) {
        let body = self.feeds[at].line(&self.feeds[0], self.journal, line);
        self.feeds[at].write(body);
    }

    fn id(&self) -> ItemId {
        ItemId::of(&self.feeds[0].key(), self.journal)
    }

    async fn reader(&self) -> (Engine, Party) {
        let engine = Engine::in_memory().register::<Journal>().open().await.unwrap();
        let party = engine.join(self.party.key()).await.unwrap();
        (engine, party)
    }

    async fn lines(&self, party: &Party) -> Vec<String> {
        party.settle().await.unwrap();
        party.item::<Journal>(self.id()).unwrap().view(Journal::lines).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_change_nothing_overlaps_are_cut_and_gaps_are_told() {
    let mut world = world(1);
    for n in 2..10 {
        world.line(0, format!("line {n}"));
    }
    let (engine, party) = world.reader().await;
    let feed = &world.feeds[0];
    let mut answers = Vec::new();
    for (from, to) in [(0, 4), (0, 4), (1, 3), (6, 10), (2, 8), (0, 10), (9, 10)] {
        answers.push(party.ingest(feed.range(from, to)).await.unwrap());
    }
    let added = |from, to| Ingested::Added { from, to };
    assert_eq!(
        answers,
        [
            added(0, 4),
            Ingested::Duplicate,
            Ingested::Duplicate,
            Ingested::Gap { held: 4 },
            added(4, 8),
            added(8, 10),
            Ingested::Duplicate,
        ]
    );
    assert_eq!(world.lines(&party).await.len(), 9);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampered_ranges_are_refused_and_leave_nothing_behind() {
    let mut world = world(1);
    for n in 2..6 {
        world.line(0, format!("line {n}"));
    }
    let (engine, party) = world.reader().await;
    let (feed, stranger) = (&world.feeds[0], RawFeed::new(9));
    let honest = feed.all();

    let flipped = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        Bytes::from(bytes)
    };
    let mut block = honest.clone();
    block.blocks[3] = flipped(&block.blocks[3]);
    let mut signature = honest.clone();
    signature.head.signature.0[5] ^= 1;
    let mut head = honest.clone();
    head.head.bytes = flipped(&head.head.bytes);
    let mut short = honest.clone();
    short.blocks.pop();
    let mut swapped = honest.clone();
    swapped.blocks.swap(2, 3);
    let mut stolen = honest.clone();
    stolen.feed = stranger.key();
    let mut none = honest.clone();
    none.blocks.clear();
    // Its author signed a block that cannot be stored.
    let mut empty = feed.fork(3);
    empty.push(Bytes::new());
    for range in [block, signature, head, short, swapped, stolen, none, empty.all()] {
        let refused = party.ingest(range).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(party.feeds().await.unwrap().iter().map(|feed| feed.1).sum::<u64>(), 0);

    // Without peaks a range proves nothing by itself, so it is no evidence against its author.
    offer(&party, feed.range(0, 2)).await;
    let mut unproven = feed.range(2, 6);
    unproven.peaks.clear();
    unproven.blocks[1] = flipped(&unproven.blocks[1]);
    assert_eq!(party.ingest(unproven.clone()).await.unwrap(), Ingested::Inconsistent);
    unproven.blocks[1] = feed.blocks[3].clone();
    assert_eq!(party.ingest(unproven).await.unwrap(), Ingested::Added { from: 2, to: 6 });
    assert_eq!(world.lines(&party).await.len(), 5);
    assert!(party.status().await.unwrap().feeds.iter().all(|feed| feed.halted.is_none()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forked_feed_is_reported_and_halted_and_the_party_lives() {
    let mut world = world(2);
    world.line(1, "shown to us");
    let held = world.feeds[1].length();
    let mut fork = world.feeds[1].fork(held as usize - 1);
    fork.write(fork.line(&world.feeds[0], world.journal, "shown to others"));
    world.line(1, "later");
    let directory = tempfile::tempdir().unwrap();
    let open = || Engine::builder(directory.path()).register::<Journal>().open();
    let engine = open().await.unwrap();
    let party = engine.join(world.party.key()).await.unwrap();
    let mut events = party.events();
    offer(&party, world.feeds[0].all()).await;
    offer(&party, world.feeds[1].range(0, held)).await;
    assert_eq!(world.lines(&party).await, ["begin", "shown to us"]);

    assert_eq!(party.ingest(fork.all()).await.unwrap(), Ingested::Equivocation);
    let told = async {
        loop {
            if let Event::Equivocation { feed } = events.next().await.unwrap() {
                return feed;
            }
        }
    };
    assert_eq!(within("the event", told).await, fork.key());
    // What its author adds is no longer believed, on either side of the fork.
    drop(party.ingest(world.feeds[1].all()).await);
    drop(party.ingest(fork.all()).await);
    world.line(0, "the party lives");
    offer(&party, world.feeds[0].all()).await;
    assert_eq!(world.lines(&party).await, ["begin", "the party lives", "shown to us"]);
    let halted = |status: systole::PartyStatus| {
        let feed = status.feeds.into_iter().find(|feed| feed.feed == fork.key()).unwrap();
        (feed.halted.is_some(), feed.processed)
    };
    assert_eq!(halted(party.status().await.unwrap()), (true, held));
    engine.close().await.unwrap();

    let engine = open().await.unwrap();
    let party = engine.party(world.party.key()).await.unwrap();
    party.settle().await.unwrap();
    assert_eq!(halted(party.status().await.unwrap()), (true, held), "after reopening");
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_saw_the_other_side_of_a_fork_is_halted_alone() {
    let mut world = world(3);
    let at = world.feeds[1].length() as usize;
    let mut fork = world.feeds[1].fork(at);
    fork.write(fork.line(&world.feeds[0], world.journal, "theirs"));
    world.line(1, "ours");
    world.feeds[2].write_linked(Body::Empty, &[(&fork, fork.length())]);
    world.line(2, "built on theirs");
    let (engine, party) = world.reader().await;
    for feed in &world.feeds {
        offer(&party, feed.all()).await;
    }
    assert_eq!(world.lines(&party).await, ["begin", "ours"]);
    let status = party.status().await.unwrap();
    for feed in &status.feeds {
        assert_eq!(feed.halted.is_some(), feed.feed == world.feeds[2].key(), "{feed:?}");
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_names_exactly_what_each_feed_waits_for() {
    let mut world = world(3);
    world.line(0, "by the first");
    let first = world.feeds[0].length();
    let (before, second) = world.feeds.split_at_mut(1);
    second[0].write_linked(Body::Empty, &[(&before[0], first)]);
    world.line(1, "after the first");
    let second = world.feeds[1].length();
    let (before, last) = world.feeds.split_at_mut(2);
    last[0].write_linked(Body::Empty, &[(&before[1], second)]);
    world.line(2, "after the second");

    let directory = tempfile::tempdir().unwrap();
    let open = || Engine::builder(directory.path()).register::<Journal>().open();
    let mut engine = open().await.unwrap();
    let mut party = engine.join(world.party.key()).await.unwrap();
    offer(&party, world.feeds[0].range(0, first - 1)).await;
    offer(&party, world.feeds[2].all()).await;
    offer(&party, world.feeds[1].all()).await;
    for reopened in [false, true] {
        if reopened {
            engine.close().await.unwrap();
            engine = open().await.unwrap();
            party = engine.party(world.party.key()).await.unwrap();
        }
        party.settle().await.unwrap();
        let status = party.status().await.unwrap();
        let waits = |at: usize| {
            let feed = status.feeds.iter().find(|feed| feed.feed == world.feeds[at].key()).unwrap();
            (feed.processed, feed.waits_for)
        };
        assert_eq!(waits(0), (first - 1, None), "reopened: {reopened}");
        assert_eq!(waits(1), (1, Some((world.feeds[0].key(), first))), "reopened: {reopened}");
        assert_eq!(waits(2), (1, Some((world.feeds[1].key(), second))), "reopened: {reopened}");
    }
    offer(&party, world.feeds[0].all()).await;
    assert_eq!(world.lines(&party).await.len(), 4);
    assert!(party.status().await.unwrap().feeds.iter().all(|feed| feed.waits_for.is_none()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_nobody_has_is_waited_for_by_name() {
    let mut world = world(2);
    let mut unknown = RawFeed::new(77);
    unknown.write(Body::Empty);
    world.feeds[1].write_linked(Body::Empty, &[(&unknown, 1)]);
    let (engine, party) = world.reader().await;
    for feed in &world.feeds {
        offer(&party, feed.all()).await;
    }
    party.settle().await.unwrap();
    let status = party.status().await.unwrap();
    let feed = status.feeds.iter().find(|feed| feed.feed == world.feeds[1].key()).unwrap();
    assert_eq!(feed.waits_for, Some((unknown.key(), 1)));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_blocks_are_quarantined_one_by_one_and_their_feed_goes_on() {
    let mut world = world(2);
    let own = world.feeds[1].key();
    let (first, second) = (world.feeds[0].key(), &mut world.feeds[1]);
    let link = |feed: u32| Link { feed, length: 1, root: systole_proto::Hash([0; 32]) };
    let item = |feed: u32, seq: u64| ItemRef { feed, seq };
    let mutation =
        |item, label| Body::Mutation(Mutation { item, label, payload: Bytes::from_static(b"bad") });
    let block = |body: Body| Block { body, ..Block::default() };
    let bad: Vec<(&str, Bytes)> = vec![
        ("undecodable", Bytes::from_static(b"not a block")),
        ("undecodable", Block { links: vec![link(0)], ..block(Body::Empty) }.encode()),
        ("undecodable", Block { links: vec![link(1), link(1)], ..block(Body::Empty) }.encode()),
        ("aliases", Block { keys: vec![own], ..block(Body::Empty) }.encode()),
        ("aliases", Block { keys: vec![first], ..block(Body::Empty) }.encode()),
        ("alias", Block { links: vec![link(9)], ..block(Body::Empty) }.encode()),
        ("alias", block(mutation(item(9, 0), 0)).encode()),
        ("item", block(mutation(item(1, 0), 0)).encode()),
        ("item", block(mutation(item(0, 1_000), 0)).encode()),
        ("label", block(mutation(item(1, world.journal), 2)).encode()),
        ("undecodable", block(Body::Genesis(Genesis::default())).encode()),
    ];
    let start = second.length();
    for (_, bytes) in &bad {
        second.push(bytes.clone());
    }
    let expected: Vec<(u64, &str)> = (start..).zip(bad.iter().map(|(code, _)| *code)).collect();
    world.line(1, "good");
    let (engine, party) = world.reader().await;
    for feed in &world.feeds {
        offer(&party, feed.all()).await;
    }
    assert_eq!(world.lines(&party).await, ["begin", "good"]);
    let ignored = party.quarantined(100).unwrap();
    let ignored: Vec<_> = ignored.iter().map(|q| (q.seq, q.code.as_str())).collect();
    assert_eq!(ignored, expected);
    assert_eq!(engine.counters().await.unwrap().quarantined, expected.len() as u64);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_histories_end_the_same_in_any_order_of_delivery() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let world = generate(&mut random);
        let mut ends = Vec::new();
        for _ in 0..4 {
            let (engine, party) = world.reader().await;
            deliver_badly(&party, &world.feeds, &mut random).await;
            let lines = world.lines(&party).await;
            let items = party.items(&ItemQuery::default()).unwrap().len();
            ends.push((lines, items, party.status().await.unwrap().quarantined));
            engine.close().await.unwrap();
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}");
        assert_eq!(ends[0].2, 0, "seed {seed}");
        assert_eq!(ends[0].0.len(), 41, "seed {seed}");
    }
}

/// Four authors who see any part of what the others wrote.
fn generate(random: &mut Random) -> World {
    let mut world = world(4);
    for n in 0..40 {
        let (at, other) = (random.below(4), random.below(4));
        if at != other {
            // Only what is new may be linked, and nothing that has seen more than it: whole feeds.
            let length = world.feeds[other].length();
            let mut feed = std::mem::replace(&mut world.feeds[at], RawFeed::new(0));
            feed.write_linked(Body::Empty, &[(&world.feeds[other], length)]);
            world.feeds[at] = feed;
        }
        world.line(at, format!("line {n} of {at}"));
    }
    world
}

/// Random pieces in random order, some twice, some too early.
async fn deliver_badly(party: &Party, feeds: &[RawFeed], random: &mut Random) {
    let mut held = vec![0; feeds.len()];
    while let Some(at) = (0..feeds.len()).find(|at| held[*at] < feeds[*at].length()) {
        let at = if random.one_in(3) { at } else { random.below(feeds.len()) };
        let length = feeds[at].length();
        let from = random.below(length as usize) as u64;
        let to = from + 1 + random.below((length - from) as usize) as u64;
        let range: Range = feeds[at].range(from, to);
        match party.ingest(range).await.unwrap() {
            Ingested::Added { from, to } => {
                assert_eq!(from, held[at]);
                held[at] = to;
            }
            Ingested::Duplicate => assert!(to <= held[at]),
            Ingested::Gap { held: told } => assert!(told == held[at] && from > told),
            other => panic!("honest blocks: {other:?}"),
        }
        if random.one_in(8) {
            party.settle().await.unwrap();
        }
    }
}

/// A reader that holds a backlog of many turns, paused, and its ranges taken in. Few of the blocks are
/// lines, so that the journal is not woken for many of them.
async fn backlog(blocks: usize) -> (World, Engine, Party) {
    let mut world = world(1);
    for n in 0..blocks {
        match n % 100 {
            0 => world.line(0, n.to_string()),
            _ => drop(world.feeds[0].write(Body::Empty)),
        }
    }
    let (engine, party) = world.reader().await;
    // So many at once are taken for nobody's work, and what is read may be applied late.
    let (feed, begun) = (&world.feeds[0], world.journal + 1_000);
    offer(&party, feed.range(0, begun)).await;
    party.settle().await.unwrap();
    party.pause().await.unwrap();
    for from in (begun..feed.length()).step_by(2_000) {
        offer(&party, feed.range(from, feed.length().min(from + 2_000))).await;
    }
    (world, engine, party)
}

async fn processed(party: &Party) -> u64 {
    party.status().await.unwrap().feeds.iter().map(|feed| feed.processed).sum()
}

/// On one thread, where all three are asked before the party hears the first.
#[tokio::test]
async fn whoever_settles_keeps_nobody_waiting() {
    let (world, engine, party) = backlog(12_000).await;
    let before = processed(&party).await;
    let (resumed, settled, met) =
        tokio::join!(biased; party.resume(), party.settle(), processed(&party));
    resumed.unwrap();
    settled.unwrap();
    assert_eq!(met, before, "answered while the backlog waits");
    assert_eq!(processed(&party).await, world.feeds[0].length());
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_processed_before_a_pause_is_told() {
    let (world, engine, party) = backlog(30_000).await;
    let item = party.item::<Journal>(world.id()).unwrap();
    let mut updates = item.subscribe().await.unwrap();
    let before = processed(&party).await;
    party.resume().await.unwrap();
    while processed(&party).await == before {
        tokio::task::yield_now().await;
    }
    party.pause().await.unwrap();
    assert!(within("an update", updates.next()).await.is_some());
    engine.close().await.unwrap();
}
