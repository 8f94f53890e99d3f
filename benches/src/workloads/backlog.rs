//! W6: a feed with a million messages that are stored and not processed, in the party of a device that
//! goes on writing.

use systole::{Durability, Engine, Item, NewItem, Object, Party};
use tempfile::TempDir;

use super::{buffered, without_checkpoints};
use crate::workload::{Shape, Writing, hand_over_from, ingest_all, mutation, ranges};
use crate::{Failure, Random, Run, check};

/// Messages that wait in a full run.
pub const MESSAGES: u64 = 1_000_000;
/// Items that they are for.
const ITEMS: u64 = 1_000;

/// The device that is live, with the backlog stored and its processing paused.
#[derive(Debug)]
pub struct Backlog {
    _directory: TempDir,
    /// Its engine.
    pub engine: Engine,
    /// The party.
    pub party: Party,
    /// The item that this device writes to.
    pub live: Item<Object>,
    /// Messages that wait.
    pub messages: u64,
    file: std::path::PathBuf,
}

impl Backlog {
    /// Writes the backlog on one device; another one joins and is admitted, and does not have it yet.
    pub async fn write(run: &Run) -> Result<Self, Failure> {
        let directory = run.directory()?;
        let source = without_checkpoints(&directory.path().join("source")).open().await?;
        let written = source.create_party().await?;
        let engine = buffered(&directory.path().join("engine")).open().await?;
        let party = engine.join(written.key()).await?;
        written.admit(party.admission_request()?).await?;
        let feed = written.own_feed()?;
        let items = run.count(ITEMS, 20).min(ITEMS);
        let messages = run.count(MESSAGES, 5_000).max(2 * items);
        let shape = Shape { feeds: 1, ..Shape::new(items, messages) };
        let mut writing = Writing::new(&written, &[feed], &shape);
        writing.create().await?;
        let beginning = directory.path().join("beginning");
        hand_over_from(&written, &beginning, &[]).await?;
        let held = written.feeds().await?;
        writing.mutate(u64::MAX).await?;
        let file = directory.path().join("rest");
        let rest = hand_over_from(&written, &file, &held).await?;
        check(rest.blocks == messages - items, || format!("{} blocks wait", rest.blocks))?;
        source.close().await?;
        ingest_all(&party, ranges(&beginning)?).await?;
        party.settle().await?;
        let first = NewItem::<Object>::new().with(mutation(&mut Random::new(6)));
        let created = party.transaction().durability(Durability::Buffered).create(first);
        let live = party.item(created.commit().await?.1[0])?;
        Ok(Self { _directory: directory, engine, party, live, messages: rest.blocks, file })
    }

    /// Stores the backlog; processing is paused from here on.
    pub async fn store(&self) -> Result<(), Failure> {
        self.party.pause().await?;
        let added = ingest_all(&self.party, ranges(&self.file)?).await?;
        check(added == self.messages, || format!("{added} blocks were stored"))
    }
}
