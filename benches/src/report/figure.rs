//! Something measured in absolute terms, and how its rounds are spread.
//!
//! Invariant: a figure says what it is, in which unit, and of how many rounds.

use serde::Serialize;

use super::number::{quantity, short};
use crate::measure::Series;

/// Something measured in absolute terms.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Its unit: `/s`, `µs`, `ms`, `B`, `MiB`.
    pub unit: &'static str,
    /// Its rounds.
    pub spread: Spread,
}

impl Figure {
    /// A figure of these rounds.
    pub fn new(what: impl Into<String>, unit: &'static str, series: &Series) -> Self {
        Self { what: what.into(), unit, spread: Spread::of(series) }
    }
}

/// Median, least and greatest of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The value in the middle.
    pub median: f64,
    /// The least one.
    pub least: f64,
    /// The greatest one.
    pub greatest: f64,
    /// How many there are.
    pub rounds: usize,
}

impl Spread {
    /// Of a series.
    pub fn of(series: &Series) -> Self {
        let sample = series.sample();
        Self {
            median: sample.median(),
            least: sample.quantile(0.0),
            greatest: sample.greatest(),
            rounds: sample.len(),
        }
    }

    /// The median with its unit, the least and greatest one, and of how many.
    pub(super) fn text(&self, unit: &str) -> String {
        format!("{} {}", quantity(self.median, unit), self.range(unit))
    }

    /// The least and greatest one, and of how many.
    pub(super) fn range(&self, unit: &str) -> String {
        let Self { least, greatest, rounds, .. } = self;
        match unit {
            "×" => format!("[{} – {}] {rounds}", short(*least), short(*greatest)),
            _ => format!("[{} – {}] {rounds}", quantity(*least, unit), quantity(*greatest, unit)),
        }
    }
}
