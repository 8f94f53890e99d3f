//! Causality of stored blocks, looked up in the store.
//!
//! Invariant: what is read here was committed; what is not committed yet is known to
//! [`PartyState`](super::state::PartyState) alone.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use systole_proto::FeedKey;
use systole_store::{CausalStep, FeedNo, Store};

use super::causal::{Causal, Past, Step};
use crate::Error;

/// How many positions of a feed are looked ahead for steps.
const LOOK_AHEAD: u64 = 4_096;

/// The key of a numbered feed.
pub(crate) fn key(store: &Store, feed: FeedNo) -> Result<FeedKey, Error> {
    let record = store.meta().feed(feed)?;
    record.map(|record| record.key).ok_or_else(|| Error::corrupt(format!("{feed} is not recorded")))
}

/// The newest step of `feed` at or before `seq`, and how many steps lie between it and a full one.
pub(crate) fn step(store: &Store, feed: FeedNo, seq: u64) -> Result<Option<(Step, u8)>, Error> {
    let mut newest_first: Vec<CausalStep> = Vec::new();
    store.feeds().scan_steps_back(feed, seq, &mut |step| {
        let full = step.full;
        newest_first.push(step);
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(newest) = newest_first.first() else { return Ok(None) };
    let depth = newest.depth;
    let step = Step::rebuild(&newest_first).ok_or_else(|| {
        Error::corrupt(format!("the causal steps of {feed} before {seq} lack a start"))
    })?;
    Ok(Some((step, depth)))
}

/// Pasts of many blocks of a few feeds, asked for in rising order within each feed.
pub(crate) struct Pasts<'a> {
    store: &'a Store,
    feeds: BTreeMap<FeedNo, Upcoming>,
}

/// Where one feed's reader stands.
struct Upcoming {
    current: Option<Step>,
    /// Steps after the current one, up to and including `known_to`.
    next: VecDeque<CausalStep>,
    known_to: u64,
}

impl<'a> Pasts<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, feeds: BTreeMap::new() }
    }

    /// Lamport number and past of block `seq` of `feed`.
    pub(crate) fn causal(&mut self, feed: FeedNo, seq: u64) -> Result<Causal, Error> {
        let known = self.feeds.get(&feed).is_some_and(|upcoming| {
            let from = upcoming.current.as_ref().map_or(0, |step| step.seq);
            (from..=upcoming.known_to).contains(&seq)
        });
        if !known {
            self.look(feed, seq)?;
        }
        let upcoming = self.feeds.get_mut(&feed).expect("just looked for");
        while upcoming.next.front().is_some_and(|step| step.seq <= seq) {
            let step = upcoming.next.pop_front().expect("just seen");
            let mut past = match &upcoming.current {
                Some(current) if !step.full => Past::clone(&current.past),
                _ => Past::default(),
            };
            for (feed, length) in &step.entries {
                past.raise(*feed, *length);
            }
            upcoming.current =
                Some(Step { seq: step.seq, lamport: step.lamport, past: Arc::new(past) });
        }
        Ok(upcoming.current.as_ref().map_or(Causal::unlinked(seq), |step| step.causal(seq)))
    }

    fn look(&mut self, feed: FeedNo, seq: u64) -> Result<(), Error> {
        let current = step(self.store, feed, seq)?.map(|(step, _)| step);
        let known_to = seq + LOOK_AHEAD;
        let mut next = VecDeque::new();
        self.store.feeds().scan_steps(feed, seq + 1, known_to + 1, &mut |step| {
            next.push_back(step);
            ControlFlow::Continue(())
        })?;
        self.feeds.insert(feed, Upcoming { current, next, known_to });
        Ok(())
    }
}
