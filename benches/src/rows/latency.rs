//! One mutation after the other: from the call to a subscriber, and to the acknowledgement, beside a
//! raw write of as many bytes. By turns within a round, so that all meet the same disk.

use std::path::PathBuf;
use std::time::Instant;

use systole::{Durability, Engine, Item, NewItem, Object, Subscription, Update};
use systole_store::{Batch, FeedNo, Options, Store};

use super::Context;
use crate::measure::{Series, micros};
use crate::report::{Distribution, Figure, Report, Row, Target};
use crate::workload::mutation;
use crate::{Failure, Random, Sample, check, timed};

/// Rounds, each with so many mutations.
const ROUNDS: usize = 5;

/// Bytes of a raw write: a block of W1.
const BLOCK_BYTES: usize = 140;

/// The chart of these rows.
const CHART: &str = "latency of one mutation after the other";

/// Microseconds of many mutations, and of raw writes between them.
struct Latencies {
    seen: Vec<f64>,
    answered: Vec<f64>,
    raw: Vec<f64>,
}

/// Synced, then buffered.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let synced = measure(context, Durability::Synced, context.run.count(600, 20))?;
    let acknowledged = quantile(&synced, 0.5, answered);
    let raw_synced = quantile(&synced, 0.5, raw);
    let row = Row::ratio(
        "latency",
        "append awaited one by one, synced: p50",
        Target::AtMost(2.0),
        ("acknowledged, p50", &acknowledged),
        ("raw synced RocksDB write of such a block, p50", &raw_synced),
        "µs",
    );
    report.rows.push(row.size(size(&synced)));
    distributions(report, "synced", &synced);

    let buffered = measure(context, Durability::Buffered, context.run.count(4_000, 100))?;
    let raw_buffered = quantile(&buffered, 0.5, raw);
    for (share, name, most) in [(0.5, "p50", 60.0), (0.99, "p99", 1_000.0)] {
        let what = format!("append → visible in a subscriber, buffered: {name}");
        let value = quantile(&buffered, share, seen);
        let row = Row::absolute("latency", what, Target::AtMost(most), &value, "µs");
        let acknowledged = quantile(&buffered, share, answered);
        let mut row = row.size(size(&buffered));
        row.figures = vec![
            Figure::new(format!("acknowledged, {name}"), "µs", &acknowledged),
            Figure::new("raw RocksDB write of such a block, not synced, p50", "µs", &raw_buffered),
        ];
        report.rows.push(row);
    }
    distributions(report, "buffered", &buffered);
    Ok(())
}

fn seen(latencies: &Latencies) -> &[f64] {
    &latencies.seen
}

fn answered(latencies: &Latencies) -> &[f64] {
    &latencies.answered
}

fn raw(latencies: &Latencies) -> &[f64] {
    &latencies.raw
}

fn quantile(rounds: &[Latencies], share: f64, of: fn(&Latencies) -> &[f64]) -> Series {
    let sample = |round| of(round).iter().copied().collect::<Sample>();
    Series::new(rounds.iter().map(|round| sample(round).quantile(share)))
}

fn size(rounds: &[Latencies]) -> String {
    let each = rounds.first().map_or(0, |round| round.seen.len());
    format!("{each} messages a round, {} rounds", rounds.len())
}

fn distributions(report: &mut Report, name: &str, rounds: &[Latencies]) {
    for (what, of) in [
        ("a subscriber sees it", seen as fn(&Latencies) -> &[f64]),
        ("it is acknowledged", answered),
        ("raw write", raw),
    ] {
        let sample: Sample = rounds.iter().flat_map(of).copied().collect();
        report.distributions.push(Distribution::of(CHART, format!("{name}: {what}"), &sample));
    }
}

fn measure(
    context: &Context,
    durability: Durability,
    count: u64,
) -> Result<Vec<Latencies>, Failure> {
    let directory = context.run.directory()?;
    let rounds = context.run.times(ROUNDS) + 1;
    // On the runtime's threads, where an application's tasks are.
    let measured = in_turn(directory.path().to_owned(), rounds, durability, count);
    context.runtime.block_on(context.runtime.spawn(measured))?
}

async fn in_turn(
    here: PathBuf,
    times: usize,
    durability: Durability,
    count: u64,
) -> Result<Vec<Latencies>, Failure> {
    let engine = Engine::builder(here.join("engine")).durability(durability).open().await?;
    let party = engine.create_party().await?;
    let item = party.create(NewItem::<Object>::new()).await?;
    let mut updates = item.subscribe().await?;
    let store = Store::open(&here.join("raw"), &Options::default())?;
    let mut random = Random::new(4);
    let mut rounds = Vec::new();
    let mut seq = 0;
    for _ in 0..times {
        let mut round = Latencies { seen: Vec::new(), answered: Vec::new(), raw: Vec::new() };
        for _ in 0..count {
            let (seen, answered) = mutate_and_see(&item, &mut updates, &mut random).await?;
            round.seen.push(seen);
            round.answered.push(answered);
            let mut batch = Batch::new();
            store.feeds().put_block(&mut batch, FeedNo(1), seq, &[7; BLOCK_BYTES]);
            let (took, committed) = timed(|| store.commit(batch, durability));
            committed?;
            round.raw.push(micros(took));
            seq += 1;
        }
        rounds.push(round);
    }
    // The first one warmed up.
    rounds.remove(0);
    let written = engine.counters().await?.applied;
    check(written >= seq, || format!("{written} of {seq} mutations were applied"))?;
    drop(updates);
    engine.close().await?;
    Ok(rounds)
}

/// Microseconds from the call until the subscriber has it, and until it is acknowledged.
pub(super) async fn mutate_and_see(
    item: &Item<Object>,
    updates: &mut Subscription<Object>,
    random: &mut Random,
) -> Result<(f64, f64), Failure> {
    let mutation = mutation(random);
    let started = Instant::now();
    let listener = async {
        let update = updates.next().await;
        (started.elapsed(), matches!(update, Some(Update::Changed { .. })))
    };
    let writer = async {
        let receipt = item.mutate(mutation).await;
        (started.elapsed(), receipt)
    };
    let ((told, changed), (wrote, receipt)) = tokio::join!(listener, writer);
    receipt?;
    check(changed, || "the subscriber was told something else".to_owned())?;
    Ok((micros(told), micros(wrote)))
}
