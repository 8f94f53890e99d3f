//! The two devices of a soak: engines on disk that carry blocks to each other.
//!
//! Invariant: while a device is being closed and opened nobody is handed its engine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use systole::{
    CheckpointPolicy, Counters, Ed25519Signer, Engine, Error, Ingested, Party, PartyKey, Verifier,
};
use tokio::sync::RwLock;

use super::latency::{Kind, Latencies};
use super::ledger::Ledger;
use crate::{Failure, Random};

/// The device that founds parties and does most of the work.
pub(super) const HOME: usize = 0;
/// The device that joins them.
pub(super) const AWAY: usize = 1;

/// Small settings, so that every bound is reached soon: items leave memory all the time, and files are
/// flushed and compacted all the time.
const MEMORY_BUDGET_BYTES: usize = 2 << 20;
const STORE_BYTES: usize = 16 << 20;
const WRITE_BUFFER_BYTES: usize = 4 << 20;

/// Both devices.
#[derive(Debug)]
pub(super) struct Devices {
    directories: [PathBuf; 2],
    signers: [[u8; 32]; 2],
    engines: RwLock<Open>,
}

/// The engines while they are open.
#[derive(Debug)]
struct Open {
    engines: [Engine; 2],
    /// What was counted before they were opened.
    before: Passed,
}

/// How many messages passed some stages, on both devices together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) applied: u64,
    pub(super) ingested: u64,
    pub(super) checkpointed: u64,
    pub(super) syncs: u64,
    /// Items in memory at this moment.
    pub(super) resident: u64,
    /// What they hold, as they estimate themselves.
    pub(super) resident_bytes: u64,
}

/// What both devices take of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) disk_bytes: u64,
    /// Files of tables and of blobs.
    pub(super) files: u64,
    /// Bytes of the write-ahead logs.
    pub(super) log_bytes: u64,
    /// What compaction has still to rewrite.
    pub(super) pending_compaction_bytes: u64,
    /// Memory of what was read, and of what is written and not in a file yet.
    pub(super) cache_bytes: u64,
}

impl Devices {
    pub(super) async fn open(directory: &Path, seed: u64) -> Result<Self, Failure> {
        let mut random = Random::new(seed);
        let mut signer = || {
            let mut bytes = [0; 32];
            bytes.chunks_exact_mut(8).for_each(|part| {
                part.copy_from_slice(&random.number().to_be_bytes());
            });
            bytes
        };
        let directories = ["home", "away"].map(|name| directory.join(name));
        let signers = [signer(), signer()];
        let engines = open(&directories, &signers).await?;
        let engines = RwLock::new(Open { engines, before: Passed::default() });
        Ok(Self { directories, signers, engines })
    }

    /// The key by which a device is a member.
    pub(super) fn signer(&self, device: usize) -> Ed25519Signer {
        Ed25519Signer::from_seed(&self.signers[device])
    }

    pub(super) async fn engine(&self, device: usize) -> Engine {
        self.engines.read().await.engines[device].clone()
    }

    pub(super) async fn party(&self, device: usize, key: PartyKey) -> Result<Party, Error> {
        self.engine(device).await.party(key).await
    }

    pub(super) async fn parties(&self, key: PartyKey) -> Result<[Party; 2], Error> {
        Ok([self.party(HOME, key).await?, self.party(AWAY, key).await?])
    }

    /// Closes both engines in the midst of whatever goes on, and opens them again.
    pub(super) async fn reopen(&self, latencies: &Latencies) -> Result<(), Failure> {
        let mut open_engines = self.engines.write().await;
        open_engines.before = passed(&open_engines).await?;
        let started = Instant::now();
        close(&open_engines.engines).await?;
        open_engines.engines = open(&self.directories, &self.signers).await?;
        latencies.note(Kind::Reopen, started.elapsed());
        Ok(())
    }

    /// What passed since the soak began.
    pub(super) async fn passed(&self) -> Result<Passed, Failure> {
        passed(&*self.engines.read().await).await
    }

    pub(super) async fn used(&self) -> Result<Used, Failure> {
        let mut used = Used::default();
        for engine in &self.engines.read().await.engines {
            let usage = engine.usage().await?;
            used.disk_bytes += usage.disk_bytes;
            used.files += usage.files;
            used.log_bytes += usage.log_bytes;
            used.pending_compaction_bytes += usage.pending_compaction_bytes;
            used.cache_bytes += usage.cache_bytes;
        }
        Ok(used)
    }

    /// Closes both engines, and reads all that they left on disk.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        close(&self.engines.write().await.engines).await?;
        for directory in &self.directories {
            let report = Verifier::open(directory)?.register::<Ledger>().run(&mut |_| {})?;
            if !report.is_sound() {
                return Err(format!("{} is damaged: {report:?}", directory.display()).into());
            }
        }
        Ok(())
    }
}

async fn open(directories: &[PathBuf; 2], signers: &[[u8; 32]; 2]) -> Result<[Engine; 2], Failure> {
    let open = |device: usize| {
        let checkpoints = CheckpointPolicy {
            messages_max: 128,
            bytes_max: 32 << 10,
            idle_after: Duration::from_millis(500),
            idle_messages_min: 8,
        };
        Engine::builder(&directories[device])
            .register::<Ledger>()
            .device(std::sync::Arc::new(Ed25519Signer::from_seed(&signers[device])))
            .memory_budget_bytes(MEMORY_BUDGET_BYTES)
            .store_bytes(STORE_BYTES, WRITE_BUFFER_BYTES)
            .checkpoints(checkpoints)
            .open()
    };
    Ok([open(HOME).await?, open(AWAY).await?])
}

async fn close(engines: &[Engine; 2]) -> Result<(), Failure> {
    for engine in engines {
        engine.close().await?;
    }
    Ok(())
}

async fn passed(open: &Open) -> Result<Passed, Failure> {
    let mut passed = Passed { resident: 0, resident_bytes: 0, ..open.before };
    for engine in &open.engines {
        let counters: Counters = engine.counters().await?;
        passed.applied += counters.applied;
        passed.ingested += counters.verified;
        passed.checkpointed += counters.checkpointed;
        passed.syncs += counters.syncs;
        passed.resident += counters.resident;
        passed.resident_bytes += counters.resident_bytes;
    }
    Ok(passed)
}

/// Gives `to` what it lacks of what `from` holds.
pub(super) async fn carry(from: &Party, to: &Party, latencies: &Latencies) -> Result<(), Failure> {
    let held = to.feeds().await?;
    for (feed, length) in from.feeds().await? {
        let mut at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
        while at < length {
            let range = latencies.time(Kind::Read, from.read(feed, at)).await?;
            let range = range.ok_or("a feed is shorter than it was said to be")?;
            at = range.end();
            match latencies.time(Kind::Ingest, to.ingest(range)).await? {
                Ingested::Added { .. } | Ingested::Duplicate => {}
                other => return Err(format!("an honest range is refused: {other:?}").into()),
            }
        }
    }
    Ok(())
}

/// Brings both to the same blocks, and waits until they are processed.
pub(super) async fn exchange(parties: &[Party; 2], latencies: &Latencies) -> Result<(), Failure> {
    let [home, away] = parties;
    carry(home, away, latencies).await?;
    carry(away, home, latencies).await?;
    home.settle().await?;
    away.settle().await?;
    Ok(())
}
