//! The pure core of a party: which blocks may be processed, in which order, and what they do.
//!
//! Inputs are stored blocks; outputs are [`Effect`]s. No tokio, no actor, no RocksDB, no clock: what
//! must be looked up comes through [`Host`].
//!
//! Invariants:
//! - a block is processed after every block in its causal past and after its feed's earlier blocks;
//! - what processing a block does is a function of the block and its causal past alone (membership
//!   included), so every replica does the same, in whatever order feeds arrive;
//! - a block that waits changes nothing; it is tried again when what it waits for is there;
//! - `processed <= length` for every feed, and both only grow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use systole_proto::{Block, Body, FeedKey, Hash, PartyKey, Stamp};
use systole_store::{FeedNo, FeedPosition, ItemKey, ItemRecord, PartyNo};

use super::admit::{Membership, Position, Verdict};
use super::causal::{Causal, Past, STEP_FULL_EVERY, Step};
use super::cursor::Cursor;
use super::effect::{Effect, Quarantined};
use super::order::Order;
use crate::stages::Stage;
use crate::{Error, Event};

/// How many commits lie between two looks for cold cursors.
const SWEEP_EVERY: u64 = 64;

/// What the pure core looks up in the store.
pub(crate) trait Host {
    /// The local number of a feed, made if the feed was never heard of.
    fn number(&mut self, key: &FeedKey) -> Result<FeedNo, Error>;
    /// The key of a numbered feed.
    fn key(&mut self, feed: FeedNo) -> Result<FeedKey, Error>;
    /// The stored step of `feed` at or before `seq`, if there is one, and its depth.
    fn step(&mut self, feed: FeedNo, seq: u64) -> Result<Option<(Step, u8)>, Error>;
    /// The feeds that `feed` names by alias, alias 1 first.
    fn aliases(&mut self, feed: FeedNo) -> Result<Vec<FeedNo>, Error>;
    /// The root of `feed` at `length`, which is stored.
    fn root(&mut self, feed: FeedNo, length: u64) -> Result<Hash, Error>;
    /// The next block begins.
    fn begins(&mut self) {}
    /// It has passed a stage.
    fn passed(&mut self, stage: Stage) {
        let _ = stage;
    }
    /// Whether an item has a record.
    fn item_exists(&mut self, key: ItemKey) -> Result<bool, Error> {
        Ok(self.item(key)?.is_some())
    }
    /// The record of an item.
    fn item(&mut self, key: ItemKey) -> Result<Option<Arc<ItemRecord>>, Error>;
}

/// One feed as the party sees it.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) key: FeedKey,
    /// Blocks stored and verified.
    pub(crate) length: u64,
    /// Blocks processed.
    pub(crate) processed: u64,
    /// Of the last processed block.
    pub(crate) lamport: u64,
    /// Of the last processed block.
    pub(crate) stamp: Stamp,
    /// Why nothing of this feed is processed any more.
    pub(crate) halted: Option<String>,
    /// A block of it was found to speak for a member, and so do all after it.
    pub(super) speaks: bool,
    pub(super) cursor: Option<Cursor>,
}

/// What became of the next block of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It was processed (or quarantined): the feed has moved on by one.
    Processed,
    /// It waits for `length` blocks of another feed.
    Waits { feed: FeedNo, length: u64 },
    /// The feed is not admitted, and its next block does not introduce it.
    NotAdmitted,
    /// The feed has too many credentials parked: it stops until another credential counts.
    Held,
    /// The feed is halted for good.
    Halted,
}

/// The party's state machine.
#[derive(Debug)]
pub(crate) struct PartyState {
    pub(crate) membership: Membership,
    /// The store's number of the party.
    pub(super) number: PartyNo,
    pub(super) feeds: BTreeMap<FeedNo, Feed>,
    pub(super) numbers: BTreeMap<FeedKey, FeedNo>,
    /// Whose turn it is.
    pub(super) order: Order,
    /// Feeds whose position is not yet stored.
    dirty: BTreeSet<FeedNo>,
    /// Feeds whose position went into the batch that is being written.
    writing: Vec<FeedNo>,
    /// Item records that changed since the last commit.
    pub(super) fresh: BTreeMap<ItemKey, Arc<ItemRecord>>,
    /// Commits so far; cold cursors are looked for every [`SWEEP_EVERY`] of them.
    commits: u64,
    /// Number of the last processed message; the order of an item's log.
    pub(crate) ordinal: u64,
    /// Blocks processed since opening; the clock of [`Cursor::used`].
    pub(super) ticks: u64,
}

