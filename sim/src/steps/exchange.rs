//! Devices exchange blocks: through the network, where anything may happen, or directly.

use systole::{FeedKey, Ingested, Range};

use crate::network::{Packet, damaged};
use crate::oracle::{Oracle, Violation};
use crate::random::Random;
use crate::world::World;

/// Blocks processed in one turn when a device works until nothing is left.
const TURN_BLOCKS: usize = 64;
/// Turns after which a device that still has work is stuck.
const TURNS_MAX: usize = 10_000;

impl World<'_> {
    /// A device reads a range of any feed it holds and sends it.
    pub(super) fn send(&mut self, from: usize, to: u64, choice: u64) -> Result<(), Violation> {
        let mut random = Random::new(choice);
        let to = (to % self.members.len() as u64) as usize;
        let held = self.members[from].watch.last.iter().filter(|(_, reach)| reach.stored > 0);
        let held: Vec<(FeedKey, u64)> = held.map(|(feed, reach)| (*feed, reach.stored)).collect();
        let Some((feed, stored)) = random.any(&held).copied().filter(|_| from != to) else {
            return Ok(());
        };
        let known = self.members[to].watch.last.get(&feed).map_or(0, |reach| reach.stored);
        let start = match random.below(3) {
            0 => random.below(stored as usize) as u64,
            _ if known < stored => known,
            _ => 0,
        };
        let Some(range) = self.read(from, &feed, start)? else { return Ok(()) };
        let (sender, reader) = (&self.members[from].name, &self.members[to].name);
        let what = self.shown(&range);
        self.story.tell(format!("{sender} sends {what} to {reader}"));
        self.network.send(Packet { from: Some(from), to, range });
        Ok(())
    }

    /// What a device shows of a feed. From here on it must not lose it.
    pub(crate) fn read(
        &mut self,
        from: usize,
        feed: &FeedKey,
        start: u64,
    ) -> Result<Option<Range>, Violation> {
        // What was never shown of the feed is looked at from its start.
        loop {
            let known = self.archive.length(feed);
            let lenient = self.archive.two_faced.contains(feed);
            let first = if lenient { start } else { start.min(known) };
            let read = self.act(from, |device, _| device.read(feed, first))?.flatten();
            let Some(range) = read else { return Ok(None) };
            let lenient_gap = lenient && range.start > known;
            if !lenient_gap {
                self.archive.show(&range, &self.names)?;
            }
            let own = self.members[from].watch.last.get(feed).is_some_and(|reach| reach.own);
            if own {
                self.members[from].ledger.show(*feed, range.end());
            }
            if range.start == start {
                return Ok(Some(range));
            }
            if self.archive.length(feed) <= known {
                return Ok(None);
            }
        }
    }

    pub(super) fn arrive(&mut self, pick: u64) -> Result<(), Violation> {
        match self.network.take(pick) {
            Some(packet) => self.ingest(packet.to, packet.range, "").map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn arrive_twice(&mut self, pick: u64) -> Result<(), Violation> {
        match self.network.peek(pick) {
            Some(packet) => {
                self.ingest(packet.to, packet.range, ", and it stays on its way").map(drop)
            }
            None => Ok(()),
        }
    }

    pub(super) fn arrive_damaged(&mut self, pick: u64, at: u64) -> Result<(), Violation> {
        let Some(packet) = self.network.peek(pick) else { return Ok(()) };
        let reader = packet.to;
        let range = damaged(packet.range.clone(), at);
        if range == packet.range {
            return Ok(());
        }
        self.counts.faults += 1;
        let feed = range.feed;
        match self.ingest(reader, range, ", damaged")? {
            Some(Ingested::Added { .. }) if self.is_honest(&feed) => {
                let detail = format!("{} takes damaged blocks", self.members[reader].name);
                Err(Violation::new(Oracle::Soundness, detail))
            }
            _ => Ok(()),
        }
    }

    /// A range reaches a device.
    pub(crate) fn ingest(
        &mut self,
        to: usize,
        range: Range,
        how: &str,
    ) -> Result<Option<Ingested>, Violation> {
        let what = self.shown(&range);
        let taken = self.act(to, |device, now| device.ingest(range, now))?;
        self.counts.ranges += 1;
        let name = &self.members[to].name;
        let outcome = match &taken {
            Some(Ingested::Added { from, to }) => format!("adds {}", to - from),
            Some(other) => format!("{other:?}"),
            None => "refuses".to_owned(),
        };
        self.story.tell(format!("{name} gets {what}{how}: {outcome}"));
        Ok(taken)
    }

    /// Device `to` gets all that `from` holds, and works until nothing is left; unless `applies`, what is
    /// processed is left to wait at the items. Whether anything moved.
    pub(crate) fn pull(
        &mut self,
        from: usize,
        to: usize,
        applies: bool,
        told: bool,
    ) -> Result<bool, Violation> {
        let held = self.members[from].watch.last.iter();
        let held: Vec<(FeedKey, u64)> = held.map(|(feed, reach)| (*feed, reach.stored)).collect();
        let mut moved = false;
        for (feed, stored) in held {
            let mut at = self.members[to].watch.last.get(&feed).map_or(0, |reach| reach.stored);
            while at < stored {
                let Some(range) = self.read(from, &feed, at)? else { break };
                match self.ingest(to, range, "")? {
                    Some(Ingested::Added { to, .. }) if to > at => (at, moved) = (to, true),
                    _ => break,
                }
            }
        }
        if told && moved {
            let (from, to) = (&self.members[from].name, &self.members[to].name);
            let rest = if applies { "" } else { "; its items let it wait" };
            self.story.tell(format!("{to} has all that {from} holds{rest}"));
        }
        Ok(self.settle(to, applies)? || moved)
    }

    /// A device works until nothing is left. Whether it did anything.
    pub(crate) fn settle(&mut self, at: usize, applies: bool) -> Result<bool, Violation> {
        let mut worked = false;
        for _ in 0..TURNS_MAX {
            let done = self.act(at, |device, now| device.process(TURN_BLOCKS, now))?;
            let mut applied = 0;
            while applies && self.members[at].device.apply(applied) {
                applied += 1;
            }
            worked |= applied > 0 || done.is_some_and(|done| done > 0);
            if done == Some(0) && applied == 0 {
                self.after(at, None)?;
                return Ok(worked);
            }
        }
        let detail = format!("{} works without end", self.members[at].name);
        Err(Violation::new(Oracle::Progress, detail))
    }

    fn shown(&self, range: &Range) -> String {
        let feed = self.names.feed(&range.feed);
        format!("{feed}/{}..{}", range.start, range.end())
    }
}
