//! The engine's one error type, sorted by what the caller should do.
//!
//! Invariant: nothing is reported twice and nothing is swallowed; the cause stands in `source`.

use std::fmt;
use std::sync::Arc;

/// What the caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong (unknown id, another model type, a bound exceeded): change it.
    Invalid,
    /// The model or the membership rules refuse the mutation; nothing was written.
    Rejected,
    /// Not possible yet or for the moment (paused, not admitted yet, history missing): retry later.
    /// When the disk is full, make room and reopen.
    Unavailable,
    /// The engine, party or item was closed: open it again.
    Closed,
    /// Stored bytes are damaged or the disk failed: reopen; if it stays, restore from a backup.
    Corrupt,
    /// A bug in Systole or in a model: report it.
    Internal,
}

/// An error of the engine.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says what happened, as a fragment without capital or full stop.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same with its cause.
    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(Arc::new(source)) }
    }

    /// The same with a cause whose type is no longer known.
    pub(crate) fn boxed(
        kind: ErrorKind,
        message: impl Into<String>,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(Arc::from(source)) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn no_randomness(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::caused(ErrorKind::Unavailable, "the system gives no randomness for a key", source)
    }

    pub(crate) fn closed(what: &str) -> Self {
        Self::new(ErrorKind::Closed, format!("{what} is closed"))
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The model's own rejection, if that is the cause and its type is `E`.
    pub fn rejection<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.source.as_deref().and_then(|source| source.downcast_ref::<E>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
