//! Authors who write whatever they like: no panic, no divergence, no checkpoint that fails to load.
//!
//! A failing world prints its seed; `SYSTOLE_SEED` runs that one alone.
#![allow(clippy::unwrap_used)]

mod text_support;

use std::collections::BTreeSet;

use systole_models::{Message, Model, Text, TextMutation};
use systole_proto::{FeedKey, Timeframe};
use text_support::{Random, Replica, batches, causal_order, feed, message, origin};

/// Messages in all worlds together, about.
const MESSAGES: usize = 200_000;
const MESSAGES_PER_WORLD: usize = 90;
const HONEST: usize = 2;
const HOSTILE: usize = 3;

/// A blob with a valid checksum of the library's that makes its importer reserve 274 GB and abort.
const KILLER: [&str; 2] = [
    "6c6f726f000000000000000000000000d28be5f400043e950101aa03010111010100000000000000000101ffffff",
    "ff7f0000000000056c6f726f000000000000000000000000d53790de00043e01f20302010502010100020161",
];

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A number that is mostly small, sometimes at an edge.
fn number(random: &mut Random, usual: usize) -> u64 {
    const EDGES: [u64; 8] = [
        u32::MAX as u64,
        u32::MAX as u64 - 1,
        i32::MAX as u64,
        i32::MAX as u64 + 1,
        (u32::MAX / 4) as u64,
        1 << 28,
        1 << 16,
        u64::MAX,
    ];
    match random.below(24) {
        0 => EDGES[random.below(EDGES.len())],
        1 => random.below(10 * usual + 10) as u64,
        _ => random.below(usual + 1) as u64,
    }
}

/// Ops in the wire's form with numbers that may or may not make sense for a text of about `length`.
fn forged(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = 1 + if random.one_in(3) { random.below(6) } else { 0 };
    for index in 0..count {
        let at = number(random, length).min(1 << 61);
        let kind =
            if index + 1 < count { [0, 2, 3][random.below(3)] } else { random.below(4) as u64 };
        put(&mut bytes, at << 2 | kind);
        match kind {
            0 | 1 => {
                let text = "aé中\u{1f980}x"
                    .repeat(1 + if random.one_in(9) { random.below(40) } else { 0 });
                let text: String = text.chars().take(1 + random.below(text.len())).collect();
                if kind == 0 {
                    put(&mut bytes, text.len() as u64);
                }
                bytes.extend_from_slice(text.as_bytes());
            }
            _ => {
                let most = if random.one_in(3) { length } else { 2 };
                put(&mut bytes, number(random, most));
                if kind == 3 {
                    put(&mut bytes, number(random, HONEST + HOSTILE - 2));
                }
                put(&mut bytes, number(random, length + 4));
            }
        }
    }
    bytes
}

/// `bytes` with a few random changes.
fn damaged(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            _ => {
                let copy = bytes[at..].to_vec();
                bytes.extend(copy);
            }
        }
    }
    bytes.truncate(4096);
    bytes
}

fn edit(random: &mut Random, length: usize) -> TextMutation {
    if length > 0 && random.one_in(2) {
        // Near the start, so that authors delete the same text.
        let at = random.below(length.min(4));
        TextMutation::delete(at, 1 + random.below((length - at).min(6)))
    } else if random.one_in(2) {
        TextMutation::insert(length, "end")
    } else {
        TextMutation::insert(random.below(length + 1), "é\u{1f980}".repeat(1 + random.below(3)))
    }
}

/// Everything that happens in one item, with some authors who do not use our code.
struct World {
    random: Random,
    messages: Vec<Message>,
    /// Replicas of the honest authors, who take hostile messages as they come.
    honest: Vec<Replica>,
    /// What the hostile authors claim to know, closed under causality.
    claimed: Vec<Timeframe>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            messages: Vec::new(),
            honest: (0..HONEST).map(|_| Replica::default()).collect(),
            claimed: vec![Timeframe::new(); HOSTILE],
        }
    }

    /// A random version that some message made: its past and itself.
    fn version(&mut self) -> Timeframe {
        if self.messages.is_empty() {
            return Timeframe::new();
        }
        // Recent ones mostly, so that there is a main line.
        let back =
            if self.random.one_in(4) { self.messages.len() } else { 6.min(self.messages.len()) };
        let index = self.messages.len() - 1 - self.random.below(back);
        let origin = &self.messages[index].origin;
        let mut version = origin.past.iter().collect::<Timeframe>();
        version.set(origin.feed, origin.seq + 1);
        version
    }

    fn step(&mut self) {
        let author = self.random.below(HONEST + HOSTILE);
        let version = self.version();
        if author < HONEST {
            self.catch_up(author, &version);
            let replica = &mut self.honest[author];
            let mutation = edit(&mut self.random, replica.text.len());
            self.messages.push(replica.write(feed(author), 0, mutation).unwrap());
            return;
        }
        let payload = self.payload();
        let claimed = &mut self.claimed[author - HONEST];
        if !self.random.one_in(3) {
            claimed.merge(&version);
        }
        let key = feed(author);
        let seq = claimed.length(&key);
        let past = claimed.clone();
        claimed.set(key, seq + 1);
        self.messages.push(message(origin(key, seq, past), payload));
    }

    fn payload(&mut self) -> Vec<u8> {
        let length = self.honest[0].text.len();
        match self.random.below(10) {
            0 => (0..self.random.below(40)).map(|_| self.random.next() as u8).collect(),
            1..4 if !self.messages.is_empty() => {
                let index = self.random.below(self.messages.len());
                let bytes = self.messages[index].payload.to_vec();
                if self.random.one_in(2) { bytes } else { damaged(&mut self.random, bytes) }
            }
            _ => forged(&mut self.random, length),
        }
    }

    fn catch_up(&mut self, author: usize, version: &Timeframe) {
        let replica = &mut self.honest[author];
        let fresh = |message: &&Message| {
            let (feed, seq) = (message.origin.feed, message.origin.seq);
            version.contains(&feed, seq) && !replica.known.contains(&feed, seq)
        };
        let fresh: Vec<Message> = self.messages.iter().filter(fresh).cloned().collect();
        replica.apply(&fresh);
    }
}

