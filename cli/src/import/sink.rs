//! What an import writes to.

use std::time::Duration;

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

/// How large a store is, and what was done with it since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Feeds.
    pub feeds: u64,
    /// Blocks, each with one message.
    pub blocks: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Blocks that were read since it was opened.
    pub blocks_read: u64,
}

/// A store that an import writes to, and afterwards reads back from.
///
/// The calls come in this order: any number of [`apply`](Self::apply), one [`finish`](Self::finish),
/// one [`reopen`](Self::reopen), any number of [`live`](Self::live) and [`read`](Self::read), one
/// [`close`](Self::close). [`figures`](Self::figures) may be asked for at any time.
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

    /// Gives everything back, and opens the store again from what is on disk. How long opening took.
    async fn reopen(&mut self) -> Result<Duration>;

    /// How large the store is, and what was done with it.
    async fn figures(&mut self) -> Result<Figures>;

    /// The files that are not deleted, as the store lists them: not from what the sink remembers of
    /// the steps, because this is what the import is checked by.
    async fn live(&mut self) -> Result<Vec<FileId>>;

    /// A file that is not deleted, as the store holds it.
    async fn read(&mut self, file: FileId) -> Result<File>;

    /// Gives everything back.
    async fn close(self) -> Result<()>;
}
