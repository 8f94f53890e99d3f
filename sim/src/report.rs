//! What a simulation went through, and what it found: a report, or a failure with its story.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use crate::oracle::{Oracle, Violation};

/// What happened in one history, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Steps of plans, the healing at the end not counted.
    pub steps: u64,
    /// Transactions acknowledged.
    pub writes: u64,
    /// Messages written by honest devices.
    pub messages: u64,
    /// Messages processed by all devices together.
    pub processed: u64,
    /// Ranges of blocks that reached a device.
    pub ranges: u64,
    /// Items at the end of histories.
    pub items: u64,
    /// Power losses, planned and sudden.
    pub crashes: u64,
    /// Restarts with other settings.
    pub restarts: u64,
    /// Disks set back, restored or copied.
    pub restores: u64,
    /// Power cuts planned into the middle of a write or sync, and ranges damaged on their way.
    pub faults: u64,
    /// Blocks by authors that do not keep the rules.
    pub hostile: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.writes += other.writes;
        self.messages += other.messages;
        self.processed += other.processed;
        self.ranges += other.ranges;
        self.items += other.items;
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.restores += other.restores;
        self.faults += other.faults;
        self.hostile += other.hostile;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps, {} writes, {} messages ({} processed), {} ranges, {} items, {} crashes, \
             {} restarts, {} restores, {} faults, {} hostile blocks",
            self.steps,
            self.writes,
            self.messages,
            self.processed,
            self.ranges,
            self.items,
            self.crashes,
            self.restarts,
            self.restores,
            self.faults,
            self.hostile
        )
    }
}

/// What a simulation went through without finding anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Histories, one for each seed.
    pub histories: u64,
    /// What happened in them.
    pub counts: Counts,
    /// Hash over the traces of all histories: the same whenever the same seeds run.
    pub trace: [u8; 32],
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} histories: {}", self.histories, self.counts)
    }
}

/// A broken promise: which one, the seed that shows it, and the shortest story found. `Debug` reads like
/// `Display`, so that `unwrap` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) violation: Violation,
    pub(crate) seed: u64,
    pub(crate) histories: u64,
    pub(crate) steps: (usize, usize),
    pub(crate) story: Vec<String>,
}

impl Failure {
    /// The promise that is broken.
    pub fn oracle(&self) -> Oracle {
        self.violation.oracle
    }

    /// What was found.
    pub fn detail(&self) -> &str {
        &self.violation.detail
    }

    /// The seed of the history.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many histories ran until it was found, this one included.
    pub fn histories(&self) -> u64 {
        self.histories
    }

    /// What happens in the shortest history found, in plain words.
    pub fn story(&self) -> &[String] {
        &self.story
    }

    /// How many steps that history has, and how many it had before it was shortened.
    pub fn steps(&self) -> (usize, usize) {
        self.steps
    }

    /// The command that runs this history again.
    pub fn command(&self) -> String {
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
        format!("SYSTOLE_SIM_SEED={} cargo test {test}", self.seed).trim_end().to_owned()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.violation.oracle, self.violation.detail)?;
        writeln!(f, "seed {}, again with: {}", self.seed, self.command())?;
        let (short, long) = self.steps;
        writeln!(f, "the shortest story found ({short} steps of {long}):")?;
        self.story.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Failure {}
