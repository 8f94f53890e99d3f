//! Credentials that are genuine but do not count yet, and what each of them waits for.
//!
//! Invariants:
//! - every parked credential is listed under each key that could make it count, and under no other;
//! - a parked credential is a copy of its own bytes: it does not keep the frame alive that brought it;
//! - one feed holds at most [`PARKED_PER_FEED_MAX`] places. There is deliberately no bound over all
//!   feeds: with one, what becomes of an honest feed would depend on what strangers parked here
//!   before it. The whole is bounded by the feeds that a party listens to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use systole_proto::PublicKey;

use super::Position;
use super::rules::Statement;

/// Credentials of one feed that may be parked at a time. An honest writer needs two (its own key and
/// its own feed, when it introduces itself); whatever else it writes counts in its own causal past.
pub(crate) const PARKED_PER_FEED_MAX: usize = 16;

/// What would make a parked credential count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// The party's genesis.
    Genesis,
    /// The admission of at least one of these keys, in rising order.
    AnyOf(Vec<PublicKey>),
}

impl WaitsFor {
    fn keys(&self) -> &[PublicKey] {
        match self {
            Self::Genesis => &[],
            Self::AnyOf(keys) => keys,
        }
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis => write!(f, "the party's genesis"),
            Self::AnyOf(keys) => {
                write!(f, "the admission of key ")?;
                for (index, key) in keys.iter().enumerate() {
                    let before = if index == 0 { "" } else { " or " };
                    write!(f, "{before}{}", key.short())?;
                }
                Ok(())
            }
        }
    }
}

/// One parked credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    pub(super) statement: Statement,
    waits_for: WaitsFor,
}

/// All parked credentials of a party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parked {
    entries: BTreeMap<Position, Entry>,
    by_key: BTreeMap<PublicKey, BTreeSet<Position>>,
}

impl Parked {
    /// Parks a credential; its position must be free.
    pub(super) fn insert(
        &mut self,
        at: Position,
        bytes: &Bytes,
        statement: Statement,
        waits_for: WaitsFor,
    ) {
        for key in waits_for.keys() {
            self.by_key.entry(*key).or_default().insert(at);
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let taken = self.entries.insert(at, Entry { bytes, statement, waits_for });
        assert!(taken.is_none(), "a position holds one block, and a block one credential");
    }

    /// Takes out every credential that the admission of `key` could make count.
    pub(super) fn wake(&mut self, key: &PublicKey) -> BTreeMap<Position, Entry> {
        let woken = self.by_key.remove(key).unwrap_or_default();
        woken.into_iter().map(|at| (at, self.remove(&at))).collect()
    }

    /// Takes out everything: what the genesis makes count is only known by looking at all of it.
    pub(super) fn wake_all(&mut self) -> BTreeMap<Position, Entry> {
        self.by_key.clear();
        std::mem::take(&mut self.entries)
    }

    fn remove(&mut self, at: &Position) -> Entry {
        let entry = self.entries.remove(at).expect("every listed position is parked");
        for key in entry.waits_for.keys() {
            if let Some(positions) = self.by_key.get_mut(key) {
                positions.remove(at);
                if positions.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        entry
    }

    /// The credential parked at `at`.
    pub(super) fn at(&self, at: &Position) -> Option<&Entry> {
        self.entries.get(at)
    }

    /// Whether the feed of `at` has used up `places_max` places.
    pub(super) fn is_full(&self, at: &Position, places_max: usize) -> bool {
        let first = Position { feed: at.feed, seq: 0 };
        let last = Position { feed: at.feed, seq: u64::MAX };
        self.entries.range(first..=last).count() >= places_max
    }

    /// All positions, in order, and what each waits for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Position, &WaitsFor)> {
        self.entries.iter().map(|(at, entry)| (at, &entry.waits_for))
    }
}

impl Entry {
    /// What the credential waits for.
    pub(super) fn waits_for(&self) -> &WaitsFor {
        &self.waits_for
    }
}
