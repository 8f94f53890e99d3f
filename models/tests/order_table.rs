//! How often replicas disagree about a single field, by the rule that decides it.
//!
//! Random causal histories, each delivered in six random causal orders. "Last delivered wins" is what the
//! engine that inspired this one did; it is here to show what our rule, (Lamport, feed key), is for.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use systole_models::{Message, Model, Object, ObjectMutation, Origin, Outcome};
use systole_proto::{FeedKey, Stamp, Timeframe};

const HISTORIES: usize = 2_000;
const ORDERS: usize = 6;

/// A generator of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn key(feed: usize) -> FeedKey {
    FeedKey([feed as u8 + 1; 32])
}

/// `messages` writes of one field; before each, its author reads each other feed with odds of one in four.
fn history(feeds: usize, messages: usize, random: &mut Random) -> Vec<Message> {
    let mut authors = vec![(Object::empty(), Timeframe::new(), 0); feeds];
    let mut history: Vec<Message> = Vec::new();
    for number in 0..messages {
        let feed = random.below(feeds);
        let (object, seen, lamport) = &mut authors[feed];
        for other in (0..feeds).filter(|&other| other != feed) {
            if random.below(4) > 0 {
                continue;
            }
            let mut wanted = seen.clone();
            let newest = history.iter().rev().find(|message| message.origin.feed == key(other));
            let Some(newest) = newest else { continue };
            wanted.extend(newest.origin.past.iter());
            wanted.advance_to(key(other), newest.origin.seq + 1);
            for message in &history {
                let Origin { feed, seq, .. } = message.origin;
                if wanted.contains(&feed, seq) && !seen.contains(&feed, seq) {
                    object.apply(std::slice::from_ref(message), &mut Outcome::default());
                    seen.advance_to(feed, seq + 1);
                    *lamport = message.origin.lamport.max(*lamport);
                }
            }
        }
        *lamport += 1;
        let origin = Origin {
            feed: key(feed),
            seq: seen.length(&key(feed)),
            lamport: *lamport,
            stamp: Stamp::default(),
            effective_at: None,
            past: seen.clone().into(),
        };
        seen.advance_to(key(feed), origin.seq + 1);
        let mutation = ObjectMutation::set("field", number as i64);
        let payload = object.mutate(mutation, &origin, &mut Outcome::default()).unwrap();
        history.push(Message { origin, payload });
    }
    history
}

/// A random order that keeps causes before effects.
fn delivery(history: &[Message], random: &mut Random) -> Vec<Message> {
    let mut waiting = history.to_vec();
    let mut order: Vec<Message> = Vec::new();
    let mut delivered = Timeframe::new();
    while !waiting.is_empty() {
        let ready: Vec<usize> = (0..waiting.len())
            .filter(|&at| delivered.covers(&waiting[at].origin.past.iter().collect()))
            .collect();
        let message = waiting.remove(ready[random.below(ready.len())]);
        delivered.advance_to(message.origin.feed, message.origin.seq + 1);
        order.push(message);
    }
    order
}

/// Histories in which six replicas do not agree: by the last message delivered, and by the object.
fn disagreements(feeds: usize, messages: usize) -> (usize, usize) {
    let mut random = Random((feeds * 1_000 + messages) as u64);
    let (mut by_arrival, mut by_rank) = (0, 0);
    for _ in 0..HISTORIES {
        let history = history(feeds, messages, &mut random);
        let mut last = Vec::new();
        let mut read = Vec::new();
        for _ in 0..ORDERS {
            let order = delivery(&history, &mut random);
            let mut object = Object::empty();
            object.apply(&order, &mut Outcome::default());
            read.push(object.get("field").cloned());
            last.push(order.last().map(|message| message.payload.clone()));
        }
        by_arrival += usize::from(last.iter().any(|value| *value != last[0]));
        by_rank += usize::from(read.iter().any(|value| *value != read[0]));
    }
    (by_arrival, by_rank)
}

#[test]
fn replicas_agree_by_rank_and_not_by_arrival() {
    let sizes = [(2, 6), (3, 8), (4, 12)];
    let counts = sizes.map(|(feeds, messages)| disagreements(feeds, messages));
    let row = |counts: [usize; 3]| {
        counts.map(|count| format!("{:3} %", count * 100 / HISTORIES)).join(" | ")
    };
    println!("| rule, {HISTORIES} histories each  | 2 x 6 | 3 x 8 | 4 x 12 |");
    println!("| last delivered wins         | {} |", row(counts.map(|count| count.0)));
    println!("| highest (Lamport, feed key) | {} |", row(counts.map(|count| count.1)));
    for (by_arrival, by_rank) in counts {
        assert!(by_arrival * 100 / HISTORIES >= 30, "arrival order must be seen to diverge");
        assert_eq!(by_rank, 0);
    }
}
