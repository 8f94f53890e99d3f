//! Real editing histories: one message per transaction, replayed in many ways, end in the recorded
//! text.
//!
//! The traces stand in `../shared/data` beside the workspace, or where `SYSTOLE_DATA` says; without
//! them the tests say so and pass. Run with `--nocapture` to see the figures: CPU time, so that a
//! busy machine does not blur them.
#![allow(clippy::unwrap_used)]

mod text_support;

use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;
use systole_models::{Message, Model, Outcome, Text, TextMutation};
use systole_proto::{FeedKey, Timeframe};
use text_support::{Random, Replica, batches, causal_order, cpu_micros, feed, origin};

/// The trace in `name`, or `None` with a notice.
fn trace(name: &str) -> Option<Value> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SYSTOLE_DATA").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    let Ok(packed) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    let mut json = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut json).unwrap();
    Some(serde_json::from_str(&json).unwrap())
}

/// The mutation that a transaction makes.
fn mutation(transaction: &Value) -> TextMutation {
    let mut mutation = TextMutation::from_ops([]);
    for patch in transaction["patches"].as_array().unwrap() {
        let number = |index: usize| patch[index].as_u64().unwrap() as usize;
        mutation = mutation.then_delete(number(0), number(1));
        mutation = mutation.then_insert(number(0), patch[2].as_str().unwrap());
    }
    mutation
}

fn payload_bytes(messages: &[Message]) -> f64 {
    messages.iter().map(|m| m.payload.len()).sum::<usize>() as f64 / messages.len() as f64
}

fn micros_each(count: usize, work: impl FnOnce()) -> f64 {
    let start = cpu_micros();
    work();
    (cpu_micros() - start) / count as f64
}

fn check_sequential(name: &str) {
    let Some(trace) = trace(name) else { return };
    let mut author = Replica::default();
    let mut messages = Vec::new();
    let start = trace["startContent"].as_str().unwrap();
    if !start.is_empty() {
        messages.push(author.write(feed(0), 0, TextMutation::insert(0, start)).unwrap());
    }
    let mutations: Vec<_> = trace["txns"].as_array().unwrap().iter().map(mutation).collect();
    let count = mutations.len();
    let mut text = Text::empty();
    let mutate = micros_each(count, || {
        for mutation in mutations {
            let seq = messages.len() as u64;
            let origin = origin(feed(0), seq, Timeframe::from_iter([(feed(0), seq)]));
            let payload = text.mutate(mutation, &origin, &mut Outcome::default()).unwrap();
            messages.push(Message { origin, payload });
        }
    });
    let end = trace["endContent"].as_str().unwrap();
    assert_eq!(text.to_string(), end);
    println!(
        "{name}: {count} messages of {:.2} B, mutate {mutate:.1} us",
        payload_bytes(&messages)
    );

    for size in [1, 16, 1000] {
        let mut reader = Text::empty();
        let apply = micros_each(count, || {
            for batch in messages.chunks(size) {
                let mut outcome = Outcome::default();
                reader.apply(batch, &mut outcome);
                assert!(outcome.refused.is_empty());
            }
        });
        assert_eq!(reader.to_string(), end);
        println!("  apply by {size}: {apply:.2} us a message");
        check_checkpoint(&reader, end);
    }
}

fn check_checkpoint(text: &Text, end: &str) {
    const ROUNDS: usize = 10;
    let millis = |micros: f64| micros / 1000.0;
    let mut bytes = text.checkpoint();
    let write = millis(micros_each(ROUNDS, || {
        (0..ROUNDS).for_each(|_| bytes = text.checkpoint());
    }));
    let mut restored = Vec::new();
    let restore = millis(micros_each(ROUNDS, || {
        restored = (0..ROUNDS).map(|_| Text::restore(&bytes).unwrap()).collect();
    }));
    let read = millis(micros_each(ROUNDS, || {
        restored.iter().for_each(|text| assert_eq!(text.to_string(), end));
    }));
    let seq = 1 << 30;
    let origin = origin(feed(0), seq, Timeframe::from_iter([(feed(0), seq)]));
    let edit = millis(micros_each(ROUNDS, || {
        for text in &mut restored {
            let mutation = TextMutation::insert(text.len() / 2, "x");
            text.mutate(mutation, &origin, &mut Outcome::default()).unwrap();
        }
    }));
    println!(
        "    checkpoint {} B, write {write:.1} ms, restore {restore:.2} ms, read {read:.2} ms, \
         first edit {edit:.1} ms; memory {} KB by estimate",
        bytes.len(),
        text.memory_bytes() >> 10
    );
}

