//! What a message costs, and how much memory its ingest takes, by the length of history: W1 in three
//! sizes. Whatever is measured in one process is measured in a process of its own for each size.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use systole::{Engine, ItemId, ItemQuery, Model as _, Object, PartyKey};

use super::{Context, argument};
use crate::child::{Child, report as tell, run_child};
use crate::measure::Series;
use crate::memory::{peak_bytes, reset_peak};
use crate::report::{Curve, Report, Row, Target, grouped};
use crate::workload::{Shape, Writing, ingest_all, ranges};
use crate::workloads::{Draft, Source, buffered, fingerprint, objects, processed, rebuild};
use crate::{Failure, check, runtime};

/// Messages in a full run.
const MESSAGES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
/// Messages in a small one.
const MESSAGES_SMOKE: [u64; 3] = [1_000, 2_000, 4_000];
/// Rounds: each takes in the largest party twice and reads it three times.
const ROUNDS: usize = 2;
/// After a round that took longer there is no other.
const ROUND_TIME_MAX: Duration = Duration::from_secs(150);
/// When no checkpoint was taken for so long, no more are to come.
const QUIET: Duration = Duration::from_secs(2);
/// Slices of the writing whose time is told, at each size.
const SLICES: u64 = 5;

const MIB: f64 = (1 << 20) as f64;

/// What a child is asked for, its name in the table, and the name of its curve.
const WAYS: [(&str, &str); 3] = [
    ("ingest", "verified ingest, items at rest"),
    ("process", "stored blocks processed into models"),
    ("rebuild", "states rebuilt from the items' logs"),
];

/// Costs and peaks of all sizes.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let run = &context.run;
    let items = run.count(objects::ITEMS, 20).min(objects::ITEMS);
    let mut counts = [0; 3];
    for (count, (full, smoke)) in counts.iter_mut().zip(MESSAGES.into_iter().zip(MESSAGES_SMOKE)) {
        *count = run.count(full, smoke).max(20 * items);
    }
    let [few, some, many] = counts;
    let smaller = many < MESSAGES[2];
    let mut note =
        "items with more than 1,024 messages are checkpointed, as by default: of the smallest party none"
            .to_owned();
    if smaller {
        note.push_str("; smaller than the 10,000,000 that the row is about");
    }
    let named = |count: u64| grouped(count as i64);
    let each = |messages: u64| format!("at {} messages", named(messages));
    let (all, most) = ([few, some].map(named).join(", "), named(many));
    let size = format!("{} items; {all} and {most} messages", named(items));

    let (source, written) = context.runtime.block_on(write(context, items, counts))?;
    let row = Row::ratio(
        "growth",
        "growth: append in transactions of 64, buffered",
        Target::AtMost(1.2),
        (&each(many), &written[2]),
        (&each(few), &written[0]),
        "µs",
    );
    report.rows.push(row.size(size.clone()).note(note.clone()));
    curve(report, "append in transactions of 64", &counts, &written);

    let shape = |messages| Shape::new(items, messages);
    let small =
        [few, some].map(|messages| context.runtime.block_on(objects::source(run, shape(messages))));
    let [few_source, some_source] = small;
    let sources = [few_source?, some_source?, source];
    let Seen { costs, peaks, left } = measure(context, &sources)?;
    for ((way, name), costs) in WAYS.into_iter().zip(&costs) {
        let row = Row::ratio(
            "growth",
            format!("growth: {name}"),
            Target::AtMost(1.2),
            (&each(many), &costs[2]),
            (&each(few), &costs[0]),
            "µs",
        );
        let note = match way {
            "ingest" => {
                format!("{note}; {:.2} s of it come after what is timed here", left.median())
            }
            _ => note.clone(),
        };
        report.rows.push(row.size(size.clone()).note(note));
        curve(report, if way == "ingest" { "verified ingest" } else { name }, &counts, costs);
    }
    let row = Row::ratio(
        "growth",
        "peak memory while ingesting: many messages against a tenth",
        Target::AtMost(1.1),
        (&each(many), &peaks[2]),
        (&each(some), &peaks[1]),
        "MiB",
    );
    let after = format!(
        "{note}; this peak holds all of it, {:.2} s after everything was processed",
        left.median()
    );
    report.rows.push(row.size(size).note(after));
    report.curves.push(Curve {
        chart: "peak memory while ingesting",
        name: "resident memory, items at rest".to_owned(),
        axes: ("messages of the party", "MiB"),
        points: points(&counts, &peaks),
    });
    Ok(())
}

