//! How far a long command is: a bar on a terminal, a line every few seconds elsewhere. Always on the
//! error output, so that what a script reads stays clean.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::view;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How long a stage has to run before its rate says anything, and one in how many of its units has to
/// be done: the first commit of a history may be a thousand times the others.
const RATE_AFTER: Duration = Duration::from_secs(2);
const RATE_AFTER_ONE_IN: u64 = 100;

/// Most redraws of the bar in a second.
const REDRAWS_PER_SECOND: u8 = 10;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A bar on a terminal, lines elsewhere.
    Shown,
    /// Nowhere.
    Quiet,
}

/// Progress of one command, stage after stage.
pub struct Progress {
    display: Display,
    bar: ProgressBar,
    what: &'static str,
    unit: &'static str,
    changes: u64,
    line_at: Instant,
}

#[derive(PartialEq, Eq)]
enum Display {
    Bar,
    Lines,
    Nothing,
}

impl Progress {
    /// Progress of a command that has not begun.
    pub fn new(mode: Mode) -> Self {
        let display = match mode {
            Mode::Quiet => Display::Nothing,
            Mode::Shown if std::io::stderr().is_terminal() => Display::Bar,
            Mode::Shown => Display::Lines,
        };
        Self {
            display,
            bar: ProgressBar::hidden(),
            what: "",
            unit: "",
            changes: 0,
            line_at: Instant::now(),
        }
    }

    /// Begins a stage of `total` units.
    pub fn start(&mut self, what: &'static str, unit: &'static str, total: u64) {
        let target = match self.display {
            Display::Bar => ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND),
            Display::Lines | Display::Nothing => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template("{msg:>20} {wide_bar} {prefix}")
            .expect("the template is a constant");
        self.bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        self.bar.set_message(what);
        self.what = what;
        self.unit = unit;
        self.changes = 0;
        self.line_at = Instant::now();
    }

    /// `done` more units are done, and `changes` more of the changes that they are made of.
    pub fn advance(&mut self, done: u64, changes: u64) {
        self.bar.inc(done);
        self.changes += changes;
        if self.display == Display::Bar {
            self.bar.set_prefix(self.figures());
        } else if self.display == Display::Lines && self.line_at.elapsed() >= LINE_EVERY {
            self.line_at = Instant::now();
            // Progress that cannot be shown must not stop the work.
            let _ = writeln!(std::io::stderr(), "{}: {}", self.what, self.figures());
        }
    }

    /// Ends the stage.
    pub fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    fn figures(&self) -> String {
        let total = self.bar.length().unwrap_or_default();
        let done = self.bar.position();
        let mut figures = amount(done, total, self.unit, self.changes);
        if self.bar.elapsed() >= RATE_AFTER && done >= total / RATE_AFTER_ONE_IN {
            figures += &speed(self.bar.per_sec(), self.bar.eta());
        }
        figures
    }
}

fn amount(done: u64, total: u64, unit: &str, changes: u64) -> String {
    let amount = format!("{} of {} {unit}", view::grouped(done), view::grouped(total));
    match changes {
        0 => amount,
        _ => format!("{amount}, {}", view::count(changes, "change")),
    }
}

fn speed(rate: f64, left: Duration) -> String {
    let left = view::seconds(left.as_secs() as f64);
    format!(", {} a second, {left} left", view::grouped(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_name_count_rate_and_time_left() {
        assert_eq!(amount(300, 1743, "files", 0), "300 of 1,743 files");
        let expected = "12,000 of 20,000 commits, 43,210 changes";
        assert_eq!(amount(12_000, 20_000, "commits", 43_210), expected);
        let expected = ", 4,000 a second, 1 min 02 s left";
        assert_eq!(speed(4000.7, Duration::from_secs(62)), expected);
    }

    #[test]
    fn a_stage_counts_whether_or_not_it_is_shown() {
        let mut progress = Progress::new(Mode::Quiet);
        progress.start("reading", "things", 10);
        progress.advance(3, 0);
        progress.advance(4, 1);
        assert_eq!(progress.figures(), "7 of 10 things, 1 change");
        progress.end();
    }
}
