//! W6: what a live feed feels while another feed of its party catches up.

use systole::Object;

use super::Context;
use super::latency::mutate_and_see;
use crate::measure::Series;
use crate::report::{Distribution, Figure, Report, Row, Target, grouped};
use crate::workloads::backlog::{Backlog, MESSAGES};
use crate::workloads::processed;
use crate::{Failure, Random, Sample, check};

/// Rounds, each with a backlog of its own.
const ROUNDS: usize = 3;

/// p99 while the backlog drains, beside p99 before it came.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let idle_count = context.run.count(3_000, 50);
    let (mut idle, mut live) = (Series::default(), Series::default());
    let (mut all_idle, mut all_live) = (Vec::new(), Vec::new());
    let (mut messages, mut took) = (0, Series::default());
    for _ in 0..context.run.times(ROUNDS) {
        let drained = context.runtime.block_on(drain(context, idle_count))?;
        idle.push(drained.idle.iter().copied().collect::<Sample>().quantile(0.99));
        live.push(drained.live.iter().copied().collect::<Sample>().quantile(0.99));
        took.push(drained.messages as f64 / drained.seconds);
        messages = drained.messages;
        all_idle.extend(drained.idle);
        all_live.extend(drained.live);
    }
    let mut row = Row::ratio(
        "backlog",
        "W6: append → visible in the live feed while a backlog drains: p99",
        Target::AtMost(10.0),
        ("while the backlog drains, p99", &live),
        ("idle, p99", &idle),
        "µs",
    );
    row.figures.push(Figure::new("messages of the backlog, meanwhile", "/s", &took));
    let (idle, live): (Sample, Sample) =
        (all_idle.into_iter().collect(), all_live.into_iter().collect());
    let counts = format!(
        "{} messages wait; {} live messages meanwhile and {} before, in all rounds",
        grouped(messages as i64),
        live.len(),
        idle.len()
    );
    let smaller = messages < MESSAGES - 1_000;
    let note = if smaller { "smaller than the million that the row is about" } else { "" };
    report.rows.push(row.size(counts).note(note));
    let chart = "latency of a live feed beside a backlog";
    report.distributions.push(Distribution::of(chart, "idle", &idle));
    report.distributions.push(Distribution::of(chart, "while the backlog drains", &live));
    Ok(())
}

/// What one backlog did.
struct Drained {
    idle: Vec<f64>,
    live: Vec<f64>,
    messages: u64,
    seconds: f64,
}

async fn drain(context: &Context, idle_count: u64) -> Result<Drained, Failure> {
    let backlog = Backlog::write(&context.run).await?;
    let mut updates = backlog.live.subscribe().await?;
    let mut random = Random::new(5);
    let (mut idle, mut live) = (Vec::new(), Vec::new());
    let warm_up = idle_count / 10;
    for n in 0..warm_up + idle_count {
        let (seen, _) = mutate_and_see(&backlog.live, &mut updates, &mut random).await?;
        if n >= warm_up {
            idle.push(seen);
        }
    }
    backlog.store().await?;
    let before = processed(&backlog.party).await?;
    let party = backlog.party.clone();
    let started = std::time::Instant::now();
    party.resume().await?;
    let settled = tokio::spawn(async move {
        party.settle().await?;
        Ok::<_, Failure>(started.elapsed().as_secs_f64())
    });
    while !settled.is_finished() || live.is_empty() {
        live.push(mutate_and_see(&backlog.live, &mut updates, &mut random).await?.0);
    }
    let seconds = settled.await??;
    backlog.party.settle().await?;
    let done = processed(&backlog.party).await? - before;
    let expected = backlog.messages + live.len() as u64;
    check(done == expected, || format!("{done} of {expected} blocks were processed"))?;
    let status = backlog.party.status().await?;
    check(status.quarantined == 0, || format!("{} blocks are ignored", status.quarantined))?;
    // Every field of the live item was written by the last mutations.
    let bytes = backlog.live.view(|live: &Object| systole::Model::checkpoint(live).len()).await?;
    check(bytes > 1, || "the live item is empty".to_owned())?;
    drop(updates);
    backlog.engine.close().await?;
    Ok(Drained { idle, live, messages: backlog.messages, seconds })
}