/// Applies everything in a random causal order and gives the replica and what it refused.
fn replay(messages: &[Message], random: &mut Random) -> (Replica, BTreeSet<(FeedKey, u64)>) {
    let order = causal_order(messages, Timeframe::new(), random);
    let most = [1, 4, 16, 1000][random.below(4)];
    let mut replica = Replica::default();
    let mut refused = BTreeSet::new();
    for batch in batches(messages, &order, most, random) {
        let indices = replica.apply(&batch);
        refused.extend(indices.into_iter().map(|i| (batch[i].origin.feed, batch[i].origin.seq)));
        if random.one_in(20) {
            replica = replica.reopened();
        }
    }
    (replica, refused)
}

fn check_world(seed: u64) -> (usize, usize) {
    let mut world = World::new(seed);
    for _ in 0..MESSAGES_PER_WORLD {
        world.step();
    }
    let messages = &world.messages;
    let (mut one, refused) = replay(messages, &mut world.random);
    let (two, refused_too) = replay(messages, &mut world.random);
    assert_eq!(refused, refused_too, "replicas refuse the same messages");
    assert_eq!(one.view(), two.view());
    assert!(
        refused.iter().all(|(key, _)| *key != feed(0) && *key != feed(1)),
        "honest and refused"
    );

    let mut reopened = two.reopened();
    assert_eq!(reopened.view(), one.view());
    let mutation = edit(&mut world.random, one.text.len());
    let last = one.write(feed(99), 0, mutation).unwrap();
    assert!(reopened.apply(&[last]).is_empty());
    assert_eq!(reopened.view(), one.view());
    assert_eq!(reopened.reopened().view(), one.view());
    let hostile = messages.iter().filter(|m| m.origin.feed != feed(0) && m.origin.feed != feed(1));
    (hostile.count(), refused.len())
}

/// Checks every second world from `first` on, so that two tests share the work.
fn check_worlds(first: u64) {
    if let Ok(seed) = std::env::var("SYSTOLE_SEED") {
        check_world(seed.parse().unwrap());
        return;
    }
    let worlds = MESSAGES * (HONEST + HOSTILE) / HOSTILE / MESSAGES_PER_WORLD;
    let (mut hostile, mut refused) = (0, 0);
    for seed in (first..worlds as u64).step_by(2) {
        match std::panic::catch_unwind(|| check_world(seed)) {
            Ok((more_hostile, more_refused)) => {
                hostile += more_hostile;
                refused += more_refused;
            }
            Err(panic) => {
                eprintln!(
                    "SYSTOLE_SEED={seed} cargo test --release -p systole-models --test text_hostile"
                );
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{hostile} hostile messages, {refused} of them refused");
    assert!(hostile * 20 > MESSAGES * 9 && refused * 10 > hostile && refused * 10 < hostile * 9);
}

#[test]
fn hostile_messages_neither_break_nor_divide_replicas() {
    check_worlds(0);
}

#[test]
fn hostile_messages_neither_break_nor_divide_more_replicas() {
    check_worlds(1);
}

#[test]
fn a_blob_that_kills_the_library_is_refused_as_message_and_as_checkpoint() {
    let hex = KILLER.concat();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let killer: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let mut replica = Replica::default();
    replica.write(feed(0), 0, TextMutation::insert(0, "abc")).unwrap();
    let past = replica.known.clone();
    assert_eq!(replica.apply(&[message(origin(feed(1), 0, past), killer.clone())]), [0]);
    assert_eq!(replica.view(), "abc");
    assert!(Text::restore(&killer).is_err());
    // Even in the place of the snapshot it does not get past the checksum.
    let mut checkpoint = replica.text.checkpoint();
    let end = checkpoint.len() - 32;
    checkpoint.splice(end - 60..end, killer);
    assert!(Text::restore(&checkpoint).is_err());
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let mut random = Random(1);
    let mut replica = Replica::default();
    for author in [0, 1, 0, 2, 1] {
        let mutation = edit(&mut random, replica.text.len());
        replica.write(feed(author), 0, mutation).unwrap();
    }
    let checkpoint = replica.text.checkpoint();
    assert_eq!(Text::restore(&checkpoint).unwrap().to_string(), replica.view());
    for at in 0..checkpoint.len() {
        assert!(Text::restore(&checkpoint[..at]).is_err());
        let mut flipped = checkpoint.clone();
        flipped[at] ^= 1 << random.below(8);
        assert!(Text::restore(&flipped).is_err());
    }
}
