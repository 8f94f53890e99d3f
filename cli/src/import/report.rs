//! What an import did, for people and as JSON.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::git::{ObjectId, RepoPath};
use crate::import::check::Check;
use crate::import::class::{Skip, TEXT_BYTES_MAX};
use crate::import::step::Step;
use crate::view::{self, escaped};

/// How many files of a kind are named; the rest are counted.
pub const NAMES_MAX: usize = 20;

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The repository.
    pub repository: PathBuf,
    /// The commit that was imported up to.
    pub head: ObjectId,
    /// Whether history was cut off before its first commit.
    pub shallow: bool,
    /// How much there was.
    #[serde(flatten)]
    pub counts: Counts,
    /// What was left out.
    pub skipped: Skipped,
    /// What it became.
    pub store: Store,
    /// How it compares with Git.
    pub check: Check,
    /// How long reading and writing took, in seconds.
    pub seconds: f64,
    /// How long the comparison with Git took, in seconds.
    pub check_seconds: f64,
}

/// What an import became, and how it came back when it was closed and opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Store {
    /// Feeds: one per author, and this device's own.
    pub feeds: u64,
    /// Blocks, each with one message.
    pub blocks: u64,
    /// Size on disk.
    pub disk_bytes: u64,
    /// How long opening it again took, in seconds.
    pub open_seconds: f64,
    /// Blocks that were read since then to show every file; checkpoints held the rest.
    pub blocks_read: u64,
}

/// How much an import read and wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Commits along first parents.
    pub commits: u64,
    /// Authors, each a feed.
    pub authors: u64,
    /// Files that became items.
    pub created: u64,
    /// Changes of a file's text.
    pub edited: u64,
    /// Changes of a file's path.
    pub renamed: u64,
    /// Files that went.
    pub deleted: u64,
    /// Files that came back as text.
    pub restored: u64,
}

impl Counts {
    /// Counts one step.
    pub fn count(&mut self, step: &Step) {
        *match step {
            Step::Author { .. } => &mut self.authors,
            Step::Commit { .. } => &mut self.commits,
            Step::Create { .. } => &mut self.created,
            Step::Edit { .. } => &mut self.edited,
            Step::Rename { .. } => &mut self.renamed,
            Step::Delete { .. } => &mut self.deleted,
            Step::Restore { .. } => &mut self.restored,
        } += 1;
    }

    /// Steps on files: at least as many messages.
    pub fn changes(&self) -> u64 {
        self.created + self.edited + self.renamed + self.deleted + self.restored
    }

    /// Files that are items and not deleted.
    pub fn live(&self) -> u64 {
        self.created + self.restored - self.deleted
    }
}

/// What was left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Files that hold a NUL.
    pub binary: Left,
    /// Files above the size limit.
    pub over_large: Left,
    /// Files that are not UTF-8.
    pub not_utf8: Left,
    /// Symbolic links.
    pub symlink: Left,
    /// Commits of other repositories.
    pub submodule: Left,
}

/// Files left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Over all of history; a file that changes between kinds counts as each.
    pub files: u64,
    /// At the last commit.
    pub at_head: u64,
    /// The first of them.
    pub names: Vec<String>,
}

impl Skipped {
    /// Counts a file that is left out from here on.
    pub fn count(&mut self, reason: Skip, path: &RepoPath) {
        let left = self.left_mut(reason);
        left.files += 1;
        if left.names.len() < NAMES_MAX {
            left.names.push(path.to_text().into_owned());
        }
    }

    /// Counts a file that is left out at the last commit.
    pub fn count_at_head(&mut self, reason: Skip) {
        self.left_mut(reason).at_head += 1;
    }

    fn left_mut(&mut self, reason: Skip) -> &mut Left {
        match reason {
            Skip::Binary => &mut self.binary,
            Skip::OverLarge => &mut self.over_large,
            Skip::NotUtf8 => &mut self.not_utf8,
            Skip::Symlink => &mut self.symlink,
            Skip::Submodule => &mut self.submodule,
        }
    }

    /// The files left out for this reason.
    pub fn left(&self, reason: Skip) -> &Left {
        match reason {
            Skip::Binary => &self.binary,
            Skip::OverLarge => &self.over_large,
            Skip::NotUtf8 => &self.not_utf8,
            Skip::Symlink => &self.symlink,
            Skip::Submodule => &self.submodule,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { commits, authors, created, edited, renamed, deleted, restored } = self.counts;
        let rate = commits as f64 / self.seconds.max(0.001);
        writeln!(
            f,
            "imported {} of {} in {} ({} a second)",
            view::count(commits, "commit"),
            view::count(authors, "author"),
            view::seconds(self.seconds),
            view::grouped(rate as u64),
        )?;
        if self.shallow {
            writeln!(f, "  the clone is shallow: history before its first commit is not there")?;
        }
        writeln!(
            f,
            "  {} created, {}, {} renamed, {} deleted, {} restored",
            view::count(created, "item"),
            view::count(edited, "edit"),
            view::grouped(renamed),
            view::grouped(deleted),
            view::grouped(restored),
        )?;
        self.skipped.fmt(f)?;
        self.store.fmt(f)?;
        self.check.fmt(f)?;
        write!(f, "  read back and compared in {}", view::seconds(self.check_seconds))
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "stored as {} of {}, {}",
            view::count(self.blocks, "signed block"),
            view::count(self.feeds, "feed"),
            view::bytes(self.disk_bytes),
        )?;
        writeln!(
            f,
            "closed, and opened again in {}; to show every file, {} read, checkpoints held the rest",
            view::seconds(self.open_seconds),
            view::count(self.blocks_read, "block"),
        )
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reason in Skip::ALL {
            let left = self.left(reason);
            if left.files == 0 {
                continue;
            }
            write!(f, "left out, {}", reason.label())?;
            if reason == Skip::OverLarge {
                write!(f, " (above {})", view::bytes(TEXT_BYTES_MAX))?;
            }
            let files = view::count(left.files, "file");
            writeln!(f, ": {files} in history, {} at HEAD", view::grouped(left.at_head))?;
            for name in &left.names {
                writeln!(f, "  {}", escaped(name))?;
            }
            let unnamed = left.files - left.names.len() as u64;
            if unnamed > 0 {
                writeln!(f, "  and {} more", view::grouped(unnamed))?;
            }
        }
        Ok(())
    }
}
