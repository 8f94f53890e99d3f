//! What parent and child know without telling each other: the party, and every block of a second device,
//! which follow from a seed.

use bytes::Bytes;
use systole::{Engine, FeedKey, Model as _, NewItem, Party, PartyKey};
use systole_proto::merkle::leaf_hash;
use systole_proto::{Block, Body, Genesis, Hash, ItemRef, Link, Mutation, Peaks};
use systole_tests::{Journal, Random, RawFeed, oracle};

/// Blocks of the second device.
pub(crate) const FOREIGN_BLOCKS: u64 = 2_400;

/// The party, and where the second device's feed begins in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) party: PartyKey,
    /// The feed of the device under test.
    pub(crate) own: FeedKey,
    /// What the second device has seen of it: how many blocks, and their root.
    seen: (u64, Hash),
    /// Position of a journal in it that both write to.
    journal: u64,
}

impl World {
    /// Admits the second device to a party that has only just been founded.
    pub(crate) async fn found(engine: &Engine, party: &Party, seed: u64) -> Self {
        assert!(!engine.was_copied(), "seed {seed}: the directory is taken for a copy");
        let foreign = RawFeed::new(seed);
        party.admit(foreign.admission_request(party.key())).await.unwrap();
        let journal = party.transaction().create(NewItem::<Journal>::new()).commit().await.unwrap();
        let own = party.own_feed().unwrap();
        let mut peaks = Peaks::default();
        for range in oracle::blocks(party).await.unwrap() {
            assert_eq!(range.feed, own, "seed {seed}: there is one feed so far");
            range.blocks.iter().for_each(|block| peaks.append(leaf_hash(block), |_, _, _| {}));
        }
        let seen = (journal.0.seq + 1, peaks.root());
        Self { seed, party: party.key(), own, seen, journal: journal.0.seq }
    }

    /// All that the second device writes.
    pub(crate) fn foreign(&self) -> RawFeed {
        let mut random = Random::new(self.seed);
        let mut feed = RawFeed::new(self.seed);
        let link = Link { feed: 1, length: self.seen.0, root: self.seen.1 };
        feed.push(Block { keys: vec![self.own], links: vec![link], ..Block::default() }.encode());
        let mut journals = vec![ItemRef { feed: 1, seq: self.journal }];
        while feed.length() < FOREIGN_BLOCKS {
            let line = Bytes::from(format!("foreign-{}-{}", feed.length(), random.number()));
            if feed.length() % 100 == 1 {
                let (model, version) = (Journal::TYPE.to_owned(), Journal::VERSION);
                let genesis = Genesis { model, version, init: line, ..Genesis::default() };
                let seq = feed.write(Body::Genesis(genesis));
                journals.push(ItemRef { feed: 0, seq });
            } else {
                let item = *random.pick(&journals);
                feed.write(Body::Mutation(Mutation {
                    item,
                    label: Mutation::MODEL,
                    payload: line,
                }));
            }
        }
        feed
    }

    /// In words that fit into a variable.
    pub(crate) fn encode(&self) -> String {
        let keys = [self.party.as_bytes(), self.own.as_bytes(), self.seen.1.as_bytes()];
        let [party, own, root] =
            keys.map(|key| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        format!("{} {party} {own} {root} {} {}", self.seed, self.seen.0, self.journal)
    }

    /// What [`World::encode`] wrote.
    pub(crate) fn decode(words: &str) -> Self {
        let words: Vec<&str> = words.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let key = |at: usize| -> [u8; 32] {
            std::array::from_fn(|n| u8::from_str_radix(&words[at][2 * n..][..2], 16).unwrap())
        };
        let seen = (number(4), Hash(key(3)));
        let (party, own) = (PartyKey(key(1)), FeedKey(key(2)));
        Self { seed: number(0), party, own, seen, journal: number(5) }
    }
}