fn points(counts: &[u64; 3], series: &[Series; 3]) -> Vec<(f64, f64)> {
    counts.iter().zip(series).map(|(count, series)| (*count as f64, series.median())).collect()
}

fn curve(report: &mut Report, name: &str, counts: &[u64; 3], costs: &[Series; 3]) {
    report.curves.push(Curve {
        chart: "cost of a message",
        name: name.to_owned(),
        axes: ("messages of the party", "microseconds a message"),
        points: points(counts, costs),
    });
}

/// Writes the largest party; microseconds a message around each size, slice by slice.
async fn write(
    context: &Context,
    items: u64,
    counts: [u64; 3],
) -> Result<(Source, [Series; 3]), Failure> {
    let mut draft = Draft::new(&context.run).await?;
    let shape = Shape::new(items, counts[2]);
    let feeds = draft.feeds(shape.feeds).await?;
    let mut writing = Writing::new(&draft.party, &feeds, &shape);
    writing.create().await?;
    draft.begun().await?;
    // The last slice of the smallest party ends where it ends; slices are equally long everywhere.
    let slice = (counts[0] / (2 * SLICES)).max(1);
    let mut costs = [(); 3].map(|()| Series::default());
    for (count, costs) in counts.into_iter().zip(&mut costs) {
        writing.mutate(count - SLICES * slice).await?;
        for left in (0..SLICES).rev() {
            let started = Instant::now();
            writing.mutate(count - left * slice).await?;
            costs.push(started.elapsed().as_secs_f64() * 1e6 / slice as f64);
        }
    }
    let source = draft.finish::<Object>(writing.items(), shape.messages).await?;
    Ok((source, costs))
}

/// What was measured in processes of their own.
struct Seen {
    /// Microseconds a message, by way and size.
    costs: [[Series; 3]; 3],
    /// MiB, by size.
    peaks: [Series; 3],
    /// Seconds for which checkpoints were taken after the ingest of the largest.
    left: Series,
}

fn measure(context: &Context, sources: &[Source; 3]) -> Result<Seen, Failure> {
    let series = || [(); 3].map(|()| Series::default());
    let (mut costs, mut peaks) = ([series(), series(), series()], series());
    let mut left = Series::default();
    let started = Instant::now();
    for round in 0..context.run.times(ROUNDS) {
        if round > 0 && started.elapsed() > ROUND_TIME_MAX {
            break;
        }
        for (n, source) in sources.iter().enumerate() {
            for ((way, _), costs) in WAYS.into_iter().zip(&mut costs) {
                // Small parties are over soon: the middle one of three says more.
                let times = if n == 0 { context.run.times(3) } else { 1 };
                let mut took = Series::default();
                for _ in 0..times {
                    let values = run_one(context, source, way)?;
                    took.push(values["seconds"] * 1e6 / values["messages"]);
                    if way == "ingest" {
                        peaks[n].push(values["peak"] / MIB);
                        if n == 2 {
                            left.push(values["checkpoints"]);
                        }
                    }
                }
                costs[n].push(took.median());
            }
        }
    }
    // A round's peak of the smallest party is the middle one, too: only the others are compared.
    Ok(Seen { costs, peaks, left })
}

