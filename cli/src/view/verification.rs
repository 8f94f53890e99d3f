//! `systole verify`: whether every block is what its author signed.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::view;

/// How much was verified, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The store's directory.
    pub directory: PathBuf,
    /// Feeds whose heads were checked.
    pub feeds: u64,
    /// Blocks whose hashes were checked.
    pub blocks: u64,
    /// Their size.
    pub bytes: u64,
    /// What is wrong.
    pub damage: Vec<Damage>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Something that is not what its author signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The feed.
    pub feed: String,
    /// The block, if it is one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = format!(
            "{} of {} ({}) in {}",
            view::count(self.blocks, "block"),
            view::count(self.feeds, "feed"),
            view::bytes(self.bytes),
            view::seconds(self.seconds),
        );
        if self.is_clean() {
            return write!(f, "verified {amount}: everything is what its author signed");
        }
        write!(f, "DAMAGED: {} found", view::count(self.damage.len() as u64, "problem"))?;
        write!(f, " in {}", view::escaped(&self.directory.display().to_string()))?;
        for Damage { feed, seq, problem, advice } in &self.damage {
            write!(f, "\n  feed {}", view::escaped(feed))?;
            if let Some(seq) = seq {
                write!(f, ", block {seq}")?;
            }
            write!(f, ": {}", view::escaped(problem))?;
            write!(f, "\n    {}", view::escaped(advice))?;
        }
        write!(f, "\nchecked {amount}")
    }
}
