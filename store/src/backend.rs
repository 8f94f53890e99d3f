//! What the store asks of a storage engine: ordered families, atomic batches, one sync.
//!
//! Whoever writes a backend runs [`crate::testing::check_backend`] against it.

pub(crate) mod faulty;
pub(crate) mod memory;
pub(crate) mod overlay;
pub(crate) mod rocks;

use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::usage::Usage;

/// Sees keys and values one by one; breaks to end the scan.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The keys from the first, inclusive, to the second, exclusive.
pub type KeyRange<'a> = (&'a [u8], &'a [u8]);

/// Sees keys and values of several ranges, and the place of each one's range; breaks to end that range.
pub type VisitRanges<'a> = &'a mut dyn FnMut(usize, &[u8], &[u8]) -> ControlFlow<()>;

/// What becomes of that which a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// It stays in memory for whoever reads it next, and may drive out what others read.
    Keep,
    /// Nobody is expected to read it again soon.
    Pass,
}

/// A storage engine.
///
/// Keys are ordered by their bytes. A range is half open, `[from, to)`; one whose `from` is not below
/// its `to` is empty. A scan sees one moment: a write during it does not show, and its visitor may
/// call the backend.
pub trait Backend: Send + Sync + 'static {
    /// The value under `key`.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// The values under `keys`, in the order of the keys.
    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error>;

    /// Visits the keys in `[from, to)` upwards.
    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error>;

    /// Visits the keys in `[from, to)` downwards.
    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error>;

    /// Visits the keys of several ranges, each with the place of its range in `ranges`. The ranges rise
    /// and do not overlap. A visitor that breaks ends its range, and the next one begins. Each range
    /// sees one moment, not all of them the same one.
    fn scan_ranges(
        &self,
        family: Family,
        ranges: &[KeyRange<'_>],
        caching: Caching,
        visit: VisitRanges<'_>,
    ) -> Result<(), Error> {
        let _ = caching;
        for (at, (from, to)) in ranges.iter().enumerate() {
            self.scan(family, from, to, &mut |key, value| visit(at, key, value))?;
        }
        Ok(())
    }

    /// The greatest key in `[from, to)` and its value.
    fn last_in(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Vec<u8>, Bytes)>, Error> {
        let mut last = None;
        self.scan_back(family, from, to, &mut |key, value| {
            last = Some((key.to_vec(), Bytes::copy_from_slice(value)));
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    /// Applies the whole batch or nothing of it. What it wrote survives the end of the process, but not
    /// yet a power failure.
    fn write(&self, batch: &Batch) -> Result<(), Error>;

    /// Makes everything written so far survive a power failure.
    fn sync(&self) -> Result<(), Error>;

    /// Brings what was written to where the next opening finds it at once, if replaying it would delay
    /// that opening. Changes nothing that can be read.
    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Bytes that the data takes.
    fn disk_bytes(&self) -> Result<u64, Error>;

    /// What the data take of the machine, as far as it is known.
    fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { disk_bytes: self.disk_bytes()?, ..Usage::default() })
    }

    /// Writes what is there to a database of its own in the directory `to`, which must not exist, while
    /// others write.
    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        let _ = to;
        Err(Error::Unsupported { action: "copy its data to a directory" })
    }

    /// Gives back the space of what was deleted in `[from, to)`, as far as it is worth the effort. Changes
    /// nothing that can be read.
    fn reclaim(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let _ = (family, from, to);
        Ok(())
    }

    /// Rewrites the data without what was deleted or overwritten. Changes nothing that can be read.
    fn compact(&self) -> Result<(), Error> {
        Ok(())
    }
}
