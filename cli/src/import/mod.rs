//! The import of a Git repository: authors become feeds, text files become items, commits become
//! their authors' messages.
//!
//! ```text
//!   git log ──► History ─┐
//!                        ├─► Plan ─► Reader ══ batches of Step ══► Sink
//!   git cat-file ► Blobs ┘     (a thread)                      (a task)
//! ```
//!
//! Invariants:
//! - memory is bounded by the files of one commit, [`BATCHES_MAX`] batches, and what the sink holds;
//! - an import that ends well has been closed, opened again, and compared with Git, byte for byte.

pub mod check;
pub mod class;
pub mod memory;
pub mod plan;
pub mod reader;
pub mod report;
mod sink;
mod step;

use std::panic;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc;

pub use report::Report;
pub use sink::{Figures, File, Sink};
pub use step::{AuthorId, FileId, Step};

use crate::error::{Error, Result};
use crate::git::Repository;
use crate::progress::Progress;
use reader::Reader;
use report::{Counts, Skipped, Store};

/// Batches of steps that wait for the sink. Then reading waits.
pub const BATCHES_MAX: usize = 4;

/// Imports a repository into a sink, opens that again, and compares the two.
pub async fn import(
    repository: &Repository,
    sink: &mut impl Sink,
    progress: &mut Progress,
) -> Result<Report> {
    let started = Instant::now();
    progress.start("importing", "commits", repository.count_commits()?);
    let reader = Reader::open(repository)?;
    let (sender, mut batches) = mpsc::channel(BATCHES_MAX);
    let reading = thread::Builder::new()
        .name("git".into())
        .spawn(move || read(reader, &sender))
        .map_err(|source| Error::io("starting a thread", source))?;
    let mut counts = Counts::default();
    while let Some(batch) = batches.recv().await {
        let before = counts;
        for step in batch {
            counts.count(&step);
            sink.apply(step).await?;
        }
        progress.advance(counts.commits - before.commits, counts.changes() - before.changes());
    }
    let skipped = reading.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?;
    sink.finish().await?;
    progress.end();
    let seconds = started.elapsed().as_secs_f64();
    let opening = sink.reopen().await?;
    let reopened = Instant::now();
    let check = check::check(repository, sink, progress).await?;
    let figures = sink.figures().await?;
    Ok(Report {
        repository: repository.path().to_owned(),
        head: repository.head(),
        shallow: repository.is_shallow(),
        counts,
        skipped,
        check,
        store: Store {
            feeds: figures.feeds,
            blocks: figures.blocks,
            disk_bytes: figures.disk_bytes,
            open_seconds: opening.as_secs_f64(),
            blocks_read: figures.blocks_read,
        },
        seconds,
        check_seconds: reopened.elapsed().as_secs_f64(),
    })
}

/// Reads to the end, or until nobody listens any more.
fn read(mut reader: Reader, batches: &mpsc::Sender<Vec<Step>>) -> Result<Skipped> {
    loop {
        let batch = reader.next_batch()?;
        if batch.is_empty() || batches.blocking_send(batch).is_err() {
            return Ok(reader.into_skipped());
        }
    }
}
