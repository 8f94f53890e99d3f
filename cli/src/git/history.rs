//! The commits along first parents, oldest first, each with the files it changed.
//!
//! Invariants:
//! - commits come in the order in which they were made on top of each other, the first one first;
//! - a merge is listed as its first parent sees it;
//! - within a commit, a path is put or deleted at most once.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ChildStdout;

use crate::error::Result;
use crate::git::command::Process;
use crate::git::fields::{Fields, invalid};
use crate::git::{Entry, Mode, ObjectId, RepoPath};

/// Longest author name or address that is kept.
const NAME_CHARS_MAX: usize = 256;

/// Every option that a user's configuration could set otherwise is named. An empty field opens each
/// commit: no other field of the stream in that place can be empty.
const OPTIONS: [&str; 15] = [
    "--first-parent",
    "--reverse",
    "--diff-merges=first-parent",
    "--raw",
    "--root",
    "-r",
    "-z",
    "-M50%",
    "-l1000",
    "-O/dev/null",
    "--no-abbrev",
    "--no-relative",
    "--no-show-signature",
    "--ignore-submodules=none",
    "--format=tformat:%x00%H%x00%aN%x00%aE%x00%at",
];

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// The author's name, by the repository's mailmap if it has one.
    pub name: String,
    /// The author's address, likewise.
    pub email: String,
    /// When the author says it was written, in seconds since the Unix epoch.
    pub time_seconds: i64,
    /// The files it changed, in the order of their paths.
    pub changes: Vec<Change>,
}

/// What a commit did to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The path holds this entry: added, modified, or moved here.
    Put {
        /// What the path holds.
        entry: Entry,
        /// The path that the entry was moved away from.
        from: Option<RepoPath>,
    },
    /// The path holds nothing any more.
    Delete {
        /// The path.
        path: RepoPath,
    },
}

/// The running list of commits.
pub struct History {
    process: Process,
    commits: Commits<BufReader<ChildStdout>>,
}

impl History {
    pub(super) fn start(repository: &Path, head: ObjectId) -> Result<Self> {
        let head = head.to_string();
        let mut arguments = OPTIONS.to_vec();
        arguments.extend([head.as_str(), "--"]);
        let mut process = Process::start(repository, "log", &arguments, false)?;
        let output = BufReader::with_capacity(64 * 1024, process.take_stdout());
        Ok(Self { process, commits: Commits::new(output) })
    }

    /// The next commit; after the last one, whether Git ended well.
    pub fn next_commit(&mut self) -> Result<Option<Commit>> {
        match self.commits.next() {
            Ok(Some(commit)) => Ok(Some(commit)),
            Ok(None) => self.process.finish().map(|()| None),
            Err(error) => Err(self.process.explain(error)),
        }
    }
}

/// Reads what `git log` with [`OPTIONS`] writes.
struct Commits<R> {
    fields: Fields<R>,
    /// The empty field that opens the next commit has been read.
    opened: bool,
}

impl<R: BufRead> Commits<R> {
    fn new(output: R) -> Self {
        Self { fields: Fields::new(output), opened: false }
    }

    fn next(&mut self) -> io::Result<Option<Commit>> {
        if !self.opened {
            match self.fields.next()? {
                None => return Ok(None),
                Some(b"") => {}
                Some(_) => return Err(invalid("a commit does not open where it should")),
            }
        }
        self.opened = false;
        let mut commit = Commit {
            id: ObjectId::parse(self.fields.must()?).ok_or_else(|| invalid("not a commit's id"))?,
            name: words(self.fields.must()?),
            email: words(self.fields.must()?),
            // A broken time (no number, or beyond 64 bits) counts as the epoch.
            time_seconds: words(self.fields.must()?).parse().unwrap_or(0),
            changes: Vec::new(),
        };
        while let Some(field) = self.fields.next()? {
            if field.is_empty() {
                self.opened = true;
                break;
            }
            let change = self.change()?;
            commit.changes.push(change);
        }
        Ok(Some(commit))
    }

