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
    /// What it is made of.
    pub usage: Usage,
    /// Its parties.
    pub parties: Vec<Party>,
}

/// What a store takes on disk and in memory. Bytes, but for the number of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Number of files that hold data.
    pub files: u64,
    /// Their size.
    pub file_bytes: u64,
    /// Size of the logs: what an opening may have to replay.
    pub log_bytes: u64,
    /// What lies in memory, beside the log, and in no file yet.
    pub unflushed_bytes: u64,
    /// What compaction has still to rewrite, by estimate.
    pub pending_compaction_bytes: u64,
}

/// A party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its key.
    pub party: String,
    /// Its state: active, paused, closed, or without genesis.
    pub state: String,
    /// What it holds; unknown of a closed party.
    #[serde(flatten)]
    pub held: Option<Held>,
}

/// What a party holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
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
    /// Blocks set aside because they break a rule.
    pub quarantined: u64,
    /// What the party cannot go on without.
    pub waiting: Vec<Wait>,
    /// Feeds of which nothing more is processed.
    pub halted: Vec<Halt>,
    /// Credentials that do not count yet.
    pub parked: Vec<Parked>,
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

/// A feed of which nothing more is processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Halt {
    /// The feed.
    pub feed: String,
    /// Why.
    pub reason: String,
}

/// A credential that does not count yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// The feed that holds it.
    pub feed: String,
    /// Its position there.
    pub seq: u64,
    /// What would make it count.
    pub waits_for: String,
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
        let Usage { files, file_bytes, log_bytes, pending_compaction_bytes, .. } = self.usage;
        write!(f, "\n{} of {}", view::count(files, "file"), view::bytes(file_bytes))?;
        write!(f, ", {} of logs", view::bytes(log_bytes))?;
        if pending_compaction_bytes > 0 {
            write!(f, ", {} to be compacted", view::bytes(pending_compaction_bytes))?;
        }
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
            let figure = |of: fn(&Held) -> u64| {
                party.held.as_ref().map_or_else(|| "-".to_owned(), |held| view::grouped(of(held)))
            };
            table.row([
                view::short(&party.party),
                &party.state,
                &figure(|held| held.members),
                &figure(|held| held.feeds),
                &figure(|held| held.blocks),
                &figure(|held| held.items),
                &figure(|held| held.deleted_items),
                &figure(|held| held.quarantined),
            ]);
        }
        write!(f, "\n\n{table}")?;
        for party in &self.parties {
            party.fmt_troubles(f)?;
        }
        Ok(())
    }
}

impl Party {
    /// What keeps the party from going on, feed by feed.
    fn fmt_troubles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Held { waiting, halted, parked, .. }) = &self.held else { return Ok(()) };
        if waiting.is_empty() && halted.is_empty() && parked.is_empty() {
            return Ok(());
        }
        write!(f, "\n\nparty {}", view::short(&self.party))?;
        for Wait { feed, have, want } in waiting {
            let (have, want) = (view::count(*have, "block"), view::grouped(*want));
            write!(f, "\n  waits for feed {}: has {have}, needs {want}", view::short(feed))?;
        }
        for Halt { feed, reason } in halted {
            write!(f, "\n  feed {} is halted: {}", view::short(feed), view::escaped(reason))?;
        }
        for Parked { feed, seq, waits_for } in parked {
            let (feed, waits_for) = (view::short(feed), view::escaped(waits_for));
            write!(f, "\n  credential {seq} of feed {feed} waits for {waits_for}")?;
        }
        Ok(())
    }
}
