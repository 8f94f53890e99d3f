//! Where each microsecond goes: the time that every stage of a message's path took, and how many
//! messages passed it.
//!
//! Invariants:
//! - reading the clock costs as much as a stage does for one message, so stages that work on many messages
//!   at once are measured as a whole, and those that take messages one by one on a sample of them
//!   ([`SAMPLED_EVERY`]);
//! - nothing that is measured decides anything.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Of stages that take messages one by one, every so many are measured. A prime, so that it falls into
/// step with nothing.
pub const SAMPLED_EVERY: u64 = 127;

/// A part of a message's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Blocks and logs are read from the store.
    Read,
    /// Blocks of other devices are hashed up to their head's root.
    Hash,
    /// A head's signature is verified.
    Verify,
    /// A local head is signed.
    Sign,
    /// A block's envelope is decoded.
    Decode,
    /// Its causal past is derived: links, Lamport number.
    Order,
    /// What it says is admitted and given to its item.
    Demux,
    /// The entries of item logs, positions and blocks go into a batch.
    Index,
    /// A batch is written, and synced where that is asked.
    Commit,
    /// Messages are put before their items.
    Mailbox,
    /// Models apply them.
    Apply,
    /// Checkpoints of items are made.
    Checkpoint,
}

impl Stage {
    /// Every stage, in the order of the path.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Hash,
        Self::Verify,
        Self::Sign,
        Self::Decode,
        Self::Order,
        Self::Demux,
        Self::Index,
        Self::Commit,
        Self::Mailbox,
        Self::Apply,
        Self::Checkpoint,
    ];

    /// The stage in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Hash => "hash",
            Self::Verify => "verify",
            Self::Sign => "sign",
            Self::Decode => "decode",
            Self::Order => "order",
            Self::Demux => "demux",
            Self::Index => "index",
            Self::Commit => "commit",
            Self::Mailbox => "mailbox",
            Self::Apply => "apply",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// What one stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time, over all threads together; for sampled stages an estimate.
    pub time: Duration,
    /// Messages that passed; heads for [`Stage::Verify`] and [`Stage::Sign`], batches for
    /// [`Stage::Commit`], checkpoints for [`Stage::Checkpoint`].
    pub count: u64,
}

/// What every stage took since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages([Spent; Stage::ALL.len()]);

impl Stages {
    /// What a stage took.
    pub fn of(&self, stage: Stage) -> Spent {
        self.0[stage as usize]
    }

    /// The stages in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Spent)> + '_ {
        Stage::ALL.into_iter().map(|stage| (stage, self.of(stage)))
    }

    /// What they took here and there.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (spent, other) in sum.0.iter_mut().zip(&other.0) {
            spent.time += other.time;
            spent.count += other.count;
        }
        sum
    }

    /// What they took since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        for (spent, before) in since.0.iter_mut().zip(&before.0) {
            spent.time = spent.time.saturating_sub(before.time);
            spent.count = spent.count.saturating_sub(before.count);
        }
        since
    }
}

/// The same while it runs.
#[derive(Debug, Default)]
pub(crate) struct LiveStages([(AtomicU64, AtomicU64); Stage::ALL.len()]);

impl LiveStages {
    /// What was spent until this moment.
    pub(crate) fn spent(&self) -> Stages {
        Stages(Stage::ALL.map(|stage| {
            let (nanos, count) = &self.0[stage as usize];
            Spent { time: Duration::from_nanos(nanos.load(Relaxed)), count: count.load(Relaxed) }
        }))
    }

    /// Begins to measure.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch { stages: self, since: now() }
    }

    fn add(&self, stage: Stage, time: Duration, count: u64) {
        let (nanos, counted) = &self.0[stage as usize];
        nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        counted.fetch_add(count, Relaxed);
    }
}

/// Measures stages that follow one another.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    stages: &'a LiveStages,
    since: Instant,
}

impl Watch<'_> {
    /// What went on since the last lap was this stage, for `count` messages.
    pub(crate) fn lap(&mut self, stage: Stage, count: u64) {
        let now = now();
        self.stages.add(stage, now - self.since, count);
        self.since = now;
    }
}

/// Measures stages of single messages, on a sample of them.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    messages: u64,
    since: Option<Instant>,
}

impl Sampler {
    /// Another message begins.
    pub(crate) fn begin(&mut self) {
        self.messages += 1;
        self.since = self.messages.is_multiple_of(SAMPLED_EVERY).then(now);
    }

    /// A message has passed a stage. If it is one of the sample, it stands for all.
    pub(crate) fn lap(&mut self, stages: &LiveStages, stage: Stage) {
        if let Some(since) = self.since {
            let passed = now().duration_since(since).saturating_sub(clock_cost());
            stages.add(stage, passed * SAMPLED_EVERY as u32, SAMPLED_EVERY);
            self.since = Some(now());
        }
    }
}

/// What reading the clock takes at least: as much as a stage does for one message, so it is taken off.
fn clock_cost() -> Duration {
    static COST: OnceLock<Duration> = OnceLock::new();
    const TRIES: usize = 64;
    let once = |_| {
        let before = now();
        now().duration_since(before)
    };
    *COST.get_or_init(|| (0..TRIES).map(once).min().unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "measures, and decides nothing")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_counts_for_its_stage_alone() {
        let live = LiveStages::default();
        let mut watch = live.watch();
        std::hint::black_box((0..1_000).sum::<u64>());
        watch.lap(Stage::Apply, 3);
        let before = live.spent();
        watch.lap(Stage::Read, 2);
        let spent = live.spent();
        assert!(spent.of(Stage::Apply).time > Duration::ZERO);
        assert_eq!((spent.of(Stage::Apply).count, spent.of(Stage::Read).count), (3, 2));
        let since = spent.since(&before);
        assert_eq!((since.of(Stage::Apply).count, since.of(Stage::Read).count), (0, 2));
    }

    #[test]
    fn a_sample_stands_for_all() {
        let (live, mut sampler) = (LiveStages::default(), Sampler::default());
        for _ in 0..10 * SAMPLED_EVERY {
            sampler.begin();
            sampler.lap(&live, Stage::Decode);
        }
        assert_eq!(live.spent().of(Stage::Decode).count, 10 * SAMPLED_EVERY);
    }

    #[test]
    fn stages_are_listed_in_their_order() {
        assert!(Stage::ALL.into_iter().enumerate().all(|(at, stage)| stage as usize == at));
    }
}
