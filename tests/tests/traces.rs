//! Recorded editing, one message per transaction, written and read through engines.
//!
//! Run with `--nocapture` to see the figures.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use systole::{Durability, Engine, Item, NewItem, Party, Range, Text, TextMutation};
use systole_proto::limits::RANGE_BLOCKS_MAX;
use systole_tests::exchange::offer;
use systole_tests::trace::Trace;
use systole_tests::{Group, Random, pull};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_author_trace_of_single_keystrokes() {
    replay_one_author("automerge-paper").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_author_trace_of_larger_edits() {
    replay_one_author("sveltecomponent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_trace_of_two_authors() {
    replay_concurrent("friendsforever").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_trace_of_two_hundred_authors() {
    replay_concurrent("node_nodecc").await;
}

async fn replay_one_author(name: &str) {
    let Some(trace) = Trace::load(name) else { return };
    let directory = tempfile::tempdir().unwrap();
    let (messages, end) = (trace.transactions.len(), trace.end);
    let mutations: Vec<TextMutation> =
        trace.transactions.iter().map(|txn| txn.mutation()).collect();

    let engine = open(directory.path()).await;
    let party = engine.create_party().await.unwrap();
    let mut note = NewItem::<Text>::new();
    if !trace.start.is_empty() {
        note = note.with(TextMutation::insert(0, trace.start));
    }
    let note = party.create(note).await.unwrap();
    let empty = note.view(|text| text.is_empty()).await.unwrap();
    assert!(empty);

    let (start, mut random) = (Instant::now(), Random::new(1));
    let mut mutations = mutations.into_iter();
    let mut written = 0;
    while written < messages {
        let batch: Vec<_> = mutations.by_ref().take(1 + random.below(4_096)).collect();
        written += batch.len();
        let receipt = note.mutate_all(batch).await.unwrap();
        assert_eq!(receipt.seq + receipt.messages, 2 + written as u64, "one message each");
    }
    report(name, "written", start, messages);
    assert_text(&note, &end, "as written").await;

    let mut ranges = Vec::new();
    while let Some(range) = party.read(party.own_feed().unwrap(), length(&ranges)).await.unwrap() {
        ranges.push(range);
    }
    report_wire(name, &ranges, messages);
    let id = note.id();
    let key = party.key();
    engine.close().await.unwrap();

    let start = Instant::now();
    let engine = open(directory.path()).await;
    let party = engine.party(key).await.unwrap();
    assert_text(&party.item(id).unwrap(), &end, "after reopening").await;
    report(name, "reopened and viewed", start, messages);
    report_disk(name, &engine, messages).await;
    engine.close().await.unwrap();

    let (start, reader) = (Instant::now(), Engine::in_memory().open().await.unwrap());
    let copy = reader.join(key).await.unwrap();
    for range in ranges {
        offer(&copy, range).await;
    }
    copy.settle().await.unwrap();
    assert_text(&copy.item(id).unwrap(), &end, "on another device").await;
    report(name, "ingested by another device", start, messages);
    reader.close().await.unwrap();
}

async fn replay_concurrent(name: &str) {
    let Some(trace) = Trace::load(name) else { return };
    let messages = trace.transactions.len();
    let start = Instant::now();
    let plan = Plan::of(&trace);
    let group = Group::in_memory(plan.devices).await;
    let note = group.parties[0].create(NewItem::<Text>::new()).await.unwrap();
    let id = note.id();
    for party in &group.parties[1..] {
        pull(&group.parties[0], party).await;
    }
    println!("{name}: {} devices admitted in {:.1} s", plan.devices, start.elapsed().as_secs_f64());

    let start = Instant::now();
    let mut log = Vec::new();
    for party in &group.parties {
        let own = party.own_feed().unwrap();
        let first: Vec<Range> = party.read(own, 0).await.unwrap().into_iter().collect();
        log.push(Feed { before: length(&first), ranges: first });
    }
    for (txn, step) in trace.transactions.iter().zip(&plan.steps) {
        let party = &group.parties[step.device];
        for (device, range) in &step.ingest {
            offer(party, log[*device].messages(range.clone())).await;
        }
        if !step.ingest.is_empty() {
            party.settle().await.unwrap();
        }
        let note: Item<Text> = party.item(id).unwrap();
        let start = party.transaction().durability(Durability::Buffered);
        let (receipt, _) = start.mutate(&note, txn.mutation()).commit().await.unwrap();
        let feed = &mut log[step.device];
        assert_eq!((receipt.seq, receipt.messages), (length(&feed.ranges), 1));
        feed.ranges.push(party.read(receipt.feed, receipt.seq).await.unwrap().unwrap());
    }
    report(name, "written at exactly their parents", start, messages);

    let key = group.parties[0].key();
    group.close().await;
    let mut sent = Vec::new();
    for seed in 1..=3 {
        let mut random = Random::new(seed);
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let engine = open(directory.path()).await;
        let party = engine.join(key).await.unwrap();
        deliver(&party, &log, &mut random).await;
        party.settle().await.unwrap();
        assert_settled(&party).await;
        assert_text(&party.item(id).unwrap(), &trace.end, "in a random order").await;
        report(name, "ingested in a random order", start, messages);
        if seed == 1 {
            for feed in &log {
                let mut ranges: Vec<Range> = Vec::new();
                let feed = feed.ranges[0].feed;
                while let Some(range) = party.read(feed, length(&ranges)).await.unwrap() {
                    ranges.push(range);
                }
                sent.extend(ranges);
            }
            report_wire(name, &sent, messages);
        }
        engine.close().await.unwrap();

        let start = Instant::now();
        let engine = open(directory.path()).await;
        let party = engine.party(key).await.unwrap();
        assert_text(&party.item(id).unwrap(), &trace.end, "after reopening").await;
        report(name, "reopened and viewed", start, messages);
        if seed == 1 {
            report_disk(name, &engine, messages).await;
        }
        engine.close().await.unwrap();
    }
}

/// Which device writes each transaction, and what it takes in before.
struct Plan {
    devices: usize,
    steps: Vec<Step>,
}

struct Step {
    device: usize,
    /// Other devices, and which of their messages.
    ingest: Vec<(usize, std::ops::Range<usize>)>,
}

impl Plan {
    /// A transaction goes to a device of its author that knows nothing beyond the transaction's
    /// ancestors; where there is none, another device joins.
    fn of(trace: &Trace) -> Self {
        let mut agents: Vec<Vec<usize>> = vec![Vec::new(); trace.agents];
        // Per device: its messages so far, and what it holds of each device.
        let (mut written, mut held): (Vec<usize>, Vec<Vec<usize>>) = Default::default();
        // Per transaction: how many messages of each device it and its ancestors are.
        let mut seen: Vec<Vec<usize>> = Vec::new();
        let mut steps = Vec::new();
        for txn in &trace.transactions {
            let mut past: Vec<usize> = Vec::new();
            for parent in &txn.parents {
                raise(&mut past, &seen[*parent]);
            }
            past.resize(written.len().max(past.len()), 0);
            let fit = agents[txn.agent].iter().find(|device| past[**device] == written[**device]);
            let device = fit.copied().unwrap_or_else(|| {
                agents[txn.agent].push(written.len());
                written.push(0);
                held.push(Vec::new());
                past.push(0);
                written.len() - 1
            });
            let own = &mut held[device];
            own.resize(past.len(), 0);
            let ingest = (0..past.len())
                .filter(|other| *other != device && past[*other] > own[*other])
                .map(|other| (other, own[other]..past[other]))
                .collect();
            written[device] += 1;
            past[device] = written[device];
            own.clone_from(&past);
            seen.push(past);
            steps.push(Step { device, ingest });
        }
        Self { devices: written.len(), steps }
    }
}

fn raise(past: &mut Vec<usize>, other: &[usize]) {
    past.resize(past.len().max(other.len()), 0);
    for (own, other) in past.iter_mut().zip(other) {
        *own = (*own).max(*other);
    }
}

/// What one device wrote, as ranges of one message each, after what it wrote before the first one.
struct Feed {
    before: u64,
    ranges: Vec<Range>,
}

impl Feed {
    /// The messages `span` as one range.
    fn messages(&self, span: std::ops::Range<usize>) -> Range {
        let skip = usize::from(self.before > 0);
        join(&self.ranges[skip + span.start..skip + span.end])
    }
}

/// Ranges that follow each other as one: the first one's peaks, the last one's head.
fn join(ranges: &[Range]) -> Range {
    let (first, last) = (&ranges[0], &ranges[ranges.len() - 1]);
    let blocks: Vec<Bytes> = ranges.iter().flat_map(|range| range.blocks.clone()).collect();
    assert!(blocks.len() <= RANGE_BLOCKS_MAX, "more than one range may hold");
    Range {
        feed: first.feed,
        start: first.start,
        blocks,
        head: last.head.clone(),
        peaks: first.peaks.clone(),
    }
}

/// Hands over every feed in pieces of random sizes, each feed in order, feeds in any order.
async fn deliver(party: &Party, log: &[Feed], random: &mut Random) {
    let mut left: Vec<&[Range]> = log.iter().map(|feed| &feed.ranges[..]).collect();
    left.retain(|ranges| !ranges.is_empty());
    while !left.is_empty() {
        let at = random.below(left.len());
        let count = (1 << random.below(9)).min(left[at].len());
        let (now, later) = left[at].split_at(count);
        offer(party, join(now)).await;
        left[at] = later;
        if later.is_empty() {
            left.swap_remove(at);
        }
    }
}

async fn open(directory: &Path) -> Engine {
    let builder = Engine::builder(directory).durability(Durability::Buffered);
    builder.open().await.unwrap()
}

async fn assert_text(note: &Item<Text>, expected: &str, when: &str) {
    let text = note.view(|text| text.to_string()).await.unwrap();
    let same = text.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let (length, wanted) = (text.chars().count(), expected.chars().count());
    assert!(
        text == expected,
        "{when}: {length} for {wanted} code points, the first {same} are right"
    );
}

async fn assert_settled(party: &Party) {
    let status = party.status().await.unwrap();
    assert_eq!(status.quarantined, 0);
    for feed in status.feeds {
        assert_eq!(feed.processed, feed.stored, "{feed:?}");
    }
}

fn length(ranges: &[Range]) -> u64 {
    ranges.last().map_or(0, Range::end)
}

fn report(name: &str, what: &str, start: Instant, messages: usize) {
    let seconds = start.elapsed().as_secs_f64();
    let micros = seconds * 1e6 / messages as f64;
    println!("{name}: {what}: {seconds:.2} s, {micros:.1} us a message");
}

/// Blocks alone, and with heads, peaks and framing when sent in ranges of at most 1,024 blocks.
fn report_wire(name: &str, ranges: &[Range], messages: usize) {
    let blocks: usize = ranges.iter().flat_map(|range| &range.blocks).map(Bytes::len).sum();
    let sent: usize = ranges
        .iter()
        .flat_map(|range| {
            range
                .blocks
                .chunks(1_024)
                .map(|blocks| Range { blocks: blocks.to_vec(), ..range.clone() })
        })
        .map(|range| range.encode().len())
        .sum();
    let each = |bytes: usize| bytes as f64 / messages as f64;
    println!(
        "{name}: {messages} messages: {:.1} B each in blocks, {:.1} B each as sent in ranges",
        each(blocks),
        each(sent)
    );
}

async fn report_disk(name: &str, engine: &Engine, messages: usize) {
    engine.compact().await.unwrap();
    let bytes = engine.disk_bytes().await.unwrap();
    println!("{name}: {:.1} B a message on disk", bytes as f64 / messages as f64);
}
