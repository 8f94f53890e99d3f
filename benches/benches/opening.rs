//! How long it takes from opening an engine to the first view of one item, where the party holds few
//! messages and where it holds many. Each opening happens in a process of its own.
//!
//! What is shown: the time depends on the messages of the item that is viewed, not on those of the
//! party; the number of blocks read says so without a clock.

use std::path::Path;
use std::time::Duration;

use systole::{Engine, EngineBuilder, ItemId, Model as _, Object, PartyKey};
use systole_benches::{
    Child, Failure, Run, Sample, Shape, Written, check, founder, hand_over, ingest_all,
    print_machine, ranges, report, run_child, runtime, timed, write,
};

/// A party on disk, and the items in it.
struct Stored {
    party: PartyKey,
    items: Vec<ItemId>,
    messages: u64,
}

/// How the party came to where it is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Written there: items were in memory, and were checkpointed by the default policy.
    Written,
    /// Received there and never viewed: no checkpoint short of a long tail.
    Received,
}

fn main() -> Result<(), Failure> {
    if let Some(child) = Child::this() {
        return open(&child);
    }
    let run = Run::new(env!("CARGO_TARGET_TMPDIR"))?;
    print_machine("opening", run.parent());
    let (few, many) = (run.count(10_000, 200), run.count(1_000_000, 2_000));
    let items = run.count(10_000, 20);
    // The same messages per item as in the large party, the same items, and the large party.
    let shapes = [Shape::new(items / 100, few), Shape::new(items, few), Shape::new(items, many)];
    for (origin, name) in [
        (Origin::Received, "received here and never viewed"),
        (Origin::Written, "written here, then closed"),
    ] {
        if !run.wants(name) {
            continue;
        }
        println!("\n{name}: from open() to the first view of one item, in milliseconds");
        println!(
            "{:>10} {:>7}  {:>15} {:>15} {:>8} {:>8}",
            "messages", "items", "open", "to view", "longest", "blocks"
        );
        let mut to_view = Vec::new();
        for shape in &shapes {
            let shape = Shape { items: shape.items.max(1), ..*shape };
            let directory = run.directory()?;
            let stored = runtime()?.block_on(build(directory.path(), &shape, origin))?;
            let (opened, viewed, read) = openings(&run, directory.path(), &stored)?;
            println!(
                "{:>10} {:>7}  {opened} {viewed} {:>8.0} {:>8}",
                stored.messages,
                stored.items.len(),
                viewed.greatest(),
                read.median(),
            );
            to_view.push(viewed.median());
            let per_item = shape.messages / shape.items;
            check(read.greatest() <= per_item as f64, || {
                let read = read.greatest();
                format!("{read} blocks were read for an item of {per_item} messages")
            })?;
        }
        println!(
            "many messages against few over the same items:    {:.2}",
            to_view[2] / to_view[1]
        );
        println!(
            "many messages against few at the same per item:   {:.2}",
            to_view[2] / to_view[0]
        );
    }
    Ok(())
}

/// Makes a closed party of this shape in `directory`.
async fn build(directory: &Path, shape: &Shape, origin: Origin) -> Result<Stored, Failure> {
    let here = directory.join("engine");
    match origin {
        Origin::Written => {
            let engine = writer(&here).open().await?;
            let (party, feeds) = founder(&engine, shape.feeds).await?;
            let Written { items, .. } = write(&party, &feeds, shape).await?;
            engine.close().await?;
            Ok(Stored { party: party.key(), items, messages: shape.messages })
        }
        Origin::Received => {
            let source = writer(&directory.join("source")).open().await?;
            let (party, feeds) = founder(&source, shape.feeds).await?;
            let Written { items, .. } = write(&party, &feeds, shape).await?;
            let file = directory.join("ranges");
            hand_over(&party, &file).await?;
            source.close().await?;
            let engine = Engine::builder(&here).open().await?;
            let copy = engine.join(party.key()).await?;
            ingest_all(&copy, ranges(&file)?).await?;
            copy.settle().await?;
            engine.close().await?;
            Ok(Stored { party: party.key(), items, messages: shape.messages })
        }
    }
}

/// The engine that writes a party: all items have room, for writing is not what is measured.
fn writer(directory: &Path) -> EngineBuilder {
    Engine::builder(directory).memory_budget_bytes(1 << 30)
}

/// Opens the party again and again, each time with another item.
fn openings(
    run: &Run,
    directory: &Path,
    stored: &Stored,
) -> Result<(Sample, Sample, Sample), Failure> {
    let here = directory.join("engine");
    let here = here.to_str().ok_or("the directory's path is not text")?;
    let party = stored.party.to_string();
    let (mut opened, mut viewed, mut read) =
        (Sample::default(), Sample::default(), Sample::default());
    let times = run.times(9);
    for n in 0..times {
        let item = stored.items[n * (stored.items.len() - 1) / times.max(2)].to_string();
        let values = run_child("open", &[here, &party, &item])?;
        opened.add(values["opened"]);
        viewed.add(values["viewed"]);
        read.add(values["read"]);
    }
    Ok((opened, viewed, read))
}

/// The child: opens, views, and tells how long it took.
fn open(child: &Child) -> Result<(), Failure> {
    let directory = child.argument(0)?.to_owned();
    let party: PartyKey = child.argument(1)?.parse()?;
    let item: ItemId = child.argument(2)?.parse()?;
    let runtime = runtime()?;
    let mut opened = Duration::ZERO;
    let (viewed, seen) = timed(|| {
        runtime.block_on(async {
            let (took, engine) = {
                let started = std::time::Instant::now();
                let engine = Engine::builder(&directory).open().await?;
                (started.elapsed(), engine)
            };
            opened = took;
            let item = engine.party(party).await?.item::<Object>(item)?;
            let bytes = item.view(|object| object.checkpoint().len()).await?;
            Ok::<_, Failure>((engine, bytes))
        })
    });
    let (engine, bytes) = seen?;
    check(bytes > 1, || "the item is empty".to_owned())?;
    report("opened", opened.as_secs_f64() * 1e3);
    report("viewed", viewed.as_secs_f64() * 1e3);
    runtime.block_on(async {
        report("read", engine.counters().await?.read as f64);
        engine.close().await?;
        Ok(())
    })
}
