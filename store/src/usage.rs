//! What a store takes of the machine. All sizes are bytes.

/// What a store takes of the machine at one moment. The figures are read one after the other, so beside
/// writers they do not add up exactly. A backend answers what it knows, the rest is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes of every file of the database: tables, logs, and what the storage engine notes for itself.
    pub disk_bytes: u64,
    /// Number of files that hold data: tables, and blobs, in which large checkpoints lie.
    pub files: u64,
    /// Bytes of these files.
    pub file_bytes: u64,
    /// Bytes of these files that nobody needs but readers that began before they were replaced. They go
    /// when the readers end.
    pub held_bytes: u64,
    /// Bytes of the write-ahead logs: what the next opening may have to replay.
    pub log_bytes: u64,
    /// Bytes of memory with what was written and is not in a file yet, beside the log.
    pub unflushed_bytes: u64,
    /// Bytes that compaction has still to rewrite, by estimate, before all levels have their size: its
    /// debt.
    pub pending_compaction_bytes: u64,
    /// Compactions that are running.
    pub compactions: u64,
    /// Moments that are held for readers: what was deleted since the oldest stays on disk.
    pub snapshots: u64,
    /// Bytes of memory of the cache, unflushed writes included.
    pub cache_bytes: u64,
}
