//! Reading: the next part of every log, and the blocks that these parts name, in the order in which they
//! lie in the store.
//!
//! Invariant: a step holds at most [`STEP_BYTES_MAX`] of blocks, or one block; a quarter of that where nobody
//! waits.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use systole_proto::limits::FEED_LENGTH_MAX;
use systole_store::{Caching, FeedNo, ItemKey, LogEntry, Store};

use super::{Awaited, Step};
use crate::Error;
use crate::item::state::ItemState;
use crate::settings::LOADED_TOGETHER_MAX;
use crate::stages::Stage;
use crate::telemetry::Telemetry;

/// Log entries that one step reads of all items together, about: while somebody waits, and else.
const STEP_MESSAGES: usize = 32_768;
const STEP_MESSAGES_UNAWAITED: usize = 4_096;
/// The least that one step reads of an item's log, so that a search is worth it.
const ENTRIES_MIN: usize = 64;
/// What a block is taken to be long before one was read.
const BLOCK_BYTES_EXPECTED: usize = 256;
/// What the first step reads of an item's log.
const ENTRIES_FIRST: usize = 32;
/// Bytes of blocks that one step holds: while somebody waits, and else. Each step looks pasts up anew, and
/// what is taken for the greatest one stays with its thread.
const STEP_BYTES_MAX: usize = 4 << 20;
const STEP_BYTES_UNAWAITED_MAX: usize = 1 << 20;
/// The local name of no item.
const NO_ITEM: ItemKey = ItemKey { feed: FeedNo(u32::MAX), seq: u64::MAX };

/// Reads the logs of items, and the blocks they name, step by step.
pub(super) struct Reader<'a> {
    store: &'a Store,
    telemetry: &'a Telemetry,
    logs: Vec<Log>,
    until: u64,
    caching: Caching,
    /// Bytes of blocks that a step holds.
    bytes_max: usize,
    /// Entries of one log that the next step reads: few at first, so that there is soon something to
    /// apply.
    share: usize,
    share_max: usize,
    /// What a step wants, and where that lies.
    wanted: Vec<Wanted>,
    positions: Vec<(FeedNo, u64)>,
    /// Bytes of a block, by those read last.
    block_bytes: usize,
    /// A step that was applied.
    used: Step,
}

/// Where the log of one item is read.
struct Log {
    item: ItemKey,
    /// Number of the last message that the item contains already.
    contained: u64,
    /// Entries that were read and are in no step yet.
    upcoming: VecDeque<LogEntry>,
    /// Number from which on it is read next; unknown at first.
    next_ordinal: Option<u64>,
    ended: bool,
}

/// A message of a step: where its block lies, whose it is, and its place among that log's entries. One
/// number, for a step sorts tens of thousands of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted(u128);

const _: () = assert!(FEED_LENGTH_MAX <= 1 << 48 && LOADED_TOGETHER_MAX <= 1 << 16);

impl Wanted {
    pub(super) fn new(entry: &LogEntry, log: usize, nth: usize) -> Self {
        let place = u128::from(entry.feed.0) << 48 | u128::from(entry.seq);
        Self(place << 48 | (log as u128) << 32 | nth as u128)
    }

    fn position(self) -> (FeedNo, u64) {
        (FeedNo((self.0 >> 96) as u32), (self.0 >> 48) as u64 & ((1 << 48) - 1))
    }

    fn log(self) -> u32 {
        (self.0 >> 32) as u32 & 0xffff
    }

    fn nth(self) -> u32 {
        self.0 as u32
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        store: &'a Store,
        telemetry: &'a Telemetry,
        items: &[Result<ItemState, Error>],
        until: u64,
        awaited: Awaited,
    ) -> Self {
        let log = |item: &Result<ItemState, Error>| Log {
            // What could not be begun is not read.
            item: item.as_ref().map_or(NO_ITEM, |state| state.record.key),
            contained: item.as_ref().map_or(0, ItemState::ordinal),
            upcoming: VecDeque::new(),
            next_ordinal: None,
            ended: item.is_err(),
        };
        // Who opens items one after the other reads the same parts of the files again.
        let (messages, bytes_max, caching) = match awaited {
            Awaited::Yes => (STEP_MESSAGES, STEP_BYTES_MAX, Caching::Keep),
            Awaited::No => (STEP_MESSAGES_UNAWAITED, STEP_BYTES_UNAWAITED_MAX, Caching::Pass),
        };
        let share_max = (messages / items.len().max(1)).clamp(ENTRIES_MIN, STEP_MESSAGES);
        Self {
            store,
            telemetry,
            logs: items.iter().map(log).collect(),
            until,
            caching,
            bytes_max,
            share: share_max.min(ENTRIES_FIRST),
            share_max,
            wanted: Vec::new(),
            positions: Vec::new(),
            block_bytes: BLOCK_BYTES_EXPECTED,
            used: Step::default(),
        }
    }

    /// Uses the memory of a step again.
    pub(super) fn reuse(&mut self, step: Step) {
        self.used = step;
    }

