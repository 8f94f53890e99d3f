//! W5: 64 parties at once, each a small W1, written by an engine each and taken in by one.

use std::path::{Path, PathBuf};

use systole::{ItemId, PartyKey};
use tempfile::TempDir;

use super::fingerprint;
use super::objects::source;
use crate::workload::Shape;
use crate::{Failure, Run};

/// Parties of a full run.
pub const PARTIES: u64 = 64;
/// Items of each.
const ITEMS: u64 = 16;
/// Messages of each in a full run.
pub const MESSAGES: u64 = 4_000;

/// The parties' files: a folder with the numbers `0`, `1`, and so on.
#[derive(Debug)]
pub struct Parties {
    directory: TempDir,
    /// How many.
    pub parties: u64,
    /// Messages of all of them.
    pub messages: u64,
    /// How all items look in the end.
    pub fingerprint: u64,
}

/// Where one of the parties stands.
#[derive(Debug)]
pub struct PartyFiles {
    /// Ranges that admit its feeds and create its items.
    pub beginning: PathBuf,
    /// The other ranges.
    pub rest: PathBuf,
    /// The party's key and its items, a line each.
    pub facts: PathBuf,
}

impl Parties {
    /// W5 in the size of this run.
    pub async fn write(run: &Run) -> Result<Self, Failure> {
        let directory = run.directory()?;
        let parties = if run.smoke { 4 } else { PARTIES };
        let (mut messages, mut digests) = (0, Vec::new());
        for n in 0..parties {
            let shape =
                Shape { feeds: 2, ..Shape::new(ITEMS, run.count(MESSAGES, 200).max(2 * ITEMS)) };
            let written = source(run, shape).await?;
            let files = Self::files(directory.path(), n);
            std::fs::rename(written.directory().join("beginning"), &files.beginning)?;
            std::fs::rename(written.directory().join("rest"), &files.rest)?;
            let mut facts = written.party.to_string();
            for id in &written.items {
                facts.push_str(&format!("\n{id}"));
            }
            std::fs::write(&files.facts, facts)?;
            digests.extend(written.digests);
            messages += written.rest.blocks;
        }
        Ok(Self { directory, parties, messages, fingerprint: fingerprint(&digests) })
    }

    /// The folder of all files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The files of the party `n` in such a folder.
    pub fn files(directory: &Path, n: u64) -> PartyFiles {
        PartyFiles {
            beginning: directory.join(format!("{n}-beginning")),
            rest: directory.join(format!("{n}-rest")),
            facts: directory.join(format!("{n}-facts")),
        }
    }

    /// The party's key and its items.
    pub fn facts(files: &PartyFiles) -> Result<(PartyKey, Vec<ItemId>), Failure> {
        let text = std::fs::read_to_string(&files.facts)?;
        let mut lines = text.lines();
        let party = lines.next().ok_or("the facts are empty")?.parse()?;
        let items = lines.map(str::parse).collect::<Result<_, _>>()?;
        Ok((party, items))
    }
}
