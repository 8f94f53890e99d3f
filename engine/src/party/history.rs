//! Causality of stored blocks, looked up in the store.
//!
//! Invariant: what is read here was committed; what is not committed yet is known to
//! [`PartyState`](super::state::PartyState) alone.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::ControlFlow;
use std::sync::Arc;

use systole_proto::FeedKey;
use systole_store::{CausalStep, FeedNo, Store};

use super::causal::{Causal, STEP_FULL_EVERY, Step};
use crate::Error;

/// How many positions of a feed are looked ahead for steps, once as many were needed.
const LOOK_AHEAD_MAX: u64 = 4_096;

/// Positions of a feed that are passed step by step. Beyond, the past is built anew from the nearest
/// full step, which takes about as many reads.
const PASS_MAX: u64 = STEP_FULL_EVERY as u64 / 2;

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

/// Pasts of many blocks of a few feeds, asked for in rising order within each feed. Few or many, near
/// or far from each other: about as many steps are read as are needed.
///
/// All of the blocks must be stored before this is made: it looks ahead, and what is not there then
/// it takes for absent.
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
    /// How many positions are looked ahead next time.
    ahead: u64,
}

impl<'a> Pasts<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, feeds: BTreeMap::new() }
    }

    /// Lamport number and past of block `seq` of `feed`.
    pub(crate) fn causal(&mut self, feed: FeedNo, seq: u64) -> Result<Causal, Error> {
        let store = self.store;
        let upcoming = match self.feeds.entry(feed) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Upcoming::at(store, feed, seq)?),
        };
        let from = upcoming.current.as_ref().map_or(0, |step| step.seq);
        if seq < from || seq > upcoming.known_to + PASS_MAX {
            *upcoming = Upcoming::at(store, feed, seq)?;
        } else if seq > upcoming.known_to {
            upcoming.read_to(store, feed, seq)?;
        }
        upcoming.pass_to(seq);
        Ok(upcoming.current.as_ref().map_or(Causal::unlinked(seq), |step| step.causal(seq)))
    }
}

impl Upcoming {
    fn at(store: &Store, feed: FeedNo, seq: u64) -> Result<Self, Error> {
        let current = step(store, feed, seq)?.map(|(step, _)| step);
        Ok(Self { current, next: VecDeque::new(), known_to: seq, ahead: 0 })
    }

    /// Reads the steps up to `seq`, and the more beyond it the more were of use so far.
    fn read_to(&mut self, store: &Store, feed: FeedNo, seq: u64) -> Result<(), Error> {
        let until = seq + self.ahead;
        store.feeds().scan_steps(feed, self.known_to + 1, until + 1, &mut |step| {
            self.next.push_back(step);
            ControlFlow::Continue(())
        })?;
        self.known_to = until;
        self.ahead = (self.ahead * 2).clamp(1, LOOK_AHEAD_MAX);
        Ok(())
    }

    fn pass_to(&mut self, seq: u64) {
        while self.next.front().is_some_and(|step| step.seq <= seq) {
            let CausalStep { seq, lamport, full, entries, .. } =
                self.next.pop_front().expect("just seen");
            // In place, unless somebody keeps the past of the step before.
            let mut past = match self.current.take() {
                Some(current) if !full => current.past,
                _ => Arc::default(),
            };
            let raised = Arc::make_mut(&mut past);
            for (feed, length) in entries {
                raised.raise(feed, length);
            }
            self.current = Some(Step { seq, lamport, past });
        }
    }
}
