//! The rows of the table, a group to a file.
//!
//! | group | what it compares |
//! | --- | --- |
//! | `ceilings` | nothing: what the machine allows, on the bytes of W1 |
//! | `replay` | W1: stored blocks to states, beside reading and decoding them |
//! | `ingest` | W1: blocks of others verified, stored and applied, beside writing them |
//! | `hot` | W3: one item beside many |
//! | `text` | W4: keystrokes through the engine beside the text library |
//! | `cores` | W5: two cores beside one |
//! | `append` | own messages: transactions, and writers at once |
//! | `latency` | from a call to its acknowledgement and to a subscriber |
//! | `backlog` | W6: a live feed while another one catches up |
//! | `opening` | from opening to the first view, by the length of history |
//! | `items` | W2: memory of items that nobody uses |
//! | `disk` | bytes stored beside bytes written |
//! | `growth` | cost of a message and memory, by the length of history |
//! | `instructions` | instructions of a message, where valgrind is there |

mod append;
mod backlog;
mod ceilings;
mod cores;
mod disk;
mod growth;
mod hot;
mod ingest;
mod instructions;
mod items;
mod latency;
mod opening;
mod replay;
mod text;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use systole::Object;
use tokio::runtime::Runtime;

use crate::child::Child;
use crate::measure::Passed;
use crate::report::{Report, grouped};
use crate::workloads::{Replica, Source, hot as hot_item, objects, rebuilt};
use crate::{Failure, Run, runtime};

/// Rounds of a row that takes seconds.
const ROUNDS: usize = 5;

/// A group of rows.
type Group = fn(&Context, &mut Report) -> Result<(), Failure>;

/// Every group, in the order of the table.
const GROUPS: [(&str, Group); 14] = [
    ("ceilings", ceilings::rows),
    ("replay", replay::rows),
    ("ingest", ingest::rows),
    ("hot", hot::rows),
    ("text", text::rows),
    ("cores", cores::rows),
    ("append", append::rows),
    ("latency", latency::rows),
    ("backlog", backlog::rows),
    ("opening", opening::rows),
    ("items", items::rows),
    ("disk", disk::rows),
    ("growth", growth::rows),
    ("instructions", instructions::rows),
];

/// What the groups share.
#[derive(Debug)]
pub struct Context {
    /// What was asked for.
    pub run: Run,
    /// Where the engines run.
    pub runtime: Runtime,
    /// The program that runs one phase, for whoever counts its instructions.
    pub instructions: PathBuf,
    w1: OnceCell<Source>,
    w3: OnceCell<Source>,
}

impl Context {
    /// Nothing is written yet.
    pub fn new(run: Run, instructions: &str) -> Result<Self, Failure> {
        let instructions = instructions.into();
        Ok(Self {
            run,
            runtime: runtime()?,
            instructions,
            w1: OnceCell::new(),
            w3: OnceCell::new(),
        })
    }

    /// W1, written when it is first asked for.
    fn w1(&self) -> Result<&Source, Failure> {
        self.written(&self.w1, || self.runtime.block_on(objects::w1(&self.run)))
    }

    /// W3, written when it is first asked for.
    fn w3(&self) -> Result<&Source, Failure> {
        self.written(&self.w3, || self.runtime.block_on(hot_item::w3(&self.run)))
    }

    /// States made from the logs of a written party's items.
    fn rebuilt<M: systole::Model>(&self, source: &Source) -> Result<Passed, Failure> {
        self.runtime.block_on(rebuilt::<M>(source))
    }

    fn written<'a>(
        &self,
        cell: &'a OnceCell<Source>,
        write: impl FnOnce() -> Result<Source, Failure>,
    ) -> Result<&'a Source, Failure> {
        if cell.get().is_none() {
            let written = write()?;
            cell.get_or_init(|| written);
        }
        Ok(cell.get().expect("it was just written"))
    }

    /// Blocks that were stored before and are applied to items in memory.
    fn replayed<M: systole::Model>(&self, source: &Source) -> Result<Passed, Failure> {
        self.runtime.block_on(async {
            let replica = Replica::<M>::begin(&self.run, source, true).await?;
            replica.store(source.rest()?.into_iter()).await?;
            let passed = replica.replay(source).await?;
            replica.check(source, true).await?;
            replica.close().await?;
            Ok(passed)
        })
    }

    /// Blocks that are verified, stored and processed, and applied where items are in memory.
    fn ingested(&self, source: &Source, resident: bool) -> Result<Passed, Failure> {
        self.runtime.block_on(async {
            let replica = Replica::<Object>::begin(&self.run, source, resident).await?;
            let passed = replica.ingest(source).await?;
            replica.check(source, resident || self.run.smoke).await?;
            replica.close().await?;
            Ok(passed)
        })
    }
}

/// Measures the groups that were asked for.
pub fn measure(context: &Context, report: &mut Report) -> Result<(), Failure> {
    for (name, rows) in GROUPS.iter().filter(|(name, _)| context.run.wants(name)) {
        let started = Instant::now();
        rows(context, report).map_err(|error| format!("{name}: {error}"))?;
        let seconds = started.elapsed().as_secs_f64();
        let done = if context.run.smoke { "results are right" } else { "measured" };
        eprintln!("{name}: {done} ({seconds:.1} s)");
    }
    Ok(())
}

/// The names of all groups.
pub fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|(name, _)| *name)
}

/// Does what this process was started for.
pub fn serve(child: &Child) -> Result<(), Failure> {
    match child.task.as_str() {
        "parties" => cores::child(child),
        "open" => opening::child(child),
        "items" => items::child(child),
        "growth" => growth::child(child),
        other => Err(format!("no task is named {other}").into()),
    }
}

/// The counts of a written party, in words.
fn size(source: &Source) -> String {
    let messages = grouped(source.messages as i64);
    let (items, feeds) = (grouped(source.items.len() as i64), source.feeds);
    let bytes = source.rest.bytes as f64 / source.rest.blocks as f64;
    format!("{messages} messages, {items} items, {feeds} feeds, {bytes:.0} bytes a block")
}

/// A path as an argument of a child.
fn argument(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| "the directory's path is not text".into())
}