impl PartyState {
    /// A party with nothing in it.
    pub(crate) fn new(key: PartyKey, number: PartyNo, ordinal: u64) -> Self {
        Self {
            membership: Membership::new(key),
            number,
            feeds: BTreeMap::new(),
            numbers: BTreeMap::new(),
            order: Order::default(),
            dirty: BTreeSet::new(),
            writing: Vec::new(),
            fresh: BTreeMap::new(),
            commits: 0,
            ordinal,
            ticks: 0,
        }
    }

    /// Adds a feed at its stored position. A feed that is there already stays as it is.
    pub(crate) fn add_feed(&mut self, no: FeedNo, key: FeedKey, position: FeedPosition) {
        if self.feeds.contains_key(&no) {
            return;
        }
        if position.processed < position.length {
            self.order.offer(no);
        }
        self.numbers.insert(key, no);
        let feed = Feed {
            key,
            length: position.length,
            processed: position.processed,
            lamport: position.lamport,
            stamp: position.stamp,
            halted: position.halted,
            speaks: false,
            cursor: None,
        };
        self.feeds.insert(no, feed);
    }

    /// Stored blocks of `feed` now reach `length`.
    pub(crate) fn extended(&mut self, feed: FeedNo, length: u64) {
        let state = self.feeds.get_mut(&feed).expect("only a known feed is extended");
        assert!(length >= state.length, "a feed never gets shorter");
        state.length = length;
        self.dirty.insert(feed);
        self.order.offer(feed);
    }

    /// Stops processing of a feed for good.
    pub(crate) fn halt(&mut self, feed: FeedNo, reason: String) {
        let state = self.feeds.get_mut(&feed).expect("only a known feed is halted");
        state.halted.get_or_insert(reason);
        self.dirty.insert(feed);
        self.order.withdraw(feed);
    }

    /// The next feed, after `last`, whose next block may be processable: every feed gets its turn.
    pub(crate) fn next_ready(&self, last: Option<FeedNo>) -> Option<FeedNo> {
        self.order.next_after(last)
    }

