//! What the commands need of the engine.

use std::path::Path;

use crate::error::Result;
use crate::import::Sink;
use crate::progress::Progress;
use crate::view::{Backup, Feeds, Items, Restored, Shown, Status, Verification};

/// Stores on disk.
///
/// Errors a reader can cure come as the variants that say so: a directory without a store as
/// [`NotAStore`](crate::Error::NotAStore), a held one as [`Busy`](crate::Error::Busy), a damaged one as
/// [`Corrupt`](crate::Error::Corrupt).
#[expect(
    async_fn_in_trait,
    reason = "one task runs a command; nothing needs its futures to be Send"
)]
pub trait Backend {
    /// What an import writes to.
    type Sink: Sink;

    /// Makes a store with one party of this name in an empty directory.
    async fn create(&self, directory: &Path, name: &str) -> Result<Self::Sink>;

    /// What a store holds.
    async fn status(&self, directory: &Path) -> Result<Status>;

    /// Its feeds.
    async fn feeds(&self, directory: &Path) -> Result<Feeds>;

    /// Its items, the deleted ones too if `deleted` is set.
    async fn items(&self, directory: &Path, deleted: bool) -> Result<Items>;

    /// The item whose id begins like this.
    async fn show(&self, directory: &Path, item: &str) -> Result<Shown>;

    /// Checks everything. Damage is an answer, not an error.
    async fn verify(&self, directory: &Path, progress: &mut Progress) -> Result<Verification>;

    /// Copies a store, open elsewhere or not, to a path where there is nothing.
    async fn backup(&self, directory: &Path, to: &Path) -> Result<Backup>;

    /// Copies a backup into an empty or absent directory, and makes a store of it unless there is damage.
    /// Damage is an answer, not an error.
    async fn restore(&self, backup: &Path, to: &Path, progress: &mut Progress) -> Result<Restored>;
}
