//! How long operations take: counts in buckets that are a thirty-second of a power of two wide.
//!
//! Invariants:
//! - measuring takes two atomic additions and no lock;
//! - what a bucket says is at most 1/32 above what was measured.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A transaction until it is synced.
    Synced,
    /// A transaction until it is written.
    Buffered,
    /// A look at an item, its loading included.
    View,
    /// Subscribing to an item, its loading included.
    Subscribe,
    /// A range taken in.
    Ingest,
    /// A range read to be given away.
    Read,
    /// Status, items and quarantine of a party.
    Query,
    /// A party closed, and activated.
    Activate,
    /// A party founded.
    Found,
    /// A party deleted.
    Delete,
    /// The engine closed and opened.
    Reopen,
}

impl Kind {
    pub(super) const ALL: [Self; 11] = [
        Self::Synced,
        Self::Buffered,
        Self::View,
        Self::Subscribe,
        Self::Ingest,
        Self::Read,
        Self::Query,
        Self::Activate,
        Self::Found,
        Self::Delete,
        Self::Reopen,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Buffered => "buffered",
            Self::View => "view",
            Self::Subscribe => "subscribe",
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Query => "query",
            Self::Activate => "activate",
            Self::Found => "found",
            Self::Delete => "delete",
            Self::Reopen => "reopen",
        }
    }
}

/// Buckets of one power of two.
const PARTS: u64 = 32;
/// Longest that is told apart: 2^36 µs are nineteen hours.
const POWERS: u64 = 36;
const BUCKETS: usize = ((POWERS - 4) * PARTS) as usize;

fn bucket(micros: u64) -> usize {
    if micros < PARTS {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2()) - 4;
    ((power * PARTS + (micros >> (power - 1)) - PARTS) as usize).min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    ((PARTS + part + 1) << (power - 1)) - 1
}

/// What was measured since it was last taken, by kind.
#[derive(Debug)]
pub(super) struct Latencies {
    running: Vec<(Vec<AtomicU64>, AtomicU64)>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let empty = || ((0..BUCKETS).map(|_| AtomicU64::default()).collect(), AtomicU64::default());
        Self { running: Kind::ALL.iter().map(|_| empty()).collect() }
    }

    /// Runs `work` and notes how long it took.
    pub(super) async fn time<T>(&self, kind: Kind, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = work.await;
        self.note(kind, started.elapsed());
        result
    }

    pub(super) fn note(&self, kind: Kind, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (buckets, longest) = &self.running[kind as usize];
        buckets[bucket(micros)].fetch_add(1, Relaxed);
        longest.fetch_max(micros, Relaxed);
    }

    /// What was measured since the last time this was asked.
    pub(super) fn take(&self) -> Vec<Counts> {
        let taken = self.running.iter().map(|(buckets, longest)| Counts {
            buckets: buckets.iter().map(|bucket| bucket.swap(0, Relaxed)).collect(),
            longest: longest.swap(0, Relaxed),
        });
        taken.collect()
    }
}

/// Measurements of one kind.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    buckets: Vec<u64>,
    longest: u64,
}

impl Counts {
    pub(super) fn none() -> Self {
        Self { buckets: vec![0; BUCKETS], longest: 0 }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += more;
        }
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn latency(&self) -> Latency {
        let count = self.buckets.iter().sum();
        let quantile = |share: f64| {
            let wanted = (count as f64 * share).ceil().max(1.0) as u64;
            let mut seen = 0;
            let at = self.buckets.iter().position(|in_bucket| {
                seen += in_bucket;
                seen >= wanted
            });
            at.map_or(0, bound).min(self.longest)
        };
        Latency { count, half: quantile(0.5), most: quantile(0.99), longest: self.longest }
    }
}

/// How long one kind of operation took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    /// How many there were.
    pub(super) count: u64,
    /// Half of them took no longer.
    pub(super) half: u64,
    /// 99 of 100 took no longer.
    pub(super) most: u64,
    /// The longest.
    pub(super) longest: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_bound_what_is_in_them() {
        assert_eq!((bucket(0), bucket(31), bucket(32)), (0, 31, 32));
        for micros in (0..4_096).chain([65_535, 65_536, 1 << 30, (1 << 30) + 7]) {
            let bound = bound(bucket(micros));
            assert!(micros <= bound && bound <= micros + micros / 32, "{micros} {bound}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_noted() {
        let latencies = Latencies::new();
        for millis in 1..=1_000 {
            latencies.note(Kind::View, Duration::from_millis(millis));
        }
        let taken = latencies.take();
        let latency = taken[Kind::View as usize].latency();
        assert_eq!((latency.count, latency.longest), (1_000, 1_000_000));
        assert!((500_000..=516_000).contains(&latency.half), "{latency:?}");
        assert!((990_000..=1_000_000).contains(&latency.most), "{latency:?}");
        assert_eq!(taken[Kind::Read as usize].latency(), Latency::default());
        assert_eq!(latencies.take()[Kind::View as usize].latency().count, 0);
    }
}
