//! The pure core against generated histories: several authors write where they stand, blocks travel
//! in any order, and every replica must do the same.
//!
//! Planted bugs that these tests were seen to catch: a past that is not merged from links, a waiter
//! that is not woken, Lamport numbers that ignore links, names learned while a block waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use systole_proto::{
    Block, Body, Ed25519Signer, FeedKey, Hash, ItemId, Link, PartyKey, Peaks, Signer, Stamp,
    limits, merkle,
};
use systole_store::{FeedNo, FeedPosition, ItemKey, ItemRecord, PartyNo};

use super::causal::Step;
use super::effect::{Effect, LocalBody};
use super::request::{AdmissionRequest, genesis_credentials};
use super::state::{Host, PartyState, Progress};
use crate::Error;

/// Everything a replica has, in memory.
#[derive(Default)]
struct Memory {
    keys: Vec<FeedKey>,
    numbers: BTreeMap<FeedKey, FeedNo>,
    blocks: BTreeMap<FeedNo, Vec<Bytes>>,
    steps: BTreeMap<FeedNo, Vec<(Step, u8)>>,
    aliases: BTreeMap<FeedNo, Vec<FeedNo>>,
    items: BTreeMap<ItemKey, Arc<ItemRecord>>,
}

impl Host for Memory {
    fn number(&mut self, key: &FeedKey) -> Result<FeedNo, Error> {
        let next = FeedNo(self.keys.len() as u32);
        let number = *self.numbers.entry(*key).or_insert(next);
        if number == next {
            self.keys.push(*key);
        }
        Ok(number)
    }

    fn key(&mut self, feed: FeedNo) -> Result<FeedKey, Error> {
        Ok(self.keys[feed.0 as usize])
    }

    fn step(&mut self, feed: FeedNo, seq: u64) -> Result<Option<(Step, u8)>, Error> {
        let steps = self.steps.get(&feed).map_or(&[][..], |steps| steps);
        Ok(steps.iter().rev().find(|(step, _)| step.seq <= seq).cloned())
    }

    fn aliases(&mut self, feed: FeedNo) -> Result<Vec<FeedNo>, Error> {
        Ok(self.aliases.get(&feed).cloned().unwrap_or_default())
    }

    fn root(&mut self, feed: FeedNo, length: u64) -> Result<Hash, Error> {
        Ok(root(&self.blocks[&feed][..length as usize]))
    }

    fn item(&mut self, key: ItemKey) -> Result<Option<Arc<ItemRecord>>, Error> {
        Ok(self.items.get(&key).cloned())
    }
}

fn root(blocks: &[Bytes]) -> Hash {
    let mut peaks = Peaks::new();
    for block in blocks {
        peaks.append(merkle::leaf_hash(block), |_, _, _| {});
    }
    peaks.root()
}

/// A message as every replica must see it, whatever numbers it gives to feeds.
type Seen = BTreeMap<(FeedKey, u64), (ItemId, u64, Vec<(FeedKey, u64)>, u32)>;

