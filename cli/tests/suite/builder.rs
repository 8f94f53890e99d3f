//! Building Git repositories commit by commit.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use systole_cli::git::Repository;
use systole_cli::import::memory::Memory;
use systole_cli::import::{Report, Sink, import};
use systole_cli::progress::{Mode, Progress};
use tempfile::TempDir;

/// A bare repository that is written as one stream, so that its history is exactly what a test says.
pub(crate) struct Builder {
    folder: TempDir,
    stream: Vec<u8>,
    commits: usize,
    /// Number of the last commit of every branch.
    branches: BTreeMap<String, usize>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::of_format("sha1")
    }

    /// A repository whose ids are hashes of this kind.
    pub(crate) fn of_format(hash: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let format = format!("--object-format={hash}");
        git(folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", &format, "."]);
        Self { folder, stream: Vec::new(), commits: 0, branches: BTreeMap::new() }
    }

    /// Begins a commit on `main`. The changes that follow belong to it.
    pub(crate) fn commit(&mut self, author: &str) -> &mut Self {
        self.commit_on("main", author)
    }

    /// Begins a commit on a branch.
    pub(crate) fn commit_on(&mut self, branch: &str, author: &str) -> &mut Self {
        self.commits += 1;
        self.branches.insert(branch.to_owned(), self.commits);
        let (mark, time) = (self.commits, 1_000_000 + self.commits);
        let who = format!("{author} <{}@example.org> {time} +0000", author.to_lowercase());
        write!(
            self.stream,
            "commit refs/heads/{branch}\nmark :{mark}\nauthor {who}\ncommitter {who}\ndata 0\n"
        )
        .unwrap();
        self
    }

    pub(crate) fn has_commits(&self) -> bool {
        self.commits > 0
    }

    /// A name that no branch has.
    pub(crate) fn fresh_branch(&self) -> String {
        format!("side-{}", self.commits)
    }

    /// The commit is the first of a branch that begins at that branch's last commit.
    pub(crate) fn from(&mut self, branch: &str) -> &mut Self {
        writeln!(self.stream, "from :{}", self.branches[branch]).unwrap();
        self
    }

    /// The commit has that branch as its second parent.
    pub(crate) fn merge(&mut self, branch: &str) -> &mut Self {
        writeln!(self.stream, "merge :{}", self.branches[branch]).unwrap();
        self
    }

    pub(crate) fn put(&mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> &mut Self {
        self.put_mode("100644", path, content)
    }

    pub(crate) fn put_mode(
        &mut self,
        mode: &str,
        path: impl AsRef<[u8]>,
        content: impl AsRef<[u8]>,
    ) -> &mut Self {
        let content = content.as_ref();
        writeln!(self.stream, "M {mode} inline {}", quoted(path.as_ref())).unwrap();
        writeln!(self.stream, "data {}", content.len()).unwrap();
        self.stream.extend_from_slice(content);
        self.stream.push(b'\n');
        self
    }

    pub(crate) fn submodule(&mut self, path: &str) -> &mut Self {
        writeln!(self.stream, "M 160000 {} {path}", "12".repeat(20)).unwrap();
        self
    }

    pub(crate) fn delete(&mut self, path: impl AsRef<[u8]>) -> &mut Self {
        writeln!(self.stream, "D {}", quoted(path.as_ref())).unwrap();
        self
    }

    pub(crate) fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> &mut Self {
        writeln!(self.stream, "R {} {}", quoted(from.as_ref()), quoted(to.as_ref())).unwrap();
        self
    }

    /// Writes the repository.
    pub(crate) fn build(&mut self) -> Built {
        let mut child = command(self.folder.path())
            .args(["fast-import", "--quiet", "--force"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&self.stream).unwrap();
        assert!(child.wait().unwrap().success());
        let folder = std::mem::replace(&mut self.folder, TempDir::new().unwrap());
        Built { folder }
    }
}

/// A repository on disk.
pub(crate) struct Built {
    pub(crate) folder: TempDir,
}

impl Built {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }

    pub(crate) fn open(&self) -> Repository {
        Repository::open(self.path()).unwrap()
    }

    /// Imports it into memory, and insists that the result is what Git has.
    pub(crate) fn import(&self) -> (Memory, Report) {
        let mut memory = Memory::default();
        let report = import_into(&self.open(), &mut memory);
        assert!(report.check.is_clean(), "{report}");
        (memory, report)
    }

    /// A checkout of its HEAD.
    pub(crate) fn checkout(&self) -> TempDir {
        let checkout = TempDir::new().unwrap();
        let (from, to) = (self.path().to_str().unwrap(), checkout.path().to_str().unwrap());
        git(Path::new("."), &["clone", "--quiet", from, to]);
        checkout
    }
}

pub(crate) fn import_into(repository: &Repository, sink: &mut impl Sink) -> Report {
    runtime().block_on(import(repository, sink, &mut Progress::new(Mode::Quiet))).unwrap()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Every file below a folder but Git's own, by its path.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path().strip_prefix(folder).unwrap().to_owned();
                found.push((path, std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    found
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(folder).args(arguments).output().unwrap();
    assert!(status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim_end().to_owned()
}

/// `git` without the settings of whoever runs the tests.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .args(["-c", "protocol.file.allow=always"])
        .arg("-C")
        .arg(folder);
    command
}

fn quoted(path: &[u8]) -> String {
    let escaped: String = path
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'/' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            _ => format!("\\{byte:03o}"),
        })
        .collect();
    format!("\"{escaped}\"")
}
