//! One directory's life: a child works on it and is killed, again and again, and after each time all that
//! was promised is looked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use systole::{Engine, PartyKey, PublicKey, Range, Verifier};
use systole_tests::child::Process;
use systole_tests::{Random, RawFeed, oracle};

use crate::child;
use crate::ledger::{Intent, Said, Told};
use crate::world::World;

/// Kills before the party is there.
const FOUNDINGS: u64 = 2;
/// Every how many rounds the whole store is verified.
const VERIFIED_EVERY: u64 = 4;
/// How long a child may take until it does something.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    /// Kills, by what the child was doing.
    pub(crate) windows: BTreeMap<String, u64>,
    /// Acknowledged operations that were found whole, and their blocks.
    pub(crate) acknowledged: u64,
    pub(crate) blocks: u64,
    /// Operations in flight that were found whole, and those that had left nothing.
    pub(crate) whole: u64,
    pub(crate) nothing: u64,
    /// Stores that were verified.
    pub(crate) verified: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        for (window, kills) in other.windows {
            *self.windows.entry(window).or_default() += kills;
        }
        self.acknowledged += other.acknowledged;
        self.blocks += other.blocks;
        self.whole += other.whole;
        self.nothing += other.nothing;
        self.verified += other.verified;
    }
}

pub(crate) struct Life {
    seed: u64,
    path: PathBuf,
    random: Random,
    /// Bytes of the ledger that were checked.
    told: usize,
    /// Blocks of the device's own feed after the last kill: no later look may show others there.
    own: Vec<Bytes>,
    /// Blocks held of the second device.
    held: u64,
    preference: Option<u64>,
    tally: Tally,
}

impl Life {
    pub(crate) fn new(seed: u64, path: PathBuf) -> Self {
        let (random, tally) = (Random::new(seed), Tally::default());
        Self { seed, path, random, told: 0, own: Vec::new(), held: 0, preference: None, tally }
    }

    /// So many kills.
    pub(crate) fn live(mut self, rounds: u64) -> Tally {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut device = None;
        let mut founded = 0;
        for round in 0..FOUNDINGS.min(rounds) {
            self.kill(round, None);
            founded += runtime.block_on(self.check_founded(&mut device, founded));
        }
        let world = runtime.block_on(self.found());
        let foreign = world.foreign();
        for round in FOUNDINGS..rounds {
            self.kill(round, Some(&world));
            runtime.block_on(self.check(&world, &foreign, round));
            if round % VERIFIED_EVERY == 0 || round + 1 == rounds {
                self.verify(round);
            }
        }
        self.tally
    }

    fn kill(&mut self, round: u64, world: Option<&World>) {
        let number = self.seed.wrapping_mul(1_000).wrapping_add(round) & 0xffff_ffff;
        let child = format!("{number} {}", self.path.display());
        let mut variables = vec![("SYSTOLE_CRASH_CHILD", child)];
        variables.extend(world.map(|world| ("SYSTOLE_CRASH_WORLD", world.encode())));
        let mut process = Process::start("the_child", &variables);
        let (window, millis) = self.moment(world.is_none());
        // If it never comes there, it is killed all the same.
        process.wait_for(window, PATIENCE);
        process.run_for(Duration::from_micros((millis * 1_000.0) as u64));
        process.kill();
        self.tally.rounds += 1;
    }

    /// After what it is killed, and how much later.
    fn moment(&mut self, founding: bool) -> (&'static str, f64) {
        let part = self.random.below(1 << 20) as f64 / f64::from(1 << 20);
        let soon = -(1.0 - part).ln();
        if founding {
            return *self.random.pick(&[("start", soon * 15.0), ("opened", soon * 5.0)]);
        }
        match self.random.below(12) {
            0 | 1 => ("start", soon * 15.0),
            2..5 => ("opened", part * 300.0),
            5 | 6 => ("ingest", soon * 6.0),
            7 => ("checkpoint", soon * 3.0),
            8 => ("close", soon * 4.0),
            9 => ("open", soon * 15.0),
            10 => ("party", soon * 3.0),
            _ => ("compact", soon * 10.0),
        }
    }

    fn said(&mut self) -> Said {
        let (said, told) = Said::read(&self.path.join("ledger"), self.told);
        self.told = told;
        *self.tally.windows.entry(said.window.clone()).or_default() += 1;
        said
    }

    /// A store that was killed while it was begun opens, with every party that was acknowledged.
    async fn check_founded(&mut self, device: &mut Option<PublicKey>, before: usize) -> usize {
        let said = self.said();
        let engine = child::engine(&self.path.join("store"), &mut self.random).open().await;
        let engine = engine.unwrap_or_else(|error| panic!("{}: {error}", self.what(0)));
        assert!(!engine.was_copied(), "{}: taken for a copy", self.what(0));
        let found = engine.device().await.unwrap();
        assert_eq!(*device.get_or_insert(found), found, "{}: another device", self.what(0));
        let parties = engine.parties().await.unwrap().len() - before;
        let (told, most) = (said.founded, said.founded + 1);
        assert!((told..=most).contains(&parties), "{}: {told} told, {parties}", self.what(0));
        self.tally.acknowledged += told as u64;
        engine.close().await.unwrap();
        parties
    }

