//! What an import does to a store, one small step after the other.
//!
//! Invariants of every list of steps:
//! - an author is introduced before the first commit by them, and numbers count up from 0;
//! - every step on a file belongs to the last commit before it, and is its author's;
//! - a file is created once, before any other step on it; while it is deleted, only its restoration
//!   follows;
//! - no step holds more text than fits one message.

use crate::diff::Edit;
use crate::git::ObjectId;

/// An author, by order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorId(pub u32);

/// A file from its creation to its end, through all its names, by order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An author who has not been seen before: becomes a feed.
    Author {
        /// Their number.
        author: AuthorId,
        /// Their name at their first commit.
        name: String,
        /// Their address.
        email: String,
    },
    /// The commit that the steps behind it belong to. Its first message has the last message of the
    /// commit before in its causal past.
    Commit {
        /// Its id.
        id: ObjectId,
        /// Who wrote it.
        author: AuthorId,
        /// When they say they wrote it, in milliseconds since the Unix epoch.
        time_millis: i64,
    },
    /// A file appears: becomes an item.
    Create {
        /// Its number.
        file: FileId,
        /// Its path.
        path: String,
        /// Its content.
        text: String,
    },
    /// A file's content changes.
    Edit {
        /// The file.
        file: FileId,
        /// The changes, each on the text that the one before left.
        edits: Vec<Edit>,
    },
    /// A file gets another path and stays the same item.
    Rename {
        /// The file.
        file: FileId,
        /// Its new path.
        path: String,
    },
    /// A file goes, or stops being text that can be imported.
    Delete {
        /// The file.
        file: FileId,
    },
    /// A deleted file is back with the content it had when it went.
    Restore {
        /// The file.
        file: FileId,
    },
}

impl Step {
    /// About what the step takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Author { name, email, .. } => name.len() + email.len(),
                Self::Create { path, text, .. } => path.len() + text.len(),
                Self::Edit { edits, .. } => edits.iter().map(edit_bytes).sum(),
                Self::Rename { path, .. } => path.len(),
                Self::Commit { .. } | Self::Delete { .. } | Self::Restore { .. } => 0,
            }
    }
}

fn edit_bytes(edit: &Edit) -> usize {
    size_of::<Edit>() + edit.insert.len()
}
