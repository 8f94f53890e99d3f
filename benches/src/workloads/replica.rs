//! Another device's engine that takes a written party in.
//!
//! Invariant: [`Replica::check`] compares with what was written; a run whose replica differs has no
//! figure.

use std::marker::PhantomData;
use std::time::Instant;

use systole::{Engine, Model, Party, Subscription};
use tempfile::TempDir;

use super::{Source, buffered, processed};
use crate::workload::ingest_all;
use crate::{Failure, Passed, Run, check, per_second};

/// A replica that knows every item of the party, and holds nothing after that yet.
#[derive(Debug)]
pub struct Replica<M: Model> {
    directory: TempDir,
    /// Its engine.
    pub engine: Engine,
    /// The party as it holds it.
    pub party: Party,
    /// While these are held, the items are in memory.
    watched: Vec<Subscription<M>>,
    model: PhantomData<M>,
}

impl<M: Model> Replica<M> {
    /// A fresh replica; all items are in memory where `resident`, none otherwise.
    pub async fn begin(run: &Run, source: &Source, resident: bool) -> Result<Self, Failure> {
        let directory = run.directory()?;
        let engine = buffered(directory.path()).open().await?;
        let party = engine.join(source.party).await?;
        ingest_all(&party, source.beginning()?.into_iter()).await?;
        party.settle().await?;
        let mut watched = Vec::new();
        for id in source.items.iter().filter(|_| resident) {
            watched.push(party.item::<M>(*id)?.subscribe().await?);
        }
        Ok(Self { directory, engine, party, watched, model: PhantomData })
    }

    /// Takes in everything, until all of it is processed, and applied where items are in memory.
    pub async fn ingest(&self, source: &Source) -> Result<Passed, Failure> {
        let ranges = source.rest()?;
        let before = self.engine.counters().await?.stages;
        let started = Instant::now();
        let added = ingest_all(&self.party, ranges.into_iter()).await?;
        self.party.settle().await?;
        self.view_watched(source).await?;
        let took = started.elapsed();
        check(added == source.rest.blocks, || format!("{added} blocks were added"))?;
        let spent = self.engine.counters().await?.stages.since(&before);
        Ok(Passed { rate: per_second(added, took), spent })
    }

    /// Stores everything and processes nothing of it.
    pub async fn store(
        &self,
        ranges: impl Iterator<Item = Result<systole::Range, Failure>>,
    ) -> Result<u64, Failure> {
        self.party.pause().await?;
        ingest_all(&self.party, ranges).await
    }

    /// Processes what was stored, until it is applied where items are in memory.
    pub async fn replay(&self, source: &Source) -> Result<Passed, Failure> {
        let before = processed(&self.party).await?;
        let stages = self.engine.counters().await?.stages;
        let started = Instant::now();
        self.party.resume().await?;
        self.party.settle().await?;
        self.view_watched(source).await?;
        let took = started.elapsed();
        let count = processed(&self.party).await? - before;
        check(count == source.rest.blocks, || format!("{count} blocks were processed"))?;
        let spent = self.engine.counters().await?.stages.since(&stages);
        Ok(Passed { rate: per_second(count, took), spent })
    }

    /// What was handed to an item is applied once a view of it is answered.
    async fn view_watched(&self, source: &Source) -> Result<(), Failure> {
        for id in source.items.iter().take(self.watched.len()) {
            self.party.item::<M>(*id)?.view(|_| ()).await?;
        }
        Ok(())
    }

    /// Everything was processed, nothing set aside, and items look as they do where they were written:
    /// those in memory, or all of them where `all`.
    pub async fn check(&self, source: &Source, all: bool) -> Result<(), Failure> {
        let status = self.party.status().await?;
        let (done, expected) = (processed(&self.party).await?, source.blocks());
        check(done == expected, || format!("{done} of {expected} blocks were processed"))?;
        check(status.quarantined == 0, || format!("{} blocks are ignored", status.quarantined))?;
        let items = source.items.len() as u64;
        check(status.items == items, || format!("{} of {items} items are there", status.items))?;
        let refused = self.engine.counters().await?.refused;
        check(refused == 0, || format!("{refused} messages were refused"))?;
        let compared = if all { source.items.len() } else { self.watched.len() };
        for (id, digest) in source.items.iter().zip(&source.digests).take(compared) {
            let here = self.party.item::<M>(*id)?.view(M::digest).await?;
            check(here == *digest, || format!("item {id} differs from what was written"))?;
        }
        Ok(())
    }

    /// Ends the engine and leaves its files, which go away with what is returned.
    pub async fn leave(self) -> Result<TempDir, Failure> {
        let Self { directory, engine, watched, .. } = self;
        drop(watched);
        engine.close().await?;
        Ok(directory)
    }

    /// Ends the engine and removes its files.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.leave().await?.close()?)
    }
}
