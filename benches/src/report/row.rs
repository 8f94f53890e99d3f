//! A line of the table: a value, what it stands beside, and where it must get.
//!
//! Invariant: whether a target is met is judged by the median, when the row is made.

use serde::Serialize;

use super::figure::{Figure, Spread};
use crate::measure::Series;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The group it belongs to; what an argument selects.
    pub group: &'static str,
    /// What is compared.
    pub what: String,
    /// The ratio, or the absolute value that has a target itself.
    pub measured: Spread,
    /// `×` for a ratio, else the unit.
    pub unit: &'static str,
    /// Where it must get.
    pub target: Target,
    /// Whether it does.
    pub met: Option<bool>,
    /// The value, and what it stands beside.
    pub figures: Vec<Figure>,
    /// How much was really measured.
    pub size: String,
    /// What a reader must know.
    pub note: String,
}

impl Row {
    /// A ratio of two figures that were measured in turn.
    pub fn ratio(
        group: &'static str,
        what: impl Into<String>,
        target: Target,
        value: (&str, &Series),
        beside: (&str, &Series),
        unit: &'static str,
    ) -> Self {
        let figures =
            vec![Figure::new(value.0, unit, value.1), Figure::new(beside.0, unit, beside.1)];
        let ratio = value.1.per(beside.1);
        Self::new(group, what, target, &ratio, "×", figures)
    }

    /// A value whose target is absolute.
    pub fn absolute(
        group: &'static str,
        what: impl Into<String>,
        target: Target,
        value: &Series,
        unit: &'static str,
    ) -> Self {
        Self::new(group, what, target, value, unit, Vec::new())
    }

    fn new(
        group: &'static str,
        what: impl Into<String>,
        target: Target,
        value: &Series,
        unit: &'static str,
        figures: Vec<Figure>,
    ) -> Self {
        let measured = Spread::of(value);
        let met = target.is_met(measured.median);
        let (size, note) = (String::new(), String::new());
        Self { group, what: what.into(), measured, unit, target, met, figures, size, note }
    }

    /// Says how much was measured.
    pub fn size(self, size: impl Into<String>) -> Self {
        Self { size: size.into(), ..self }
    }

    /// Says what a reader must know.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Where a row must get.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
    /// Nothing is demanded; the row explains others.
    None,
}

impl Target {
    /// How many times better than demanded a value is; nothing to say without a target.
    pub fn margin(self, value: f64) -> Option<f64> {
        match self {
            Self::AtLeast(least) => Some(value / least),
            // What is below zero by chance is as good as it gets.
            Self::AtMost(most) if value <= 0.0 => Some(most.max(1.0)),
            Self::AtMost(most) => Some(most / value),
            Self::None => None,
        }
    }

    /// Whether a value gets there; nothing to say without a target.
    pub fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_from_its_own_side() {
        assert_eq!(Target::AtLeast(0.5).is_met(0.5), Some(true));
        assert_eq!(Target::AtLeast(0.5).is_met(0.49), Some(false));
        assert_eq!(Target::AtMost(2.0).is_met(2.1), Some(false));
        assert_eq!(Target::AtMost(2.0).is_met(f64::NAN), Some(false));
        assert_eq!(Target::None.is_met(1.0), None);
    }
}