    /// The change whose first field was read last: `:<mode> <mode> <object> <object> <status>`, then
    /// one path or two.
    fn change(&mut self) -> io::Result<Change> {
        let raw = self.fields.last();
        let raw = raw.strip_prefix(b"\n").unwrap_or(raw);
        let parts: Vec<&[u8]> = raw.split(|&byte| byte == b' ').collect();
        let &[_, mode, _, object, status] = parts.as_slice() else {
            return Err(invalid("not a change"));
        };
        let kind = status.first().copied().unwrap_or_default();
        let content = match kind {
            b'D' => None,
            _ => Some((
                Mode::parse(mode).ok_or_else(|| invalid("unknown file mode"))?,
                ObjectId::parse(object).ok_or_else(|| invalid("not a content's id"))?,
            )),
        };
        let path = self.path()?;
        let (path, from) = match kind {
            b'A' | b'M' | b'T' | b'D' => (path, None),
            b'C' => (self.path()?, None),
            b'R' => (self.path()?, Some(path)),
            _ => return Err(invalid("unknown kind of change")),
        };
        Ok(match content {
            None => Change::Delete { path },
            Some((mode, object)) => Change::Put { entry: Entry { path, mode, object }, from },
        })
    }

    fn path(&mut self) -> io::Result<RepoPath> {
        match self.fields.must()? {
            b"" => Err(invalid("an empty path")),
            path => Ok(RepoPath::new(path)),
        }
    }
}

fn words(field: &[u8]) -> String {
    String::from_utf8_lossy(field).chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn all(output: &str) -> io::Result<Vec<Commit>> {
        let output = output.replace('~', "\0");
        let mut commits = Commits::new(output.as_bytes());
        std::iter::from_fn(|| commits.next().transpose()).collect()
    }

    fn header(id: &str) -> String {
        format!("~{id}~Ann~ann@example.org~12~")
    }

    fn put(path: &str, object: &str, from: Option<&str>) -> Change {
        let object = ObjectId::parse(object.as_bytes()).unwrap();
        let entry = Entry { path: RepoPath::new(path.as_bytes()), mode: Mode::File, object };
        Change::Put { entry, from: from.map(|from| RepoPath::new(from.as_bytes())) }
    }

    #[test]
    fn commits_with_and_without_changes_are_told_apart() {
        let output = header(A)
            + &format!("\n:000000 100644 {ZERO} {A} A~a\nb~:100644 100755 {A} {B} M~c~")
            + &header(B)
            + &header(A)
            + &format!("\n:100644 000000 {A} {ZERO} D~c~");
        let commits = all(&output).unwrap();
        let changes: Vec<_> = commits.iter().map(|commit| commit.changes.clone()).collect();
        let gone = Change::Delete { path: RepoPath::new(b"c") };
        assert_eq!(changes, [vec![put("a\nb", A, None), put("c", B, None)], vec![], vec![gone]]);
        assert_eq!((commits[1].name.as_str(), commits[1].time_seconds), ("Ann", 12));
    }

    #[test]
    fn a_move_names_both_paths_and_a_copy_only_its_own() {
        let output = header(A)
            + &format!(
                "\n:100644 100644 {A} {B} R087~old~new~:100644 100644 {A} {A} C100~old~two~"
            );
        let commits = all(&output).unwrap();
        assert_eq!(commits[0].changes, [put("new", B, Some("old")), put("two", A, None)]);
    }

    #[test]
    fn an_author_without_name_address_or_time_is_read() {
        let commits = all(&format!("~{A}~~~~~{B}~B~b~99999999999999999999~")).unwrap();
        assert_eq!(commits.len(), 2);
        assert_eq!((commits[0].name.as_str(), commits[0].time_seconds), ("", 0));
        assert_eq!(commits[1].time_seconds, 0);
    }

    #[test]
    fn output_that_ends_early_or_makes_no_sense_is_an_error() {
        let early = io::ErrorKind::UnexpectedEof;
        let wrong = io::ErrorKind::InvalidData;
        let cases = [
            (format!("~{A}~Ann~"), early),
            (format!("{A}~"), wrong),
            ("~abc~Ann~x~1~".to_owned(), wrong),
            (header(A) + &format!("\n:000000 100644 {ZERO} {A} A~"), early),
            (header(A) + &format!("\n:000000 100644 {ZERO} {A} Q~p~"), wrong),
            (header(A) + &format!("\n:000000 040000 {ZERO} {A} A~p~"), wrong),
            (header(A) + "what~p~", wrong),
        ];
        for (output, kind) in cases {
            assert_eq!(all(&output).unwrap_err().kind(), kind, "{output}");
        }
    }
}