    /// Processes the next block of `feed`, whose bytes are `bytes`, into `effects`.
    pub(crate) fn process(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        bytes: Bytes,
        effects: &mut Vec<Effect>,
    ) -> Result<Progress, Error> {
        let state = &self.feeds[&feed];
        assert!(state.processed < state.length, "only stored blocks are processed");
        if state.halted.is_some() {
            self.order.withdraw(feed);
            return Ok(Progress::Halted);
        }
        let seq = state.processed;
        host.begins();
        let block = Block::decode(bytes);
        host.passed(Stage::Decode);
        if !self.membership.is_admitted(&state.key) && !self.may_introduce_itself(seq, &block) {
            self.order.withdraw(feed);
            return Ok(Progress::NotAdmitted);
        }
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                let causal = self.own_causal(host, feed, seq)?;
                let refused = Quarantined::new("undecodable", error.to_string());
                return Ok(self.quarantine(feed, seq, causal, None, refused, effects));
            }
        };
        self.process_block(host, feed, block, false, effects)
    }

    /// Processes a decoded block; `own` skips what its local author has just made sure of.
    pub(super) fn process_block(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        block: Block,
        own: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<Progress, Error> {
        let seq = self.feeds[&feed].processed;
        let unlinked = self.own_causal(host, feed, seq)?;
        let aliases = match self.resolve_keys(host, feed, &block)? {
            Ok(aliases) => aliases,
            Err(refused) => return Ok(self.quarantine(feed, seq, unlinked, None, refused, effects)),
        };
        let targets = match self.resolve_links(feed, &block, &aliases) {
            Ok(targets) => targets,
            Err(refused) => {
                self.learn(feed, &aliases, effects);
                return Ok(self.quarantine(feed, seq, unlinked, None, refused, effects));
            }
        };
        for ((target, length), link) in targets.iter().zip(&block.links) {
            let known = self.feeds.get(target).map_or(0, |state| state.processed);
            if known < *length {
                self.order.wait(feed, *target, *length);
                return Ok(Progress::Waits { feed: *target, length: *length });
            }
            if !own && host.root(*target, *length)? != link.root {
                let reason = format!(
                    "block {seq} links to another history of feed {} at length {length}",
                    self.feeds[target].key.short()
                );
                self.halt(feed, reason.clone());
                effects
                    .push(Effect::Event(Event::FeedHalted { feed: self.feeds[&feed].key, reason }));
                return Ok(Progress::Halted);
            }
        }
        let verdict = match &block.body {
            Body::Credential(bytes) => {
                let at = Position { feed: self.feeds[&feed].key, seq };
                Some(self.membership.admit(at, bytes))
            }
            _ => None,
        };
        if let Some(Verdict::Held { .. }) = verdict {
            self.order.hold(feed);
            return Ok(Progress::Held);
        }
        self.learn(feed, &aliases, effects);
        let causal = self.causal_with(host, feed, unlinked, &targets)?;
        if !targets.is_empty() {
            self.keep_step(feed, seq, &causal, effects);
        }
        host.passed(Stage::Order);
        let counts = match verdict {
            Some(verdict) => self.heard(feed, seq, &block, verdict, effects),
            None => self.demultiplex(host, feed, seq, &causal, &block, effects)?,
        };
        match counts {
            Ok(()) => self.advance(feed, seq, &causal, Some(&block)),
            Err(refused) => {
                return Ok(self.quarantine(feed, seq, causal, Some(&block), refused, effects));
            }
        }
        host.passed(Stage::Demux);
        Ok(Progress::Processed)
    }

    /// A feed that is not admitted may be heard on its first block if that is a credential: the
    /// party's genesis, or the feed's own admission.
    fn may_introduce_itself(
        &self,
        seq: u64,
        block: &Result<Block, systole_proto::DecodeError>,
    ) -> bool {
        seq == 0
            && block.as_ref().is_ok_and(|block| {
                matches!(block.body, Body::Credential(_)) && block.links.is_empty()
            })
    }

    fn quarantine(
        &mut self,
        feed: FeedNo,
        seq: u64,
        causal: Causal,
        block: Option<&Block>,
        refused: Quarantined,
        effects: &mut Vec<Effect>,
    ) -> Progress {
        let key = self.feeds[&feed].key;
        let Quarantined { code, reason } = refused;
        effects.push(Effect::Quarantine { feed, seq, code, reason: reason.clone() });
        effects.push(Effect::Event(Event::Quarantined { feed: key, seq, code, reason }));
        self.advance(feed, seq, &causal, block);
        Progress::Processed
    }

    /// Lamport number and past of block `seq` if it has no links: what follows from its feed alone.
    pub(super) fn own_causal(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        seq: u64,
    ) -> Result<Causal, Error> {
        self.ticks += 1;
        let ticks = self.ticks;
        let cursor = self.cursor(host, feed)?;
        cursor.used = ticks;
        Ok(match cursor.steps.last() {
            Some(step) => step.causal(seq),
            None => Causal::unlinked(seq),
        })
    }

    /// Lamport number and past of any processed block.
    fn causal_at(&mut self, host: &mut dyn Host, feed: FeedNo, seq: u64) -> Result<Causal, Error> {
        let cursor = self.cursor(host, feed)?;
        if let Some(step) = cursor.steps.iter().rev().find(|step| step.seq <= seq) {
            return Ok(step.causal(seq));
        }
        if cursor.steps.is_empty() {
            return Ok(Causal::unlinked(seq));
        }
        Ok(host.step(feed, seq)?.map_or(Causal::unlinked(seq), |(step, _)| step.causal(seq)))
    }

    fn causal_with(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        unlinked: Causal,
        targets: &[(FeedNo, u64)],
    ) -> Result<Causal, Error> {
        if targets.is_empty() {
            return Ok(unlinked);
        }
        let mut lamport = unlinked.lamport;
        let mut past = Past::clone(&unlinked.past);
        for (target, length) in targets {
            let linked = self.causal_at(host, *target, length - 1)?;
            lamport = lamport.max(linked.lamport + 1);
            past.merge(&linked.past, feed);
            past.raise(*target, *length);
        }
        Ok(Causal { lamport, past: Arc::new(past) })
    }

    fn keep_step(&mut self, feed: FeedNo, seq: u64, causal: &Causal, effects: &mut Vec<Effect>) {
        let state = self.feeds.get_mut(&feed).expect("the feed is being processed");
        let cursor = state.cursor.as_mut().expect("loaded with the block's own past");
        let step = Step { seq, lamport: causal.lamport, past: causal.past.clone() };
        let previous = cursor.steps.last().map(|step| step.past.clone());
        cursor.depth = if previous.is_none() { 0 } else { (cursor.depth + 1) % STEP_FULL_EVERY };
        let record = step.record(previous.as_deref(), cursor.depth);
        cursor.steps.push(step);
        effects.push(Effect::Step { feed, step: record });
    }

    fn advance(&mut self, feed: FeedNo, seq: u64, causal: &Causal, block: Option<&Block>) {
        let state = self.feeds.get_mut(&feed).expect("the feed is being processed");
        assert_eq!(state.processed, seq, "blocks of a feed are processed one after the other");
        assert!(causal.lamport > state.lamport, "Lamport numbers of a feed grow");
        state.processed = seq + 1;
        state.lamport = causal.lamport;
        if let Some(block) = block {
            state.stamp = super::demux::stamped(state.stamp, block);
        }
        self.dirty.insert(feed);
        if state.processed >= state.length {
            self.order.withdraw(feed);
        }
        self.order.reached(feed, seq + 1);
    }

    /// Makes an admitted feed's stored blocks processable.
    pub(super) fn admitted(&mut self, key: &FeedKey) {
        if let Some(no) = self.numbers.get(key) {
            let state = &self.feeds[no];
            if state.processed < state.length {
                self.order.offer(*no);
            }
        }
    }

    /// The positions that changed since this was last asked; they belong into the same batch as the
    /// effects that led to them.
    pub(crate) fn take_positions(&mut self) -> Vec<(FeedNo, FeedPosition)> {
        self.writing = std::mem::take(&mut self.dirty).into_iter().collect();
        self.writing.iter().map(|no| (*no, self.feeds[no].position())).collect()
    }

    /// What [`Self::take_positions`] gave is stored: forgets the steps that only bridged the time
    /// until now, and at times drops the cursors used least recently while all of them together
    /// hold more than `cursors_bytes_max`.
    pub(crate) fn committed(&mut self, cursors_bytes_max: usize) {
        for no in std::mem::take(&mut self.writing) {
            if let Some(cursor) = self.feeds.get_mut(&no).and_then(|feed| feed.cursor.as_mut()) {
                let older = cursor.steps.len().saturating_sub(1);
                cursor.steps.drain(..older);
            }
        }
        self.fresh.clear();
        self.commits += 1;
        if self.commits.is_multiple_of(SWEEP_EVERY) {
            self.drop_cold_cursors(cursors_bytes_max);
        }
    }

    /// The feed and length that the next block of `feed` waits for.
    pub(crate) fn waits_for(&self, feed: FeedNo) -> Option<(FeedNo, u64)> {
        self.order.waits_for(feed)
    }

    /// The local number of a feed of this party.
    pub(crate) fn number_of(&self, key: &FeedKey) -> Option<FeedNo> {
        self.numbers.get(key).copied()
    }

    /// One feed.
    pub(crate) fn feed(&self, no: FeedNo) -> Option<&Feed> {
        self.feeds.get(&no)
    }

    /// All feeds, by number.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = (FeedNo, &Feed)> {
        self.feeds.iter().map(|(no, feed)| (*no, feed))
    }
}

impl Feed {
    pub(crate) fn position(&self) -> FeedPosition {
        FeedPosition {
            length: self.length,
            processed: self.processed,
            lamport: self.lamport,
            stamp: self.stamp,
            halted: self.halted.clone(),
        }
    }
}
