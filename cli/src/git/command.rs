//! Starting the `git` program so that its answer depends on the repository alone, and telling why it
//! failed.
//!
//! Invariant: a child never outlives the value that owns it, and never blocks on its error output.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::error::{Error, Result};

/// How much of a child's error output is kept: its end.
const DIAGNOSTICS_BYTES_MAX: usize = 4 * 1024;

/// Variables that would point `git` at another repository or change what it lists. A hook that runs
/// the import has several of them set.
const SCRUBBED: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DEFAULT_HASH",
    "GIT_DIFF_OPTS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "LANGUAGE",
];

/// Replacement refs and grafts are off, because they tell another history than the one that the
/// commits' ids vouch for. Fetching is off, because an import must not reach for the network.
const SETTINGS: [(&str, &str); 6] = [
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

/// A finished `git` command.
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) output: Vec<u8>,
    pub(super) diagnostics: String,
}

/// Runs a command whose output is small.
pub(super) fn run<S: AsRef<OsStr>>(repository: &Path, arguments: &[S]) -> Result<Answer> {
    let output = git(repository).args(arguments).stdin(Stdio::null()).output().map_err(started)?;
    let diagnostics = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok(Answer { code: output.status.code(), output: output.stdout, diagnostics })
}

/// What the error output of `command` on `repository` means.
pub(super) fn failure(repository: &Path, command: &str, diagnostics: &str) -> Error {
    // Git compares the whole path with those it is told to trust.
    let path = fs::canonicalize(repository).unwrap_or_else(|_| repository.to_owned());
    if diagnostics.contains("dubious ownership") {
        Error::UntrustedRepository { path }
    } else if diagnostics.contains("not a git repository") {
        Error::NotARepository { path }
    } else {
        let message = match diagnostics.trim() {
            "" => "it gave no reason".to_owned(),
            message => message.to_owned(),
        };
        Error::GitFailed { command: command.to_owned(), message }
    }
}

/// A `git` command that streams.
pub(super) struct Process {
    repository: PathBuf,
    command: &'static str,
    child: Child,
    diagnostics: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts `git <command> <arguments>`; its input is empty unless `asks` is set.
    pub(super) fn start<S: AsRef<OsStr>>(
        repository: &Path,
        command: &'static str,
        arguments: &[S],
        asks: bool,
    ) -> Result<Self> {
        let mut child = git(repository)
            .arg(command)
            .args(arguments)
            .stdin(if asks { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(started)?;
        let stderr = child.stderr.take().expect("the error output was asked for as a pipe");
        let diagnostics = Some(std::thread::spawn(move || end_of(stderr)));
        Ok(Self { repository: repository.to_owned(), command, child, diagnostics })
    }

    pub(super) fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("the input was asked for as a pipe and is taken once")
    }

    pub(super) fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("the output was asked for as a pipe and is taken once")
    }

    /// Waits for the end. The caller has read all the output.
    pub(super) fn finish(&mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .map_err(|source| Error::io(format!("waiting for git {}", self.command), source))?;
        let diagnostics = self.diagnostics();
        if status.success() {
            return Ok(());
        }
        Err(failure(&self.repository, self.command, &diagnostics))
    }

    /// What an error in reading the output or writing the input means: the child's own words if it
    /// failed, else what is wrong with its output.
    pub(super) fn explain(&mut self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::InvalidData {
            return self.nonsense(source.to_string());
        }
        drop(self.child.stdin.take());
        match self.finish() {
            Err(error) => error,
            Ok(()) if source.kind() == io::ErrorKind::UnexpectedEof => {
                self.nonsense("its output ends early")
            }
            Ok(()) => Error::io(format!("talking to git {}", self.command), source),
        }
    }

    fn nonsense(&self, problem: impl Into<String>) -> Error {
        Error::GitOutput { command: self.command.to_owned(), problem: problem.into() }
    }

    fn diagnostics(&mut self) -> String {
        self.diagnostics.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the child has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    for name in SCRUBBED {
        command.env_remove(name);
    }
    command.envs(SETTINGS).arg("--no-pager").arg("-C").arg(repository);
    command
}

fn started(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Error::GitMissing { source },
        _ => Error::io("starting git", source),
    }
}

fn end_of(mut stderr: impl Read) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 1024];
    // An error of this pipe loses words of explanation only; the exit status still tells.
    while let Ok(length @ 1..) = stderr.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > DIAGNOSTICS_BYTES_MAX {
            kept.drain(..kept.len() - DIAGNOSTICS_BYTES_MAX);
        }
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let complaint = "x".repeat(3 * DIAGNOSTICS_BYTES_MAX) + "fatal: the reason";
        let kept = end_of(complaint.as_bytes());
        assert!(kept.len() <= DIAGNOSTICS_BYTES_MAX);
        assert!(kept.ends_with("fatal: the reason"));
    }

    #[test]
    fn a_foreign_owner_is_told_from_other_failures() {
        let path = Path::new("/r");
        let told = "fatal: detected dubious ownership in repository at '/r'\nTo add …";
        assert!(matches!(failure(path, "log", told), Error::UntrustedRepository { .. }));
        let told = "fatal: not a git repository (or any of the parent directories): .git";
        assert!(matches!(failure(path, "log", told), Error::NotARepository { .. }));
        assert!(matches!(failure(path, "log", "fatal: bad object"), Error::GitFailed { .. }));
    }
}
