//! From opening an engine to the first view of one item, each time in a process of its own, where the
//! party holds few messages and where it holds many. Items have as many messages each in both.

use std::path::Path;
use std::time::Instant;

use systole::{ItemId, Model as _, Object, PartyKey};
use tempfile::TempDir;

use super::{Context, argument};
use crate::child::{Child, report as tell, run_child};
use crate::measure::Series;
use crate::report::{Curve, Figure, Report, Row, Target, grouped};
use crate::workload::Shape;
use crate::workloads::{Replica, buffered, objects};
use crate::{Failure, check, runtime};

/// Messages of the parties in a full run.
const MESSAGES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Messages of each item.
const PER_ITEM: u64 = 100;
/// Openings of each party, beside one that warms up.
const ROUNDS: usize = 9;

/// A closed party.
struct Stored {
    directory: TempDir,
    party: PartyKey,
    items: Vec<ItemId>,
    messages: u64,
}

/// Parties whose items were never in memory, and parties whose items always were.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    for (resident, name) in [(false, "received, never viewed"), (true, "in memory until closed")] {
        let mut parties = Vec::new();
        for messages in MESSAGES {
            let messages = context.run.count(messages, messages / 50).max(2 * PER_ITEM);
            parties.push(context.runtime.block_on(store(context, messages, resident))?);
        }
        let mut times = vec![Series::default(); parties.len()];
        let mut opened = vec![Series::default(); parties.len()];
        let rounds = context.run.times(ROUNDS);
        for round in 0..=rounds {
            for (n, party) in parties.iter().enumerate() {
                let item = &party.items[round * (party.items.len() - 1) / rounds.max(1)];
                let values = open(party.directory.path(), party.party, item)?;
                let read = values["read"] as u64;
                check(read <= PER_ITEM, || {
                    format!("{read} blocks were read for an item of {PER_ITEM} messages")
                })?;
                // The first round warms up.
                if round > 0 {
                    times[n].push(values["viewed"]);
                    opened[n].push(values["opened"]);
                }
            }
        }
        let [first, .., last] = &parties[..] else { return Err("there are no parties".into()) };
        let (few, many) = (first.messages, last.messages);
        let row = Row::ratio(
            "opening",
            format!("open to first view, {name}: many messages against few"),
            Target::AtMost(1.3),
            (&format!("to the first view, {} messages", grouped(many as i64)), &times[2]),
            (&format!("to the first view, {} messages", grouped(few as i64)), &times[0]),
            "ms",
        );
        let mut row = row.size(format!("{PER_ITEM} messages an item"));
        row.figures.push(Figure::new("of it opening the engine, many", "ms", &opened[2]));
        row.figures.push(Figure::new("of it opening the engine, few", "ms", &opened[0]));
        if many < 1_000_000 {
            row = row.note("smaller than the million that the row is about");
        }
        report.rows.push(row);
        let points = parties.iter().zip(&times);
        report.curves.push(Curve {
            chart: "open to first view",
            name: name.to_owned(),
            axes: ("messages of the party", "milliseconds"),
            points: points.map(|(party, time)| (party.messages as f64, time.median())).collect(),
        });
    }
    Ok(())
}

/// A party that another device wrote, taken in here.
async fn store(context: &Context, messages: u64, resident: bool) -> Result<Stored, Failure> {
    let shape = Shape::new(messages / PER_ITEM, messages);
    let source = objects::source(&context.run, shape).await?;
    let replica = Replica::<Object>::begin(&context.run, &source, resident).await?;
    replica.ingest(&source).await?;
    replica.check(&source, context.run.smoke && resident).await?;
    let directory = replica.leave().await?;
    Ok(Stored { directory, party: source.party, items: source.items, messages: source.messages })
}

fn open(
    directory: &Path,
    party: PartyKey,
    item: &ItemId,
) -> Result<std::collections::BTreeMap<String, f64>, Failure> {
    run_child("open", &[argument(directory)?, &party.to_string(), &item.to_string()])
}

/// Opens, views, and tells how long it took.
pub(super) fn child(child: &Child) -> Result<(), Failure> {
    let directory = child.argument(0)?.to_owned();
    let party: PartyKey = child.argument(1)?.parse()?;
    let item: ItemId = child.argument(2)?.parse()?;
    runtime()?.block_on(async {
        let started = Instant::now();
        let engine = buffered(directory.as_ref()).open().await?;
        tell("opened", started.elapsed().as_secs_f64() * 1e3);
        let item = engine.party(party).await?.item::<Object>(item)?;
        let bytes = item.view(|object| object.checkpoint().len()).await?;
        tell("viewed", started.elapsed().as_secs_f64() * 1e3);
        check(bytes > 1, || "the item is empty".to_owned())?;
        tell("read", engine.counters().await?.read as f64);
        engine.close().await?;
        Ok(())
    })
}
