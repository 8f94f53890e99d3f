//! The most memory that a process holds while it takes in another device's party of few messages, and
//! of many. Each measurement happens in a process of its own that does nothing else: the messages
//! were written by another one and stand in a file.
//!
//! What is shown: memory is a matter of settings, not of the number of messages.

use std::path::{Path, PathBuf};

use systole::{Engine, ItemId, ItemQuery, Model as _, Object, Party, PartyKey};
use systole_benches::{
    Child, Failure, Random, Run, Sample, Shape, check, founder, hand_over, ingest_all, peak_bytes,
    print_machine, ranges, report, reset_peak, run_child, runtime, write,
};

const MEMORY_BUDGET_BYTES: usize = 64 << 20;

/// Items that are looked at after each range, where somebody looks.
const VIEWS_PER_RANGE: usize = 512;

const MIB: f64 = (1 << 20) as f64;

/// What is measured.
struct Case {
    name: &'static str,
    /// Bytes of the store's memory, half of it for writes.
    store_bytes: usize,
    /// Somebody looks at items meanwhile, so that they come into memory.
    viewed: bool,
}

const CASES: [Case; 4] = [
    Case { name: "nothing viewed", store_bytes: 32 << 20, viewed: false },
    Case { name: "items viewed meanwhile", store_bytes: 32 << 20, viewed: true },
    Case { name: "nothing viewed, small store", store_bytes: 8 << 20, viewed: false },
    Case { name: "items viewed meanwhile, small store", store_bytes: 8 << 20, viewed: true },
];

/// A party's blocks in a file.
struct Source {
    party: PartyKey,
    file: PathBuf,
    blocks: u64,
}

fn main() -> Result<(), Failure> {
    if let Some(child) = Child::this() {
        return match child.task.as_str() {
            "write" => write_source(&child),
            "ingest" => ingest(&child),
            other => Err(format!("no task is named {other}").into()),
        };
    }
    let run = Run::new(env!("CARGO_TARGET_TMPDIR"))?;
    print_machine("memory", run.parent());
    let items = run.count(10_000, 100);
    let directory = run.directory()?;
    let few = source(directory.path(), "few", items, run.count(100_000, 1_000))?;
    let many = source(directory.path(), "many", items, run.count(1_000_000, 3_000))?;
    println!(
        "peak memory in MiB while {} and {} messages in {items} items are taken in, memory budget {} MiB",
        few.blocks,
        many.blocks,
        MEMORY_BUDGET_BYTES >> 20,
    );
    println!("{:36} {:>8} {:>15} {:>15} {:>6}", "", "settings", "few", "many", "ratio");
    for case in CASES.iter().filter(|case| run.wants(case.name)) {
        let mut peaks = [Sample::default(), Sample::default()];
        for _ in 0..run.times(3) {
            for (source, peak) in [&few, &many].into_iter().zip(&mut peaks) {
                peak.add(measure(directory.path(), source, case)?);
            }
        }
        let [few, many] = peaks;
        // What the settings allow: the store's memory, and items where there are any.
        let settings = case.store_bytes + if case.viewed { MEMORY_BUDGET_BYTES } else { 0 };
        println!(
            "{:36} {:>8} {few} {many} {:>6.2}",
            case.name,
            settings >> 20,
            many.median() / few.median(),
        );
    }
    Ok(())
}

/// Has a party of this size written by a process of its own.
fn source(directory: &Path, name: &str, items: u64, messages: u64) -> Result<Source, Failure> {
    let file = directory.join(name);
    let engine = directory.join(format!("{name}-engine"));
    let party_file = directory.join(format!("{name}-party"));
    let (items, messages) = (items.to_string(), messages.to_string());
    let paths = [text(&engine)?, text(&file)?, text(&party_file)?];
    let values = run_child("write", &[paths[0], paths[1], paths[2], &items, &messages])?;
    std::fs::remove_dir_all(&engine)?;
    let party = std::fs::read_to_string(&party_file)?.parse()?;
    Ok(Source { party, file, blocks: values["blocks"] as u64 })
}

/// Has it taken in by a process of its own; the peak of its memory in MiB.
fn measure(directory: &Path, source: &Source, case: &Case) -> Result<f64, Failure> {
    let engine = directory.join("copy");
    let (party, viewed) = (source.party.to_string(), case.viewed.to_string());
    let store_bytes = case.store_bytes.to_string();
    let paths = [text(&engine)?, text(&source.file)?];
    let values = run_child("ingest", &[paths[0], paths[1], &party, &store_bytes, &viewed])?;
    std::fs::remove_dir_all(&engine)?;
    let (processed, blocks) = (values["processed"] as u64, source.blocks);
    check(processed == blocks, || format!("{processed} of {blocks} blocks were processed"))?;
    Ok(values["peak"] / MIB)
}

fn write_source(child: &Child) -> Result<(), Failure> {
    let shape = Shape::new(child.argument(3)?.parse()?, child.argument(4)?.parse()?);
    runtime()?.block_on(async {
        // All items have room: writing is not what is measured.
        let engine =
            Engine::builder(child.argument(0)?).memory_budget_bytes(1 << 30).open().await?;
        let (party, feeds) = founder(&engine, shape.feeds).await?;
        let written = write(&party, &feeds, &shape).await?;
        let handed = hand_over(&party, Path::new(child.argument(1)?)).await?;
        std::fs::write(child.argument(2)?, party.key().to_string())?;
        engine.close().await?;
        check(handed.blocks == written.blocks, || "not every block was handed over".to_owned())?;
        report("blocks", handed.blocks as f64);
        Ok(())
    })
}

fn ingest(child: &Child) -> Result<(), Failure> {
    let (directory, file) = (child.argument(0)?, Path::new(child.argument(1)?));
    let party: PartyKey = child.argument(2)?.parse()?;
    let store_bytes: usize = child.argument(3)?.parse()?;
    let viewed: bool = child.argument(4)?.parse()?;
    runtime()?.block_on(async {
        let engine = Engine::builder(directory)
            .memory_budget_bytes(MEMORY_BUDGET_BYTES)
            .store_bytes(store_bytes, store_bytes / 2)
            .open()
            .await?;
        let party = engine.join(party).await?;
        reset_peak()?;
        if viewed {
            ingest_and_view(&party, file).await?;
        } else {
            ingest_all(&party, ranges(file)?).await?;
            party.settle().await?;
        }
        report("peak", peak_bytes()? as f64);
        let status = party.status().await?;
        check(status.quarantined == 0, || format!("{} blocks are ignored", status.quarantined))?;
        report("processed", status.feeds.iter().map(|feed| feed.processed).sum::<u64>() as f64);
        engine.close().await?;
        Ok(())
    })
}

async fn ingest_and_view(party: &Party, file: &Path) -> Result<(), Failure> {
    let mut random = Random::new(2);
    let mut items: Vec<ItemId> = Vec::new();
    for (n, range) in ranges(file)?.enumerate() {
        ingest_all(party, std::iter::once(range)).await?;
        party.settle().await?;
        // Items are created by the first ranges; looking for them costs more than looking at them.
        if n < 64 && n.is_power_of_two() {
            items = party.items(&ItemQuery::default())?.into_iter().map(|item| item.id).collect();
        }
        for _ in 0..VIEWS_PER_RANGE.min(items.len()) {
            let item = party.item::<Object>(items[random.below(items.len())])?;
            let bytes = item.view(|object| object.checkpoint().len()).await?;
            check(bytes > 1, || "an item is empty".to_owned())?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| "the directory's path is not text".into())
}
