//! Causal steps: by how much a feed's past grew at each block that links to other feeds.
//!
//! A block's timeframe is the sum of the steps up to it, back to the nearest full one. Blocks without
//! links have no step: their timeframe is that of the step before them.

use std::ops::ControlFlow;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::feeds::{FeedStore, seq_of};
use crate::keys::{self, Kind, Range};
use crate::numbers::FeedNo;
use crate::record::{Decoder, Encoder, Malformed};

/// What a block adds to the causal past of its feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CausalStep {
    /// The block that links.
    pub seq: u64,
    /// Its Lamport number.
    pub lamport: u64,
    /// Whether `entries` are the whole timeframe; otherwise they are what changed since the previous
    /// step of this feed.
    pub full: bool,
    /// Steps since the last full one; 0 if this one is full.
    pub depth: u8,
    /// Lengths of other feeds.
    pub entries: Vec<(FeedNo, u64)>,
}

const VERSION: u8 = 1;
/// A feed number and a length take at least a byte each.
const ENTRY_BYTES_MIN: usize = 2;

impl FeedStore<'_> {
    /// Stores the step of block `step.seq`.
    pub fn put_step(&self, batch: &mut Batch, feed: FeedNo, step: &CausalStep) {
        batch.put_with(Family::Feed, &keys::step(feed, step.seq), |out| encode(out, step));
    }

    /// The step of block `seq` itself, if it has one.
    pub fn step(&self, feed: FeedNo, seq: u64) -> Result<Option<CausalStep>, Error> {
        let key = keys::step(feed, seq);
        self.store.value(Family::Feed, &key, |value| decode(&key, &value))
    }

    /// Number of the feed's steps.
    pub fn step_count(&self, feed: FeedNo) -> Result<u64, Error> {
        self.store.count(Family::Feed, &Range::prefix(&keys::per_feed(Kind::Step, feed)))
    }

    /// The step that tells the timeframe of block `seq`: the nearest at or before it.
    pub fn step_at_or_before(&self, feed: FeedNo, seq: u64) -> Result<Option<CausalStep>, Error> {
        let mut nearest = None;
        self.scan_steps_back(feed, seq, &mut |step| {
            nearest = Some(step);
            ControlFlow::Break(())
        })?;
        Ok(nearest)
    }

    /// Visits the steps of the blocks `[from, to)` in order.
    pub fn scan_steps(
        &self,
        feed: FeedNo,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(CausalStep) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let range =
            Range { from: keys::step(feed, from).to_vec(), to: keys::step(feed, to).to_vec() };
        self.store.visit(Family::Feed, &range, decode, visit)
    }

    /// Visits the steps at and before block `seq`, latest first: a visitor that breaks at a full step
    /// has seen a whole timeframe.
    pub fn scan_steps_back(
        &self,
        feed: FeedNo,
        seq: u64,
        visit: &mut dyn FnMut(CausalStep) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let (from, last) = (keys::step(feed, 0), keys::step(feed, seq));
        let to = keys::after_prefix(&last);
        let mut failure = None;
        self.store.backend().scan_back(
            Family::Feed,
            &from,
            &to,
            &mut |key, value| match decode(key, value) {
                Ok(step) => visit(step),
                Err(malformed) => {
                    failure = Some(Error::corrupt(Family::Feed, key, malformed.0));
                    ControlFlow::Break(())
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }
}

fn encode(out: &mut Vec<u8>, step: &CausalStep) {
    let mut encoder = Encoder::new(out, VERSION);
    encoder.number(step.lamport).flag(step.full).byte(step.depth).number(step.entries.len() as u64);
    for (feed, length) in &step.entries {
        encoder.number(feed.0.into()).number(*length);
    }
}

fn decode(key: &[u8], value: &[u8]) -> Result<CausalStep, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let lamport = decoder.number()?;
    let full = decoder.flag()?;
    let depth = decoder.byte()?;
    let count = decoder.count(ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push((FeedNo(decoder.number_u32()?), decoder.number()?));
    }
    decoder.finish()?;
    Ok(CausalStep { seq: seq_of(key)?, lamport, full, depth, entries })
}