struct Replica {
    state: PartyState,
    host: Memory,
    seen: Seen,
    /// Messages in the order they were processed.
    order: Vec<(FeedKey, u64)>,
    quarantined: Vec<(FeedKey, u64, &'static str)>,
}

impl Replica {
    fn new(party: PartyKey) -> Self {
        Self {
            state: PartyState::new(party, PartyNo(1), 0),
            host: Memory::default(),
            seen: Seen::new(),
            order: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    fn know(&mut self, key: FeedKey) -> FeedNo {
        let no = self.host.number(&key).unwrap();
        self.state.add_feed(no, key, FeedPosition::default());
        no
    }

    /// Writes bodies to an own feed.
    fn write(&mut self, key: FeedKey, bodies: Vec<LocalBody>) -> Vec<Bytes> {
        let feed = self.know(key);
        let plan = self.state.plan(&mut self.host, feed).unwrap();
        let bodies = bodies.into_iter().map(|body| (body, Stamp::default(), None)).collect();
        let mut effects = Vec::new();
        let blocks = self.state.compose(&mut self.host, &plan, bodies, &mut effects).unwrap();
        self.host.blocks.entry(feed).or_default().extend(blocks.iter().cloned());
        self.run(effects);
        blocks
    }

    fn take(&mut self, key: FeedKey, blocks: &[Bytes]) {
        let feed = self.know(key);
        let held = self.host.blocks.entry(feed).or_default();
        held.extend(blocks.iter().cloned());
        let length = held.len() as u64;
        self.state.extended(feed, length);
    }

    /// Processes what is ready.
    fn settle(&mut self) {
        let mut last = None;
        while let Some(feed) = self.state.next_ready(last) {
            last = Some(feed);
            let at = self.state.feed(feed).unwrap().processed;
            let block = self.host.blocks[&feed][at as usize].clone();
            let mut effects = Vec::new();
            let progress = self.state.process(&mut self.host, feed, block, &mut effects).unwrap();
            let changes = matches!(progress, Progress::Processed | Progress::Halted);
            assert!(changes || effects.is_empty(), "waiting changes nothing");
            self.run(effects);
        }
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Step { feed, step } => {
                    let stored = self.host.steps.entry(feed).or_default();
                    let mut records: Vec<_> = stored
                        .iter()
                        .rev()
                        .take(usize::from(step.depth))
                        .map(|(step, depth)| step.record(None, *depth))
                        .collect();
                    let depth = step.depth;
                    records.insert(0, step);
                    let step = Step::rebuild(&records).expect("a chain starts at a full step");
                    stored.push((step, depth));
                }
                Effect::Alias { feed, alias, target } => {
                    let aliases = self.host.aliases.entry(feed).or_default();
                    aliases.push(target);
                    assert_eq!(
                        aliases.len(),
                        alias as usize,
                        "names are learned once and in order"
                    );
                }
                Effect::Item { record, .. } => {
                    self.host.items.insert(record.key, record);
                }
                Effect::Message { item, entry, key, past, .. } => {
                    let id = self.host.items[&item].id;
                    let past = past.entries().iter();
                    let past =
                        past.map(|(feed, length)| (self.host.keys[feed.0 as usize], *length));
                    let mut past: Vec<_> = past.collect();
                    past.sort_unstable();
                    let known =
                        self.seen.insert((key, entry.seq), (id, entry.lamport, past, entry.label));
                    assert!(known.is_none(), "a message is processed once");
                    self.order.push((key, entry.seq));
                }
                Effect::Quarantine { feed, seq, code, .. } => {
                    self.quarantined.push((self.host.keys[feed.0 as usize], seq, code));
                }
                Effect::Credential { .. } | Effect::Genesis { .. } | Effect::Event(_) => {}
            }
        }
        self.state.take_positions();
        self.state.committed(0);
    }
}

/// A party with some authors, all of them admitted by the first.
struct World {
    party: PartyKey,
    feeds: Vec<FeedKey>,
    writers: Vec<Replica>,
    log: BTreeMap<FeedKey, Vec<Bytes>>,
    items: Vec<(FeedKey, u64)>,
}

impl World {
    fn new(authors: u8) -> Self {
        let signer = |n: u8| Ed25519Signer::from_seed(&[n; 32]);
        let founder = signer(200);
        let party = PartyKey(founder.public_key());
        let feeds: Vec<_> = (1..=authors).map(|n| FeedKey(signer(n).public_key())).collect();
        let mut writers: Vec<_> = feeds.iter().map(|_| Replica::new(party)).collect();
        let genesis = genesis_credentials(&founder, &signer(101), &signer(1)).unwrap();
        let mut bodies = vec![LocalBody::Credential(genesis)];
        for n in 2..=authors {
            let request = AdmissionRequest::new(party, &signer(100 + n), &signer(n)).unwrap();
            let credentials = request.countersign(&signer(101)).unwrap();
            bodies.extend(credentials.map(LocalBody::Credential));
        }
        let blocks = writers[0].write(feeds[0], bodies);
        let mut log: BTreeMap<_, _> = feeds.iter().map(|feed| (*feed, Vec::new())).collect();
        for writer in &mut writers[1..] {
            writer.take(feeds[0], &blocks);
            writer.settle();
        }
        log.insert(feeds[0], blocks);
        Self { party, feeds, writers, log, items: Vec::new() }
    }

