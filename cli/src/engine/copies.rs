//! Backups of stores, and stores of backups.

use std::path::Path;
use std::time::Instant;

use systole::Verifier;
use systole_store::{Options, Staged};

use super::fault::fault;
use super::verify;
use crate::error::Result;
use crate::progress::Progress;
use crate::view::{Backup, Restored};

/// Copies the store in `directory`, whoever has it open, reads the copy and gives it its name.
pub(super) fn backup(directory: &Path, to: &Path) -> Result<Backup> {
    let started = Instant::now();
    let refused = |error: systole_store::Error| fault(directory)(error.into());
    let staged = Staged::beside(directory, to).map_err(refused)?;
    let usage = staged.check(&Options::default()).map_err(refused)?;
    let holds_key = staged.holds_key();
    staged.finish().map_err(refused)?;
    Ok(Backup {
        directory: directory.to_owned(),
        backup: to.to_owned(),
        disk_bytes: usage.disk_bytes,
        holds_key,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Copies a backup, verifies the copy, and makes a store of it unless there is damage.
pub(super) fn restore(backup: &Path, to: &Path, progress: &mut Progress) -> Result<Restored> {
    let started = Instant::now();
    let refused = |error: systole_store::Error| fault(backup)(error.into());
    let staged = Staged::within(backup, to).map_err(refused)?;
    let mut parties = 0;
    let verified = staged.store(&Options::default()).map_err(Into::into).and_then(|store| {
        let records = store.meta().parties();
        // Records that cannot be read are part of what is verified.
        parties = records.iter().flatten().filter(|party| !party.deleted).count() as u64;
        verify::run(&Verifier::on_store(store), progress)
    });
    let verification = verify::answer(backup, verified, started)?;
    if verification.is_clean() {
        staged.finish().map_err(refused)?;
    }
    Ok(Restored { directory: to.to_owned(), parties, verification })
}
