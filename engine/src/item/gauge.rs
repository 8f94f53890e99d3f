//! What an item's actor lets its party know without a message: how much it holds and how much has
//! come since its checkpoint.
//!
//! Invariant: written by the item's actor, read by its party; a value that is a moment old only
//! delays a decision about residency or a checkpoint, never makes it wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counters of one resident item.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    memory_bytes: AtomicUsize,
    messages: AtomicU64,
    bytes: AtomicU64,
    broken: AtomicBool,
    subscribers: AtomicUsize,
    used: AtomicU64,
}

impl Gauge {
    pub(crate) fn applied(&self, messages: u64, bytes: u64, memory_bytes: usize) {
        self.messages.fetch_add(messages, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.memory_bytes.store(memory_bytes, Relaxed);
    }

    /// The item was loaded from its checkpoint and this much behind it, which still lacks one.
    pub(crate) fn loaded(&self, messages: u64, bytes: u64) {
        self.messages.store(messages, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    pub(crate) fn checkpointed(&self) {
        self.messages.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    pub(crate) fn broke(&self) {
        self.broken.store(true, Relaxed);
    }

    pub(crate) fn subscribed(&self, subscribers: usize) {
        self.subscribers.store(subscribers, Relaxed);
    }

    /// The item was asked something at `tick`.
    pub(crate) fn touch(&self, tick: u64) {
        self.used.store(tick, Relaxed);
    }

    /// When the item was last asked something, in ticks.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Relaxed)
    }

    /// Messages and payload bytes since the last checkpoint.
    pub(crate) fn since_checkpoint(&self) -> (u64, u64) {
        (self.messages.load(Relaxed), self.bytes.load(Relaxed))
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Relaxed)
    }
}
