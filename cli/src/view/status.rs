//! `systole status`: what a store holds, at a glance.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::view::{self, Table};

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its directory.
    pub directory: PathBuf,
    /// Size on disk.
    pub disk_bytes: u64,
    /// Its parties.
    pub parties: Vec<Party>,
}

/// A party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its key.
    pub party: String,
    /// Its state: active, paused, closed.
    pub state: String,
    /// Number of feeds.
    pub feeds: u64,
    /// Number of members.
    pub members: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Number of items that are not deleted.
    pub items: u64,
    /// Number of items that are.
    pub deleted_items: u64,
    /// Messages set aside because they, or their model, failed.
    pub quarantined: u64,
    /// What the party cannot go on without.
    pub waiting: Vec<Wait>,
}

/// Blocks that a party waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The feed.
    pub feed: String,
    /// How many of its blocks are there.
    pub have: u64,
    /// How many are needed.
    pub want: u64,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parties, size) = (self.parties.len() as u64, view::bytes(self.disk_bytes));
        write!(f, "{}: ", view::escaped(&self.directory.display().to_string()))?;
        match parties {
            1 => write!(f, "1 party")?,
            _ => write!(f, "{} parties", view::grouped(parties))?,
        }
        write!(f, ", {size} on disk")?;
        if self.parties.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&[
            "PARTY",
            "STATE",
            "MEMBERS#",
            "FEEDS#",
            "BLOCKS#",
            "ITEMS#",
            "DELETED#",
            "QUARANTINED#",
        ]);
        for party in &self.parties {
            table.row([
                &party.party,
                &party.state,
                &view::grouped(party.members),
                &view::grouped(party.feeds),
                &view::grouped(party.blocks),
                &view::grouped(party.items),
                &view::grouped(party.deleted_items),
                &view::grouped(party.quarantined),
            ]);
        }
        write!(f, "\n\n{table}")?;
        for party in self.parties.iter().filter(|party| !party.waiting.is_empty()) {
            write!(f, "\n\nparty {} waits for", party.party)?;
            for Wait { feed, have, want } in &party.waiting {
                let (have, want) = (view::grouped(*have), view::grouped(*want));
                write!(f, "\n  feed {feed}: has {have} blocks, needs {want}")?;
            }
        }
        Ok(())
    }
}
