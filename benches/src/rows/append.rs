//! Own messages: how many a second, by the size of transactions and by how many write at once.

use std::cell::Cell;
use std::time::Instant;

use systole::{Durability, Engine, Item, NewItem, Object, Party};

use super::{Context, ROUNDS, size};
use crate::ceilings::blocks;
use crate::measure::{Measured, Passed, in_turn};
use crate::report::{Report, Row, Stages, Target};
use crate::workload::{Shape, Writing, founder, mutation};
use crate::workloads::{buffered, processed};
use crate::{Failure, Random, check, per_second};

/// Messages at most that are awaited one by one.
const ONE_BY_ONE: u64 = 20_000;
/// Writers at once.
const WRITERS: u64 = 64;

/// Transactions of several sizes beside raw batches, then writers beside one.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (run, source) = (&context.run, context.w1()?);
    let stored = blocks::blocks(source)?;
    let spent = [(); 3].map(|()| Cell::default());
    let append = |transaction, kept: &Cell<_>| {
        Ok(context.runtime.block_on(append(context, transaction))?.keep(kept))
    };
    let [raw, one, some, many] = in_turn(
        run,
        ROUNDS.min(3),
        [
            &mut || blocks::append(run, &stored, blocks::BATCH, Durability::Buffered),
            &mut || append(1, &spent[0]),
            &mut || append(64, &spent[1]),
            &mut || append(1_024, &spent[2]),
        ],
    )?;
    let beside = ("RocksDB batches of 256 of such blocks, not synced", &raw);
    for (what, (value, messages), spent) in [
        ("append, buffered, transactions of 1, awaited one by one", (&one, ONE_BY_ONE), &spent[0]),
        ("append, buffered, transactions of 64", (&some, u64::MAX), &spent[1]),
        ("append, buffered, transactions of 1,024", (&many, u64::MAX), &spent[2]),
    ] {
        let row = Row::ratio("append", what, Target::None, ("messages", value), beside, "/s");
        report.rows.push(row.size(size(source)));
        let messages = messages.min(source.messages - source.items.len() as u64);
        report.stages.push(Stages::new(what, messages, value.median(), &spent.get()));
    }
    writers(context, report)
}

/// Writes the messages of W1 in transactions of a size, eight feeds by turns; messages a second.
async fn append(context: &Context, transaction: usize) -> Result<Passed, Failure> {
    let (run, w1) = (&context.run, context.w1()?);
    let items = w1.items.len() as u64;
    // A way there and back for each: fewer of them say as much.
    let most = if transaction == 1 { ONE_BY_ONE } else { w1.messages };
    let messages = items + most.min(w1.messages - items);
    let directory = run.directory()?;
    let engine = buffered(directory.path()).open().await?;
    let (party, feeds) = founder(&engine, w1.feeds).await?;
    let mut writing = Writing::new(&party, &feeds, &Shape::new(items, messages));
    writing.create().await?;
    writing.transactions_of(transaction);
    let before = engine.counters().await?.stages;
    let started = Instant::now();
    writing.mutate(u64::MAX).await?;
    let took = started.elapsed();
    let counters = engine.counters().await?;
    let (written, spent) = (counters.demultiplexed, counters.stages.since(&before));
    check(written == messages, || format!("{written} of {messages} messages were written"))?;
    engine.close().await?;
    Ok(Passed { rate: per_second(messages - items, took), spent })
}

/// Many that wait for each write of theirs, beside one.
fn writers(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let directory = context.run.directory()?;
    let (one_writes, each_writes) = (context.run.count(500, 20), context.run.count(100, 3));
    let (engine, party, items) = context.runtime.block_on(async {
        let engine = Engine::builder(directory.path()).open().await?;
        let party = engine.create_party().await?;
        let mut items = Vec::new();
        for _ in 0..WRITERS {
            items.push(party.create(NewItem::<Object>::new()).await?);
        }
        Ok::<_, Failure>((engine, party, items))
    })?;
    let write =
        |items: &[Item<Object>], each| context.runtime.block_on(write_at_once(&party, items, each));
    let [many, one] = in_turn(
        &context.run,
        ROUNDS,
        [&mut || write(&items, each_writes), &mut || write(&items[..1], one_writes)],
    )?;
    context.runtime.block_on(engine.close())?;
    let row = Row::ratio(
        "append",
        "64 writers at once, synced",
        Target::AtLeast(15.0),
        ("messages of 64 writers", &many),
        ("messages of one writer", &one),
        "/s",
    );
    let all = WRITERS * each_writes;
    report.rows.push(row.size(format!("{all} messages a round, and {one_writes} of one writer")));
    Ok(())
}

/// A writer for each item, all at once; each waits until its message is synced before the next one.
async fn write_at_once(party: &Party, items: &[Item<Object>], each: u64) -> Measured {
    let before = processed(party).await?;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (n, item) in items.iter().cloned().enumerate() {
        tasks.spawn(async move {
            let mut random = Random::new(n as u64);
            for _ in 0..each {
                let receipt = item.mutate(mutation(&mut random)).await?;
                check(receipt.durability == Durability::Synced, || "not synced".to_owned())?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let (took, messages) = (started.elapsed(), items.len() as u64 * each);
    let written = processed(party).await? - before;
    check(written == messages, || format!("{written} of {messages} messages were written"))?;
    Ok(per_second(messages, took))
}