    /// Whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.logs.iter().all(|log| log.ended && log.upcoming.is_empty())
    }

    /// The next step; `None` when everything was read.
    pub(super) fn step(&mut self) -> Result<Option<Step>, Error> {
        let mut watch = self.telemetry.live.stages.watch();
        self.read_logs()?;
        self.share = (2 * self.share).min(self.share_max);
        // What lies behind is not known of every log.
        let unfinished = self.logs.iter().filter(|log| !log.ended);
        let reach =
            unfinished.filter_map(|log| log.upcoming.back()).map(|entry| entry.ordinal).min();
        let mut reach = reach.unwrap_or(u64::MAX);
        loop {
            self.want(reach);
            if self.wanted.is_empty() {
                return Ok(None);
            }
            // As many as fit, by what blocks have been like; one block is always taken.
            let most = (self.bytes_max / self.block_bytes).max(1);
            if self.wanted.len() > most {
                let ordinals = self.wanted.iter().map(|wanted| self.entry(*wanted).ordinal);
                let mut ordinals: Vec<u64> = ordinals.collect();
                reach = *ordinals.select_nth_unstable(most - 1).1;
                self.want(reach);
            }
            let Some((bytes, ends)) = self.read_blocks()? else { continue };
            let mut messages = std::mem::take(&mut self.used.messages);
            messages.clear();
            messages.extend(self.wanted.iter().map(|wanted| (wanted.log(), *self.entry(*wanted))));
            for log in &mut self.logs {
                let taken = log.upcoming.partition_point(|entry| entry.ordinal <= reach);
                log.upcoming.drain(..taken);
            }
            watch.lap(Stage::Read, messages.len() as u64);
            return Ok(Some(Step { messages, bytes, ends }));
        }
    }

    /// Reads on in every log of which less than half a share is at hand.
    fn read_logs(&mut self) -> Result<(), Error> {
        let short = |at: &usize| {
            let log = &self.logs[*at];
            !log.ended && log.upcoming.len() < self.share / 2 + 1
        };
        let short: Vec<usize> = (0..self.logs.len()).filter(short).collect();
        let mut from = Vec::with_capacity(short.len());
        for at in &short {
            let log = &mut self.logs[*at];
            let next = match log.next_ordinal {
                Some(next) => next,
                None => self.store.items().log_start(log.item, log.contained)?,
            };
            from.push((log.item, next));
            // Unless something stops the reading of it.
            log.ended = true;
        }
        let (until, share) = (self.until, self.share);
        self.store.items().scan_logs(&from, self.caching, &mut |place, chunk| {
            let log = &mut self.logs[short[place]];
            let contained = log.contained;
            let fresh = |entry: &&LogEntry| entry.ordinal > contained && entry.ordinal <= until;
            log.upcoming.extend(chunk.iter().filter(fresh));
            let last = chunk.last().map_or(0, |entry| entry.ordinal);
            log.next_ordinal = Some(last + 1);
            if last >= until {
                return ControlFlow::Break(());
            }
            if log.upcoming.len() >= share {
                log.ended = false;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// Wants the messages up to number `reach`, in the order of their blocks.
    fn want(&mut self, reach: u64) {
        self.wanted.clear();
        for (at, log) in self.logs.iter().enumerate() {
            let due = log.upcoming.iter().take_while(|entry| entry.ordinal <= reach);
            self.wanted.extend(due.enumerate().map(|(nth, entry)| Wanted::new(entry, at, nth)));
        }
        self.wanted.sort_unstable();
    }

    fn entry(&self, wanted: Wanted) -> &LogEntry {
        &self.logs[wanted.log() as usize].upcoming[wanted.nth() as usize]
    }

    /// The blocks of these messages, and where each ends; `None` if they are too many bytes for one step,
    /// and fewer are to be tried.
    fn read_blocks(&mut self) -> Result<Option<(Bytes, Vec<usize>)>, Error> {
        self.positions.clear();
        self.positions.extend(self.wanted.iter().map(|wanted| wanted.position()));
        // A genesis is a message for the model and one for the metadata.
        self.positions.dedup();
        // At once: what grows is copied, and leaves holes of all sizes.
        let expected = (self.positions.len() * self.block_bytes).min(self.bytes_max);
        let mut bytes = match std::mem::take(&mut self.used.bytes).try_into_mut() {
            Ok(mut bytes) if bytes.capacity() >= expected => {
                bytes.clear();
                bytes
            }
            // Too short, or somebody holds a part of it.
            _ => BytesMut::with_capacity(expected),
        };
        let mut ends = std::mem::take(&mut self.used.ends);
        ends.clear();
        ends.resize(self.positions.len(), 0);
        let (mut too_many, bytes_max) = (None, self.bytes_max);
        self.store.feeds().visit_blocks(&self.positions, self.caching, &mut |at, block| {
            if at > 0 && bytes.len() + block.len() > bytes_max {
                too_many = Some(at);
                return ControlFlow::Break(());
            }
            bytes.extend_from_slice(block);
            ends[at] = bytes.len();
            ControlFlow::Continue(())
        })?;
        let read = too_many.unwrap_or(self.positions.len());
        self.block_bytes = bytes.len().div_ceil(read).max(1);
        if too_many.is_some() {
            // At least halved, should the blocks behind be of another kind.
            self.block_bytes = self.block_bytes.max(2 * self.bytes_max / self.wanted.len());
            return Ok(None);
        }
        self.telemetry.read(self.positions.len() as u64);
        Ok(Some((bytes.freeze(), ends)))
    }
}
