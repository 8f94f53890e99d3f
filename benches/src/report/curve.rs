//! What charts are drawn from: how one thing grows with another, and how its values are spread.
//!
//! Invariant: a distribution has no quantile beyond which its sample has no value.

use serde::Serialize;

use crate::Sample;

/// How one thing grows with another: points of a chart whose axes are logarithmic.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The chart it belongs to.
    pub chart: &'static str,
    /// What the line is.
    pub name: String,
    /// What the axes are, with units.
    pub axes: (&'static str, &'static str),
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// How the values of one thing are spread: share of the values and the value that they do not exceed.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// The chart it belongs to.
    pub chart: &'static str,
    /// What the values are, in microseconds.
    pub name: String,
    /// How many values there are.
    pub count: usize,
    /// Quantiles: share, value.
    pub points: Vec<(f64, f64)>,
}

impl Distribution {
    /// Of a sample, at shares that come ever closer to 1, as far as its size allows.
    pub fn of(chart: &'static str, name: impl Into<String>, sample: &Sample) -> Self {
        let mut points: Vec<_> = (0..20).map(|n| f64::from(n) / 20.0 * 0.9).collect();
        let mut rest = 0.1;
        while rest * sample.len() as f64 >= 1.0 {
            points.push(1.0 - rest);
            rest /= 1.2;
        }
        let points = points.into_iter().map(|share| (share, sample.quantile(share)));
        Self { chart, name: name.into(), count: sample.len(), points: points.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_goes_no_further_than_its_values() {
        let sample: Sample = (1..=100).map(f64::from).collect();
        let distribution = Distribution::of("chart", "name", &sample);
        assert!(distribution.points.windows(2).all(|two| two[0].0 < two[1].0));
        assert!(distribution.points.last().is_some_and(|last| last.0 <= 0.99));
    }
}
