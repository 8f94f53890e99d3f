//! From a repository to the steps of its import.
//!
//! Invariants:
//! - two contents are in memory at a time, beside the steps of one batch;
//! - a batch holds at most [`BATCH_BYTES_MAX`] and the steps of one change.

use std::collections::HashMap;
use std::vec;

use crate::diff::diff;
use crate::error::{Error, Result};
use crate::git::{Blob, Blobs, Commit, History, ObjectId, PIPELINE_MAX, Repository};
use crate::import::class::{TEXT_BYTES_MAX, text};
use crate::import::plan::{Action, Pending, Plan, Verdict};
use crate::import::report::Skipped;
use crate::import::step::{AuthorId, Step};

/// Size of a batch of steps at which it is handed on.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Reads history and plans its import.
pub struct Reader {
    history: History,
    blobs: Blobs,
    plan: Plan,
    authors: HashMap<String, AuthorId>,
    pending: vec::IntoIter<Pending>,
    batch: Vec<Step>,
    batch_bytes: usize,
}

impl Reader {
    /// Begins at the first commit.
    pub fn open(repository: &Repository) -> Result<Self> {
        Ok(Self {
            history: repository.history()?,
            blobs: repository.blobs(TEXT_BYTES_MAX)?,
            plan: Plan::default(),
            authors: HashMap::new(),
            pending: Vec::new().into_iter(),
            batch: Vec::new(),
            batch_bytes: 0,
        })
    }

    /// The next steps; none at the end.
    pub fn next_batch(&mut self) -> Result<Vec<Step>> {
        while self.batch_bytes < BATCH_BYTES_MAX {
            if self.pending.len() > 0 {
                self.changes()?;
            } else if let Some(commit) = self.history.next_commit()? {
                self.commit(commit);
            } else {
                break;
            }
        }
        self.batch_bytes = 0;
        Ok(std::mem::take(&mut self.batch))
    }

    /// What was left out.
    pub fn into_skipped(self) -> Skipped {
        self.plan.into_skipped()
    }

    fn commit(&mut self, commit: Commit) {
        let Commit { id, name, email, time_seconds, changes } = commit;
        // An address is one person, whatever name they used; without one the name has to do.
        let key = match email.trim() {
            "" => format!("\0{}", name.trim()),
            address => address.to_ascii_lowercase(),
        };
        let next = AuthorId(u32::try_from(self.authors.len()).expect("fewer authors than commits"));
        let author = *self.authors.entry(key).or_insert(next);
        if author == next {
            self.push(Step::Author { author, name, email });
        }
        self.push(Step::Commit { id, author, time_millis: time_seconds.saturating_mul(1000) });
        self.pending = self.plan.take(changes).into_iter();
    }

    /// Settles as many changes as their contents can be asked for at once.
    fn changes(&mut self) -> Result<()> {
        let group: Vec<Pending> = self.pending.by_ref().take(PIPELINE_MAX / 2).collect();
        let undecided = group.iter().filter(|pending| pending.decided().is_none());
        let objects: Vec<ObjectId> = undecided
            .flat_map(|pending| [pending.left_with(), pending.object()])
            .flatten()
            .collect();
        self.blobs.ask(&objects)?;
        for pending in group {
            self.change(pending)?;
        }
        Ok(())
    }

    fn change(&mut self, pending: Pending) -> Result<()> {
        let path = pending.path().to_text().into_owned();
        let (mut old, mut new) = (None, None);
        let verdict = match (pending.decided(), pending.object()) {
            (Some(verdict), _) => verdict,
            (None, None) => Verdict::Gone,
            (None, Some(object)) => {
                old = pending.left_with().map(|_| self.blobs.take()).transpose()?;
                match text(self.blobs.take()?) {
                    Ok(text) => {
                        new = Some(text);
                        Verdict::Text(object)
                    }
                    Err(reason) => Verdict::Skip(reason),
                }
            }
        };
        match (self.plan.settle(pending, verdict), new) {
            (Action::Nothing, _) => {}
            (Action::Delete(file), _) => self.push(Step::Delete { file }),
            (Action::Create(file), text) => {
                let text = text.expect("an item is created for a text that was read");
                self.push(Step::Create { file, path, text });
            }
            (Action::Change { file, restored, renamed, from }, new) => {
                if restored {
                    self.push(Step::Restore { file });
                }
                if renamed {
                    self.push(Step::Rename { file, path });
                }
                if let Some(from) = from {
                    let old = old.expect("the text that the file was left with was asked for");
                    let new = new.expect("a text that differs was read");
                    self.push(Step::Edit { file, edits: diff(&again(old, from)?, &new) });
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, step: Step) {
        self.batch_bytes += step.bytes();
        self.batch.push(step);
    }
}

/// A text that was imported before is still one: its id is its content's hash.
fn again(blob: Blob, object: ObjectId) -> Result<String> {
    text(blob).map_err(|_| Error::GitOutput {
        command: "cat-file".into(),
        problem: format!("{object} was a text before"),
    })
}
