//! W2: memory of items that nobody uses. As many messages of the same bytes are taken in for many items
//! and for few, each in a process of its own whose allocator gives back what is free; what the process
//! holds more, by the item, is what an item costs that is not in memory.

use std::path::Path;

use systole::{Engine, ItemQuery, Model as _, Object, PartyKey};

use super::{Context, argument};
use crate::child::{Child, report as tell, run_child_with};
use crate::measure::Series;
use crate::memory::resident_bytes;
use crate::report::{Figure, Report, Row, Target, grouped};
use crate::workload::{Shape, ingest_all, ranges};
use crate::workloads::{Source, objects, processed};
use crate::{Failure, check, runtime};

/// Items of a full run, and messages of each.
const ITEMS: u64 = 100_000;
const PER_ITEM: u64 = 2;
/// Items of the party that it is compared with.
const FEW: u64 = 1_000;

/// The allocator gives back what is free, so that what the process holds is what it uses.
const FREED: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
];

const MIB: f64 = (1 << 20) as f64;

/// After all messages are processed, and after opening again.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let run = &context.run;
    let many = run.count(ITEMS, 1_000);
    let few = (many / 100).clamp(10, FEW);
    let shapes = [Shape::new(many, many * PER_ITEM), Shape::new(few, many * PER_ITEM)];
    let [many, few] = shapes.map(|shape| context.runtime.block_on(objects::source(run, shape)));
    let (many, few) = (many?, few?);
    let [mut took_in, mut opened] = [(); 2].map(|()| (Series::default(), Series::default()));
    for _ in 0..run.times(3) {
        for (source, in_many) in [(&many, true), (&few, false)] {
            let (after, again) = measure(context, source)?;
            let (in_series, open_series) = if in_many {
                (&mut took_in.0, &mut opened.0)
            } else {
                (&mut took_in.1, &mut opened.1)
            };
            in_series.push(after);
            open_series.push(again);
        }
    }
    let more = (many.items.len() - few.items.len()) as f64;
    for (name, (with_many, with_few)) in
        [("after their messages came", took_in), ("after opening again", opened)]
    {
        let rounds = with_many.values().iter().zip(with_few.values());
        let each = Series::new(rounds.map(|(many, few)| (many - few) / more));
        let what = format!("W2: memory of an item not in use, {name}");
        let mut row = Row::absolute("items", what, Target::AtMost(100.0), &each, "B");
        for (source, series) in [(&many, &with_many), (&few, &with_few)] {
            let what = format!("process with {} items", grouped(source.items.len() as i64));
            row.figures.push(Figure::new(what, "MiB", &series.map(|bytes| bytes / MIB)));
        }
        let messages = grouped(many.messages as i64);
        let size = format!("{messages} messages each; store of 8 MiB");
        let note =
            "resident memory as the kernel counts it, bounded caches of records and names included";
        report.rows.push(row.size(size).note(note));
    }
    Ok(())
}

/// Bytes that a process holds once it has processed the party, and once it has opened it again.
fn measure(context: &Context, source: &Source) -> Result<(f64, f64), Failure> {
    let directory = context.run.directory()?;
    let party = source.party.to_string();
    let paths = [argument(directory.path())?, argument(source.directory())?];
    let mut bytes = [0.0; 2];
    for (way, bytes) in ["ingest", "open"].into_iter().zip(&mut bytes) {
        let values = run_child_with(&FREED, "items", &[paths[0], paths[1], &party, way])?;
        let (done, expected) = (values["processed"] as u64, source.blocks());
        check(done == expected, || format!("{done} of {expected} blocks were processed"))?;
        check(values["resident"] == 0.0, || "an item is in memory".to_owned())?;
        let items = values["items"] as usize;
        check(items == source.items.len(), || format!("{items} items are there"))?;
        *bytes = values["bytes"];
    }
    Ok((bytes[0], bytes[1]))
}

/// Takes a party in, or opens it, and tells what the process holds then.
pub(super) fn child(child: &Child) -> Result<(), Failure> {
    let (directory, source) = (child.argument(0)?.to_owned(), Path::new(child.argument(1)?));
    let party: PartyKey = child.argument(2)?.parse()?;
    let ingest = child.argument(3)? == "ingest";
    runtime()?.block_on(async {
        let engine = Engine::builder(&directory).store_bytes(8 << 20, 4 << 20).open().await?;
        let party = if ingest { engine.join(party).await? } else { engine.party(party).await? };
        for file in ["beginning", "rest"].iter().filter(|_| ingest) {
            ingest_all(&party, ranges(&source.join(file))?).await?;
        }
        party.settle().await?;
        tell("bytes", resident_bytes()? as f64);
        tell("resident", engine.counters().await?.resident as f64);
        tell("processed", processed(&party).await? as f64);
        let items = party.items(&ItemQuery::default())?;
        tell("items", items.len() as f64);
        let last = items.last().ok_or("there is no item")?.id;
        let bytes = party.item::<Object>(last)?.view(|object| object.checkpoint().len()).await?;
        check(bytes > 1, || "an item is empty".to_owned())?;
        engine.close().await?;
        Ok(())
    })
}