    /// Author `n` writes: a new item, or a mutation of one it knows.
    fn write(&mut self, n: usize, choice: usize) {
        let feed = self.feeds[n];
        let writer = &mut self.writers[n];
        let known: Vec<ItemKey> = writer.host.items.keys().copied().collect();
        let body = if known.is_empty() || choice.is_multiple_of(4) {
            LocalBody::Genesis {
                model: "test".into(),
                version: 1,
                algorithm: 0,
                parent: known.get(choice % known.len().max(1)).copied(),
                init: Bytes::from_static(b"init"),
                metadata: Bytes::new(),
            }
        } else {
            let item = known[choice % known.len()];
            LocalBody::Mutation { item, label: 0, payload: Bytes::from_static(b"x") }
        };
        self.items.push((feed, self.log[&feed].len() as u64));
        let blocks = writer.write(feed, vec![body]);
        self.log.get_mut(&feed).unwrap().extend(blocks);
    }

    /// Author `n` takes in everything of author `from`.
    fn meet(&mut self, n: usize, from: usize) {
        let feed = self.feeds[from];
        if n == from {
            return;
        }
        let reader = &mut self.writers[n];
        let no = reader.know(feed);
        let held = reader.state.feed(no).unwrap().length as usize;
        let log = &self.log[&feed];
        if held < log.len() {
            reader.take(feed, &log[held..]);
            reader.settle();
        }
    }

    fn play(authors: u8, moves: &[(usize, usize, usize)]) -> Self {
        let mut world = Self::new(authors);
        for (n, other, choice) in moves {
            let (n, other) = (n % usize::from(authors), other % usize::from(authors));
            if choice % 3 == 0 { world.meet(n, other) } else { world.write(n, *choice) }
        }
        world
    }

    /// A fresh replica that gets the blocks feed by feed, cut and shuffled by `order`.
    fn deliver(&self, order: &[usize]) -> Replica {
        let mut replica = Replica::new(self.party);
        let mut sent: BTreeMap<FeedKey, usize> = BTreeMap::new();
        let mut turn = order.iter().cycle();
        while self
            .feeds
            .iter()
            .any(|feed| sent.get(feed).copied().unwrap_or(0) < self.log[feed].len())
        {
            let pick = turn.next().copied().unwrap_or(0);
            let feed = self.feeds[pick % self.feeds.len()];
            let pick = if sent.get(&feed).copied().unwrap_or(0) == self.log[&feed].len() {
                *self
                    .feeds
                    .iter()
                    .find(|f| sent.get(f).copied().unwrap_or(0) < self.log[f].len())
                    .unwrap()
            } else {
                feed
            };
            let at = sent.entry(pick).or_default();
            let until = self.log[&pick].len().min(*at + 1 + turn.next().unwrap_or(&0) % 5);
            replica.take(pick, &self.log[&pick][*at..until]);
            *at = until;
            replica.settle();
        }
        replica
    }
}

fn moves() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..8usize, 0..8usize, 0..1_000usize), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_replica_processes_the_same_messages_in_any_delivery_order(
        authors in 1..5u8,
        moves in moves(),
        orders in prop::collection::vec(prop::collection::vec(0..64usize, 1..40), 6),
    ) {
        let world = World::play(authors, &moves);
        let mut first: Option<Seen> = None;
        for order in &orders {
            let replica = world.deliver(order);
            prop_assert!(replica.quarantined.is_empty(), "{:?}", replica.quarantined);
            prop_assert_eq!(replica.seen.len(), world.items.len());
            for (no, feed) in replica.state.feeds() {
                prop_assert_eq!(feed.processed, feed.length);
                prop_assert!(replica.state.waits_for(no).is_none());
            }
            // Causal order: whatever a message has seen was processed before it.
            let place: BTreeMap<_, _> =
                replica.order.iter().enumerate().map(|(n, at)| (*at, n)).collect();
            for (at, (_, lamport, past, _)) in &replica.seen {
                for (other, (_, earlier, _, _)) in &replica.seen {
                    let seen = past.iter().any(|(feed, length)| *feed == other.0 && *length > other.1);
                    if seen || (other.0 == at.0 && other.1 < at.1) {
                        prop_assert!(place[other] < place[at]);
                        prop_assert!(earlier < lamport);
                    }
                }
            }
            match &first {
                None => first = Some(replica.seen),
                Some(first) => prop_assert_eq!(first, &replica.seen),
            }
        }
    }
}

