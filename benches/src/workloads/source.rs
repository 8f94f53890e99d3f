//! A party that was written: closed on disk, and as two files of ranges.
//!
//! Invariant: the first file admits the feeds and creates the items, the second one holds everything
//! after that, so that a replica which has taken in the first one knows every item.

use std::path::{Path, PathBuf};

use systole::{Engine, FeedKey, ItemId, Model, Party, PartyKey, Range};
use tempfile::TempDir;

use super::without_checkpoints;
use crate::workload::{HandedOver, feeds_of, hand_over, hand_over_from, ranges};
use crate::{Failure, Run, check};

/// A written party. Its files go away with it.
#[derive(Debug)]
pub struct Source {
    directory: TempDir,
    /// The party.
    pub party: PartyKey,
    /// Its feeds.
    pub feeds: usize,
    /// Its items.
    pub items: Vec<ItemId>,
    /// Messages of its items, those that create them included.
    pub messages: u64,
    /// Blocks before the messages that are measured.
    pub beginning: HandedOver,
    /// The others.
    pub rest: HandedOver,
    /// How every item looks in the end.
    pub digests: Vec<Vec<u8>>,
}

/// A party that is being written: [`Draft::begun`] once every item is created, then [`Draft::finish`].
#[derive(Debug)]
pub struct Draft {
    directory: TempDir,
    engine: Engine,
    /// The party.
    pub party: Party,
    held: Vec<(FeedKey, u64)>,
    beginning: HandedOver,
}

impl Draft {
    /// A party that an engine of its own founds; nothing is in it.
    pub async fn new(run: &Run) -> Result<Self, Failure> {
        let directory = run.directory()?;
        let engine = without_checkpoints(&engine_of(directory.path())).open().await?;
        let party = engine.create_party().await?;
        let beginning = HandedOver { blocks: 0, bytes: 0 };
        Ok(Self { directory, engine, party, held: Vec::new(), beginning })
    }

    /// This many feeds, the founder's first.
    pub async fn feeds(&self, count: usize) -> Result<Vec<FeedKey>, Failure> {
        let mut feeds = vec![self.party.own_feed()?];
        while feeds.len() < count {
            feeds.push(self.party.create_feed().await?);
        }
        Ok(feeds)
    }

    /// Every feed is admitted and every item created.
    pub async fn begun(&mut self) -> Result<(), Failure> {
        self.beginning = hand_over(&self.party, &self.directory.path().join(BEGINNING)).await?;
        self.held = feeds_of(&self.party).await?;
        Ok(())
    }

    /// Everything is written: `messages` to `items`.
    pub async fn finish<M: Model>(
        self,
        items: Vec<ItemId>,
        messages: u64,
    ) -> Result<Source, Failure> {
        let file = self.directory.path().join(REST);
        let rest = hand_over_from(&self.party, &file, &self.held).await?;
        let all: u64 = feeds_of(&self.party).await?.iter().map(|(_, length)| length).sum();
        let handed = self.beginning.blocks + rest.blocks;
        check(handed == all, || format!("{handed} of {all} blocks were handed over"))?;
        let mut digests = Vec::new();
        for id in &items {
            digests.push(self.party.item::<M>(*id)?.view(M::digest).await?);
        }
        let (party, feeds) = (self.party.key(), self.held.len());
        self.engine.close().await?;
        let Self { directory, beginning, .. } = self;
        Ok(Source { directory, party, feeds, items, messages, beginning, rest, digests })
    }
}

const BEGINNING: &str = "beginning";
const REST: &str = "rest";

fn engine_of(directory: &Path) -> PathBuf {
    directory.join("engine")
}

impl Source {
    /// Where the party stands that was written.
    pub fn engine(&self) -> PathBuf {
        engine_of(self.directory.path())
    }

    /// The directory of the engine and of both files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ranges that admit the feeds and create the items.
    pub fn beginning(&self) -> Result<Vec<Result<Range, Failure>>, Failure> {
        Ok(ranges(&self.directory.path().join(BEGINNING))?.collect())
    }

    /// The other ranges.
    pub fn rest(&self) -> Result<Vec<Result<Range, Failure>>, Failure> {
        Ok(ranges(&self.directory.path().join(REST))?.collect())
    }

    /// The other ranges, read from their file one by one.
    pub fn stream(&self) -> Result<impl Iterator<Item = Result<Range, Failure>> + use<>, Failure> {
        Ok(ranges(&self.directory.path().join(REST))?)
    }

    /// All blocks.
    pub fn blocks(&self) -> u64 {
        self.beginning.blocks + self.rest.blocks
    }
}
