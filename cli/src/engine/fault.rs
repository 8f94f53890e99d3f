//! What an error of the engine means at the command line.

use std::path::Path;

use systole::ErrorKind;
use systole_store::Error as Refusal;

use crate::error::Error;

/// Sorts the errors of the store in `directory` by what their reader can do.
pub(super) fn fault(directory: &Path) -> impl Fn(systole::Error) -> Error {
    move |error| {
        let path = || directory.to_owned();
        match error.rejection::<Refusal>() {
            Some(Refusal::Busy { .. }) => Error::Busy { path: path() },
            Some(Refusal::NotFound { .. } | Refusal::NotAStore { .. }) => {
                Error::NotAStore { path: path() }
            }
            Some(Refusal::Exists { path }) => Error::Exists { path: path.clone() },
            Some(Refusal::Restless { .. }) => Error::Restless { path: path() },
            // The disk or the system stood in the way; what is stored is not to blame.
            Some(Refusal::DiskFull { .. } | Refusal::Io { .. } | Refusal::NoRandomness { .. }) => {
                Error::engine(error)
            }
            _ if error.kind() == ErrorKind::Corrupt => {
                Error::Corrupt { directory: path(), source: Box::new(error) }
            }
            _ => Error::engine(error),
        }
    }
}
