//! `systole backup` and `systole restore`: what was copied, and what becomes of it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::view::{self, Verification};

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backup {
    /// The store's directory.
    pub directory: PathBuf,
    /// The backup's directory.
    pub backup: PathBuf,
    /// Its size.
    pub disk_bytes: u64,
    /// Whether it holds the key that unlocks the device's secrets.
    pub holds_key: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A backup that was verified, and the store that was made of it if it is sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restored {
    /// The directory that was asked for.
    pub directory: PathBuf,
    /// Number of parties.
    pub parties: u64,
    /// What was verified in the backup, and found.
    pub verification: Verification,
}

impl Restored {
    /// Whether there is a store.
    pub fn is_done(&self) -> bool {
        self.verification.is_clean()
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, time) = (view::bytes(self.disk_bytes), view::seconds(self.seconds));
        writeln!(f, "{} is backed up in {}", shown(&self.directory), shown(&self.backup))?;
        write!(f, "  {size} in {time}; all of it was read once, and no checksum differs")?;
        if self.holds_key {
            write!(f, "\n  it holds the device's key: keep it as secret as the store")?;
        }
        Ok(())
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (backup, directory) = (shown(&self.verification.directory), shown(&self.directory));
        if !self.is_done() {
            writeln!(f, "NOT RESTORED: {backup} is damaged, and {directory} is left as it was")?;
            return self.verification.fmt(f);
        }
        let parties = match self.parties {
            1 => "1 party".to_owned(),
            more => format!("{} parties", view::grouped(more)),
        };
        writeln!(f, "{backup} is restored in {directory}: {parties}")?;
        writeln!(f, "{}", self.verification)?;
        write!(
            f,
            "the device goes on in a fresh feed of its own in each party, for its old ones may have \
             grown since"
        )
    }
}

fn shown(path: &Path) -> String {
    view::escaped(&path.display().to_string()).into_owned()
}
