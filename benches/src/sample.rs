//! Repeated measurements of one thing.

use std::fmt;
use std::time::{Duration, Instant};

/// Values of one thing measured several times.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// Measures `times` times.
    pub fn of<E>(times: usize, mut measure: impl FnMut() -> Result<f64, E>) -> Result<Self, E> {
        let mut sample = Self::default();
        for _ in 0..times {
            sample.add(measure()?);
        }
        Ok(sample)
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let at = self.sorted.partition_point(|other| *other < value);
        self.sorted.insert(at, value);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that this share of the values does not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The greatest value.
    pub fn greatest(&self) -> f64 {
        self.quantile(1.0)
    }

    /// From the least value to the greatest, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(1.0) - self.quantile(0.0)) / self.median()
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted }
    }
}

/// The median and its spread.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10}", short(self.median()))?;
        if self.sorted.len() > 1 { write!(f, " ±{:>2.0} %", self.spread() * 50.0) } else { Ok(()) }
    }
}

/// A number with three digits and a letter for its thousands.
fn short(value: f64) -> String {
    let (value, letter) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, " M"),
        large if large >= 1e3 => (value / 1e3, " k"),
        _ => (value, "  "),
    };
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{letter}")
}

/// How long something took, and what it gave.
pub fn timed<R>(work: impl FnOnce() -> R) -> (Duration, R) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

/// How many a second.
pub fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_spread_are_those_of_the_sorted_values() {
        let sample: Sample = [5.0, 1.0, 3.0, 2.0, 4.0].into_iter().collect();
        assert_eq!((sample.median(), sample.quantile(0.0), sample.greatest()), (3.0, 1.0, 5.0));
        assert!((sample.spread() - 4.0 / 3.0).abs() < 1e-9);
        assert_eq!(short(1_234_567.0), "1.23 M");
        assert_eq!(short(45_678.0), "45.7 k");
    }
}
