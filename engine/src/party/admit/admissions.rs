//! The edges of admission: on whose authority a key or a feed is admitted, and where that stands.
//!
//! Invariant: per (authority, carrying feed) the first position is kept. A past that holds a position
//! of a feed holds every earlier one, so the first position says as much as all of them.

use std::collections::BTreeMap;

use systole_proto::{FeedKey, PublicKey};

use super::Position;

/// Admissions of one key or feed: (authority, carrying feed) → seq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Admissions(BTreeMap<(PublicKey, FeedKey), u64>);

impl Admissions {
    /// Adds an admission; whether it says more than was known.
    pub(super) fn remember(&mut self, by: PublicKey, at: &Position) -> bool {
        let known = self.0.get(&(by, at.feed)).is_some_and(|seq| *seq <= at.seq);
        if !known {
            self.0.insert((by, at.feed), at.seq);
        }
        !known
    }

    /// The authorities, in rising order, whose admission `covers` knows.
    pub(super) fn within(
        &self,
        covers: &impl Fn(&Position) -> bool,
    ) -> impl Iterator<Item = &PublicKey> {
        self.0
            .iter()
            .filter(|((_, feed), seq)| covers(&Position { feed: *feed, seq: **seq }))
            .map(|((by, _), _)| by)
    }
}
