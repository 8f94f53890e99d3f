//! Random histories of several authors, applied in many causal orders, give one text.
//!
//! A failing history prints its seed; `SYSTOLE_SEED` runs that one alone.
#![allow(clippy::unwrap_used)]

mod text_support;

use systole_models::{Message, Text, TextMutation};
use systole_proto::Timeframe;
use text_support::{Random, Replica, batches, causal_order, feed};

const HISTORIES: u64 = 1_000;
const ORDERS: usize = 6;

/// Characters of one to four bytes, some of two UTF-16 units, one that combines.
const CHARACTERS: [char; 8] = ['a', 'b', 'z', '\n', 'é', '\u{301}', '中', '\u{1f980}'];

fn random_text(random: &mut Random) -> String {
    let length = 1 + if random.one_in(4) { random.below(12) } else { random.below(2) };
    (0..length).map(|_| CHARACTERS[random.below(CHARACTERS.len())]).collect()
}

/// One to three edits that fit a text of `length`.
fn random_mutation(mut length: usize, random: &mut Random) -> TextMutation {
    let mut mutation = TextMutation::from_ops([]);
    for _ in 0..1 + if random.one_in(4) { random.below(3) } else { 0 } {
        if length > 0 && random.one_in(2) {
            // Often at the same few places, so that authors delete the same text.
            let at =
                if random.one_in(2) { random.below(length.min(3)) } else { random.below(length) };
            let most = if random.one_in(5) { 30 } else { 3 };
            let len = 1 + random.below((length - at).min(most));
            mutation = mutation.then_delete(at, len);
            length -= len;
        } else {
            let at = match random.below(3) {
                0 => length,
                1 => random.below(length.min(3) + 1),
                _ => random.below(length + 1),
            };
            let text = random_text(random);
            length += text.chars().count();
            mutation = mutation.then_insert(at, text);
        }
    }
    mutation
}

/// A history of `count` messages by up to five authors who sync at random.
fn random_history(seed: u64) -> (Vec<Message>, Vec<Replica>) {
    let mut random = Random(seed);
    let authors = 2 + random.below(4);
    let count = 5 + random.below(60);
    let mut replicas: Vec<Replica> = (0..authors).map(|_| Replica::default()).collect();
    let mut messages: Vec<Message> = Vec::new();
    let lazy = 1 + random.below(6);
    for _ in 0..count {
        let author = random.below(authors);
        if random.one_in(lazy) {
            let other = random.below(authors);
            let known = replicas[other].known.clone();
            sync(&mut replicas[author], &messages, &known, &mut random);
        }
        let mutation = random_mutation(replicas[author].text.len(), &mut random);
        let gap = if random.one_in(4) { random.below(3) as u64 } else { 0 };
        messages.push(replicas[author].write(feed(author), gap, mutation).unwrap());
    }
    (messages, replicas)
}

/// Brings `replica` what `known` holds, in a random causal order.
fn sync(replica: &mut Replica, messages: &[Message], known: &Timeframe, random: &mut Random) {
    let fresh = |message: &&Message| {
        let origin = &message.origin;
        known.contains(&origin.feed, origin.seq)
            && !replica.known.contains(&origin.feed, origin.seq)
    };
    let fresh: Vec<Message> = messages.iter().filter(fresh).cloned().collect();
    let order = causal_order(&fresh, replica.known.clone(), random);
    for batch in batches(&fresh, &order, 8, random) {
        assert!(replica.apply(&batch).is_empty(), "an honest message is refused");
    }
}

fn check_history(seed: u64) {
    let (messages, mut replicas) = random_history(seed);
    let mut random = Random(!seed);
    let everything =
        messages.iter().map(|message| (message.origin.feed, message.origin.seq + 1)).collect();
    for replica in &mut replicas {
        sync(replica, &messages, &everything, &mut random);
    }
    let expected = replicas[0].view();
    for replica in &replicas[1..] {
        assert_eq!(replica.view(), expected);
    }
    for _ in 0..ORDERS {
        let order = causal_order(&messages, Timeframe::new(), &mut random);
        let most = [1, 3, 1000][random.below(3)];
        let mut replica = Replica::default();
        for batch in batches(&messages, &order, most, &mut random) {
            assert!(replica.apply(&batch).is_empty(), "an honest message is refused");
            if random.one_in(8) {
                replica = replica.reopened();
            }
            if random.one_in(8) {
                let before = replica.view();
                replica.apply(&batch);
                assert_eq!(replica.view(), before, "delivering twice changes nothing");
            }
        }
        assert_eq!(replica.view(), expected);
        assert_eq!(replica.reopened().view(), expected);
    }
}

#[test]
fn random_histories_give_one_text_in_every_causal_order() {
    if let Ok(seed) = std::env::var("SYSTOLE_SEED") {
        return check_history(seed.parse().unwrap());
    }
    for seed in 0..HISTORIES {
        let outcome = std::panic::catch_unwind(|| check_history(seed));
        if let Err(panic) = outcome {
            eprintln!(
                "SYSTOLE_SEED={seed} cargo test --release -p systole-models --test text_convergence"
            );
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn an_empty_text_has_a_checkpoint() {
    let replica = Replica::default();
    assert_eq!(replica.reopened().view(), "");
    let _: Text = systole_models::Model::empty();
}
