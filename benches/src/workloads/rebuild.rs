//! States made anew from what is stored.
//!
//! This is the one place that says how an application asks for many states at once.

use std::path::Path;
use std::time::{Duration, Instant};

use systole::{ItemId, Model, PartyKey, Stages};

use super::{Source, fingerprint, processed, without_checkpoints};
use crate::{Failure, Passed, check, per_second};

/// What was rebuilt.
#[derive(Debug)]
pub struct Rebuilt {
    /// From the first item asked for to the last one answered.
    pub took: Duration,
    /// Messages applied.
    pub messages: u64,
    /// What every stage took.
    pub spent: Stages,
    /// The fingerprint of all states.
    pub fingerprint: u64,
    /// Blocks that the party had processed before.
    pub processed: u64,
}

/// Opens the engine in `directory`, which keeps no checkpoint, and makes the state of each of `items`
/// from its log.
pub async fn rebuild<M: Model>(
    directory: &Path,
    party: PartyKey,
    items: &[ItemId],
) -> Result<Rebuilt, Failure> {
    let engine = without_checkpoints(directory).open().await?;
    let party = engine.party(party).await?;
    let before = engine.counters().await?.stages;
    let started = Instant::now();
    party.load(items).await?;
    let took = started.elapsed();
    let counters = engine.counters().await?;
    let mut digests = Vec::new();
    for id in items {
        digests.push(party.item::<M>(*id)?.view(M::digest).await?);
    }
    let processed = processed(&party).await?;
    engine.close().await?;
    Ok(Rebuilt {
        took,
        messages: counters.applied,
        spent: counters.stages.since(&before),
        fingerprint: fingerprint(&digests),
        processed,
    })
}

/// The same for a written party, checked against what was written.
pub async fn rebuilt<M: Model>(source: &Source) -> Result<Passed, Failure> {
    let rebuilt = rebuild::<M>(&source.engine(), source.party, &source.items).await?;
    let (found, expected) = (rebuilt.messages, source.messages);
    check(found == expected, || format!("{found} of {expected} messages were applied"))?;
    let same = rebuilt.fingerprint == fingerprint(&source.digests);
    check(same, || "items differ from what was written".to_owned())?;
    Ok(Passed { rate: per_second(found, rebuilt.took), spent: rebuilt.spent })
}
