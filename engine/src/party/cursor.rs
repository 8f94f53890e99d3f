//! What is kept at hand of a feed that is being heard: the names it gave to others, and its past.
//!
//! Invariant: a cursor can be dropped whenever everything it says is stored; it is loaded again.

use std::collections::BTreeMap;

use systole_store::FeedNo;

use super::causal::Step;
use super::state::{Host, PartyState};
use crate::Error;

/// What a feed names and where its past last grew: loaded when first needed, dropped when cold.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Alias 1 is element 0.
    pub(super) aliases: Vec<FeedNo>,
    pub(super) alias_of: BTreeMap<FeedNo, u32>,
    /// Steps since the last commit, and the one before them. Oldest first.
    pub(super) steps: Vec<Step>,
    /// Delta steps since the last full one.
    pub(super) depth: u8,
    /// When it was last used, for dropping the coldest.
    pub(super) used: u64,
}

impl Cursor {
    pub(super) fn memory_bytes(&self) -> usize {
        self.aliases.len() * 64
            + self.steps.iter().map(|step| step.past.memory_bytes()).sum::<usize>()
    }
}

impl PartyState {
    /// The feed's cursor, loaded if it is not in memory.
    pub(super) fn cursor(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
    ) -> Result<&mut Cursor, Error> {
        let state = self.feeds.get_mut(&feed).expect("only known feeds have cursors");
        if state.cursor.is_none() {
            let aliases = host.aliases(feed)?;
            let last = state.processed.checked_sub(1);
            let step = match last {
                Some(last) => host.step(feed, last)?,
                None => None,
            };
            let (steps, depth) = match step {
                Some((step, depth)) => (vec![step], depth),
                None => (Vec::new(), 0),
            };
            let alias_of =
                aliases.iter().enumerate().map(|(n, target)| (*target, n as u32 + 1)).collect();
            state.cursor = Some(Cursor { aliases, alias_of, steps, depth, used: self.ticks });
        }
        Ok(state.cursor.as_mut().expect("just loaded"))
    }

    /// Drops the cursors used least recently while all of them hold more than `cursors_bytes_max`.
    pub(super) fn drop_cold_cursors(&mut self, cursors_bytes_max: usize) {
        let mut sizes: Vec<_> = self
            .feeds
            .iter()
            .filter_map(|(no, feed)| {
                feed.cursor.as_ref().map(|cursor| (cursor.used, *no, cursor.memory_bytes()))
            })
            .collect();
        let mut total: usize = sizes.iter().map(|size| size.2).sum();
        if total <= cursors_bytes_max {
            return;
        }
        sizes.sort_unstable();
        for (_, no, bytes) in sizes {
            if total <= cursors_bytes_max / 2 {
                break;
            }
            self.feeds.get_mut(&no).expect("listed above").cursor = None;
            total -= bytes;
        }
    }
}
