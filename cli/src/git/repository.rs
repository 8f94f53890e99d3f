//! One repository at one commit: what is checked before anything is read.
//!
//! Invariant: the commit at HEAD is resolved once; a branch that moves during the import changes
//! nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::git::command::{self, Answer};
use crate::git::{Blobs, History, ObjectId, Tree};

/// The first version of Git that lists merges against their first parent.
pub const VERSION_MIN: (u32, u32) = (2, 31);

/// A repository, and the commit its HEAD named when it was opened.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
    head: ObjectId,
    shallow: bool,
}

impl Repository {
    /// Opens the checkout or bare repository at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoSuchDirectory { path: path.to_owned() });
            }
            Err(error) => return Err(Error::io(format!("reading {}", path.display()), error)),
            Ok(found) if !found.is_dir() => {
                return Err(Error::NotARepository { path: path.to_owned() });
            }
            Ok(_) => check_version(path)?,
        }
        let shallow = ask(path, &["rev-parse", "--is-shallow-repository"])? == "true";
        // Git looks upwards for a repository. Importing one that merely surrounds the folder would be
        // a surprise.
        let up = ask(path, &["rev-parse", "--show-cdup"])?;
        if !up.is_empty() {
            let top = path.join(up);
            let top = fs::canonicalize(&top).unwrap_or(top);
            return Err(Error::InsideRepository { path: path.to_owned(), top });
        }
        let answer = command::run(path, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        let head = match answer.code {
            Some(0) => id(&answer.output)?,
            Some(1) => return Err(Error::EmptyRepository { path: path.to_owned() }),
            _ => return Err(command::failure(path, "rev-parse", &answer.diagnostics)),
        };
        Ok(Self { path: path.to_owned(), head, shallow })
    }

    /// Where the repository is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that is imported up to.
    pub fn head(&self) -> ObjectId {
        self.head
    }

    /// Whether history is cut off: the oldest commit present counts as the first.
    pub fn is_shallow(&self) -> bool {
        self.shallow
    }

    /// How many commits [`Repository::history`] will list.
    pub fn count_commits(&self) -> Result<u64> {
        let head = self.head.to_string();
        let told = ask(&self.path, &["rev-list", "--count", "--first-parent", &head])?;
        told.parse().map_err(|_| Error::GitOutput {
            command: "rev-list".into(),
            problem: format!("not a number: {told}"),
        })
    }

    /// The commits from the first to HEAD, along first parents.
    pub fn history(&self) -> Result<History> {
        History::start(&self.path, self.head)
    }

    /// The contents of files, those above `bytes_max` excepted.
    pub fn blobs(&self, bytes_max: u64) -> Result<Blobs> {
        Blobs::start(&self.path, bytes_max)
    }

    /// The files at HEAD.
    pub fn tree(&self) -> Result<Tree> {
        Tree::start(&self.path, self.head)
    }
}

fn check_version(path: &Path) -> Result<()> {
    let found = ask(path, &["--version"])?;
    if version(&found).is_some_and(|version| version < VERSION_MIN) {
        return Err(Error::GitTooOld { found });
    }
    Ok(())
}

/// Major and minor number in `git version 2.47.3 (vendor)`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.split(' ').nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The one line that a command answers with.
fn ask(path: &Path, arguments: &[&str]) -> Result<String> {
    let Answer { code, output, diagnostics } = command::run(path, arguments)?;
    if code != Some(0) {
        return Err(command::failure(path, arguments[0], &diagnostics));
    }
    Ok(String::from_utf8_lossy(&output).trim_end_matches(['\n', '\r']).to_owned())
}

fn id(output: &[u8]) -> Result<ObjectId> {
    ObjectId::parse(output.trim_ascii_end()).ok_or_else(|| Error::GitOutput {
        command: "rev-parse".into(),
        problem: "not an object id".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_whatever_its_vendor_appends() {
        assert_eq!(version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 2.45.1.windows.1"), Some((2, 45)));
        assert_eq!(version("something else"), None);
    }
}
