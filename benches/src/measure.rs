//! Measuring things beside each other.
//!
//! Invariants: what is compared is measured in turn, round by round, after one round that does not
//! count; a ratio is taken within a round, so that whatever slows the machine slows both sides of it.

use std::cell::Cell;
use std::time::Duration;

use crate::{Failure, Run, Sample};

/// One measurement.
pub type Measured = Result<f64, Failure>;

/// What an engine did: messages a second, and where their time went.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Messages a second.
    pub rate: f64,
    /// What every stage took.
    pub spent: systole::Stages,
}

impl Passed {
    /// The messages a second; where the time went is kept.
    pub fn keep(self, spent: &Cell<systole::Stages>) -> f64 {
        spent.set(self.spent);
        self.rate
    }
}

/// One thing measured in several rounds, in their order.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// The values, round by round.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Adds a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The values, in the order of their rounds.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Each round divided by the same round of `other`.
    pub fn per(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(value, other)| value / other).collect())
    }

    /// The greater one of each round.
    pub fn or_greater(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(value, other)| value.max(*other)).collect())
    }

    /// Each round through `convert`.
    pub fn map(&self, convert: impl FnMut(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(convert).collect())
    }

    /// The values without their order.
    pub fn sample(&self) -> Sample {
        self.0.iter().copied().collect()
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.sample().median()
    }
}

/// Measures each of `what` once a round. The first round warms up and is thrown away; a small run has
/// no other.
pub fn in_turn<const N: usize>(
    run: &Run,
    rounds: usize,
    mut what: [&mut dyn FnMut() -> Measured; N],
) -> Result<[Series; N], Failure> {
    let mut series = std::array::from_fn(|_| Series::default());
    let warm_up = usize::from(!run.smoke);
    for round in 0..run.times(rounds) + warm_up {
        for (measure, series) in what.iter_mut().zip(&mut series) {
            let value = measure()?;
            if round >= warm_up {
                series.push(value);
            }
        }
    }
    Ok(series)
}

/// A duration in microseconds.
pub(crate) fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let (fast, slow) = (Series::new([10.0, 2.0, 30.0]), Series::new([5.0, 1.0, 15.0]));
        assert_eq!(fast.per(&slow).0, [2.0, 2.0, 2.0]);
        assert_eq!(fast.or_greater(&Series::new([1.0, 3.0, 1.0])).0, [10.0, 3.0, 30.0]);
    }
}
