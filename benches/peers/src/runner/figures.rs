//! All that was measured, what failed, and the comparison of what is alike.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use systole_peers_contract::{Failure, Step};

use super::machine::Machine;
use super::plan::Case;
use super::process::Told;

/// The runs of one step of one case.
pub(super) struct Line {
    pub(super) case: Case,
    pub(super) step: Step,
    runs: Vec<Told>,
}

/// A median with the least and the greatest.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        // Of an even number the mean of the two in the middle.
        let median = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { median, least: at(0), greatest: at(last) }
    }
}

impl Line {
    /// Messages a second; of live messages the median latency in microseconds.
    pub(super) fn figure(&self) -> Spread {
        let messages = self.case.messages as f64;
        Spread::of(self.runs.iter().map(|run| match run.latency {
            Some((median, _)) => median,
            None => messages / run.seconds,
        }))
    }

    pub(super) fn latency_99(&self) -> Option<Spread> {
        let all: Option<Vec<f64>> =
            self.runs.iter().map(|run| run.latency.map(|(_, high)| high)).collect();
        all.map(|all| Spread::of(all.into_iter()))
    }

    /// Microseconds that all cores together computed for a message.
    pub(super) fn cpu_micros(&self) -> f64 {
        let messages = self.case.messages as f64;
        Spread::of(self.runs.iter().map(|run| run.cpu_seconds / messages * 1e6)).median
    }

    pub(super) fn peak_mib(&self) -> f64 {
        Spread::of(self.runs.iter().map(|run| run.peak_bytes / f64::from(1 << 20))).median
    }

    /// Bytes on disk for every message.
    pub(super) fn disk_bytes(&self) -> f64 {
        let messages = self.case.messages as f64;
        Spread::of(self.runs.iter().map(|run| run.disk_bytes / messages)).median
    }
}

/// Everything of one run of the runner.
pub(super) struct Figures {
    machine: Machine,
    lines: Vec<Line>,
    /// How often each case synced for a thousand messages.
    pub(super) syncs: Vec<(Case, u64)>,
    lacking: BTreeMap<&'static str, String>,
    failed: BTreeMap<String, String>,
}

impl Figures {
    pub(super) fn new(machine: Machine) -> Self {
        let (lines, syncs) = (Vec::new(), Vec::new());
        Self { machine, lines, syncs, lacking: BTreeMap::new(), failed: BTreeMap::new() }
    }

    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A system that cannot be measured here.
    pub(super) fn lacks(&mut self, system: &'static str, why: &str) {
        self.lacking.entry(system).or_insert_with(|| {
            eprintln!("{system} is not measured: {why}");
            why.to_owned()
        });
    }

    /// Takes what a run told, if the state is right.
    pub(super) fn take(
        &mut self,
        case: &Case,
        step: Step,
        told: Result<Told, Failure>,
        expected: &str,
    ) {
        let told = told.and_then(|told| {
            let is_right = told.state == expected;
            let wrong = format!("{} of {case}: the state is {}", step.name(), told.state);
            if is_right { Ok(told) } else { Err(Failure::from(wrong)) }
        });
        let told = match told {
            Ok(told) => told,
            Err(failure) => {
                eprintln!("FAILED {failure}");
                self.failed.insert(key(case, step), failure.to_string());
                return;
            }
        };
        let line = self.lines.iter_mut().find(|line| line.step == step && line.case.is_same(case));
        match line {
            Some(line) => line.runs.push(told),
            None => self.lines.push(Line { case: *case, step, runs: vec![told] }),
        }
    }

    pub(super) fn has_failed(&self, case: &Case, step: Step) -> bool {
        self.failed.contains_key(&key(case, step))
    }

    /// Nothing failed, and Systole itself was measured.
    pub(super) fn all_went_well(&self) -> bool {
        self.failed.is_empty() && self.lines.iter().any(|line| line.case.is_own())
    }

    /// The lines of a step: Systole's first, buffered before synced, great counts before small; then peer by peer.
    pub(super) fn of(&self, step: Step) -> Vec<&Line> {
        let mut lines: Vec<_> = self.lines.iter().filter(|line| line.step == step).collect();
        lines.sort_by_key(|line| {
            let own = (line.case.durability.name(), Reverse(line.case.messages));
            (!line.case.is_own(), line.case.is_own().then_some(own))
        });
        lines
    }