#[test]
fn a_trace_of_single_keystrokes_replays_to_its_end() {
    check_sequential("automerge-paper.json.gz");
}

#[test]
fn a_trace_of_a_component_replays_to_its_end() {
    check_sequential("sveltecomponent.json.gz");
}

/// Writes every transaction of a concurrent trace on a replica that holds exactly its parents'
/// past.
///
/// A feed is one causal chain of an agent: a transaction goes to a feed of its agent whose tip it
/// has seen.
fn write_concurrent(trace: &Value) -> Vec<Message> {
    const REPLICAS_MAX: usize = 12;
    let mut agents: Vec<Vec<FeedKey>> = Vec::new();
    let mut lengths = Timeframe::new();
    let mut versions: Vec<Timeframe> = Vec::new();
    let mut replicas: Vec<Replica> = Vec::new();
    let mut messages: Vec<Message> = Vec::new();
    for transaction in trace["txns"].as_array().unwrap() {
        let mut past = Timeframe::new();
        for parent in transaction["parents"].as_array().unwrap() {
            past.merge(&versions[parent.as_u64().unwrap() as usize]);
        }
        let agent = transaction["agent"].as_u64().unwrap() as usize;
        agents.resize(agents.len().max(agent + 1), Vec::new());
        let own = agents[agent].iter().find(|own| past.length(own) == lengths.length(own));
        let own = own.copied().unwrap_or_else(|| {
            let fresh = feed(agents.iter().map(Vec::len).sum());
            agents[agent].push(fresh);
            fresh
        });

        // The replica that knows most of the past and nothing else.
        let fits = (0..replicas.len()).filter(|&i| past.covers(&replicas[i].known));
        let best = fits.max_by_key(|&i| replicas[i].known.iter().map(|entry| entry.1).sum::<u64>());
        let mut replica = best.map_or_else(Replica::default, |index| replicas.remove(index));
        let missing: Vec<Message> = messages
            .iter()
            .filter(|m| past.contains(&m.origin.feed, m.origin.seq))
            .filter(|m| !replica.known.contains(&m.origin.feed, m.origin.seq))
            .cloned()
            .collect();
        assert!(replica.apply(&missing).is_empty());
        let message = replica.write(own, 0, mutation(transaction)).unwrap();
        assert_eq!(replica.known.length(&own), message.origin.seq + 1);
        past.set(own, message.origin.seq + 1);
        lengths.set(own, message.origin.seq + 1);
        versions.push(past);
        messages.push(message);
        replicas.push(replica);
        if replicas.len() > REPLICAS_MAX {
            replicas.remove(0);
        }
    }
    messages
}

fn check_concurrent(name: &str, by: &[usize]) {
    let Some(trace) = trace(name) else { return };
    let end = trace["endContent"].as_str().unwrap();
    let messages = write_concurrent(&trace);
    let count = messages.len();
    let feeds = messages.iter().map(|m| m.origin.feed).collect::<std::collections::BTreeSet<_>>();
    println!(
        "{name}: {count} messages of {:.2} B, {} feeds",
        payload_bytes(&messages),
        feeds.len()
    );
    for size in by {
        let mut reader = Text::empty();
        let apply = micros_each(count, || {
            for batch in messages.chunks(*size) {
                reader.apply(batch, &mut Outcome::default());
            }
        });
        assert_eq!(reader.to_string(), end);
        println!("  apply by {size}: {apply:.1} us a message");
    }
    let mut random = Random(7);
    for _ in 0..3 {
        let order = causal_order(&messages, Timeframe::new(), &mut random);
        let mut replica = Replica::default();
        for batch in batches(&messages, &order, 300, &mut random) {
            assert!(replica.apply(&batch).is_empty());
        }
        assert_eq!(replica.view(), end);
        assert_eq!(replica.reopened().view(), end);
    }
}

#[test]
fn a_trace_of_two_friends_typing_at_once_replays_in_any_order() {
    check_concurrent("friendsforever.json.gz", &[1, 16, 1000]);
}

#[test]
fn a_trace_of_the_branches_of_a_source_file_replays_in_any_order() {
    check_concurrent("node_nodecc.json.gz", &[1, 16, 1000]);
}
