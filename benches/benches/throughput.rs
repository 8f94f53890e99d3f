//! How many messages a second each way through the engine, beside what the machine allows in the same
//! run: reading and decoding the same blocks, and writing them without anything around.
//!
//! The workload: 1,000 Object items, 8 feeds, payloads of 128 bytes, from a fixed seed.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, FeedKey, ItemId, Model as _, Object,
    Party, PartyKey, Range, Update,
};
use systole_benches::{
    Failure, HandedOver, Random, Run, Sample, Shape, check, founder, hand_over, ingest_all,
    mutation, per_second, print_machine, ranges, runtime, timed, write,
};
use systole_proto::Block;
use systole_store::{Batch, FeedNo, Options, PartyNo, Store};

/// Blocks of one batch where blocks are written without an engine.
const RAW_BATCH: usize = 256;
/// Loads that run at once.
const LOADS: usize = 8;

/// One way through the engine, measured once: messages a second.
type Measured = Result<f64, Failure>;

/// The workload as it stands on disk, and what is done with it.
struct Bench {
    run: Run,
    runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
    shape: Shape,
    party: PartyKey,
    items: Vec<ItemId>,
    handed: HandedOver,
}

fn main() -> Result<(), Failure> {
    let run = Run::new(env!("CARGO_TARGET_TMPDIR"))?;
    print_machine("throughput", run.parent());
    let shape = Shape::new(run.count(1_000, 20).min(1_000), run.count(200_000, 40_000));
    let bench = Bench::new(run, shape)?;
    println!(
        "{} messages, {} items, {} feeds, {:.0} bytes a block",
        shape.messages,
        shape.items,
        shape.feeds,
        bench.handed.bytes as f64 / bench.handed.blocks as f64,
    );
    let times = bench.run.times(5);

    section("what the machine allows, messages/s");
    let blocks = bench.blocks()?;
    let scan = line("scan and decode stored blocks", &Sample::of(times, || bench.scan())?, None);
    let raw =
        line("append blocks, nothing around", &Sample::of(times, || bench.raw(&blocks))?, None);
    drop(blocks);

    if bench.run.wants("ingest") {
        section("ingest, messages/s");
        let ingest = Sample::of(times, || bench.ingest())?;
        line("verify, store, process", &ingest, Some(("of append", raw)));
    }
    if bench.run.wants("process cold") || bench.run.wants("process resident") {
        section("process stored blocks, messages/s");
        if bench.run.wants("process cold") {
            let cold = Sample::of(times, || bench.process(false))?;
            line("no item in memory", &cold, Some(("of scan", scan)));
        }
        if bench.run.wants("process resident") {
            let resident = Sample::of(times, || bench.process(true))?;
            line("all items in memory", &resident, Some(("of scan", scan)));
        }
    }
    for at_once in [1, LOADS, bench.items.len()] {
        let name = format!("load {at_once} items at once");
        if bench.run.wants(&name) {
            let loaded = Sample::of(times, || bench.load(at_once))?;
            line(&name, &loaded, Some(("of scan", scan)));
        }
    }
    if bench.run.wants("hot") {
        section("one item gets all messages, messages/s");
        let hot = bench.hot()?;
        line(
            "ingest, item in memory",
            &Sample::of(times, || hot.ingest_viewed())?,
            Some(("of append", raw)),
        );
        line("load from its log", &Sample::of(times, || hot.load(1))?, Some(("of scan", scan)));
    }
    if bench.run.wants("append") {
        for (durability, name) in
            [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")]
        {
            section(&format!("append, {name}, messages/s"));
            for transaction in [1, 64, 1_024] {
                let appended = Sample::of(times, || bench.append(transaction, durability))?;
                line(
                    &format!("transactions of {transaction}"),
                    &appended,
                    Some(("of append", raw)),
                );
            }
        }
    }
    if bench.run.wants("latency") {
        bench.latency()?;
    }
    Ok(())
}

fn section(name: &str) {
    println!("\n{name}");
}

/// Prints a figure, beside another one where there is one, and returns its median.
fn line(name: &str, sample: &Sample, beside: Option<(&str, f64)>) -> f64 {
    let beside = beside.map_or_else(String::new, |(what, other)| {
        format!("   {:.3} {what}", sample.median() / other)
    });
    println!("  {name:40} {sample}{beside}");
    sample.median()
}

/// What is done with a block that was read.
type Visit<'a> = dyn FnMut(FeedNo, u64, &[u8]) -> Result<(), Failure> + 'a;

impl Bench {
    /// Writes the workload, and its ranges to a file.
    fn new(run: Run, shape: Shape) -> Result<Self, Failure> {
        let directory = run.directory()?;
        let runtime = runtime()?;
        let (party, items, handed) = runtime.block_on(async {
            let engine = without_checkpoints(&directory.path().join("source")).open().await?;
            let (party, feeds) = founder(&engine, shape.feeds).await?;
            let written = write(&party, &feeds, &shape).await?;
            let handed = hand_over(&party, &directory.path().join("ranges")).await?;
            engine.close().await?;
            check(handed.blocks == written.blocks, || "not every block was handed over".into())?;
            Ok::<_, Failure>((party.key(), written.items, handed))
        })?;
        Ok(Self { run, runtime, directory, shape, party, items, handed })
    }

    /// The same for one item.
    fn hot(&self) -> Result<Self, Failure> {
        let run = Run::new(env!("CARGO_TARGET_TMPDIR"))?;
        Self::new(run, Shape { items: 1, ..self.shape })
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("source")
    }

    fn ranges(&self) -> Result<Vec<Result<Range, Failure>>, Failure> {
        Ok(ranges(&self.directory.path().join("ranges"))?.collect())
    }

    /// Every stored block, in the order in which feeds hold them.
    fn scan_blocks(&self, visit: &mut Visit<'_>) -> Result<u64, Failure> {
        let store = Store::open_existing(&self.source(), &Options::default())?;
        let party: PartyNo = store.meta().party_no(&self.party)?.ok_or("the party is gone")?;
        let mut blocks = 0;
        for feed in store.meta().feed_nos(party)? {
            let mut failure = None;
            store.feeds().scan_blocks(feed, 0, u64::MAX, &mut |seq, block| {
                blocks += 1;
                match visit(feed, seq, block) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            failure.map_or(Ok(()), Err)?;
        }
        Ok(blocks)
    }

    fn scan(&self) -> Measured {
        let (mut links, mut started) = (0, None);
        let blocks = self.scan_blocks(&mut |_, _, block| {
            // Opening the store is not part of it.
            started.get_or_insert_with(Instant::now);
            links += Block::decode(Bytes::copy_from_slice(block))?.links.len();
            Ok(())
        })?;
        let took = started.ok_or("there is no block")?.elapsed();
        check(blocks == self.handed.blocks && links > 0, || format!("{blocks} blocks are stored"))?;
        Ok(per_second(blocks, took))
    }

    fn blocks(&self) -> Result<Vec<(FeedNo, u64, Bytes)>, Failure> {
        let mut blocks = Vec::new();
        self.scan_blocks(&mut |feed, seq, block| {
            blocks.push((feed, seq, Bytes::copy_from_slice(block)));
            Ok(())
        })?;
        Ok(blocks)
    }

    fn raw(&self, blocks: &[(FeedNo, u64, Bytes)]) -> Measured {
        let directory = self.run.directory()?;
        let store = Store::open(directory.path(), &Options::default())?;
        let (took, result) = timed(|| {
            for some in blocks.chunks(RAW_BATCH) {
                let mut batch = Batch::new();
                for (feed, seq, block) in some {
                    store.feeds().put_block(&mut batch, *feed, *seq, block);
                }
                store.commit(batch, Durability::Buffered)?;
            }
            Ok::<_, Failure>(())
        });
        result.map(|()| per_second(blocks.len() as u64, took))
    }

    /// A fresh replica of the party that has its first range, and the other ranges.
    async fn replica(
        &self,
        directory: &Path,
    ) -> Result<(Engine, Party, Vec<Result<Range, Failure>>), Failure> {
        let engine = without_checkpoints(directory).open().await?;
        let party = engine.join(self.party).await?;
        Ok((engine, party, self.ranges()?))
    }

    fn ingest(&self) -> Measured {
        let directory = self.run.directory()?;
        self.runtime.block_on(async {
            let (engine, party, ranges) = self.replica(directory.path()).await?;
            let started = Instant::now();
            let added = ingest_all(&party, ranges.into_iter()).await?;
            party.settle().await?;
            let took = started.elapsed();
            self.check_replica(&engine, &party).await?;
            engine.close().await?;
            Ok(per_second(added, took))
        })
    }

    fn process(&self, resident: bool) -> Measured {
        let directory = self.run.directory()?;
        self.runtime.block_on(async {
            let (engine, party, ranges) = self.replica(directory.path()).await?;
            let mut ranges = ranges.into_iter();
            // The first range of the first feed admits all feeds; that of each creates its items.
            let first = if resident { self.shape.feeds } else { 1 };
            ingest_all(&party, ranges.by_ref().take(first)).await?;
            party.settle().await?;
            let mut watched = Vec::new();
            for id in self.items.iter().filter(|_| resident) {
                watched.push(party.item::<Object>(*id)?.subscribe().await?);
            }
            party.pause().await?;
            ingest_all(&party, ranges).await?;
            let before = processed(&party).await?;
            let stages = engine.counters().await?.stages;
            let started = Instant::now();
            party.resume().await?;
            party.settle().await?;
            // What was handed to items is applied when a view of each has been answered.
            for id in self.items.iter().filter(|_| resident) {
                party.item::<Object>(*id)?.view(|_| ()).await?;
            }
            let took = started.elapsed();
            let count = processed(&party).await? - before;
            if std::env::var_os("STAGES").is_some() {
                let counters = engine.counters().await?;
                for (stage, spent) in
                    counters.stages.since(&stages).iter().filter(|(_, spent)| spent.count > 0)
                {
                    println!(
                        "{:10} {:>8.0} ns each, {:>6.0} ns per message",
                        stage.name(),
                        spent.time.as_nanos() as f64 / spent.count as f64,
                        spent.time.as_nanos() as f64 / count as f64
                    );
                }
            }
            self.check_replica(&engine, &party).await?;
            drop(watched);
            engine.close().await?;
            Ok(per_second(count, took))
        })
    }

    /// Opens the written party and views every item, so many at a time.
    fn load(&self, at_once: usize) -> Measured {
        self.runtime.block_on(async {
            let engine = without_checkpoints(&self.source()).open().await?;
            let party = engine.party(self.party).await?;
            let started = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for part in self.items.chunks(self.items.len().div_ceil(at_once)) {
                let (party, part) = (party.clone(), part.to_vec());
                tasks.spawn(async move {
                    for id in part {
                        party.item::<Object>(id)?.view(|_| ()).await?;
                    }
                    Ok::<_, Failure>(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            let took = started.elapsed();
            let counters = engine.counters().await?;
            if std::env::var_os("STAGES").is_some() {
                for (stage, spent) in counters.stages.iter().filter(|(_, spent)| spent.count > 0) {
                    println!(
                        "{:10} {:>8.0} ns each, {:>6.0} ns per message",
                        stage.name(),
                        spent.time.as_nanos() as f64 / spent.count as f64,
                        spent.time.as_nanos() as f64 / counters.applied as f64
                    );
                }
            }
            let applied = counters.applied;
            engine.close().await?;
            let messages = self.shape.messages;
            check(applied == messages, || format!("{applied} of {messages} messages were loaded"))?;
            Ok(per_second(applied, took))
        })
    }

    fn ingest_viewed(&self) -> Measured {
        let directory = self.run.directory()?;
        self.runtime.block_on(async {
            let (engine, party, ranges) = self.replica(directory.path()).await?;
            let mut ranges = ranges.into_iter();
            let before = ingest_all(&party, ranges.by_ref().take(1)).await?;
            party.settle().await?;
            let item = party.item::<Object>(self.items[0])?;
            let watched = item.subscribe().await?;
            let started = Instant::now();
            let added = ingest_all(&party, ranges).await?;
            party.settle().await?;
            item.view(|_| ()).await?;
            let took = started.elapsed();
            check(before + added == self.handed.blocks, || "blocks are missing".to_owned())?;
            self.check_replica(&engine, &party).await?;
            drop(watched);
            engine.close().await?;
            Ok(per_second(added, took))
        })
    }

    fn append(&self, transaction: usize, durability: Durability) -> Measured {
        let directory = self.run.directory()?;
        // A transaction costs a sync, or a way there and back: fewer of them say as much.
        let most = match (transaction, durability) {
            (1, Durability::Synced) => 2_000,
            (1, Durability::Buffered) => 20_000,
            (_, Durability::Synced) => 50_000,
            (_, Durability::Buffered) => u64::MAX,
        };
        self.runtime.block_on(async {
            let engine = Engine::builder(directory.path()).open().await?;
            let (party, feeds) = founder(&engine, self.shape.feeds).await?;
            // The items are there before the clock runs.
            let created = Shape { messages: self.shape.items, ..self.shape };
            let mut random = Random::new(3);
            let ids = write(&party, &feeds, &created).await?.items;
            let items = ids.into_iter().map(|id| party.item::<Object>(id));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            let messages = self.shape.messages.min(most);
            let mut mutations: Vec<_> = (0..messages).map(|_| mutation(&mut random)).collect();
            let started = Instant::now();
            let mut authors = feeds.iter().cycle();
            while !mutations.is_empty() {
                let author: FeedKey = *authors.next().ok_or("a party has a feed")?;
                let mut next = party.transaction().author(author).durability(durability);
                let from = mutations.len().saturating_sub(transaction);
                for mutation in mutations.drain(from..) {
                    let item = &items[random.below(items.len())];
                    next = next.mutate(item, mutation);
                }
                next.commit().await?;
            }
            let took = started.elapsed();
            let applied = engine.counters().await?.demultiplexed;
            let expected = messages + self.shape.items;
            check(applied == expected, || {
                format!("{applied} messages were written, not {expected}")
            })?;
            engine.close().await?;
            Ok(per_second(messages, took))
        })
    }

    /// From the call of a mutation to its subscriber, and to its acknowledgement.
    fn latency(&self) -> Result<(), Failure> {
        section("one mutation after the other, microseconds: median and 99 %");
        let count = self.run.count(5_000, 100);
        for (durability, name) in
            [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")]
        {
            let directory = self.run.directory()?;
            let (seen, answered, raw) =
                self.runtime.block_on(self.mutations(directory.path(), durability, count))?;
            for (what, sample) in [
                (format!("{name}: a subscriber sees it"), &seen),
                (format!("{name}: it is acknowledged"), &answered),
                (format!("{name}: commit of such a block, nothing around"), &raw),
            ] {
                println!(
                    "  {what:48} {:>8.0} {:>8.0}   {:.2} of commit",
                    sample.median(),
                    sample.quantile(0.99),
                    sample.median() / raw.median(),
                );
            }
        }
        Ok(())
    }

    /// Microseconds from the call to the subscriber and to the acknowledgement, and those of a commit
    /// of as many bytes to another store; by turns, so that all three meet the same disk.
    async fn mutations(
        &self,
        directory: &Path,
        durability: Durability,
        count: u64,
    ) -> Result<(Sample, Sample, Sample), Failure> {
        let engine =
            Engine::builder(directory.join("engine")).durability(durability).open().await?;
        let (party, feeds) = founder(&engine, 1).await?;
        let shape = Shape { items: 1, messages: 1, feeds: 1, ..self.shape };
        let id = write(&party, &feeds, &shape).await?.items[0];
        let item = party.item::<Object>(id)?;
        let mut updates = item.subscribe().await?;
        let store = Store::open(&directory.join("raw"), &Options::default())?;
        let block = vec![7; (self.handed.bytes / self.handed.blocks) as usize];
        let (mut seen, mut answered, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let mut random = Random::new(4);
        for seq in 0..count {
            let mutation = mutation(&mut random);
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
            seen.push(micros(told));
            answered.push(micros(wrote));

            let mut batch = Batch::new();
            store.feeds().put_block(&mut batch, FeedNo(1), seq, &block);
            let (took, committed) = timed(|| store.commit(batch, durability));
            committed?;
            raw.push(micros(took));
        }
        engine.close().await?;
        Ok((Sample::from_iter(seen), Sample::from_iter(answered), Sample::from_iter(raw)))
    }

    /// Everything was processed, nothing set aside, and items look as they do where they were written.
    async fn check_replica(&self, engine: &Engine, party: &Party) -> Result<(), Failure> {
        let status = party.status().await?;
        let done = processed(party).await?;
        let expected = self.handed.blocks;
        check(done == expected, || format!("{done} of {expected} blocks were processed"))?;
        check(status.quarantined == 0, || format!("{} blocks are ignored", status.quarantined))?;
        check(status.items == self.shape.items, || format!("there are {} items", status.items))?;
        let refused = engine.counters().await?.refused;
        check(refused == 0, || format!("{refused} messages were refused"))?;
        if self.run.smoke {
            let source = without_checkpoints(&self.source()).open().await?;
            let written = source.party(self.party).await?;
            for id in &self.items {
                let there = written.item::<Object>(*id)?.view(Object::digest).await?;
                let here = party.item::<Object>(*id)?.view(Object::digest).await?;
                check(there == here, || format!("item {id} differs"))?;
            }
            source.close().await?;
        }
        Ok(())
    }
}

async fn processed(party: &Party) -> Result<u64, Failure> {
    Ok(party.status().await?.feeds.iter().map(|feed| feed.processed).sum())
}

/// An engine that keeps no checkpoint, so that every load reads the whole log.
fn without_checkpoints(directory: &Path) -> EngineBuilder {
    Engine::builder(directory).memory_budget_bytes(256 << 20).checkpoints(CheckpointPolicy {
        messages_max: u64::MAX,
        bytes_max: u64::MAX,
        idle_after: Duration::MAX,
        idle_messages_min: u64::MAX,
    })
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
