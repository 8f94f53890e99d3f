//! The phases whose instructions are counted: small, on one thread, each checked.
//!
//! Invariant: a phase does what its base does and then what it is named after, so that the difference
//! of their counts is the phase alone.

use std::path::Path;

use systole::{Durability, ItemId, Model, Object, PartyKey, Text};

use crate::workload::{Shape, Writing, founder, ingest_all, mutation, ranges};
use crate::workloads::text::Session;
use crate::workloads::{Source, buffered, objects, processed, rebuild, without_checkpoints};
use crate::{Failure, Random, Run, check};

/// A phase, the phase that is its base, and what it is.
pub const PHASES: [(&str, Option<&str>, &str); 5] = [
    ("append", Some("mutations"), "append in transactions of 64"),
    ("ingest", None, "verified ingest, items at rest"),
    ("process", Some("store"), "stored blocks processed into models"),
    ("rebuild", Some("open"), "the state of one item rebuilt from its log"),
    ("text", None, "keystrokes ingested and applied"),
];

/// Items that messages are for.
const ITEMS: u64 = 64;
/// Feeds that they come from.
const FEEDS: usize = 2;

/// Runs a phase on `messages` messages of the workload in `folder`, or writes that workload.
pub fn run(phase: &str, messages: u64, folder: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match phase {
            "prepare" => prepare(messages, folder).await,
            "mutations" => {
                let mut random = Random::new(1);
                for _ in 0..messages {
                    std::hint::black_box(mutation(&mut random));
                }
                Ok(())
            }
            "append" => append(messages).await,
            "open" | "rebuild" => reopen(messages, &folder.join("hot"), phase).await,
            "ingest" | "store" | "process" => {
                take_in::<Object>(messages, &folder.join("objects"), phase).await
            }
            "text" => take_in::<Text>(messages, &folder.join("text"), "watch").await,
            other => Err(format!("no phase is named {other}").into()),
        }
    })
}

fn shape(messages: u64) -> Shape {
    Shape { feeds: FEEDS, ..Shape::new(ITEMS.min(messages), messages) }
}

async fn prepare(messages: u64, folder: &Path) -> Result<(), Failure> {
    let run = Run::in_folder(folder);
    keep(objects::source(&run, shape(messages)).await?, &folder.join("objects")).await?;
    // Which of many items are loaded together is a matter of moments; one is always alone.
    let hot = Shape { items: 1, ..shape(messages) };
    keep(objects::source(&run, hot).await?, &folder.join("hot")).await?;
    let mut session = Session::made_up(messages as usize);
    session.keystrokes.truncate(messages as usize);
    keep(session.source(&run).await?, &folder.join("text")).await
}

/// Moves a written party to `folder`, with a list of its items, and leaves its store as it stays: what
/// the first opening sorts into files would count for whoever comes first.
async fn keep(source: Source, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for name in ["engine", "beginning", "rest"] {
        std::fs::rename(source.directory().join(name), folder.join(name))?;
    }
    let items: Vec<_> = source.items.iter().map(ItemId::to_string).collect();
    let facts = format!("{}\n{}\n{}", source.party, source.blocks(), items.join("\n"));
    std::fs::write(folder.join("facts"), facts)?;
    let engine = without_checkpoints(&folder.join("engine")).open().await?;
    engine.compact().await?;
    Ok(engine.close().await?)
}

fn facts(folder: &Path) -> Result<(PartyKey, u64, Vec<ItemId>), Failure> {
    let text = std::fs::read_to_string(folder.join("facts"))?;
    let mut lines = text.lines();
    let party = lines.next().ok_or("the facts name no party")?.parse()?;
    let blocks = lines.next().ok_or("the facts count no blocks")?.parse()?;
    Ok((party, blocks, lines.map(str::parse).collect::<Result<_, _>>()?))
}

async fn append(messages: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let engine = buffered(directory.path()).open().await?;
    let (party, feeds) = founder(&engine, FEEDS).await?;
    let mut shape = shape(messages);
    shape.durability = Durability::Buffered;
    let mut writing = Writing::new(&party, &feeds, &shape);
    writing.create().await?;
    writing.mutate(u64::MAX).await?;
    let written = engine.counters().await?.demultiplexed;
    check(written == messages, || format!("{written} of {messages} messages were written"))?;
    Ok(engine.close().await?)
}

async fn reopen(messages: u64, folder: &Path, phase: &str) -> Result<(), Failure> {
    let (party, _, items) = facts(folder)?;
    if phase == "open" {
        let engine = without_checkpoints(&folder.join("engine")).open().await?;
        let stored = processed(&engine.party(party).await?).await?;
        check(stored >= messages, || format!("{stored} blocks were processed"))?;
        return Ok(engine.close().await?);
    }
    let rebuilt = rebuild::<Object>(&folder.join("engine"), party, &items).await?;
    let applied = rebuilt.messages;
    check(applied == messages, || format!("{applied} of {messages} messages were applied"))
}

async fn take_in<M: Model>(messages: u64, folder: &Path, phase: &str) -> Result<(), Failure> {
    let (key, blocks, items) = facts(folder)?;
    let directory = tempfile::tempdir()?;
    let engine = buffered(directory.path()).open().await?;
    let party = engine.join(key).await?;
    ingest_all(&party, ranges(&folder.join("beginning"))?).await?;
    party.settle().await?;
    let mut watched = Vec::new();
    for id in items.iter().filter(|_| phase != "ingest") {
        watched.push(party.item::<M>(*id)?.subscribe().await?);
    }
    if matches!(phase, "store" | "process") {
        party.pause().await?;
    }
    ingest_all(&party, ranges(&folder.join("rest"))?).await?;
    if phase == "process" {
        party.resume().await?;
    }
    party.settle().await?;
    for id in items.iter().filter(|_| matches!(phase, "process" | "watch")) {
        party.item::<M>(*id)?.view(|_| ()).await?;
    }
    let done = processed(&party).await?;
    let stored = phase == "store" && done < messages;
    check(done == blocks || stored, || format!("{done} of {blocks} blocks were processed"))?;
    drop(watched);
    Ok(engine.close().await?)
}
