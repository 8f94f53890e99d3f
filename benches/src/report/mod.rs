//! What a run found, and how it is told: a table, JSON, and a page with charts.
//!
//! Invariant: every figure says what it is, in which unit, and of how many rounds; the three forms
//! show the same [`Report`].

mod chart;
mod html;
mod json;
mod table;

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Series;
use crate::{Run, Sample};

pub use html::html;
pub use json::json;
pub use table::print;

impl Spread {
    /// The median with its unit, the least and greatest one, and of how many.
    fn text(&self, unit: &str) -> String {
        format!("{} {}", quantity(self.median, unit), self.range(unit))
    }

    /// The least and greatest one, and of how many.
    fn range(&self, unit: &str) -> String {
        let Self { least, greatest, rounds, .. } = self;
        match unit {
            "×" => format!("[{} – {}] {rounds}", short(*least), short(*greatest)),
            _ => format!("[{} – {}] {rounds}", quantity(*least, unit), quantity(*greatest, unit)),
        }
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
}

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

/// One stage of a message's path.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// Nanoseconds spent in it, over all threads together.
    pub nanoseconds: f64,
    /// How many passed: messages, heads, batches or checkpoints.
    pub count: u64,
}

/// Where the time of one workload goes.
#[derive(Clone, Debug, Serialize)]
pub struct Stages {
    /// The workload.
    pub workload: String,
    /// Messages that passed.
    pub messages: u64,
    /// Nanoseconds that a message takes by the clock.
    pub by_the_clock: f64,
    /// The stages, in the order of the path.
    pub stages: Vec<Stage>,
}

impl Stages {
    /// What the engine says of itself, of a workload that passed `rate` messages a second.
    pub fn new(
        workload: impl Into<String>,
        messages: u64,
        rate: f64,
        spent: &systole::Stages,
    ) -> Self {
        let stages = spent.iter().filter(|(_, spent)| spent.count > 0);
        let stages = stages.map(|(stage, spent)| Stage {
            name: stage.name(),
            nanoseconds: spent.time.as_nanos() as f64,
            count: spent.count,
        });
        let (workload, stages) = (workload.into(), stages.collect());
        Self { workload, messages, by_the_clock: 1e9 / rate, stages }
    }

    /// Nanoseconds a message of all stages together, over all threads.
    pub fn of_threads(&self) -> f64 {
        self.stages.iter().map(|stage| stage.nanoseconds).sum::<f64>() / self.messages as f64
    }
}

/// Instructions that one message takes in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct Instructions {
    /// The phase.
    pub phase: String,
    /// Instructions a message, of each run.
    pub per_message: Vec<f64>,
    /// Messages of the smaller and of the larger run whose difference it is.
    pub sizes: (u64, u64),
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// The size of the run: 1 is a full one.
    pub scale: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Rows whose targets the project has set.
    pub rows: Vec<Row>,
    /// What the machine allows.
    pub ceilings: Vec<Figure>,
    /// Where the time goes.
    pub stages: Vec<Stages>,
    /// Growth.
    pub curves: Vec<Curve>,
    /// Latencies.
    pub distributions: Vec<Distribution>,
    /// Instructions.
    pub instructions: Vec<Instructions>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Nothing is measured yet.
    pub fn new(run: &Run) -> Self {
        Self {
            machine: Machine::look(run.parent()),
            scale: run.scale(),
            seconds: 0.0,
            rows: Vec::new(),
            ceilings: Vec::new(),
            stages: Vec::new(),
            curves: Vec::new(),
            distributions: Vec::new(),
            instructions: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// A number with its unit, in the multiple of the unit that people read.
pub fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "µs" if value.abs() >= 999.5 => format!("{} ms", short(value / 1e3)),
        "B" if value.abs() >= 1e6 => format!("{} MB", short(value / 1e6)),
        "B" => format!("{} B", grouped(value.round() as i64)),
        "/s" => format!("{}/s", short(value)),
        _ => format!("{} {unit}", short(value)),
    }
}

/// A count with its thousands apart.
pub fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::from(if count < 0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with three digits and a letter for its thousands.
pub fn short(value: f64) -> String {
    let (value, letter) = match value.abs() {
        large if large >= 999.5e6 => (value / 1e9, " G"),
        large if large >= 999.5e3 => (value / 1e6, " M"),
        large if large >= 999.5 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        large if large >= 9.995 => 1,
        small if small < 0.0995 && small > 0.0 => 4,
        small if small < 0.9995 => 3,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_three_digits() {
        let shown = [0.0, 0.5, 1.25, 12.34, 123.4, 1_234.0, 999_700.0, 10_000_000.0].map(short);
        assert_eq!(shown, ["0", "0.5", "1.25", "12.3", "123", "1.23 k", "1 M", "10 M"]);
        assert_eq!(short(0.003_512), "0.0035");
        assert_eq!([0, 999, 1_000, -12_345_678].map(grouped), ["0", "999", "1,000", "-12,345,678"]);
        let units = [quantity(20_300.0, "µs"), quantity(3_180.0, "B"), quantity(7.9e5, "/s")];
        assert_eq!(units, ["20.3 ms", "3,180 B", "790 k/s"]);
    }

    #[test]
    fn a_target_is_met_from_its_own_side() {
        assert_eq!(Target::AtLeast(0.5).is_met(0.5), Some(true));
        assert_eq!(Target::AtLeast(0.5).is_met(0.49), Some(false));
        assert_eq!(Target::AtMost(2.0).is_met(2.1), Some(false));
        assert_eq!(Target::AtMost(2.0).is_met(f64::NAN), Some(false));
        assert_eq!(Target::None.is_met(1.0), None);
    }

    #[test]
    fn a_distribution_goes_no_further_than_its_values() {
        let sample: Sample = (1..=100).map(f64::from).collect();
        let distribution = Distribution::of("chart", "name", &sample);
        assert!(distribution.points.windows(2).all(|two| two[0].0 < two[1].0));
        assert!(distribution.points.last().is_some_and(|last| last.0 <= 0.99));
    }
}
