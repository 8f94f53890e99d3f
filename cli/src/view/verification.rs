//! `systole verify`: whether everything stored is what its authors signed, and follows from it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::view;

/// How much was verified, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// The store's directory.
    pub directory: PathBuf,
    /// Feeds with blocks.
    pub feeds: u64,
    /// Blocks whose hashes were checked.
    pub blocks: u64,
    /// Their size.
    pub bytes: u64,
    /// Signed heads.
    pub heads: u64,
    /// Items whose records and logs were made again from the blocks.
    pub items: u64,
    /// Messages in those logs.
    pub messages: u64,
    /// Checkpoints that were compared with a full replay.
    pub checkpoints: u64,
    /// Blocks and checkpoints that could not be compared, for blocks before them are damaged.
    pub skipped: u64,
    /// What is wrong: the causes first, not all of it if there is much.
    pub damage: Vec<Damage>,
    /// How much is wrong in all.
    pub damage_total: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Something that is not what it was when it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind of thing it is.
    pub kind: String,
    /// The feed that it belongs to.
    pub feed: Option<String>,
    /// The first block that may be meant.
    pub first_block: Option<u64>,
    /// The last one.
    pub last_block: Option<u64>,
    /// The item that it belongs to.
    pub item: Option<String>,
    /// All of it and what is wrong with it, in words.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damage_total == 0
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_clean() {
            write!(f, "DAMAGED: {} found", view::count(self.damage_total, "problem"))?;
            writeln!(f, " in {}", view::escaped(&self.directory.display().to_string()))?;
            let mut advice = None;
            for damage in &self.damage {
                // The same advice is given once for all that it is about.
                if let Some(given) = advice.replace(&damage.advice)
                    && *given != damage.advice
                {
                    writeln!(f, "    what to do: {}", view::escaped(given))?;
                }
                writeln!(f, "  {}", view::escaped(&damage.problem))?;
            }
            if let Some(given) = advice {
                writeln!(f, "    what to do: {}", view::escaped(given))?;
            }
            let unnamed = self.damage_total - self.damage.len() as u64;
            if unnamed > 0 {
                writeln!(f, "  and {} more", view::grouped(unnamed))?;
            }
        }
        writeln!(
            f,
            "verified {} of {} ({}) under {} in {}",
            view::count(self.blocks, "block"),
            view::count(self.feeds, "feed"),
            view::bytes(self.bytes),
            view::count(self.heads, "signed head"),
            view::seconds(self.seconds),
        )?;
        write!(
            f,
            "  made again from them: {} with {}; {} compared",
            view::count(self.items, "item"),
            view::count(self.messages, "message"),
            view::count(self.checkpoints, "checkpoint"),
        )?;
        if self.skipped > 0 {
            let skipped = view::grouped(self.skipped);
            write!(f, "\n  not compared, for what they rest on is damaged: {skipped}")?;
        }
        if self.is_clean() {
            write!(f, "\neverything is what its authors signed")?;
        }
        Ok(())
    }
}