    /// The party that is worked on: one that was founded before a kill, if there is one.
    async fn found(&mut self) -> World {
        let engine = child::engine(&self.path.join("store"), &mut self.random);
        let engine = engine.open().await.unwrap();
        let mut kept: Option<PartyKey> = None;
        for (key, _) in engine.parties().await.unwrap() {
            let founded = engine.party(key).await.unwrap().status().await.unwrap().founded;
            assert!(founded, "a kill left a party that nobody can found");
            match kept {
                None => kept = Some(key),
                Some(_) => engine.delete_party(key).await.unwrap(),
            }
        }
        let party = match kept {
            Some(key) => engine.party(key).await.unwrap(),
            None => engine.create_party().await.unwrap(),
        };
        let world = World::found(&engine, &party, self.seed).await;
        self.own = own_blocks(&world, &oracle::blocks(&party).await.unwrap());
        engine.close().await.unwrap();
        world
    }

    async fn check(&mut self, world: &World, foreign: &RawFeed, round: u64) {
        let what = self.what(round);
        let said = self.said();
        let what = format!("{what}, killed at {:?}", said.window);
        let engine = child::engine(&self.path.join("store"), &mut self.random).existing();
        let engine = engine.open().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(!engine.was_copied(), "{what}: taken for a copy");
        let party = engine.party(world.party).await.unwrap();
        assert_eq!(party.own_feed().unwrap(), world.own, "{what}: another feed");
        let ranges = oracle::blocks(&party).await.unwrap();
        let own = own_blocks(world, &ranges);
        assert!(own.len() >= self.own.len(), "{what}: blocks are lost");
        assert!(own[..self.own.len()] == self.own, "{what}: the feed is forked");
        self.check_written(&own, &said.intents, &what);
        self.own = own;
        self.check_ingested(&ranges, foreign, &said, &what);
        self.check_preference(&engine, &said, &what).await;
        oracle::check_replica(&party, &what).await;
        engine.close().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    /// What was written stands where its author was told, in the order in which it was asked for, with
    /// nothing between; what was in flight is whole or not there.
    fn check_written(&mut self, own: &[Bytes], intents: &BTreeMap<u64, Intent>, what: &str) {
        let mut at = self.own.len();
        for (number, Intent { words, told }) in intents {
            let end = at + words.len();
            match told {
                Told::Refused => assert!(words.is_empty(), "{what}: {number} was refused"),
                Told::Nothing if own.len() == at => self.tally.nothing += 1,
                Told::Nothing => {
                    assert!(own.len() >= end, "{what}: {number} is torn: {at} {end} {}", own.len());
                    self.tally.whole += 1;
                }
                Told::Written { seq, blocks } => {
                    let expected = (at as u64, words.len() as u64);
                    assert_eq!((*seq, *blocks), expected, "{what}: {number} stands elsewhere");
                    assert!(own.len() >= end, "{what}: {number} is lost: {end} {}", own.len());
                    self.tally.acknowledged += 1;
                    self.tally.blocks += blocks;
                }
            }
            let end = end.min(own.len());
            for (block, word) in own[at..end].iter().zip(words) {
                let Some(word) = word else { continue };
                let holds = block.windows(word.len()).any(|part| part == word.as_bytes());
                assert!(holds, "{what}: {number} is not what was written: {word}");
            }
            at = end;
        }
        assert_eq!(at, own.len(), "{what}: blocks that nobody asked for");
    }

    fn check_ingested(&mut self, ranges: &[Range], foreign: &RawFeed, said: &Said, what: &str) {
        let blocks = feed_blocks(foreign.key(), ranges);
        let held = blocks.len() as u64;
        let promised = said.held.max(self.held);
        assert!(held >= promised, "{what}: {promised} blocks were held, now {held}");
        assert!(held == promised || said.given.contains(&held), "{what}: {held} were never given");
        assert!(foreign.blocks[..blocks.len()] == blocks, "{what}: blocks were changed");
        self.tally.acknowledged += u64::from(said.held > self.held);
        self.held = held;
    }

    async fn check_preference(&mut self, engine: &Engine, said: &Said, what: &str) {
        let found = engine.preference("p").await.unwrap();
        let found = found.map(|found| String::from_utf8_lossy(&found).parse::<u64>().unwrap());
        let promised = said.preference.or(self.preference);
        let wanted = said.preferences.last().copied();
        assert!(found == promised || found == wanted, "{what}: {found:?}, not {promised:?}");
        self.tally.acknowledged += u64::from(said.preference.is_some());
        self.preference = found;
    }

    fn verify(&mut self, round: u64) {
        let what = self.what(round);
        let verifier = Verifier::open(self.path.join("store"));
        let verifier = verifier.unwrap_or_else(|error| panic!("{what}: {error}"));
        oracle::assert_sound(verifier, &what);
        self.tally.verified += 1;
    }

    fn what(&self, round: u64) -> String {
        format!("seed {}, round {round}", self.seed)
    }
}

fn own_blocks(world: &World, ranges: &[Range]) -> Vec<Bytes> {
    feed_blocks(world.own, ranges)
}

fn feed_blocks(feed: systole::FeedKey, ranges: &[Range]) -> Vec<Bytes> {
    ranges
        .iter()
        .filter(|range| range.feed == feed)
        .flat_map(|range| range.blocks.clone())
        .collect()
}