/// A world of two authors, and a fresh replica that has only the first one's blocks.
fn half_heard() -> (World, Replica) {
    let mut world = World::new(2);
    world.write(0, 0);
    world.meet(1, 0);
    world.write(1, 1);
    let mut replica = Replica::new(world.party);
    replica.take(world.feeds[0], &world.log[&world.feeds[0]][..2]);
    replica.settle();
    (world, replica)
}

#[test]
fn a_block_waits_for_exactly_what_it_links_to() {
    let (world, mut replica) = half_heard();
    // The second author's feed is admitted by the first one's third block.
    replica.take(world.feeds[1], &world.log[&world.feeds[1]]);
    replica.settle();
    let no = replica.state.number_of(&world.feeds[1]).unwrap();
    assert_eq!(replica.state.feed(no).unwrap().processed, 0, "a stranger is stored, not heard");
    replica.take(world.feeds[0], &world.log[&world.feeds[0]][2..3]);
    replica.settle();
    let linked = replica.state.number_of(&world.feeds[0]).unwrap();
    assert_eq!(replica.state.waits_for(no), Some((linked, 4)));
    replica.take(world.feeds[0], &world.log[&world.feeds[0]][3..]);
    replica.settle();
    assert_eq!(replica.state.feed(no).unwrap().processed, 1);
}

/// The second author's first block, altered by `alter`.
fn altered(alter: impl Fn(&mut Block)) -> Replica {
    let (world, mut replica) = half_heard();
    let mut block = Block::decode(world.log[&world.feeds[1]][0].clone()).unwrap();
    alter(&mut block);
    replica.take(world.feeds[0], &world.log[&world.feeds[0]][2..]);
    replica.take(world.feeds[1], &[block.encode()]);
    replica.settle();
    replica
}

#[test]
fn a_link_to_another_history_halts_the_feed() {
    let replica = altered(|block| block.links[0].root = Hash([7; 32]));
    let halted = replica.state.feeds().filter(|(_, feed)| feed.halted.is_some()).count();
    assert_eq!(halted, 1);
}

#[test]
fn a_block_that_has_not_seen_its_admission_is_quarantined() {
    let replica = altered(|block| block.links.clear());
    assert_eq!(replica.quarantined[0].2, "not admitted");
}

#[test]
fn a_link_by_a_name_that_was_never_given_is_quarantined() {
    let replica = altered(|block| {
        block.links.push(Link { feed: 9, length: 1, root: Hash([0; 32]) });
    });
    assert_eq!(replica.quarantined[0].2, "alias");
}

#[test]
fn a_message_for_an_item_outside_its_past_is_quarantined() {
    let replica = altered(|block| match &mut block.body {
        Body::Mutation(mutation) => mutation.item.seq = 1_000,
        _ => panic!("the second author mutates"),
    });
    assert_eq!(replica.quarantined[0].2, "item");
}

#[test]
fn undecodable_bytes_are_quarantined_and_the_feed_goes_on() {
    let mut world = World::new(1);
    let feed = world.feeds[0];
    world.log.get_mut(&feed).unwrap().push(Bytes::from_static(b"\xff\xff"));
    world.log.get_mut(&feed).unwrap().push(Block::default().encode());
    let replica = world.deliver(&[0]);
    assert_eq!(replica.quarantined, vec![(feed, 1, "undecodable")]);
    assert_eq!(replica.state.feeds().next().unwrap().1.processed, 3);
}

