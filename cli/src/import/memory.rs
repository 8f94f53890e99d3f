//! A sink in memory: what the steps of an import mean, in the plainest way. For tests.
//!
//! Invariant: a step that breaks a rule of [`Step`] is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::diff;
use crate::error::{Error, Result};
use crate::import::{AuthorId, Figures, File, FileId, Sink, Step};

/// Files in memory.
#[derive(Debug, Default)]
pub struct Memory {
    files: BTreeMap<FileId, File>,
    deleted: BTreeSet<FileId>,
    authors: u32,
    /// Author of the commit that is being written.
    author: Option<AuthorId>,
    /// Every author who wrote to a file.
    pub writers: BTreeMap<FileId, BTreeSet<AuthorId>>,
}

impl Memory {
    /// Whether this file is deleted.
    pub fn is_deleted(&self, file: FileId) -> bool {
        self.deleted.contains(&file)
    }

    /// A file, deleted or not.
    pub fn file(&self, file: FileId) -> Option<&File> {
        self.files.get(&file)
    }

    /// A live file by its path.
    pub fn at(&self, path: &str) -> Option<FileId> {
        let mut live = self.files.iter().filter(|(file, _)| !self.is_deleted(**file));
        live.find(|(_, held)| held.path == path).map(|(file, _)| *file)
    }

    fn write(&mut self, file: FileId) -> Result<&mut File> {
        let author = self.author.ok_or_else(|| broken("a change outside a commit"))?;
        if self.deleted.contains(&file) {
            return Err(broken("a change of a deleted file"));
        }
        self.writers.entry(file).or_default().insert(author);
        self.files.get_mut(&file).ok_or_else(|| broken("a change of an unknown file"))
    }
}

impl Sink for Memory {
    async fn apply(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Author { author, .. } if author.0 == self.authors => self.authors += 1,
            Step::Author { .. } => return Err(broken("an author out of order")),
            Step::Commit { author, .. } if author.0 < self.authors => self.author = Some(author),
            Step::Commit { .. } => return Err(broken("a commit by an unknown author")),
            Step::Create { file, .. } if file.0 as usize != self.files.len() => {
                return Err(broken("a file out of order"));
            }
            Step::Create { file, path, text } => {
                self.files.insert(file, File { path, text });
                self.write(file)?;
            }
            Step::Edit { file, edits } => {
                let held = self.write(file)?;
                held.text = diff::apply(&held.text, &edits).map_err(Error::engine)?;
            }
            Step::Rename { file, path } => self.write(file)?.path = path,
            Step::Delete { file } => {
                self.write(file)?;
                self.deleted.insert(file);
            }
            Step::Restore { file } => {
                if !self.deleted.remove(&file) {
                    return Err(broken("a restored file that was not deleted"));
                }
                self.write(file)?;
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    async fn reopen(&mut self) -> Result<Duration> {
        Ok(Duration::ZERO)
    }

    async fn figures(&mut self) -> Result<Figures> {
        Ok(Figures::default())
    }

    async fn live(&mut self) -> Result<Vec<FileId>> {
        Ok(self.files.keys().filter(|file| !self.is_deleted(**file)).copied().collect())
    }

    async fn read(&mut self, file: FileId) -> Result<File> {
        self.file(file).cloned().ok_or_else(|| broken("no such file"))
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

fn broken(rule: &'static str) -> Error {
    Error::engine(rule)
}
