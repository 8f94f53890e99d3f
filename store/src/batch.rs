//! One atomic change over all families: built by the typed stores, applied by a backend.
//!
//! Invariants:
//! - operations take effect in the order they were added, and all of them or none;
//! - keys and values lie in one buffer, so that a put costs no allocation of its own.

use std::fmt;

use crate::family::Family;

/// Operations that become durable together or not at all.
#[derive(Clone, Default)]
pub struct Batch {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

/// One operation of a [`Batch`], as a backend reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Stores `value` under `key`.
    Put {
        /// Where.
        family: Family,
        /// Under which key.
        key: &'a [u8],
        /// What.
        value: &'a [u8],
    },
    /// Removes `key` if it is there.
    Delete {
        /// Where.
        family: Family,
        /// Which key.
        key: &'a [u8],
    },
    /// Removes every key in `[from, to)`.
    DeleteRange {
        /// Where.
        family: Family,
        /// The first key removed.
        from: &'a [u8],
        /// The first key kept.
        to: &'a [u8],
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// Where an operation's two parts lie in the buffer: `[start, middle)` and `[middle, end)`.
#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    family: Family,
    start: usize,
    middle: usize,
    end: usize,
}

impl Batch {
    /// A batch without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the operations of `other` behind those already here.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let shift = self.data.len();
        self.data.extend_from_slice(&other.data);
        self.entries.extend(other.entries.iter().map(|entry| Entry {
            start: entry.start + shift,
            middle: entry.middle + shift,
            end: entry.end + shift,
            ..*entry
        }));
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and values: what a writer bounds a group by.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The operations in order.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.entries.iter().map(|entry| {
            let family = entry.family;
            let first = &self.data[entry.start..entry.middle];
            let second = &self.data[entry.middle..entry.end];
            match entry.kind {
                Kind::Put => Operation::Put { family, key: first, value: second },
                Kind::Delete => Operation::Delete { family, key: first },
                Kind::DeleteRange => Operation::DeleteRange { family, from: first, to: second },
            }
        })
    }

    pub(crate) fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.put_with(family, key, |out| out.extend_from_slice(value));
    }

    /// Puts the value that `encode` writes, straight into the batch's buffer.
    pub(crate) fn put_with(
        &mut self,
        family: Family,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.data.len();
        self.data.extend_from_slice(key);
        let middle = self.data.len();
        encode(&mut self.data);
        assert!(self.data.len() >= middle, "an encoder only appends");
        self.entries.push(Entry { kind: Kind::Put, family, start, middle, end: self.data.len() });
    }

    pub(crate) fn delete(&mut self, family: Family, key: &[u8]) {
        self.push(Kind::Delete, family, key, &[]);
    }

    pub(crate) fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        self.push(Kind::DeleteRange, family, from, to);
    }

    fn push(&mut self, kind: Kind, family: Family, first: &[u8], second: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(first);
        let middle = self.data.len();
        self.data.extend_from_slice(second);
        self.entries.push(Entry { kind, family, start, middle, end: self.data.len() });
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets' ciphertexts or a user's text: sizes are all a log needs.
        write!(f, "Batch({} operations, {} bytes)", self.len(), self.bytes())
    }
}
