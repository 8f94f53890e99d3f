//! What an import writes to.

use crate::error::Result;
use crate::import::{FileId, Step};

/// A file as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// A store that an import writes to, and afterwards reads back from.
///
/// The calls come in this order: any number of [`apply`](Self::apply), one [`finish`](Self::finish),
/// any number of [`live`](Self::live) and [`read`](Self::read), one [`close`](Self::close).
#[expect(
    async_fn_in_trait,
    reason = "one task drives a sink; nothing needs its futures to be Send"
)]
pub trait Sink {
    /// Takes one step. It may be written later, but in order. Edits that turn out too many for one
    /// message are [halved](crate::diff::halve).
    async fn apply(&mut self, step: Step) -> Result<()>;

    /// Returns when every step is durable.
    async fn finish(&mut self) -> Result<()>;

    /// The files that are not deleted, as the store lists them: not from what the sink remembers of
    /// the steps, because this is what the import is checked by.
    async fn live(&mut self) -> Result<Vec<FileId>>;

    /// A file that is not deleted, as the store holds it.
    async fn read(&mut self, file: FileId) -> Result<File>;

    /// Gives everything back.
    async fn close(self) -> Result<()>;
}