/// One measurement in a process of its own, checked.
fn run_one(
    context: &Context,
    source: &Source,
    way: &str,
) -> Result<BTreeMap<String, f64>, Failure> {
    let directory = context.run.directory()?;
    let party = source.party.to_string();
    let paths = [argument(directory.path())?, argument(source.directory())?];
    let list = directory.path().join("items");
    let items: Vec<_> = source.items.iter().map(ItemId::to_string).collect();
    std::fs::write(&list, items.join("\n"))?;
    let values = run_child("growth", &[paths[0], paths[1], &party, way])?;
    let (done, expected) = (values["processed"] as u64, source.blocks());
    check(done == expected, || format!("{done} of {expected} blocks were processed"))?;
    if let Some(found) = values.get("fingerprint") {
        let expected = fingerprint(&source.digests);
        check(*found as u64 == expected, || "items differ from what was written".to_owned())?;
    }
    Ok(values)
}

/// Takes the party in, processes what was stored, or rebuilds its items; tells how long it took.
pub(super) fn child(child: &Child) -> Result<(), Failure> {
    let (directory, source) = (Path::new(child.argument(0)?), Path::new(child.argument(1)?));
    let party: PartyKey = child.argument(2)?.parse()?;
    let list = std::fs::read_to_string(directory.join("items"))?;
    let items: Vec<ItemId> = list.lines().map(str::parse).collect::<Result<_, _>>()?;
    let way = child.argument(3)?;
    runtime()?.block_on(async {
        if way == "rebuild" {
            let rebuilt = rebuild::<Object>(&source.join("engine"), party, &items).await?;
            tell("seconds", rebuilt.took.as_secs_f64());
            tell("messages", rebuilt.messages as f64);
            tell("fingerprint", rebuilt.fingerprint as f64);
            tell("processed", rebuilt.processed as f64);
            return Ok(());
        }
        let engine = buffered(&directory.join("engine")).open().await?;
        let party = take_in(&engine, party, source, &items, way == "process").await?;
        let status = party.status().await?;
        check(status.quarantined == 0, || format!("{} blocks are ignored", status.quarantined))?;
        let there = party.items(&ItemQuery::default())?.len();
        check(there == items.len(), || format!("{there} items are there"))?;
        tell("processed", processed(&party).await? as f64);
        engine.close().await?;
        Ok(())
    })
}

/// Waits until no more checkpoints are taken; how long that took.
async fn checkpointed(engine: &Engine) -> Result<Duration, Failure> {
    let (started, mut last) = (Instant::now(), Duration::ZERO);
    let mut taken = engine.counters().await?.checkpointed;
    while started.elapsed() < last + QUIET {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let before = std::mem::replace(&mut taken, engine.counters().await?.checkpointed);
        if taken != before {
            last = started.elapsed();
        }
    }
    Ok(last)
}

/// Ingest with items at rest, or storing and then processing with all items in memory.
async fn take_in(
    engine: &Engine,
    party: PartyKey,
    source: &Path,
    items: &[ItemId],
    process: bool,
) -> Result<systole::Party, Failure> {
    let party = engine.join(party).await?;
    ingest_all(&party, ranges(&source.join("beginning"))?).await?;
    party.settle().await?;
    reset_peak()?;
    let rest = ranges(&source.join("rest"))?;
    let mut watched = Vec::new();
    let (started, messages) = if process {
        for id in items {
            watched.push(party.item::<Object>(*id)?.subscribe().await?);
        }
        party.pause().await?;
        let stored = ingest_all(&party, rest).await?;
        let started = Instant::now();
        party.resume().await?;
        (started, stored)
    } else {
        let started = Instant::now();
        (started, ingest_all(&party, rest).await?)
    };
    party.settle().await?;
    for id in items.iter().take(watched.len()) {
        party.item::<Object>(*id)?.view(|_| ()).await?;
    }
    tell("seconds", started.elapsed().as_secs_f64());
    tell("messages", messages as f64);
    tell("checkpoints", checkpointed(engine).await?.as_secs_f64());
    tell("peak", peak_bytes()? as f64);
    if process {
        let mut digests = Vec::new();
        for id in items {
            digests.push(party.item::<Object>(*id)?.view(Object::digest).await?);
        }
        tell("fingerprint", fingerprint(&digests) as f64);
    }
    Ok(party)
}
