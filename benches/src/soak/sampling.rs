//! What the process takes at one moment, as the kernel and the engines tell.

use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::devices::{Passed, Used};
use super::latency::{Counts, Kind, Latency};
use super::world::World;
use crate::{Failure, peak_bytes, resident_bytes};

/// What was seen at one moment, and since the one before.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Seconds since the soak began.
    pub(super) seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) peak_bytes: u64,
    pub(super) open_files: u64,
    pub(super) threads: u64,
    pub(super) used: Used,
    pub(super) passed: Passed,
    /// Parties that are alive.
    pub(super) parties: u64,
    /// Messages a second: acknowledged to writers, applied to items in memory, taken in.
    pub(super) written: f64,
    pub(super) applied: f64,
    pub(super) ingested: f64,
    /// By [`Kind`].
    pub(super) latencies: Vec<Latency>,
}

/// Looks from time to time.
pub(super) struct Sampler {
    last: Instant,
    written: u64,
    passed: Passed,
    /// All that was measured, by kind.
    pub(super) total: Vec<Counts>,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self {
            last: Instant::now(),
            written: 0,
            passed: Passed::default(),
            total: vec![Counts::none(); Kind::ALL.len()],
        }
    }

    pub(super) async fn sample(&mut self, world: &World) -> Result<Moment, Failure> {
        let passed = world.devices.passed().await?;
        let used = world.devices.used().await?;
        let written = world.written.load(Relaxed);
        let counts = world.latencies.take();
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        for (total, counts) in self.total.iter_mut().zip(&counts) {
            total.add(counts);
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let moment = Moment {
            seconds: world.started.elapsed().as_secs_f64(),
            resident_bytes: resident_bytes()?,
            peak_bytes: peak_bytes()?,
            open_files: fs::read_dir("/proc/self/fd")?.count() as u64,
            threads: fs::read_dir("/proc/self/task")?.count() as u64,
            used,
            passed,
            parties: world.live().len() as u64,
            written: rate(written, self.written),
            applied: rate(passed.applied, self.passed.applied),
            ingested: rate(passed.ingested, self.passed.ingested),
            latencies: counts.iter().map(Counts::latency).collect(),
        };
        (self.written, self.passed) = (written, passed);
        Ok(moment)
    }
}
