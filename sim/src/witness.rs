//! What a device says that it did, held against what really happened.
//!
//! Invariant: what is noted of an own block when it is written is never changed afterwards; readers are
//! held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use systole::{FeedKey, ItemId};

use crate::byzantine::Made;
use crate::device::Seen;
use crate::oracle::causality::{Message, Past};
use crate::oracle::position::Reaches;
use crate::oracle::{Oracle, Violation, bounds};
use crate::world::World;

impl World<'_> {
    /// Looks at a device after it did something: how far it is, what it processed, what it wrote.
    pub(crate) fn after(&mut self, at: usize, past: Option<OwnPast>) -> Result<(), Violation> {
        let status = self.members[at].device.status();
        let status = status.map_err(|error| self.failure(at, "has no status", &error))?;
        let member = &mut self.members[at];
        for feed in status.feeds.iter().filter(|feed| feed.own) {
            self.names.name_feed(feed.feed, &member.name);
        }
        let durable = member.device.disk.unsynced() == 0;
        let before = member.watch.last.clone();
        member.watch.advance(&status.feeds, durable, &self.names)?;
        let past = past.or_else(|| member.watch.writing.take());
        for feed in status.feeds.iter().filter(|feed| feed.own) {
            let held = before.get(&feed.feed).map_or(0, |reach| reach.stored);
            self.note(at, feed.feed, held..feed.stored, past.as_ref())?;
        }
        let member = &mut self.members[at];
        member.pending = None;
        member.watch.writing = None;
        bounds::check(&mut member.device, &member.name)?;
        for feed in status.feeds.iter().filter(|feed| feed.own) {
            bounds::check_clock(&member.device, &feed.feed, &member.name)?;
        }
        let seen = member.device.take_seen();
        self.hear(at, seen)
    }

    /// Keeps the record of own blocks that were not there before.
    fn note(
        &mut self,
        at: usize,
        feed: FeedKey,
        written: Range<u64>,
        past: Option<&OwnPast>,
    ) -> Result<(), Violation> {
        let known = self.records.length(&feed);
        if written.start < known.min(written.end) {
            let (place, name) = (self.names.position(&feed, written.start), &self.members[at].name);
            let detail = format!("{name} writes {place}, where another block was written before");
            return Err(Violation::new(Oracle::Fork, detail));
        }
        self.archive.written(&feed, &written, &self.names)?;
        for seq in known..written.end {
            let member = &self.members[at];
            let block = member.device.block(&feed, seq);
            let block = block.map_err(|error| self.failure(at, "cannot be read", &error))?;
            let at_block = self.names.position(&feed, seq);
            let block = block.ok_or_else(|| {
                Violation::new(Oracle::Soundness, format!("{at_block} is missing on disk"))
            })?;
            let messages = match &member.pending {
                Some((own, first, blocks)) if *own == feed && seq >= *first => {
                    blocks.get((seq - first) as usize).cloned().unwrap_or_default()
                }
                _ => Vec::new(),
            };
            for (item, _) in messages.iter().filter(|(id, _)| *id == ItemId::of(&feed, seq)) {
                self.names.name_item(*item);
                self.items.push(Made { id: *item, feed, seq });
            }
            let seen = past.map(|past| past.of(&feed)).unwrap_or_default();
            self.counts.messages += messages.len() as u64;
            self.records.push(feed, seen, messages, &block);
        }
        Ok(())
    }

    /// Holds what a device says that it processed against what really happened.
    pub(crate) fn hear(&mut self, at: usize, seen: Vec<Seen>) -> Result<(), Violation> {
        for seen in seen {
            match seen {
                Seen::Message { item, feed, seq, lamport, mut past, label } => {
                    past.sort_unstable();
                    self.members[at].watch.process(feed, seq, label, &self.names)?;
                    if !self.archive.two_faced.contains(&feed)
                        && !past.iter().any(|(feed, _)| self.archive.two_faced.contains(feed))
                    {
                        let message = Message { feed, seq, lamport, past: &past, item, label };
                        self.records.check(&message, &self.names)?;
                    }
                    self.counts.processed += 1;
                }
                Seen::Quarantined { feed, seq, code } => {
                    let (place, name) = (self.names.position(&feed, seq), &self.members[at].name);
                    if self.is_honest(&feed) {
                        let detail = format!("{name} sets aside {place} ({code}), which is honest");
                        return Err(Violation::new(Oracle::Once, detail));
                    }
                    self.story.tell(format!("    {name} sets aside {place}: {code}"));
                }
                Seen::Event(event) => self.event(at, &event)?,
            }
        }
        Ok(())
    }

    fn event(&mut self, at: usize, event: &systole::Event) -> Result<(), Violation> {
        let name = self.members[at].name.clone();
        match event {
            systole::Event::OwnFeedLost { feed } => {
                let feed = self.names.feed(feed);
                self.story.tell(format!(
                    "    {name} sees more of feed {feed} than it has, and leaves it"
                ));
            }
            systole::Event::Equivocation { feed } => {
                let feed_name = self.names.feed(feed);
                if self.is_honest(feed) {
                    let detail = format!("{name} holds proof of two histories of feed {feed_name}");
                    return Err(Violation::new(Oracle::Fork, detail));
                }
                self.story.tell(format!("    {name} finds two histories of feed {feed_name}"));
            }
            systole::Event::ItemQuarantined { item, reason } => {
                let item = self.names.item(item);
                if !self.setting.panics {
                    let detail = format!("the model of {item} failed at {name}: {reason}");
                    return Err(Violation::new(Oracle::Soundness, detail));
                }
                self.story.tell(format!("    the model of {item} panics at {name}"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a device had processed before it wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnPast {
    feeds: BTreeMap<FeedKey, u64>,
    admitted: BTreeSet<FeedKey>,
}

impl OwnPast {
    /// What a block of `feed` has seen: an own feed that is not admitted yet links to nothing.
    fn of(&self, feed: &FeedKey) -> Past {
        if !self.admitted.contains(feed) {
            return Past::default();
        }
        let mut past = self.feeds.clone();
        past.remove(feed);
        Rc::new(past)
    }
}

/// What a device with these positions has processed.
pub(crate) fn own_past(reaches: &Reaches) -> OwnPast {
    let feeds = reaches.iter().filter(|(_, at)| at.processed > 0 && at.admitted);
    let admitted = reaches.iter().filter(|(_, at)| at.admitted).map(|(feed, _)| *feed);
    OwnPast {
        feeds: feeds.map(|(feed, at)| (*feed, at.processed)).collect(),
        admitted: admitted.collect(),
    }
}
