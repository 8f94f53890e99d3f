//! Stores on disk, opened by the engine for one command.
//!
//! Invariants:
//! - a directory without a store stays as it is;
//! - a store is closed again however the command ends, so that the next one finds it free.

use std::path::Path;

use systole::Engine;

use super::copies;
use super::fault::fault;
use super::inspect;
use super::sink::Import;
use super::verify;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::view::{Backup, Feeds, Items, Restored, Shown, Status, Verification};

/// The stores of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directories;

impl Backend for Directories {
    type Sink = Import;

    async fn create(&self, directory: &Path, name: &str) -> Result<Import> {
        Import::begin(directory, name).await
    }

    async fn status(&self, directory: &Path) -> Result<Status> {
        look(directory, async |engine| inspect::status(engine, directory).await).await
    }

    async fn feeds(&self, directory: &Path) -> Result<Feeds> {
        look(directory, inspect::feeds).await
    }

    async fn items(&self, directory: &Path, deleted: bool) -> Result<Items> {
        look(directory, async |engine| inspect::items(engine, deleted).await).await
    }

    async fn show(&self, directory: &Path, item: &str) -> Result<Shown> {
        let found = look(directory, async |engine| inspect::show(engine, item).await).await?;
        found.map_err(|candidates| match candidates.is_empty() {
            true => Error::NoSuchItem { item: item.to_owned() },
            false => Error::AmbiguousItem { item: item.to_owned(), found: candidates },
        })
    }

    async fn verify(&self, directory: &Path, progress: &mut Progress) -> Result<Verification> {
        verify::verify(directory, progress)
    }

    async fn backup(&self, directory: &Path, to: &Path) -> Result<Backup> {
        copies::backup(directory, to)
    }

    async fn restore(&self, backup: &Path, to: &Path, progress: &mut Progress) -> Result<Restored> {
        copies::restore(backup, to, progress)
    }
}

/// Opens a store, looks, and closes it.
async fn look<T>(
    directory: &Path,
    look: impl AsyncFnOnce(&Engine) -> Result<T, systole::Error>,
) -> Result<T> {
    let engine = Engine::builder(directory).existing().open().await.map_err(fault(directory))?;
    let seen = look(&engine).await;
    let closed = engine.close().await;
    let seen = seen.map_err(fault(directory))?;
    closed.map_err(fault(directory))?;
    Ok(seen)
}
