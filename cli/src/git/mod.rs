//! Reading a Git repository through the `git` program: history, trees and contents as streams.
//!
//! Invariants:
//! - memory is bounded: one commit's list of changes, and a few contents up to a named size, at a time;
//! - the answer depends on the repository alone: every setting of the user that could change what is
//!   listed is overridden, and nothing is written, fetched or executed on the repository's behalf;
//! - what `git` writes is input from outside: it is checked and bounded, never trusted.

mod blobs;
mod command;
mod fields;
mod history;
mod object;
mod path;
mod repository;
mod tree;

pub use blobs::{Blob, Blobs, PIPELINE_MAX};
pub use history::{Change, Commit, History};
pub use object::{Mode, ObjectId};
pub use path::RepoPath;
pub use repository::{Repository, VERSION_MIN};
pub use tree::{Entry, Tree};
