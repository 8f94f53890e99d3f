//! The store on disk: one RocksDB with a column family per [`Family`].
//!
//! Invariants:
//! - `write` reaches the operating system before it returns; `sync` reaches the disk;
//! - dropping the backend releases the directory's lock before the drop returns.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, DBRawIterator, DBRecoveryMode,
    FlushOptions, Range, ReadOptions, WriteBatch, WriteOptions,
};

use crate::backend::{Backend, Caching, KeyRange, Visit, VisitRanges};
use crate::batch::{Batch, Operation};
use crate::error::Error;
use crate::family::Family;
use crate::options::{Options, write_options};
use crate::usage::Usage;

/// Bytes in memory that are left to the log when the store is closed: replaying them takes some
/// milliseconds, less than writing and syncing files for them.
const REPLAY_BYTES_MAX: u64 = 2 << 20;

/// Bytes of deleted data in tables that are worth a compaction of their own. What is less goes with the
/// next one that meets it.
const RECLAIM_BYTES_MIN: u64 = 256 << 10;

/// The database's name for the bytes in memory that are in no file yet.
const UNFLUSHED: &str = "rocksdb.cur-size-all-mem-tables";

/// A [`Backend`] on RocksDB.
pub struct Rocks {
    database: DB,
    path: PathBuf,
    write_options: WriteOptions,
}

impl Rocks {
    /// Opens the database in `path`, creating it if it is absent.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let cache = options.cache();
        let families = options.families(&cache);
        let opened = DB::open_cf_with_opts(&options.database(&cache), path, families);
        Self::opened(opened, path)
    }

    /// Opens the database in `path` as it is at this moment, even while another process writes to it.
    pub fn open_read_only(path: &Path, options: &Options) -> Result<Self, Error> {
        Self::open_reading(path, options, true)
    }

    /// Opens the database in `path`, which must be there, unless its log is damaged anywhere but at its
    /// end: [`Self::open`] takes all damage of the log for what a power failure leaves, and drops what
    /// lies behind it.
    pub(crate) fn open_strictly(path: &Path, options: &Options) -> Result<Self, Error> {
        let cache = options.cache();
        let mut database = options.database(&cache);
        database.create_if_missing(false);
        database.create_missing_column_families(false);
        database.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        let families = options.families(&cache);
        Self::opened(DB::open_cf_with_opts(&database, path, families), path)
    }

    /// Opens for reading what can be read of the database in `path`: a table that is damaged shows when
    /// something in it is read.
    pub(crate) fn open_damaged(path: &Path, options: &Options) -> Result<Self, Error> {
        Self::open_reading(path, options, false)
    }

    fn open_reading(path: &Path, options: &Options, paranoid: bool) -> Result<Self, Error> {
        let cache = options.cache();
        let mut database = options.database(&cache);
        database.create_if_missing(false);
        database.create_missing_column_families(false);
        // Concerns opening alone: what is read is checked either way.
        database.set_paranoid_checks(paranoid);
        let families = options.families(&cache);
        let opened = DB::open_cf_with_opts_for_read_only(&database, path, families, false);
        Self::opened(opened, path)
    }

    fn opened(opened: Result<DB, rocksdb::Error>, path: &Path) -> Result<Self, Error> {
        let database = opened.map_err(|error| {
            if is_lock_conflict(&error) {
                return Error::Busy { path: path.to_owned() };
            }
            failed("open the database")(error)
        })?;
        Ok(Self { database, path: path.to_owned(), write_options: write_options() })
    }

    fn handle(&self, family: Family) -> &ColumnFamily {
        self.database.cf_handle(family.name()).expect("every family is opened with the database")
    }

    fn iterator(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        caching: Caching,
    ) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        options.fill_cache(caching == Caching::Keep);
        self.database.raw_iterator_cf_opt(self.handle(family), options)
    }

    /// A figure that the database tells of a family; 0 if it does not know.
    fn property(&self, family: Family, name: &str) -> Result<u64, Error> {
        let value = self.database.property_int_value_cf(self.handle(family), name);
        Ok(value.map_err(failed("measure the database"))?.unwrap_or(0))
    }

    /// The same over all families.
    fn sum(&self, name: &str) -> Result<u64, Error> {
        Family::ALL.into_iter().map(|family| self.property(family, name)).sum()
    }

    /// What the files take.
    fn files(&self) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        let entries = fs::read_dir(&self.path).map_err(Error::io("list", &self.path))?;
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.metadata()?.len(), entry.path())));
            let (bytes, path) = match found {
                Ok(found) => found,
                // Compaction removes files while they are counted.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("measure", &self.path)(error)),
            };
            usage.disk_bytes += bytes;
            match path.extension().and_then(|kind| kind.to_str()) {
                Some("sst" | "blob") => {
                    usage.files += 1;
                    usage.file_bytes += bytes;
                }
                Some("log") => usage.log_bytes += bytes,
                _ => {}
            }
        }
        Ok(usage)
    }
}

impl Backend for Rocks {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.database.get_pinned_cf(self.handle(family), key);
        Ok(value.map_err(failed("read a key"))?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let values =
            self.database.batched_multi_get_cf(self.handle(family), keys.iter().copied(), false);
        let copied = values.into_iter().map(|value| {
            let value = value.map_err(failed("read keys"))?;
            Ok(value.map(|value| Bytes::copy_from_slice(&value)))
        });
        copied.collect()
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let mut iterator = self.iterator(family, from, to, Caching::Keep);
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            if visit(key, value) == ControlFlow::Break(()) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(failed("scan keys"))
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let mut iterator = self.iterator(family, from, to, Caching::Keep);
        iterator.seek_to_last();
        while let Some((key, value)) = iterator.item() {
            if visit(key, value) == ControlFlow::Break(()) {
                return Ok(());
            }
            iterator.prev();
        }
        iterator.status().map_err(failed("scan keys"))
    }

