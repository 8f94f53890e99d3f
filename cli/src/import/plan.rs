//! What every change of a commit means for the files of the import: pure decisions.
//!
//! A commit's changes are [taken](Plan::take) together, which frees the paths that they leave, and then
//! [settled](Plan::settle) one by one, once each file's content has been looked at.
//!
//! Invariants:
//! - a file keeps its number through all its names, and while its content is not importable;
//! - the text an edit starts from is the one that the file was left with, whatever Git compares with;
//! - memory grows with the files of one commit, not with history.

use std::collections::HashMap;

use crate::git::{Change, Entry, Mode, ObjectId, RepoPath};
use crate::import::class::{PATH_BYTES_MAX, Skip};
use crate::import::report::Skipped;
use crate::import::step::FileId;

/// The files at the commit that was settled last.
#[derive(Default)]
pub struct Plan {
    places: HashMap<RepoPath, Place>,
    files: u32,
    skipped: Skipped,
}

/// What a path holds.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Why the content is left out, if it is.
    skip: Option<Skip>,
    /// The item that stands for the path; deleted while `skip` is set.
    item: Option<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    file: FileId,
    /// The content that it was left with.
    object: ObjectId,
    /// The path changed while the item was deleted.
    moved: bool,
}

/// A change whose content has still to be looked at.
pub struct Pending {
    path: RepoPath,
    /// What the path is to hold; nothing if it is freed.
    target: Option<(Mode, ObjectId)>,
    /// What the path held, or the one that this was moved away from.
    place: Place,
    moved: bool,
}

/// What a path holds, once it has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Gone,
    /// This text.
    Text(ObjectId),
    /// Something that is left out.
    Skip(Skip),
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// A file appears.
    Create(FileId),
    /// A file goes.
    Delete(FileId),
    /// A file changes.
    Change {
        /// Which.
        file: FileId,
        /// It was deleted, and is back.
        restored: bool,
        /// It has another path.
        renamed: bool,
        /// It has another content: this is the one it had.
        from: Option<ObjectId>,
    },
}

impl Plan {
    /// Takes the changes of one commit.
    pub fn take(&mut self, changes: Vec<Change>) -> Vec<Pending> {
        changes.into_iter().map(|change| self.free(change)).collect()
    }

    fn free(&mut self, change: Change) -> Pending {
        let (path, target, from) = match change {
            Change::Delete { path } => (path, None, None),
            Change::Put { entry: Entry { path, mode, object }, from } => {
                (path, Some((mode, object)), from)
            }
        };
        let place = self.places.remove(from.as_ref().unwrap_or(&path)).unwrap_or_default();
        Pending { path, target, place, moved: from.is_some() }
    }

    /// Records what a change came to, and says what it means.
    pub fn settle(&mut self, pending: Pending, verdict: Verdict) -> Action {
        let Pending { path, place: Place { skip, item }, moved, .. } = pending;
        let live = item.filter(|_| skip.is_none());
        match verdict {
            Verdict::Gone => live.map_or(Action::Nothing, |item| Action::Delete(item.file)),
            Verdict::Skip(reason) => {
                if skip != Some(reason) {
                    self.skipped.count(reason, &path);
                }
                let item = item.map(|item| Item { moved: item.moved || moved, ..item });
                self.places.insert(path, Place { skip: Some(reason), item });
                live.map_or(Action::Nothing, |item| Action::Delete(item.file))
            }
            Verdict::Text(object) => {
                let file = item.map_or_else(|| self.next_file(), |item| item.file);
                let kept = Item { file, object, moved: false };
                self.places.insert(path, Place { skip: None, item: Some(kept) });
                let Some(item) = item else { return Action::Create(file) };
                let from = (item.object != object).then_some(item.object);
                let (restored, renamed) = (skip.is_some(), moved || item.moved);
                match from {
                    None if !restored && !renamed => Action::Nothing,
                    _ => Action::Change { file, restored, renamed, from },
                }
            }
        }
    }

    /// What was left out, over all of history and at the last commit.
    pub fn into_skipped(mut self) -> Skipped {
        for reason in self.places.values().filter_map(|place| place.skip) {
            self.skipped.count_at_head(reason);
        }
        self.skipped
    }

    fn next_file(&mut self) -> FileId {
        let file = FileId(self.files);
        self.files =
            self.files.checked_add(1).expect("Git cannot list four thousand million files");
        file
    }
}

impl Pending {
    /// The path.
    pub fn path(&self) -> &RepoPath {
        &self.path
    }

    /// The verdict, if it does not take the content to tell.
    pub fn decided(&self) -> Option<Verdict> {
        let Some((mode, object)) = self.target else { return Some(Verdict::Gone) };
        match mode {
            Mode::Symlink => Some(Verdict::Skip(Skip::Symlink)),
            Mode::Submodule => Some(Verdict::Skip(Skip::Submodule)),
            Mode::File if self.path.as_bytes().len() > PATH_BYTES_MAX => {
                Some(Verdict::Skip(Skip::OverLarge))
            }
            Mode::File => (self.left_with() == Some(object)).then_some(Verdict::Text(object)),
        }
    }

    /// The content to look at, if the path is to hold one.
    pub fn object(&self) -> Option<ObjectId> {
        self.target.map(|(_, object)| object)
    }

    /// The text that the item was left with: what an edit would start from.
    pub fn left_with(&self) -> Option<ObjectId> {
        self.place.item.map(|item| item.object)
    }
}

#[cfg(test)]
mod tests;