    /// How many times as fast as this peer Systole was with the same count and durability.
    pub(super) fn ratio(&self, line: &Line) -> Option<f64> {
        if line.case.is_own() {
            return None;
        }
        let step = Case::own_step(line.step);
        let own = self
            .lines
            .iter()
            .find(|own| own.case.is_own() && own.step == step && own.case.is_like(&line.case))?;
        let (own, theirs) = (own.figure().median, line.figure().median);
        Some(if line.step == Step::Live { theirs / own } else { own / theirs })
    }

    pub(super) fn lacking(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lacking.iter().map(|(system, why)| (*system, why.as_str()))
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = &str> {
        self.failed.values().map(String::as_str)
    }

    pub(super) fn json(&self) -> String {
        let lines = self.lines.iter().filter(|line| line.step != Step::Populate).map(|line| {
            let figure = line.figure();
            json!({
                "step": line.step.name(),
                "system": line.case.system.name,
                "durability": line.case.durability.name(),
                "messages": line.case.messages,
                "unit": if line.step == Step::Live { "us" } else { "messages/s" },
                "median": figure.median,
                "least": figure.least,
                "greatest": figure.greatest,
                "p99_us": line.latency_99().map(|spread| spread.median),
                "ratio": self.ratio(line),
                "target": line.case.target(line.step),
                "cpu_us_per_message": line.cpu_micros(),
                "peak_mib": line.peak_mib(),
                "disk_bytes_per_message": line.disk_bytes(),
            })
        });
        let all = json!({
            "machine": self.machine.json(),
            "lines": lines.collect::<Vec<Value>>(),
            "syncs_per_thousand_appends": self
                .syncs
                .iter()
                .map(|(case, syncs)| (case.name(), json!(syncs)))
                .collect::<Map<String, Value>>(),
            "not_measured": self.lacking,
            "failed": self.failed,
        });
        format!("{all:#}\n")
    }
}

fn key(case: &Case, step: Step) -> String {
    format!("{} of {case}", step.name())
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::super::settings::Settings;
    use super::*;

    fn cases() -> Vec<Case> {
        let line = "--systole s --node n --files f --report r sqlite";
        let settings = Settings::parse(line.split_whitespace().map(str::to_owned)).unwrap();
        Plan::new(&settings).cases().to_vec()
    }

    fn told(seconds: f64, state: &str) -> Result<Told, Failure> {
        let line = json!({
            "seconds": seconds, "cpu_seconds": 1, "state": state, "disk_bytes": 1, "peak_bytes": 1,
        });
        Told::parse(&line.to_string())
    }

    #[test]
    fn a_run_with_another_state_is_an_error_and_has_no_speed() {
        let mut figures = Figures::new(Machine::look());
        let case = cases()[0];
        figures.take(&case, Step::Append, told(1.0, "wrong"), "right");
        assert!(figures.of(Step::Append).is_empty() && figures.has_failed(&case, Step::Append));
        assert!(!figures.all_went_well());
        figures.take(&case, Step::Replay, told(1.0, "right"), "right");
        assert_eq!(figures.of(Step::Replay).len(), 1);
    }

    #[test]
    fn a_ratio_is_of_cases_that_are_alike() {
        let mut figures = Figures::new(Machine::look());
        let cases = cases();
        for case in &cases {
            let seconds = if case.is_own() { 1.0 } else { 3.0 };
            figures.take(case, Step::Append, told(seconds, "right"), "right");
        }
        let (own, peers): (Vec<_>, Vec<_>) =
            figures.of(Step::Append).into_iter().partition(|line| line.case.is_own());
        assert!(!own.is_empty() && own.iter().all(|line| figures.ratio(line).is_none()));
        assert!(!peers.is_empty() && peers.iter().all(|line| figures.ratio(line) == Some(3.0)));
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        let odd = Spread::of([3.0, 1.0, 9.0].into_iter());
        assert_eq!((odd.median, odd.least, odd.greatest), (3.0, 1.0, 9.0));
        assert_eq!(Spread::of([1.0, 2.0].into_iter()).median, 1.5);
    }
}