/// A feed that nobody admitted, with one credential in it.
fn stranger(world: &World, credential: Bytes) -> (FeedKey, Vec<Bytes>) {
    let key = FeedKey(Ed25519Signer::from_seed(&[50; 32]).public_key());
    let blocks = Replica::new(world.party).write(key, vec![LocalBody::Credential(credential)]);
    (key, blocks)
}

fn mutation_of(writer: &Replica) -> LocalBody {
    let item = *writer.host.items.keys().next().unwrap();
    LocalBody::Mutation { item, label: 0, payload: Bytes::from_static(b"x") }
}

#[test]
fn an_author_does_not_wait_for_strangers_and_makes_nobody_wait_for_them() {
    let mut world = World::new(1);
    world.write(0, 0);
    let signer = |n: u8| Ed25519Signer::from_seed(&[n; 32]);
    let request = AdmissionRequest::new(world.party, &signer(77), &signer(78)).unwrap();
    let [unheard, _] = request.countersign(&signer(79)).unwrap();
    let (key, blocks) = stranger(&world, unheard);
    let writer = &mut world.writers[0];
    writer.take(key, &blocks);
    writer.settle();
    let no = writer.state.number_of(&key).unwrap();
    assert_eq!(writer.state.feed(no).unwrap().processed, 1, "its credential is parked");
    let body = mutation_of(writer);
    let written = writer.write(world.feeds[0], vec![body]);
    assert!(Block::decode(written[0].clone()).unwrap().links.is_empty());
}

#[test]
fn an_author_whose_admission_a_stranger_carries_links_to_it() {
    let mut world = World::new(1);
    world.write(0, 0);
    let signer = |n: u8| Ed25519Signer::from_seed(&[n; 32]);
    let request = AdmissionRequest::new(world.party, &signer(102), &signer(2)).unwrap();
    let [member, admission] = request.countersign(&signer(101)).unwrap();
    let (carrier, carried) = stranger(&world, member);
    let feed = FeedKey(signer(2).public_key());
    let mut author = Replica::new(world.party);
    author.take(world.feeds[0], &world.log[&world.feeds[0]]);
    author.take(carrier, &carried);
    author.settle();
    let mut blocks = author.write(feed, vec![LocalBody::Credential(admission)]);
    let body = mutation_of(&author);
    blocks.extend(author.write(feed, vec![body]));
    let reader = &mut world.writers[0];
    reader.take(feed, &blocks);
    reader.settle();
    let no = reader.state.number_of(&feed).unwrap();
    assert_eq!(reader.state.feed(no).unwrap().processed, 1, "it waits for the carrier");
    reader.take(carrier, &carried);
    reader.settle();
    assert_eq!(reader.state.feed(no).unwrap().processed, 2);
    assert!(reader.quarantined.is_empty(), "{:?}", reader.quarantined);
}

#[test]
fn a_feed_that_names_more_feeds_than_it_may_is_set_aside_there_and_heard_again() {
    let mut world = World::new(1);
    world.write(0, 0);
    let mut replica = Replica::new(world.party);
    replica.take(world.feeds[0], &world.log[&world.feeds[0]]);
    let named = |from: u64, count: usize| {
        let key = |n: u64| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            FeedKey(bytes)
        };
        let keys = (from..from + count as u64).map(key).collect();
        Block { keys, body: Body::Empty, ..Block::default() }.encode()
    };
    let (most, at_once) = (u64::from(limits::ALIASES_MAX), limits::KEYS_MAX);
    let fits: Vec<_> =
        (0..most).step_by(at_once).map(|n| named(n, at_once.min((most - n) as usize))).collect();
    let before = world.log[&world.feeds[0]].len() as u64;
    replica.take(world.feeds[0], &fits);
    replica.settle();
    assert!(replica.quarantined.is_empty(), "{:?}", replica.quarantined.first());
    replica.take(world.feeds[0], &[named(most, 1), named(0, 0)]);
    replica.settle();
    let beyond = before + fits.len() as u64;
    assert_eq!(replica.quarantined, [(world.feeds[0], beyond, "aliases")]);
    let no = replica.state.number_of(&world.feeds[0]).unwrap();
    assert_eq!(replica.state.feed(no).unwrap().processed, beyond + 2);
}
