//! Every setting of the storage engine, each with its reason.
//!
//! The users of an embedded engine share a small machine with it, so memory is a fixed sum, chosen by
//! the caller, and threads are few.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, WriteBufferManager,
    WriteOptions,
};

use crate::family::Family;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Settings of a store on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of memory for what was read, indexes and filters included, and for what is written and
    /// not yet in a table file. Default 32 MiB.
    pub cache_bytes: usize,
    /// How many of these may be taken by what is written, over all families together, before it goes
    /// into table files. Default 16 MiB.
    pub write_buffer_bytes: usize,
    /// Files held open at most. Default 256.
    pub open_files_max: u16,
    /// Threads that flush and compact. Default 2.
    pub background_threads: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 32 * MIB,
            write_buffer_bytes: 16 * MIB,
            open_files_max: 256,
            background_threads: 2,
        }
    }
}

/// Smallest write buffer that leaves every family room for its first arena block.
const WRITE_BUFFER_BYTES_MIN: usize = MIB;

impl Options {
    /// The memory that all parts of one database share.
    pub(crate) fn cache(&self) -> Cache {
        Cache::new_lru_cache(self.cache_bytes)
    }

    /// Settings of the database as a whole.
    pub(crate) fn database(&self, cache: &Cache) -> rocksdb::Options {
        let write_buffer_bytes = self.write_buffer_bytes.max(WRITE_BUFFER_BYTES_MIN);
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        // A crash while the families are created is completed by the next opening.
        options.create_missing_column_families(true);
        // A read that fails its checksum is an error, never data. The default, and a promise here.
        options.set_paranoid_checks(true);
        // After a power failure the log is read up to its first damage: a clean prefix of the batches.
        // Skipping damage would keep later batches without earlier ones.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // One sum over all families: idle families must not hold memory that busy ones need. What is
        // written takes its place from the cache, so that the cache's size is the sum of both, also
        // while one buffer is being sorted into files and the next one fills. Writers never wait for it.
        options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
            write_buffer_bytes,
            false,
            cache.clone(),
        ));
        // A rarely written family pins the log until it is flushed; this bounds the log, and so the
        // time that replaying it takes at the next opening.
        options.set_max_total_wal_size(write_buffer_bytes as u64);
        // Many apps run under a limit of 1,024 files.
        options.set_max_open_files(self.open_files_max.max(64).into());
        // Opening a store otherwise starts 16 threads per family to look at a few files.
        options.set_max_file_opening_threads(1);
        // Nor does it read what every file says of itself: compaction does without.
        options.set_skip_stats_update_on_db_open(true);
        // Two cores: one thread may flush while one compacts.
        options.set_max_background_jobs(self.background_threads.max(2).into());
        // Writes large files in steps, so that one sync of a table does not delay the log's syncs.
        options.set_bytes_per_sync(MIB as u64);
        // No timers that wake an idle app, and little log to read.
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(MIB);
        options
    }

    /// Settings of each family. The cache is shared, so that memory goes to what is read.
    pub(crate) fn families(&self, cache: &Cache) -> Vec<(&'static str, rocksdb::Options)> {
        let family = |family: Family| (family.name(), self.family(family, cache));
        Family::ALL.into_iter().map(family).collect()
    }

    fn family(&self, family: Family, cache: &Cache) -> rocksdb::Options {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(cache);
        // Newest format: smaller indexes, and checksums that notice a block at the wrong place.
        tables.set_format_version(6);
        // Indexes and filters count against the cache too; those of the youngest files stay.
        tables.set_cache_index_and_filter_blocks(true);
        tables.set_cache_index_and_filter_blocks_with_high_priority(true);
        tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
        tables.set_block_size(block_bytes(family));
        if read_by_key(family) {
            // 1 % false positives: a miss costs no disk read.
            tables.set_bloom_filter(10.0, false);
            tables.set_optimize_filters_for_memory(true);
        }

        let mut options = rocksdb::Options::default();
        options.set_block_based_table_factory(&tables);
        // The one codec linked: as fast as reading, and blocks of text shrink to half.
        options.set_compression_type(DBCompressionType::Lz4);
        // Level compaction (the default style): few files per read, little space held twice.
        options.set_level_compaction_dynamic_level_bytes(true);
        // The database's sum decides when to flush; a single family may use all of it.
        options.set_write_buffer_size(self.write_buffer_bytes.max(WRITE_BUFFER_BYTES_MIN));
        // A family that holds three records takes one arena block: it must not be a megabyte.
        options.set_arena_block_size(64 * KIB);
        options.set_target_file_size_base(32 * MIB as u64);
        // No prefix extractor: ranges and predecessor searches cross prefixes, and a filter that
        // answers for the wrong prefix would lose records silently.
        if family == Family::Checkpoint {
            // Large states are overwritten often; in blob files compaction does not copy them.
            options.set_enable_blob_files(true);
            options.set_min_blob_size(64 * KIB as u64);
            options.set_blob_compression_type(DBCompressionType::Lz4);
            // Without collection an overwritten state would stay on disk for ever.
            options.set_enable_blob_gc(true);
            options.set_blob_gc_age_cutoff(0.5);
            options.set_blob_gc_force_threshold(0.5);
        }
        options
    }
}

/// Settings of every write. The log is written, not synced: `sync` is a call of its own, so that one
/// sync serves a whole group.
pub(crate) fn write_options() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(false);
    // Keys of a batch mostly ascend within a family.
    options.set_memtable_insert_hint_per_batch(true);
    options
}

/// Families whose keys are looked up one by one, where a key may be absent.
fn read_by_key(family: Family) -> bool {
    match family {
        Family::Meta | Family::Feed | Family::Item | Family::Checkpoint | Family::Key => true,
        // Scanned; what is looked up is there, so a filter would answer nothing.
        Family::Block | Family::Log => false,
    }
}

fn block_bytes(family: Family) -> usize {
    match family {
        // Scanned in order: larger blocks compress better and need fewer index entries.
        Family::Block | Family::Log => 16 * KIB,
        _ => 4 * KIB,
    }
}