    /// One iterator for all ranges: making one costs as much as some ten keys, and a range that begins
    /// where the one before ended needs no search.
    fn scan_ranges(
        &self,
        family: Family,
        ranges: &[KeyRange<'_>],
        caching: Caching,
        visit: VisitRanges<'_>,
    ) -> Result<(), Error> {
        let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else {
            return Ok(());
        };
        let mut iterator = self.iterator(family, first, last, caching);
        for (at, (from, to)) in ranges.iter().enumerate() {
            if at == 0 || iterator.key().is_some_and(|key| key < *from) {
                iterator.seek(from);
            }
            while let Some((key, value)) = iterator.item()
                && key < *to
            {
                let flow = visit(at, key, value);
                iterator.next();
                if flow == ControlFlow::Break(()) {
                    break;
                }
            }
            iterator.status().map_err(failed("scan keys"))?;
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        // Some bytes more per operation for its tag and lengths.
        let mut writes = WriteBatch::with_capacity_bytes(batch.bytes() + 8 * batch.len());
        // Looked up once a batch: the database finds them by name.
        let handles = Family::ALL.map(|family| self.handle(family));
        let handle = |family: Family| handles[family.index()];
        for operation in batch.operations() {
            match operation {
                Operation::Put { family, key, value } => {
                    writes.put_cf(handle(family), key, value);
                }
                Operation::Delete { family, key } => writes.delete_cf(handle(family), key),
                Operation::DeleteRange { family, from, to } if from < to => {
                    writes.delete_range_cf(handle(family), from, to);
                }
                Operation::DeleteRange { .. } => {}
            }
        }
        self.database.write_opt(writes, &self.write_options).map_err(failed("write a batch"))
    }

    fn sync(&self) -> Result<(), Error> {
        self.database.flush_wal(true).map_err(failed("sync the log"))
    }

    fn flush(&self) -> Result<(), Error> {
        if self.sum(UNFLUSHED)? <= REPLAY_BYTES_MAX {
            return Ok(());
        }
        let families: Vec<&ColumnFamily> = Family::ALL.map(|family| self.handle(family)).to_vec();
        self.database
            .flush_cfs_opt(&families, &FlushOptions::default())
            .map_err(failed("flush what is in memory"))
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        Ok(self.files()?.disk_bytes)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let held = |total, live| Ok(self.sum(total)?.saturating_sub(self.sum(live)?));
        Ok(Usage {
            held_bytes: held("rocksdb.total-sst-files-size", "rocksdb.live-sst-files-size")?
                + held("rocksdb.total-blob-file-size", "rocksdb.live-blob-file-size")?,
            unflushed_bytes: self.sum(UNFLUSHED)?,
            pending_compaction_bytes: self.sum("rocksdb.estimate-pending-compaction-bytes")?,
            // These three are told by any family alike.
            compactions: self.property(Family::Meta, "rocksdb.num-running-compactions")?,
            snapshots: self.property(Family::Meta, "rocksdb.num-snapshots")?,
            cache_bytes: self.property(Family::Meta, "rocksdb.block-cache-usage")?,
            ..self.files()?
        })
    }

    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        let checkpoint = Checkpoint::new(&self.database).map_err(failed("begin a copy"))?;
        checkpoint.create_checkpoint(to).map_err(failed("copy the database"))
    }

    fn reclaim(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let handle = self.handle(family);
        // Tells what the files hold, without asking the deletion, which lies in memory still.
        let sizes = self.database.get_approximate_sizes_cf(handle, &[Range::new(from, to)]);
        // Large checkpoints lie in blob files, of which the tables hold some bytes only.
        let bytes_min = if family == Family::Checkpoint { 1 } else { RECLAIM_BYTES_MIN };
        if sizes.iter().sum::<u64>() < bytes_min {
            return Ok(());
        }
        // Brings the deletion down through all levels to what it covers, and both vanish. Removing the
        // files that lie wholly in the range would be faster, but might remove the deletion before some
        // of what it covers, which would then be back.
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        self.database.compact_range_cf_opt(handle, Some(from), Some(to), &options);
        // The call above reports nothing; a failed compaction shows as the database's error state.
        self.database.flush_cf(handle).map_err(failed("reclaim space"))
    }

    fn compact(&self) -> Result<(), Error> {
        // Without force the lowest level, where most of the data lies, is left as it is.
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        for family in Family::ALL {
            let (handle, all) = (self.handle(family), None::<&[u8]>);
            self.database.compact_range_cf_opt(handle, all, all, &options);
        }
        // The call above reports nothing; a failed compaction shows as the database's error state.
        self.database.flush().map_err(failed("compact"))
    }
}

/// RocksDB has no error kind for a held lock, only these two texts: one for this process, one for
/// another.
fn is_lock_conflict(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    text.contains("lock hold by current process") || text.contains("While lock file")
}

fn failed(action: &'static str) -> impl FnOnce(rocksdb::Error) -> Error {
    move |error| {
        let reason = error.into_string();
        if reason.contains("No space left on device") {
            return Error::DiskFull { reason };
        }
        Error::Backend { action, reason }
    }
}
