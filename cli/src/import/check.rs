//! The comparison of a finished import with Git: every file at HEAD, byte for byte.
//!
//! Invariant: nothing that the import remembers is trusted. What Git has at HEAD is listed and looked
//! at again, and what the store holds is read back.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::git::{Blobs, Mode, ObjectId, PIPELINE_MAX, Repository};
use crate::import::class::{PATH_BYTES_MAX, TEXT_BYTES_MAX, text};
use crate::import::report::NAMES_MAX;
use crate::import::{File, Sink};
use crate::progress::Progress;
use crate::view::{self, escaped};

/// How a store compares with Git.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Files that are the same.
    pub same: u64,
    /// Their size.
    pub bytes: u64,
    /// Files that are not.
    pub different: u64,
    /// The first of those.
    pub differences: Vec<Difference>,
}

/// One file that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its path.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
}

/// How a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// Git has it, the store does not.
    Missing,
    /// The store has it, Git does not, or has something there that is left out.
    Extra,
    /// The contents differ.
    Content {
        /// From this byte on.
        at: u64,
    },
}

impl Check {
    /// Whether the store holds what Git holds.
    pub fn is_clean(&self) -> bool {
        self.different == 0
    }

    fn record(&mut self, path: &str, problem: Problem) {
        self.different += 1;
        if self.differences.len() < NAMES_MAX {
            self.differences.push(Difference { path: path.to_owned(), problem });
        }
    }

    fn compare(&mut self, path: &str, ours: &str, theirs: &str) {
        if ours == theirs {
            self.same += 1;
            self.bytes += ours.len() as u64;
            return;
        }
        let at =
            ours.bytes().zip(theirs.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
        self.record(path, Problem::Content { at: at as u64 });
    }
}

/// Compares every live file of the sink with the files at HEAD.
pub async fn check(
    repository: &Repository,
    sink: &mut impl Sink,
    progress: &mut Progress,
) -> Result<Check> {
    let mut check = Check::default();
    let mut head = files(repository)?;
    let mut blobs = repository.blobs(TEXT_BYTES_MAX)?;
    let live = sink.live().await?;
    progress.start("comparing with Git", "files", live.len() as u64);
    for group in live.chunks(PIPELINE_MAX) {
        let mut found = Vec::with_capacity(group.len());
        for &file in group {
            let File { path, text } = sink.read(file).await?;
            match head.remove(&path) {
                Some(object) => found.push((path, text, object)),
                None => check.record(&path, Problem::Extra),
            }
        }
        let objects: Vec<ObjectId> = found.iter().map(|(.., object)| *object).collect();
        blobs.ask(&objects)?;
        for (path, ours, _) in found {
            match text(blobs.take()?) {
                Ok(theirs) => check.compare(&path, &ours, &theirs),
                Err(_) => check.record(&path, Problem::Extra),
            }
        }
        progress.advance(group.len() as u64, 0);
    }
    missing(head, &mut blobs, &mut check)?;
    progress.end();
    Ok(check)
}

/// The regular files at HEAD.
fn files(repository: &Repository) -> Result<BTreeMap<String, ObjectId>> {
    let mut files = BTreeMap::new();
    let mut tree = repository.tree()?;
    while let Some(entry) = tree.next_entry()? {
        if entry.mode == Mode::File && entry.path.as_bytes().len() <= PATH_BYTES_MAX {
            files.insert(entry.path.to_text().into_owned(), entry.object);
        }
    }
    Ok(files)
}

/// What the store does not hold must be something that is left out.
fn missing(rest: BTreeMap<String, ObjectId>, blobs: &mut Blobs, check: &mut Check) -> Result<()> {
    let rest: Vec<(String, ObjectId)> = rest.into_iter().collect();
    for group in rest.chunks(PIPELINE_MAX) {
        let objects: Vec<ObjectId> = group.iter().map(|(_, object)| *object).collect();
        blobs.ask(&objects)?;
        for (path, _) in group {
            if text(blobs.take()?).is_ok() {
                check.record(path, Problem::Missing);
            }
        }
    }
    Ok(())
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, bytes) = (view::count(self.same, "file"), view::bytes(self.bytes));
        if self.is_clean() {
            return writeln!(
                f,
                "every text file at HEAD is byte for byte what Git has: {files}, {bytes}"
            );
        }
        let different = view::count(self.different, "file");
        writeln!(f, "DIFFERENT FROM GIT: {different}; the same: {files}, {bytes}")?;
        for Difference { path, problem } in &self.differences {
            write!(f, "  {}: ", escaped(path))?;
            match problem {
                Problem::Missing => writeln!(f, "missing from the import")?,
                Problem::Extra => writeln!(f, "in the import, but no text file at HEAD")?,
                Problem::Content { at } => writeln!(f, "differs from byte {at} on")?,
            }
        }
        let unnamed = self.different - self.differences.len() as u64;
        if unnamed > 0 {
            writeln!(f, "  and {} more", view::grouped(unnamed))?;
        }
        Ok(())
    }
}
