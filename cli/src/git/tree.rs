//! The files of one commit.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ChildStdout;

use crate::error::Result;
use crate::git::command::Process;
use crate::git::fields::{Fields, invalid};
use crate::git::{Mode, ObjectId, RepoPath};

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path.
    pub path: RepoPath,
    /// What it is.
    pub mode: Mode,
    /// Its content.
    pub object: ObjectId,
}

/// The running list of the files of a commit, in the order of their paths.
pub struct Tree {
    process: Process,
    fields: Fields<BufReader<ChildStdout>>,
}

impl Tree {
    pub(super) fn start(repository: &Path, commit: ObjectId) -> Result<Self> {
        let commit = commit.to_string();
        let arguments = ["-r", "-z", "--full-tree", commit.as_str()];
        let mut process = Process::start(repository, "ls-tree", &arguments, false)?;
        let output = BufReader::with_capacity(64 * 1024, process.take_stdout());
        Ok(Self { process, fields: Fields::new(output) })
    }

    /// The next file; after the last one, whether Git ended well.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        match next(&mut self.fields) {
            Ok(Some(entry)) => Ok(Some(entry)),
            Ok(None) => self.process.finish().map(|()| None),
            Err(error) => Err(self.process.explain(error)),
        }
    }
}

/// Reads `<mode> <type> <object>\t<path>`.
fn next<R: BufRead>(fields: &mut Fields<R>) -> io::Result<Option<Entry>> {
    let Some(field) = fields.next()? else { return Ok(None) };
    let tab = field.iter().position(|&byte| byte == b'\t').ok_or_else(|| invalid("no path"))?;
    let (facts, path) = (&field[..tab], &field[tab + 1..]);
    let mut facts = facts.split(|&byte| byte == b' ');
    let mode = facts.next().and_then(Mode::parse).ok_or_else(|| invalid("unknown file mode"))?;
    let object = facts.nth(1).and_then(ObjectId::parse).ok_or_else(|| invalid("not an id"))?;
    Ok(Some(Entry { path: RepoPath::new(path), mode, object }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_hold_spaces_tabs_and_newlines() {
        let id = "ab".repeat(20);
        let output = format!("100644 blob {id}\ta \t\nb\0160000 commit {id}\tsub\0");
        let mut fields = Fields::new(output.as_bytes());
        let entry = next(&mut fields).unwrap().unwrap();
        assert_eq!((entry.path.as_bytes(), entry.mode), (&b"a \t\nb"[..], Mode::File));
        assert_eq!(next(&mut fields).unwrap().unwrap().mode, Mode::Submodule);
        assert_eq!(next(&mut fields).unwrap(), None);
    }

    #[test]
    fn a_line_that_is_no_entry_is_refused() {
        for output in ["what\0", "100644 blob short\tp\0", "777 blob x\tp\0"] {
            assert!(next(&mut Fields::new(output.as_bytes())).is_err());
        }
    }
}
