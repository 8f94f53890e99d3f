//! Everything that can go wrong at the command line: what happened, what to do about it, and the exit
//! status that says so to a script.
//!
//! Invariant: every message names the thing it is about, and every error that its reader can cure has
//! [`Error::advice`].

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit status of the program. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked, and found nothing wrong.
    Success = 0,
    /// A verification found damage, or an import that differs from Git.
    Damage = 1,
    /// Wrong arguments, a wrong directory, or a directory that another process holds.
    Usage = 2,
    /// Git, the disk or the engine failed.
    Failure = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The `git` program cannot be started.
    GitMissing {
        /// What the operating system said.
        source: io::Error,
    },
    /// The `git` program is older than the import needs.
    GitTooOld {
        /// The version that was found.
        found: String,
    },
    /// There is no such directory.
    NoSuchDirectory {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is not a Git repository.
    NotARepository {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is a folder inside a repository.
    InsideRepository {
        /// The path that was given.
        path: PathBuf,
        /// The repository's top folder.
        top: PathBuf,
    },
    /// The repository has no commit at its HEAD.
    EmptyRepository {
        /// The path that was given.
        path: PathBuf,
    },
    /// Git refuses the repository because somebody else owns it.
    UntrustedRepository {
        /// The path that was given.
        path: PathBuf,
    },
    /// An object that the history names is not in the repository.
    MissingObject {
        /// The object's id.
        object: String,
    },
    /// A `git` command failed.
    GitFailed {
        /// The subcommand.
        command: String,
        /// The end of what it wrote to its error output.
        message: String,
    },
    /// A `git` command wrote something that its documentation does not allow.
    GitOutput {
        /// The subcommand.
        command: String,
        /// What was wrong.
        problem: String,
    },
    /// The directory for a new store already holds something.
    NotEmpty {
        /// The path that was given.
        path: PathBuf,
    },
    /// There is something already where a copy is to be.
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The store is written to too fast to be copied.
    Restless {
        /// The path that was given.
        path: PathBuf,
    },
    /// The directory holds no store.
    NotAStore {
        /// The path that was given.
        path: PathBuf,
    },
    /// No item's id begins like this.
    NoSuchItem {
        /// What was given.
        item: String,
    },
    /// Several items' ids begin like this.
    AmbiguousItem {
        /// What was given.
        item: String,
        /// Some of the items.
        found: Vec<String>,
    },
    /// Another process holds the store.
    Busy {
        /// The path that was given.
        path: PathBuf,
    },
    /// What is stored cannot be what was written.
    Corrupt {
        /// The store's directory.
        directory: PathBuf,
        /// What was found out, and where.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An import stopped on its way.
    Unfinished {
        /// Where its unfinished result is.
        directory: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// Reading or writing failed.
    Io {
        /// What was being done.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The engine refused or failed.
    Engine {
        /// The engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An I/O error while doing `action`.
    pub fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// An error of the engine.
    pub fn engine(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine { source: source.into() }
    }

    /// The exit status that this error ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchDirectory { .. }
            | Self::NotARepository { .. }
            | Self::InsideRepository { .. }
            | Self::EmptyRepository { .. }
            | Self::UntrustedRepository { .. }
            | Self::NotEmpty { .. }
            | Self::Exists { .. }
            | Self::Restless { .. }
            | Self::NotAStore { .. }
            | Self::NoSuchItem { .. }
            | Self::AmbiguousItem { .. }
            | Self::Busy { .. } => Exit::Usage,
            Self::Corrupt { .. } => Exit::Damage,
            Self::Unfinished { source, .. } => source.exit(),
            Self::GitMissing { .. }
            | Self::GitTooOld { .. }
            | Self::MissingObject { .. }
            | Self::GitFailed { .. }
            | Self::GitOutput { .. }
            | Self::Io { .. }
            | Self::Engine { .. } => Exit::Failure,
        }
    }

    /// What the reader of the message can do.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::GitMissing { .. } => "install Git, or put it on the PATH".into(),
            Self::GitTooOld { .. } => {
                let (major, minor) = crate::git::VERSION_MIN;
                format!("install Git {major}.{minor} or later")
            }
            Self::NoSuchDirectory { .. } => "check the path".into(),
            Self::NotARepository { .. } => {
                "give the top folder of a checkout, or a bare repository".into()
            }
            Self::InsideRepository { top, .. } => {
                format!("give the whole repository: {}", top.display())
            }
            Self::EmptyRepository { .. } => "commit something first, or check out a branch".into(),
            Self::UntrustedRepository { path } => format!(
                "if you trust it: git config --global --add safe.directory {}",
                path.display()
            ),
            Self::MissingObject { .. } => {
                "if this is a partial clone, fetch the rest: git fetch --refetch --no-filter; \
                 otherwise check it: git fsck"
                    .into()
            }
            Self::NotEmpty { .. } => "name a directory that does not exist yet".into(),
            Self::Exists { .. } => {
                "name a path where there is nothing yet, or remove what an earlier attempt left there"
                    .into()
            }
            Self::Restless { .. } => {
                "let the application make the backup, or try again when it writes less".into()
            }
            Self::NotAStore { .. } => {
                "give the directory that was named with --into, or that the application opened"
                    .into()
            }
            Self::NoSuchItem { .. } => "see which there are: systole items --deleted".into(),
            Self::AmbiguousItem { found, .. } => {
                format!("give more of the id; these begin like it: {}", found.join(", "))
            }
            Self::Busy { .. } => "close the application that has it open, then try again".into(),
            Self::Corrupt { directory, .. } => {
                let directory = directory.display();
                format!(
                    "see what is damaged: systole verify {directory}; then restore the directory \
                     from a backup, or fetch everything again from another device"
                )
            }
            Self::Unfinished { directory, source } => {
                let again = format!("remove {}, and import again", directory.display());
                match source.advice() {
                    Some(advice) => format!("{advice}; then {again}"),
                    None => again,
                }
            }
            Self::GitFailed { .. }
            | Self::GitOutput { .. }
            | Self::Io { .. }
            | Self::Engine { .. } => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitMissing { .. } => write!(f, "the git program cannot be started"),
            Self::GitTooOld { found } => write!(f, "the git program is too old: {found}"),
            Self::NoSuchDirectory { path } => write!(f, "no such directory: {}", path.display()),
            Self::NotARepository { path } => {
                write!(f, "not a Git repository: {}", path.display())
            }
            Self::InsideRepository { path, .. } => {
                write!(f, "only a folder of a Git repository: {}", path.display())
            }
            Self::EmptyRepository { path } => {
                write!(f, "the repository has no commit at its HEAD: {}", path.display())
            }
            Self::UntrustedRepository { path } => {
                write!(f, "Git does not trust the repository's owner: {}", path.display())
            }
            Self::MissingObject { object } => {
                write!(f, "the repository lacks an object that its history names: {object}")
            }
            Self::GitFailed { command, message } => write!(f, "git {command} failed: {message}"),
            Self::GitOutput { command, problem } => {
                write!(f, "git {command} answered what cannot be read: {problem}")
            }
            Self::NotEmpty { path } => write!(f, "directory is not empty: {}", path.display()),
            Self::Exists { path } => write!(f, "there is something already: {}", path.display()),
            Self::Restless { path } => {
                write!(f, "directory changes too fast to be copied: {}", path.display())
            }
            Self::NotAStore { path } => {
                write!(f, "directory holds no Systole data: {}", path.display())
            }
            Self::NoSuchItem { item } => write!(f, "no item's id begins with {item}"),
            Self::AmbiguousItem { item, .. } => {
                write!(f, "the ids of several items begin with {item}")
            }
            Self::Busy { path } => {
                write!(f, "directory is open in another process: {}", path.display())
            }
            Self::Corrupt { directory, .. } => {
                write!(f, "the data in {} is damaged", directory.display())
            }
            Self::Unfinished { directory, .. } => {
                write!(f, "the import into {} stopped before its end", directory.display())
            }
            Self::Io { action, .. } => write!(f, "{action} failed"),
            Self::Engine { .. } => write!(f, "the engine stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::GitMissing { source } | Self::Io { source, .. } => Some(source),
            Self::Engine { source } | Self::Corrupt { source, .. } => Some(source.as_ref()),
            Self::Unfinished { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
